/*
 * webhooks/queue.c: what waits for one receiver.
 *
 * Each event is a file in the spool, "<number>.json", until the receiver has taken it (2xx), said
 * that it wants no more (410), or it is too old; so neither a crash nor a receiver that is away for
 * a night loses any, and after a crash one may come twice, under the same id. A thread sends them.
 * Events of one key keep their order: while one of them waits for its next attempt, so do those
 * behind it. A receiver that does not answer, or not well, is left alone as a whole, longer each
 * time; what it refuses makes its key wait alone. The process of a newer generation waits, by a
 * lock on the spool, until that of the older one has left it.
 */
#include "webhooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sluice/crypto.h>
#include <sluice/rate.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_PATH_LEN = 1024,
	MAX_BODY = 1 << 17,
	KEY_LEN = 64,
	FIRST_WAIT_MS = 1000,
	LONGEST_WAIT_MS = 300000,
	MODE_DIR = 0750,
	MODE_FILE = 0640,
	LOCK_WAIT_MS = 100,
};

struct item {
	struct item *next;
	uint64_t number, unix_ms, due_ms;
	unsigned n_failed;
	char key[KEY_LEN];
};

struct queue {
	const struct webhooks_conf *conf;
	const struct hook_conf *hook;
	char dir[MAX_PATH_LEN];
	pthread_t thread;
	int lock_fd;
	bool runs, quit;      /* quit: atomic */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct item *first, *last;
	uint64_t n_items, quiet_until_ms;
	unsigned n_failed; /* in a row, because of the receiver as a whole */
	struct queue_counts counts;
	char complaint[300];
	bool complained;
};

static uint64_t now_ms(void)
{
	return sl_clock_ns() / SL_NS_PER_MS;
}

static uint64_t unix_ms(void)
{
	return sl_clock_unix_ns() / SL_NS_PER_MS;
}

/* ---- the spool: a line of time and key, then the body */

static void name_file(const struct queue *q, uint64_t number, char path[MAX_PATH_LEN + 40])
{
	(void)snprintf(path, MAX_PATH_LEN + 40, "%s/%016llx.json", q->dir,
		       (unsigned long long)number);
}

static int write_file(const struct queue *q, uint64_t number, const struct sl_buf *b)
{
	char path[MAX_PATH_LEN + 40], part[MAX_PATH_LEN + 48];
	int fd;
	bool ok;

	name_file(q, number, path);
	(void)snprintf(part, sizeof part, "%s.new", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (fd < 0)
		return -SL_ESYS;
	ok = write(fd, b->p, b->len) == (ssize_t)b->len;
	close(fd);
	if (ok && rename(part, path) == 0)
		return 0;
	(void)unlink(part);
	return -SL_ESYS;
}

static void remove_file(const struct queue *q, uint64_t number)
{
	char path[MAX_PATH_LEN + 40];

	name_file(q, number, path);
	(void)unlink(path); /* stays: it is sent again after a restart, under the same id */
}

/* false: it cannot be read */
static bool read_file(const struct queue *q, struct item *i, struct sl_buf *body)
{
	char path[MAX_PATH_LEN + 40];
	struct sl_str rest, time, key;
	ssize_t n = 0;
	uint8_t *p;
	int fd;

	name_file(q, i->number, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	while ((p = sl_buf_reserve(body, 4096)) && (n = read(fd, p, 4096)) > 0)
		body->len += (size_t)n;
	close(fd);
	rest = sl_buf_view(body);
	key = sl_str_split(&rest, '\n');
	time = sl_str_split(&key, ' ');
	if (n != 0 || sl_buf_ok(body) < 0 || !rest.p || sl_str_u64(time, &i->unix_ms) < 0)
		return false;
	(void)sl_str_copy(i->key, sizeof i->key, key);
	sl_buf_drop(body, (size_t)(rest.p - (const char *)body->p));
	return true;
}

/* ---- items, under the lock */

/* By number; false: it is in already */
static bool insert(struct queue *q, struct item *i)
{
	struct item **link = &q->first;

	if (q->last && q->last->number < i->number)
		link = &q->last->next;
	while (*link && (*link)->number < i->number)
		link = &(*link)->next;
	if (*link && (*link)->number == i->number)
		return false;
	i->next = *link;
	*link = i;
	if (!i->next)
		q->last = i;
	q->n_items++;
	return true;
}

static void drop(struct queue *q, struct item *i)
{
	struct item **link = &q->first, *before = NULL;

	while (*link != i) {
		before = *link;
		link = &before->next;
	}
	*link = i->next;
	if (!i->next)
		q->last = before;
	q->n_items--;
	remove_file(q, i->number);
	free(i);
}

static bool is_first_of_key(const struct queue *q, const struct item *i)
{
	const struct item *k = q->first;

	while (k != i && strcmp(k->key, i->key) != 0)
		k = k->next;
	return k == i;
}

static struct item *next_item(const struct queue *q, uint64_t now, uint64_t *ret_wake_ms)
{
	*ret_wake_ms = UINT64_MAX;
	for (struct item *i = q->first; i; i = i->next) {
		uint64_t due = i->due_ms > q->quiet_until_ms ? i->due_ms : q->quiet_until_ms;

		if (!is_first_of_key(q, i))
			continue;
		if (due <= now)
			return i;
		if (due < *ret_wake_ms)
			*ret_wake_ms = due;
	}
	return NULL;
}

static void complain(struct queue *q, const char *what, const char *why)
{
	(void)snprintf(q->complaint, sizeof q->complaint, "%.100s: %.50s%.140s", q->hook->url.p,
		       what, why);
	q->complained = true;
}

/* The receiver as a whole is not well, or this event is not wanted now. */
static void put_off(struct queue *q, struct item *i, const struct post_answer *a, uint64_t now)
{
	bool whole = a->status == 0 || a->status >= 500 || a->status == 429;
	unsigned *n_failed = whole ? &q->n_failed : &i->n_failed;
	uint64_t wait = sl_backoff_ms((*n_failed)++, FIRST_WAIT_MS, LONGEST_WAIT_MS);

	wait = wait > a->after_ms ? wait : a->after_ms;
	i->due_ms = now + wait;
	if (whole)
		q->quiet_until_ms = now + wait;
	q->counts.failures++;
	complain(q, "", a->why);
}

static void settle(struct queue *q, struct item *i, const struct post_answer *a)
{
	if (a->status / 100 == 2) {
		q->n_failed = 0;
		q->counts.delivered++;
		drop(q, i);
	} else if (a->status == 410) {
		q->counts.dropped++;
		drop(q, i);
	} else if (unix_ms() > i->unix_ms + q->conf->max_age) {
		q->counts.dropped++;
		complain(q, "an event is given up, it is too old; ", a->why);
		drop(q, i);
	} else {
		put_off(q, i, a, now_ms());
	}
}

/* ---- the thread */

static bool is_over(const struct queue *q)
{
	return __atomic_load_n(&q->quit, __ATOMIC_RELAXED);
}

static void wait_until(struct queue *q, uint64_t wake_ms)
{
	uint64_t ns = wake_ms * SL_NS_PER_MS;
	struct timespec until = {(time_t)(ns / SL_NS_PER_S), (long)(ns % SL_NS_PER_S)};

	if (wake_ms == UINT64_MAX)
		(void)pthread_cond_wait(&q->wake, &q->lock);
	else
		(void)pthread_cond_timedwait(&q->wake, &q->lock, &until);
}

static int is_event(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len == 21 && strcmp(e->d_name + 16, ".json") == 0;
}

/* What an earlier process has left, in its order */
static void load(struct queue *q)
{
	struct dirent **names;
	int n = scandir(q->dir, &names, is_event, alphasort);
	struct sl_buf body;

	for (int k = 0; k < n; k++) {
		struct item *i = calloc(1, sizeof *i);

		sl_buf_init(&body, MAX_BODY);
		if (i)
			i->number = strtoull(names[k]->d_name, NULL, 16);
		if (!i || q->n_items >= (uint64_t)q->conf->queue || !read_file(q, i, &body) ||
		    !insert(q, i))
			free(i);
		sl_buf_free(&body);
		free(names[k]);
	}
	if (n >= 0)
		free(names);
}

/* The spool is this process's from here on. */
static void take_over(struct queue *q)
{
	char path[MAX_PATH_LEN + 8];

	(void)snprintf(path, sizeof path, "%s/.lock", q->dir);
	q->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	while (!is_over(q) && flock(q->lock_fd, LOCK_EX | LOCK_NB) < 0)
		wait_until(q, now_ms() + LOCK_WAIT_MS);
	load(q);
}

/* Nobody else takes items out: i stays while the lock is not held. */
static void send_one(struct queue *q, struct post *p, struct item *i)
{
	struct post_answer a = {.status = 410}; /* what cannot be read cannot be sent */
	struct sl_buf body;
	char id[32];

	sl_buf_init(&body, MAX_BODY);
	(void)snprintf(id, sizeof id, "msg_%016llx", (unsigned long long)i->number);
	(void)pthread_mutex_unlock(&q->lock);
	if (read_file(q, i, &body))
		post_send(p, sl_str_c(id), sl_buf_view(&body), &a);
	(void)pthread_mutex_lock(&q->lock);
	if (!is_over(q) || a.status > 0)
		settle(q, i, &a);
	sl_buf_free(&body);
}

static void *run(void *arg)
{
	struct queue *q = arg;
	struct post *p;
	uint64_t wake_ms;

	if (post_open(q->hook, &q->quit, &p) < 0)
		return NULL;
	(void)pthread_mutex_lock(&q->lock);
	take_over(q);
	while (!is_over(q)) {
		struct item *i = next_item(q, now_ms(), &wake_ms);

		if (i)
			send_one(q, p, i);
		else
			wait_until(q, wake_ms);
	}
	(void)pthread_mutex_unlock(&q->lock);
	post_close(p);
	sl_crypto_thread_end();
	return NULL;
}

/* ---- the loop's side */

static void write_body(const struct sl_webhook_event *e, uint64_t number, struct sl_buf *b)
{
	char key[KEY_LEN];

	(void)sl_str_copy(key, sizeof key, e->key);
	for (char *c = key; *c; c++)
		if ((unsigned char)*c <= ' ')
			*c = '_';
	sl_buf_printf(b,
		      "%llu %s\n{\"id\":\"msg_%016llx\",\"type\":", (unsigned long long)e->unix_ms,
		      key, (unsigned long long)number);
	sl_buf_json(b, e->name);
	sl_buf_printf(b, ",\"unix_ms\":%llu,\"data\":%.*s}\n", (unsigned long long)e->unix_ms,
		      SL_FMT(e->json));
}

static struct item *make_item(struct queue *q, const struct sl_webhook_event *e)
{
	struct item *i = calloc(1, sizeof *i);
	struct sl_buf b;
	int rc;

	if (!i)
		return NULL;
	sl_buf_init(&b, MAX_BODY);
	i->number = e->number;
	i->unix_ms = e->unix_ms;
	write_body(e, i->number, &b);
	rc = sl_buf_ok(&b) < 0 ? -SL_ENOMEM : write_file(q, i->number, &b);
	sl_buf_free(&b);
	if (rc == 0) {
		(void)sl_str_copy(i->key, sizeof i->key, e->key);
		return i;
	}
	free(i);
	return NULL;
}

static bool has(const struct queue *q, uint64_t number)
{
	const struct item *i = q->first;

	while (i && i->number != number)
		i = i->next;
	return i != NULL;
}

static void put(struct queue *q, const struct sl_webhook_event *e)
{
	struct item *i = NULL;

	if (q->n_items < (uint64_t)q->conf->queue)
		i = make_item(q, e);
	if (i && insert(q, i)) {
		(void)pthread_cond_signal(&q->wake);
	} else {
		q->counts.dropped++;
		complain(q, "an event is given up: ",
			 q->n_items < (uint64_t)q->conf->queue ? "the spool cannot be written"
							       : "too many wait");
	}
}

void queue_put(struct queue *q, const struct sl_webhook_event *e)
{
	(void)pthread_mutex_lock(&q->lock);
	if (!has(q, e->number)) /* else it is sent again, because our word was lost */
		put(q, e);
	(void)pthread_mutex_unlock(&q->lock);
}

void queue_count(struct queue *q, struct queue_counts *sum)
{
	(void)pthread_mutex_lock(&q->lock);
	sum->delivered += q->counts.delivered;
	sum->failures += q->counts.failures;
	sum->dropped += q->counts.dropped;
	sum->waiting += q->n_items;
	(void)pthread_mutex_unlock(&q->lock);
}

bool queue_complaint(struct queue *q, char *dst, size_t cap)
{
	bool is;

	(void)pthread_mutex_lock(&q->lock);
	is = q->complained;
	q->complained = false;
	if (is)
		(void)sl_str_copy(dst, cap, sl_str_c(q->complaint));
	(void)pthread_mutex_unlock(&q->lock);
	return is;
}

/* ---- life */

/* A directory for each URL: what waits for one receiver is not another's. */
static int make_dir(struct queue *q)
{
	uint8_t digest[32];
	char hex[17];

	sl_sha256(digest, q->hook->url.p, q->hook->url.len);
	sl_hex_encode(hex, digest, 8);
	if (snprintf(q->dir, sizeof q->dir, "%.*s/%s", SL_FMT(q->conf->spool), hex) >=
	    (int)sizeof q->dir)
		return -SL_ELIMIT;
	if (mkdir(q->conf->spool.p, MODE_DIR) < 0 && errno != EEXIST)
		return -SL_ESYS;
	if (mkdir(q->dir, MODE_DIR) < 0 && errno != EEXIST)
		return -SL_ESYS;
	return access(q->dir, W_OK | X_OK) < 0 ? -SL_ESYS : 0;
}

static int start(struct queue *q)
{
	pthread_condattr_t attr;
	sigset_t all, before;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&q->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)sigfillset(&all); /* signals are the loop's */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	q->runs = pthread_create(&q->thread, NULL, run, q) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return q->runs ? 0 : -SL_ESYS;
}

int queue_open(const struct webhooks_conf *conf, const struct hook_conf *hook,
	       struct queue **ret_queue)
{
	struct queue *q = calloc(1, sizeof *q);
	int rc;

	if (!q)
		return -SL_ENOMEM;
	q->conf = conf;
	q->hook = hook;
	q->lock_fd = -1;
	rc = make_dir(q);
	if (rc < 0) {
		free(q);
		return rc;
	}
	rc = start(q);
	if (rc < 0) {
		queue_close(q);
		return rc;
	}
	*ret_queue = q;
	return 0;
}

void queue_close(struct queue *q)
{
	if (!q)
		return;
	__atomic_store_n(&q->quit, true, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&q->lock);
	(void)pthread_cond_signal(&q->wake);
	(void)pthread_mutex_unlock(&q->lock);
	if (q->runs)
		(void)pthread_join(q->thread, NULL);
	for (struct item *i = q->first, *next; i; i = next) {
		next = i->next;
		free(i); /* its file stays */
	}
	if (q->lock_fd >= 0)
		close(q->lock_fd);
	(void)pthread_cond_destroy(&q->wake);
	(void)pthread_mutex_destroy(&q->lock);
	free(q);
}
