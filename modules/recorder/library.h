/*
 * recorder/library.h: recordings as they lie on a disk, for the commands: read whole, with the
 * journal checked.
 */
#ifndef RECORDER_LIBRARY_H
#define RECORDER_LIBRARY_H

#include <sluice/json.h>
#include <sluice/tool.h>
#include "envelope.h"

enum { LIBRARY_MAX_PATH = 2048 };

struct recorded {
	char path[LIBRARY_MAX_PATH];
	json_t *manifest;  /* an object */
	json_t *segments;  /* array of the journal's lines of that type */
	json_t *notes;	   /* of its other lines */
	size_t n_vanished; /* of the segments: before the directory was removed, last */
	json_t *uploaded;  /* names of files that storage has: object; NULL: none */
	uint64_t n_lines;  /* of the journal that hold */
	bool open;	   /* it runs, or a crash left it */
	bool broken;	   /* a line does not follow those before */
	bool cut;	   /* lines that the manifest knew are missing at the end */
};
/* -SL_ENOENT: no recording. recorded_close() also after an error. */
SL_MUST_CHECK int recorded_open(struct recorded *r, const char *path);
void recorded_close(struct recorded *r);
/* Calls fn for DIR itself if it is a recording, else for each below it, two levels deep, by name;
 * returns how many. */
unsigned library_each(const char *dir, void (*fn)(void *arg, const char *path), void *arg);

/* A segment's file, opened, and in the clear when a key is given: a memory file then. Negative:
 * -SL_ESYS with errno, -SL_EAUTH; -SL_EUNSUPP: sealed, and no key. *ret_whole: nothing was cut off */
SL_MUST_CHECK int recorded_file(const struct recorded *r, const json_t *segment,
				const struct envelope_key *key, bool *ret_whole);
/* 0, or a sentence on standard error and NULL */
struct envelope_key *library_key(const char *file);
/* The digest is as the journal says. -SL_ENOENT, -SL_EAUTH, -SL_ESYS; -SL_EUNSUPP: it was uploaded,
 * and is not here any more */
SL_MUST_CHECK int recorded_check(const struct recorded *r, const json_t *segment);

/* ---- export.c: all tracks in one file, without transcoding. key: NULL when nothing is sealed.
 * Prints its own errors; the exit status. */
int export_recording(const struct recorded *r, const struct envelope_key *key, const char *to);

#endif
