/*
 * session/rtc_data.c: data channels of a connection: SCTP over its DTLS (RFC 8831).
 *
 * The library's timers are the process's, so one timer serves all associations while there are any.
 */
#include "session/rtc_impl.h"

static void on_sctp_timer(struct sl_timer *t)
{
	struct rtc_host *h = t->arg;
	uint64_t now = sl_loop_ms(h->w->loop), due = sctp_tick(now);

	if (h->n_data > 0 && due != UINT64_MAX)
		sl_timer_set(h->w->loop, t, due > now ? due - now : 1);
}

static void on_send(void *ctx, const uint8_t *packet, size_t len)
{
	struct sl_rtc *c = ctx;

	if (sl_dtls_write(c->dtls, packet, len) < 0)
		return; /* SCTP repeats what is lost */
}

static void on_opened(void *ctx, const struct sctp_channel *ch)
{
	struct sl_rtc *c = ctx;

	if (!c->closing && c->handler->channel)
		c->handler->channel(c->arg, c, ch->stream, ch->label);
}

static void on_closed(void *ctx, uint16_t stream)
{
	struct sl_rtc *c = ctx;

	if (!c->closing && c->handler->channel_closed)
		c->handler->channel_closed(c->arg, c, stream);
}

static void on_message(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len)
{
	struct sl_rtc *c = ctx;

	if (c->closing)
		return;
	rtc_count(c, RTC_data_in);
	if (c->handler->message)
		c->handler->message(c->arg, c, stream, text,
				    (struct sl_str){(const char *)data, len});
}

static void on_writable(void *ctx, uint16_t stream)
{
	struct sl_rtc *c = ctx;

	if (!c->closing && c->handler->channel_writable)
		c->handler->channel_writable(c->arg, c, stream);
}

static const struct sctp_io io = {
	.send = on_send,
	.opened = on_opened,
	.closed = on_closed,
	.message = on_message,
	.writable = on_writable,
};

int rtc_data_open(struct sl_rtc *c)
{
	struct rtc_host *h = c->host;
	const struct sctp_opts o = {
		.client = c->dtls_role == SL_DTLS_ACTIVE,
		.remote_port = c->sctp_remote_port,
		.max_message = c->sctp_max_message,
	};
	int rc = sctp_start();

	if (rc == 0)
		rc = sctp_new(&c->sctp, &o, &io, c);
	if (rc < 0)
		return rc;
	h->n_data++;
	h->sctp_timer.fn = on_sctp_timer;
	h->sctp_timer.arg = h;
	if (!sl_timer_pending(&h->sctp_timer))
		on_sctp_timer(&h->sctp_timer);
	return 0;
}

void rtc_data_input(struct sl_rtc *c, const uint8_t *data, size_t len)
{
	if (c->sctp)
		sctp_input(c->sctp, data, len);
}

void rtc_data_close(struct sl_rtc *c)
{
	struct rtc_host *h = c->host;

	if (!c->sctp)
		return;
	sctp_free(c->sctp);
	c->sctp = NULL;
	if (--h->n_data == 0)
		sl_timer_cancel(h->w->loop, &h->sctp_timer);
}

int sl_rtc_channel_open(struct sl_rtc *c, const struct sl_rtc_channel_opts *o,
			uint16_t *ret_channel)
{
	const struct sctp_channel ch = {
		.stream = 65535,
		.ordered = !o->unordered,
		.max_retransmits = o->limited_retransmits ? o->limit : -1,
		.max_lifetime_ms = o->limited_lifetime ? o->limit : -1,
		.label = o->label,
		.protocol = o->protocol,
	};

	return c->sctp ? sctp_open(c->sctp, &ch, ret_channel) : -SL_EAGAIN;
}

void sl_rtc_channel_close(struct sl_rtc *c, uint16_t channel)
{
	if (c->sctp)
		(void)sctp_close(c->sctp, channel); /* gone already is as good */
}

int sl_rtc_channel_send(struct sl_rtc *c, uint16_t channel, bool text, struct sl_str data)
{
	int rc = c->sctp ? sctp_send(c->sctp, channel, text, data.p, data.len) : -SL_EAGAIN;

	if (rc == 0)
		rtc_count(c, RTC_data_out);
	return rc;
}

void sl_rtc_hold_data(struct sl_rtc *c, bool held)
{
	if (c->sctp)
		sctp_hold(c->sctp, held);
}

size_t sl_rtc_channel_buffered(const struct sl_rtc *c, uint16_t channel)
{
	return c->sctp ? sctp_buffered(c->sctp, channel) : 0;
}
