/*
 * sip-gateway/leg_video_sdp.c: the video section in descriptions of plain RTP (RFC 3264).
 *
 * Numbers in our offers are those of the other party, where they are dynamic and free, so that a
 * packet dump of both sides reads alike. A video that cannot be had is refused, and the call goes
 * on without.
 */
#include "leg_impl.h"

#include <sluice/crypto.h>

enum {
	FIRST_PT = 96,
	LAST_PT = 127,
	OFFERED_FEEDBACK = SL_PLAIN_NACK | SL_PLAIN_PLI | SL_PLAIN_FIR | SL_PLAIN_TMMBR,
	FEEDBACK = OFFERED_FEEDBACK | SL_PLAIN_REMB, /* of no standard: only who says it has it */
};

static void begin_section(struct leg *l, struct sl_plain *p)
{
	const struct leg_video *v = l->video;
	const struct sl_addr *told = leg_port_told(l);

	*p = (struct sl_plain){.kind = SL_MEDIA_VIDEO,
			       .proto = l->secure ? SL_STR("RTP/SAVP") : SL_STR("RTP/AVP"),
			       .rtp = *told,
			       .rtcp = *told,
			       .mux = v->mux,
			       .direction = (enum sl_sdp_direction)(v->wanted & l->wanted),
			       .limit_bps = v->limit_bps,
			       .feedback = OFFERED_FEEDBACK};
	p->rtp.port = sl_udp_local(v->rtp)->port;
	p->rtcp.port = sl_udp_local(v->rtcp)->port;
}

static void put_formats(struct sl_plain *p, const struct leg_video_formats *f)
{
	p->n_formats = 0;
	for (unsigned i = 0; i < f->n && p->n_formats < SL_PLAIN_MAX_FORMATS; i++)
		p->formats[p->n_formats++] = leg_video_sdp_format(&f->list[i]);
}

/* What may come; what was good before is so until packets under way have come. */
static void take_in(struct leg_video *v, const struct leg_video_formats *now)
{
	struct leg_video_formats before = v->in;

	v->in = *now;
	for (unsigned i = 0; i < before.n && v->in.n < LEG_VIDEO_FORMATS; i++) {
		bool known = false;

		for (unsigned k = 0; k < v->in.n; k++)
			known |= v->in.list[k].pt == before.list[i].pt;
		if (!known)
			v->in.list[v->in.n++] = before.list[i];
	}
	sl_line_clear_formats(v->line);
	for (unsigned i = 0; i < v->in.n; i++)
		sl_line_set_format(v->line, v->in.list[i].pt, 90000);
	v->map.to = NULL;
}

/* ---- offers */

static bool is_taken(const struct leg_video_formats *f, unsigned pt)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->list[i].pt == pt)
			return true;
	return false;
}

static void number(struct leg_video_formats *to, const struct leg_video_formats *from)
{
	to->n = 0;
	for (unsigned i = 0; i < from->n; i++) {
		unsigned pt = from->list[i].pt;

		if (pt < FIRST_PT || is_taken(to, pt))
			for (pt = FIRST_PT; pt < LAST_PT && is_taken(to, pt);)
				pt++;
		to->list[to->n] = from->list[i];
		to->list[to->n++].pt = (uint8_t)pt;
	}
}

bool leg_video_offer(struct leg *l, struct sl_plain *ret_section)
{
	struct leg_video *v = l->video;

	if (!v || v->want.n == 0 || leg_port_open_video(l) < 0)
		return false;
	if (l->secure && leg_keys_draw(&v->keys) < 0)
		return false;
	if (!v->on)
		v->mux = !l->o.no_mux;
	begin_section(l, ret_section);
	number(&v->offered, &v->want);
	put_formats(ret_section, &v->offered);
	if (l->secure)
		leg_keys_put(&v->keys, ret_section);
	take_in(v, &v->offered);
	return true;
}

/* ---- theirs */

static void take_remote(struct leg *l, const struct sl_plain *theirs, bool mux)
{
	struct sl_line_remote r = {.rtp = theirs->rtp,
				   .rtcp = mux ? theirs->rtp : theirs->rtcp,
				   .mux = mux,
				   .strict = l->o.strict};
	struct leg_video *v = l->video;

	if (sl_addr_classify(&theirs->rtp) == SL_ADDR_UNSPECIFIED)
		r.rtp = r.rtcp = (struct sl_addr){0};
	sl_line_set_remote(v->line, &r);
	v->mux = mux;
	v->feedback = theirs->feedback & FEEDBACK;
	if (v->feedback == 0 && (sl_str_eq(theirs->proto, SL_STR("RTP/AVPF")) ||
				 sl_str_eq(theirs->proto, SL_STR("RTP/SAVPF"))))
		v->feedback = SL_PLAIN_PLI; /* it reads feedback, and names none */
	sl_line_set_feedback(v->line, v->feedback);
	leg_video_forget(v);
	v->bound_bps = 0; /* what is described is newer */
	v->their_limit_bps = theirs->limit_bps;
}

/* Those of theirs that are wanted, in the order of what is wanted: under their numbers, with their
 * parameters in *ret_theirs and those of the other party in *ret_ours. */
static void meet(const struct leg_video_formats *want, const struct sl_plain *theirs,
		 struct leg_video_formats *ret_theirs, struct leg_video_formats *ret_ours)
{
	ret_theirs->n = ret_ours->n = 0;
	for (unsigned i = 0; i < want->n; i++) {
		const struct sl_sdp_format w = leg_video_sdp_format(&want->list[i]);

		for (unsigned k = 0; k < theirs->n_formats; k++) {
			if (!sl_sdp_same_codec(&w, &theirs->formats[k]) ||
			    !leg_video_add_format(ret_theirs, &theirs->formats[k]))
				continue;
			ret_ours->list[ret_ours->n] = want->list[i];
			ret_ours->list[ret_ours->n++].pt = theirs->formats[k].pt;
			break;
		}
	}
}

static bool set_keys(struct leg *l, const struct sl_plain *theirs, struct sl_sdes *ret_own)
{
	struct leg_video *v = l->video;
	const struct sl_sdes *remote;

	if (!l->secure)
		return sl_line_set_keys(v->line, NULL, NULL) == 0;
	if (leg_keys_draw(&v->keys) < 0)
		return false;
	remote = leg_keys_match(&v->keys, theirs, ret_own);
	return remote && sl_line_set_keys(v->line, ret_own, remote) == 0;
}

static void refuse(struct leg *l)
{
	if (!l->video)
		return;
	leg_video_forget(l->video); /* nobody asks for it any more */
	l->video->out.n = 0;
	leg_video_agreed(l, false, SL_SDP_INACTIVE);
}

bool leg_video_answer(struct leg *l, const struct sl_plain *theirs, struct sl_plain *ret_section)
{
	struct leg_video *v = l->video;
	struct leg_video_formats both = {.n = 0}, ours;
	struct sl_sdes own = {0};

	if (v && theirs)
		meet(&v->want, theirs, &both, &ours);
	/* Half a call in the clear is none that is encrypted. */
	if (!v || !theirs || both.n == 0 || sl_plain_is_secure(theirs) != l->secure ||
	    leg_port_open_video(l) < 0 || !set_keys(l, theirs, &own)) {
		refuse(l);
		return false;
	}
	v->mux = theirs->mux;
	begin_section(l, ret_section);
	ret_section->proto = theirs->proto;
	ret_section->direction = (enum sl_sdp_direction)(sl_sdp_turn(theirs->direction) &
							 ret_section->direction);
	ret_section->feedback = theirs->feedback & FEEDBACK;
	v->offered = ours; /* the section borrows it */
	put_formats(ret_section, &v->offered);
	if (l->secure)
		ret_section->keys[ret_section->n_keys++] = own;
	sl_wipe(&own, sizeof own);
	v->out = both;
	take_in(v, &ours);
	take_remote(l, theirs, theirs->mux);
	leg_video_agreed(l, true, ret_section->direction);
	return true;
}

void leg_video_accept(struct leg *l, const struct sl_plain *theirs)
{
	struct leg_video *v = l->video;
	struct leg_video_formats ours;
	struct sl_sdes own = {0};

	if (v && theirs && v->line)
		meet(&v->offered, theirs, &v->out, &ours);
	if (!v || !theirs || !v->line || v->out.n == 0 || !set_keys(l, theirs, &own)) {
		refuse(l);
		return;
	}
	sl_wipe(&own, sizeof own);
	take_remote(l, theirs, v->mux && theirs->mux);
	leg_video_agreed(l, true,
			 (enum sl_sdp_direction)(sl_sdp_turn(theirs->direction) & v->wanted &
						 l->wanted));
}
