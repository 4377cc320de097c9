/*
 * tests/unit/test_flow.c: the way of a listener's datagram: guards, flows, modules; and by another
 * worker where that one owns it. Two workers of one node stand in this process, with shared
 * segments and an inbox between them.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "lib/shm.h"
#include "net/engine.h"
#include "net/steer_map.h"

#include <netinet/udp.h>
#include <sluice/stun.h>

#define N_SLOTS 4
#define RING 65536

struct heard {
	unsigned n;
	int answer; /* of the handler */
	char text[64];
	struct sl_addr from, local;
	uint8_t demux;
	bool reply;
};

static int hear(struct heard *h, struct sl_packet *p)
{
	h->n++;
	h->from = p->from;
	h->local = *p->local;
	h->demux = p->demux;
	(void)sl_str_copy(h->text, sizeof h->text, (struct sl_str){(const char *)p->data, p->len});
	if (h->reply)
		sl_assert(sl_udp_reply(p, "reply", 5) == 0);
	return h->answer;
}

static int on_dgram(void *ctx, struct sl_packet *p)
{
	return hear(ctx, p);
}

static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	(void)f;
	return hear(arg, p);
}

/* One worker with one UDP listener, a guard and a content handler. */
struct side {
	struct test_net t;
	struct heard guard, content, flow;
	struct hook_call guard_call, content_call;
};

static void open_side(struct side *s, const char *addr)
{
	struct net_listener *l = test_net_listen(&s->t, true, addr);

	s->guard_call = (struct hook_call){.fn.dgram = on_dgram, .ctx = &s->guard};
	s->content_call = (struct hook_call){.fn.dgram = on_dgram, .ctx = &s->content};
	l->guard = (struct hook_chain){1, &s->guard_call};
	l->content = (struct hook_chain){1, &s->content_call};
	s->guard.answer = SL_OK;
	s->content.answer = SL_DONE;
	s->flow.answer = SL_OK;
	test_net_open(&s->t);
}

static struct sl_udp *socket_of(struct side *s)
{
	return s->t.net->listener_sockets[0];
}

static void say(int fd, const char *text)
{
	sl_assert(send(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

TEST(a_stranger_goes_through_the_guard_to_the_modules)
{
	struct side s = {0};
	int fd;

	open_side(&s, "127.0.0.1:0");
	fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	say(fd, "hello");
	NET_UNTIL(&s.t, s.content.n == 1);
	CHECK_INT(s.guard.n, 1);
	CHECK(strcmp(s.content.text, "hello") == 0);
	CHECK_INT(s.content.demux, SL_DEMUX_QUIC); /* 'h' */
	CHECK(sl_addr_eq(&s.content.local, sl_udp_local(socket_of(&s))));
	CHECK(sl_udp_listener(socket_of(&s)) == &s.t.listeners[0].pub);
	close(fd);
	test_net_close(&s.t);
}

TEST(a_guard_may_drop_or_keep)
{
	struct side s = {0};
	int fd;

	open_side(&s, "127.0.0.1:0");
	fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	s.guard.answer = SL_DROP;
	say(fd, "one");
	NET_UNTIL(&s.t, s.guard.n == 1);
	CHECK_INT(test_count(&s.t, NET_dropped_by_guard), 1);
	s.guard.answer = SL_DONE;
	say(fd, "two");
	NET_UNTIL(&s.t, s.guard.n == 2);
	CHECK_INT(test_count(&s.t, NET_dropped_by_guard), 1);
	CHECK_INT(s.content.n, 0);
	close(fd);
	test_net_close(&s.t);
}

TEST(what_nobody_wants_is_counted)
{
	struct side s = {0};
	int fd;

	open_side(&s, "127.0.0.1:0");
	s.content.answer = SL_DECLINED;
	fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	say(fd, "?");
	NET_UNTIL(&s.t, test_count(&s.t, NET_dropped_unclaimed) == 1);
	close(fd);
	test_net_close(&s.t);
}

TEST(a_flow_gets_its_senders_datagrams_until_it_is_closed)
{
	struct side s = {0};
	struct sl_flow *f = NULL, *again = NULL;
	struct sl_addr mine;
	int fd, other;

	open_side(&s, "127.0.0.1:0");
	fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	other = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	mine = test_local(fd);
	CHECK_INT(sl_flow_open(socket_of(&s), &mine, NULL, on_flow, &s.flow, &f), 0);
	CHECK_INT(sl_flow_open(socket_of(&s), &mine, NULL, on_flow, &s.flow, &again), -SL_EEXIST);
	CHECK(sl_addr_eq(sl_flow_remote(f), &mine));
	CHECK(sl_addr_eq(sl_flow_local(f), sl_udp_local(socket_of(&s))));
	CHECK_INT(test_count(&s.t, NET_flows), 1);
	say(fd, "mine");
	say(other, "other");
	NET_UNTIL(&s.t, s.flow.n == 1 && s.content.n == 1);
	CHECK(strcmp(s.flow.text, "mine") == 0);
	CHECK(strcmp(s.content.text, "other") == 0);
	s.flow.answer = SL_DECLINED;
	say(fd, "declined");
	NET_UNTIL(&s.t, s.content.n == 2);
	CHECK_INT(s.flow.n, 2);
	sl_flow_close(f);
	CHECK_INT(test_count(&s.t, NET_flows), 0);
	say(fd, "stranger");
	NET_UNTIL(&s.t, s.content.n == 3);
	CHECK_INT(s.flow.n, 2);
	close(fd);
	close(other);
	test_net_close(&s.t);
}

TEST(a_flow_is_made_known_to_the_kernel_and_forgotten_with_it)
{
	struct steer_flow key = {.family = 4, .ip = {192, 0, 2, 1}};
	struct side s = {0};
	struct sl_flow *f = NULL;
	struct sl_addr remote = test_addr("192.0.2.1:4660");
	uint32_t slot = 0;
	int map = -1;

	if (bpf_map_new(BPF_KIND_LRU_HASH, sizeof key, sizeof slot, 16, "test", &map) < 0) {
		test_skip("no right to make eBPF maps here");
		return;
	}
	s.t.worker.slot = 9;
	open_side(&s, "127.0.0.1:0");
	s.t.listeners[0].flow_map = map;
	key.listener = s.t.listeners[0].pub.index;
	key.port = htons(4660);
	CHECK_INT(sl_flow_open(socket_of(&s), &remote, NULL, on_flow, &s.flow, &f), 0);
	CHECK_INT(bpf_map_get(map, &key, &slot), 0);
	CHECK_INT(slot, 9);
	sl_flow_close(f);
	CHECK_INT(bpf_map_get(map, &key, &slot), -SL_ENOENT);
	s.t.listeners[0].flow_map = s.t.listeners[0].fd; /* no map: refused, and no harm done */
	CHECK_INT(sl_flow_open(socket_of(&s), &remote, NULL, on_flow, &s.flow, &f), 0);
	CHECK_INT(test_count(&s.t, NET_steering_failures), 1);
	sl_flow_close(f);
	close(map);
	test_net_close(&s.t);
}

TEST(ten_thousand_flows_are_told_apart)
{
	struct side s = {0};
	static struct sl_flow *flows[10000];
	static struct heard each[10000];
	struct sl_addr remote = test_addr("192.0.2.1:1");
	struct sl_packet *p;

	open_side(&s, "127.0.0.1:0");
	for (unsigned i = 0; i < 10000; i++) {
		remote.port = (uint16_t)(1 + i % 5000);
		remote.ip[3] = (uint8_t)(1 + i / 5000);
		CHECK_INT(sl_flow_open(socket_of(&s), &remote, NULL, on_flow, &each[i], &flows[i]),
			  0);
	}
	p = sl_packet_new(&s.t.worker);
	p->udp = socket_of(&s);
	p->local = sl_udp_local(socket_of(&s));
	for (unsigned i = 0; i < 10000; i++) {
		p->from = *sl_flow_remote(flows[i]);
		path_take(s.t.net, p, false);
		CHECK_INT(each[i].n, 1);
	}
	for (unsigned i = 0; i < 10000; i++)
		sl_flow_close(flows[i]);
	CHECK_INT(test_count(&s.t, NET_flows), 0);
	sl_packet_unref(p);
	test_net_close(&s.t);
}

/* A handler that opens the flow of who speaks, as modules do. */
struct opener {
	struct side *s;
	struct sl_flow *flow;
};

static int open_flow(void *ctx, struct sl_packet *p)
{
	struct opener *o = ctx;

	return sl_flow_open(p->udp, &p->from, NULL, on_flow, &o->s->flow, &o->flow) == 0 ? SL_DONE
											 : SL_DROP;
}

TEST(a_flow_on_all_addresses_answers_from_the_one_its_client_uses)
{
	struct side s = {0};
	struct opener o = {.s = &s};
	struct hook_call call = {.fn.dgram = open_flow, .ctx = &o};
	struct sl_addr to = test_addr("127.0.0.77"), mine;
	struct sl_packet *p;
	char text[16];
	int fd, other;

	open_side(&s, "0.0.0.0:0");
	s.t.listeners[0].content.calls = &call;
	to.port = sl_udp_local(socket_of(&s))->port;
	fd = test_client(SOCK_DGRAM, &to);
	say(fd, "first");
	NET_UNTIL(&s.t, o.flow != NULL);
	CHECK(sl_addr_eq(sl_flow_local(o.flow), &to));
	say(fd, "second");
	NET_UNTIL(&s.t, s.flow.n == 1);
	p = sl_packet_new(&s.t.worker);
	memcpy(sl_packet_append(p, 4), "back", 4);
	CHECK_INT(sl_flow_send(o.flow, p), 0);
	sl_packet_unref(p);
	test_tick(&s.t);
	CHECK_INT(recv(fd, text, sizeof text, 0), 4);

	/* The same port towards another address of this host is another client. */
	s.t.listeners[0].content.calls = &s.content_call;
	mine = test_local(fd);
	close(fd);
	to.ip[3] = 78;
	other = socket(AF_INET, SOCK_DGRAM, 0);
	{
		struct sockaddr_storage sa;
		unsigned len = sl_addr_to_sockaddr(&sa, &mine);

		CHECK(bind(other, (struct sockaddr *)&sa, len) == 0);
		len = sl_addr_to_sockaddr(&sa, &to);
		CHECK(sendto(other, "third", 5, 0, (struct sockaddr *)&sa, len) == 5);
	}
	NET_UNTIL(&s.t, s.content.n == 1);
	CHECK_INT(s.flow.n, 1);
	sl_flow_close(o.flow);
	close(other);
	test_net_close(&s.t);
}

TEST(trains_are_cut_into_datagrams)
{
	struct side s = {.t.conf.gro = true};
	uint8_t train[10000];
	uint16_t segment = 999;
	int fd;

	open_side(&s, "127.0.0.1:0");
	fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&s)));
	for (unsigned i = 0; i < sizeof train; i++)
		train[i] = (uint8_t)(i / segment);
	CHECK(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &(int){segment}, sizeof(int)) == 0);
	CHECK_INT(send(fd, train, sizeof train, 0), sizeof train);
	NET_UNTIL(&s.t, s.content.n == 11);
	CHECK_INT(test_count(&s.t, NET_datagrams_in), 11);
	CHECK_INT(test_count(&s.t, NET_receive_calls), 1);
	CHECK_INT(strlen(s.content.text), 10); /* ten bytes of 10 are left for the last */
	CHECK_INT(s.content.text[0], 10);
	CHECK_INT(s.content.from.family, 4);
	say(fd, "one");
	NET_UNTIL(&s.t, s.content.n == 12);
	CHECK(strcmp(s.content.text, "one") == 0);
	close(fd);
	test_net_close(&s.t);
}

/* ---- two workers */

struct node {
	struct shm *shm;
	struct side side[2];
	struct inbox *inbox[2];
	void *segment;
	size_t bytes;
	int wake[N_SLOTS];
};

static void on_inbox(void *arg, const struct inbox_msg *msg)
{
	struct side *s = arg;

	sl_assert(msg->channel == NET_CHANNEL);
	net_inbox(s->t.net, msg);
}

static void join(struct node *n, unsigned slot, const char *addr)
{
	struct side *s = &n->side[slot];
	struct sl_worker *w = &s->t.worker;
	uint32_t owner = test_slot_start(n->shm, slot);

	sl_assert(loop_new(&w->loop) == 0);
	w->slot = (uint16_t)slot;
	w->epoch = (uint16_t)owner;
	w->shm = n->shm;
	sl_assert(inbox_open(&n->inbox[slot], n->segment, n->bytes, N_SLOTS, RING, n->wake,
			     owner) == 0);
	w->inbox = n->inbox[slot];
	open_side(s, addr);
	sl_assert(inbox_listen(w->inbox, w->loop, on_inbox, s) == 0);
}

static void open_node(struct node *n)
{
	const struct shm_sizes sizes = {.n_slots = N_SLOTS,
					.n_sessions = 64,
					.n_limits = 16,
					.metric_bytes = 4096,
					.n_trace = 64};
	struct sl_addr addr;
	char text[SL_ADDR_STRLEN];

	memset(n, 0, sizeof *n);
	n->shm = test_shm(&sizes);
	n->bytes = inbox_segment_bytes(N_SLOTS, RING);
	n->segment = calloc(1, n->bytes);
	for (unsigned i = 0; i < N_SLOTS; i++)
		sl_assert(sock_eventfd(&n->wake[i]) == 0);
	join(n, 0, "127.0.0.1:0");
	addr = *sl_udp_local(socket_of(&n->side[0]));
	join(n, 1, sl_addr_format(text, &addr));
}

static void close_node(struct node *n)
{
	for (unsigned i = 0; i < 2; i++) {
		inbox_close(n->inbox[i]);
		test_net_close(&n->side[i].t);
	}
	for (unsigned i = 0; i < N_SLOTS; i++)
		close(n->wake[i]);
	free(n->segment);
	shm_detach(n->shm);
}

/* As a session of this slot with this remote address or ufrag. */
static void own(struct node *n, unsigned slot, const struct sl_addr *remote, const char *ufrag)
{
	struct session_entry *e;
	uint32_t index = 0;

	sl_assert(shm_session_claim(n->shm, shm_owner(n->shm, slot), &index) == 0);
	e = shm_session(n->shm, index);
	shm_session_begin(e);
	sl_put32(e->sid, slot << 16 | (index + 1));
	e->state = SESSION_OPEN;
	if (remote)
		e->remote = *remote;
	if (ufrag)
		memcpy(e->ufrag, ufrag, strlen(ufrag));
	shm_session_end(e);
	sl_assert(shm_session_index(n->shm, index) == 0);
}

static void turn(struct node *n)
{
	test_tick(&n->side[0].t);
	test_tick(&n->side[1].t);
}

static uint64_t sum(const struct node *n, enum net_meter m)
{
	return test_count(&n->side[0].t, m) + test_count(&n->side[1].t, m);
}

#define NODE_UNTIL(n, cond)                                                                        \
	do {                                                                                       \
		uint64_t until_ = sl_clock_ns() + NET_PATIENCE_NS;                                 \
		while (!(cond) && sl_clock_ns() < until_)                                          \
			turn(n);                                                                   \
		if (!(cond))                                                                       \
			TEST_FAIL("still not: %s", #cond);                                         \
	} while (0)

TEST(a_stray_comes_to_its_owner_and_the_answer_looks_the_same)
{
	struct node n;
	unsigned forwarded = 0;

	open_node(&n);
	for (unsigned i = 0; i < 20; i++) { /* the kernel spreads them over both sockets */
		int fd = test_client(SOCK_DGRAM, sl_udp_local(socket_of(&n.side[0])));
		struct sl_addr mine = test_local(fd);
		struct sl_flow *f = NULL;
		char text[16];

		own(&n, 1, &mine, NULL);
		n.side[1].flow = (struct heard){.reply = true};
		sl_assert(sl_flow_open(socket_of(&n.side[1]), &mine, NULL, on_flow, &n.side[1].flow,
				       &f) == 0);
		say(fd, "media");
		NODE_UNTIL(&n, n.side[1].flow.n == 1);
		CHECK(sl_addr_eq(&n.side[1].flow.from, &mine));
		CHECK(sl_addr_eq(&n.side[1].flow.local, sl_udp_local(socket_of(&n.side[1]))));
		turn(&n);
		CHECK_INT(recv(fd, text, sizeof text, 0), 5);
		sl_flow_close(f);
		close(fd);
	}
	forwarded = (unsigned)test_count(&n.side[0].t, NET_forwarded_out);
	CHECK(forwarded > 0 && forwarded < 20);
	CHECK_INT(test_count(&n.side[1].t, NET_forwarded_in), forwarded);
	CHECK_INT(test_count(&n.side[1].t, NET_forwarded_out), 0);
	CHECK_INT(sum(&n, NET_dropped_unclaimed), 0);
	close_node(&n);
}

TEST(a_datagram_takes_one_hop_at_most)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_packet *p;

	open_node(&n);
	own(&n, 1, &remote, NULL); /* the table says slot 1, which knows nothing */
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	path_take(n.side[0].t.net, p, false);
	CHECK_INT(test_count(&n.side[0].t, NET_forwarded_out), 1);
	NODE_UNTIL(&n, n.side[1].content.n == 1);
	CHECK_INT(n.side[0].content.n, 0);
	CHECK_INT(test_count(&n.side[1].t, NET_forwarded_out), 0);
	sl_packet_unref(p);
	close_node(&n);
}

static void binding_request(struct sl_packet *p, const char *username)
{
	static const uint8_t txid[12] = "transaction";
	struct sl_stun_writer w;
	size_t len;

	sl_stun_begin(&w, p->data, SL_PACKET_MAX, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(username));
	sl_assert(sl_stun_finish(&w, &len) == 0);
	p->len = (uint32_t)len;
}

TEST(a_check_goes_to_whom_its_username_names_even_against_a_flow)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_flow *stale = NULL;
	struct sl_packet *p;

	open_node(&n);
	own(&n, 1, NULL, "ABcdefg");
	CHECK_INT(sl_flow_open(socket_of(&n.side[0]), &remote, NULL, on_flow, &n.side[0].flow,
			       &stale),
		  0);
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	binding_request(p, "ABcdefg:theirs");
	path_take(n.side[0].t.net, p, false);
	NODE_UNTIL(&n, n.side[1].content.n == 1);
	CHECK_INT(n.side[1].content.demux, SL_DEMUX_STUN);
	CHECK_INT(n.side[0].flow.n, 0);
	binding_request(p, "unknown:theirs");
	path_take(n.side[0].t.net, p, false);
	CHECK_INT(n.side[0].flow.n, 1);
	sl_flow_close(stale);
	sl_packet_unref(p);
	close_node(&n);
}

TEST(a_draining_worker_hands_strangers_to_the_current_generation)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_packet *p;

	open_node(&n);
	shm_set_generation(n.shm, 2);
	shm_worker(n.shm, 0)->generation = 1;
	shm_worker(n.shm, 1)->generation = 2;
	n.side[0].t.worker.draining = true;
	net_drain(n.side[0].t.net);
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	path_take(n.side[0].t.net, p, false);
	NODE_UNTIL(&n, n.side[1].content.n == 1);
	CHECK_INT(n.side[0].content.n, 0);
	sl_packet_unref(p);
	close_node(&n);
}

TEST(a_worker_that_was_not_told_to_drain_yet_hands_strangers_over_as_well)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_packet *p;

	open_node(&n);
	for (unsigned i = 0; i < 2; i++)
		n.side[i].t.worker.generation = shm_worker(n.shm, i)->generation = i + 1;
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	shm_set_generation(n.shm, 1);
	path_take(n.side[0].t.net, p, false);
	CHECK_INT(n.side[0].content.n, 1); /* the other one has not begun */
	shm_set_generation(n.shm, 2);
	path_take(n.side[0].t.net, p, false);
	NODE_UNTIL(&n, n.side[1].content.n == 1);
	CHECK_INT(n.side[0].content.n, 1);
	sl_packet_unref(p);
	close_node(&n);
}

TEST(a_module_may_name_the_slot)
{
	struct node n;
	struct sl_packet *p;

	open_node(&n);
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = test_addr("192.0.2.9:99");
	CHECK_INT(sl_udp_forward(p, 0), -SL_ENOENT); /* itself */
	CHECK_INT(sl_udp_forward(p, 3), -SL_ENOENT); /* nobody */
	CHECK_INT(sl_udp_forward(p, 999), -SL_ENOENT);
	CHECK_INT(sl_udp_forward(p, 1), 0);
	NODE_UNTIL(&n, n.side[1].content.n == 1);
	sl_packet_unref(p);
	close_node(&n);
}

TEST(with_a_port_of_its_own_nothing_leaves_a_worker)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_packet *p;

	open_node(&n);
	socket_of(&n.side[0])->own_port = true;
	own(&n, 1, &remote, NULL);
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	path_take(n.side[0].t.net, p, false);
	CHECK_INT(n.side[0].content.n, 1);
	CHECK_INT(sl_udp_forward(p, 1), -SL_EUNSUPP);
	sl_packet_unref(p);
	close_node(&n);
}

TEST(a_full_inbox_loses_the_datagram_and_says_so)
{
	struct node n;
	struct sl_addr remote = test_addr("192.0.2.9:99");
	struct sl_packet *p;

	open_node(&n);
	own(&n, 1, &remote, NULL);
	p = sl_packet_new(&n.side[0].t.worker);
	p->udp = socket_of(&n.side[0]);
	p->local = sl_udp_local(p->udp);
	p->from = remote;
	(void)sl_packet_append(p, 1000);
	for (unsigned i = 0; i < 200; i++)
		path_take(n.side[0].t.net, p, false);
	CHECK(test_count(&n.side[0].t, NET_forward_failures) > 0);
	CHECK_INT(test_count(&n.side[0].t, NET_forward_failures) +
			  test_count(&n.side[0].t, NET_forwarded_out),
		  200);
	NODE_UNTIL(&n, n.side[1].content.n == test_count(&n.side[0].t, NET_forwarded_out));
	sl_packet_unref(p);
	close_node(&n);
}

TEST_MAIN()
