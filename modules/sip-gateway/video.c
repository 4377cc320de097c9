/*
 * sip-gateway/video.c: video of a call's parties, as far as signalling has to do with it: who is
 * offered whose, in which order parties are asked when one adds it, and key frames by INFO.
 *
 * Media of each side is agreed apart, but video is not transcoded. So a callee is offered what the
 * caller offers, the caller is answered what the callee took, and who adds video to a call that is
 * up waits for its answer until the other side has given its own.
 */
#include "call.h"

#include <stdlib.h>

#include "leg.h"

enum {
	WAIT_MS = 8000,	       /* for the other party's answer; then there is no video */
	AGAIN_MS = 1500,       /* until an offer that could not be made is tried again */
	FAST_UPDATE_MS = 1000, /* between two INFOs */
};

/* ---- what descriptions say */

/* "m=video 49170 RTP/AVP 96"; a port of 0 is one that is refused, or bundled. */
static bool has_port(struct sl_str line)
{
	(void)sl_str_split(&line, ' ');
	return !sl_str_eq(sl_str_split(&line, ' '), SL_STR("0"));
}

bool sdp_has_video(struct sl_str sdp)
{
	bool in_video = false;

	while (sdp.len > 0) {
		struct sl_str line = sl_str_trim(sl_str_split(&sdp, '\n'));

		if (sl_str_starts(line, SL_STR("m="))) {
			in_video = sl_str_starts(line, SL_STR("m=video "));
			if (in_video && has_port(line))
				return true;
		} else if (in_video && sl_str_eq(line, SL_STR("a=bundle-only"))) {
			return true;
		}
	}
	return false;
}

static bool may_have(const struct party *p)
{
	if (p->without_video)
		return false;
	if (p->trunk)
		return p->trunk->conf->video;
	return !p->user || p->user->conf->video;
}

/* ---- first offers */

void video_before_offer(struct party *p)
{
	const struct call *c = p->call;
	const struct party *from = c->transfer.by ? c->transfer.other : c->a;

	if (!from || !may_have(from) || !may_have(p))
		return;
	if (from->state == PARTY_UP)
		party_leg_tell(p, WIRE_LEG_VIDEO, span_leg(p, from), SL_STR_NULL);
	else if (from->offer && sdp_has_video(sl_str_c(from->offer)))
		party_leg_tell(p, WIRE_LEG_VIDEO, 0, sl_str_c(from->offer));
}

/* What this node has of its own: an echo sees what it shows, a room has what others show. */
void video_want_builtin(struct party *p, struct sl_str offer)
{
	const struct call *c = p->call;
	const struct dial_target *t;

	if (!c->builtin || c->next_target == 0 || !may_have(p) || p != c->a)
		return;
	t = &c->plan.targets[c->next_target - 1];
	if (t->kind == DIAL_ECHO)
		party_leg_tell(p, WIRE_LEG_VIDEO, 0, offer);
	else if (t->kind == DIAL_ROOM)
		party_leg_tell(p, WIRE_LEG_ROOM_VIDEO, 0, sl_str_c(t->name));
}

void video_before_answer(struct party *p)
{
	if (p->prefer)
		party_leg_tell(p, WIRE_LEG_PREFER, p->prefer, SL_STR_NULL);
	else if (p->offer)
		video_want_builtin(p, sl_str_c(p->offer));
}

bool video_retries_without(struct party *p, unsigned status)
{
	if ((status != 415 && status != 488 && status != 606) || p->without_video ||
	    p->state != PARTY_CALLING || !p->offer || !sdp_has_video(sl_str_c(p->offer)))
		return false;
	p->without_video = true;
	party_leg_tell(p, WIRE_LEG_VIDEO, 0, SL_STR_NULL);
	party_invite_anew(p);
	return true;
}

/* ---- new offers */

static int reoffer(struct party *p)
{
	return p->kind == PARTY_BROWSER ? browser_reoffer(p) : party_reoffer(p);
}

static void set_alarm(struct party *p, uint64_t ms)
{
	if (alarm_set(&p->call->stack->alarms, &p->reoffer, ms) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "out of memory for a timer");
}

/* With the video that the other party has by now */
static void answer_waiting(struct party *p)
{
	const struct party *other = call_other(p->call, p);
	leg_then_fn *then = p->waiting;

	p->waiting = NULL;
	alarm_cancel(&p->call->stack->alarms, &p->reoffer);
	if (p->state == PARTY_ENDED)
		return;
	if (other && other->leg)
		party_leg_tell(p, WIRE_LEG_VIDEO, span_leg(p, other), SL_STR_NULL);
	party_leg_ask(p, WIRE_LEG_ANSWER, 0, sl_str_c(p->offer ? p->offer : ""), then);
}

static bool adds_video(const struct party *p, const struct party *other, struct sl_str offer)
{
	return !p->has_video && other && other->state == PARTY_UP && other->leg && may_have(p) &&
	       may_have(other) && sdp_has_video(offer);
}

void video_take_offer(struct party *p, struct sl_str offer, leg_then_fn *then)
{
	struct party *other = call_other(p->call, p);

	video_want_builtin(p, offer);
	if (!adds_video(p, other, offer) || !keep_text(&p->offer, offer)) {
		party_leg_ask(p, WIRE_LEG_ANSWER, 0, offer, then);
		return;
	}
	party_leg_tell(other, WIRE_LEG_VIDEO, 0, offer);
	p->waiting = then;
	set_alarm(p, WAIT_MS);
	if (reoffer(other) < 0)
		answer_waiting(p);
}

void video_reoffered(struct party *p)
{
	struct party *other = call_other(p->call, p);

	if (other && other->waiting)
		answer_waiting(other);
}

void video_changed(struct party *p)
{
	if (p->state == PARTY_UP && reoffer(p) < 0 && !p->waiting)
		set_alarm(p, AGAIN_MS);
}

static void on_alarm(struct alarm *a)
{
	struct party *p = a->arg;

	if (p->waiting)
		answer_waiting(p);
	else
		video_changed(p);
}

void video_init(struct party *p)
{
	p->reoffer = (struct alarm){.fn = on_alarm, .arg = p};
}

void video_stop(struct party *p)
{
	alarm_cancel(&p->call->stack->alarms, &p->reoffer);
	p->waiting = NULL;
}

/* ---- key frames by INFO (RFC 5168) */

static void on_info_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct party *p = arg;

	(void)t;
	if (status < 200)
		return;
	p->informing = NULL;
	if (resp && (status == 405 || status == 415 || status == 501))
		p->no_fast_update = true;
}

void video_ask_by_info(struct party *p)
{
	uint64_t now = stack_now(p->call->stack);

	if (p->kind != PARTY_SIP || p->state != PARTY_UP || p->no_fast_update ||
	    (p->fast_update_ms && now - p->fast_update_ms < FAST_UPDATE_MS))
		return;
	p->fast_update_ms = now;
	ctrans_release(p->informing); /* what it says to the one before is late */
	p->informing = party_request(
		p, "INFO", SL_STR_NULL, "application/media_control+xml",
		SL_STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n"
		       "<media_control><vc_primitive><to_encoder><picture_fast_update/>"
		       "</to_encoder></vc_primitive></media_control>\r\n"),
		on_info_answer);
}

static bool has_word(struct sl_str text, struct sl_str word)
{
	return memmem(text.p, text.len, word.p, word.len) != NULL;
}

/* An error that the party reports of our own request (section 5.2) needs no answer but the 200. */
void video_control(struct party *p, struct strans *t, struct sl_str body)
{
	if (has_word(body, SL_STR("picture_fast_update")))
		party_leg_tell(p, WIRE_LEG_KEY_FRAME, 0, SL_STR_NULL);
	strans_answer(t, 200);
}
