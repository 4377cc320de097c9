/*
 * recorder/upload.c: see upload.h.
 *
 * A job is a recording (delivery.h). Threads take those that are due; a recording is one thread's
 * at a time. A server that is not well makes all wait, longer each time; what it refuses makes its
 * recording wait alone. What is not finished stands in the directories, so that a full list, or the
 * end of this process, loses nothing: the directory is looked through at the start and each minute.
 */
#include "upload.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "delivery.h"
#include "manifest.h"
#include <sluice/crypto.h>
#include <sluice/rate.h>

enum {
	MAX_JOBS = 4096,
	MAX_NEWS = 256,
	FIRST_WAIT_MS = 1000,
	LONGEST_WAIT_MS = 300000,
	BUSY_MS = 2000, /* another process is at it */
	SCAN_MS = 60000,
};

struct job {
	struct job *next;
	struct delivery *d;
	uint64_t due_ms; /* UINT64_MAX: when it is touched */
	unsigned n_failed;
	bool busy, touched;
};

struct news {
	struct news *next;
	struct upload_told told;
};

struct upload {
	const struct upload_conf *conf;
	char root[SHELF_PATH];
	pthread_t threads[32];
	unsigned n_threads;
	bool quit; /* atomic */
	struct upload_counts counts, counted;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct job *jobs;
	unsigned n_jobs, n_news, n_failed; /* failed: in a row, because of the server */
	uint64_t quiet_until_ms, scan_at_ms;
	struct news *first, **tail;
};

static uint64_t now_ms(void)
{
	return sl_clock_ns() / SL_NS_PER_MS;
}

/* ---- jobs, under the lock */

static struct job *find_job(struct upload *u, const char *dir)
{
	struct job *j = u->jobs;

	while (j && strcmp(j->d->dir, dir) != 0)
		j = j->next;
	return j;
}

static struct job *add_job(struct upload *u, const char *dir)
{
	struct job *j = u->n_jobs < MAX_JOBS ? calloc(1, sizeof *j) : NULL;

	if (!j)
		return NULL;
	if (delivery_open(u->conf, u->root, dir, &u->counts, &j->d) < 0) {
		free(j);
		return NULL;
	}
	j->next = u->jobs;
	u->jobs = j;
	u->n_jobs++;
	return j;
}

static void remove_job(struct upload *u, struct job *j)
{
	struct job **link = &u->jobs;

	while (*link != j)
		link = &(*link)->next;
	*link = j->next;
	u->n_jobs--;
	delivery_free(j->d);
	free(j);
}

/* The one that waits longest of those that are due; else when the next one is */
static struct job *next_job(struct upload *u, uint64_t now, uint64_t *ret_wake_ms)
{
	struct job *best = NULL;

	*ret_wake_ms = u->scan_at_ms;
	for (struct job *j = u->jobs; j; j = j->next) {
		uint64_t due = j->due_ms > u->quiet_until_ms ? j->due_ms : u->quiet_until_ms;

		if (j->busy || j->due_ms == UINT64_MAX)
			continue;
		if (due < *ret_wake_ms)
			*ret_wake_ms = due;
		if (due <= now && (!best || j->due_ms < best->due_ms))
			best = j;
	}
	return best;
}

static void tell(struct upload *u, const struct job *j, enum upload_news news)
{
	struct news *n = u->n_news < MAX_NEWS ? calloc(1, sizeof *n) : NULL;

	if (!n)
		return;
	n->told.news = news;
	(void)sl_str_copy(n->told.dir, sizeof n->told.dir, sl_str_c(j->d->dir));
	(void)sl_str_copy(n->told.why, sizeof n->told.why, sl_str_c(j->d->why));
	(void)sl_str_copy(n->told.room, sizeof n->told.room, sl_str_c(j->d->room));
	*u->tail = n;
	u->tail = &n->next;
	u->n_news++;
}

static void put_off(struct upload *u, struct job *j, int rc, uint64_t now)
{
	unsigned *n_failed = rc == -SL_EAGAIN ? &u->n_failed : &j->n_failed;
	uint64_t wait = sl_backoff_ms((*n_failed)++, FIRST_WAIT_MS, LONGEST_WAIT_MS);

	if (wait < j->d->after_ms)
		wait = j->d->after_ms;
	if (rc == -SL_EAGAIN)
		u->quiet_until_ms = now + wait;
	j->due_ms = now + wait;
	tell(u, j, UPLOAD_FAILED);
}

static void settle(struct upload *u, struct job *j, int rc, bool finished)
{
	uint64_t now = now_ms();

	j->busy = false;
	if (rc == 0 || j->d->n_sent > 0) /* it works, by and large */
		u->n_failed = j->n_failed = 0;
	if (finished || rc == -SL_ENOENT) {
		if (finished)
			tell(u, j, UPLOAD_DONE);
		remove_job(u, j);
	} else if (rc == -SL_EFULL) {
		j->due_ms = now + BUSY_MS;
	} else if (rc < 0) {
		put_off(u, j, rc, now);
	} else {
		j->due_ms = j->touched ? now : UINT64_MAX;
	}
}

/* ---- what an earlier process has left */

static bool has(const char *dir, const char *name)
{
	char path[SHELF_PATH + 40];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

bool upload_is_done(const char *dir)
{
	return has(dir, UPLOADED_NAME);
}

static void scan(struct upload *u, const char *dir, unsigned depth)
{
	char path[SHELF_PATH];
	struct stat st;
	DIR *d = opendir(dir); /* a full list: the next scan finds it */

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path ||
		    lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (depth == 0) {
			scan(u, path, 1);
			continue;
		}
		if (!has(path, MANIFEST_NAME) || has(path, UPLOADED_NAME))
			continue;
		upload_touch(u, path);
	}
	if (d)
		closedir(d);
}

/* ---- the threads */

static void wait_until(struct upload *u, uint64_t wake_ms)
{
	uint64_t ns = wake_ms * SL_NS_PER_MS;
	struct timespec until = {(time_t)(ns / SL_NS_PER_S), (long)(ns % SL_NS_PER_S)};

	(void)pthread_cond_timedwait(&u->wake, &u->lock, &until);
}

static bool is_over(const struct upload *u)
{
	return __atomic_load_n(&u->quit, __ATOMIC_RELAXED);
}

static void work_once(struct upload *u, struct s3 *s)
{
	uint64_t wake_ms, now = now_ms();
	bool finished = false;
	struct job *j;
	int rc;

	if (now >= u->scan_at_ms) {
		u->scan_at_ms = now + SCAN_MS;
		(void)pthread_mutex_unlock(&u->lock);
		scan(u, u->root, 0);
		(void)pthread_mutex_lock(&u->lock);
	}
	j = next_job(u, now, &wake_ms);
	if (!j) {
		wait_until(u, wake_ms);
		return;
	}
	j->busy = true;
	j->touched = false;
	(void)pthread_mutex_unlock(&u->lock);
	rc = delivery_pass(j->d, s, &finished);
	(void)pthread_mutex_lock(&u->lock);
	if (is_over(u))
		j->busy = false;
	else
		settle(u, j, rc, finished); /* and j may be gone */
}

static void *run(void *arg)
{
	struct upload *u = arg;
	struct s3 *s;

	if (s3_open(u->conf, &u->quit, &s) < 0)
		return NULL; /* out of memory: the other threads go on */
	(void)pthread_mutex_lock(&u->lock);
	while (!is_over(u))
		work_once(u, s);
	(void)pthread_mutex_unlock(&u->lock);
	s3_close(s);
	sl_crypto_thread_end();
	return NULL;
}

/* ---- the loop's side */

void upload_touch(struct upload *u, const char *dir)
{
	struct job *j;

	if (!u)
		return;
	(void)pthread_mutex_lock(&u->lock);
	j = find_job(u, dir);
	if (!j)
		j = add_job(u, dir);
	if (j) {
		j->touched = true;
		if (!j->busy && j->due_ms == UINT64_MAX)
			j->due_ms = 0;
		(void)pthread_cond_signal(&u->wake);
	}
	(void)pthread_mutex_unlock(&u->lock);
}

static uint64_t more(const uint64_t *now, uint64_t *before)
{
	uint64_t v = __atomic_load_n(now, __ATOMIC_RELAXED), n = v - *before;

	*before = v;
	return n;
}

void upload_count(struct upload *u, const struct sl_meter *m)
{
	sl_count_n(&m[M_uploads], more(&u->counts.files, &u->counted.files));
	sl_count_n(&m[M_upload_bytes], more(&u->counts.bytes, &u->counted.bytes));
	sl_count_n(&m[M_upload_errors], more(&u->counts.errors, &u->counted.errors));
	sl_count_n(&m[M_upload_mismatches], more(&u->counts.mismatches, &u->counted.mismatches));
	(void)pthread_mutex_lock(&u->lock);
	sl_gauge_set(&m[M_upload_waiting], u->n_jobs);
	(void)pthread_mutex_unlock(&u->lock);
}

bool upload_take(struct upload *u, struct upload_told *ret_told)
{
	struct news *n;

	(void)pthread_mutex_lock(&u->lock);
	n = u->first;
	if (n) {
		u->first = n->next;
		u->tail = u->first ? u->tail : &u->first;
		u->n_news--;
	}
	(void)pthread_mutex_unlock(&u->lock);
	if (!n)
		return false;
	*ret_told = n->told;
	free(n);
	return true;
}

static int init_sync(struct upload *u)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&u->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	return pthread_mutex_init(&u->lock, NULL) == 0 ? 0 : -SL_ESYS;
}

static int start_threads(struct upload *u)
{
	sigset_t all, before;

	(void)sigfillset(&all); /* signals are the loop's */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (u->n_threads < (unsigned)u->conf->parallel &&
	       pthread_create(&u->threads[u->n_threads], NULL, run, u) == 0)
		u->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return u->n_threads > 0 ? 0 : -SL_ESYS;
}

int upload_start(const struct upload_conf *conf, const char *dir, struct upload **ret_upload)
{
	struct upload *u;
	int rc;

	*ret_upload = NULL;
	if (conf->url.len == 0)
		return 0;
	u = calloc(1, sizeof *u);
	if (!u)
		return -SL_ENOMEM;
	u->conf = conf;
	u->tail = &u->first;
	(void)sl_str_copy(u->root, sizeof u->root, sl_str_c(dir));
	fetch_init();
	rc = init_sync(u);
	if (rc == 0)
		rc = start_threads(u);
	if (rc < 0) {
		upload_stop(u);
		return rc;
	}
	*ret_upload = u;
	return 0;
}

void upload_stop(struct upload *u)
{
	struct upload_told told;

	if (!u)
		return;
	__atomic_store_n(&u->quit, true, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&u->lock);
	(void)pthread_cond_broadcast(&u->wake);
	(void)pthread_mutex_unlock(&u->lock);
	for (unsigned i = 0; i < u->n_threads; i++)
		(void)pthread_join(u->threads[i], NULL);
	while (u->jobs)
		remove_job(u, u->jobs);
	while (upload_take(u, &told))
		;
	(void)pthread_cond_destroy(&u->wake);
	(void)pthread_mutex_destroy(&u->lock);
	free(u);
}
