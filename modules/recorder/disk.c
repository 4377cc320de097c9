/*
 * recorder/disk.c: see disk.h; the loop's side.
 *
 * Two threads, each with a queue, under one lock. The loop makes jobs, which all go to the first.
 * Results come back through a list and an eventfd. A file's struct belongs to the loop until it is
 * ended, then to the threads, then to the loop again for its result; its descriptor is one thread's
 * after the other's.
 *
 * A blocking thread in a process of workers would be wrong; this process is only for it.
 */
#include "disk_impl.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RETRY_NS (2 * SL_NS_PER_S)

static void queue(struct disk *d, struct job *j)
{
	__atomic_fetch_add(&d->queued, sizeof *j + j->len, __ATOMIC_RELAXED);
	disk_push(&d->bytes, j);
}

/* Bytes, then the names behind them */
struct job *disk_job(enum job_kind kind, struct disk_file *f, struct sl_str bytes, const char *dir,
		     const char *name)
{
	size_t dir_len = strlen(dir) + 1, name_len = strlen(name) + 1;
	struct job *j = malloc(sizeof *j + bytes.len + dir_len + name_len);

	if (!j)
		return NULL;
	*j = (struct job){.kind = kind, .file = f, .len = bytes.len};
	if (bytes.len > 0)
		memcpy(j->bytes, bytes.p, bytes.len);
	j->dir = memcpy(j->bytes + bytes.len, dir, dir_len);
	j->name = memcpy(j->dir + dir_len, name, name_len);
	return j;
}

static struct disk_file *take_news(struct disk *d, bool *ret_ended)
{
	struct disk_file *f;

	(void)pthread_mutex_lock(&d->lock);
	f = d->news;
	if (f) {
		d->news = f->next_news;
		if (!d->news)
			d->news_tail = &d->news;
		f->told = false;
		*ret_ended = f->ended;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return f;
}

static void on_news(struct sl_event *ev, unsigned ready)
{
	struct disk *d = ev->arg;
	struct disk_file *f;
	bool ended = false;
	uint64_t n;

	(void)ready;
	if (read(d->fd, &n, sizeof n) < 0)
		return;
	while ((f = take_news(d, &ended))) {
		if (ended) {
			if (f->done)
				f->done(f->arg, &f->result);
			free(f);
		} else if (f->vanished) {
			f->vanished(f->arg);
		} else if (f->failed) {
			f->failed(f->arg, f->error);
		}
	}
}

static void init_queue(struct disk *d, struct queue *q)
{
	q->d = d;
	q->tail = &q->first;
	(void)pthread_cond_init(&q->wake, NULL);
}

static struct job *make_quit(void)
{
	struct job *j;

	while (!(j = disk_job(JOB_QUIT, NULL, SL_STR(""), "", "")))
		usleep(1000); /* the end of the process: nothing else can be done */
	return j;
}

static int start_threads(struct disk *d)
{
	if (pthread_create(&d->slow.thread, NULL, disk_run_slow, d) != 0)
		return -SL_ESYS;
	if (pthread_create(&d->bytes.thread, NULL, disk_run_bytes, d) == 0)
		return 0;
	disk_push(&d->slow, make_quit());
	(void)pthread_join(d->slow.thread, NULL);
	return -SL_ESYS;
}

int disk_start(const struct disk_opts *o, struct disk **ret_disk)
{
	struct disk *d = calloc(1, sizeof *d);
	int rc = d ? 0 : -SL_ENOMEM;

	if (rc < 0)
		return rc;
	d->opts = *o;
	d->news_tail = &d->news;
	(void)pthread_mutex_init(&d->lock, NULL);
	init_queue(d, &d->bytes);
	init_queue(d, &d->slow);
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->ev = (struct sl_event){.fd = d->fd, .fn = on_news, .arg = d};
	rc = d->fd < 0 ? -SL_ESYS : sl_event_add(o->loop, &d->ev, SL_READ);
	if (rc == 0 && start_threads(d) < 0) {
		sl_event_del(o->loop, &d->ev);
		rc = -SL_ESYS;
	}
	if (rc < 0) {
		if (d->fd >= 0)
			close(d->fd);
		free(d);
		return rc;
	}
	*ret_disk = d;
	return 0;
}

void disk_settle(struct disk *d)
{
	while (disk_queued(d) > 0)
		usleep(1000);
	on_news(&d->ev, SL_READ);
}

void disk_stop(struct disk *d)
{
	if (!d)
		return;
	queue(d, make_quit());
	(void)pthread_join(d->bytes.thread, NULL);
	(void)pthread_join(d->slow.thread, NULL);
	debt_drop_all(d);
	sl_event_del(d->opts.loop, &d->ev);
	for (struct disk_file *f = d->news, *next; f; f = next) {
		next = f->next_news;
		if (f->ended)
			free(f);
	}
	close(d->fd);
	(void)pthread_mutex_destroy(&d->lock);
	(void)pthread_cond_destroy(&d->bytes.wake);
	(void)pthread_cond_destroy(&d->slow.wake);
	free(d);
}

void disk_tick(struct disk *d)
{
	uint64_t now = sl_loop_ns(d->opts.loop);
	struct job *j;

	if (!__atomic_load_n(&d->owes, __ATOMIC_ACQUIRE) || now < d->retried_ns + RETRY_NS)
		return;
	j = disk_job(JOB_RETRY, NULL, SL_STR(""), "", "");
	if (!j)
		return; /* the next tick has it */
	d->retried_ns = now;
	queue(d, j);
}

size_t disk_queued(const struct disk *d)
{
	return __atomic_load_n(&d->queued, __ATOMIC_RELAXED);
}

bool disk_is_full(const struct disk *d)
{
	return disk_queued(d) > d->opts.max_bytes;
}

uint64_t disk_errors(const struct disk *d)
{
	return __atomic_load_n(&d->n_errors, __ATOMIC_RELAXED);
}

struct disk_file *disk_file_begin(struct disk *d, const char *dir, const char *name,
				  disk_done_fn *done, void (*failed)(void *arg, int error),
				  void *arg)
{
	struct disk_file *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->d = d;
	f->fd = -1;
	f->done = done;
	f->failed = failed;
	f->arg = arg;
	(void)sl_str_copy(f->dir, sizeof f->dir, sl_str_c(dir));
	(void)sl_str_copy(f->name, sizeof f->name, sl_str_c(name));
	return f;
}

void *disk_file_arg(const struct disk_file *f)
{
	return f->arg;
}

void disk_file_write(struct disk_file *f, uint64_t at, struct sl_str bytes)
{
	struct job *j = disk_job(JOB_WRITE, f, bytes, "", "");

	if (!j)
		return; /* a hole: players skip to the next cluster */
	j->at = at;
	queue(f->d, j);
}

void disk_file_end(struct disk_file *f)
{
	struct job *j;

	while (!(j = disk_job(JOB_END, f, SL_STR(""), "", "")))
		usleep(1000); /* it must not be forgotten, and this process may wait */
	queue(f->d, j);
}

static void queue_named(struct disk *d, enum job_kind kind, const char *dir, const char *name,
			struct sl_str bytes)
{
	struct job *j = disk_job(kind, NULL, bytes, dir, name);

	if (j)
		queue(d, j);
	else
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
}

void disk_put(struct disk *d, const char *dir, const char *name, struct sl_str bytes)
{
	queue_named(d, JOB_PUT, dir, name, bytes);
}

struct disk_file *disk_lines_begin(struct disk *d, const char *dir, const char *name)
{
	return disk_file_begin(d, dir, name, NULL, NULL, NULL);
}

void disk_append(struct disk_file *f, struct sl_str bytes)
{
	struct job *j = disk_job(JOB_APPEND, f, bytes, f->dir, f->name);

	if (j)
		queue(f->d, j);
	else
		__atomic_fetch_add(&f->d->n_errors, 1, __ATOMIC_RELAXED);
}

/* With its directory, behind whose other jobs it may have to wait */
void disk_lines_end(struct disk_file *f)
{
	struct job *j;

	while (!(j = disk_job(JOB_LINES_END, f, SL_STR(""), f->dir, "")))
		usleep(1000); /* as above */
	queue(f->d, j);
}

void disk_then(struct disk *d, void (*fn)(void *arg, const char *dir), void *arg, const char *dir)
{
	struct job *j = disk_job(JOB_CALL, NULL, SL_STR(""), dir, "");

	if (!j)
		return; /* like anything that is late: the next one, or a scan, makes up for it */
	j->fn = fn;
	j->arg = arg;
	queue(d, j);
}

void disk_mark(struct disk *d, void (*fn)(void *arg), void *arg)
{
	struct job *j = disk_job(JOB_MARK, NULL, SL_STR(""), "", "");

	if (!j) {
		fn(arg); /* at the worst what a crash loses is a little more */
		return;
	}
	j->reached = fn;
	j->arg = arg;
	queue(d, j);
}

struct disk_file *disk_scratch_begin(struct disk *d, const char *dir, const char *name,
				     void (*vanished)(void *arg), void *arg)
{
	struct disk_file *f = disk_file_begin(d, dir, name, NULL, NULL, arg);

	if (f)
		f->vanished = vanished;
	return f;
}

void disk_scratch_write(struct disk_file *f, uint64_t at, struct sl_str bytes)
{
	struct job *j = disk_job(JOB_SCRATCH, f, bytes, "", "");

	if (!j)
		return; /* the next one tells it */
	j->at = at;
	queue(f->d, j);
}

void disk_scratch_end(struct disk_file *f)
{
	struct job *j;

	f->vanished = NULL; /* news of it may be on their way */
	while (!(j = disk_job(JOB_SCRATCH_END, f, SL_STR(""), "", "")))
		usleep(1000); /* as above */
	queue(f->d, j);
}

void disk_remove(struct disk *d, const char *dir, const char *name)
{
	queue_named(d, JOB_REMOVE, dir, name, SL_STR(""));
}
