/*
 * proto/sctp_channel.c: data channels over the streams of one association: DCEP (RFC 8832), closing
 * by stream reset (RFC 8831 section 6.7), and what waits because the library has no room.
 *
 * A message goes to the library at once where it can; else it waits in its stream's queue, and the
 * streams take turns. bufferedAmount is what waits here. Memory is bounded by max_buffered, by the
 * number of streams, and by the length of a label.
 */
#include "proto/sctp_impl.h"

#include <sluice/buf.h>

#include <stdlib.h>

enum {
	MESSAGE_OPEN = 3,
	MESSAGE_ACK = 2,
	OPEN_HEADER = 12,
	MAX_NAMES = 4096, /* label and protocol of ours: a DCEP message of sane size */
	ANY_STREAM = 65535,
	TYPE_RELIABLE = 0,
	TYPE_RETRANSMITS = 1,
	TYPE_LIFETIME = 2,
	TYPE_UNORDERED = 0x80,
};

static struct sctp_stream *stream_of(const struct sctp *s, uint16_t stream)
{
	return stream < SCTP_STREAMS ? s->streams[stream] : NULL;
}

/* ---- queues */

static void queue_drop_first(struct sctp *s, struct sctp_stream *st)
{
	struct sctp_pending *m = st->first;

	st->first = m->next;
	if (!st->first)
		st->last = &st->first;
	s->n_pending--;
	if (m->ppid != SCTP_PPID_DCEP) {
		st->buffered -= m->len;
		s->buffered -= m->len;
	}
	free(m);
}

static int queue_add(struct sctp *s, struct sctp_stream *st, uint32_t ppid, const void *data,
		     size_t len)
{
	struct sctp_pending *m = malloc(sizeof *m + len);

	if (!m)
		return -SL_ENOMEM;
	*m = (struct sctp_pending){.ppid = ppid, .len = len, .expires_ms = UINT64_MAX};
	memcpy(m->data, data, len);
	if (ppid != SCTP_PPID_DCEP) {
		st->buffered += len;
		s->buffered += len;
		if (st->max_lifetime_ms >= 0)
			m->expires_ms = sctp_lib_now_ms() + (uint64_t)st->max_lifetime_ms;
	}
	*st->last = m;
	st->last = &m->next;
	s->n_pending++;
	return 0;
}

/* ---- life of a stream */

static struct sctp_stream *stream_new(struct sctp *s, const struct sctp_channel *c)
{
	struct sctp_stream *st = calloc(1, sizeof *st);

	if (!st)
		return NULL;
	st->ordered = c->ordered;
	st->max_retransmits = c->max_retransmits;
	st->max_lifetime_ms = c->max_lifetime_ms;
	st->last = &st->first;
	s->streams[c->stream] = st;
	if (c->stream >= s->top)
		s->top = (uint16_t)(c->stream + 1);
	return st;
}

static void stream_free(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];

	s->streams[stream] = NULL;
	while (s->top > 0 && !s->streams[s->top - 1])
		s->top--;
	while (st->first)
		queue_drop_first(s, st);
	s->n_closing -= st->closing;
	free(st->names);
	free(st);
}

static void close_if_done(struct sctp *s, uint16_t stream)
{
	const struct sctp_stream *st = s->streams[stream];

	if (!st->in_reset || !st->out_reset)
		return;
	stream_free(s, stream);
	s->io->closed(s->ctx, stream);
}

static void ask_reset(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];
	int rc;

	if (!s->up || st->reset_asked || st->first)
		return;
	rc = sctp_lib_reset(s, stream);
	if (rc == -SL_EAGAIN)
		return;
	st->reset_asked = true;
	if (rc < 0) /* the peer cannot; then closing is ours alone */
		st->in_reset = st->out_reset = true;
	close_if_done(s, stream);
}

static void begin_closing(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];

	s->n_closing += !st->closing;
	st->closing = true;
	ask_reset(s, stream);
}

void sctp_channel_abandon(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = stream_of(s, stream);

	if (!st)
		return;
	while (st->first)
		queue_drop_first(s, st);
	begin_closing(s, stream);
}

/* Their direction has ended, so ours does, too; what waits would not be read. */
void sctp_channel_in_reset(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = stream_of(s, stream);

	if (!st)
		return;
	st->in_reset = true;
	if (st->out_reset)
		close_if_done(s, stream);
	else
		sctp_channel_abandon(s, stream);
}

void sctp_channel_out_reset(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = stream_of(s, stream);

	if (!st)
		return;
	st->out_reset = true;
	close_if_done(s, stream);
}

void sctp_channels_free(struct sctp *s)
{
	for (unsigned i = 0; i < SCTP_STREAMS; i++)
		if (s->streams[i])
			stream_free(s, (uint16_t)i);
}

void sctp_channels_down(struct sctp *s)
{
	for (unsigned i = 0; i < SCTP_STREAMS; i++) {
		if (!s->streams[i])
			continue;
		stream_free(s, (uint16_t)i);
		s->io->closed(s->ctx, (uint16_t)i);
	}
}

static void tell_opened(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];
	char *names = st->names;
	struct sctp_channel c = {
		.stream = stream,
		.ordered = st->ordered,
		.max_retransmits = st->max_retransmits,
		.max_lifetime_ms = st->max_lifetime_ms,
		.label = {names, st->label_len},
		.protocol = {names ? names + st->label_len : NULL, st->protocol_len},
	};

	st->confirmed = true;
	if (st->told)
		return;
	st->told = true;
	st->names = NULL;
	s->io->opened(s->ctx, &c);
	free(names);
}

/* ---- sending */

/* RFC 8832 section 6: ordered until the peer is known to have read the OPEN. */
static struct sctp_fate fate_of(const struct sctp_stream *st, uint32_t ppid, uint64_t expires_ms)
{
	struct sctp_fate f = {.ordered = true, .max_retransmits = -1, .lifetime_ms = -1};
	uint64_t now_ms = sctp_lib_now_ms();

	if (ppid == SCTP_PPID_DCEP)
		return f;
	f.ordered = st->ordered || !st->confirmed;
	f.max_retransmits = st->max_retransmits;
	if (expires_ms != UINT64_MAX)
		f.lifetime_ms = (int64_t)(expires_ms > now_ms ? expires_ms - now_ms : 0);
	return f;
}

static void sent(struct sctp *s, uint32_t ppid, size_t len)
{
	if (ppid == SCTP_PPID_DCEP)
		return;
	s->count->messages_out++;
	s->count->bytes_out += len;
}

/* -SL_EAGAIN: it stays first in the queue */
static int send_first(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];
	struct sctp_pending *m = st->first;
	struct sctp_fate fate = fate_of(st, m->ppid, m->expires_ms);
	int rc;

	if (m->expires_ms <= sctp_lib_now_ms()) {
		s->count->expired++;
		queue_drop_first(s, st);
		return 0;
	}
	rc = sctp_lib_send(s, stream, m->ppid, &fate, m->data, m->len);
	if (rc == -SL_EAGAIN)
		return rc;
	if (rc == 0)
		sent(s, m->ppid, m->len);
	queue_drop_first(s, st);
	return 0;
}

static void tell_writable(struct sctp *s, uint16_t stream)
{
	struct sctp_stream *st = s->streams[stream];

	if (!st->above || st->buffered > st->threshold)
		return;
	st->above = false;
	if (!st->closing)
		s->io->writable(s->ctx, stream);
}

/* One message of the stream whose turn it is; false: none can go. */
static bool send_next(struct sctp *s)
{
	for (unsigned i = 0; i < s->top; i++) {
		uint16_t stream = (uint16_t)((s->turn + i) % s->top);
		struct sctp_stream *st = s->streams[stream];

		if (!st || !st->first)
			continue;
		if (send_first(s, stream) < 0)
			return false;
		s->turn = (uint16_t)(stream + 1);
		tell_writable(s, stream);
		st = s->streams[stream]; /* the callback may have closed it */
		if (st && st->closing)
			ask_reset(s, stream);
		return true;
	}
	return false;
}

void sctp_channels_flush(struct sctp *s)
{
	if (!s->up || s->dead)
		return;
	while (!s->dead && s->n_pending > 0 && send_next(s))
		;
	for (unsigned i = 0; s->n_closing > 0 && i < s->top; i++)
		if (s->streams[i] && s->streams[i]->closing)
			ask_reset(s, (uint16_t)i);
}

static int send_or_queue(struct sctp *s, uint16_t stream, uint32_t ppid, const void *data,
			 size_t len)
{
	struct sctp_stream *st = s->streams[stream];
	uint64_t expires_ms = st->max_lifetime_ms < 0 || ppid == SCTP_PPID_DCEP
				      ? UINT64_MAX
				      : sctp_lib_now_ms() + (uint64_t)st->max_lifetime_ms;
	struct sctp_fate fate = fate_of(st, ppid, expires_ms);
	int rc = -SL_EAGAIN;

	if (s->up && !st->first)
		rc = sctp_lib_send(s, stream, ppid, &fate, data, len);
	if (rc == 0)
		sent(s, ppid, len);
	if (rc != -SL_EAGAIN)
		return rc;
	if (ppid != SCTP_PPID_DCEP && s->buffered > 0 && s->buffered + len > s->opts.max_buffered) {
		st->above = true; /* whoever is refused is told when to try again */
		return -SL_EFULL;
	}
	rc = queue_add(s, st, ppid, data, len);
	st->above = st->above || st->buffered > st->threshold;
	return rc;
}

int sctp_send(struct sctp *s, uint16_t stream, bool text, const void *data, size_t len)
{
	const struct sctp_stream *st = stream_of(s, stream);

	if (!st || st->closing)
		return -SL_ENOENT;
	if (len > s->opts.max_message)
		return -SL_ELIMIT;
	if (len == 0) /* SCTP knows no empty message (RFC 8831 section 6.6) */
		return send_or_queue(s, stream,
				     text ? SCTP_PPID_TEXT_EMPTY : SCTP_PPID_BINARY_EMPTY, "", 1);
	return send_or_queue(s, stream, text ? SCTP_PPID_TEXT : SCTP_PPID_BINARY, data, len);
}

size_t sctp_buffered(const struct sctp *s, uint16_t stream)
{
	const struct sctp_stream *st = stream_of(s, stream);

	return st ? st->buffered : 0;
}

void sctp_set_threshold(struct sctp *s, uint16_t stream, size_t bytes)
{
	struct sctp_stream *st = stream_of(s, stream);

	if (!st)
		return;
	st->threshold = bytes;
	st->above = st->above || st->buffered > bytes;
}

/* ---- opening ours */

static int send_open(struct sctp *s, const struct sctp_channel *c)
{
	uint8_t message[OPEN_HEADER + MAX_NAMES], type = TYPE_RELIABLE;
	uint32_t limit = 0;

	if (c->max_retransmits >= 0) {
		type = TYPE_RETRANSMITS;
		limit = (uint32_t)c->max_retransmits;
	} else if (c->max_lifetime_ms >= 0) {
		type = TYPE_LIFETIME;
		limit = (uint32_t)c->max_lifetime_ms;
	}
	message[0] = MESSAGE_OPEN;
	message[1] = (uint8_t)(type | (c->ordered ? 0 : TYPE_UNORDERED));
	sl_put16(message + 2, 0); /* priority */
	sl_put32(message + 4, limit);
	sl_put16(message + 8, (uint16_t)c->label.len);
	sl_put16(message + 10, (uint16_t)c->protocol.len);
	if (c->label.len > 0)
		memcpy(message + OPEN_HEADER, c->label.p, c->label.len);
	if (c->protocol.len > 0)
		memcpy(message + OPEN_HEADER + c->label.len, c->protocol.p, c->protocol.len);
	return send_or_queue(s, c->stream, SCTP_PPID_DCEP, message,
			     OPEN_HEADER + c->label.len + c->protocol.len);
}

static int keep_names(struct sctp_stream *st, const struct sctp_channel *c)
{
	st->label_len = (uint16_t)c->label.len;
	st->protocol_len = (uint16_t)c->protocol.len;
	st->names = malloc(c->label.len + c->protocol.len + 1);
	if (!st->names)
		return -SL_ENOMEM;
	(void)sl_str_copy(st->names, c->label.len + 1, c->label); /* fits */
	(void)sl_str_copy(st->names + c->label.len, c->protocol.len + 1, c->protocol);
	return 0;
}

static int free_stream(const struct sctp *s, uint16_t *ret_stream)
{
	for (unsigned i = s->opts.client ? 0 : 1; i < s->n_streams; i += 2) {
		if (!s->streams[i]) {
			*ret_stream = (uint16_t)i;
			return 0;
		}
	}
	return -SL_EFULL;
}

static int check_wish(const struct sctp *s, const struct sctp_channel *c)
{
	if (s->dead)
		return -SL_ECLOSED;
	if (c->label.len + c->protocol.len > MAX_NAMES ||
	    (c->max_retransmits >= 0 && c->max_lifetime_ms >= 0))
		return -SL_EINVAL;
	if (c->stream == ANY_STREAM)
		return c->negotiated ? -SL_EINVAL : 0;
	if (c->stream >= s->n_streams)
		return -SL_EINVAL;
	return s->streams[c->stream] ? -SL_EEXIST : 0;
}

int sctp_open(struct sctp *s, const struct sctp_channel *c, uint16_t *ret_stream)
{
	struct sctp_channel wish = *c;
	struct sctp_stream *st;
	int rc = check_wish(s, c);

	if (rc == 0 && c->stream == ANY_STREAM)
		rc = free_stream(s, &wish.stream);
	if (rc < 0)
		return rc;
	st = stream_new(s, &wish);
	if (!st)
		return -SL_ENOMEM;
	rc = keep_names(st, &wish);
	if (rc == 0 && !c->negotiated)
		rc = send_open(s, &wish);
	if (rc < 0) {
		stream_free(s, wish.stream);
		return rc;
	}
	*ret_stream = wish.stream;
	st->confirmed = c->negotiated;
	if (c->negotiated && s->up)
		tell_opened(s, wish.stream);
	return 0;
}

int sctp_close(struct sctp *s, uint16_t stream)
{
	const struct sctp_stream *st = stream_of(s, stream);

	if (!st || st->closing)
		return -SL_ENOENT;
	begin_closing(s, stream);
	return 0;
}

void sctp_channels_up(struct sctp *s, unsigned n_streams)
{
	s->n_streams = (uint16_t)(n_streams < SCTP_STREAMS ? n_streams : SCTP_STREAMS);
	for (unsigned i = 0; i < SCTP_STREAMS; i++) {
		struct sctp_stream *st = s->streams[i];

		if (!st)
			continue;
		if (i >= s->n_streams) { /* the peer has fewer */
			stream_free(s, (uint16_t)i);
			s->io->closed(s->ctx, (uint16_t)i);
		} else if (st->confirmed) {
			tell_opened(s, (uint16_t)i);
		}
	}
	sctp_channels_flush(s);
}

/* ---- what arrives */

static bool read_open(struct sctp_channel *c, const uint8_t *p, size_t len)
{
	size_t label, protocol;
	uint32_t limit;

	if (len < OPEN_HEADER)
		return false;
	label = sl_get16(p + 8);
	protocol = sl_get16(p + 10);
	if (len != OPEN_HEADER + label + protocol)
		return false;
	limit = sl_get32(p + 4);
	if (limit > INT32_MAX)
		limit = INT32_MAX;
	c->ordered = !(p[1] & TYPE_UNORDERED);
	c->max_retransmits = c->max_lifetime_ms = -1;
	if ((p[1] & ~TYPE_UNORDERED) == TYPE_RETRANSMITS)
		c->max_retransmits = (int32_t)limit;
	else if ((p[1] & ~TYPE_UNORDERED) == TYPE_LIFETIME)
		c->max_lifetime_ms = (int32_t)limit;
	else if ((p[1] & ~TYPE_UNORDERED) != TYPE_RELIABLE)
		return false;
	c->label = (struct sl_str){(const char *)p + OPEN_HEADER, label};
	c->protocol = (struct sl_str){(const char *)p + OPEN_HEADER + label, protocol};
	return true;
}

/* The parity of their number is not looked at: what matters is that it is free. */
static void take_open(struct sctp *s, uint16_t stream, const uint8_t *p, size_t len)
{
	static const uint8_t ack = MESSAGE_ACK;
	struct sctp_channel c = {.stream = stream};
	struct sctp_stream *st;

	if (stream >= s->n_streams || s->streams[stream] || !read_open(&c, p, len)) {
		s->count->bad_dcep++;
		return;
	}
	st = stream_new(s, &c);
	if (!st)
		return; /* the peer waits for its ACK in vain */
	st->confirmed = st->told = true;
	if (send_or_queue(s, stream, SCTP_PPID_DCEP, &ack, sizeof ack) < 0) {
		stream_free(s, stream);
		return;
	}
	s->io->opened(s->ctx, &c);
}

static void take_dcep(struct sctp *s, uint16_t stream, const uint8_t *p, size_t len)
{
	const struct sctp_stream *st = stream_of(s, stream);

	if (len > 0 && p[0] == MESSAGE_OPEN)
		take_open(s, stream, p, len);
	else if (len > 0 && p[0] == MESSAGE_ACK && st)
		tell_opened(s, stream);
	else
		s->count->bad_dcep++;
}

static bool is_text(uint32_t ppid)
{
	return ppid == SCTP_PPID_TEXT || ppid == SCTP_PPID_TEXT_EMPTY ||
	       ppid == SCTP_PPID_TEXT_PART;
}

static bool is_empty(uint32_t ppid)
{
	return ppid == SCTP_PPID_TEXT_EMPTY || ppid == SCTP_PPID_BINARY_EMPTY;
}

void sctp_channel_message(struct sctp *s, uint16_t stream, uint32_t ppid, const uint8_t *data,
			  size_t len)
{
	struct sctp_stream *st = stream_of(s, stream);

	if (ppid == SCTP_PPID_DCEP) {
		take_dcep(s, stream, data, len);
		return;
	}
	if (!st || ppid < SCTP_PPID_TEXT || ppid > SCTP_PPID_BINARY_EMPTY) {
		s->count->no_channel++;
		return;
	}
	if (!st->told) /* whoever sends on it has read our OPEN */
		tell_opened(s, stream);
	s->count->messages_in++;
	s->count->bytes_in += is_empty(ppid) ? 0 : len;
	if (s->streams[stream] == st) /* the callback may have ended it */
		s->io->message(s->ctx, stream, is_text(ppid), data, is_empty(ppid) ? 0 : len);
}
