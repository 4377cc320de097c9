/*
 * shm/trace.c: the flight recorder: per slot a ring of records with one writer, read by anybody,
 * also after a crash.
 *
 * A record is valid when its time is not 0. The writer clears the time, writes the rest, then the
 * time, then moves the position on; so a record cut short by kill -9 is skipped, and the
 * successor in the slot goes on behind the last whole one. A reader accepts a record when its
 * time was the same before and after and the ring has not come round meanwhile.
 */
#include "shm/shm_impl.h"

#include <sluice/clock.h>

struct trace_ring { /* one cache line, then the records */
	uint64_t position; /* records written so far. W: the slot's process */
};

_Static_assert(sizeof(struct trace_record) == 32, "two records are one cache line");

/* Where sl_trace of this process writes; ring NULL: nowhere. */
static struct recorder {
	struct trace_ring *ring;
	struct trace_record *records;
	uint32_t mask, epoch_bits;
} recorder;

static const char *const texts[] = {
#define X(name, text) [SL_TRACE_##name] = text,
	SL_TRACE_EVENTS(X)
#undef X
};

static size_t ring_bytes(const struct shm_sizes *z)
{
	return SHM_LINE + shm_align(z->n_trace * sizeof(struct trace_record));
}

size_t trace_bytes(const struct shm_sizes *z)
{
	return z->n_slots * ring_bytes(z);
}

void trace_bind(struct shm *s, uint8_t *body)
{
	s->trace = body;
}

static struct trace_ring *ring_of(const struct shm *s, unsigned slot)
{
	return (struct trace_ring *)(void *)(s->trace + slot * ring_bytes(&s->sizes));
}

static struct trace_record *records_of(struct trace_ring *ring)
{
	return (struct trace_record *)(void *)((uint8_t *)ring + SHM_LINE);
}

void shm_trace_open(struct shm *s, unsigned slot)
{
	if (!sl_check(slot < s->sizes.n_slots && s->writable))
		return;
	recorder.ring = ring_of(s, slot);
	recorder.records = records_of(recorder.ring);
	recorder.mask = s->sizes.n_trace - 1;
	recorder.epoch_bits = shm_owner(s, slot) << 16;
}

void shm_trace_close(void)
{
	recorder.ring = NULL;
}

/* The largest value says "at least so much", where cutting would tell a wrong number. */
static uint32_t saturate(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

void sl_trace(uint64_t session, enum sl_trace_event event, uint64_t a, uint64_t b)
{
	struct trace_record *r;
	uint64_t position;

	if (!recorder.ring)
		return;
	position = recorder.ring->position;
	r = &recorder.records[position & recorder.mask];
	__atomic_store_n(&r->time_ns, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&r->session, session, __ATOMIC_RELAXED);
	__atomic_store_n(&r->event, recorder.epoch_bits | event, __ATOMIC_RELAXED);
	__atomic_store_n(&r->a_b, (uint64_t)saturate(a) << 32 | saturate(b), __ATOMIC_RELAXED);
	__atomic_store_n(&r->time_ns, sl_clock_ns(), __ATOMIC_RELEASE);
	__atomic_store_n(&recorder.ring->position, position + 1, __ATOMIC_RELEASE);
}

/*
 * A consistent copy of the record that was written as number at; false when it was cut short or
 * is overwritten.
 */
static bool read_record(struct trace_ring *ring, uint64_t at, unsigned n_trace,
			struct trace_record *ret)
{
	const struct trace_record *r = &records_of(ring)[at & (n_trace - 1)];

	ret->time_ns = __atomic_load_n(&r->time_ns, __ATOMIC_ACQUIRE);
	ret->session = __atomic_load_n(&r->session, __ATOMIC_RELAXED);
	ret->event = __atomic_load_n(&r->event, __ATOMIC_RELAXED);
	ret->b_high_reserved = 0;
	ret->a_b = __atomic_load_n(&r->a_b, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (ret->time_ns == 0 || __atomic_load_n(&r->time_ns, __ATOMIC_RELAXED) != ret->time_ns)
		return false;
	return __atomic_load_n(&ring->position, __ATOMIC_RELAXED) - at <= n_trace;
}

unsigned shm_trace_read(const struct shm *s, unsigned slot, struct trace_record *ret, unsigned max)
{
	unsigned n_trace = s->sizes.n_trace, n = 0;
	struct trace_ring *ring;
	uint64_t end, at;

	if (slot >= s->sizes.n_slots)
		return 0;
	ring = ring_of(s, slot);
	end = __atomic_load_n(&ring->position, __ATOMIC_ACQUIRE);
	at = end < n_trace ? 0 : end - n_trace;
	if (end - at > max)
		at = end - max;
	for (; at < end; at++)
		n += read_record(ring, at, n_trace, &ret[n]);
	return n;
}

const char *shm_trace_text(uint32_t event)
{
	event &= 0xffff;
	return event < SL_ARRAY_LEN(texts) ? texts[event] : "unknown event";
}
