/*
 * shm/shm_impl.h: what the files of this folder share: the head of a segment, the mapped set, and
 * the seams between sessions, their indexes, limits and the sweep.
 *
 * Shared words are read and written with __atomic built-ins, except the fields of a session
 * entry, which its one writer stores plainly between shm_session_begin and shm_session_end and
 * which readers copy word by word.
 */
#ifndef SHM_SHM_IMPL_H
#define SHM_SHM_IMPL_H

#include "shm/shm.h"

#define SHM_LINE 64	   /* bytes of a cache line; every area starts on one */
#define SHM_MAX_SLOTS 4096 /* a sid has 12 bits for its slot */

struct seg_head { /* first 64 bytes of each segment. W: its maker, once */
	uint32_t magic;
	uint16_t version, which;
	uint32_t element_bytes;
	uint32_t n_slots, n_sessions, n_limits, n_trace, reserved;
	uint64_t metric_bytes;
	uint8_t boot_id[16]; /* random, one for the set; also keys the hashes of the indexes */
	uint64_t reserved2;
};
_Static_assert(sizeof(struct seg_head) == SHM_LINE, "a segment's head is one cache line");

struct session_cell {
	_Alignas(SHM_LINE) struct session_entry e;
};
_Static_assert(sizeof(struct session_cell) == 256, "an entry's stride is four cache lines");

enum index_kind { INDEX_SID, INDEX_UFRAG, INDEX_TUPLE, N_INDEXES };

struct limit_cell {
	uint64_t word; /* owner:32 | count:32; claimed by CAS from 0, then written by the owner */
	uint64_t key;  /* W: owner, while count is 0 */
};

struct shm {
	struct shm_sizes sizes;
	bool writable;
	uint8_t hash_key[16];
	void *base[SHM_SEGMENTS];
	size_t bytes[SHM_SEGMENTS];
	uint32_t *generation;
	struct worker_slot *workers;
	uint64_t *taken; /* bitmap over the entries: 1 is probably in use; see sessions.c */
	uint64_t *buckets[N_INDEXES];
	uint32_t bucket_mask; /* buckets of one index - 1 */
	struct session_cell *sessions;
	struct limit_cell *limits;
	uint8_t *metrics;
	uint8_t *trace;
	uint32_t claim_at; /* word of the bitmap to look at first; private to this process */
	bool claimed;	   /* claim_at is set */
};

static inline size_t shm_align(size_t n)
{
	return (n + SHM_LINE - 1) & ~(size_t)(SHM_LINE - 1);
}

/* Size of a segment behind its head, and its parts once mapped. */
size_t workers_bytes(const struct shm_sizes *z);
void workers_bind(struct shm *s, uint8_t *body);
size_t sessions_bytes(const struct shm_sizes *z);
void sessions_bind(struct shm *s, uint8_t *body);
size_t limits_bytes(const struct shm_sizes *z);
void limits_bind(struct shm *s, uint8_t *body);
size_t metrics_bytes(const struct shm_sizes *z);
void metrics_bind(struct shm *s, uint8_t *body);
size_t trace_bytes(const struct shm_sizes *z);
void trace_bind(struct shm *s, uint8_t *body);

/* sessions.c. What finds need of an entry: everything before its counters. */
#define ENTRY_IDENTITY_BYTES offsetof(struct session_entry, packets_in)
int entry_copy(const struct shm *s, uint32_t index, struct session_entry *ret_copy, size_t bytes);
uint32_t entry_owner(const struct shm *s, uint32_t index);
/* Of the caller, or of a dead owner */
void entry_free(struct shm *s, uint32_t index);
/* Its bit in the bitmap */
bool entry_marked(const struct shm *s, uint32_t index);
void entry_unmark(struct shm *s, uint32_t index);

/* index.c */
/* Of one index */
size_t index_bytes(const struct shm_sizes *z);
/* Returns what lies behind the indexes */
uint8_t *index_bind(struct shm *s, uint8_t *at);
/* Whether the word of this entry is there, or it has no such key. */
bool index_has(const struct shm *s, enum index_kind kind, uint32_t index,
	       const struct session_entry *e);
/* Every word that leads to an entry of this owner. */
void index_remove_dead(struct shm *s, uint32_t dead_owner);
unsigned index_audit(const struct shm *s);

/* limits.c */
void limits_remove_dead(struct shm *s, uint32_t dead_owner);
unsigned limits_audit(const struct shm *s);

#endif
