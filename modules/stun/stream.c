/*
 * stun/stream.c: Binding over TCP and TLS (RFC 8489 section 6.2.2): messages one behind the other,
 * framed by their own length field.
 *
 * Takes connections that begin with a STUN header and that nobody before wanted (turn-relay takes
 * them first where it is active, and asks us for answers). A source that has finished a handshake
 * is no spoofed one, so there is no rate guard.
 */
#include "server.h"

enum { COOKIE_END = 8, MAX_MESSAGE = 2048 };

/* A message that cannot be one ends the connection: there is no way back into step. */
static ptrdiff_t take_message(struct stun *s, struct sl_conn *c, const uint8_t *data, size_t len)
{
	uint8_t answer[STUN_ANSWER_MAX];
	struct sl_stun_msg msg;
	size_t whole;
	int n;

	whole = SL_STUN_HEADER + (size_t)sl_get16(data + 2);
	if (whole > MAX_MESSAGE)
		return -SL_ELIMIT;
	if (len < whole)
		return 0;
	if (sl_stun_parse(&msg, data, whole) < 0)
		return -SL_EPARSE;
	sl_count(&s->m[M_STREAM_REQUESTS]);
	n = stun_answer(s, &msg, sl_conn_remote(c), answer);
	if (n > 0 && sl_conn_write(c, answer, (size_t)n) < 0)
		return -SL_ELIMIT; /* it sends and does not read */
	return n < 0 ? n : (ptrdiff_t)whole;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	struct stun *s = arg;
	size_t used = 0;
	ptrdiff_t n = 1;

	while (n > 0 && len - used >= SL_STUN_HEADER) {
		n = take_message(s, c, data + used, len - used);
		if (n < 0) {
			sl_count(&s->m[M_MALFORMED]);
			return n;
		}
		used += (size_t)n;
	}
	return (ptrdiff_t)used;
}

static void on_closed(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	(void)arg; /* nothing is kept per connection */
	(void)c;
	(void)why;
}

void stun_stream_init(struct stun *s)
{
	s->ops = (struct sl_conn_ops){
		.input = on_input,
		.closed = on_closed,
		.max_input = 2 * MAX_MESSAGE,
		.max_output = 4 * MAX_MESSAGE,
		.idle_timeout_ms = s->conf->idle_timeout,
	};
}

int stun_preread(void *ctx, struct sl_conn *c)
{
	struct stun *s = ctx;
	struct sl_str first = sl_conn_peek(c);

	if ((uint8_t)first.p[0] > 3)
		return SL_DECLINED;
	if (first.len < COOKIE_END)
		return SL_AGAIN;
	if (sl_get32(first.p + 4) != SL_STUN_COOKIE)
		return SL_DECLINED;
	sl_count(&s->m[M_CONNECTIONS]);
	sl_conn_take(c, &s->ops, s);
	return SL_DONE;
}
