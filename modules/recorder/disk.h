/*
 * recorder/disk.h: the threads that write. A disk may block for seconds, and then the ring from the
 * workers must be read all the same; so files are written by threads of their own, out of a queue
 * whose length is told: whoever makes bytes looks at it first.
 *
 * A file is written under "NAME.part", and gets its name, by which others know it, when it is whole:
 * hashed, synchronised and renamed. On a disk that is full, or fails, a file ends with the last bytes
 * that play. Names, lines and small files that it does not take wait in memory, directory by
 * directory and in order, until it takes them again; a process that ends before leaves them to
 * recovery.
 */
#ifndef RECORDER_DISK_H
#define RECORDER_DISK_H

#include <sluice/buf.h>
#include <sluice/loop.h>
#include "envelope.h"

enum disk_sync { DISK_SYNC_NEVER, DISK_SYNC_SEGMENT, DISK_SYNC_SECOND };

struct disk_opts {
	struct sl_loop *loop;
	size_t max_bytes; /* queued: more is full */
	int32_t sync;	  /* enum disk_sync */
	const struct envelope_key *recipient; /* files are sealed; NULL: not */
};
struct disk;
SL_MUST_CHECK int disk_start(const struct disk_opts *o, struct disk **ret_disk);
/* Writes what is queued, tells no results any more. Accepts NULL */
void disk_stop(struct disk *d);
/* Waits until all is written, and tells the results; what they make more of is not waited for. */
void disk_settle(struct disk *d);
/* By the clock: what could not be written is tried again. */
void disk_tick(struct disk *d);
bool disk_is_full(const struct disk *d);
size_t disk_queued(const struct disk *d);

struct disk_result {
	int error;	   /* errno; 0: all is written and has its name */
	bool renamed;	   /* what there is has its name, also after an error; or gets it before any
			    * line that is appended from now on */
	uint64_t bytes;
	uint8_t sha256[32]; /* of the file as it is */
	uint64_t hidden;    /* bit 1 << n: nothing came of the n-th stream, and it is not in it */
};
typedef void disk_done_fn(void *arg, const struct disk_result *r);

struct disk_file;
/* dir is made when it is missing, and again when it has vanished. done is called once, on the loop,
 * after disk_file_end; failed at once when writing fails, if given. NULL: out of memory */
struct disk_file *disk_file_begin(struct disk *d, const char *dir, const char *name,
				  disk_done_fn *done, void (*failed)(void *arg, int error),
				  void *arg);
void *disk_file_arg(const struct disk_file *f);
/* Copies. at: sealed files are written in order, and it is left aside. */
void disk_file_write(struct disk_file *f, uint64_t at, struct sl_str bytes);
void disk_file_end(struct disk_file *f);
/* Small files, whole: replaced by rename */
void disk_put(struct disk *d, const char *dir, const char *name, struct sl_str bytes);
/* At once, not synchronised, for what must be seen before anything else is said. 0 or errno */
int disk_put_now(const char *dir, const char *name, struct sl_str bytes);
/* A file of lines that is added to for long. It is kept open: when it is removed, or moved, it stands
 * at its place again with the next line, and all those before. NULL: out of memory */
struct disk_file *disk_lines_begin(struct disk *d, const char *dir, const char *name);
void disk_append(struct disk_file *lines, struct sl_str bytes);
void disk_lines_end(struct disk_file *lines); /* frees it */
/* Calls fn, in the thread, when all that was asked for before is done; of dir also what waits. */
void disk_then(struct disk *d, void (*fn)(void *arg, const char *dir), void *arg, const char *dir);
/* Calls fn, in the thread that writes, when all bytes that were given before are with the kernel. */
void disk_mark(struct disk *d, void (*fn)(void *arg), void *arg);
/* A file that is written here and there, as it is and never synchronised. It stays when it ends,
 * which frees f. vanished is called, on the loop, when the file was removed, or moved; by then there
 * is another in its place. NULL: out of memory */
struct disk_file *disk_scratch_begin(struct disk *d, const char *dir, const char *name,
				     void (*vanished)(void *arg), void *arg);
void disk_scratch_write(struct disk_file *f, uint64_t at, struct sl_str bytes);
void disk_scratch_end(struct disk_file *f);
void disk_remove(struct disk *d, const char *dir, const char *name);
uint64_t disk_errors(const struct disk *d);

/* Cuts a file that was not written to its end to the bytes that play, at most so many (of a sealed
 * file: of its text), and has it say so. *ret_good 0: nothing plays, and it is as it was. 0 or errno
 */
int disk_cut(int fd, const char *name, uint64_t at_most, uint64_t *ret_good);
/* Streams of which nothing came are no more named: empty.h. Not of a sealed file, whose head cannot
 * be changed. *ret_hidden as in disk_result; 0 or errno */
int disk_hide_empty(int fd, const char *name, uint64_t *ret_hidden);
/* What fd is open for still stands under that name. */
bool disk_is_at(int fd, const char *dir, const char *name);
/* With all directories above it. 0 or errno */
int disk_make_dir(const char *dir);
/* What people and journals are told of an errno */
const char *disk_sentence(int error);
/* 0 or errno */
int disk_hash(int fd, uint8_t ret_sha256[32], uint64_t *ret_bytes);

#endif
