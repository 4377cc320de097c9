/*
 * event/inbox.c: the rings between processes.
 *
 * Segment: a gate per slot (the receiver's ticket counter and whether it sleeps), then ring
 * [to][from] for each pair. A ring has one writer, which moves `head`, and one reader, which
 * moves `tail`; both count bytes for ever. Records are whole multiples of their header and never
 * wrap: one that does not fit before the end is preceded by a filler, so that a message can be
 * handed out where it lies.
 *
 * Causal order. A sender draws a ticket from the receiver's counter before it publishes. If one
 * message made another happen, over whatever ways, its ticket is smaller and its record was
 * published earlier. The reader therefore hands out the smallest ticket it sees, but only of
 * records that it saw before its last complete look at all heads: what had caused such a record
 * was published before it, and so that look cannot have missed it.
 *
 * Waking. `sleeps` is odd while the reader sleeps and is written by the reader alone. It turns
 * odd before the reader's last look at the rings, and a sender publishes before it reads it: one
 * of the two sees the other. A sender signals once per sleep. Killed between publishing and
 * signalling, it leaves a message that waits for the next one of anybody: nobody counts on the
 * last words of a process that crashed.
 */
#include "event/inbox.h"

#include "os/os.h"

#include <stdlib.h>
#include <sluice/clock.h>

#define LINE 64
#define BATCH 256 /* messages per tick; a dear one may take as long as a hundred others: */
#define TICK_NS (2 * SL_NS_PER_MS)
#define LAST_BATCH (64 * BATCH)
#define FILLER UINT32_MAX

struct gate {				 /* one per slot, of the receiver */
	_Alignas(LINE) uint64_t tickets; /* CAS: senders */
	_Alignas(LINE) uint32_t sleeps;	 /* W: receiver */
};

struct ring {
	_Alignas(LINE) uint64_t head; /* W: sender */
	_Alignas(LINE) uint64_t tail; /* W: receiver */
};

struct record {
	uint32_t len;	   /* bytes behind the header, or FILLER */
	uint32_t to, from; /* owner words */
	uint32_t channel;
	uint64_t ticket;
	uint16_t type;
	uint16_t reserved[3];
};
_Static_assert(sizeof(struct record) == 32, "records are multiples of 32 bytes");

/* What this process remembers of a ring it reads. */
struct source {
	struct ring *ring;
	uint8_t *data;
	uint64_t tail;
	uint64_t seen, confirmed; /* head at the last look, and at the one before */
	uint64_t ticket;	  /* of the record at tail, when there is one */
};

/* What this process remembers of a slot it writes to. */
struct target {
	struct gate *gate;
	struct ring *ring;
	uint8_t *data;
	uint64_t tail_seen;
	uint32_t woken; /* the sleep that was signalled */
};

struct inbox {
	unsigned n_slots, self;
	uint32_t self_owner;
	size_t ring_bytes;
	struct gate *gate; /* our own */
	const int *wake_fds;
	struct target *targets; /* n_slots */
	struct source *sources; /* n_slots */
	struct source **active; /* those with something to read */
	unsigned n_active;
	uint64_t n_dropped;
	struct sl_loop *loop;
	struct sl_event ev;
	inbox_fn *fn;
	void *arg;
};

/* ---- layout */

static size_t usable_bytes(size_t ring_bytes)
{
	return ring_bytes & ~(size_t)(LINE - 1);
}

size_t inbox_segment_bytes(unsigned n_slots, size_t ring_bytes)
{
	size_t n_rings = (size_t)n_slots * n_slots;

	return n_slots * sizeof(struct gate) +
	       n_rings * (sizeof(struct ring) + usable_bytes(ring_bytes));
}

static struct gate *gate_at(void *segment, unsigned slot)
{
	return (struct gate *)segment + slot;
}

/* The positions of all rings lie together, those of one receiver side by side: it looks at all. */
static struct ring *ring_at(void *segment, unsigned n_slots, unsigned to, unsigned from)
{
	struct ring *rings = (struct ring *)(void *)gate_at(segment, n_slots);

	return rings + (size_t)to * n_slots + from;
}

static uint8_t *data_at(void *segment, const struct inbox *in, unsigned to, unsigned from)
{
	uint8_t *data = (uint8_t *)ring_at(segment, in->n_slots, in->n_slots, 0);

	return data + ((size_t)to * in->n_slots + from) * in->ring_bytes;
}

/* Positions go on where the predecessor in this slot left them. */
static void bind_rings(struct inbox *in, void *segment)
{
	in->gate = gate_at(segment, in->self);
	for (unsigned i = 0; i < in->n_slots; i++) {
		struct target *t = &in->targets[i];
		struct source *src = &in->sources[i];

		t->gate = gate_at(segment, i);
		t->ring = ring_at(segment, in->n_slots, i, in->self);
		t->data = data_at(segment, in, i, in->self);
		t->tail_seen = __atomic_load_n(&t->ring->tail, __ATOMIC_ACQUIRE);
		src->ring = ring_at(segment, in->n_slots, in->self, i);
		src->data = data_at(segment, in, in->self, i);
		src->tail = src->seen = src->confirmed = src->ring->tail;
	}
}

int inbox_open(struct inbox **ret_inbox, void *segment, size_t bytes, unsigned n_slots,
	       size_t ring_bytes, const int *wake_fds, uint32_t self_owner)
{
	unsigned self = self_owner >> 16;
	struct inbox *in;

	if (self >= n_slots || usable_bytes(ring_bytes) < 4 * sizeof(struct record) ||
	    bytes < inbox_segment_bytes(n_slots, ring_bytes))
		return -SL_EINVAL;
	in = calloc(1, sizeof *in);
	if (!in)
		return -SL_ENOMEM;
	in->n_slots = n_slots;
	in->self = self;
	in->self_owner = self_owner;
	in->ring_bytes = usable_bytes(ring_bytes);
	in->wake_fds = wake_fds;
	in->targets = calloc(n_slots, sizeof *in->targets);
	in->sources = calloc(n_slots, sizeof *in->sources);
	in->active = calloc(n_slots, sizeof *in->active);
	if (!in->targets || !in->sources || !in->active) {
		inbox_close(in);
		return -SL_ENOMEM;
	}
	bind_rings(in, segment);
	*ret_inbox = in;
	return 0;
}

void inbox_close(struct inbox *in)
{
	if (!in)
		return;
	if (in->loop)
		sl_event_del(in->loop, &in->ev);
	free(in->targets);
	free(in->sources);
	free(in->active);
	free(in);
}

uint64_t inbox_dropped(const struct inbox *in)
{
	return in->n_dropped;
}

/* ---- sending */

static size_t record_bytes(size_t len)
{
	return sizeof(struct record) + ((len + 31) & ~(size_t)31);
}

static struct record *record_at(uint8_t *data, size_t ring_bytes, uint64_t position)
{
	return (struct record *)(void *)(data + position % ring_bytes);
}

/* Room for n bytes in one piece behind a filler; false when the reader has to read first. */
static bool make_room(struct inbox *in, struct target *t, size_t n, uint64_t *ret_position)
{
	uint64_t head = t->ring->head;
	size_t left = in->ring_bytes - head % in->ring_bytes, filler = left < n ? left : 0;

	if (in->ring_bytes - (head - t->tail_seen) < filler + n) {
		t->tail_seen = __atomic_load_n(&t->ring->tail, __ATOMIC_ACQUIRE);
		if (in->ring_bytes - (head - t->tail_seen) < filler + n)
			return false;
	}
	if (filler)
		record_at(t->data, in->ring_bytes, head)->len = FILLER;
	*ret_position = head + filler;
	return true;
}

static void copy_out(uint8_t *to, const struct iovec *iov, unsigned n_iov)
{
	for (unsigned i = 0; i < n_iov; i++) {
		if (iov[i].iov_len)
			memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* One system call per sleep of the reader, however many messages. */
static void wake(struct inbox *in, unsigned slot)
{
	struct target *t = &in->targets[slot];
	uint32_t sleeps = __atomic_load_n(&t->gate->sleeps, __ATOMIC_SEQ_CST);

	if (!(sleeps & 1) || sleeps == t->woken)
		return;
	sock_eventfd_signal(in->wake_fds[slot]);
	t->woken = sleeps;
}

int inbox_send(struct inbox *in, uint32_t to_owner, uint32_t channel, uint16_t type,
	       const struct iovec *iov, unsigned n_iov)
{
	unsigned slot = to_owner >> 16;
	struct target *t;
	struct record *r;
	uint64_t position;
	size_t len = 0;

	if (slot >= in->n_slots)
		return -SL_EINVAL;
	for (unsigned i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > INBOX_MAX_MESSAGE - len)
			return -SL_ELIMIT;
		len += iov[i].iov_len;
	}
	/* Half a ring always finds room in one piece once the reader has read all. */
	if (record_bytes(len) > in->ring_bytes / 2)
		return -SL_ELIMIT;
	t = &in->targets[slot];
	if (!make_room(in, t, record_bytes(len), &position))
		return -SL_EFULL;
	r = record_at(t->data, in->ring_bytes, position);
	*r = (struct record){
		.len = (uint32_t)len,
		.to = to_owner,
		.from = in->self_owner,
		.channel = channel,
		.type = type,
	};
	copy_out((uint8_t *)(r + 1), iov, n_iov);
	r->ticket = __atomic_fetch_add(&t->gate->tickets, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->ring->head, position + record_bytes(len), __ATOMIC_SEQ_CST);
	wake(in, slot);
	return 0;
}

/* ---- receiving */

static void move_tail(struct source *src, uint64_t tail)
{
	src->tail = tail;
	__atomic_store_n(&src->ring->tail, tail, __ATOMIC_RELEASE);
}

/*
 * Whether what stands at tail can be a record; anything else was written over by a broken
 * process.
 */
static bool record_ok(const struct inbox *in, const struct source *src, const struct record *r)
{
	uint64_t left = src->seen - src->tail;

	if (left % sizeof *r != 0 || left > in->ring_bytes)
		return false;
	if (r->len == FILLER)
		return left >= in->ring_bytes - src->tail % in->ring_bytes;
	return r->len <= INBOX_MAX_MESSAGE && record_bytes(r->len) <= left &&
	       record_bytes(r->len) <= in->ring_bytes - src->tail % in->ring_bytes;
}

/*
 * Moves over fillers, and over records for predecessors, to the next record for us; false when
 * none was seen.
 */
static bool find_record(struct inbox *in, struct source *src)
{
	while (src->tail != src->seen) {
		const struct record *r = record_at(src->data, in->ring_bytes, src->tail);

		if (!record_ok(in, src, r)) {
			in->n_dropped++;
			move_tail(src, src->seen);
		} else if (r->len == FILLER) {
			move_tail(src, src->tail + in->ring_bytes - src->tail % in->ring_bytes);
		} else if (r->to != in->self_owner) {
			in->n_dropped++;
			move_tail(src, src->tail + record_bytes(r->len));
		} else {
			src->ticket = r->ticket;
			return true;
		}
	}
	return false;
}

/* A complete look at all heads: what an earlier look has seen is confirmed by it. */
static void look(struct inbox *in)
{
	in->n_active = 0;
	for (unsigned i = 0; i < in->n_slots; i++) {
		struct source *src = &in->sources[i];

		src->confirmed = src->seen;
		src->seen = __atomic_load_n(&src->ring->head, __ATOMIC_SEQ_CST);
		if (find_record(in, src))
			in->active[in->n_active++] = src;
	}
}

/* Few rings have something at a time, so a heap would cost more than it saves. */
static unsigned smallest_ticket(const struct inbox *in)
{
	unsigned best = 0;

	for (unsigned i = 1; i < in->n_active; i++)
		if (in->active[i]->ticket < in->active[best]->ticket)
			best = i;
	return best;
}

/* Hands out the record at tail, and only then gives its room back. */
static void deliver(struct inbox *in, struct source *src)
{
	const struct record *r = record_at(src->data, in->ring_bytes, src->tail);
	const struct inbox_msg msg = {
		.channel = r->channel,
		.from = r->from,
		.type = r->type,
		.data = (const uint8_t *)(r + 1),
		.len = r->len,
	};
	uint64_t next = src->tail + record_bytes(r->len);

	in->fn(in->arg, &msg);
	move_tail(src, next);
}

/* Hands out one message of those seen; false when there is none. */
static bool receive(struct inbox *in)
{
	while (in->n_active > 0) {
		unsigned at = smallest_ticket(in);
		struct source *src = in->active[at];

		if ((int64_t)(src->confirmed - src->tail) <= 0) {
			look(in);
			continue;
		}
		deliver(in, src);
		if (!find_record(in, src))
			in->active[at] = in->active[--in->n_active];
		return true;
	}
	return false;
}

static void set_sleeping(struct inbox *in, bool asleep)
{
	uint32_t sleeps = in->gate->sleeps;

	if ((sleeps & 1) != asleep)
		__atomic_store_n(&in->gate->sleeps, sleeps + 1, __ATOMIC_SEQ_CST);
}

/* Media is read and sent between ticks, and does not wait for what others have to say. */
static bool is_enough(unsigned n, uint64_t end_ns)
{
	return n == BATCH || (n > 0 && sl_clock_ns() >= end_ns);
}

static void on_wake(struct sl_event *ev, unsigned ready)
{
	struct inbox *in = ev->arg;
	uint64_t end_ns = sl_clock_ns() + TICK_NS;
	unsigned n = 0;

	(void)ready;
	set_sleeping(in, false);
	sock_eventfd_clear(ev->fd);
	look(in);
	for (;;) {
		while (!is_enough(n, end_ns) && receive(in))
			n++;
		if (is_enough(n, end_ns)) {
			sock_eventfd_signal(ev->fd); /* the rest is for the next tick */
			return;
		}
		set_sleeping(in, true);
		look(in);
		if (in->n_active == 0)
			return;
		set_sleeping(in, false);
	}
}

/* Bounded: those who go on sending do not keep us here. */
void inbox_read(struct inbox *in)
{
	unsigned n = 0;

	if (!in->loop)
		return;
	look(in);
	while (n < LAST_BATCH && receive(in))
		n++;
}

int inbox_listen(struct inbox *in, struct sl_loop *l, inbox_fn *fn, void *arg)
{
	int ret;

	if (in->loop)
		return -SL_EINVAL;
	in->ev = (struct sl_event){.fd = in->wake_fds[in->self], .fn = on_wake, .arg = in};
	ret = sl_event_add(l, &in->ev, SL_READ);
	if (ret < 0)
		return ret;
	in->loop = l;
	in->fn = fn;
	in->arg = arg;
	/*
	 * What came before, and what a predecessor was never woken for, is looked at in the first
	 * tick.
	 */
	sock_eventfd_signal(in->ev.fd);
	return 0;
}
