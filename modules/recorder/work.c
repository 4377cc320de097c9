/*
 * recorder/work.c: see work.h. Two lists under one lock, and an eventfd that wakes the loop.
 */
#include "work.h"

#include <pthread.h>
#include <signal.h>
#include <sluice/crypto.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAX_JOBS = 256 };

struct work_job {
	struct work_job *next;
	work_fn *fn;
	work_done_fn *done;
	void *arg;
};
struct queue {
	struct work_job *first, **tail;
};

struct work {
	struct sl_loop *loop;
	struct sl_event ev;
	int fd;
	pthread_t thread;
	bool runs;
	unsigned n_jobs; /* the loop's: taken and not told yet */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct queue todo, ready; /* under the lock, like the next */
	bool quit;
};

static void put(struct queue *q, struct work_job *j)
{
	j->next = NULL;
	*q->tail = j;
	q->tail = &j->next;
}

static struct work_job *take(struct queue *q)
{
	struct work_job *j = q->first;

	if (j)
		q->first = j->next;
	if (!q->first)
		q->tail = &q->first;
	return j;
}

/* ---- the thread */

static struct work_job *next_job(struct work *w)
{
	struct work_job *j = NULL;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->quit && !w->todo.first)
		(void)pthread_cond_wait(&w->wake, &w->lock);
	if (!w->quit)
		j = take(&w->todo);
	(void)pthread_mutex_unlock(&w->lock);
	return j;
}

static void *run(void *arg)
{
	struct work *w = arg;
	const uint64_t one = 1;

	for (struct work_job *j; (j = next_job(w));) {
		j->fn(j->arg);
		(void)pthread_mutex_lock(&w->lock);
		put(&w->ready, j);
		(void)pthread_mutex_unlock(&w->lock);
		if (write(w->fd, &one, sizeof one) < 0)
			continue; /* the counter is full: the loop is awake */
	}
	sl_crypto_thread_end();
	return NULL;
}

/* Signals are the loop's. */
static int begin(struct work *w)
{
	sigset_t all, before;
	int rc;

	if (w->runs)
		return 0;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->runs = rc == 0;
	return rc == 0 ? 0 : -SL_ESYS;
}

/* ---- the loop */

static struct work_job *take_locked(struct work *w, struct queue *q)
{
	struct work_job *j;

	(void)pthread_mutex_lock(&w->lock);
	j = take(q);
	(void)pthread_mutex_unlock(&w->lock);
	return j;
}

static void tell_all(struct work *w, struct queue *q, bool done)
{
	for (struct work_job *j; (j = take_locked(w, q));) {
		w->n_jobs--;
		j->done(j->arg, done);
		free(j);
	}
}

static void on_ready(struct sl_event *ev, unsigned ready)
{
	struct work *w = ev->arg;
	uint64_t n;

	(void)ready;
	if (read(w->fd, &n, sizeof n) == (ssize_t)sizeof n)
		tell_all(w, &w->ready, true);
}

int work_do(struct work *w, work_fn *fn, work_done_fn *done, void *arg)
{
	struct work_job *j;
	int rc;

	if (w->n_jobs >= MAX_JOBS)
		return -SL_EFULL;
	rc = begin(w);
	if (rc < 0)
		return rc;
	j = malloc(sizeof *j);
	if (!j)
		return -SL_ENOMEM;
	*j = (struct work_job){.fn = fn, .done = done, .arg = arg};
	w->n_jobs++;
	(void)pthread_mutex_lock(&w->lock);
	put(&w->todo, j);
	(void)pthread_cond_signal(&w->wake);
	(void)pthread_mutex_unlock(&w->lock);
	return 0;
}

int work_open(struct sl_loop *l, struct work **ret_work)
{
	struct work *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return -SL_ENOMEM;
	w->loop = l;
	w->todo.tail = &w->todo.first;
	w->ready.tail = &w->ready.first;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->wake, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->ev = (struct sl_event){.fd = w->fd, .fn = on_ready, .arg = w};
	rc = w->fd < 0 ? -SL_ESYS : sl_event_add(l, &w->ev, SL_READ);
	if (rc < 0) {
		work_close(w);
		return rc;
	}
	*ret_work = w;
	return 0;
}

void work_close(struct work *w)
{
	if (!w)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->quit = true;
	(void)pthread_cond_signal(&w->wake);
	(void)pthread_mutex_unlock(&w->lock);
	if (w->runs)
		(void)pthread_join(w->thread, NULL);
	tell_all(w, &w->ready, true);
	tell_all(w, &w->todo, false);
	sl_event_del(w->loop, &w->ev);
	if (w->fd >= 0)
		close(w->fd);
	(void)pthread_cond_destroy(&w->wake);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}
