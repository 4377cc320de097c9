/*
 * shm/shm.h: the shared segments: who runs (workers), what is up (sessions, limits), what was
 * counted (metrics) and what happened (trace).
 *
 * Made by the master as memfds, sealed in size, passed to children by descriptor. No pointers, only
 * indices; no secrets; fixed capacity. Every word has one writer or is changed by CAS only.
 * Whatever kill -9 leaves is valid or visibly stale: an owner word (slot << 16 | epoch) whose epoch
 * is not its slot's is dead, and so is what it owned. Nothing here waits. Each segment starts with
 * magic, layout version, element size, capacity and boot id, checked at attach.
 */
#ifndef SHM_SHM_H
#define SHM_SHM_H

#include <sluice/addr.h>
#include <sluice/metric.h>
#include <sluice/trace.h>

struct shm_sizes {
	unsigned n_slots; /* process slots: workers and aux of all live generations */
	unsigned n_sessions;
	unsigned n_limits;   /* one per key and slot that holds it */
	size_t metric_bytes; /* per slot */
	unsigned n_trace;    /* records per slot, power of two */
};

enum shm_segment { SHM_WORKERS, SHM_SESSIONS, SHM_LIMITS, SHM_METRICS, SHM_TRACE, SHM_SEGMENTS };
extern const char *const shm_segment_names[SHM_SEGMENTS];

struct shm; /* the mapped set */
int shm_create(const struct shm_sizes *sizes, int ret_fds[SHM_SEGMENTS]);
/* Maps; fds stay the caller's; -SL_EABI on another layout */
int shm_attach(const int fds[SHM_SEGMENTS], bool writable, struct shm **ret_shm);
void shm_detach(struct shm *s);
const struct shm_sizes *shm_sizes(const struct shm *s);

/* ---- workers */
enum worker_state { WORKER_FREE, WORKER_STARTING, WORKER_SERVING, WORKER_DRAINING, WORKER_GONE };
struct worker_slot { /* 64 bytes */
	uint32_t pid;
	uint16_t epoch;	     /* W: master, at each start */
	uint16_t kind;	     /* 0 worker, 1 aux. W: master */
	uint32_t generation; /* W: master */
	uint32_t state;	     /* enum worker_state. W: the worker while it lives, master otherwise */
	uint64_t heartbeat_ms;	/* W: worker */
	uint64_t started_ms;	/* W: master */
	uint32_t load_permille; /* busy share of the last second. W: worker */
	uint32_t n_sessions;	/* W: worker */
	uint64_t cpu_ns;	/* CPU time of this process; W: worker */
	char name[16];		/* "worker", or the aux module. W: master */
};
struct worker_slot *shm_worker(struct shm *s, unsigned slot);
/* The live owner word of a slot */
uint32_t shm_owner(const struct shm *s, unsigned slot);
static inline unsigned owner_slot(uint32_t owner)
{
	return owner >> 16;
}
bool shm_owner_alive(const struct shm *s, uint32_t owner);
/* The generation new work goes to. W: master. */
uint32_t shm_generation(const struct shm *s);
void shm_set_generation(struct shm *s, uint32_t generation);
/* Wall of the node: live serving workers of the current generation, as slots; returns their number.
 */
unsigned shm_current_slots(const struct shm *s, uint16_t *ret_slots, unsigned max);

/* ---- sessions: one writer per entry, its owner; readers copy and re-check */
enum session_state { SESSION_FREE, SESSION_OPEN, SESSION_CLOSING, SESSION_LOST };
#define SESSION_LIMITS 4
struct session_entry {	 /* 256 bytes; see sessions.c for the order of writes */
	uint32_t change; /* odd while the owner writes */
	uint32_t owner;	 /* claimed by CAS from 0 */
	uint8_t sid[16]; /* random, the owner's slot in its first 12 bits */
	uint8_t kind;	 /* enum sl_session_kind */
	uint8_t state;
	uint16_t listener;
	uint32_t node;
	uint64_t created_ms, expires_ms; /* CLOCK_MONOTONIC; 0: none */
	uint64_t room, peer;		 /* hashes */
	uint64_t
		limits[SESSION_LIMITS]; /* keys in the limits segment held by this entry, 0: none */
	struct sl_addr remote;		/* unset: not in the tuple index */
	char ufrag[8];			/* local ufrag, NUL-padded; empty: not in the ufrag index */
	uint64_t packets_in, bytes_in, packets_out, bytes_out; /* relaxed, outside `change` */
	uint32_t lost, rtt_us, jitter_us, reserved;
	uint64_t last_receive_ms;
	uint64_t words[4]; /* handed out to modules by name */
	char label[24];	   /* for people: user, peer name, cut. NUL-terminated */
};
_Static_assert(sizeof(struct session_entry) <= 256, "a session entry is four cache lines");

/* Claims a free entry for self_owner (state FREE -> being written). -SL_EFULL. */
int shm_session_claim(struct shm *s, uint32_t self_owner, uint32_t *ret_index);
/* The owner's writable view */
struct session_entry *shm_session(struct shm *s, uint32_t index);
/* Change becomes odd */
void shm_session_begin(struct session_entry *e);
void shm_session_end(struct session_entry *e);
/*
 * Enters the sid, ufrag and tuple indexes by what the entry says; where it is already, it stays.
 * -SL_EFULL, -SL_EEXIST (a live other entry has the same key); then nothing was entered. Unindex
 * before a key changes.
 */
int shm_session_index(struct shm *s, uint32_t index);
void shm_session_unindex(struct shm *s, uint32_t index);
/* Unindexes, gives its limits back, frees */
void shm_session_release(struct shm *s, uint32_t index);
/* A consistent copy, or -SL_ENOENT (free, dead, or kept changing). */
int shm_session_read(const struct shm *s, uint32_t index, struct session_entry *ret_copy);
/* Live owners only. Cost: one or two cache lines for a miss. */
int shm_find_sid(const struct shm *s, const uint8_t sid[16], uint32_t *ret_index,
		 uint32_t *ret_owner);
int shm_find_ufrag(const struct shm *s, const char *ufrag, uint32_t *ret_index,
		   uint32_t *ret_owner);
int shm_find_tuple(const struct shm *s, uint16_t listener, const struct sl_addr *remote,
		   uint32_t *ret_index, uint32_t *ret_owner);
unsigned shm_sessions_live(const struct shm *s);
/* Master: after a slot's process died. Calls fn for each entry it owned, then frees them, their
 * index words and limits. */
typedef void session_sweep_fn(void *arg, const struct session_entry *e);
unsigned shm_sweep(struct shm *s, uint32_t dead_owner, session_sweep_fn *fn, void *arg);
/* Consistency for tests: index words without entry, entries without index words, limits that do not
 * add up; 0 is right. */
unsigned shm_audit(const struct shm *s);

/* ---- limits: counts per key over all workers, held by owner so that they die with it */
/* -SL_ELIMIT at max; -SL_EFULL when there are too many keys. Two takers of the last unit may both
 * be refused, never both served. */
int shm_limit_take(struct shm *s, uint32_t self_owner, uint64_t key, uint32_t max);
void shm_limit_give(struct shm *s, uint32_t self_owner, uint64_t key);
/* Live owners only */
uint32_t shm_limit_count(const struct shm *s, uint64_t key);

/* ---- metrics: per slot, self-describing */
struct metric_table {
	const char *module;
	const struct sl_metric *metrics; /* ends with a NULL name */
	struct sl_meter *ret_meters;	 /* filled, one per row */
};
/* Lays out this slot's area; counters of the same name keep their value from earlier epochs, gauges
 * start at 0. */
int shm_metrics_open(struct shm *s, unsigned slot, const struct metric_table *tables, unsigned n);
struct metric_view {
	const char *module, *name, *unit, *help;
	uint8_t kind;
	const uint64_t *bounds; /* histogram */
	unsigned n_words;
	const uint64_t *words; /* read with relaxed atomics */
};
typedef void metric_fn(void *arg, unsigned slot, const struct metric_view *v);
/* Nothing for a slot never used; no gauges while no process lives in the slot. Histogram words are
 * not cumulative. */
void shm_metrics_each(const struct shm *s, unsigned slot, metric_fn *fn, void *arg);

/* ---- trace */
struct trace_record {	  /* 32 bytes */
	uint64_t time_ns; /* CLOCK_MONOTONIC; written last */
	uint64_t session;
	uint32_t event; /* enum sl_trace_event; upper 16 bits: low bits of the epoch */
	uint32_t b_high_reserved;
	uint64_t a_b; /* a: upper 32 bits, b: lower 32, both saturated */
};
/* Sl_trace of this process writes there from now on */
void shm_trace_open(struct shm *s, unsigned slot);
void shm_trace_close(void);
/* Oldest first */
unsigned shm_trace_read(const struct shm *s, unsigned slot, struct trace_record *ret, unsigned max);
/* The template with %a and %b */
const char *shm_trace_text(uint32_t event);

#endif
