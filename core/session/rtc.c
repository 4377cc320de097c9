/*
 * session/rtc.c: the life of a WebRTC connection: opening, its state, its one timer, closing.
 *
 * Every part says when it wants to be called next; the timer runs at the earliest. What happens
 * within a tick only marks the connection (rtc_touch), and one post at the tick's end looks at all
 * deadlines, so that a burst of packets arms the timer once.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>
#include <sluice/crypto.h>
#include <sluice/trace.h>

static const char *const state_names[] = {
	[SL_RTC_NEW] = "new",
	[SL_RTC_CONNECTING] = "connecting",
	[SL_RTC_CONNECTED] = "connected",
	[SL_RTC_DISCONNECTED] = "disconnected",
	[SL_RTC_FAILED] = "failed",
	[SL_RTC_CLOSED] = "closed",
};

const char *sl_rtc_state_name(unsigned state)
{
	return state < SL_ARRAY_LEN(state_names) ? state_names[state] : "?";
}

/* ---- time */

static uint64_t next_ms(const struct sl_rtc *c)
{
	uint64_t due = rtc_path_next_ms(c), other = rtc_rtcp_next_ms(c);
	uint64_t send_ns = rtc_send_next_ns(c);

	if (other < due)
		due = other;
	/* Rounded up: a packet that may leave within a millisecond leaves with its end. */
	if (send_ns != UINT64_MAX && (send_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS < due)
		due = (send_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
	return due;
}

static void arm(struct sl_rtc *c)
{
	uint64_t due = next_ms(c), now = rtc_now_ms(c);

	if (due == UINT64_MAX)
		sl_timer_cancel(c->host->w->loop, &c->timer);
	else
		sl_timer_set(c->host->w->loop, &c->timer, due > now ? due - now : 0);
}

static void on_timer(struct sl_timer *t)
{
	struct sl_rtc *c = t->arg;

	rtc_path_tick(c);
	if (!c->closing)
		rtc_rtcp_tick(c);
	if (!c->closing)
		rtc_send_tick(c);
	rtc_touch(c);
}

static void on_tick_end(struct sl_post *post)
{
	struct sl_rtc *c = post->arg;

	arm(c);
	if (!c->negotiating_told && c->handler->negotiate && jsep_needs_offer(c->jsep) &&
	    jsep_get_state(c->jsep) == JSEP_STABLE) {
		c->negotiating_told = true;
		c->handler->negotiate(c->arg, c); /* may close it */
	}
}

void rtc_touch(struct sl_rtc *c)
{
	if (!c->closing)
		sl_post(c->host->w->loop, &c->post);
}

/* ---- state */

static void count_state(const struct sl_rtc *c, enum sl_rtc_state state)
{
	if (state == SL_RTC_CONNECTED)
		rtc_count(c, RTC_connected);
	else if (state == SL_RTC_FAILED)
		rtc_count(c, RTC_failed);
}

void rtc_set_state(struct sl_rtc *c, enum sl_rtc_state state, const char *why)
{
	if (c->state == state || c->state == SL_RTC_CLOSED || c->closing)
		return;
	c->state = state;
	count_state(c, state);
	sl_trace(sl_get64(c->session->sid + 8), SL_TRACE_USER, SL_KIND_RTC, state);
	if (c->handler->state)
		c->handler->state(c->arg, c, state, why);
}

/* ---- life */

static void on_evict(void *arg, struct sl_session *s, const char *why)
{
	struct sl_rtc *c = arg;

	(void)s;
	rtc_set_state(c, SL_RTC_CLOSED, why);
}

static int open_session(struct sl_rtc *c, const struct sl_rtc_opts *o)
{
	const struct sl_session_opts opts = {
		.kind = SL_KIND_RTC,
		.room = o->room,
		.peer = o->peer,
		.label = o->label,
		.evict = on_evict,
		.arg = c,
	};

	return sl_session_open(c->host->w, &opts, &c->session);
}

static int open_ice(struct sl_rtc *c)
{
	const struct rtc_host *h = c->host;
	struct ice_opts o = {
		.lite = h->conf->ice == RTC_ICE_LITE,
		.controlling = !c->recv_only, /* who offers controls (RFC 8445 section 6.1.1) */
		.slot = h->w->slot,
		.counters = &c->host->ice,
	};
	int rc;

	if (sl_random(&o.tie_breaker, sizeof o.tie_breaker) < 0)
		return -SL_ESYS;
	rc = ice_new(&c->ice, &o, &rtc_ice_io, c);
	for (unsigned i = 0; rc == 0 && i < h->n_bases; i++)
		rc = ice_add_local(c->ice, &h->bases[i].addr, &h->bases[i].told, h->bases[i].via,
				   h->bases[i].tcp ? ICE_TCP_PASSIVE : ICE_UDP);
	return rc;
}

static const struct jsep_caps *caps_of(const struct sl_rtc_opts *o)
{
	if (o->two_way)
		return &rtc_caps_of_calls;
	return o->data ? &rtc_caps : &rtc_caps_without_data;
}

static int open_parts(struct sl_rtc *c, const struct sl_rtc_opts *o)
{
	struct bwe_opts rate = {
		.start_bps = (uint32_t)(c->host->conf->start_bitrate * 1000),
		.max_bps = (uint32_t)(c->host->conf->max_bitrate * 1000),
	};
	int rc;

	if (o->max_bps > 0 && o->max_bps < rate.max_bps)
		rate.max_bps = o->max_bps;
	if (rate.start_bps > rate.max_bps)
		rate.start_bps = rate.max_bps;
	rc = jsep_new(&c->jsep, caps_of(o));
	if (rc == 0)
		rc = bwe_new(&c->bwe, &rate, rtc_now_ns(c));
	if (rc == 0)
		rc = open_ice(c);
	if (rc == 0)
		rc = sl_random(&c->ssrc, sizeof c->ssrc);
	if (rc < 0)
		return rc;
	c->estimate.target_bps = rate.start_bps; /* until more is known */
	c->wanted_bps = UINT64_MAX;
	pacer_init(&c->pacer, UINT64_C(2) * rate.start_bps, RTC_PACER_MS, rtc_now_ns(c));
	return open_session(c, o);
}

/* Descriptions begin with the fragment, and checks find us by it, at whatever worker they arrive.
 */
int rtc_name(struct sl_rtc *c)
{
	struct rtc_host *h = c->host;
	struct sl_str ufrag = sl_str_c(ice_ufrag(c->ice));
	int rc;

	if (sl_str_eq(ufrag, sl_str_c(c->ufrag.text)))
		return 0;
	rc = sl_session_set_ufrag(c->session, ufrag);
	if (rc < 0)
		return rc;
	if (c->ufrag.c)
		sl_htab_remove(&h->by_ufrag, &c->ufrag.node);
	c->ufrag.c = NULL;
	(void)sl_str_copy(c->ufrag.text, sizeof c->ufrag.text, ufrag);
	rc = sl_htab_insert(&h->by_ufrag, &c->ufrag.node, sl_hash(ufrag.p, ufrag.len));
	if (rc == 0)
		c->ufrag.c = c;
	return rc;
}

static void free_parts(struct sl_rtc *c)
{
	rtc_data_close(c);
	rtc_path_close(c);
	rtc_send_forget(c, NULL);
	rtc_streams_free(c);
	rtc_sections_free(c);
	free(c->video);
	if (c->ufrag.c)
		sl_htab_remove(&c->host->by_ufrag, &c->ufrag.node);
	twcc_recv_free(c->twcc);
	remb_free(c->remb);
	bwe_free(c->bwe);
	ice_free(c->ice);
	jsep_free(c->jsep);
	free(c);
}

static int host_ready(struct rtc_host *h)
{
	if (h->n_bases == 0)
		return -SL_EUNSUPP;
	if (h->conf->max_connections > 0 && h->n_connections >= h->conf->max_connections)
		return -SL_ELIMIT;
	return h->dtls ? 0 : sl_dtls_ctx_new(SL_DTLS_SRTP, &h->dtls);
}

static void enlist(struct sl_rtc *c)
{
	struct rtc_host *h = c->host;

	c->next = h->first;
	if (c->next)
		c->next->prev = c;
	h->first = c;
	h->n_connections++;
	sl_gauge_set(&h->meters[RTC_connections], h->n_connections);
	rtc_count(c, RTC_opened);
}

static void delist(struct sl_rtc *c)
{
	struct rtc_host *h = c->host;

	if (c->prev)
		c->prev->next = c->next;
	else
		h->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	h->n_connections--;
	sl_gauge_set(&h->meters[RTC_connections], h->n_connections);
}

int sl_rtc_open(struct sl_worker *w, const struct sl_rtc_opts *o, struct sl_rtc **ret_rtc)
{
	struct rtc_host *h = w->rtc;
	struct sl_rtc *c = NULL;
	int rc = h ? host_ready(h) : -SL_EUNSUPP;

	if (rc == 0)
		c = calloc(1, sizeof *c);
	if (!c) {
		if (h)
			sl_count(&h->meters[RTC_refused]);
		return rc < 0 ? rc : -SL_ENOMEM;
	}
	c->host = h;
	c->handler = o->handler;
	c->arg = o->arg;
	c->recv_only = o->recv_only;
	c->two_way = o->two_way;
	c->data_wanted = o->data;
	c->timer = (struct sl_timer){.fn = on_timer, .arg = c};
	c->post = (struct sl_post){.fn = on_tick_end, .arg = c};
	rc = open_parts(c, o);
	if (rc == 0)
		rc = rtc_name(c);
	if (rc < 0) {
		sl_session_close(c->session, "not opened");
		free_parts(c);
		sl_count(&h->meters[RTC_refused]);
		return rc;
	}
	enlist(c);
	*ret_rtc = c;
	return 0;
}

/*
 * Within a callback the parts that called are still on the stack: they are taken down when the tick
 * ends. Nothing is told any more, and nothing finds the connection.
 */
void sl_rtc_close(struct sl_rtc *c, const char *why)
{
	struct rtc_host *h;

	if (!c || c->closing)
		return;
	h = c->host;
	c->closing = true;
	if (c->dtls)
		sl_dtls_close(c->dtls);
	sl_timer_cancel(h->w->loop, &c->timer);
	sl_post_cancel(h->w->loop, &c->post);
	delist(c);
	sl_session_close(c->session, why);
	c->session = NULL;
	c->next = h->closed;
	h->closed = c;
	sl_post(h->w->loop, &h->reap);
}

/* arg: struct rtc_host */
void rtc_reap(struct sl_post *post)
{
	struct rtc_host *h = post->arg;
	struct sl_rtc *c;

	while ((c = h->closed)) {
		h->closed = c->next;
		free_parts(c);
		rtc_turns_over(h);
	}
}

struct sl_session *sl_rtc_session(const struct sl_rtc *c)
{
	return c->session;
}

enum sl_rtc_state sl_rtc_get_state(const struct sl_rtc *c)
{
	return c->state;
}
