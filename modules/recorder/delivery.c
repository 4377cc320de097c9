/*
 * recorder/delivery.c: see delivery.h: which files of a recording are to be sent, and what is known
 * of those that were.
 */
#include "delivery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "manifest.h"

enum { READ_STEP = 1 << 16, MAX_LINE = 1 << 20, MODE = 0640 };

static int fail(struct delivery *d, const char *name, int rc)
{
	(void)snprintf(d->why, sizeof d->why, "%.250s/%.60s: %.70s", d->dir, name, strerror(errno));
	return rc;
}

/* ---- lines of files */

/* Reads whole lines from *at on and moves it. false: it cannot be read */
static bool read_lines(int fd, uint64_t *at, void (*fn)(void *arg, struct sl_str line), void *arg)
{
	struct sl_buf b;
	uint8_t *p;
	ssize_t n = -1;

	sl_buf_init(&b, MAX_LINE + READ_STEP);
	while ((p = sl_buf_reserve(&b, READ_STEP)) &&
	       (n = pread(fd, p, READ_STEP, (off_t)(*at + b.len))) > 0) {
		struct sl_str rest;
		const char *end;

		b.len += (size_t)n;
		rest = sl_buf_view(&b);
		while (rest.len > 0 && (end = memchr(rest.p, '\n', rest.len))) {
			struct sl_str line = {rest.p, (size_t)(end - rest.p)};

			fn(arg, line);
			rest.len -= line.len + 1;
			rest.p = end + 1;
		}
		*at += b.len - rest.len;
		sl_buf_drop(&b, b.len - rest.len);
	}
	sl_buf_free(&b);
	return n == 0;
}

/* ---- what has arrived */

static void take_part(struct delivery *d, struct sl_str file, const json_t *o)
{
	json_t *known = json_object_get(d->parts, file.p), *tags;
	struct sl_str upload = sl_json_get_str(o, "upload"), tag = sl_json_get_str(o, "tag");

	if (upload.p) {
		known = json_object();
		tags = json_array();
		(void)json_object_set(known, "upload", json_object_get(o, "upload"));
		(void)json_object_set(known, "part_bytes", json_object_get(o, "part_bytes"));
		(void)json_object_set_new(known, "tags", tags);
		(void)json_object_set_new(d->parts, file.p, known);
	} else if (tag.p && known) {
		(void)json_array_append(json_object_get(known, "tags"), json_object_get(o, "tag"));
	} else if (json_is_true(json_object_get(o, "forget"))) {
		(void)json_object_del(d->parts, file.p);
	}
}

static void take_line(void *arg, struct sl_str line)
{
	struct delivery *d = arg;
	json_t *o = sl_json_parse(line, 4, NULL, 0);
	struct sl_str file = sl_json_get_str(o, "file");

	if (file.p && json_is_true(json_object_get(o, "done"))) {
		(void)json_object_set_new(d->done, file.p, json_true());
		(void)json_object_del(d->parts, file.p);
	} else if (file.p) {
		take_part(d, file, o);
	}
	json_decref(o);
}

int delivery_note(struct delivery *d, json_t *o)
{
	struct sl_buf b;
	bool ok;

	sl_buf_init(&b, 0);
	sl_json_dump(o, &b);
	take_line(d, sl_buf_view(&b));
	sl_buf_str(&b, SL_STR("\n"));
	ok = sl_buf_ok(&b) == 0 && write(d->state_fd, b.p, b.len) == (ssize_t)b.len &&
	     fdatasync(d->state_fd) == 0;
	d->state_len += b.len;
	sl_buf_free(&b);
	json_decref(o);
	return ok ? 0 : fail(d, UPLOAD_NAME, -SL_ESYS);
}

static void forget_all(struct delivery *d)
{
	(void)json_object_clear(d->done);
	(void)json_object_clear(d->parts);
	(void)json_array_clear(d->pending);
	d->journal_at = d->state_len = 0;
}

/* A line that a crash cut off would swallow the next one. */
static void end_line(struct delivery *d, uint64_t size)
{
	if (size > d->state_len && ftruncate(d->state_fd, (off_t)d->state_len) < 0)
		(void)!write(d->state_fd, "\n", 1); /* a line of its own, and none of ours */
}

/* Opened and locked for a pass. What another process has written in between is read anew. */
static int open_state(struct delivery *d)
{
	char path[SHELF_PATH + 16];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/" UPLOAD_NAME, d->dir);
	d->state_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, MODE);
	if (d->state_fd < 0)
		return errno == ENOENT ? -SL_ENOENT : fail(d, UPLOAD_NAME, -SL_ESYS);
	if (flock(d->state_fd, LOCK_EX | LOCK_NB) < 0)
		return -SL_EFULL;
	if (fstat(d->state_fd, &st) < 0)
		return fail(d, UPLOAD_NAME, -SL_ESYS);
	if ((uint64_t)st.st_size == d->state_len)
		return 0;
	forget_all(d);
	if (!read_lines(d->state_fd, &d->state_len, take_line, d))
		return fail(d, UPLOAD_NAME, -SL_ESYS);
	end_line(d, (uint64_t)st.st_size);
	return 0;
}

static void close_state(struct delivery *d)
{
	if (d->state_fd >= 0)
		close(d->state_fd); /* and its lock */
	d->state_fd = -1;
}

/* ---- what is to be sent */

static void remove_local(const struct delivery *d, const char *name)
{
	char path[SHELF_PATH + 300];

	(void)snprintf(path, sizeof path, "%s/%s", d->dir, name);
	(void)unlink(path); /* stays: takes space, and nothing else */
}

/* One that is noted as sent, and is here still: its writer was killed between the two. */
static void take_file(struct delivery *d, json_t *line, const char *name)
{
	if (!json_object_get(d->done, name))
		(void)json_array_append(d->pending, line);
	else if (d->conf->delete_local)
		remove_local(d, name);
}

static void take_segment(void *arg, struct sl_str line)
{
	static const struct sl_str segment = SL_STR_INIT("{\"type\":\"segment\""),
				   hls = SL_STR_INIT("{\"type\":\"hls\"");
	struct delivery *d = arg;
	struct sl_str file;
	json_t *o;

	if (!sl_str_starts(line, segment) && !sl_str_starts(line, hls))
		return;
	o = sl_json_parse(line, 8, NULL, 0);
	file = sl_json_get_str(o, "file");
	if (file.p && file.p[0] != '.' && !memchr(file.p, '/', file.len))
		take_file(d, o, file.p);
	json_decref(o);
}

static int read_journal(struct delivery *d)
{
	char path[SHELF_PATH + 40];
	int fd;
	bool ok;

	(void)snprintf(path, sizeof path, "%s/" JOURNAL_NAME, d->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -SL_ENOENT : fail(d, JOURNAL_NAME, -SL_ESYS);
	ok = read_lines(fd, &d->journal_at, take_segment, d);
	close(fd);
	return ok ? 0 : fail(d, JOURNAL_NAME, -SL_ESYS);
}

static int mark_done(struct delivery *d, const char *name, struct sl_str sha256)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "file", json_string(name));
	if (sha256.len > 0)
		(void)json_object_set_new(o, "sha256", json_stringn(sha256.p, sha256.len));
	(void)json_object_set_new(o, "done", json_true());
	return delivery_note(d, o);
}

/* A file that is not what it was, or cannot be read, holds up nothing but the end. */
static bool is_files_fault(int rc)
{
	return rc == -SL_EINVAL || rc == -SL_ESYS;
}

static int send_segment(struct delivery *d, struct s3 *s, const json_t *line)
{
	const struct delivery_file f = {sl_json_get_str(line, "file").p,
					sl_json_get_str(line, "sha256")};
	int rc = delivery_send(d, s, &f);

	if (rc == 0)
		rc = mark_done(d, f.name, f.sha256);
	if (rc == 0 && d->conf->delete_local)
		remove_local(d, f.name);
	return rc;
}

static int send_pending(struct delivery *d, struct s3 *s)
{
	int bad = 0, rc = 0;
	size_t i = 0;

	while (i < json_array_size(d->pending)) {
		rc = send_segment(d, s, json_array_get(d->pending, i));
		if (rc == 0)
			(void)json_array_remove(d->pending, i);
		else if (!is_files_fault(rc))
			return rc;
		else
			bad = rc, i++;
	}
	return bad;
}

static int send_once(struct delivery *d, struct s3 *s, const char *name)
{
	const struct delivery_file f = {.name = name};
	int rc;

	if (json_object_get(d->done, name))
		return 0;
	rc = delivery_send(d, s, &f);
	return rc == 0 ? mark_done(d, name, SL_STR("")) : rc;
}

static bool is_playlist(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && name[0] != '.' && strcmp(name + len - 5, ".m3u8") == 0;
}

static int send_playlists(struct delivery *d, struct s3 *s)
{
	DIR *dir = opendir(d->dir);
	int rc = dir ? 0 : -SL_ENOENT;

	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		if (is_playlist(e->d_name))
			rc = send_once(d, s, e->d_name);
	if (dir)
		closedir(dir);
	return rc;
}

static void read_room(struct delivery *d)
{
	json_t *manifest = shelf_manifest(d->dir);

	(void)sl_str_copy(d->room, sizeof d->room, sl_json_get_str(manifest, "room"));
	json_decref(manifest);
}

/* Whoever finds the manifest in the bucket finds all that it tells of. */
static int send_last(struct delivery *d, struct s3 *s)
{
	char from[SHELF_PATH + 16], to[SHELF_PATH + 16];
	int rc = send_playlists(d, s);

	if (rc == 0)
		rc = send_once(d, s, JOURNAL_NAME);
	if (rc == 0)
		rc = send_once(d, s, MANIFEST_NAME);
	if (rc < 0)
		return rc;
	read_room(d);
	(void)snprintf(from, sizeof from, "%s/" UPLOAD_NAME, d->dir);
	(void)snprintf(to, sizeof to, "%s/" UPLOADED_NAME, d->dir);
	return rename(from, to) < 0 ? fail(d, UPLOADED_NAME, -SL_ESYS) : 0;
}

static bool exists(const struct delivery *d, const char *name)
{
	char path[SHELF_PATH + 40];

	(void)snprintf(path, sizeof path, "%s/%s", d->dir, name);
	return access(path, F_OK) == 0;
}

int delivery_pass(struct delivery *d, struct s3 *s, bool *ret_finished)
{
	/* Looked at before the journal: what comes between the two is for the next pass. */
	bool over = !exists(d, OPEN_NAME);
	int rc;

	d->why[0] = '\0';
	d->after_ms = 0;
	d->n_sent = 0;
	*ret_finished = over && exists(d, UPLOADED_NAME);
	if (*ret_finished)
		return 0;
	rc = open_state(d);
	if (rc == 0)
		rc = read_journal(d);
	if (rc == 0)
		rc = send_pending(d, s);
	if (rc == 0 && over)
		rc = send_last(d, s);
	close_state(d);
	*ret_finished = rc == 0 && over;
	return rc;
}

/* ---- life */

int delivery_open(const struct upload_conf *conf, const char *root, const char *dir,
		  struct upload_counts *counts, struct delivery **ret_delivery)
{
	struct delivery *d = calloc(1, sizeof *d);
	size_t root_len = strlen(root);

	if (!d)
		return -SL_ENOMEM;
	d->conf = conf;
	d->counts = counts;
	d->state_fd = -1;
	d->done = json_object();
	d->parts = json_object();
	d->pending = json_array();
	(void)sl_str_copy(d->dir, sizeof d->dir, sl_str_c(dir));
	while (dir[root_len] == '/')
		root_len++;
	(void)snprintf(d->key, sizeof d->key, "%.*s%s/", SL_FMT(conf->prefix), dir + root_len);
	if (!d->done || !d->parts || !d->pending) {
		delivery_free(d);
		return -SL_ENOMEM;
	}
	*ret_delivery = d;
	return 0;
}

void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	close_state(d);
	json_decref(d->done);
	json_decref(d->parts);
	json_decref(d->pending);
	free(d);
}
