/*
 * proc/tool_stun_client.c: what the tools that ask STUN servers share: names become addresses,
 * requests are repeated until answered (RFC 8489 section 6.2.1, with less patience: a person
 * waits).
 */
#include "proc/tool_stun_client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include "os/os.h"

/* ---- places */

static int read_port(struct sl_str s, uint16_t *ret_port)
{
	uint64_t port;

	if (sl_str_u64(s, &port) < 0 || port == 0 || port > UINT16_MAX)
		return -SL_EPARSE;
	*ret_port = (uint16_t)port;
	return 0;
}

/* An address needs no question; false: it is a name. */
static bool literal(struct sl_str text, struct client_place *p)
{
	if (sl_addr_parse(&p->addrs[0], text) < 0)
		return false;
	if (p->addrs[0].port)
		p->port = p->addrs[0].port;
	p->addrs[0].port = p->port;
	p->n_addrs = 1;
	return true;
}

static bool has_family(const struct client_place *p, uint8_t family)
{
	for (unsigned i = 0; i < p->n_addrs; i++)
		if (p->addrs[i].family == family)
			return true;
	return false;
}

static int look_up(struct client_place *p)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *all;
	int rc = getaddrinfo(p->host, NULL, &hints, &all);

	if (rc != 0) {
		fprintf(stderr, "sluice: %s: %s\n", p->host, gai_strerror(rc));
		return -SL_ENOENT;
	}
	for (struct addrinfo *i = all; i && p->n_addrs < CLIENT_MAX_PLACES; i = i->ai_next) {
		struct sl_addr a;

		if (sl_addr_from_sockaddr(&a, i->ai_addr) < 0 || has_family(p, a.family))
			continue;
		a.port = p->port;
		p->addrs[p->n_addrs++] = a;
	}
	freeaddrinfo(all);
	return p->n_addrs ? 0 : -SL_ENOENT;
}

int client_resolve(const char *text, uint16_t default_port, struct client_place *ret_place)
{
	struct client_place p = {.port = default_port};
	struct sl_str rest = sl_str_c(text), host;

	if (literal(rest, &p)) {
		(void)sl_addr_format_ip(p.host, &p.addrs[0]);
		*ret_place = p;
		return 0;
	}
	host = sl_str_split(&rest, ':');
	if (host.len == 0 || host.len >= sizeof p.host ||
	    (rest.p && read_port(rest, &p.port) < 0)) {
		fprintf(stderr, "sluice: \"%s\" is not HOST, HOST:PORT or [IPV6]:PORT\n", text);
		return -SL_EPARSE;
	}
	(void)sl_str_copy(p.host, sizeof p.host, host);
	if (look_up(&p) < 0)
		return -SL_ENOENT;
	*ret_place = p;
	return 0;
}

/* ---- sockets */

/* The kernel says which address it would send from; nothing is sent. */
static int source_towards(const struct sl_addr *to, struct sl_addr *ret_local)
{
	const struct sl_addr any = {.family = to->family};
	const struct sock_opts none = {0};
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, to);
	int fd FD_AUTO = -1;

	if (sock_udp(&any, &none, &fd) < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -SL_ESYS;
	return sock_local(fd, ret_local);
}

int client_udp(const struct sl_addr *to, int *ret_fd, struct sl_addr *ret_local)
{
	const struct sl_addr any = {.family = to->family};
	const struct sock_opts none = {0};
	struct sl_addr local, bound;
	int fd FD_AUTO = -1;

	if (source_towards(to, &local) < 0 || sock_udp(&any, &none, &fd) < 0 ||
	    sock_local(fd, &bound) < 0)
		return -SL_ESYS;
	local.port = bound.port;
	*ret_local = local;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int client_send(int fd, const struct sl_addr *to, const void *data, size_t len)
{
	struct sockaddr_storage sa;
	unsigned sa_len = sl_addr_to_sockaddr(&sa, to);

	return sendto(fd, data, len, 0, (struct sockaddr *)&sa, sa_len) < 0 ? -SL_ESYS : 0;
}

bool client_wait(int fd, uint64_t deadline_ns)
{
	return fd_wait(fd, POLLIN, deadline_ns);
}

int client_connect(const struct sl_addr *to, uint64_t timeout_ms, int *ret_fd)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, to);
	socklen_t err_len = sizeof(int);
	int fd FD_AUTO = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -SL_ESYS;
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return -SL_ESYS;
	if (!fd_wait(fd, POLLOUT, sl_clock_ns() + timeout_ms * SL_NS_PER_MS))
		return -SL_ETIMEOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		return -SL_ESYS;
	if (err != 0) {
		errno = err;
		return -SL_ESYS;
	}
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* ---- transactions */

/* What comes and is not the answer belongs to nobody. */
static int hear(int fd, const uint8_t txid[12], uint64_t deadline_ns,
		struct stun_report *ret_report)
{
	uint8_t text[2048];

	while (client_wait(fd, deadline_ns)) {
		ssize_t n = recv(fd, text, sizeof text, 0);

		if (n > 0 && stun_report_read(text, (size_t)n, txid, ret_report) == 0)
			return 0;
	}
	return -SL_ETIMEOUT;
}

int client_ask(int fd, int hears, const struct sl_addr *to, struct stun_query *q,
	       struct stun_report *ret_report)
{
	static const unsigned waits_ms[] = {200, 300, 500, 700};
	uint8_t text[STUN_QUERY_MAX];
	size_t len;

	if (sl_random(q->txid, sizeof q->txid) < 0)
		return -SL_ESYS;
	len = stun_query_write(q, text);
	for (unsigned i = 0; i < SL_ARRAY_LEN(waits_ms); i++) {
		uint64_t deadline = sl_clock_ns() + waits_ms[i] * SL_NS_PER_MS;

		/* A refused send is like a lost one: the way may open. */
		(void)client_send(fd, to, text, len);
		if (hear(hears, q->txid, deadline, ret_report) == 0)
			return 0;
	}
	return -SL_ETIMEOUT;
}
