/*
 * webhooks/spool.c: events as files, "<number>.json": a line of time and key, then the body. One
 * that could not be written as a whole has no such name. The process of a newer generation waits,
 * by a lock, until that of the older one has left the directory.
 */
#include "webhooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { MODE_FILE = 0640 };

static void name_file(const char *dir, uint64_t number, char path[SPOOL_MAX_PATH + 40])
{
	(void)snprintf(path, SPOOL_MAX_PATH + 40, "%s/%016llx.json", dir,
		       (unsigned long long)number);
}

struct spooled spool_make(const struct sl_webhook_event *e, struct sl_buf *text)
{
	struct spooled file = {.number = e->number, .unix_ms = e->unix_ms};

	(void)sl_str_copy(file.key, sizeof file.key, e->key);
	for (char *c = file.key; *c; c++)
		if ((unsigned char)*c <= ' ')
			*c = '_';
	sl_buf_printf(text,
		      "%llu %s\n{\"id\":\"msg_%016llx\",\"type\":", (unsigned long long)e->unix_ms,
		      file.key, (unsigned long long)e->number);
	sl_buf_json(text, e->name);
	sl_buf_printf(text, ",\"unix_ms\":%llu,\"data\":%.*s}\n", (unsigned long long)e->unix_ms,
		      SL_FMT(e->json));
	return file;
}

bool spool_open(struct sl_buf *text, struct spooled *ret_file)
{
	struct sl_str rest = sl_buf_view(text), key = sl_str_split(&rest, '\n');
	struct sl_str time = sl_str_split(&key, ' ');

	if (sl_buf_ok(text) < 0 || !rest.p || sl_str_u64(time, &ret_file->unix_ms) < 0)
		return false;
	(void)sl_str_copy(ret_file->key, sizeof ret_file->key, key);
	sl_buf_drop(text, (size_t)(rest.p - (const char *)text->p));
	return true;
}

static int write_all(int fd, const struct sl_buf *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->p + at, b->len - at);

		if (n == 0 || (n < 0 && errno != EINTR))
			return n < 0 ? errno : ENOSPC;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int spool_write(const char *dir, uint64_t number, const struct sl_buf *text)
{
	char path[SPOOL_MAX_PATH + 40], part[SPOOL_MAX_PATH + 48];
	int fd, rc;

	name_file(dir, number, path);
	(void)snprintf(part, sizeof part, "%s.new", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (fd < 0)
		return errno;
	rc = write_all(fd, text);
	if (close(fd) < 0 && rc == 0) /* where a network's disk says that it is full */
		rc = errno;
	if (rc == 0 && rename(part, path) < 0)
		rc = errno;
	if (rc)
		(void)unlink(part); /* is written over the next time */
	return rc;
}

void spool_remove(const char *dir, uint64_t number)
{
	char path[SPOOL_MAX_PATH + 40];

	name_file(dir, number, path);
	(void)unlink(path); /* stays: it is sent again after a restart, under the same id */
}

bool spool_read(const char *dir, struct spooled *file, struct sl_buf *body)
{
	char path[SPOOL_MAX_PATH + 40];
	ssize_t n = 0;
	uint8_t *p;
	int fd;

	name_file(dir, file->number, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	while ((p = sl_buf_reserve(body, 4096)) && (n = read(fd, p, 4096)) > 0)
		body->len += (size_t)n;
	close(fd);
	return n == 0 && spool_open(body, file);
}

int spool_lock(const char *dir)
{
	char path[SPOOL_MAX_PATH + 8];
	int fd;

	(void)snprintf(path, sizeof path, "%s/.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int is_event(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len == 21 && strcmp(e->d_name + 16, ".json") == 0;
}

void spool_each(const char *dir, void (*fn)(void *arg, const struct spooled *file), void *arg)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_event, alphasort);

	for (int k = 0; k < n; k++) {
		struct spooled file = {.number = strtoull(names[k]->d_name, NULL, 16)};
		struct sl_buf body;

		sl_buf_init(&body, SPOOL_MAX_BODY);
		if (spool_read(dir, &file, &body))
			fn(arg, &file);
		sl_buf_free(&body);
		free(names[k]);
	}
	if (n >= 0)
		free(names);
}
