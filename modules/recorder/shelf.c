/*
 * recorder/shelf.c: see shelf.h: one recording, found, described and removed, and its files.
 *
 * What a client names is looked up, never put together to a path unseen: ids have the letters of
 * ids, names of files no slash and no dot in front, and links are not followed.
 */
#include "shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "library.h"
#include "manifest.h"

bool shelf_is_id(struct sl_str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f') ||
		      id.p[i] == 'T' || id.p[i] == 'Z' || id.p[i] == '-'))
			return false;
	return id.len > 0 && id.len < SHELF_ID && id.p[0] != '-';
}

/* ---- manifests */

static void read_all(int fd, struct sl_buf *b)
{
	uint8_t *p;
	ssize_t n;

	while ((p = sl_buf_reserve(b, 16384)) && (n = read(fd, p, 16384)) > 0)
		b->len += (size_t)n;
}

json_t *shelf_manifest(const char *path)
{
	char name[SHELF_PATH + 40];
	struct sl_buf text;
	json_t *o = NULL;
	int fd;

	(void)snprintf(name, sizeof name, "%s/%s", path, MANIFEST_NAME);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	sl_buf_init(&text, 16 << 20);
	read_all(fd, &text);
	close(fd);
	if (sl_buf_ok(&text) == 0)
		o = sl_json_parse(sl_buf_view(&text), 8, NULL, 0);
	sl_buf_free(&text);
	return o;
}

bool shelf_is_wanted(const struct shelf_query *q, const json_t *manifest)
{
	struct sl_str room = sl_json_get_str(manifest, "room");

	return room.p && (!q->room.p || sl_str_eq(q->room, room)) &&
	       (!q->may || q->may(q->arg, room));
}

/* ---- one */

static bool is_there(const char *dir, const char *room, struct sl_str id, char path[SHELF_PATH])
{
	struct stat st;

	return snprintf(path, SHELF_PATH, "%s/%s/%.*s", dir, room, SL_FMT(id)) < SHELF_PATH &&
	       lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int shelf_find(const char *dir, struct sl_str id, const struct shelf_query *q,
	       char ret_path[SHELF_PATH])
{
	json_t *manifest;
	bool found = false;
	DIR *d = shelf_is_id(id) ? opendir(dir) : NULL;

	for (struct dirent *e; d && !found && (e = readdir(d));)
		found = e->d_name[0] != '.' && is_there(dir, e->d_name, id, ret_path);
	if (d)
		closedir(d);
	if (!found)
		return -SL_ENOENT;
	manifest = shelf_manifest(ret_path);
	found = shelf_is_wanted(q, manifest);
	json_decref(manifest);
	return found ? 0 : -SL_ENOENT;
}

int shelf_describe(const char *path, struct sl_buf *json)
{
	struct recorded r;
	int rc = recorded_open(&r, path);

	if (rc == 0) {
		sl_buf_str(json, SL_STR("{\"manifest\":"));
		sl_json_dump(r.manifest, json);
		sl_buf_printf(json, ",\n\"running\":%s,\"intact\":%s,\n\"segments\":",
			      r.open ? "true" : "false", r.broken || r.cut ? "false" : "true");
		sl_json_dump(r.segments, json);
		sl_buf_str(json, SL_STR(",\n\"notes\":"));
		sl_json_dump(r.notes, json);
		sl_buf_str(json, SL_STR("}\n"));
	}
	recorded_close(&r);
	return rc;
}

/* ---- files */

static const struct {
	struct sl_str suffix;
	const char *type;
} types[] = {
	{SL_STR_INIT(".webm"), "video/webm"},
	{SL_STR_INIT(".mkv"), "video/x-matroska"},
	{SL_STR_INIT(".mp4"), "video/mp4"},
	{SL_STR_INIT(".m4s"), "video/mp4"},
	{SL_STR_INIT(".m3u8"), "application/vnd.apple.mpegurl"},
	{SL_STR_INIT(".ogg"), "audio/ogg"},
	{SL_STR_INIT(".wav"), "audio/wav"},
	{SL_STR_INIT(".json"), "application/json"},
	{SL_STR_INIT(".jsonl"), "application/jsonl"},
	{SL_STR_INIT(".jpg"), "image/jpeg"},
	{SL_STR_INIT(".png"), "image/png"},
};

static bool ends_with(struct sl_str s, struct sl_str tail)
{
	return s.len >= tail.len &&
	       sl_str_eq((struct sl_str){s.p + s.len - tail.len, tail.len}, tail);
}

const char *shelf_type(struct sl_str name)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(types); i++)
		if (ends_with(name, types[i].suffix))
			return types[i].type;
	return "application/octet-stream";
}

/* No directories, nothing hidden, nothing that is not finished */
static bool is_name(struct sl_str name)
{
	if (name.len == 0 || name.len > 255 || name.p[0] == '.' ||
	    ends_with(name, SL_STR(".part")) || ends_with(name, SL_STR(".new")))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] == '/' || name.p[i] == '\\' || (unsigned char)name.p[i] < ' ')
			return false;
	return true;
}

static bool may_grow(struct sl_str name)
{
	return sl_str_eq(name, SL_STR(JOURNAL_NAME)) || sl_str_eq(name, SL_STR(MANIFEST_NAME)) ||
	       ends_with(name, SL_STR(".m3u8"));
}

int shelf_open(const char *path, struct sl_str name, struct shelf_file *ret_file)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;
	char z[256];

	if (dir >= 0 && is_name(name)) {
		(void)sl_str_copy(z, sizeof z, name);
		fd = openat(dir, z, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (dir >= 0)
		close(dir);
	if (fd < 0)
		return -SL_ENOENT;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -SL_ENOENT;
	}
	*ret_file = (struct shelf_file){.fd = fd,
					.len = (uint64_t)st.st_size,
					.type = shelf_type(name),
					.grows = may_grow(name)};
	(void)snprintf(ret_file->tag, sizeof ret_file->tag, "\"%llx-%llx-%llx\"",
		       (unsigned long long)st.st_ino,
		       (unsigned long long)st.st_mtim.tv_sec * 1000000000u +
			       (unsigned long long)st.st_mtim.tv_nsec,
		       (unsigned long long)st.st_size);
	return 0;
}

bool shelf_is_uploaded(const char *path, struct sl_str name)
{
	struct recorded r;
	char z[256];
	bool is;

	if (!is_name(name))
		return false;
	(void)sl_str_copy(z, sizeof z, name);
	is = recorded_open(&r, path) == 0 && json_object_get(r.uploaded, z) != NULL;
	recorded_close(&r);
	return is;
}

/* ---- playlists */

bool shelf_is_playlist(struct sl_str name)
{
	return ends_with(name, SL_STR(".m3u8"));
}

/* A line is a URI, or has one in an attribute; ours have no query of their own. */
static void add_line(struct sl_buf *text, struct sl_str line, struct sl_str token)
{
	static const struct sl_str uri = SL_STR_INIT("URI=\"");
	const char *at, *end = NULL;

	if (line.len > 0 && line.p[0] != '#') {
		sl_buf_printf(text, "%.*s?token=%.*s\n", SL_FMT(line), SL_FMT(token));
		return;
	}
	at = line.len > 0 ? memmem(line.p, line.len, uri.p, uri.len) : NULL;
	if (at)
		end = memchr(at + uri.len, '"', (size_t)(line.p + line.len - at) - uri.len);
	if (!end) {
		sl_buf_printf(text, "%.*s\n", SL_FMT(line));
		return;
	}
	sl_buf_printf(text, "%.*s?token=%.*s%.*s\n", (int)(end - line.p), line.p, SL_FMT(token),
		      (int)(line.p + line.len - end), end);
}

int shelf_playlist(const char *path, struct sl_str name, struct sl_str token, struct sl_buf *text)
{
	struct shelf_file f;
	struct sl_buf raw;
	struct sl_str rest;
	int rc = shelf_open(path, name, &f);

	if (rc < 0)
		return rc;
	sl_buf_init(&raw, 64 << 20);
	read_all(f.fd, &raw);
	close(f.fd);
	rest = sl_buf_view(&raw);
	while (rest.len > 0)
		add_line(text, sl_str_split(&rest, '\n'), token);
	rc = sl_buf_ok(&raw);
	sl_buf_free(&raw);
	return rc;
}

/* ---- removal */

/* First what makes it a recording: a crash in between leaves files that nobody lists, not a
 * recording without them. */
int shelf_remove(const char *path)
{
	char name[SHELF_PATH + 300];
	DIR *d = opendir(path);

	if (!d)
		return errno;
	(void)snprintf(name, sizeof name, "%s/%s", path, MANIFEST_NAME);
	(void)unlink(name);
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		(void)unlink(name); /* told by rmdir */
	}
	closedir(d);
	return rmdir(path) < 0 ? errno : 0;
}
