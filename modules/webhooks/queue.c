/*
 * webhooks/queue.c: what waits for one receiver.
 *
 * Each event is a file in the spool (spool.c) until the receiver has taken it (2xx), said that it
 * wants no more (410), or it is too old; so neither a crash nor a receiver that is away for a night
 * loses any, and after a crash one may come twice, under the same id. While the disk takes no
 * files, and an event may be the one that says so, they wait in memory, up to HELD_MAX. A thread
 * sends them. Events of one key keep their order: while one of them waits for its next attempt, so
 * do those behind it. A receiver that does not answer, or not well, is left alone as a whole,
 * longer each time; what it refuses makes its key wait alone. The process of a newer generation
 * waits, by a lock on the spool, until that of the older one has left it.
 */
#include "webhooks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sluice/crypto.h>
#include <sluice/rate.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HELD_MAX = 1 << 20, /* bytes of a receiver's events that the disk does not take */
	FIRST_WAIT_MS = 1000,
	LONGEST_WAIT_MS = 300000,
	LOCK_WAIT_MS = 100,
};

struct item {
	struct item *next;
	struct spooled file;
	struct sl_buf held; /* what would be in it; empty: it is */
	uint64_t due_ms;
	unsigned n_failed;
};

struct queue {
	const struct webhooks_conf *conf;
	const struct hook_conf *hook;
	char dir[SPOOL_MAX_PATH];
	pthread_t thread;
	int lock_fd;
	bool runs, quit;      /* quit: atomic */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct item *first, *last;
	uint64_t n_items, quiet_until_ms;
	size_t n_held;	   /* bytes */
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

/* ---- items, under the lock */

/* By number; false: it is in already */
static bool insert(struct queue *q, struct item *i)
{
	struct item **link = &q->first;

	if (q->last && q->last->file.number < i->file.number)
		link = &q->last->next;
	while (*link && (*link)->file.number < i->file.number)
		link = &(*link)->next;
	if (*link && (*link)->file.number == i->file.number)
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
	q->n_held -= i->held.len;
	spool_remove(q->dir, i->file.number);
	sl_buf_free(&i->held);
	free(i);
}

static bool is_first_of_key(const struct queue *q, const struct item *i)
{
	const struct item *k = q->first;

	while (k != i && strcmp(k->file.key, i->file.key) != 0)
		k = k->next;
	return k == i;
}

static struct item *next_item(const struct queue *q, uint64_t now, uint64_t *ret_wake_ms)
{
	*ret_wake_ms = q->first ? q->quiet_until_ms : UINT64_MAX;
	if (now < q->quiet_until_ms)
		return NULL;
	*ret_wake_ms = UINT64_MAX;
	for (struct item *i = q->first; i; i = i->next) {
		if (i->due_ms > now) /* has been tried, so it is the first of its key */
			*ret_wake_ms = i->due_ms < *ret_wake_ms ? i->due_ms : *ret_wake_ms;
		else if (is_first_of_key(q, i))
			return i;
	}
	return NULL;
}

static void complain(struct queue *q, const char *what, const char *why)
{
	(void)snprintf(q->complaint, sizeof q->complaint, "%.100s: %.60s%.120s", q->hook->url.p,
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
	} else if (unix_ms() > i->file.unix_ms + q->conf->max_age) {
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

/* An earlier process has left it. */
static void on_left(void *arg, const struct spooled *file)
{
	struct queue *q = arg;
	struct item *i = q->n_items < (uint64_t)q->conf->queue ? calloc(1, sizeof *i) : NULL;

	if (!i)
		return;
	i->file = *file;
	sl_buf_init(&i->held, SPOOL_MAX_BODY);
	if (!insert(q, i))
		free(i);
}

/* The spool is this process's from here on. */
static void take_over(struct queue *q)
{
	while (!is_over(q) && (q->lock_fd = spool_lock(q->dir)) < 0)
		wait_until(q, now_ms() + LOCK_WAIT_MS);
	spool_each(q->dir, on_left, q);
}

/* Nobody else takes items out: i stays while the lock is not held. */
static void send_one(struct queue *q, struct post *p, struct item *i)
{
	struct post_answer a = {.status = 410}; /* what cannot be read cannot be sent */
	struct spooled file = i->file;
	struct sl_buf body;
	char id[32];

	sl_buf_init(&body, SPOOL_MAX_BODY);
	sl_buf_str(&body, sl_buf_view(&i->held));
	(void)snprintf(id, sizeof id, "msg_%016llx", (unsigned long long)i->file.number);
	(void)pthread_mutex_unlock(&q->lock);
	if (body.len > 0 ? spool_open(&body, &file) : spool_read(q->dir, &file, &body))
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

/* What could not be written is, once the disk takes it. */
static void spill(struct queue *q)
{
	for (struct item *i = q->first; i && q->n_held > 0; i = i->next) {
		if (i->held.len == 0)
			continue;
		if (spool_write(q->dir, i->file.number, &i->held))
			return;
		q->n_held -= i->held.len;
		sl_buf_free(&i->held);
		sl_buf_init(&i->held, SPOOL_MAX_BODY);
	}
}

/* As a file, or behind others in memory. 0 or errno */
static int keep(struct queue *q, struct item *i)
{
	int rc = q->n_held > 0 ? ENOSPC : spool_write(q->dir, i->file.number, &i->held);

	if (rc == 0) {
		sl_buf_reset(&i->held);
		return 0;
	}
	if (q->n_held + i->held.len > HELD_MAX)
		return rc;
	if (q->n_held == 0)
		complain(q, "the spool cannot be written, events wait in memory: ", strerror(rc));
	q->n_held += i->held.len;
	return 0;
}

static int put(struct queue *q, const struct sl_webhook_event *e)
{
	struct item *i = calloc(1, sizeof *i);
	int rc;

	if (!i)
		return ENOMEM;
	sl_buf_init(&i->held, SPOOL_MAX_BODY);
	i->file = spool_make(e, &i->held);
	rc = sl_buf_ok(&i->held) < 0 ? ENOMEM : keep(q, i);
	if (rc == 0 && insert(q, i)) {
		(void)pthread_cond_signal(&q->wake);
		return 0;
	}
	q->n_held -= rc == 0 ? i->held.len : 0;
	sl_buf_free(&i->held);
	free(i);
	return rc;
}

static bool has(const struct queue *q, uint64_t number)
{
	const struct item *i = q->first;

	if (q->last && q->last->file.number < number) /* as nearly always */
		return false;
	while (i && i->file.number != number)
		i = i->next;
	return i != NULL;
}

static const char *put_or_why_not(struct queue *q, const struct sl_webhook_event *e)
{
	int rc;

	if (q->n_items >= (uint64_t)q->conf->queue)
		return "too many wait";
	rc = put(q, e);
	return rc ? strerror(rc) : NULL;
}

void queue_put(struct queue *q, const struct sl_webhook_event *e)
{
	const char *why = NULL;

	(void)pthread_mutex_lock(&q->lock);
	if (!has(q, e->number)) { /* else it is sent again, because our word was lost */
		spill(q);	  /* in order */
		why = put_or_why_not(q, e);
	}
	if (why) {
		q->counts.dropped++;
		complain(q, "an event is given up: ", why);
	}
	(void)pthread_mutex_unlock(&q->lock);
}

void queue_tick(struct queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	spill(q);
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
	if (mkdir(q->conf->spool.p, SPOOL_MODE_DIR) < 0 && errno != EEXIST)
		return -SL_ESYS;
	if (mkdir(q->dir, SPOOL_MODE_DIR) < 0 && errno != EEXIST)
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
	spill(q);
	if (q->n_held > 0)
		sl_log(SL_LOG_ERROR, "webhooks",
		       "%s: the spool cannot be written; what waits in memory is lost",
		       q->hook->url.p);
	for (struct item *i = q->first, *next; i; i = next) {
		next = i->next;
		sl_buf_free(&i->held);
		free(i); /* its file stays */
	}
	if (q->lock_fd >= 0)
		close(q->lock_fd);
	(void)pthread_cond_destroy(&q->wake);
	(void)pthread_mutex_destroy(&q->lock);
	free(q);
}
