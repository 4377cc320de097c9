/*
 * test_inbox_stress.c: the inbox between real processes at full speed: causal order over any
 * ways, and kill -9 at any place.
 */
#include "../lib/test.h"
#include "../lib/kid.h"
#include "event/inbox.h"
#include "event/loop.h"
#include "os/os.h"

#define N_SLOTS 5
#define RING 8192
#define READER 0

struct node {
	void *segment;
	size_t bytes;
	int wake_fds[N_SLOTS];
};

static void node_new(struct node *n)
{
	n->bytes = inbox_segment_bytes(N_SLOTS, RING);
	n->segment = kid_memory(n->bytes);
	for (unsigned i = 0; i < N_SLOTS; i++)
		sl_assert(sock_eventfd(&n->wake_fds[i]) == 0);
}

static void node_free(struct node *n)
{
	munmap(n->segment, n->bytes);
	for (unsigned i = 0; i < N_SLOTS; i++)
		close(n->wake_fds[i]);
}

static uint32_t owner(unsigned slot, unsigned epoch)
{
	return slot << 16 | epoch;
}

static struct inbox *open_inbox(const struct node *n, uint32_t self)
{
	struct inbox *in = NULL;

	sl_assert(inbox_open(&in, n->segment, n->bytes, N_SLOTS, RING, n->wake_fds, self) == 0);
	return in;
}

static struct sl_loop *listen_on(struct inbox *in, inbox_fn *fn, void *arg)
{
	struct sl_loop *l = NULL;

	sl_assert(loop_new(&l) == 0 && inbox_listen(in, l, fn, arg) == 0);
	return l;
}

/* ---- causal order: every message tells what it knows of the messages to the reader */

#define N_EACH 30000 /* messages of each writer to the reader */

struct knowledge {
	uint64_t n_sent[N_SLOTS]; /* to the reader, by sender */
};

struct writer {
	unsigned slot;
	struct inbox *in;
	struct sl_loop *l;
	struct knowledge known;
};

static void learn(void *arg, const struct inbox_msg *msg)
{
	struct writer *w = arg;
	struct knowledge k;

	memcpy(&k, msg->data, sizeof k);
	for (unsigned i = 0; i < N_SLOTS; i++)
		if (k.n_sent[i] > w->known.n_sent[i])
			w->known.n_sent[i] = k.n_sent[i];
}

static bool tell(struct writer *w, unsigned to)
{
	static uint8_t padding[256];
	struct knowledge k = w->known;
	struct iovec iov[2] = {{&k, sizeof k}, {padding, k.n_sent[w->slot] * 13 % sizeof padding}};

	k.n_sent[w->slot] += to == READER;
	if (inbox_send(w->in, owner(to, 1), 0, 0, iov, 2) < 0)
		return false;
	w->known = k;
	return true;
}

static void write_all(const struct node *n, unsigned slot)
{
	struct writer w = {.slot = slot, .in = open_inbox(n, owner(slot, 1))};
	uint64_t seed = slot;

	w.l = listen_on(w.in, learn, &w);
	while (w.known.n_sent[slot] < N_EACH) {
		unsigned to = (unsigned)(kid_random(&seed) % N_SLOTS);

		if (to != slot && !tell(&w, to))
			sched_yield(); /* full: the reader needs the processor */
		sl_assert(loop_tick(w.l, 0) == 0);
	}
	_exit(0);
}

struct check {
	struct knowledge delivered;
	uint64_t n, n_wrong;
};

static void verify(void *arg, const struct inbox_msg *msg)
{
	struct check *c = arg;
	unsigned from = msg->from >> 16;
	struct knowledge k;

	memcpy(&k, msg->data, sizeof k);
	c->n++;
	for (unsigned i = 0; i < N_SLOTS; i++)
		if (i != from && c->delivered.n_sent[i] < k.n_sent[i])
			c->n_wrong++; /* it knows of a message that we have not seen yet */
	if (++c->delivered.n_sent[from] != k.n_sent[from])
		c->n_wrong++; /* lost, doubled or out of order */
}

TEST(messages_of_many_processes_arrive_in_causal_order)
{
	struct kid kids[N_SLOTS] = {{0}};
	struct check c = {.n = 0};
	struct sl_loop *l;
	struct inbox *in;
	struct node n;

	node_new(&n);
	in = open_inbox(&n, owner(READER, 1));
	l = listen_on(in, verify, &c);
	for (unsigned i = 1; i < N_SLOTS; i++)
		if (kid_start(&kids[i]))
			write_all(&n, i);
	while (c.n < (N_SLOTS - 1) * N_EACH)
		sl_assert(loop_tick(l, -1) == 0);
	for (unsigned i = 1; i < N_SLOTS; i++)
		CHECK_INT(kid_wait(&kids[i]), 0);
	CHECK_INT(c.n_wrong, 0);
	CHECK_INT(inbox_dropped(in), 0);
	inbox_close(in);
	loop_free(l);
	node_free(&n);
}

/* ---- kill -9 of writers: what arrives is whole and without gaps */

struct letter {
	uint64_t number, check[12];
};

static void fill_letter(struct letter *m, uint32_t self, uint64_t number)
{
	m->number = number;
	for (unsigned i = 0; i < SL_ARRAY_LEN(m->check); i++)
		m->check[i] = (number + i) * 0x9e3779b97f4a7c15u ^ self;
}

static size_t letter_len(uint64_t number)
{
	return sizeof(struct letter) - number % 5 * 16;
}

static bool letter_ok(const struct inbox_msg *msg, uint32_t author)
{
	struct letter m, want;

	if (msg->len < sizeof m.number)
		return false;
	memcpy(&m.number, msg->data, sizeof m.number);
	fill_letter(&want, author, m.number);
	return msg->len == letter_len(m.number) && memcmp(&want, msg->data, msg->len) == 0;
}

static bool post_letter(struct inbox *in, uint32_t to, uint32_t author, uint64_t number)
{
	struct letter m;
	struct iovec iov = {&m, letter_len(number)};

	fill_letter(&m, author, number);
	return inbox_send(in, to, 0, 0, &iov, 1) == 0;
}

static void write_for_ever(const struct node *n, uint32_t self, uint64_t *n_done)
{
	struct inbox *in = open_inbox(n, self);

	for (uint64_t i = 0;;) {
		if (post_letter(in, owner(READER, 1), self, i)) {
			i++;
			kid_done(n_done);
		} else {
			sched_yield();
		}
	}
}

struct letters {
	uint32_t from[N_SLOTS]; /* owner last heard */
	uint64_t next[N_SLOTS];
	uint64_t n, n_wrong;
};

static void read_letter(void *arg, const struct inbox_msg *msg)
{
	struct letters *c = arg;
	unsigned slot = msg->from >> 16;
	uint64_t number;

	if (c->from[slot] != msg->from) {
		c->n_wrong += c->from[slot] > msg->from;
		c->from[slot] = msg->from;
		c->next[slot] = 0;
	}
	memcpy(&number, msg->data, sizeof number);
	c->n_wrong += !letter_ok(msg, msg->from) || number != c->next[slot];
	c->next[slot] = number + 1;
	c->n++;
}

TEST(a_writer_killed_anywhere_leaves_only_whole_messages)
{
	enum { KILLS = 400 };
	struct kid kids[3] = {{0}};
	struct letters c = {.n = 0};
	uint64_t seed = 42;
	struct sl_loop *l;
	struct inbox *in;
	struct node n;

	node_new(&n);
	in = open_inbox(&n, owner(READER, 1));
	l = listen_on(in, read_letter, &c);
	for (unsigned kill = 0; kill < KILLS; kill++) {
		unsigned i = kill % SL_ARRAY_LEN(kids);
		uint32_t self = owner(i + 1, kill / SL_ARRAY_LEN(kids) + 1);
		uint64_t until;

		if (kids[i].pid)
			kid_kill(&kids[i]);
		if (kid_start(&kids[i]))
			write_for_ever(&n, self, kids[i].n_done);
		until = c.n + 1 + kid_random(&seed) % 300;
		while (c.n < until)
			sl_assert(loop_tick(l, -1) == 0);
	}
	for (unsigned i = 0; i < SL_ARRAY_LEN(kids); i++)
		kid_kill(&kids[i]);
	sock_eventfd_signal(n.wake_fds[READER]);
	sl_assert(loop_tick(l, 0) == 0);
	CHECK_INT(c.n_wrong, 0);
	CHECK_INT(inbox_dropped(in), 0);
	inbox_close(in);
	loop_free(l);
	node_free(&n);
}

/* ---- kill -9 of the reader: the successor hears only what was meant for it */

struct successor {
	uint32_t self;
	uint64_t next, *n_done;
};

static void read_own(void *arg, const struct inbox_msg *msg)
{
	struct successor *s = arg;
	uint64_t number;

	memcpy(&number, msg->data, sizeof number);
	sl_assert(letter_ok(msg, s->self) && number == s->next);
	s->next++;
	kid_done(s->n_done);
}

static void read_for_ever(const struct node *n, uint32_t self, uint64_t *n_done)
{
	struct successor s = {.self = self, .n_done = n_done};
	struct sl_loop *l = listen_on(open_inbox(n, self), read_own, &s);

	for (;;)
		sl_assert(loop_tick(l, -1) == 0);
}

TEST(a_reader_killed_anywhere_leaves_a_ring_for_its_successor)
{
	enum { KILLS = 300 };
	struct kid kid = {0};
	uint64_t seed = 7;
	struct inbox *in;
	struct node n;

	node_new(&n);
	in = open_inbox(&n, owner(1, 1));
	for (unsigned epoch = 1; epoch <= KILLS; epoch++) {
		uint32_t to = owner(READER, epoch);
		uint64_t sent = 0, until = 1 + kid_random(&seed) % 400;

		if (kid_start(&kid))
			read_for_ever(&n, to, kid.n_done);
		/* Each letter is signed with the owner it is for. */
		while (__atomic_load_n(kid.n_done, __ATOMIC_ACQUIRE) < until) {
			if (post_letter(in, to, to, sent))
				sent++;
			else
				sched_yield();
			if (sent % 64 == 0)
				CHECK(waitpid(kid.pid, NULL, WNOHANG) == 0);
		}
		kid_kill(&kid);
	}
	inbox_close(in);
	node_free(&n);
}

TEST_MAIN()
