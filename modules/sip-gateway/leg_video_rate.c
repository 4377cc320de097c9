/*
 * sip-gateway/leg_video_rate.c: how much video the parties may send, as it changes in a call: a
 * telephone says by TMMBR (RFC 5104 section 4.2.1) or REMB what its way carries, and is told by the
 * same what the other's way does.
 *
 * A browser has an estimate of its own for what it sends to us, but knows nothing of the way
 * behind; it is told by b= in another description, which is rarer: it takes a round of signalling.
 */
#include "leg_impl.h"

enum {
	STEP_PERCENT = 10,
	DESCRIBE_EVERY_S = 5,
	LEAST_BPS = 64000, /* who bounds video to less would see nothing at all */
};

static bool is_news(uint64_t before, uint64_t now)
{
	uint64_t step = before * STEP_PERCENT / 100;

	return now + step < before || now > before + step;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

/* ---- to a telephone */

static void send_limit(struct leg *l, uint64_t bps)
{
	struct leg_video *v = l->video;
	struct sl_packet *p = sl_packet_new(l->all->w);
	int len = p ? sl_line_limit(v->line, bps, leg_now_ns(l), p->data) : 0;

	if (len > 0) {
		p->len = (uint32_t)len;
		v->told_bps = bps;
		leg_port_send_video(l, p, true);
	}
	if (p)
		sl_packet_unref(p);
}

static void answer_tmmbr(struct leg *l)
{
	struct sl_packet *p = sl_packet_new(l->all->w);
	int len = p ? sl_line_notify_limit(l->video->line, leg_now_ns(l), p->data) : 0;

	if (len > 0) {
		p->len = (uint32_t)len;
		leg_port_send_video(l, p, true);
	}
	if (p)
		sl_packet_unref(p);
}

/*
 * Only from the moment on when the browser's way carries less than comes: before, its estimate is
 * as low as what it was asked to carry, and the telephone would never send more. REMB is forgotten
 * by who does not hear it again.
 */
static void follow_browser(struct leg *l, const struct leg *browser)
{
	struct leg_video *v = l->video;
	struct sl_rtc_estimate e;

	if (!(v->feedback & (SL_PLAIN_REMB | SL_PLAIN_TMMBR)) || !browser->video)
		return;
	sl_rtc_get_estimate(browser->rtc, &e);
	if (e.target_bps == 0 ||
	    (v->told_bps == 0 && e.target_bps >= browser->video->out_stream.bps))
		return;
	if (is_news(v->told_bps, least(e.target_bps, v->limit_bps)) ||
	    !(v->feedback & SL_PLAIN_TMMBR))
		send_limit(l, least(e.target_bps, v->limit_bps));
}

/* ---- from a telephone */

static void tell_browser(struct leg *l, struct leg *browser)
{
	struct leg_video *to = browser->video;
	uint64_t bps = least(l->video->their_limit_bps, l->video->bound_bps);

	if (!to || !to->on || l->video->bound_bps == 0 || !is_news(to->limit_bps, bps) ||
	    l->all->n_seconds - to->described_s < DESCRIBE_EVERY_S)
		return;
	to->described_s = l->all->n_seconds;
	to->limit_bps = bps;
	if (leg_handler_of(browser)->changed)
		leg_handler_of(browser)->changed(browser->o.arg, browser);
}

void leg_video_bound(struct leg *l, uint64_t bps)
{
	struct leg_video *v = l->video;
	struct leg *peer = l->peer;

	if (v->feedback & SL_PLAIN_TMMBR)
		answer_tmmbr(l);
	if (!is_news(v->bound_bps, bps))
		return;
	v->bound_bps = bps > LEAST_BPS ? bps : LEAST_BPS;
	leg_video_room_bound(l);
	if (peer && peer != l && !peer->closed && peer->video && peer->video->line)
		send_limit(peer, v->bound_bps);
}

void leg_video_rate_second(struct leg *l)
{
	struct leg *peer = l->peer;

	if (!l->video->line || !peer || !peer->rtc || peer->closed)
		return;
	follow_browser(l, peer);
	tell_browser(l, peer);
}
