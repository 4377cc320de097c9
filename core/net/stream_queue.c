/*
 * net/stream_queue.c: what waits to be written to a client that does not read: of media the newest,
 * and all of the rest.
 *
 * The queue is bytes; its owner tells where a message ends and whether it may be lost. The place of
 * the first message that has not begun to leave is kept, so that what goes is always whole. Under
 * TLS the record that OpenSSL could not write is sealed already: its bytes stay, too. The queue is
 * walked only when the kernel takes part of it, or when it is full; then a quarter is made free at
 * once, so that a flood does not move the rest for each of its packets.
 */
#include "net/stream.h"

#include <netinet/tcp.h>
#include "net/engine.h"

#define TLS_RECORD 16384
/* Beyond so much unsent the kernel takes no more: what waits there cannot be dropped. */
#define UNSENT_MAX 65536

/* A queue that its owner cannot read is a bug of ours; all of it is one message then. */
static size_t message_at(const struct conn_io *io, size_t at, bool *ret_media)
{
	size_t rest = io->out.len - at, n;

	*ret_media = false;
	n = io->ops.frame(io->arg, io->out.p + at, rest, ret_media);
	return sl_check(n > 0 && n <= rest) ? n : rest;
}

/* The first place at or behind `least` where a message begins. */
static size_t boundary_from(const struct conn_io *io, size_t least)
{
	size_t at = io->boundary;
	bool media;

	while (at < least && at < io->out.len)
		at += message_at(io, at, &media);
	return at;
}

void queue_prepare(const struct sl_conn *c)
{
	const int unsent = UNSENT_MAX;

	/* Without it a slow client hears older media, and no less of it. */
	if (c->io->ops.frame)
		(void)setsockopt(c->ev.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

void queue_passed(struct conn_io *io, size_t n)
{
	io->committed = 0;
	if (n == io->out.len)
		io->boundary = 0; /* as nearly always */
	else if (io->ops.frame)
		io->boundary = boundary_from(io, n) - n;
}

void queue_stuck(struct sl_conn *c)
{
	struct conn_io *io = c->io;

	if (c->tls)
		io->committed = io->out.len < TLS_RECORD ? io->out.len : TLS_RECORD;
}

/* Messages move to the front over those that go, oldest first. */
static unsigned thin(struct conn_io *io, size_t target)
{
	size_t at = boundary_from(io, io->committed), to = at, n;
	unsigned n_dropped = 0;
	bool media;

	for (; at < io->out.len; at += n) {
		n = message_at(io, at, &media);
		if (media && io->out.len - (at - to) > target) {
			n_dropped++;
			continue;
		}
		memmove(io->out.p + to, io->out.p + at, n);
		to += n;
	}
	io->out.len = to;
	return n_dropped;
}

int queue_make_room(struct sl_conn *c, size_t len, size_t max)
{
	struct conn_io *io = c->io;
	unsigned n_dropped = 0;

	if (len <= max && io->out.len <= max - len)
		return 0;
	if (io->ops.frame && len <= max - max / 4)
		n_dropped = thin(io, max - max / 4 - len);
	sl_count_n(net_meter(conn_net(c), NET_stream_dropped), n_dropped);
	if (len <= max && io->out.len <= max - len)
		return (int)n_dropped;
	io->owes_drained = true;
	return -SL_EFULL;
}
