/*
 * turn-relay/alternates.c: which of the alternates answer, for clients are sent to no others.
 *
 * The first worker of a generation asks each alternate with a Binding request and tells the others
 * what it finds; a worker that starts later asks it. A bit of the message is a place in the list,
 * which is the same in a whole generation, so that messages of other generations are not heeded.
 * An alternate is lost after three requests in a row without an answer, and is then asked less and
 * less often. When the first worker crashes, the last word holds until it is back.
 */
#include "relay.h"

#include <stdlib.h>
#include <sluice/bus.h>
#include <sluice/crypto.h>

enum { ANSWER_MS = 500, MAX_MISSED = 3, MAX_DOUBLINGS = 4 };

struct alternate {
	const struct sl_addr *addr; /* borrowed from the configuration */
	uint8_t txid[12];	    /* of the last request */
	bool waits;		    /* for its answer */
	unsigned n_missed;	    /* answers in a row; at most MAX_MISSED + MAX_DOUBLINGS */
	uint64_t due_ms;	    /* when it is asked next */
};

struct alternates {
	struct turn_relay *module;
	struct sl_timer timer;
	struct sl_udp *udp[2]; /* IPv4, IPv6; NULL: none in the list, or not here */
	unsigned n;
	struct alternate list[];
};

struct word {
	uint32_t generation, padding;
	uint64_t answering; /* in an ask: 0 */
};
_Static_assert(sizeof(struct word) == 16, "read by other processes, without padding");

/* ---- what is known */

static void tell(struct turn_relay *m, enum claim_type type, uint64_t answering)
{
	const struct word word = {.generation = m->worker->generation, .answering = answering};
	const struct iovec iov = {(void *)(uintptr_t)&word, sizeof word};

	/* Whoever misses it hears the next, or asks when it starts: the number of those that were
	 * reached does not matter. */
	(void)sl_channel_broadcast(m->channel, (uint16_t)type, &iov, 1);
}

static void learn(struct turn_relay *m, uint64_t answering)
{
	uint64_t changed = answering ^ m->answering;

	sl_count_n(&m->m[M_ALTERNATES_FOUND], (uint64_t)__builtin_popcountll(changed & answering));
	sl_count_n(&m->m[M_ALTERNATES_LOST], (uint64_t)__builtin_popcountll(changed & ~answering));
	m->answering = answering;
	sl_turn_set_alternates(m->engine, answering);
}

static void find(struct alternates *s, const struct alternate *a, bool answers)
{
	struct turn_relay *m = s->module;
	const uint64_t bit = UINT64_C(1) << (a - s->list);
	char text[SL_ADDR_STRLEN];

	if (!!(m->answering & bit) != answers) {
		learn(m, m->answering ^ bit);
		sl_log(answers ? SL_LOG_NOTICE : SL_LOG_WARN, "turn-relay",
		       answers ? "alternate %s answers: clients may be sent there"
			       : "alternate %s does not answer: no client is sent there until it "
				 "does",
		       sl_addr_format(text, a->addr));
	}
	/* No news is told too: the first worker may have crashed, and knows less than it has told.
	 */
	tell(m, ALTERNATES_ARE, m->answering);
}

void alternates_on_message(struct turn_relay *m, const struct sl_channel_msg *msg)
{
	struct word word;

	if (msg->data.len != sizeof word) /* of a generation that speaks otherwise */
		return;
	memcpy(&word, msg->data.p, sizeof word);
	if (word.generation != m->worker->generation)
		return;
	if (msg->type == ALTERNATES_ARE && !m->alternates)
		learn(m, word.answering);
	else if (msg->type == ALTERNATES_ASK && m->alternates)
		tell(m, ALTERNATES_ARE, m->answering);
}

/* ---- asking */

static size_t write_binding(struct alternate *a, void *dst)
{
	struct sl_stun_writer w;
	size_t len;

	if (sl_random(a->txid, sizeof a->txid) < 0)
		return 0;
	sl_stun_begin(&w, dst, SL_PACKET_MAX, SL_STUN_REQUEST, SL_STUN_BINDING, a->txid);
	sl_stun_put_fingerprint(&w);
	return sl_stun_finish(&w, &len) < 0 ? 0 : len;
}

static void send_binding(struct alternates *s, struct alternate *a)
{
	struct sl_udp *udp = s->udp[a->addr->family == 6];
	struct sl_packet *p = udp ? sl_packet_new(s->module->worker) : NULL;

	if (!p)
		return;
	p->len = (uint32_t)write_binding(a, p->data);
	if (p->len > 0 && sl_udp_send(udp, p, a->addr) < 0)
		p->len = 0; /* like one that is lost on the way: it is asked again */
	sl_packet_unref(p);
}

static uint64_t wait_ms(const struct turn_relay *m, const struct alternate *a)
{
	if (a->n_missed < MAX_MISSED)
		return ANSWER_MS;
	return m->conf->alternate_probe << (a->n_missed - MAX_MISSED);
}

static void ask(struct alternates *s, struct alternate *a, uint64_t now_ms)
{
	if (a->waits && a->n_missed < MAX_MISSED + MAX_DOUBLINGS)
		a->n_missed++;
	if (a->n_missed >= MAX_MISSED)
		find(s, a, false);
	a->waits = true;
	a->due_ms = now_ms + wait_ms(s->module, a);
	send_binding(s, a);
}

static void on_timer(struct sl_timer *t)
{
	struct alternates *s = t->arg;
	uint64_t now = module_now_ms(s->module), next = UINT64_MAX;

	for (unsigned i = 0; i < s->n; i++) {
		if (s->list[i].due_ms <= now)
			ask(s, &s->list[i], now);
		next = s->list[i].due_ms < next ? s->list[i].due_ms : next;
	}
	sl_timer_set(s->module->worker->loop, t, next - now);
}

static bool answers(const struct alternate *a, const struct sl_packet *p,
		    const struct sl_stun_msg *msg)
{
	return a->waits && sl_addr_eq(a->addr, &p->from) &&
	       memcmp(a->txid, msg->txid, sizeof a->txid) == 0;
}

/* An error is an answer too, but of a server that does not work. */
static void on_packet(void *arg, struct sl_packet *p)
{
	struct alternates *s = arg;
	struct turn_relay *m = s->module;
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, p->data, p->len) < 0 || msg.method != SL_STUN_BINDING ||
	    msg.class_ != SL_STUN_SUCCESS)
		return;
	for (unsigned i = 0; i < s->n; i++)
		if (answers(&s->list[i], p, &msg)) {
			s->list[i].waits = false;
			s->list[i].n_missed = 0;
			s->list[i].due_ms = module_now_ms(m) + m->conf->alternate_probe;
			find(s, &s->list[i], true);
			/* It may have been due much later. */
			sl_timer_set(m->worker->loop, &s->timer, 0);
			return;
		}
}

/* ---- life */

/* A host without the family cannot reach such an alternate, and says so by its being lost. */
static void open_socket(struct alternates *s, uint8_t family)
{
	const struct sl_udp_opts opts = {.local = {.family = family}, .recv = on_packet, .arg = s};

	if (!s->udp[family == 6] && sl_udp_open(s->module->worker, &opts, &s->udp[family == 6]) < 0)
		s->udp[family == 6] = NULL;
}

static int start_asking(struct turn_relay *m)
{
	const struct sl_list *list = &m->conf->alternates;
	struct alternates *s = calloc(1, sizeof *s + list->n * sizeof s->list[0]);

	if (!s)
		return -SL_ENOMEM;
	s->module = m;
	s->timer = (struct sl_timer){.fn = on_timer, .arg = s};
	s->n = (unsigned)list->n;
	for (unsigned i = 0; i < s->n; i++) {
		s->list[i].addr = SL_LIST_AT(*list, struct sl_addr, i);
		open_socket(s, s->list[i].addr->family);
	}
	m->alternates = s;
	sl_timer_set(m->worker->loop, &s->timer, 0);
	return 0;
}

int alternates_open(struct turn_relay *m)
{
	if (m->conf->alternates.n == 0 || m->conf->alternate_probe == 0)
		return 0;
	sl_turn_set_alternates(m->engine, 0);
	if (m->worker->worker_index == 0)
		return start_asking(m);
	tell(m, ALTERNATES_ASK, 0);
	return 0;
}

void alternates_close(struct turn_relay *m)
{
	struct alternates *s = m->alternates;

	if (!s)
		return;
	sl_timer_cancel(m->worker->loop, &s->timer);
	sl_udp_close(s->udp[0]);
	sl_udp_close(s->udp[1]);
	free(s);
	m->alternates = NULL;
}
