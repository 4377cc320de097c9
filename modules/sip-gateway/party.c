/*
 * sip-gateway/party.c: a party that speaks SIP: its dialog, requests within it, and its end.
 *
 * How a dialog begins is in party_caller.c and party_callee.c, how it is renewed in party_renew.c.
 */
#include "account.h"
#include "party_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define ALLOWED                                                                                    \
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, "           \
	"MESSAGE\r\n"

bool keep_text(char **field, struct sl_str s)
{
	char *copy = sl_str_dup(s);

	if (!copy)
		return false;
	free(*field);
	*field = copy;
	return true;
}

/* ---- the dialog */

static bool has_tag(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct party, by_tag)->tag),
			 *(const struct sl_str *)key);
}

struct party *party_by_tag(const struct stack *s, struct sl_str tag)
{
	struct sl_hnode *n = sl_htab_find(&s->dialogs, sl_hash(tag.p, tag.len), has_tag, &tag);

	return n ? SL_CONTAINER(n, struct party, by_tag) : NULL;
}

int party_enter_table(struct party *p)
{
	int rc = sl_htab_insert(&p->call->stack->dialogs, &p->by_tag,
				sl_hash(p->tag, strlen(p->tag)));

	p->in_table = rc == 0;
	return rc;
}

/* A trunk is reached by a new connection when the one of its dialog has ended; a phone comes back
 * by one of its own (find_flow). */
static void on_way_gone(struct tie *way)
{
	struct party *p = SL_CONTAINER(way, struct party, way);

	if (p->trunk)
		party_reach(p, &p->trunk->flow);
}

void party_reach(struct party *p, const struct sip_flow *flow)
{
	p->flow = *flow;
	p->way.fn = on_way_gone;
	tie_set(&p->call->stack->ties, &p->way, tie_to_conn(flow));
}

/* The value of From or To without its tag, which we write ourselves */
static struct sl_str without_tag(struct sl_str value)
{
	struct sl_str tag;

	if (!sip_param(value, "tag", &tag) || tag.len == 0)
		return value;
	return sl_str_trim((struct sl_str){value.p, (size_t)(tag.p - value.p) - strlen(";tag=")});
}

int party_dialog_from_request(struct party *p, const struct sip_msg *m)
{
	struct sl_buf routes;
	bool ok;

	sl_buf_init(&routes, 16 * 1024);
	message_route_set(&routes, m);
	ok = keep_text(&p->call_id, m->peek.call_id) &&
	     keep_text(&p->remote_tag, m->peek.from_tag) &&
	     keep_text(&p->remote, without_tag(m->peek.from)) && keep_text(&p->local, m->peek.to) &&
	     keep_text(&p->target, message_contact(m)) &&
	     keep_text(&p->routes, sl_buf_view(&routes));
	sl_buf_free(&routes);
	party_reach(p, &m->flow);
	p->remote_cseq = m->peek.cseq;
	p->cseq = 1;
	p->allows_update = message_allows(m, "UPDATE");
	p->allows_message = message_allows(m, "MESSAGE");
	return ok ? party_enter_table(p) : -SL_ENOMEM;
}

void party_refresh_target(struct party *p, const struct sip_msg *m)
{
	struct sl_str contact = message_contact(m);

	if (contact.len > 0)
		(void)keep_text(&p->target, contact);
	if (message_header(m, "Allow").len == 0)
		return;
	p->allows_update = message_allows(m, "UPDATE");
	p->allows_message = message_allows(m, "MESSAGE");
}

/* From a response: the peer's tag, where it is, and the way there */
void party_dialog_from_response(struct party *p, const struct sip_msg *m)
{
	struct sl_buf routes;

	if (m->peek.to_tag.len > 0)
		(void)keep_text(&p->remote_tag, m->peek.to_tag);
	party_refresh_target(p, m);
	sl_buf_init(&routes, 16 * 1024);
	message_route_set(&routes, m);
	if (m->peek.status >= 200)
		(void)keep_text(&p->routes, sl_buf_view(&routes));
	sl_buf_free(&routes);
	party_reach(p, &m->flow);
}

void party_put_contact(struct party *p, struct sl_buf *b)
{
	struct sl_str user = p->trunk ? p->trunk->conf->user : SL_STR_NULL;

	if (p->account)
		user = sl_str_c(p->account->contact);
	sl_buf_str(b, SL_STR("Contact: <sip:"));
	if (user.len > 0)
		sl_buf_printf(b, "%.*s@", SL_FMT(user));
	stack_put_here(p->call->stack, b, &p->flow);
	sl_buf_str(b, sl_str_c(sip_transport_param(p->flow.transport)));
	sl_buf_u8(b, '>');
	if (p->kind == PARTY_RECORDER)
		sl_buf_str(b, SL_STR(";+sip.src"));
	sl_buf_str(b, SL_STR("\r\n" ALLOWED "Supported: timer, replaces, 100rel\r\n"));
}

/* A client that has lost its connection and registered anew is reached by the new one. */
static void find_flow(struct party *p)
{
	if (!p->user || !p->flow.conn)
		return;
	for (const struct binding *b = p->user->bindings; b; b = b->next)
		if (sip_flow_same(&b->flow, &p->flow))
			return;
	for (const struct binding *b = p->user->bindings; b; b = b->next)
		if (p->target && sl_str_eq(b->contact, sl_str_c(p->target)))
			party_reach(p, &b->flow);
}

void party_begin(struct party *p, struct sl_buf *b, const char *method, uint32_t cseq,
		 char branch[SIP_NAME_LEN + 1])
{
	struct stack *s = p->call->stack;

	if (sip_name_new(branch, s->owner) < 0)
		b->failed = true;
	if (p->state == PARTY_UP)
		call_keep(p->call);
	find_flow(p);
	request_begin(s, b, method, sl_str_c(p->target), &p->flow, branch);
	sl_buf_printf(b, "%sFrom: %s;tag=%s\r\nTo: %s", p->routes ? p->routes : "", p->local,
		      p->tag, p->remote);
	if (p->remote_tag && p->remote_tag[0])
		sl_buf_printf(b, ";tag=%s", p->remote_tag);
	sl_buf_printf(b, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", p->call_id, cseq, method);
}

struct ctrans *party_send(struct party *p, struct sl_buf *b, const char *branch, ctrans_fn *fn)
{
	struct ctrans *t;

	if (ctrans_new(p->call->stack, &p->flow, branch, b, &t) < 0)
		return NULL; /* out of memory: as if it had been lost for good */
	if (t->invite) {
		if (p->inviting)
			p->inviting->held_by = NULL;
		p->inviting = t;
		t->held_by = &p->inviting;
	}
	if (t->invite && p->state == PARTY_CALLING && p->trunk)
		ctrans_hurry(t, p->trunk->conf->failover);
	ctrans_on(t, fn, p);
	return t;
}

struct ctrans *party_request(struct party *p, const char *method, struct sl_str lines,
			     const char *body_type, struct sl_str body, ctrans_fn *fn)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(p, &b, method, ++p->cseq, branch);
	sl_buf_str(&b, lines);
	message_end(&b, body_type, body);
	return party_send(p, &b, branch, fn);
}

/* ---- the end */

static void end_sip(struct party *p, unsigned status)
{
	if (p->invite && p->invite->status < 200)
		party_reply(p, status < 300 ? 487 : status, SL_STR_NULL);
	else if (p->state == PARTY_UP)
		party_say_bye(p, status);
	else if (p->inviting)
		ctrans_cancel(p->inviting);
}

void party_end(struct party *p, unsigned status)
{
	if (p->state == PARTY_ENDED)
		return;
	session_stop(p);
	video_stop(p);
	if (p->kind == PARTY_BROWSER)
		browser_end(p, status);
	else
		end_sip(p, status);
	p->state = PARTY_ENDED;
	p->ended_ms = stack_now(p->call->stack);
	if (p->status == 0)
		p->status = status;
	party_discharge(p);
}

void party_free(struct party *p)
{
	char *const texts[] = {p->call_id, p->remote_tag, p->local, p->remote,
			       p->target,  p->routes,	  p->offer, p->answer,
			       p->headers, p->session,	  p->stats, p->body_type,
			       p->described};
	struct stack *s = p->call->stack;

	session_stop(p);
	video_stop(p);
	text_no_more(p);
	tie_cut(&s->ties, &p->way);
	if (p->in_table)
		sl_htab_remove(&s->dialogs, &p->by_tag);
	if (p->leg)
		sl_htab_remove(&s->legs, &p->by_leg);
	strans_release(p->invite);
	if (p->asking && p->asking != p->invite)
		strans_release(p->asking);
	if (p->unacked && p->unacked != p->invite)
		strans_release(p->unacked);
	ctrans_release(p->inviting);
	ctrans_release(p->updating);
	ctrans_release(p->informing);
	account_unref(p->account);
	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++)
		free(texts[i]);
	free(p->redirect);
	free(p);
}
