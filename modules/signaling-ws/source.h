/*
 * signaling-ws/source.h: what one peer hears from another, put in order. Pure.
 *
 * While peers move between workers, messages of one sender can take different ways. Each carries a
 * number of its own for this sender and receiver; what comes early waits for what is missing, and
 * what comes twice is dropped.
 */
#ifndef SIGNALING_SOURCE_H
#define SIGNALING_SOURCE_H

#include <sluice/str.h>

#define SOURCE_PATIENCE_MS 5000 /* a worker that died may have taken the missing one along */

struct late {
	struct late *next;
	uint32_t number;
	size_t len;
	char body[];
};

struct source {
	struct source *next;
	uint64_t from;	      /* peer */
	uint32_t next_number; /* from 1 */
	struct late *first;   /* ascending numbers, all above next_number */
	unsigned n_late;
	uint64_t since_ms; /* first != NULL: when the gap was found */
};

/* Made when missing. NULL: out of memory. */
struct source *source_get(struct source **list, uint64_t from);
void source_drop(struct source **list, uint64_t from);
void sources_free(struct source **list);

/* 0: it is its turn, the caller delivers. -SL_EAGAIN: kept until then. -SL_EEXIST: was there
 * before. -SL_ENOMEM. */
int source_accept(struct source *s, uint32_t number, struct sl_str body, uint64_t now_ms);
/* The next one whose turn has come, or whose predecessor is given up; the caller frees it. NULL:
 * none. */
struct late *source_take(struct source *s, uint64_t now_ms);

#endif
