/*
 * recorder/limits.c: how much may be kept. Old recordings go when their time has come, or when all
 * together are over the quota, oldest first; one that runs is never touched. Little free space
 * stops new recordings first, and those that run only when nearly nothing is left.
 *
 * To look, and to remove, may take as long as the disk likes: a thread does it, round by round.
 */
#include "shelf.h"
#include "writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROBE_NAME ".probe"
enum { PROBE_BYTES = 256 * 1024 }; /* README.md names it */
enum { LOOK_MS = 2000, SCAN_MS = 60000, LAST_RESERVE = 8 };

/* ---- what is there */

struct kept {	    /* a finished recording */
	char *path; /* owned: there may be many, and most are short */
	uint64_t bytes, ended_ms;
};
struct survey {
	struct kept *items;
	size_t n, cap;
	uint64_t bytes; /* of all, running ones too */
};

static void measure(const char *dir, uint64_t *ret_bytes, uint64_t *ret_newest_ms, bool *ret_open)
{
	char path[MAX_PATH_LEN + 300];
	DIR *d = opendir(dir);
	struct stat st;

	*ret_bytes = *ret_newest_ms = 0;
	*ret_open = false;
	for (struct dirent *e; d && (e = readdir(d));) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, OPEN_NAME) == 0)
			*ret_open = true;
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		*ret_bytes += (uint64_t)st.st_blocks * 512;
		if ((uint64_t)st.st_mtime * 1000 > *ret_newest_ms)
			*ret_newest_ms = (uint64_t)st.st_mtime * 1000;
	}
	if (d)
		closedir(d);
}

static void add(struct survey *s, const char *path, uint64_t bytes, uint64_t ended_ms)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct kept *more = realloc(s->items, cap * sizeof *more);

		if (!more)
			return;
		s->items = more;
		s->cap = cap;
	}
	s->items[s->n] = (struct kept){strdup(path), bytes, ended_ms};
	if (s->items[s->n].path)
		s->n++; /* else it is seen the next time */
}

/* Only what has a manifest is ours. */
static bool is_recording(const char *path)
{
	char name[MAX_PATH_LEN + 40];

	(void)snprintf(name, sizeof name, "%s/%s", path, MANIFEST_NAME);
	return access(name, F_OK) == 0;
}

static void survey(struct survey *s, const char *dir, unsigned depth)
{
	char path[MAX_PATH_LEN];
	DIR *d = opendir(dir);
	struct stat st;

	for (struct dirent *e; d && (e = readdir(d));) {
		uint64_t bytes, ended_ms;
		bool open;

		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path ||
		    lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (depth == 0) {
			survey(s, path, 1);
			continue;
		}
		if (!is_recording(path))
			continue;
		measure(path, &bytes, &ended_ms, &open);
		s->bytes += bytes;
		if (!open)
			add(s, path, bytes, ended_ms);
	}
	if (d)
		closedir(d);
}

/* ---- what goes */

static void remove_recording(const struct kept *k, const char *why)
{
	int rc = shelf_remove(k->path);

	if (rc)
		sl_log(SL_LOG_ERROR, "recorder", "%s cannot be removed: %s", k->path, strerror(rc));
	else
		sl_log(SL_LOG_NOTICE, "recorder", "%s is removed: %s", k->path, why);
}

static int by_age(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return x->ended_ms < y->ended_ms ? -1 : x->ended_ms > y->ended_ms;
}

/* One round: filled by the loop, done in the thread, read by the loop */
struct round {
	struct writer *w; /* the loop's */
	const struct recorder_conf *conf;
	bool clears;	/* what is kept is counted, and what is too much goes */
	bool probes;	/* a disk that failed is tried */
	bool has_space; /* left is known */
	bool read_only;
	int error; /* of the probe */
	uint64_t left, used;
};

static void clear(struct round *r)
{
	const struct recorder_conf *conf = r->conf;
	uint64_t now_ms = sl_clock_unix_ns() / SL_NS_PER_MS;
	struct survey s = {0};

	survey(&s, conf->dir.p, 0);
	if (s.n > 0)
		qsort(s.items, s.n, sizeof *s.items, by_age);
	for (size_t i = 0; i < s.n; i++) {
		const struct kept *k = &s.items[i];

		if (conf->upload.url.len > 0 && !upload_is_done(k->path))
			continue; /* the only one that there is */
		if (conf->retention && k->ended_ms + conf->retention < now_ms)
			remove_recording(k, "it was kept as long as it should");
		else if (conf->quota && s.bytes > conf->quota)
			remove_recording(k, "the quota is used up");
		else
			continue;
		s.bytes -= k->bytes;
	}
	for (size_t i = 0; i < s.n; i++)
		free(s.items[i].path);
	free(s.items);
	r->used = s.bytes;
}

/* As much as a recording needs to be more than its head, to the disk itself. What recordings that
 * still run may need next is not touched: the trial takes no more than half of what is left. 0 or
 * errno */
static int probe(const struct round *r)
{
	const char *dir = r->conf->dir.p;
	char path[MAX_PATH_LEN];
	int fd, rc = disk_make_dir(dir);

	if (rc == 0 && r->has_space && r->left < 2 * PROBE_BYTES)
		rc = r->read_only ? EROFS : ENOSPC;
	if (rc)
		return rc;
	(void)snprintf(path, sizeof path, "%s/" PROBE_NAME, dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	rc = posix_fallocate(fd, 0, PROBE_BYTES);
	if (rc == 0 && pwrite(fd, "\n", 1, 0) != 1)
		rc = errno;
	if (rc == 0 && fsync(fd) < 0)
		rc = errno;
	close(fd);
	if (unlink(path) < 0 && rc == 0)
		rc = errno;
	return rc;
}

static void run(void *arg)
{
	struct round *r = arg;
	struct statvfs fs;

	if (r->clears)
		clear(r);
	/* It may have vanished, and comes back with the next file. */
	r->has_space = statvfs(r->conf->dir.p, &fs) == 0;
	if (r->has_space) {
		r->left = (uint64_t)fs.f_bavail * fs.f_frsize;
		r->read_only = fs.f_flag & ST_RDONLY;
	}
	if (r->probes)
		r->error = probe(r);
}

/* ---- what follows from it */

static void stop_all(struct writer *w)
{
	for (struct wroom *r = w->rooms, *next; r; r = next) {
		next = r->next;
		if (r->recording)
			recording_stop(r->recording, ENOSPC);
		room_release(r);
	}
}

/* Why no new recordings are begun; NULL: they are */
static const char *why_not(const struct round *r)
{
	const struct writer *w = r->w;

	if (r->read_only)
		return disk_sentence(EROFS);
	if (r->left < w->conf->min_free || (w->conf->quota && w->used_bytes > w->conf->quota))
		return "there is no space left for recordings";
	return w->disk_error ? disk_sentence(w->disk_error) : NULL;
}

static void apply(const struct round *r)
{
	struct writer *w = r->w;
	const char *before = w->refuses;

	if (r->clears)
		w->used_bytes = r->used;
	if (!r->has_space)
		return;
	if (r->probes)
		w->disk_error = r->error;
	w->refuses = why_not(r);
	if (w->refuses && (!before || strcmp(w->refuses, before) != 0))
		sl_log(SL_LOG_ERROR, "recorder",
		       "%s: %llu MiB are left in %.*s, and no new ones are begun", w->refuses,
		       (unsigned long long)(r->left >> 20), SL_FMT(w->conf->dir));
	else if (!w->refuses && before)
		sl_log(SL_LOG_NOTICE, "recorder", "%.*s takes recordings again",
		       SL_FMT(w->conf->dir));
	if (r->left < w->conf->min_free / LAST_RESERVE)
		stop_all(w);
}

static void on_done(void *arg, bool done)
{
	struct round *r = arg;

	r->w->looks = false;
	if (done)
		apply(r);
	if (done && !r->w->refuses && !r->w->draining)
		rooms_resume(r->w);
	free(r);
}

void limits_tick(struct writer *w)
{
	uint64_t now_ms = sl_loop_ms(w->w->loop);
	struct round *r;

	if (w->looks || (w->limits_at_ms && now_ms < w->limits_at_ms + LOOK_MS))
		return;
	r = calloc(1, sizeof *r);
	if (!r)
		return; /* the next tick looks */
	r->w = w;
	r->conf = w->conf;
	r->probes = w->disk_error != 0;
	r->clears = (w->conf->retention || w->conf->quota) &&
		    (w->limits_at_ms == 0 || now_ms / SCAN_MS != w->limits_at_ms / SCAN_MS);
	if (work_do(w->work, run, on_done, r) < 0) {
		free(r);
		return;
	}
	w->looks = true;
	w->limits_at_ms = now_ms;
}

void limits_begin(struct writer *w)
{
	struct round r = {.w = w, .conf = w->conf};

	run(&r);
	apply(&r);
}
