/*
 * net/stream_io.c: reading and writing a connection that a module has taken.
 *
 * What was read is shown where it lies; only what the module leaves over is kept, so that an idle
 * connection holds no buffers. What is written leaves when the tick ends: several messages of a
 * tick share a segment and a TLS record. Both directions are bounded. A close writes the queue,
 * says goodbye and waits for the peer's end, all within five seconds.
 */
#include "net/stream.h"

#include "net/engine.h"
#include "net/tls_connect.h"
#include "net/tls_stream.h"

#include <errno.h>
#include <stdlib.h>

#define READS_PER_WAKEUP 4
#define WRITE_EARLY 32768 /* a queue of this size does not wait for the end of the tick */
#define CLOSE_MS 5000
#define MAX_INPUT 65536 /* where the module does not say */
#define MAX_OUTPUT 262144

/* Made when the first bytes come, so that who says nothing costs nothing. */
int conn_io_new(struct sl_conn *c)
{
	c->io = calloc(1, sizeof *c->io);
	if (!c->io)
		return -SL_ENOMEM;
	sl_buf_init(&c->io->in, 0);
	sl_buf_init(&c->io->out, 0);
	return 0;
}

void conn_io_free(struct sl_conn *c)
{
	if (!c->io)
		return;
	sl_buf_free(&c->io->in);
	sl_buf_free(&c->io->out);
	free(c->io);
	c->io = NULL;
}

/*
 * The tick's time: timeouts are counted in seconds, and asking the clock per message is not free.
 */
static uint64_t now_ms(const struct sl_conn *c)
{
	return sl_loop_ms(conn_net(c)->worker->loop);
}

/* ---- transport */

/* EINTR cannot be told from EAGAIN by the caller and means the same: come again. */
static ptrdiff_t result_of(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -SL_EAGAIN : -SL_ECLOSED;
}

/* From the socket or through TLS; the rest of this file does not know which. */
ptrdiff_t conn_receive(struct sl_conn *c, void *dst, size_t cap)
{
	if (c->tls)
		return tls_stream_read(c->tls, dst, cap);
	return result_of(recv(c->ev.fd, dst, cap, MSG_DONTWAIT));
}

/* MSG_NOSIGNAL: a peer that has gone is a result, not a signal. */
static ptrdiff_t transmit(struct sl_conn *c, const void *src, size_t len)
{
	if (c->tls)
		return tls_stream_write(c->tls, src, len);
	return result_of(send(c->ev.fd, src, len, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* A connection of ours whose handshake failed says so to its owner. */
static enum sl_close_reason broken(const struct sl_conn *c)
{
	return c->tls && tls_connect_is_shaking(c->tls) ? SL_CLOSE_TLS : SL_CLOSE_ERROR;
}

/* ---- input */

static size_t max_input(const struct sl_conn *c)
{
	return c->io->ops.max_input ? c->io->ops.max_input : MAX_INPUT;
}

/* Shows bytes; returns how many were used up, or -1 when the connection is not to be read any more.
 */
static ptrdiff_t show(struct sl_conn *c, const uint8_t *data, size_t len)
{
	ptrdiff_t used = c->io->ops.input(c->io->arg, c, data, len);

	if (c->state != CONN_OPEN)
		return -1;
	if (used < 0 || !sl_check((size_t)used <= len)) {
		sl_conn_close(c, SL_CLOSE_ERROR);
		return -1;
	}
	return used;
}

/* What the module left over. A copy, but a rare one: most messages come whole. */
static int hold(struct sl_conn *c, const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	sl_buf_add(&c->io->in, data, len);
	if (sl_buf_ok(&c->io->in) < 0) {
		conn_fail(c, SL_CLOSE_ERROR);
		return -SL_ENOMEM;
	}
	return 0;
}

/* The module has seen all that may be held and could not use any of it. */
static int check_full(struct sl_conn *c, size_t held)
{
	if (held < max_input(c))
		return 0;
	sl_conn_close(c, SL_CLOSE_LIMIT);
	return -SL_ELIMIT;
}

/* What is held, with new bytes behind it. */
static int show_held(struct sl_conn *c)
{
	struct sl_buf *in = &c->io->in;
	ptrdiff_t used = show(c, in->p, in->len);

	if (used < 0)
		return -SL_ECLOSED;
	if ((size_t)used == in->len) {
		sl_buf_free(in);
		return 0;
	}
	sl_buf_drop(in, (size_t)used);
	return check_full(c, in->len);
}

/* The usual case: nothing is held. */
static int show_fresh(struct sl_conn *c, const uint8_t *data, size_t len)
{
	ptrdiff_t used = show(c, data, len);

	if (used < 0 || check_full(c, len - (size_t)used) < 0)
		return -SL_ECLOSED;
	return hold(c, data + used, len - (size_t)used);
}

/* Is there more to read that the loop would not announce, or that a full buffer suggests? */
static bool more_waits(const struct sl_conn *c, size_t got, size_t asked)
{
	return c->tls ? tls_stream_pending(c->tls) : got == asked;
}

/* One turn; results as those of conn_receive. */
static ptrdiff_t read_some(struct sl_conn *c, bool *ret_more)
{
	uint8_t *scratch = conn_net(c)->streams.scratch;
	size_t room = max_input(c) - c->io->in.len;
	size_t asked = room < STREAM_SCRATCH ? room : STREAM_SCRATCH;
	ptrdiff_t got = conn_receive(c, scratch, asked);
	int rc;

	if (got <= 0)
		return got;
	*ret_more = more_waits(c, (size_t)got, asked);
	c->io->n_bytes += (uint64_t)got;
	sl_count_n(net_meter(conn_net(c), NET_stream_bytes_in), (uint64_t)got);
	if (c->io->in.len == 0)
		rc = show_fresh(c, scratch, (size_t)got);
	else
		rc = hold(c, scratch, (size_t)got) < 0 ? -SL_ECLOSED : show_held(c);
	return rc < 0 ? -SL_ECLOSED : got;
}

/*
 * A few turns per wake-up: a fast sender does not keep the loop from the others. A read that did
 * not fill its room has emptied the socket, and the call that would say so is saved. What lies in
 * OpenSSL's buffer is not announced by the socket: it is read on in the next tick.
 */
static void read_all(struct sl_conn *c)
{
	ptrdiff_t got = 1;
	bool more = true;

	for (unsigned turn = 0; got > 0 && more && conn_may_read(c); turn++) {
		if (turn == READS_PER_WAKEUP) {
			c->io->reads_on = c->tls != NULL;
			conn_mark(c);
			break;
		}
		got = read_some(c, &more);
	}
	if (c->state != CONN_OPEN)
		return;
	c->io->active_ms = now_ms(c);
	if (got == 0)
		conn_input_ended(c);
	else if (got == -SL_ECLOSED)
		conn_fail(c, broken(c));
}

/* What was decrypted during preread comes first; the socket may have more already. */
void conn_begin(struct sl_conn *c)
{
	struct sl_loop *loop = conn_net(c)->worker->loop;

	c->io->active_ms = now_ms(c);
	if (c->io->ops.idle_timeout_ms > 0)
		sl_timer_set(loop, &c->timer, c->io->ops.idle_timeout_ms);
	else
		sl_timer_cancel(loop, &c->timer);
	if (c->io->in.len > 0 && show_held(c) < 0)
		return;
	read_all(c);
}

/* ---- output */

/* An empty queue gives its memory back: ten thousand idle connections hold none. */
static void written(struct sl_conn *c, size_t n)
{
	struct sl_buf *out = &c->io->out;

	c->io->n_bytes += n;
	sl_count_n(net_meter(conn_net(c), NET_stream_bytes_out), n);
	c->io->active_ms = now_ms(c);
	queue_passed(c->io, n);
	if (n == out->len)
		sl_buf_free(out);
	else
		sl_buf_drop(out, n);
}

/* Closing connections are not read: their input is nobody's any more. Nothing at all is wanted of a
 * paused one that has nothing to write, or its peer's end would wake the loop for ever. */
unsigned conn_interest(const struct sl_conn *c)
{
	unsigned wanted = conn_may_read(c) ? SL_READ : 0;

	return wanted | (c->io->stuck ? SL_WRITE : 0);
}

/* Until empty or the kernel's buffer is full, which the loop then watches; or until TLS wants to
 * hear of its peer first: what comes is read, and then this is tried again. */
static void flush(struct sl_conn *c)
{
	struct conn_io *io = c->io;

	while (io->out.len > 0) {
		ptrdiff_t n = transmit(c, io->out.p, io->out.len);

		if (n == -SL_EAGAIN) {
			io->owes_drained = true;
			io->stuck = !c->tls || tls_stream_wants_write(c->tls);
			queue_stuck(c);
			conn_want(c, conn_interest(c));
			return;
		}
		if (n <= 0) {
			conn_fail(c, broken(c));
			return;
		}
		written(c, (size_t)n);
	}
	if (io->stuck) {
		io->stuck = false;
		if (c->state == CONN_OPEN)
			conn_want(c, conn_interest(c));
	}
}

/* Only to an owner that had to wait: the usual write is gone by the end of the tick. */
static void tell_drained(struct sl_conn *c)
{
	struct conn_io *io = c->io;

	if (!io->owes_drained || io->out.len > 0 || c->state != CONN_OPEN)
		return;
	io->owes_drained = false;
	if (io->ops.drained)
		io->ops.drained(io->arg, c);
}

/* Whole or not at all: half a message in the queue would be worse than none. */
int sl_conn_write(struct sl_conn *c, const void *data, size_t len)
{
	struct conn_io *io = c->io;
	size_t max;
	int dropped;

	if (c->state != CONN_OPEN || io->ending)
		return -SL_ECLOSED;
	max = io->ops.max_output ? io->ops.max_output : MAX_OUTPUT;
	if (io->out.len + len >= WRITE_EARLY && io->out.len > 0 && !io->stuck)
		flush(c);
	if (c->state != CONN_OPEN)
		return -SL_ECLOSED;
	dropped = queue_make_room(c, len, max);
	if (dropped < 0)
		return dropped;
	sl_buf_add(&io->out, data, len);
	if (sl_buf_ok(&io->out) < 0) {
		conn_fail(c, SL_CLOSE_ERROR);
		return -SL_ECLOSED;
	}
	if (io->out.len > WRITE_EARLY) /* long enough to be a reason to wait, for who looks at it */
		io->owes_drained = true;
	conn_mark(c);
	return dropped;
}

size_t sl_conn_queued(const struct sl_conn *c)
{
	return c->io ? c->io->out.len : 0;
}

/* ---- the end */

/* Before it was taken there is nothing to flush and nobody to tell. */
void sl_conn_close(struct sl_conn *c, enum sl_close_reason why)
{
	if (c->state < CONN_OPEN)
		conn_fail(c, why);
	if (c->state != CONN_OPEN)
		return;
	c->state = CONN_FLUSHING;
	c->why = (uint8_t)why;
	sl_event_del(conn_net(c)->worker->loop, &c->ev); /* input stops now */
	sl_timer_set(conn_net(c)->worker->loop, &c->timer, CLOSE_MS);
	conn_mark(c);
}

/* Closing with bytes unread makes the kernel send a reset, which can overtake our last words. */
static void say_goodbye(struct sl_conn *c)
{
	if (c->tls)
		tls_stream_shutdown(c->tls);
	if (c->why == SL_CLOSE_PEER || shutdown(c->ev.fd, SHUT_WR) < 0) {
		conn_fail(c, c->why);
		return;
	}
	c->state = CONN_LINGERING;
	conn_want(c, SL_READ);
}

/* Until the peer's end, or until the timer's. */
static void discard_input(struct sl_conn *c)
{
	uint8_t *scratch = conn_net(c)->streams.scratch;
	ptrdiff_t got = result_of(recv(c->ev.fd, scratch, STREAM_SCRATCH, MSG_DONTWAIT));

	if (got == 0 || got == -SL_ECLOSED)
		conn_fail(c, c->why);
}

/* After a pause the module looks again at what it left over. */
static void read_on(struct sl_conn *c)
{
	struct conn_io *io = c->io;
	bool shows = io->resumed && io->in.len > 0;

	if (c->state != CONN_OPEN || (!io->reads_on && !io->resumed))
		return;
	io->reads_on = io->resumed = false;
	if (!shows || show_held(c) == 0)
		read_all(c);
}

/* The end of a tick for a connection that wrote or was closed in it. */
void conn_settle(struct sl_conn *c)
{
	read_on(c);
	if (c->state != CONN_OPEN && c->state != CONN_FLUSHING)
		return;
	if (!c->io->stuck)
		flush(c);
	if (c->state == CONN_FLUSHING && c->io->out.len == 0)
		say_goodbye(c);
	else if (c->state == CONN_FLUSHING)
		conn_want(c, conn_interest(c));
	else if (c->io->ending)
		conn_end_output(c);
	else
		tell_drained(c);
}

/* Reading first: an answer may come of it and leave with what waits. */
void conn_ready(struct sl_conn *c, unsigned ready)
{
	if (c->state == CONN_LINGERING) {
		discard_input(c);
		return;
	}
	if (c->state == CONN_OPEN && ready & (SL_READ | SL_HANGUP | SL_ERROR))
		read_all(c);
	if (c->state != CONN_OPEN && c->state != CONN_FLUSHING)
		return;
	if (ready & (SL_WRITE | SL_ERROR | SL_HANGUP)) {
		c->io->stuck = false; /* flush sets it again */
		flush(c);
		if (c->state == CONN_OPEN)
			conn_want(c, conn_interest(c));
	}
	if (c->state == CONN_OPEN || c->state == CONN_FLUSHING)
		conn_settle(c);
}

/* The timer is not moved by every byte: it looks how long ago the last one was. */
void conn_timeout(struct sl_conn *c)
{
	struct sl_loop *loop = conn_net(c)->worker->loop;
	uint64_t idle_ms, limit_ms;

	if (c->state != CONN_OPEN) {
		conn_fail(c, c->why);
		return;
	}
	idle_ms = now_ms(c) - c->io->active_ms;
	limit_ms = c->io->ops.idle_timeout_ms;
	if (idle_ms < limit_ms) {
		sl_timer_set(loop, &c->timer, limit_ms - idle_ms);
		return;
	}
	sl_count(net_meter(conn_net(c), NET_idle_timeouts));
	sl_conn_close(c, SL_CLOSE_TIMEOUT);
}
