/*
 * sip-gateway/strans.c: server transactions (RFC 3261 section 17.2, RFC 6026): each request is
 * taken once, and what was answered to it is answered again when it comes again.
 *
 * An INVITE's failure is repeated until its ACK, over UDP; its success is repeated until the dialog
 * has seen an ACK, over anything (section 13.3.1.4). Reliable provisional responses are repeated
 * until their PRACK (RFC 3262).
 *
 * What was refused, or is not an INVITE, waits half a minute for its repetitions. Anybody may send
 * such things, in the name of any address, so that there is a bound on how many wait, and the
 * oldest is forgotten for a new one: it would be refused again.
 */
#include "stack.h"

#include <sluice/crypto.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- keys: branch, who made it, and the method (section 17.2.3). Before RFC 3261: what stood
 * there. */

static int make_key(struct sl_buf *b, const struct sip_msg *m, const char *method)
{
	const sip_via_t *via = m->sip->sip_via;

	sl_buf_printf(b, "%s ", method);
	if (sip_branch_name(m->peek.branch).len > 0)
		sl_buf_str(b, m->peek.branch);
	else
		sl_buf_printf(b, "%.*s %u %.*s", SL_FMT(m->peek.call_id), m->peek.cseq,
			      SL_FMT(m->peek.from_tag));
	sl_buf_printf(b, " %s:%s", via->v_host, via->v_port ? via->v_port : "");
	sl_buf_u8(b, 0);
	return sl_buf_ok(b);
}

static bool has_key(const struct sl_hnode *n, const void *key)
{
	return strcmp(SL_CONTAINER(n, struct strans, node)->key, key) == 0;
}

static struct strans *find(struct stack *s, const struct sip_msg *m, const char *method)
{
	struct sl_hnode *n = NULL;
	struct sl_buf key;

	sl_buf_init(&key, 4096);
	if (make_key(&key, m, method) == 0)
		n = sl_htab_find(&s->strans, sl_hash(key.p, key.len), has_key, key.p);
	sl_buf_free(&key);
	return n ? SL_CONTAINER(n, struct strans, node) : NULL;
}

static const char *key_method(const struct sip_msg *m, char dst[SIP_MAX_METHOD + 1])
{
	if (message_is(m, "ACK"))
		return "INVITE";
	(void)sl_str_copy(dst, SIP_MAX_METHOD + 1, m->peek.method);
	return dst;
}

struct strans *strans_find(struct stack *s, const struct sip_msg *m)
{
	char method[SIP_MAX_METHOD + 1];

	return find(s, m, message_is(m, "CANCEL") ? "CANCEL" : key_method(m, method));
}

/* ---- those that are done */

enum { MAX_DONE = 32768, MAX_DONE_BYTES = 64 << 20 };

static size_t bytes_of(const struct strans *t)
{
	return sizeof *t + t->echo.cap + t->routes.cap + t->last.cap;
}

static void leave_done(struct strans *t)
{
	struct stack *s = t->stack;

	if (!t->done_at)
		return;
	*t->done_at = t->done_next;
	if (t->done_next)
		t->done_next->done_at = t->done_at;
	else
		s->done_last = t->done_at;
	t->done_at = NULL;
	s->n_done--;
	s->done_bytes -= bytes_of(t);
}

/* Called when t has been answered for good; nobody but the table may know it any more. */
static void enter_done(struct strans *t)
{
	struct stack *s = t->stack;

	if (!s->done)
		s->done_last = &s->done;
	t->done_at = s->done_last;
	*t->done_at = t;
	s->done_last = &t->done_next;
	s->n_done++;
	s->done_bytes += bytes_of(t);
}

/* Before a new one */
static void make_room(struct stack *s)
{
	while (s->done && (s->n_done >= MAX_DONE || s->done_bytes >= MAX_DONE_BYTES)) {
		sl_count(&s->m[M_FORGOTTEN]);
		strans_free(s->done);
	}
}

/* ---- life */

void strans_free(struct strans *t)
{
	if (!t)
		return;
	leave_done(t);
	if (t->fn)
		t->fn(t->arg, t, STRANS_GONE);
	sl_htab_remove(&t->stack->strans, &t->node);
	alarm_cancel(&t->stack->alarms, &t->resend);
	alarm_cancel(&t->stack->alarms, &t->end);
	sl_buf_free(&t->echo);
	sl_buf_free(&t->routes);
	sl_buf_free(&t->last);
	free(t->key);
	free(t->to);
	free(t);
}

static void send_last(struct strans *t)
{
	if (t->last.len == 0)
		return;
	(void)stack_send(t->stack, &t->flow, sl_buf_view(&t->last)); /* the peer asks again */
}

static void on_end(struct alarm *a)
{
	struct strans *t = a->arg;

	if (t->invite && t->status >= 200 && t->status < 300 && !t->acked && t->fn)
		t->fn(t->arg, t, STRANS_UNACKED);
	strans_free(t);
}

/* Out of memory for a timer: the transaction ends now, which the peer mends by asking again. */
static void arm(struct strans *t, struct alarm *a, uint64_t ms)
{
	if (alarm_set(&t->stack->alarms, a, ms) < 0)
		t->interval = 0;
}

static void on_resend(struct alarm *a)
{
	struct strans *t = a->arg;
	bool provisional = t->status < 200;

	sl_count(&t->stack->m[M_RETRANSMISSIONS]);
	send_last(t);
	t->interval *= 2;
	if (!provisional && t->interval > SIP_T2)
		t->interval = SIP_T2;
	if (provisional && t->interval >= SIP_PATIENCE)
		return; /* its caller hears nothing of a lost PRACK but the end of the ringing */
	arm(t, &t->resend, t->interval);
}

static int fill(struct strans *t, const struct sip_msg *m)
{
	char method[SIP_MAX_METHOD + 1];
	struct sl_buf key;
	int rc;

	sl_buf_init(&key, 4096);
	rc = make_key(&key, m, key_method(m, method));
	t->key = rc == 0 ? strdup((const char *)key.p) : NULL;
	sl_buf_free(&key);
	t->to = sl_str_dup(m->peek.to);
	message_echo(&t->echo, m);
	message_record_routes(&t->routes, m);
	if (!t->key || !t->to || sl_buf_ok(&t->echo) < 0 || sl_buf_ok(&t->routes) < 0)
		return -SL_ENOMEM;
	t->has_tag = m->peek.to_tag.len > 0;
	return t->has_tag ? 0 : sip_name_new(t->to_tag, t->stack->owner);
}

int strans_new(struct stack *s, const struct sip_msg *m, struct strans **ret_trans)
{
	struct strans *t;
	int rc;

	make_room(s);
	t = calloc(1, sizeof *t);
	if (!t)
		return -SL_ENOMEM;
	t->stack = s;
	t->flow = message_reply_flow(m);
	t->invite = message_is(m, "INVITE");
	t->cseq = m->peek.cseq;
	t->resend = (struct alarm){.fn = on_resend, .arg = t};
	t->end = (struct alarm){.fn = on_end, .arg = t};
	sl_buf_init(&t->echo, 32 * 1024);
	sl_buf_init(&t->routes, 16 * 1024);
	sl_buf_init(&t->last, SIP_MAX_MESSAGE);
	rc = fill(t, m);
	if (rc == 0)
		rc = sl_htab_insert(&s->strans, &t->node, sl_hash(t->key, strlen(t->key) + 1));
	if (rc < 0) {
		sl_buf_free(&t->echo);
		sl_buf_free(&t->routes);
		free(t->key);
		free(t->to);
		free(t);
		return rc;
	}
	*ret_trans = t;
	return 0;
}

/* ---- answers */

static bool makes_dialog(const struct strans *t, unsigned status)
{
	return (t->invite || t->makes_dialog) && status > 100 && status < 300;
}

static void write_reply(struct strans *t, const struct strans_reply *r)
{
	struct sl_buf *b = &t->last;

	sl_buf_reset(b);
	sl_buf_printf(b, "SIP/2.0 %u %s\r\n", r->status,
		      r->reason ? r->reason : sip_status_text(r->status));
	sl_buf_str(b, sl_buf_view(&t->echo));
	sl_buf_printf(b, "To: %s", t->to);
	if (!t->has_tag && r->status > 100)
		sl_buf_printf(b, ";tag=%s", t->to_tag);
	sl_buf_str(b, SL_STR("\r\n"));
	if (makes_dialog(t, r->status))
		sl_buf_str(b, sl_buf_view(&t->routes));
	if (r->reliable)
		sl_buf_printf(b, "Require: 100rel\r\nRSeq: %u\r\n", t->rseq);
	if (t->stack->conf->user_agent.len > 0 && r->status > 100)
		sl_buf_printf(b, "Server: %.*s\r\n", SL_FMT(t->stack->conf->user_agent));
	sl_buf_str(b, r->headers);
	message_end(b, r->body_type, r->body);
}

static void arm_final(struct strans *t)
{
	bool reliable = sip_flow_is_reliable(&t->flow);

	t->interval = SIP_T1;
	if (t->invite && (!reliable || t->status < 300))
		arm(t, &t->resend, t->interval);
	arm(t, &t->end, t->invite || !reliable ? SIP_PATIENCE : SIP_T1);
}

void strans_reply(struct strans *t, const struct strans_reply *r)
{
	if (t->status >= 200)
		return; /* the final answer was another */
	if (r->reliable)
		t->rseq++;
	alarm_cancel(&t->stack->alarms, &t->resend);
	t->status = (uint16_t)r->status;
	t->unacked_provisional = r->reliable;
	write_reply(t, r);
	if (sl_buf_ok(&t->last) < 0)
		sl_buf_free(&t->last); /* nothing is said; the peer's patience ends it */
	else
		send_last(t);
	if (r->status >= 200) {
		arm_final(t);
		if (!t->invite || r->status >= 300)
			enter_done(t);
	} else if (r->reliable) {
		t->interval = SIP_T1;
		arm(t, &t->resend, t->interval);
	}
}

void strans_answer(struct strans *t, unsigned status)
{
	strans_reply(t, &(struct strans_reply){.status = status});
}

/* ---- what comes */

void strans_acked(struct strans *t)
{
	t->acked = true;
	alarm_cancel(&t->stack->alarms, &t->resend);
}

bool strans_pracked(struct strans *t, uint32_t rseq)
{
	if (!t->unacked_provisional || rseq != t->rseq)
		return false;
	t->unacked_provisional = false;
	alarm_cancel(&t->stack->alarms, &t->resend);
	return true;
}

void strans_again(struct strans *t, const struct sip_msg *m)
{
	if (message_is(m, "ACK")) { /* of a failure: a success is acknowledged by another branch */
		strans_acked(t);
		arm(t, &t->end, sip_flow_is_reliable(&t->flow) ? 0 : SIP_T4);
		return;
	}
	if (sip_flow_is_reliable(&m->flow)) /* over a stream nobody repeats but who lost the last */
		t->flow = message_reply_flow(m);
	send_last(t);
}

void strans_release(struct strans *t)
{
	if (!t)
		return;
	t->fn = NULL;
	if (t->status < 200)
		strans_answer(t, 500);
}

void strans_refuse(struct stack *s, const struct sip_msg *m, unsigned status, struct sl_str headers)
{
	struct strans *t;

	if (message_is(m, "ACK") || strans_new(s, m, &t) < 0)
		return;
	strans_reply(t, &(struct strans_reply){.status = status, .headers = headers});
}
