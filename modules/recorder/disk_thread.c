/*
 * recorder/disk_thread.c: the two threads of the disk: what they do with a job.
 *
 * The first hands bytes to the kernel, which is all that a crash of this process asks for, and
 * passes on, in order, what may take as long as the disk likes: to synchronise, hash and rename. So
 * a slow disk does not keep bytes here.
 */
#include "disk_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- queues */

void disk_push(struct queue *q, struct job *j)
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

static size_t size_of(const struct job *j)
{
	return sizeof *j + j->len;
}

static void uncount(struct disk *d, size_t size)
{
	__atomic_fetch_sub(&d->queued, size, __ATOMIC_RELAXED);
}

static void done_with(struct disk *d, struct job *j)
{
	uncount(d, size_of(j));
	free(j);
}

/* ---- files */

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
	f->fd = disk_open_in(f->dir, f->name, ".part", O_RDWR | O_CREAT | O_EXCL);
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
		rc = disk_write_at(f->fd, (const char *)head.p, head.len, 0);
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
		     : disk_write_at(f->fd, (const char *)out.p, out.len, f->sealed_at);
	if (rc == 0)
		f->sealed_at += out.len;
	else if (ftruncate(f->fd, (off_t)f->sealed_at) < 0)
		(void)rc; /* recovery and readers look for the last whole piece themselves */
	sl_buf_free(&out);
	if (rc)
		fail(d, f, rc);
}

/* What was written over where it could not be is what it was; what was added goes. */
static void undo(struct disk_file *f, uint64_t size)
{
	struct stat st;

	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > size &&
	    ftruncate(f->fd, (off_t)size) < 0)
		(void)st; /* it is cut where it plays to when it ends */
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
	rc = disk_write_at(f->fd, j->bytes, j->len, j->at);
	if (rc) {
		undo(f, f->size);
		fail(d, f, rc);
	} else if (j->at + j->len > f->size) {
		f->size = j->at + j->len;
	}
}

/* It is synchronised no more. */
static void forget_open(struct disk *d, const struct disk_file *f)
{
	struct disk_file **link = &d->open;

	(void)pthread_mutex_lock(&d->lock);
	while (*link && *link != f)
		link = &(*link)->next_open;
	if (*link)
		*link = f->next_open;
	(void)pthread_mutex_unlock(&d->lock);
}

static void close_file(struct disk *d, struct disk_file *f)
{
	forget_open(d, f);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Cut to what plays. false: nothing does, and it is gone */
static bool keep_good(struct disk_file *f)
{
	char path[PATH_MAX];
	uint64_t good;

	if (disk_cut(f->fd, f->name, UINT64_MAX, &good))
		(void)good; /* the hash is of all there is */
	if (good == 0 && disk_join(path, f->dir, f->name, ".part"))
		(void)unlink(path); /* stays where nothing can be changed: it has no name */
	return good > 0;
}

/* The name waits, with the descriptor, and lines about the file wait behind it. */
static void owe_name(struct disk *d, struct disk_file *f, int error)
{
	struct job *j = disk_job(JOB_NAME, NULL, SL_STR(""), f->dir, f->name);

	if (!j)
		return;
	j->at = (uint64_t)f->fd;
	forget_open(d, f);
	f->fd = -1;
	debt_begin(d, j, error);
	f->result.renamed = true;
}

static void name_file(struct disk *d, struct disk_file *f)
{
	int rc = disk_hide_empty(f->fd, f->name, &f->result.hidden);

	if (rc)
		fail(d, f, rc); /* it plays less well, and is worth its name */
	rc = disk_hash(f->fd, f->result.sha256, &f->result.bytes);
	if (rc) {
		fail(d, f, rc);
		return;
	}
	rc = disk_give_name(f->fd, f->dir, f->name);
	f->result.renamed = rc == 0;
	if (rc) {
		fail(d, f, rc);
		owe_name(d, f, rc);
	} else if (d->opts.sync != DISK_SYNC_NEVER) {
		disk_sync_dir(f->dir);
	}
}

static void do_end(struct disk *d, struct disk_file *f)
{
	if (open_file(d, f) && !error_of(f) && d->opts.recipient)
		write_sealed(d, f, SL_STR(""), true);
	/* What cannot be synchronised is there, perhaps, and counts until somebody reads it. */
	if (f->fd >= 0 && d->opts.sync != DISK_SYNC_NEVER && fdatasync(f->fd) < 0)
		fail(d, f, errno);
	if (f->fd >= 0 && (!error_of(f) || keep_good(f)))
		name_file(d, f);
	f->result.error = error_of(f);
	envelope_wipe(&f->seal);
	close_file(d, f);
	tell(d, f, true);
}

static int do_put(struct disk *d, const struct job *j)
{
	const struct sl_str bytes = {j->bytes, j->len};

	return disk_put_file(j->dir, j->name, bytes, d->opts.sync != DISK_SYNC_NEVER);
}

/* Lines without those before them would prove nothing: they come back with them. */
static int open_lines(struct disk_file *f)
{
	if (f->fd >= 0 && disk_is_at(f->fd, f->dir, f->name))
		return 0;
	if (f->fd >= 0)
		return disk_bring_back(&f->fd, f->dir, f->name);
	f->fd = disk_open_in(f->dir, f->name, "", O_RDWR | O_CREAT);
	return f->fd < 0 ? errno : 0;
}

/* All or nothing: what a full disk took of it is taken back, or written over the next time. */
static int do_append(struct disk *d, struct job *j)
{
	struct disk_file *f = j->file;
	int rc = open_lines(f);
	struct stat st;

	(void)d;
	if (rc)
		return rc;
	rc = fstat(f->fd, &st) < 0 ? errno : 0;
	if (rc == 0 && !j->begun)
		j->at = (uint64_t)st.st_size;
	j->begun = j->begun || rc == 0;
	if (rc == 0)
		rc = disk_write_at(f->fd, j->bytes, j->len, j->at);
	if (rc && j->begun && ftruncate(f->fd, (off_t)j->at) < 0)
		(void)rc; /* as above */
	return rc;
}

static int end_lines(struct disk *d, struct job *j)
{
	(void)d;
	if (j->file->fd >= 0)
		close(j->file->fd);
	free(j->file);
	return 0;
}

/* The descriptor is this job's. */
static int do_name(const struct job *j)
{
	int rc = disk_give_name((int)j->at, j->dir, j->name);

	if (rc == 0)
		close((int)j->at);
	return rc;
}

static void do_sync(struct disk *d, const struct job *j)
{
	int fd = disk_open_in(j->dir, j->name, "", O_RDONLY);

	if (fd < 0)
		return; /* it has vanished, or could not be made, which is counted already */
	if (fdatasync(fd) < 0)
		__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
	close(fd);
}

/* What cannot be written is done without: it is for a successor's convenience. */
static void do_scratch(struct disk *d, const struct job *j)
{
	struct disk_file *f = j->file;
	bool vanished = f->fd >= 0 && !disk_is_at(f->fd, f->dir, f->name);

	if (vanished) {
		close(f->fd);
		f->fd = -1;
	}
	if (f->fd < 0)
		f->fd = disk_open_in(f->dir, f->name, "", O_WRONLY | O_CREAT);
	if (f->fd >= 0)
		(void)disk_write_at(f->fd, j->bytes, j->len, j->at);
	if (vanished)
		tell(d, f, false);
}

/* The loop may have news of it before it, and frees it. */
static void end_scratch(struct disk *d, struct disk_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	tell(d, f, true);
}

static int do_remove(const struct job *j)
{
	char path[PATH_MAX];

	if (!disk_join(path, j->dir, j->name, "") || unlink(path) == 0)
		return 0;
	return errno == ENOENT || errno == ENOTDIR ? 0 : errno; /* it may be gone already */
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

/* ---- jobs */

/* false: it is for the other thread, now */
static bool do_fast(struct disk *d, struct job *j)
{
	switch (j->kind) {
	case JOB_WRITE:
		do_write(d, j);
		return d->opts.sync != DISK_SYNC_SECOND;
	case JOB_APPEND: /* is done */
		j->kind = JOB_SYNC;
		return d->opts.sync == DISK_SYNC_NEVER;
	case JOB_LINES_END: /* is done */
		return true;
	case JOB_SCRATCH:
		do_scratch(d, j);
		return true;
	case JOB_SCRATCH_END:
		end_scratch(d, j->file);
		return true;
	case JOB_MARK:
		j->reached(j->arg);
		return true;
	default:
		return false;
	}
}

/* false: it waits for the disk, and is not the caller's any more. */
static bool do_or_owe(struct disk *d, struct job *j, int (*fn)(struct disk *d, struct job *j))
{
	size_t size = size_of(j);
	bool waits = debt_takes(d, j);
	int rc = waits ? 0 : fn(d, j);

	if (rc)
		debt_begin(d, j, rc);
	if (waits || rc)
		uncount(d, size);
	return !waits && !rc;
}

void *disk_run_bytes(void *arg)
{
	struct disk *d = arg;
	bool quit = false;

	while (!quit) {
		struct job *j = next_job(&d->bytes);

		quit = j->kind == JOB_QUIT;
		if (j->kind == JOB_APPEND && !do_or_owe(d, j, do_append))
			continue;
		if (j->kind == JOB_LINES_END && !do_or_owe(d, j, end_lines))
			continue;
		if (do_fast(d, j))
			done_with(d, j);
		else
			disk_push(&d->slow, j);
	}
	return NULL;
}

int disk_do_named(struct disk *d, struct job *j)
{
	int rc;

	switch (j->kind) {
	case JOB_APPEND: /* that waited */
		rc = do_append(d, j);
		if (rc == 0 && d->opts.sync != DISK_SYNC_NEVER)
			do_sync(d, j);
		return rc;
	case JOB_LINES_END:
		return end_lines(d, j);
	case JOB_PUT:
		return do_put(d, j);
	case JOB_REMOVE:
		return do_remove(j);
	case JOB_NAME:
		return do_name(j);
	case JOB_CALL:
		j->fn(j->arg, j->dir);
		return 0;
	default:
		return 0;
	}
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
	case JOB_RETRY:
		debt_retry(d);
		break;
	default:
		break; /* bytes that were written: they are synchronised below */
	}
}

static bool is_named(const struct job *j)
{
	return j->kind == JOB_PUT || j->kind == JOB_REMOVE || j->kind == JOB_CALL;
}

void *disk_run_slow(void *arg)
{
	struct disk *d = arg;
	bool quit = false;

	while (!quit) {
		struct job *j = next_job(&d->slow);

		quit = j->kind == JOB_QUIT;
		if (is_named(j) && !do_or_owe(d, j, disk_do_named))
			continue;
		do_slow(d, j);
		done_with(d, j);
		sync_all(d);
	}
	return NULL;
}
