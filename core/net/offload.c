/*
 * net/offload.c: a worker's rules for what the kernel relays (<sluice/offload.h>).
 *
 * A rule in the kernel's hash and a state in an array that this process sees in its memory. The way
 * of both directions is asked of the routing when a rule is made: the rule acts on what comes by
 * the interface that answers to its sender would take, and on nothing else, so that a spoofed
 * source is judged by the stack as ever. When routes or interfaces change, all rules are looked at
 * again, some at a time; one whose way is another now is taken out, its packets come here again,
 * and the module asks anew.
 *
 * Order: the state is complete before the rule names it, and is given back only after no program
 * can be running on it any more.
 */
#include "net/offload.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include "net/engine.h"
#include "os/os.h"

#define TRIES 256    /* places looked at for a free state: with a tenth free, all fail never */
#define GRACE_MS 20  /* programs run for microseconds */
#define SETTLE_MS 50 /* changes of routes come in bursts */
#define CHECKS 64    /* rules looked at in one tick after a change */
#define MAX_ASKED 64 /* interfaces */
#define IP_MTU_MIN 576

struct sl_offload {
	struct offload *of;
	struct sl_offload *prev, *next; /* of->first; dying: next only */
	struct offload_key key;
	struct sl_addr from, at, via, to;
	struct offload_state *state;
	struct sl_offload_counts seen;
	unsigned in_ifindex;
	struct route out;
	uint32_t check; /* the round that it was last looked at in */
	bool gone;	/* taken out of the kernel */
	uint64_t ended_ms;
};

struct offload {
	struct net *net;
	struct offload_conf conf;
	struct offload_state *states;
	int route_fd;
	struct sl_event watch;
	struct sl_slab *slab;
	struct sl_offload *first;
	struct sl_offload *dying, *last_dying; /* in order of their end */
	struct sl_timer bury, recheck;
	uint32_t round;
	unsigned asked[MAX_ASKED], n_asked;
};

static struct sl_loop *loop_of(const struct offload *f)
{
	return f->net->worker->loop;
}

/* ---- sums */

static uint32_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What replacing words adds to a one's complement sum, whatever the byte order. */
static uint32_t words_diff(const void *from, const void *to, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2) {
		uint16_t old, fresh;

		memcpy(&old, (const uint8_t *)from + i, 2);
		memcpy(&fresh, (const uint8_t *)to + i, 2);
		sum += fresh + (~(unsigned)old & 0xffff);
	}
	return fold(sum);
}

/* ---- what the kernel is told */

static void fill_key(struct offload_key *key, const struct sl_offload_opts *o)
{
	*key = (struct offload_key){.from_port = htons(o->from.port),
				    .at_port = htons(o->at.port),
				    .channel = o->strip ? htons(o->channel) : 0,
				    .family = o->from.family};
	memcpy(key->from_ip, o->from.ip, sizeof key->from_ip);
	memcpy(key->at_ip, o->at.ip, sizeof key->at_ip);
}

static struct offload_rule rule_of(const struct sl_offload *s, const struct sl_offload_opts *o)
{
	struct offload_rule r = {
		.owner = sl_worker_owner(s->of->net->worker),
		.state = (uint32_t)(s->state - s->of->states),
		.serial = s->state->serial,
		.in_ifindex = s->in_ifindex,
		.out_ifindex = s->out.ifindex,
		.via_port = htons(o->via.port),
		.to_port = htons(o->to.port),
		.channel = o->strip ? 0 : htons(o->channel),
		.mtu = (uint16_t)(s->out.mtu < UINT16_MAX ? s->out.mtu : UINT16_MAX),
	};
	uint16_t ports[2] = {htons(o->from.port), htons(o->at.port)};
	uint16_t new_ports[2] = {r.via_port, r.to_port};
	uint32_t diff;

	memcpy(r.via_ip, o->via.ip, sizeof r.via_ip);
	memcpy(r.to_ip, o->to.ip, sizeof r.to_ip);
	memcpy(r.next_hop, s->out.next_hop.ip, sizeof r.next_hop);
	diff = words_diff(s->key.from_ip, r.via_ip, 16) + words_diff(s->key.at_ip, r.to_ip, 16);
	r.ip_diff = (uint16_t)fold(diff);
	r.port_diff = (uint16_t)words_diff(ports, new_ports, sizeof ports);
	return r;
}

/* ---- ways */

struct ways {
	struct route back, out;
};

static bool is_far(const struct sl_addr *a)
{
	enum sl_addr_class class_ = sl_addr_classify(a);

	return class_ != SL_ADDR_UNSPECIFIED && class_ != SL_ADDR_LOOPBACK &&
	       class_ != SL_ADDR_LINK_LOCAL && class_ != SL_ADDR_MULTICAST && a->scope == 0;
}

/* From now on, answers to the sender leave by `back`, so that is where it is expected from. */
static int find_ways(const struct offload *f, const struct sl_offload_opts *o,
		     struct ways *ret_ways)
{
	struct ways w;

	if (o->from.family != o->to.family || !is_far(&o->from) || !is_far(&o->to) ||
	    !is_far(&o->at) || !is_far(&o->via))
		return -SL_EUNSUPP;
	if (route_find(f->route_fd, &o->at, &o->from, &w.back) < 0 ||
	    route_find(f->route_fd, &o->via, &o->to, &w.out) < 0)
		return -SL_EUNSUPP;
	if (!route_is_ethernet(w.back.ifindex) || !route_is_ethernet(w.out.ifindex) ||
	    w.out.mtu < IP_MTU_MIN)
		return -SL_EUNSUPP;
	*ret_ways = w;
	return 0;
}

/* The program has to be on the interface; until it is, the rule waits. */
static void ask_for(struct offload *f, unsigned ifindex)
{
	for (unsigned i = 0; i < f->n_asked; i++)
		if (f->asked[i] == ifindex)
			return;
	if (f->n_asked < MAX_ASKED)
		f->asked[f->n_asked++] = ifindex;
	f->conf.attach(f->conf.arg, ifindex);
}

/* ---- states */

static struct offload_state *take_state(struct offload *f)
{
	const uint32_t owner = sl_worker_owner(f->net->worker);
	uint64_t from = sl_hash(&f->round, sizeof f->round) + sl_loop_ns(loop_of(f));

	for (unsigned i = 0; i < TRIES; i++) {
		struct offload_state *s = &f->states[(from + i) % f->conf.n_rules];
		uint32_t nobody = 0;

		if (__atomic_compare_exchange_n(&s->owner, &nobody, owner, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return s;
	}
	return NULL;
}

static void give_state(struct offload_state *s)
{
	__atomic_store_n(&s->owner, 0, __ATOMIC_RELEASE);
}

static struct sl_offload_counts carried(const struct sl_offload *s)
{
	return (struct sl_offload_counts){__atomic_load_n(&s->state->packets, __ATOMIC_RELAXED),
					  __atomic_load_n(&s->state->bytes, __ATOMIC_RELAXED)};
}

static void set_expiry(const struct sl_offload *s, uint64_t expires_ms)
{
	__atomic_store_n(&s->state->expires_ns, expires_ms * SL_NS_PER_MS, __ATOMIC_RELEASE);
}

/* ---- rules */

static void take_out(struct sl_offload *s)
{
	if (s->gone)
		return;
	s->gone = true;
	set_expiry(s, 0);
	(void)bpf_map_del(s->of->conf.fd_rules, &s->key); /* it is there, or the map has gone */
}

static void link_rule(struct sl_offload *s)
{
	struct offload *f = s->of;

	s->next = f->first;
	s->prev = NULL;
	if (s->next)
		s->next->prev = s;
	f->first = s;
}

static void unlink_rule(struct sl_offload *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->of->first = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static struct sl_offload *new_rule(struct offload *f, const struct sl_offload_opts *o,
				   const struct ways *w)
{
	struct sl_offload *s = sl_slab_get(f->slab);

	if (!s)
		return NULL;
	*s = (struct sl_offload){.of = f,
				 .from = o->from,
				 .at = o->at,
				 .via = o->via,
				 .to = o->to,
				 .state = take_state(f),
				 .in_ifindex = w->back.ifindex,
				 .out = w->out,
				 .check = f->round};
	if (!s->state) {
		sl_slab_put(f->slab, s);
		return NULL;
	}
	fill_key(&s->key, o);
	s->state->packets = s->state->bytes = 0;
	s->state->serial++;
	set_expiry(s, o->expires_ms);
	return s;
}

bool sl_offload_usable(const struct sl_worker *w)
{
	return w->net && w->net->offload;
}

int sl_offload_begin(struct sl_worker *w, const struct sl_offload_opts *o,
		     struct sl_offload **ret_offload)
{
	struct offload *f = w->net ? w->net->offload : NULL;
	struct offload_rule rule;
	struct sl_offload *s;
	struct ways ways;
	int rc;

	if (!f)
		return -SL_EUNSUPP;
	rc = find_ways(f, o, &ways);
	if (rc < 0)
		return rc;
	s = new_rule(f, o, &ways);
	if (!s)
		return -SL_EFULL;
	rule = rule_of(s, o);
	rc = bpf_map_add(f->conf.fd_rules, &s->key, &rule);
	if (rc < 0) {
		give_state(s->state);
		sl_slab_put(f->slab, s);
		return rc == -SL_EEXIST ? rc : -SL_EFULL;
	}
	link_rule(s);
	sl_gauge_add(net_meter(f->net, NET_offload_rules), 1);
	ask_for(f, s->in_ifindex);
	*ret_offload = s;
	return 0;
}

void sl_offload_set_expiry(struct sl_offload *o, uint64_t expires_ms)
{
	if (!o->gone)
		set_expiry(o, expires_ms);
}

bool sl_offload_stands(const struct sl_offload *o)
{
	return !o->gone;
}

struct sl_offload_counts sl_offload_read(struct sl_offload *o)
{
	const struct sl_offload_counts now = carried(o);
	const struct sl_offload_counts fresh = {now.packets - o->seen.packets,
						now.bytes - o->seen.bytes};
	const struct net *n = o->of->net;

	o->seen = now;
	if (fresh.packets > 0) {
		sl_count_n(net_meter(n, NET_offload_packets), fresh.packets);
		sl_count_n(net_meter(n, NET_offload_bytes), fresh.bytes);
	}
	return fresh;
}

/* A program that runs at this very moment may still count: that packet is in the core's totals
 * only. */
struct sl_offload_counts sl_offload_end(struct sl_offload *o)
{
	struct sl_offload_counts last = {0};
	struct offload *f;

	if (!o)
		return last;
	f = o->of;
	take_out(o);
	last = sl_offload_read(o);
	unlink_rule(o);
	sl_gauge_add(net_meter(f->net, NET_offload_rules), -1);
	o->ended_ms = sl_loop_ms(loop_of(f));
	o->next = NULL;
	if (f->dying)
		f->last_dying->next = o;
	else
		f->dying = o;
	f->last_dying = o;
	if (!sl_timer_pending(&f->bury))
		sl_timer_set(loop_of(f), &f->bury, GRACE_MS);
	return last;
}

static void bury_until(struct offload *f, uint64_t ended_ms)
{
	while (f->dying && f->dying->ended_ms <= ended_ms) {
		struct sl_offload *s = f->dying;

		(void)sl_offload_read(s); /* for the totals */
		f->dying = s->next;
		give_state(s->state);
		sl_slab_put(f->slab, s);
	}
}

static void on_bury(struct sl_timer *t)
{
	struct offload *f = t->arg;

	bury_until(f, sl_loop_ms(loop_of(f)) - GRACE_MS);
	if (f->dying)
		sl_timer_set(loop_of(f), t, GRACE_MS);
}

/* ---- when ways change */

static void look_again(struct offload *f, struct sl_offload *s)
{
	const struct sl_offload_opts o = {.from = s->from, .at = s->at, .via = s->via, .to = s->to};
	struct ways w;

	s->check = f->round;
	if (s->gone)
		return;
	if (find_ways(f, &o, &w) == 0 && w.back.ifindex == s->in_ifindex &&
	    w.out.ifindex == s->out.ifindex && w.out.mtu == s->out.mtu &&
	    sl_addr_same_ip(&w.out.next_hop, &s->out.next_hop))
		return;
	take_out(s);
	sl_count(net_meter(f->net, NET_offload_withdrawn));
}

/* New rules stand in front and are of this round. */
static void on_recheck(struct sl_timer *t)
{
	struct offload *f = t->arg;
	unsigned n = 0;

	for (struct sl_offload *s = f->first; s; s = s->next) {
		if (s->check == f->round)
			continue;
		if (n++ == CHECKS) {
			sl_timer_set(loop_of(f), t, 1);
			return;
		}
		look_again(f, s);
	}
}

static void on_change(struct sl_event *ev, unsigned ready)
{
	struct offload *f = ev->arg;

	(void)ready;
	if (!route_changed(ev->fd))
		return;
	f->round++;
	sl_timer_set(loop_of(f), &f->recheck, SETTLE_MS);
}

/* ---- life */

static int open_parts(struct offload *f)
{
	void *p;
	int fd;

	f->slab = sl_slab_new(sizeof(struct sl_offload), 64);
	if (!f->slab)
		return -SL_ENOMEM;
	if (bpf_map_memory(f->conf.fd_states, (size_t)f->conf.n_rules * sizeof *f->states, &p) < 0)
		return -SL_ESYS;
	f->states = p;
	if (route_open(&f->route_fd) < 0 || route_watch(&fd) < 0)
		return -SL_ESYS;
	f->watch = (struct sl_event){.fd = fd, .fn = on_change, .arg = f};
	return sl_event_add(loop_of(f), &f->watch, SL_READ);
}

int offload_open(struct net *n, const struct offload_conf *conf, struct offload **ret_offload)
{
	struct offload *f;
	int rc;

	if (conf->n_rules == 0) {
		*ret_offload = NULL;
		return 0;
	}
	f = calloc(1, sizeof *f);
	if (!f)
		return -SL_ENOMEM;
	f->net = n;
	f->conf = *conf;
	f->route_fd = f->watch.fd = -1;
	f->bury = (struct sl_timer){.fn = on_bury, .arg = f};
	f->recheck = (struct sl_timer){.fn = on_recheck, .arg = f};
	rc = open_parts(f);
	if (rc < 0) {
		offload_close(f);
		return rc;
	}
	*ret_offload = f;
	return 0;
}

/* Rules that modules did not end go too: nobody would keep their time any more. */
void offload_close(struct offload *f)
{
	if (!f)
		return;
	while (f->first)
		(void)sl_offload_end(f->first); /* counted for the totals */
	bury_until(f, UINT64_MAX);
	sl_timer_cancel(loop_of(f), &f->bury);
	sl_timer_cancel(loop_of(f), &f->recheck);
	sl_event_del(loop_of(f), &f->watch);
	fd_close(&f->watch.fd);
	fd_close(&f->route_fd);
	if (f->states)
		shmem_unmap(f->states, (size_t)f->conf.n_rules * sizeof *f->states);
	fd_close(&f->conf.fd_rules);
	fd_close(&f->conf.fd_states);
	sl_slab_destroy(f->slab);
	free(f);
}
