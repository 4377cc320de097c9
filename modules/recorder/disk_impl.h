/*
 * recorder/disk_impl.h: what the files of the disk share: a job, a file, the two queues.
 *
 * disk.c is the loop's side, disk_thread.c the threads' work, disk_debt.c what waits until the disk
 * takes it again, disk_path.c files by their names.
 */
#ifndef RECORDER_DISK_IMPL_H
#define RECORDER_DISK_IMPL_H

#include "disk.h"

#include <limits.h>
#include <pthread.h>

enum job_kind {
	/* of the thread that writes */
	JOB_WRITE,
	JOB_APPEND,
	JOB_LINES_END,
	JOB_SCRATCH,
	JOB_SCRATCH_END,
	JOB_MARK,
	/* of the one that waits for the disk */
	JOB_SYNC, /* what was appended */
	JOB_END,
	JOB_PUT,
	JOB_REMOVE,
	JOB_CALL,
	JOB_NAME, /* of a file that has ended; at: its descriptor */
	JOB_RETRY,
	JOB_QUIT, /* of both */
};

struct disk_file {
	struct disk *d;
	char dir[PATH_MAX - 300], name[256];
	disk_done_fn *done;
	void (*failed)(void *arg, int error);
	void (*vanished)(void *arg); /* of a scratch file; the loop's */
	void *arg;
	/* The threads': */
	int fd, error; /* error: atomic */
	bool told, ended, dirty; /* dirty: atomic */
	uint64_t sealed_at, size; /* size: bytes that went in, of one that is not sealed */
	struct envelope seal;
	struct disk_file *next_open, *next_news;
	struct disk_result result;
};

struct job {
	struct job *next;
	enum job_kind kind;
	struct disk_file *file;
	uint64_t at;
	bool begun; /* lines: a part may stand behind at */
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
	struct debt *debts; /* under the lock */
	bool owes;	    /* atomic: there are some */
	uint64_t retried_ns; /* the loop's */
	int fd;
	struct sl_event ev;
};

/* ---- disk_path.c; an errno, 0: done */
bool disk_join(char dst[PATH_MAX], const char *dir, const char *name, const char *tail);
/* Makes the directory when that is what is missing. A descriptor, or -1 and errno */
int disk_open_in(const char *dir, const char *name, const char *tail, int flags);
int disk_write_at(int fd, const char *p, size_t len, uint64_t at);
/* Under another name first, so that there is always one that is whole */
int disk_put_file(const char *dir, const char *name, struct sl_str bytes, bool sync);
/* What fd holds is whole, and stands as .part: it gets its name. */
int disk_give_name(int fd, const char *dir, const char *name);
/* The file has gone from its place: what *fd holds stands there again, and *fd is that one. */
int disk_bring_back(int *fd, const char *dir, const char *name);
void disk_sync_dir(const char *dir);

/* ---- disk.c; NULL: out of memory */
struct job *disk_job(enum job_kind kind, struct disk_file *f, struct sl_str bytes, const char *dir,
		     const char *name);

/* ---- disk_thread.c */
void disk_push(struct queue *q, struct job *j); /* of any thread */
void *disk_run_bytes(void *disk);
void *disk_run_slow(void *disk);
/* A job with a directory of its own; not for what is of a file. 0 or errno: it may be tried again */
int disk_do_named(struct disk *d, struct job *j);

/* ---- disk_debt.c */
/* true: the job waits behind others of its directory that could not be done. */
bool debt_takes(struct disk *d, struct job *j);
/* The job could not be done: it waits, and what comes for its directory behind it. */
void debt_begin(struct disk *d, struct job *j, int error);
void debt_retry(struct disk *d);
void debt_drop_all(struct disk *d);

#endif
