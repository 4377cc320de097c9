/*
 * recorder/compose_plan.c: the directory TO.parts, which outlives an interrupted command.
 *
 * A part is written under another name and renamed when it is whole; then the plan says so. So the
 * plan's number is right whatever happens: a part that it does not know is made again.
 */
#include "compose.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PLAN = 4096, MAKING = 1 /* raised when the same options give another film */ };
#define PLAN_NAME "plan.json"

void plan_part(const struct plan *p, unsigned part, const char *suffix, char *dst, size_t dst_len)
{
	(void)snprintf(dst, dst_len, "%s/%06u.mkv%s", p->dir, part, suffix);
}

static void plan_name(const struct plan *p, const char *suffix, char dst[LIBRARY_MAX_PATH + 40])
{
	(void)snprintf(dst, LIBRARY_MAX_PATH + 40, "%s/" PLAN_NAME "%s", p->dir, suffix);
}

/* The journal's chain stands for all that was recorded. */
static void name_work(struct plan *p, const struct compose_opts *o, const struct recorded *r)
{
	const json_t *journal = json_object_get(r->manifest, "journal");
	uint8_t digest[32];
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "%d %d %u %u %u %s %llu ", MAKING, o->layout, o->width, o->height, o->fps,
		      o->codec ? o->codec : strrchr(o->to, '.'), (unsigned long long)r->n_lines);
	sl_buf_str(&b, sl_json_get_str(r->manifest, "id"));
	sl_buf_str(&b, sl_json_get_str(journal, "chain"));
	sl_sha256(digest, b.p, b.len);
	sl_hex_encode(p->of, digest, sizeof digest);
	sl_buf_free(&b);
}

/* ---- what is there */

static void read_speaker(struct speaker *s, const json_t *o)
{
	*s = NO_SPEAKER;
	if (!o)
		return;
	s->person = (int)json_integer_value(json_object_get(o, "person"));
	s->next = (int)json_integer_value(json_object_get(o, "next"));
	s->since_us = json_integer_value(json_object_get(o, "since_us"));
	s->next_since_us = json_integer_value(json_object_get(o, "next_since_us"));
}

/* How many parts are there of this work; 0 also when the plan cannot be read */
static void read_plan(struct plan *p)
{
	char name[LIBRARY_MAX_PATH + 40], text[MAX_PLAN];
	json_t *o;
	ssize_t n;
	int fd;

	plan_name(p, "", name);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	o = n > 0 ? sl_json_parse((struct sl_str){text, (size_t)n}, 4, NULL, 0) : NULL;
	if (sl_str_eq(sl_json_get_str(o, "of"), sl_str_c(p->of))) {
		p->n_done = (unsigned)json_integer_value(json_object_get(o, "done"));
		read_speaker(&p->speaker, json_object_get(o, "speaker"));
	}
	json_decref(o);
	for (unsigned i = 0; i < p->n_done; i++) {
		plan_part(p, i, "", name, sizeof name);
		if (access(name, R_OK) < 0) {
			p->n_done = 0; /* somebody tidied up */
			p->speaker = NO_SPEAKER;
		}
	}
}

/* Is it a name of ours? What else lies there is not removed. */
static bool is_ours(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return (digits >= 6 && strncmp(name + digits, ".mkv", 4) == 0) ||
	       strncmp(name, PLAN_NAME, sizeof PLAN_NAME - 1) == 0 || strcmp(name, "film") == 0;
}

static void remove_files(const struct plan *p)
{
	DIR *d = opendir(p->dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_ours(e->d_name))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

int plan_open(struct plan *p, const struct compose_opts *o, const struct recorded *r)
{
	*p = (struct plan){.lock = -1, .speaker = NO_SPEAKER};
	if (snprintf(p->dir, sizeof p->dir, "%s.parts", o->to) >= (int)sizeof p->dir)
		return -SL_EINVAL;
	if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
		return -SL_ESYS;
	p->lock = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p->lock < 0)
		return -SL_ESYS;
	if (flock(p->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -SL_EAGAIN : -SL_ESYS;
	name_work(p, o, r);
	read_plan(p);
	if (p->n_done == 0)
		remove_files(p);
	return 0;
}

int plan_save(struct plan *p)
{
	char name[LIBRARY_MAX_PATH + 40], temporary[LIBRARY_MAX_PATH + 40];
	const struct speaker *s = &p->speaker;
	FILE *f;
	int rc;

	plan_name(p, "", name);
	plan_name(p, ".new", temporary);
	f = fopen(temporary, "we");
	if (!f)
		return -SL_ESYS;
	rc = fprintf(f,
		     "{\"of\":\"%s\",\"done\":%u,\"speaker\":{\"person\":%d,\"next\":%d,"
		     "\"since_us\":%lld,\"next_since_us\":%lld}}\n",
		     p->of, p->n_done, s->person, s->next, (long long)s->since_us,
		     (long long)s->next_since_us);
	if (fclose(f) != 0 || rc < 0 || rename(temporary, name) < 0)
		return -SL_ESYS;
	return 0;
}

void plan_remove(struct plan *p)
{
	remove_files(p);
	(void)rmdir(p->dir); /* something of somebody else's is in it: it stays */
	plan_close(p);
}

void plan_close(struct plan *p)
{
	if (p->lock >= 0)
		close(p->lock);
	p->lock = -1;
}
