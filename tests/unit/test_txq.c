/*
 * tests/unit/test_txq.c: what the transmit queue does when the kernel will not have it. The sending
 * system calls are this program's own: they obey a script and pass the rest on.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/syscall.h>

struct script {
	unsigned n_calls;
	int fail_with; /* errno of the next fails calls */
	unsigned fails;
	int refuse_segments; /* errno for each message with UDP_SEGMENT; 0: let them pass */
	unsigned at_most;    /* messages a sendmmsg takes; 0: all */
	unsigned stop_after; /* calls, then EAGAIN until told otherwise; 0: never */
};
static struct script script;

static bool fails(void)
{
	script.n_calls++;
	if (script.stop_after > 0 && --script.stop_after == 0) {
		script.fails = 1000000;
		script.fail_with = EAGAIN;
		return false;
	}
	if (script.fails == 0)
		return false;
	script.fails--;
	errno = script.fail_with;
	return true;
}

static bool refused(const struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, c)) {
		if (script.refuse_segments && c->cmsg_level == SOL_UDP &&
		    c->cmsg_type == UDP_SEGMENT) {
			errno = script.refuse_segments;
			return true;
		}
	}
	return false;
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	return fails() ? -1 : syscall(SYS_sendto, fd, data, len, flags, to, to_len);
}

ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	return fails() || refused(h) ? -1 : syscall(SYS_sendmsg, fd, h, flags);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned i = 0;

	if (fails() || refused(&m[0].msg_hdr))
		return -1;
	while (i < n && !refused(&m[i].msg_hdr) && (script.at_most == 0 || i < script.at_most))
		i++;
	return (int)syscall(SYS_sendmmsg, fd, m, i, flags);
}

struct got {
	unsigned n;
	bool in_order;
};

static void on_packet(void *arg, struct sl_packet *p)
{
	struct got *g = arg;

	g->in_order = (g->n == 0 || g->in_order) && sl_get32(p->data) == g->n;
	g->n++;
}

struct world {
	struct test_net t;
	struct got got, none;
	struct sl_udp *from, *to;
};

static struct sl_udp *open_socket(struct test_net *t, struct got *got)
{
	const struct sl_udp_opts o = {.local = test_addr("127.0.0.1"),
				      .recv = on_packet,
				      .arg = got,
				      .buffer_bytes = 4 << 20};
	struct sl_udp *u = NULL;

	sl_assert(sl_udp_open(&t->worker, &o, &u) == 0);
	return u;
}

static void open_world(struct world *w, bool gso)
{
	memset(w, 0, sizeof *w);
	script = (struct script){0};
	w->t.conf.gso = gso;
	test_net_open(&w->t);
	w->from = open_socket(&w->t, &w->none);
	w->to = open_socket(&w->t, &w->got);
}

static void push(struct world *w, unsigned first, unsigned n, size_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct sl_packet *p = sl_packet_new(&w->t.worker);

		sl_put32(sl_packet_append(p, len), first + i);
		sl_assert(sl_udp_send(w->from, p, sl_udp_local(w->to)) == 0);
		sl_packet_unref(p);
	}
}

static unsigned n_free(const struct world *w)
{
	unsigned n = 0;

	for (const struct packet *p = w->t.net->arena.free; p; p = p->next)
		n++;
	return n;
}

TEST(nothing_leaves_before_the_tick_ends)
{
	struct world w;

	open_world(&w, false);
	push(&w, 0, 3, 20);
	CHECK_INT(script.n_calls, 0);
	test_tick(&w.t);
	CHECK_INT(script.n_calls, 1);
	NET_UNTIL(&w.t, w.got.n == 3);
	test_net_close(&w.t);
}

TEST(sixty_four_do_not_wait)
{
	struct world w;

	open_world(&w, false);
	push(&w, 0, 64, 20);
	CHECK_INT(script.n_calls, 1);
	NET_UNTIL(&w.t, w.got.n == 64);
	CHECK(w.got.in_order);
	test_net_close(&w.t);
}

TEST(a_full_kernel_buffer_is_waited_for)
{
	struct world w;

	open_world(&w, true);
	script.fails = 1;
	script.fail_with = EAGAIN;
	push(&w, 0, 10, 20);
	txq_flush_socket(w.from);
	CHECK(w.from->blocked);
	CHECK_INT(w.from->n_waiting, 10);
	CHECK_INT(w.from->ev.wanted, SL_READ | SL_WRITE);
	push(&w, 10, 10, 20);
	NET_UNTIL(&w.t, w.got.n == 20);
	CHECK(w.got.in_order);
	CHECK(!w.from->blocked);
	CHECK_INT(w.from->ev.wanted, SL_READ);
	test_net_close(&w.t);
}

TEST(a_queue_that_waits_is_bounded_and_drops_the_oldest)
{
	struct world w;

	open_world(&w, false);
	push(&w, 0, 1, 20);
	script.fails = 1;
	script.fail_with = EAGAIN;
	txq_flush_socket(w.from);
	push(&w, 1, 999, 20);
	CHECK_INT(w.from->n_waiting, 256);
	CHECK_INT(test_count(&w.t, NET_dropped_queue_full), 744);
	w.got.n = 744; /* the number of the first that is left */
	w.got.in_order = true;
	NET_UNTIL(&w.t, w.got.n == 1000);
	CHECK(w.got.in_order);
	test_net_close(&w.t);
}

/* ---- a listener's socket, which clients share */

struct line { /* a client with a flow */
	int fd;
	struct sl_flow *flow;
};

static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	(void)arg;
	(void)f;
	(void)p;
	return SL_OK;
}

static struct line open_line(struct world *w, uint32_t share)
{
	const struct sl_addr any = test_addr("127.0.0.1");
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, &any);
	struct line l = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
	struct sl_addr addr;

	sl_assert(bind(l.fd, (struct sockaddr *)&sa, len) == 0);
	addr = test_local(l.fd);
	sl_assert(sl_flow_open(w->from, &addr, NULL, on_flow, NULL, &l.flow) == 0);
	sl_flow_set_share(l.flow, share);
	return l;
}

static void close_line(struct line *l)
{
	sl_flow_close(l->flow);
	close(l->fd);
}

static void open_shared(struct world *w)
{
	memset(w, 0, sizeof *w);
	script = (struct script){0};
	(void)test_net_listen(&w->t, true, "127.0.0.1:0");
	test_net_open(&w->t);
	w->from = w->t.net->listener_sockets[0];
}

static void push_to(struct world *w, const struct line *to, unsigned first, unsigned n, size_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct sl_packet *p = sl_packet_new(&w->t.worker);

		sl_put32(sl_packet_append(p, len), first + i);
		sl_assert(sl_flow_send(to->flow, p) == 0);
		sl_packet_unref(p);
	}
}

/* So many arrived, in order. */
static unsigned hear_out(const struct line *l)
{
	unsigned n = 0, last = 0;
	uint8_t data[2048];

	while (recv(l->fd, data, sizeof data, 0) > 0) {
		sl_assert(n == 0 || sl_get32(data) > last);
		last = sl_get32(data);
		n++;
	}
	return n;
}

TEST(four_of_one_client_leave_before_the_sixty_of_another_have)
{
	struct world w;
	struct line a, b;

	open_shared(&w);
	a = open_line(&w, 1);
	b = open_line(&w, 3);
	push_to(&w, &a, 0, 60, 1200);
	script.at_most = 8; /* messages a call: as if the kernel then had enough */
	script.stop_after = 1;
	push_to(&w, &b, 0, 4, 160); /* the batch is full and leaves */
	CHECK_INT(hear_out(&b), 4);
	CHECK_INT(hear_out(&a), 4);
	script.stop_after = 0;
	script.fails = 0;
	NET_UNTIL(&w.t, w.from->n_waiting == 0);
	CHECK_INT(hear_out(&a), 56);
	close_line(&a);
	close_line(&b);
	test_net_close(&w.t);
}

TEST(a_client_who_floods_a_full_socket_loses_and_the_others_do_not)
{
	struct world w;
	struct line a, b;
	unsigned heard = 0;

	open_shared(&w);
	a = open_line(&w, 1);
	b = open_line(&w, 3);
	script.fail_with = EAGAIN;
	script.fails = 1;
	push_to(&w, &b, 0, 1, 160);
	test_tick(&w.t); /* blocked: the loop says at once that it may go on, so it is held back */
	script.fails = 1000;
	w.from->blocked = true;
	for (unsigned i = 0; i < 100; i++) {
		push_to(&w, &a, 10 * i, 10, 1200);
		if (i % 10 == 0)
			push_to(&w, &b, 1 + i, 1, 160);
	}
	CHECK_INT(w.from->n_waiting, 256);
	CHECK(test_count(&w.t, NET_dropped_queue_full) >= 700);
	script.fails = 0;
	script.at_most = 16;
	script.stop_after = 1;
	txq_resume(w.from);
	CHECK(hear_out(&b) >= 10); /* all of them, among the first sixteen */
	script.stop_after = 0;
	script.fails = 0;
	for (unsigned i = 0; i < 100 && w.from->n_waiting > 0; i++) {
		test_tick(&w.t);
		heard += hear_out(&a); /* its own buffer is no larger than that */
	}
	CHECK(heard > 60);
	close_line(&a);
	close_line(&b);
	test_net_close(&w.t);
}

TEST(an_error_left_by_an_earlier_datagram_costs_none)
{
	struct world w;

	open_world(&w, false);
	script.fails = 1;
	script.fail_with = ECONNREFUSED;
	push(&w, 0, 1, 20);
	NET_UNTIL(&w.t, w.got.n == 1);
	CHECK_INT(test_count(&w.t, NET_send_retries), 1);
	CHECK_INT(test_count(&w.t, NET_dropped_send_error), 0);
	test_net_close(&w.t);
}

TEST(an_error_that_stays_costs_one_datagram_only)
{
	struct world w;

	open_world(&w, false);
	script.fails = 2;
	script.fail_with = EHOSTUNREACH;
	push(&w, 0, 3, 20);
	w.got.n = 1; /* the first is lost */
	w.got.in_order = true;
	NET_UNTIL(&w.t, w.got.n == 3);
	CHECK(w.got.in_order);
	CHECK_INT(test_count(&w.t, NET_dropped_send_error), 1);
	test_net_close(&w.t);
}

TEST(what_the_kernel_will_never_send_is_dropped)
{
	struct world w;

	open_world(&w, false);
	script.fails = 1;
	script.fail_with = EPERM; /* a firewall */
	push(&w, 0, 1, 20);
	test_tick(&w.t);
	CHECK_INT(test_count(&w.t, NET_dropped_send_error), 1);
	CHECK_INT(w.from->n_waiting, 0);
	test_net_close(&w.t);
}

TEST(a_run_that_is_refused_goes_singly)
{
	struct world w;

	open_world(&w, true);
	script.refuse_segments = EINVAL; /* beyond the MTU */
	push(&w, 0, 30, 100);
	NET_UNTIL(&w.t, w.got.n == 30);
	CHECK(w.got.in_order);
	CHECK(w.t.net->txq.gso); /* another destination may take runs */
	script.refuse_segments = 0;
	push(&w, 30, 30, 100);
	NET_UNTIL(&w.t, w.got.n == 60);
	CHECK(w.got.in_order);
	CHECK_INT(test_count(&w.t, NET_segmented_sends), 1);
	CHECK_INT(test_count(&w.t, NET_dropped_send_error), 0);
	test_net_close(&w.t);
}

TEST(an_interface_that_cannot_segment_is_asked_once)
{
	struct world w;

	open_world(&w, true);
	script.refuse_segments = EIO;
	push(&w, 0, 30, 100);
	NET_UNTIL(&w.t, w.got.n == 30);
	CHECK(w.got.in_order);
	CHECK(!w.t.net->txq.gso);
	test_net_close(&w.t);
}

TEST(a_call_that_takes_a_part_is_followed_by_another)
{
	struct world w;

	open_world(&w, false);
	script.at_most = 7;
	push(&w, 0, 30, 100);
	NET_UNTIL(&w.t, w.got.n == 30);
	CHECK(w.got.in_order);
	CHECK_INT(script.n_calls, 5);
	test_net_close(&w.t);
}

TEST(closing_a_socket_with_a_queue_gives_all_packets_back)
{
	struct world w;

	open_world(&w, false);
	push(&w, 0, 5, 20);
	script.fails = 2;
	script.fail_with = EAGAIN;
	txq_flush_socket(w.from);
	push(&w, 5, 5, 20);
	CHECK_INT(n_free(&w), 54);
	w.from->blocked = false; /* so that closing tries, in vain */
	sl_udp_close(w.from);
	CHECK_INT(n_free(&w), 64);
	test_tick(&w.t);
	CHECK_INT(w.got.n, 0);
	test_net_close(&w.t);
}

TEST_MAIN()
