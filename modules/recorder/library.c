/*
 * recorder/library.c: see library.h.
 */
#include "library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "disk.h"
#include "manifest.h"

enum { MAX_JOURNAL = 1 << 30, MAX_KEY = 16384 };

static int slurp(int dir, const char *name, struct sl_buf *out)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	uint8_t *p;
	ssize_t n;

	if (fd < 0)
		return -SL_ENOENT;
	if (fstat(fd, &st) < 0 || st.st_size > MAX_JOURNAL) {
		close(fd);
		return -SL_ELIMIT;
	}
	while ((p = sl_buf_reserve(out, 1 << 16)) && (n = read(fd, p, 1 << 16)) > 0)
		out->len += (size_t)n;
	close(fd);
	return sl_buf_ok(out);
}

static void read_journal(struct recorded *r, struct sl_str text)
{
	struct sl_str line, id = sl_json_get_str(r->manifest, "id");
	const json_t *told = json_object_get(r->manifest, "journal");
	struct journal j;
	int rc;

	journal_begin(&j, id);
	while ((rc = journal_read(&j, &text, &line)) == 0) {
		json_t *o = sl_json_parse(line, 8, NULL, 0);

		if (sl_str_eq(sl_json_get_str(o, "type"), SL_STR("vanished")))
			r->n_vanished = json_array_size(r->segments);
		if (sl_str_eq(sl_json_get_str(o, "type"), SL_STR("segment")))
			(void)json_array_append(r->segments, o);
		else
			(void)json_array_append(r->notes, o);
		json_decref(o);
	}
	r->n_lines = j.n_lines;
	r->broken = rc == -SL_EAUTH;
	r->cut = (json_int_t)j.n_lines < json_integer_value(json_object_get(told, "lines"));
	if (!r->open && !r->cut && !sl_str_eq(sl_json_get_str(told, "chain"), sl_str_c(j.chain)))
		r->broken = true;
}

/* Lines of ".upload", which an upload leaves behind as ".uploaded" */
static void read_uploaded(struct recorded *r, int dir)
{
	struct sl_buf text;
	struct sl_str rest;

	sl_buf_init(&text, 0);
	if (slurp(dir, UPLOADED_NAME, &text) < 0 && slurp(dir, UPLOAD_NAME, &text) < 0)
		return;
	r->uploaded = json_object();
	rest = sl_buf_view(&text);
	while (rest.len > 0) {
		json_t *o = sl_json_parse(sl_str_split(&rest, '\n'), 4, NULL, 0);

		if (json_is_true(json_object_get(o, "done")) && sl_json_get_str(o, "file").p)
			(void)json_object_set_new(r->uploaded, sl_json_get_str(o, "file").p,
						  json_true());
		json_decref(o);
	}
	sl_buf_free(&text);
}

int recorded_open(struct recorded *r, const char *path)
{
	struct sl_buf text;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	*r = (struct recorded){.segments = json_array(), .notes = json_array()};
	(void)sl_str_copy(r->path, sizeof r->path, sl_str_c(path));
	if (dir < 0)
		return -SL_ENOENT;
	sl_buf_init(&text, 0);
	rc = slurp(dir, MANIFEST_NAME, &text);
	if (rc == 0)
		r->manifest = sl_json_parse(sl_buf_view(&text), 8, NULL, 0);
	if (!r->manifest || !sl_json_get_str(r->manifest, "id").p)
		rc = rc < 0 ? rc : -SL_EPARSE;
	r->open = faccessat(dir, OPEN_NAME, F_OK, 0) == 0;
	sl_buf_reset(&text);
	if (rc == 0)
		rc = slurp(dir, JOURNAL_NAME, &text);
	if (rc == 0)
		read_journal(r, sl_buf_view(&text));
	read_uploaded(r, dir);
	sl_buf_free(&text);
	close(dir);
	return rc;
}

void recorded_close(struct recorded *r)
{
	json_decref(r->manifest);
	json_decref(r->segments);
	json_decref(r->notes);
	json_decref(r->uploaded);
	*r = (struct recorded){0};
}

static bool is_recording(const char *path)
{
	char name[LIBRARY_MAX_PATH + 32];

	(void)snprintf(name, sizeof name, "%s/%s", path, MANIFEST_NAME);
	return access(name, F_OK) == 0;
}

static unsigned each(const char *dir, unsigned depth, void (*fn)(void *arg, const char *path),
		     void *arg)
{
	struct dirent **names;
	unsigned found = 0;
	int n;

	if (is_recording(dir)) {
		fn(arg, dir);
		return 1;
	}
	n = depth == 0 ? 0 : scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[LIBRARY_MAX_PATH];

		if (names[i]->d_name[0] != '.' &&
		    snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name) < (int)sizeof path)
			found += each(path, depth - 1, fn, arg); /* at most two levels */
		free(names[i]);
	}
	if (n > 0)
		free(names);
	return found;
}

unsigned library_each(const char *dir, void (*fn)(void *arg, const char *path), void *arg)
{
	return each(dir, 2, fn, arg);
}

/* ---- files */

static int open_file(const struct recorded *r, const json_t *segment)
{
	struct sl_str name = sl_json_get_str(segment, "file");
	char path[LIBRARY_MAX_PATH + 300];

	/* A journal may come from anywhere: its names stay below the recording. */
	if (!name.p || name.len == 0 || name.len > 255 || memchr(name.p, '/', name.len) ||
	    name.p[0] == '.') {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(path, sizeof path, "%s/%s", r->path, name.p);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

int recorded_check(const struct recorded *r, const json_t *segment)
{
	int fd = open_file(r, segment), rc;
	uint8_t digest[32];
	uint64_t bytes;
	char hex[65];

	if (fd < 0)
		return json_object_get(r->uploaded, sl_json_get_str(segment, "file").p)
			       ? -SL_EUNSUPP
			       : -SL_ENOENT;
	rc = disk_hash(fd, digest, &bytes);
	close(fd);
	if (rc)
		return -SL_ESYS;
	sl_hex_encode(hex, digest, sizeof digest);
	return sl_str_eq(sl_json_get_str(segment, "sha256"), sl_str_c(hex)) ? 0 : -SL_EAUTH;
}

static int write_out(int fd, struct sl_buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = write(fd, b->p + at, b->len - at);

		if (n <= 0)
			return -SL_ESYS;
		at += (size_t)n;
	}
	sl_buf_reset(b);
	return 0;
}

static int unseal(struct sl_str sealed, const struct envelope_key *key, bool *ret_whole)
{
	int fd = memfd_create("segment", MFD_CLOEXEC), rc;
	struct envelope e = {0}; /* wiped also where it was never opened */
	struct sl_buf out;

	if (fd < 0)
		return -SL_ESYS;
	sl_buf_init(&out, 0);
	rc = envelope_open(&e, key, &sealed);
	while (rc == 0 && (rc = envelope_read(&e, &sealed, &out)) == 0)
		rc = write_out(fd, &out);
	*ret_whole = e.ended;
	envelope_wipe(&e);
	sl_buf_free(&out);
	if (rc == -SL_ENOENT)
		return fd;
	close(fd);
	return rc;
}

int recorded_file(const struct recorded *r, const json_t *segment, const struct envelope_key *key,
		  bool *ret_whole)
{
	int fd = open_file(r, segment), rc;
	struct stat st;
	void *p;

	*ret_whole = true;
	if (fd < 0)
		return -SL_ESYS;
	if (!json_is_true(json_object_get(segment, "sealed")))
		return fd;
	if (!key || fstat(fd, &st) < 0 || st.st_size == 0) {
		close(fd);
		return key ? -SL_ESYS : -SL_EUNSUPP;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -SL_ESYS;
	rc = unseal((struct sl_str){p, (size_t)st.st_size}, key, ret_whole);
	(void)munmap(p, (size_t)st.st_size);
	return rc;
}

struct envelope_key *library_key(const char *file)
{
	struct envelope_key *key = NULL;
	char pem[MAX_KEY], err[160];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, pem, sizeof pem);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		fprintf(stderr, "sluice: %s: %s\n", file, strerror(errno));
	else if (envelope_key_private((struct sl_str){pem, (size_t)n}, &key, err) < 0)
		fprintf(stderr, "sluice: %s %s\n", file, err);
	return key;
}
