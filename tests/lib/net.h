/*
 * tests/lib/net.h: a worker with a net layer, its loop and loopback sockets, for tests of core/net.
 *
 * Time is real and nothing sleeps: net_until() turns the loop until a condition holds, and fails
 * after a generous bound.
 */
#ifndef TESTS_LIB_NET_H
#define TESTS_LIB_NET_H

#include "event/loop.h"
#include "net/listener.h"
#include "net/meters.h"
#include "net/net.h"
#include "os/os.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define NET_MAX_LISTENERS 4
#define NET_PATIENCE_NS (30 * SL_NS_PER_S)

struct test_net {
	struct sl_worker worker;
	struct net *net;
	struct net_listener listeners[NET_MAX_LISTENERS];
	unsigned n_listeners;
	struct net_conf conf;
	uint64_t words[NET_N_METERS];
	struct sl_meter meters[NET_N_METERS];
};

static const uint8_t test_node_key[32] = "node key of the tests";

static inline struct sl_addr test_addr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

/* Before test_net_open; returns the listener for hooks and limits. */
static inline struct net_listener *test_net_listen(struct test_net *t, bool udp, const char *addr)
{
	const struct listener_spec spec = {
		.udp = udp, .steering = STEER_FORWARD, .addr = test_addr(addr), .backlog = 512};
	struct net_listener *l = &t->listeners[t->n_listeners];
	char err[256];

	if (listener_socket(&spec, 0, &l->fd, err, sizeof err) < 0) {
		printf("# %s\n", err);
		abort();
	}
	l->pub.name = "test";
	l->pub.index = (uint16_t)t->n_listeners++;
	l->pub.udp = udp;
	sl_assert(sock_local(l->fd, &l->pub.local) == 0);
	l->wildcard = sl_addr_classify(&spec.addr) == SL_ADDR_UNSPECIFIED;
	l->flow_map = -1;
	l->preread_timeout_ms = 60000;
	return l;
}

static inline void test_net_open(struct test_net *t)
{
	for (unsigned i = 0; i < NET_N_METERS; i++)
		t->meters[i].word = &t->words[i];
	t->worker.size = sizeof t->worker;
	t->worker.node_key = test_node_key;
	if (!t->worker.loop)
		sl_assert(loop_new(&t->worker.loop) == 0);
	t->conf.listeners = t->listeners;
	t->conf.n_listeners = t->n_listeners;
	t->conf.meters = t->meters;
	if (!t->conf.max_packets)
		t->conf.max_packets = 1024;
	sl_assert(net_open(&t->worker, &t->conf, &t->net) == 0);
	sl_assert(net_start(t->net) == 0);
}

static inline void test_net_close(struct test_net *t)
{
	net_close(t->net);
	loop_free(t->worker.loop);
	memset(t, 0, sizeof *t);
}

static inline uint64_t test_count(const struct test_net *t, enum net_meter m)
{
	return t->words[m];
}

static inline void test_tick(struct test_net *t)
{
	sl_assert(loop_tick(t->worker.loop, 20) == 0);
}

/* Turns the loop until cond holds. */
#define NET_UNTIL(t, cond)                                                                         \
	do {                                                                                       \
		uint64_t until_ = sl_clock_ns() + NET_PATIENCE_NS;                                 \
		while (!(cond) && sl_clock_ns() < until_)                                          \
			test_tick(t);                                                              \
		if (!(cond))                                                                       \
			TEST_FAIL("still not: %s", #cond);                                         \
	} while (0)

/* A client's socket on loopback, connected to `to`; non-blocking. */
static inline int test_client(int type, const struct sl_addr *to)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, to);
	int fd = socket(to->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);

	sl_assert(fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0);
	sl_assert(fd_set_nonblock(fd) == 0);
	return fd;
}

static inline struct sl_addr test_local(int fd)
{
	struct sl_addr a;

	sl_assert(sock_local(fd, &a) == 0);
	return a;
}

#endif
