/*
 * sip-gateway/leg_ctl.c: a party's media leg, which lives in a worker: commands go there, what was
 * asked comes back with its number. A party asks little at once, so what waits is a short list.
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>

#include "leg.h"

static bool has_leg(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct party, by_leg)->leg == *(const uint32_t *)key;
}

static uint64_t leg_hash(uint32_t leg)
{
	return (uint64_t)leg * UINT64_C(0x9e3779b97f4a7c15);
}

struct party *party_by_leg(const struct stack *s, uint32_t leg)
{
	struct sl_hnode *n = sl_htab_find(&s->legs, leg_hash(leg), has_leg, &leg);

	return n ? SL_CONTAINER(n, struct party, by_leg) : NULL;
}

static int send_command(struct party *p, const struct wire_leg *m)
{
	struct stack *s = p->call->stack;

	sl_buf_reset(&s->out);
	wire_put_leg(&s->out, m);
	if (sl_buf_ok(&s->out) < 0)
		return -SL_ELIMIT;
	return s->io->tell(s->io->arg, party_worker(p), WIRE_LEG, &s->out);
}

void party_leg_tell(struct party *p, enum wire_leg_verb verb, uint32_t a, struct sl_str text)
{
	const struct wire_leg m = {.leg = p->leg, .verb = (uint8_t)verb, .a = a, .text = text};

	if (p->leg && send_command(p, &m) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "the media of %s cannot be reached", p->name);
}

void party_leg_copy(struct party *p, uint32_t from, bool heard)
{
	const struct wire_leg m = {
		.leg = p->leg,
		.verb = WIRE_LEG_COPY,
		.a = from,
		.b = (p->trunk && p->trunk->conf->codecs.n == 0 ? WIRE_COPY_PREFER : 0) |
		     (heard ? WIRE_COPY_HEARD : 0),
	};

	if (p->leg && send_command(p, &m) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "the media of %s cannot be reached", p->name);
}

void party_leg_ask(struct party *p, enum wire_leg_verb verb, uint32_t a, struct sl_str text,
		   leg_then_fn *then)
{
	struct wire_leg m = {.leg = p->leg, .verb = (uint8_t)verb, .a = a, .text = text};
	struct stack *s = p->call->stack;
	unsigned i = 0;
	int rc;

	while (i < LEG_ASKS && p->asks[i].seq)
		i++;
	if (i == LEG_ASKS || !p->leg) {
		then(p, p->leg || !p->moving ? -SL_EFULL : -SL_EAGAIN,
		     SL_STR("the media of this call is busy"));
		return;
	}
	if (++s->last_seq == 0)
		s->last_seq = 1;
	m.seq = s->last_seq;
	rc = send_command(p, &m);
	if (rc < 0) {
		then(p, rc, SL_STR("the media of this call is gone"));
		return;
	}
	if (verb == WIRE_LEG_ANSWER || verb == WIRE_LEG_ACCEPT)
		(void)keep_text(&p->described, text); /* else what it said before counts */
	p->asks[i].seq = m.seq;
	p->asks[i].then = then;
	p->asks[i].answers = verb == WIRE_LEG_ANSWER;
	p->asks[i].describes = verb == WIRE_LEG_ANSWER || verb == WIRE_LEG_OFFER;
	p->asks[i].accepts_video = verb == WIRE_LEG_ACCEPT && sdp_has_video(text);
}

/* "o=- 123 4 IN IP4 192.0.2.1" */
static void note_origin(struct party *p, struct sl_str sdp)
{
	uint64_t id, version;

	while (sdp.len > 0) {
		struct sl_str line = sl_str_split(&sdp, '\n');

		if (!sl_str_starts(line, SL_STR("o=")))
			continue;
		(void)sl_str_split(&line, ' ');
		if (sl_str_u64(sl_str_split(&line, ' '), &id) < 0 ||
		    sl_str_u64(sl_str_split(&line, ' '), &version) < 0)
			return;
		p->origin.id = id;
		p->origin.version = version;
		return;
	}
}

static void note_video(struct party *p, unsigned i, const struct wire_reply *r)
{
	if (r->rc < 0)
		return;
	if (p->asks[i].answers)
		p->has_video = sdp_has_video(r->text);
	else if (p->asks[i].accepts_video)
		p->has_video = true;
}

static uint32_t profile_of(enum sip_profile p)
{
	switch (p) {
	case SIP_PROFILE_WEBRTC:
		return LEG_WEBRTC;
	case SIP_PROFILE_SDES:
		return LEG_SDES;
	default:
		return LEG_RTP;
	}
}

static const struct sl_list *codecs_of(const struct party *p)
{
	if (p->trunk && p->trunk->conf->codecs.n > 0)
		return &p->trunk->conf->codecs;
	return &p->call->stack->conf->codecs;
}

static int new_number(struct party *p)
{
	struct stack *s = p->call->stack;
	int rc;

	do
		p->leg = ++s->last_leg;
	while (p->leg == 0);
	rc = sl_htab_insert(&s->legs, &p->by_leg, leg_hash(p->leg));
	if (rc < 0)
		p->leg = 0;
	return rc;
}

int party_leg_adopt(struct party *p, uint32_t owner, uint32_t leg)
{
	struct wire_leg m = {.verb = WIRE_LEG_ADOPT, .a = owner, .b = leg};
	int rc = new_number(p);

	m.leg = p->leg;
	return rc < 0 ? rc : send_command(p, &m);
}

int party_leg_lost(struct party *p)
{
	return new_number(p);
}

/* A collector hears of each party's media under the Call-ID of its own dialog; of a browser's,
 * which has none, under that of somebody it talks with. */
static void tell_call_id(struct party *p)
{
	const struct call *c = p->call;
	const struct party *named = p;

	if (c->stack->conf->hep.server.family == 0 || !c->stack->conf->hep.rtcp ||
	    p->kind == PARTY_SPAN)
		return;
	for (const struct party *q = c->parties; q && !named->call_id; q = q->next)
		if (q->kind == PARTY_SIP)
			named = q;
	if (!named->call_id)
		return;
	party_leg_tell(p, WIRE_LEG_CALL_ID, 0, sl_str_c(named->call_id));
	for (struct party *q = c->parties; q && p->kind == PARTY_SIP; q = q->next)
		if (q->kind == PARTY_BROWSER)
			party_leg_tell(q, WIRE_LEG_CALL_ID, 0, sl_str_c(named->call_id));
}

int party_leg_open(struct party *p)
{
	const struct sl_list *codecs = codecs_of(p);
	struct wire_leg m = {.verb = WIRE_LEG_OPEN, .a = profile_of(p->profile)};
	char id[33], text[sizeof "call/\n" + sizeof id + sizeof p->name];
	int rc = new_number(p);

	if (rc < 0)
		return rc;
	m.leg = p->leg;
	m.b = p->profile == SIP_PROFILE_WEBRTC ? 0 : p->flow.remote.family;
	if (p->kind == PARTY_SPAN)
		m.a |= WIRE_LEG_WITHIN;
	sl_hex_encode(id, p->call->id, sizeof p->call->id);
	(void)snprintf(text, sizeof text, "call/%s\n%s", id, p->name);
	m.text = sl_str_c(text);
	for (size_t i = 0; i < codecs->n && i < WIRE_MAX_CODECS; i++)
		m.list[m.n_list++] =
			(uint8_t)sl_codec_by_name(*SL_LIST_AT(*codecs, struct sl_str, i));
	rc = send_command(p, &m);
	if (rc == 0)
		tell_call_id(p);
	return rc;
}

static void on_stats(struct party *p, int rc, struct sl_str text)
{
	(void)rc;
	free(p->stats);
	p->stats = sl_str_dup(text);
	p->waits_for_stats = false;
	if (p->leg)
		sl_htab_remove(&p->call->stack->legs, &p->by_leg);
	p->leg = 0;
	call_settle(p->call);
}

void party_tell_listener(struct party *p)
{
	const struct call *c = p->call;
	const struct party *from = c->transfer.by ? c->transfer.other : c->a;

	if (!from)
		return;
	if (from->state == PARTY_UP && party_worker(from) == party_worker(p))
		party_leg_tell(p, WIRE_LEG_HEARD_BY, from->leg, SL_STR_NULL);
	else if (from->described) /* its leg is nobody's on another worker */
		party_leg_tell(p, WIRE_LEG_HEARD_BY, 0, sl_str_c(from->described));
	else if (from->state != PARTY_UP && from->offer)
		party_leg_tell(p, WIRE_LEG_HEARD_BY, 0, sl_str_c(from->offer));
}

void party_leg_close(struct party *p, const char *why)
{
	if (!p->leg || p->waits_for_stats)
		return;
	memset(p->asks, 0, sizeof p->asks);
	p->waits_for_stats = true;
	party_leg_ask(p, WIRE_LEG_CLOSE, 0, sl_str_c(why), on_stats);
}

void calls_reply(struct stack *s, struct sl_str data)
{
	struct wire_reply r;
	struct party *p;

	if (wire_get_reply(data, &r) < 0)
		return;
	p = party_by_leg(s, r.leg);
	for (unsigned i = 0; p && i < LEG_ASKS; i++) {
		leg_then_fn *then = p->asks[i].then;

		if (p->asks[i].seq != r.seq)
			continue;
		p->asks[i].seq = 0;
		note_video(p, i, &r);
		if (p->asks[i].describes && r.rc == 0)
			note_origin(p, r.text);
		then(p, r.rc, r.text);
		return;
	}
}

/* ---- what a description says, as far as signalling has to know */

static bool has_line(struct sl_str sdp, const char *start)
{
	struct sl_str wanted = sl_str_c(start);

	while (sdp.len > 0)
		if (sl_str_starts(sl_str_split(&sdp, '\n'), wanted))
			return true;
	return false;
}

enum sip_profile profile_of_sdp(struct sl_str sdp)
{
	if (has_line(sdp, "a=ice-ufrag:") && has_line(sdp, "a=fingerprint:"))
		return SIP_PROFILE_WEBRTC;
	if (has_line(sdp, "a=crypto:"))
		return SIP_PROFILE_SDES;
	return SIP_PROFILE_RTP;
}

/* What is said of the session, or of its sound: video may rest while people talk. */
static bool is_said_of_audio(struct sl_str sdp, const char *start)
{
	struct sl_str wanted = sl_str_c(start);
	bool of_audio = true;

	while (sdp.len > 0) {
		struct sl_str line = sl_str_split(&sdp, '\n');

		if (sl_str_starts(line, SL_STR("m=")))
			of_audio = sl_str_starts(line, SL_STR("m=audio "));
		else if (of_audio && sl_str_starts(line, wanted))
			return true;
	}
	return false;
}

/* In today's spelling and in the old one (RFC 3264 section 8.4, RFC 2543) */
bool sdp_is_hold(struct sl_str sdp)
{
	return is_said_of_audio(sdp, "a=sendonly") || is_said_of_audio(sdp, "a=inactive") ||
	       is_said_of_audio(sdp, "c=IN IP4 0.0.0.0");
}
