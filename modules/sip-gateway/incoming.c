/*
 * sip-gateway/incoming.c: a SIP message that has come, and to whom it goes: a transaction that
 * knows it, the dialog it is in, or, as something new, the registrar, the calls, or an answer from
 * here.
 *
 * What this process does not know may be another's: a response or a CANCEL that a worker could not
 * place is passed on once by the edge's table, so 481 is said here without asking around.
 */
#include "event.h"

#define ALLOWED                                                                                    \
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, "         \
	"NOTIFY, MESSAGE, SUBSCRIBE, PUBLISH\r\n"
#define SUPPORTED                                                                                  \
	"Accept: application/sdp, text/plain\r\n" EVENT_ALLOWED                                    \
	"Supported: replaces, timer, 100rel, path, outbound, gruu\r\n"

static void answer_options(struct stack *s, const struct sip_msg *m)
{
	struct strans *t;

	if (strans_new(s, m, &t) < 0)
		return;
	strans_reply(t, &(struct strans_reply){.status = s->draining ? 503 : 200,
					       .headers = s->draining ? SL_STR("Retry-After: 5\r\n")
								      : SL_STR(ALLOWED SUPPORTED)});
}

static bool scheme_is_known(const struct sip_msg *m)
{
	int type = m->sip->sip_request->rq_url->url_type;

	return type == url_sip || type == url_sips || type == url_tel;
}

/* Extensions that must be understood and are not (section 8.2.2.3) */
static bool refuse_extensions(struct stack *s, const struct sip_msg *m)
{
	static const char *const known[] = {"100rel",	"timer",      "replaces", "path",
					    "outbound", "norefersub", "gruu",	  NULL};
	struct sl_str rest = message_header(m, "Require"), item;
	struct sl_buf bad;
	bool refused;

	if (message_is(m, "CANCEL") || message_is(m, "ACK"))
		return false;
	sl_buf_init(&bad, 1024);
	while (sip_list_next(&rest, &item)) {
		bool found = false;

		for (const char *const *k = known; *k; k++)
			found |= sl_str_eq_nocase(item, sl_str_c(*k));
		if (!found)
			sl_buf_printf(&bad, "Unsupported: %.*s\r\n", SL_FMT(item));
	}
	refused = bad.len > 0;
	if (refused)
		strans_refuse(s, m, 420, sl_buf_view(&bad));
	sl_buf_free(&bad);
	return refused;
}

static bool is_outside(const struct sip_msg *m)
{
	return m->peek.to_tag.len == 0;
}

static void on_dialog_request(struct stack *s, const struct sip_msg *m)
{
	bool subscribe = message_is(m, "SUBSCRIBE"), notify = message_is(m, "NOTIFY");

	if ((subscribe && watch_refresh(s, m)) || (notify && follow_notified(s, m)))
		return;
	if (!party_by_tag(s, m->peek.to_tag) && move_pass_on(s, m))
		return; /* the process that follows has taken it over */
	calls_request(s, m);
}

static void on_new_request(struct stack *s, const struct sip_msg *m)
{
	if (refuse_extensions(s, m))
		return;
	if (m->sip->sip_max_forwards && m->sip->sip_max_forwards->mf_count == 0 &&
	    !message_is(m, "OPTIONS"))
		strans_refuse(s, m, 483, SL_STR_NULL);
	else if (!scheme_is_known(m))
		strans_refuse(s, m, 416, SL_STR_NULL);
	else if (!is_outside(m))
		on_dialog_request(s, m);
	else if (message_is(m, "REGISTER"))
		registrar_request(s, m);
	else if (message_is(m, "INVITE"))
		calls_invite(s, m);
	else if (message_is(m, "MESSAGE"))
		texts_request(s, m);
	else if (message_is(m, "OPTIONS"))
		answer_options(s, m);
	else if (message_is(m, "ACK"))
		return; /* of what is long over */
	else if (message_is(m, "CANCEL") || message_is(m, "BYE"))
		strans_refuse(s, m, 481, SL_STR_NULL);
	else if (message_is(m, "SUBSCRIBE"))
		watch_request(s, m);
	else if (message_is(m, "PUBLISH"))
		publish_request(s, m);
	else if (message_is(m, "NOTIFY"))
		mailbox_notified(s, m);
	else
		strans_refuse(s, m, 405, SL_STR(ALLOWED));
}

/* A CANCEL has the branch of what it cancels, and is answered by itself (section 9.2). */
static bool on_cancel(struct stack *s, const struct sip_msg *m)
{
	struct sip_msg like = *m;
	struct strans *invite, *t;

	like.peek.method = SL_STR("INVITE");
	invite = strans_find(s, &like);
	if (!invite)
		return false;
	if (strans_new(s, m, &t) < 0)
		return true;
	if (!invite->has_tag)
		(void)sl_str_copy(t->to_tag, sizeof t->to_tag, sl_str_c(invite->to_tag));
	strans_answer(t, 200);
	if (invite->fn && invite->status < 200)
		invite->fn(invite->arg, invite, STRANS_CANCELLED);
	return true;
}

static void on_request(struct stack *s, const struct sip_msg *m)
{
	struct strans *t = strans_find(s, m);

	if (t && !(message_is(m, "ACK") && t->status < 300)) {
		strans_again(t, m);
		return;
	}
	if (message_is(m, "CANCEL") && on_cancel(s, m))
		return;
	if (move_for_request(s, m))
		return;
	on_new_request(s, m);
}

static void on_response(struct stack *s, const struct sip_msg *m)
{
	struct ctrans *t = ctrans_find(s, m);

	if (t)
		ctrans_input(t, m);
	else
		calls_late_answer(s, m);
}

/* A request whose head can be understood so far as to say no to it. */
static void refuse_broken(struct stack *s, const struct sip_flow *flow, struct sl_str raw)
{
	struct sip_peek m;
	struct sl_buf b;

	if (sip_peek(&m, raw) < 0 || m.status || sl_str_eq(m.method, SL_STR("ACK")))
		return;
	sl_buf_init(&b, 16 * 1024);
	sl_buf_str(&b, SL_STR("SIP/2.0 400 Bad Request\r\n"));
	for (struct sl_str rest = {raw.p, m.head_len}, n, v; sip_header_next(&rest, &n, &v);)
		if (sip_header_is(n, "Via"))
			sl_buf_printf(&b, "Via: %.*s\r\n", SL_FMT(v));
	sl_buf_printf(&b, "From: %.*s\r\nTo: %.*s\r\nCall-ID: %.*s\r\nCSeq: %u %.*s\r\n",
		      SL_FMT(m.from), SL_FMT(m.to), SL_FMT(m.call_id), m.cseq, SL_FMT(m.method));
	message_end(&b, NULL, SL_STR_NULL);
	if (sl_buf_ok(&b) == 0)
		(void)stack_send(s, flow, sl_buf_view(&b));
	sl_buf_free(&b);
}

void incoming_message(struct stack *s, const struct sip_flow *flow, struct sl_str raw)
{
	struct sip_msg m;

	if (message_read(&m, flow, raw) < 0) {
		refuse_broken(s, flow, raw);
		return;
	}
	if (m.peek.status)
		on_response(s, &m);
	else
		on_request(s, &m);
	message_free(&m);
}
