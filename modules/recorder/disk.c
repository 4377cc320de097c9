/*
 * recorder/disk.c: see disk.h.
 *
 * Two threads, each with a queue, under one lock. The loop makes jobs; the first thread hands bytes
 * to the kernel, which is all that a crash of this process asks for, and passes on, in order, what
 * may take as long as the disk likes: to synchronise, hash and rename. So a slow disk does not keep
 * bytes here. Results come back through a list and an eventfd. A file's struct belongs to the loop
 * until it is ended, then to the threads, then to the loop again for its result; its descriptor is
 * the threads', one after the other.
 *
 * A blocking thread in a process of workers would be wrong; this process is only for it.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_FILE = 0640, MODE_DIR = 0750, HASH_STEP = 1 << 18 };

enum job_kind {
	/* of the thread that writes */
	JOB_WRITE,
	JOB_APPEND,
	JOB_SCRATCH,
	JOB_SCRATCH_END,
	JOB_MARK,
	/* of the one that waits for the disk */
	JOB_SYNC, /* what was appended */
	JOB_END,
	JOB_PUT,
	JOB_REMOVE,
	JOB_CALL,
	JOB_QUIT, /* of both */
};

struct disk_file {
	struct disk *d;
	char dir[PATH_MAX - 300], name[256];
	disk_done_fn *done;
	void (*failed)(void *arg, int error);
	void *arg;
	/* The threads': */
	int fd, error; /* error: atomic */
	bool told, ended, dirty; /* dirty: atomic */
	uint64_t sealed_at;
	struct envelope seal;
	struct disk_file *next_open, *next_news;
	struct disk_result result;
};

struct job {
	struct job *next;
	enum job_kind kind;
	struct disk_file *file;
	uint64_t at;
	void (*fn)(void *arg, const char *dir); /* of JOB_CALL */
	void (*reached)(void *arg);		/* of JOB_MARK */
	void *arg;
	char *dir, *name; /* of jobs without a file; within the same allocation */
	size_t len;
	char bytes[];
};

struct queue {
	struct disk *d;
	pthread_t thread;
	pthread_cond_t wake;
	struct job *first, **tail; /* under the lock */
};

struct disk {
	struct disk_opts opts;
	struct queue bytes, slow;
	pthread_mutex_t lock;
	struct disk_file *news, **news_tail; /* under the lock, like the next */
	struct disk_file *open; /* the first thread adds, the second removes */
	size_t queued; /* atomic */
	uint64_t n_errors;
	uint64_t synced_ns;
	int fd;
	struct sl_event ev;
};

/* ---- the thread's work */

int disk_make_dir(const char *dir)
{
	char path[PATH_MAX];
	size_t len = sl_str_copy(path, sizeof path, sl_str_c(dir));

	if (len >= sizeof path)
		return ENAMETOOLONG;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, MODE_DIR) < 0 && errno != EEXIST)
			return errno;
		*p = '/';
	}
	return mkdir(path, MODE_DIR) < 0 && errno != EEXIST ? errno : 0;
}

static bool join(char dst[PATH_MAX], const char *dir, const char *name, const char *tail)
{
	return snprintf(dst, PATH_MAX, "%s/%s%s", dir, name, tail) < PATH_MAX;
}

/* Makes the directory when that is what is missing. */
static int open_in(const char *dir, const char *name, const char *tail, int flags)
{
	char path[PATH_MAX];
	int fd, rc;

	if (!join(path, dir, name, tail)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (fd >= 0 || errno != ENOENT || !(flags & O_CREAT))
		return fd;
	rc = disk_make_dir(dir);
	if (rc == 0)
		return open(path, flags | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	errno = rc;
	return -1;
}

static int write_at(int fd, const char *p, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

int disk_hash(int fd, uint8_t ret_sha256[32], uint64_t *ret_bytes)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *step = malloc(HASH_STEP);
	uint64_t at = 0;
	ssize_t n = -1;
	int rc = ctx && step && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : ENOMEM;

	while (rc == 0 && (n = pread(fd, step, HASH_STEP, (off_t)at)) > 0) {
		(void)EVP_DigestUpdate(ctx, step, (size_t)n);
		at += (uint64_t)n;
	}
	if (rc == 0)
		rc = n < 0 ? errno : EVP_DigestFinal_ex(ctx, ret_sha256, NULL) == 1 ? 0 : ENOMEM;
	EVP_MD_CTX_free(ctx);
	free(step);
	*ret_bytes = at;
	return rc;
}

/* Hands the file to the loop: it failed, or it is done, and then the loop may free it at once. */
static void tell(struct disk *d, struct disk_file *f, bool ended)
{
	uint64_t one = 1;

	(void)pthread_mutex_lock(&d->lock);
	f->ended = ended;
	if (!f->told) {
		f->told = true;
		f->next_news = NULL;
		*d->news_tail = f;
		d->news_tail = &f->next_news;
	}
	(void)pthread_mutex_unlock(&d->lock);
	if (write(d->fd, &one, sizeof one) < 0)
		(void)one; /* the counter is full: the loop is awake */
}

static int error_of(const struct disk_file *f)
{
	return __atomic_load_n(&f->error, __ATOMIC_ACQUIRE);
}

static void fail(struct disk *d, struct disk_file *f, int error)
{
	int none = 0;

	if (!__atomic_compare_exchange_n(&f->error, &none, error, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
	tell(d, f, false);
}

static bool open_file(struct disk *d, struct disk_file *f)
{
	struct sl_buf head;
	int rc = 0;

	if (f->fd >= 0 || error_of(f))
		return f->fd >= 0;
	f->fd = open_in(f->dir, f->name, ".part", O_RDWR | O_CREAT | O_EXCL);
	if (f->fd < 0) {
		fail(d, f, errno);
		return false;
	}
	(void)pthread_mutex_lock(&d->lock);
	f->next_open = d->open;
	d->open = f;
	(void)pthread_mutex_unlock(&d->lock);
	if (!d->opts.recipient)
		return true;
	sl_buf_init(&head, 0);
	rc = envelope_begin(&f->seal, d->opts.recipient, &head) < 0 ? EIO : 0;
	if (rc == 0)
		rc = write_at(f->fd, (const char *)head.p, head.len, 0);
	f->sealed_at = head.len;
	sl_buf_free(&head);
	if (rc)
		fail(d, f, rc);
	return rc == 0;
}

static void write_sealed(struct disk *d, struct disk_file *f, struct sl_str bytes, bool last)
{
	struct sl_buf out;
	int rc;

	sl_buf_init(&out, 0);
	rc = envelope_seal(&f->seal, bytes, last, &out) < 0
		     ? ENOMEM
		     : write_at(f->fd, (const char *)out.p, out.len, f->sealed_at);
	if (rc == 0)
		f->sealed_at += out.len;
	else if (ftruncate(f->fd, (off_t)f->sealed_at) < 0)
		(void)rc; /* recovery and readers look for the last whole piece themselves */
	sl_buf_free(&out);
	if (rc)
		fail(d, f, rc);
}

static void do_write(struct disk *d, const struct job *j)
{
	struct disk_file *f = j->file;
	int rc;

	if (!open_file(d, f) || error_of(f))
		return;
	__atomic_store_n(&f->dirty, true, __ATOMIC_RELEASE);
	if (d->opts.recipient) {
		write_sealed(d, f, (struct sl_str){j->bytes, j->len}, false);
		return;
	}
	rc = write_at(f->fd, j->bytes, j->len, j->at);
	if (rc == 0)
		return;
	if (ftruncate(f->fd, (off_t)j->at) < 0)
		(void)rc; /* as above */
	fail(d, f, rc);
}

static void close_file(struct disk *d, struct disk_file *f)
{
	struct disk_file **link = &d->open;

	(void)pthread_mutex_lock(&d->lock);
	while (*link && *link != f)
		link = &(*link)->next_open;
	if (*link)
		*link = f->next_open;
	(void)pthread_mutex_unlock(&d->lock);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* The directory has gone from under the file: its bytes, which are still there, move on. */
static int copy_to(struct disk_file *f)
{
	int to = open_in(f->dir, f->name, "", O_WRONLY | O_CREAT | O_EXCL), rc = 0;
	off_t at = 0;
	ssize_t n;

	if (to < 0)
		return errno;
	while ((n = copy_file_range(f->fd, &at, to, NULL, 1 << 30, 0)) > 0)
		;
	if (n < 0)
		rc = errno;
	close(to);
	return rc;
}

static int give_name(struct disk_file *f)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (!join(from, f->dir, f->name, ".part") || !join(to, f->dir, f->name, ""))
		return ENAMETOOLONG;
	if (rename(from, to) == 0)
		return 0;
	return errno == ENOENT ? copy_to(f) : errno;
}

static void sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd); /* what can be done about it was done */
	close(fd);
}

static void do_end(struct disk *d, struct disk_file *f)
{
	int rc = 0;

	if (open_file(d, f) && !error_of(f) && d->opts.recipient)
		write_sealed(d, f, SL_STR(""), true);
	if (f->fd >= 0) {
		rc = disk_hash(f->fd, f->result.sha256, &f->result.bytes);
		if (rc == 0 && d->opts.sync != DISK_SYNC_NEVER && fdatasync(f->fd) < 0)
			rc = errno;
		if (rc == 0)
			rc = give_name(f);
		f->result.renamed = rc == 0;
		if (rc == 0 && d->opts.sync != DISK_SYNC_NEVER)
			sync_dir(f->dir);
	}
	if (rc)
		fail(d, f, rc);
	f->result.error = error_of(f);
	envelope_wipe(&f->seal);
	close_file(d, f);
	tell(d, f, true);
}

static int put_file(const char *dir, const char *name, struct sl_str bytes, bool sync)
{
	char from[PATH_MAX], to[PATH_MAX];
	int fd = open_in(dir, name, ".new", O_WRONLY | O_CREAT | O_TRUNC), rc;

	rc = fd < 0 ? errno : write_at(fd, bytes.p, bytes.len, 0);
	if (rc == 0 && sync && fdatasync(fd) < 0)
		rc = errno;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && join(from, dir, name, ".new") && join(to, dir, name, ""))
		rc = rename(from, to) < 0 ? errno : 0;
	return rc;
}

int disk_put_now(const char *dir, const char *name, struct sl_str bytes)
{
	return put_file(dir, name, bytes, false);
}

static void do_put(struct disk *d, const struct job *j)
{
	const struct sl_str bytes = {j->bytes, j->len};

	if (put_file(j->dir, j->name, bytes, d->opts.sync != DISK_SYNC_NEVER))
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
}

static void do_append(struct disk *d, const struct job *j)
{
	int fd = open_in(j->dir, j->name, "", O_WRONLY | O_CREAT | O_APPEND);
	bool ok = fd >= 0 && write(fd, j->bytes, j->len) == (ssize_t)j->len;

	if (fd >= 0)
		close(fd);
	if (!ok)
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
}

static void do_sync(struct disk *d, const struct job *j)
{
	int fd = open_in(j->dir, j->name, "", O_RDONLY);

	if (fd < 0)
		return; /* it has vanished, or could not be made, which is counted already */
	if (fdatasync(fd) < 0)
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
	close(fd);
}

/* What cannot be written is done without: it is for a successor's convenience. */
static void do_scratch(const struct job *j)
{
	struct disk_file *f = j->file;

	if (f->fd < 0)
		f->fd = open_in(f->dir, f->name, "", O_WRONLY | O_CREAT);
	if (f->fd >= 0)
		(void)write_at(f->fd, j->bytes, j->len, j->at);
}

static void end_scratch(struct disk_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static void do_remove(const struct job *j)
{
	char path[PATH_MAX];

	if (join(path, j->dir, j->name, ""))
		(void)unlink(path); /* may be gone already */
}

/* Files are only freed behind this thread's JOB_END, and new ones stand before the first seen. */
static void sync_all(struct disk *d)
{
	uint64_t now = sl_clock_ns();
	struct disk_file *f;

	if (d->opts.sync != DISK_SYNC_SECOND || now < d->synced_ns + SL_NS_PER_S)
		return;
	d->synced_ns = now;
	(void)pthread_mutex_lock(&d->lock);
	f = d->open;
	(void)pthread_mutex_unlock(&d->lock);
	for (; f; f = f->next_open)
		if (__atomic_exchange_n(&f->dirty, false, __ATOMIC_ACQ_REL) && fdatasync(f->fd) < 0)
			fail(d, f, errno);
}

static void push(struct queue *q, struct job *j)
{
	j->next = NULL;
	(void)pthread_mutex_lock(&q->d->lock);
	*q->tail = j;
	q->tail = &j->next;
	(void)pthread_cond_signal(&q->wake);
	(void)pthread_mutex_unlock(&q->d->lock);
}

static struct job *next_job(struct queue *q)
{
	struct job *j;

	(void)pthread_mutex_lock(&q->d->lock);
	while (!q->first)
		(void)pthread_cond_wait(&q->wake, &q->d->lock);
	j = q->first;
	q->first = j->next;
	if (!q->first)
		q->tail = &q->first;
	(void)pthread_mutex_unlock(&q->d->lock);
	return j;
}

static void done_with(struct disk *d, struct job *j)
{
	__atomic_fetch_sub(&d->queued, sizeof *j + j->len, __ATOMIC_RELAXED);
	free(j);
}

/* false: it is for the other thread, now */
static bool do_fast(struct disk *d, struct job *j)
{
	switch (j->kind) {
	case JOB_WRITE:
		do_write(d, j);
		return d->opts.sync != DISK_SYNC_SECOND;
	case JOB_APPEND:
		do_append(d, j);
		j->kind = JOB_SYNC;
		return d->opts.sync == DISK_SYNC_NEVER;
	case JOB_SCRATCH:
		do_scratch(j);
		return true;
	case JOB_SCRATCH_END:
		end_scratch(j->file);
		return true;
	case JOB_MARK:
		j->reached(j->arg);
		return true;
	default:
		return false;
	}
}

static void *run_bytes(void *arg)
{
	struct disk *d = arg;
	bool quit = false;

	while (!quit) {
		struct job *j = next_job(&d->bytes);

		quit = j->kind == JOB_QUIT;
		if (do_fast(d, j))
			done_with(d, j);
		else
			push(&d->slow, j);
	}
	return NULL;
}

static void do_slow(struct disk *d, const struct job *j)
{
	switch (j->kind) {
	case JOB_SYNC:
		do_sync(d, j);
		break;
	case JOB_END:
		do_end(d, j->file);
		break;
	case JOB_PUT:
		do_put(d, j);
		break;
	case JOB_REMOVE:
		do_remove(j);
		break;
	case JOB_CALL:
		j->fn(j->arg, j->dir);
		break;
	default:
		break; /* bytes that were written: they are synchronised below */
	}
}

static void *run_slow(void *arg)
{
	struct disk *d = arg;
	bool quit = false;

	while (!quit) {
		struct job *j = next_job(&d->slow);

		quit = j->kind == JOB_QUIT;
		do_slow(d, j);
		done_with(d, j);
		sync_all(d);
	}
	return NULL;
}

/* ---- the loop's side */

static void queue(struct disk *d, struct job *j)
{
	__atomic_fetch_add(&d->queued, sizeof *j + j->len, __ATOMIC_RELAXED);
	push(&d->bytes, j);
}

/* Bytes, then the names behind them */
static struct job *make_job(enum job_kind kind, struct disk_file *f, struct sl_str bytes,
			    const char *dir, const char *name)
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
			f->done(f->arg, &f->result);
			free(f);
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

	while (!(j = make_job(JOB_QUIT, NULL, SL_STR(""), "", "")))
		usleep(1000); /* the end of the process: nothing else can be done */
	return j;
}

static int start_threads(struct disk *d)
{
	if (pthread_create(&d->slow.thread, NULL, run_slow, d) != 0)
		return -SL_ESYS;
	if (pthread_create(&d->bytes.thread, NULL, run_bytes, d) == 0)
		return 0;
	push(&d->slow, make_quit());
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
	struct job *j = make_job(JOB_WRITE, f, bytes, "", "");

	if (!j)
		return; /* a hole: players skip to the next cluster */
	j->at = at;
	queue(f->d, j);
}

void disk_file_end(struct disk_file *f)
{
	struct job *j;

	while (!(j = make_job(JOB_END, f, SL_STR(""), "", "")))
		usleep(1000); /* it must not be forgotten, and this process may wait */
	queue(f->d, j);
}

static void queue_named(struct disk *d, enum job_kind kind, const char *dir, const char *name,
			struct sl_str bytes)
{
	struct job *j = make_job(kind, NULL, bytes, dir, name);

	if (j)
		queue(d, j);
	else
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
}

void disk_put(struct disk *d, const char *dir, const char *name, struct sl_str bytes)
{
	queue_named(d, JOB_PUT, dir, name, bytes);
}

void disk_append(struct disk *d, const char *dir, const char *name, struct sl_str bytes)
{
	queue_named(d, JOB_APPEND, dir, name, bytes);
}

void disk_then(struct disk *d, void (*fn)(void *arg, const char *dir), void *arg, const char *dir)
{
	struct job *j = make_job(JOB_CALL, NULL, SL_STR(""), dir, "");

	if (!j)
		return; /* like anything that is late: the next one, or a scan, makes up for it */
	j->fn = fn;
	j->arg = arg;
	queue(d, j);
}

void disk_mark(struct disk *d, void (*fn)(void *arg), void *arg)
{
	struct job *j = make_job(JOB_MARK, NULL, SL_STR(""), "", "");

	if (!j) {
		fn(arg); /* at the worst what a crash loses is a little more */
		return;
	}
	j->reached = fn;
	j->arg = arg;
	queue(d, j);
}

struct disk_file *disk_scratch_begin(struct disk *d, const char *dir, const char *name)
{
	return disk_file_begin(d, dir, name, NULL, NULL, NULL);
}

void disk_scratch_write(struct disk_file *f, uint64_t at, struct sl_str bytes)
{
	struct job *j = make_job(JOB_SCRATCH, f, bytes, "", "");

	if (!j)
		return; /* the next one tells it */
	j->at = at;
	queue(f->d, j);
}

void disk_scratch_end(struct disk_file *f)
{
	struct job *j;

	while (!(j = make_job(JOB_SCRATCH_END, f, SL_STR(""), "", "")))
		usleep(1000); /* as above */
	queue(f->d, j);
}

void disk_remove(struct disk *d, const char *dir, const char *name)
{
	queue_named(d, JOB_REMOVE, dir, name, SL_STR(""));
}
