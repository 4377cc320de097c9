/*
 * recorder/delivery.h: a recording on its way to storage, and what of it has arrived.
 *
 * The recording's directory says all: finished files are in its journal, and ".upload" has a line
 * for each that arrived, and for each part of those that go in parts. So whoever comes after a crash
 * goes on where the other was. When all has arrived, journal and manifest last, ".upload" becomes
 * ".uploaded". A lock on it keeps two processes apart. All of this blocks.
 */
#ifndef RECORDER_DELIVERY_H
#define RECORDER_DELIVERY_H

#include <sluice/json.h>
#include "manifest.h"
#include "s3.h"
#include "shelf.h"

struct upload_counts { /* atomic: threads add, the loop reads */
	uint64_t files, bytes, errors, mismatches;
};

struct delivery {
	const struct upload_conf *conf;
	struct upload_counts *counts;
	char dir[SHELF_PATH], key[SHELF_PATH + 600]; /* key: what stands before a file's name */
	json_t *done;	 /* names of files that have arrived: object */
	json_t *parts;	 /* of files on their way: {file: {upload, part_bytes, tags: [...]}} */
	json_t *pending; /* lines of segments, in order */
	uint64_t journal_at, state_len; /* read so far */
	int state_fd;
	/* Why a pass has ended early: */
	char why[400];
	char room[130]; /* its name, once all has arrived */
	unsigned n_sent;   /* files that went in the last pass */
	uint64_t after_ms; /* the server wants to be left alone so long; 0: it does not say */
};
/* root: the directory that dir is below */
SL_MUST_CHECK int delivery_open(const struct upload_conf *conf, const char *root, const char *dir,
				struct upload_counts *counts, struct delivery **ret_delivery);
void delivery_free(struct delivery *d); /* accepts NULL */
/*
 * Whatever can be uploaded now. 0, with *ret_finished: the recording is over and all of it there.
 * -SL_EAGAIN: the server is not well; -SL_EDENIED: it refuses; -SL_EAUTH: it has something else
 * than was sent; -SL_ESYS: files cannot be read; -SL_ENOENT: the recording is gone; -SL_EFULL:
 * another process is at it.
 */
SL_MUST_CHECK int delivery_pass(struct delivery *d, struct s3 *s, bool *ret_finished);

/* ---- delivery_file.c */
struct delivery_file {
	const char *name;
	struct sl_str sha256; /* hexadecimal, as the journal has it; empty: whatever it is now */
};
/* Sends the file and verifies what the server has. Results as of delivery_pass */
SL_MUST_CHECK int delivery_send(struct delivery *d, struct s3 *s, const struct delivery_file *f);
/* A line into ".upload"; takes o. -SL_ESYS */
SL_MUST_CHECK int delivery_note(struct delivery *d, json_t *o);

#endif
