/*
 * proc/tool_link.c: one way to a TURN server that carries whole STUN messages.
 *
 * A datagram, or a record of DTLS, is a message; in a stream a message's own length field frames it
 * (RFC 8489 section 6.2.2). Sockets of streams block, with a timeout in the kernel, because TLS
 * reads when it likes.
 */
#include "proc/tool_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/clock.h>
#include "net/tls_client.h"
#include "os/os.h"
#include "proc/tool_stun_client.h"

enum { CONNECT_MS = 3000, SILENCE_S = 2 };

static int make_blocking(int fd)
{
	const struct timeval limit = {.tv_sec = SILENCE_S};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return -SL_ESYS;
	return 0;
}

static int open_stream(struct link *l, const char *host, char *err, size_t cap)
{
	int rc = client_connect(&l->server, CONNECT_MS, &l->fd);

	if (rc == 0)
		rc = make_blocking(l->fd);
	if (rc == -SL_ETIMEOUT)
		snprintf(err, cap, "no connection within %d s: something on the way drops it",
			 CONNECT_MS / 1000);
	else if (rc < 0)
		snprintf(err, cap, "no connection: %s", strerror(errno));
	if (rc < 0 || l->kind == LINK_TCP)
		return rc;
	return tls_client_open(l->fd, host, &l->tls, err, cap);
}

static int open_dtls(struct link *l, const char *host, char *err, size_t cap)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, &l->server);

	l->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&sa, len) < 0) {
		snprintf(err, cap, "no way there: %s", strerror(errno));
		return -SL_ESYS;
	}
	return tls_client_open_dtls(l->fd, host, CONNECT_MS, &l->tls, err, cap);
}

static int open_udp(struct link *l, char *err, size_t cap)
{
	struct sl_addr unused;
	int rc = client_udp(&l->server, &l->fd, &unused);

	if (rc < 0)
		snprintf(err, cap, "no way there: %s", strerror(errno));
	return rc;
}

bool link_is_stream(const struct link *l)
{
	return l->kind == LINK_TCP || l->kind == LINK_TLS;
}

int link_open(struct link *l, enum link_kind kind, const struct sl_addr *server, const char *host,
	      char *err, size_t err_cap)
{
	int rc;

	*l = (struct link){.kind = kind, .server = *server, .fd = -1};
	if (kind == LINK_UDP)
		rc = open_udp(l, err, err_cap);
	else if (kind == LINK_DTLS)
		rc = open_dtls(l, host, err, err_cap);
	else
		rc = open_stream(l, host, err, err_cap);
	if (rc < 0)
		link_close(l);
	return rc;
}

void link_close(struct link *l)
{
	tls_client_close(l->tls);
	l->tls = NULL;
	fd_close(&l->fd);
}

int link_send(struct link *l, const void *data, size_t len)
{
	if (l->kind == LINK_UDP)
		return client_send(l->fd, &l->server, data, len);
	if (l->tls)
		return tls_client_write(l->tls, data, len);
	return fd_write_all(l->fd, data, len);
}

/* ---- receiving */

static int receive_datagram(struct link *l, uint64_t deadline_ns, struct sl_str *ret_message)
{
	while (client_wait(l->fd, deadline_ns)) {
		ssize_t n = recv(l->fd, l->in, sizeof l->in, 0);

		if (n <= 0)
			continue;
		*ret_message = (struct sl_str){(const char *)l->in, (size_t)n};
		return 0;
	}
	return -SL_ETIMEOUT;
}

/* Reads first: a datagram may have brought more than one record. */
static int receive_record(struct link *l, uint64_t deadline_ns, struct sl_str *ret_message)
{
	for (;;) {
		ssize_t n = tls_client_read(l->tls, l->in, sizeof l->in);

		if (n > 0) {
			*ret_message = (struct sl_str){(const char *)l->in, (size_t)n};
			return 0;
		}
		if (n != -SL_EAGAIN)
			return -SL_ECLOSED;
		if (!client_wait(l->fd, deadline_ns))
			return -SL_ETIMEOUT;
	}
}

/* Length of the first message, 0: not whole yet; negative: this is no STUN. */
static int first_message(const struct link *l)
{
	size_t whole;

	if (l->n_in < SL_STUN_HEADER)
		return 0;
	whole = SL_STUN_HEADER + (size_t)sl_get16(l->in + 2);
	if (l->in[0] > 3 || whole > sizeof l->in)
		return -SL_EPARSE;
	return l->n_in < whole ? 0 : (int)whole;
}

static ssize_t read_more(struct link *l)
{
	size_t room = sizeof l->in - l->n_in;

	if (l->kind == LINK_TLS)
		return tls_client_read(l->tls, l->in + l->n_in, room);
	return recv(l->fd, l->in + l->n_in, room, 0);
}

static int receive_framed(struct link *l, uint64_t deadline_ns, struct sl_str *ret_message)
{
	int whole;

	memmove(l->in, l->in + l->n_shown, l->n_in - l->n_shown);
	l->n_in -= l->n_shown;
	l->n_shown = 0;
	while ((whole = first_message(l)) == 0) {
		ssize_t n = read_more(l); /* at most SILENCE_S */

		if (n > 0)
			l->n_in += (size_t)n;
		else if (n == 0)
			return -SL_ECLOSED;
		else if (sl_clock_ns() >= deadline_ns)
			return -SL_ETIMEOUT;
		else if (l->kind == LINK_TLS || (errno != EAGAIN && errno != EINTR))
			return -SL_ECLOSED;
	}
	if (whole < 0)
		return -SL_ECLOSED;
	l->n_shown = (size_t)whole;
	*ret_message = (struct sl_str){(const char *)l->in, l->n_shown};
	return 0;
}

int link_receive(struct link *l, uint64_t deadline_ns, struct sl_str *ret_message)
{
	if (l->kind == LINK_UDP)
		return receive_datagram(l, deadline_ns, ret_message);
	if (l->kind == LINK_DTLS)
		return receive_record(l, deadline_ns, ret_message);
	return receive_framed(l, deadline_ns, ret_message);
}
