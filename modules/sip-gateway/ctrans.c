/*
 * sip-gateway/ctrans.c: client transactions (RFC 3261 section 17.1, RFC 6026): a request is sent
 * until it is answered, an INVITE's failure is acknowledged here, its success by the dialog.
 *
 * A CANCEL goes only after a provisional response (section 9.1), and is a transaction of its own
 * whose answer nobody needs. An INVITE that stays without a final answer after its CANCEL ends by
 * itself.
 */
#include "stack.h"

#include <stdlib.h>

enum { PROCEEDING_MS = 200 * 1000 }; /* more than Timer C: the call's own timer is shorter */

void request_begin(struct stack *s, struct sl_buf *b, const char *method, struct sl_str uri,
		   const struct sip_flow *flow, const char *branch)
{
	sl_buf_printf(b, "%s %.*s SIP/2.0\r\nVia: SIP/2.0/%s ", method, SL_FMT(uri),
		      sip_transport_name(flow->transport));
	stack_put_here(s, b, flow);
	sl_buf_printf(b, ";branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n", branch);
	if (s->conf->user_agent.len > 0)
		sl_buf_printf(b, "User-Agent: %.*s\r\n", SL_FMT(s->conf->user_agent));
}

static bool has_name(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct ctrans, node)->name),
			 *(const struct sl_str *)key);
}

struct ctrans *ctrans_find(struct stack *s, const struct sip_msg *m)
{
	struct sl_str name = sip_branch_name(m->peek.branch);
	struct sl_hnode *n = sl_htab_find(&s->ctrans, sl_hash(name.p, name.len), has_name, &name);
	struct ctrans *t = n ? SL_CONTAINER(n, struct ctrans, node) : NULL;

	/* The answer to a CANCEL has its INVITE's branch. */
	return t && t->invite == message_is(m, "INVITE") ? t : NULL;
}

/* A call is over for us when its BYE is said, for its party when that has come. */
static void count(struct ctrans *t)
{
	t->unfinished = t->invite || sl_str_starts(sl_buf_view(&t->request), SL_STR("BYE "));
	t->stack->n_unfinished += t->unfinished;
}

static void uncount(struct ctrans *t)
{
	t->stack->n_unfinished -= t->unfinished;
	t->unfinished = false;
	stack_forget(t->stack, &t->kept);
}

void ctrans_free(struct ctrans *t)
{
	if (!t)
		return;
	if (t->fn && t->held_by && *t->held_by == t)
		*t->held_by = NULL;
	uncount(t);
	sl_htab_remove(&t->stack->ctrans, &t->node);
	tie_cut(&t->stack->ties, &t->way);
	alarm_cancel(&t->stack->alarms, &t->resend);
	alarm_cancel(&t->stack->alarms, &t->end);
	sl_buf_free(&t->request);
	free(t);
}

static void arm(struct ctrans *t, struct alarm *a, uint64_t ms)
{
	if (alarm_set(&t->stack->alarms, a, ms) < 0)
		t->interval = 0; /* out of memory: the end of the call ends it */
}

/* ---- long ones: RFC 3261 section 18.1.1 */

enum { UDP_MAX = 1300, NO_TCP_MS = 600 * 1000 };

/* The transport stands in our Via, three letters behind the first "SIP/2.0/". */
static void set_transport(struct ctrans *t, enum sip_transport transport)
{
	static const char *const before = "\r\nVia: SIP/2.0/";
	struct sl_str all = sl_buf_view(&t->request);
	char *at = memmem(all.p, all.len, before, strlen(before));

	if (!sl_check(at != NULL))
		return;
	memcpy(at + strlen(before), sip_transport_name(transport), 3);
	t->flow.transport = (uint8_t)transport;
}

static void choose_transport(struct ctrans *t)
{
	t->was_udp =
		t->flow.transport == SIP_UDP && t->flow.tcp_when_large && t->request.len > UDP_MAX;
	if (t->was_udp)
		set_transport(t, SIP_TCP);
}

static int send_request(struct ctrans *t)
{
	return stack_send(t->stack, &t->flow, sl_buf_view(&t->request));
}

/* Tells its user for the last time. */
static void finish(struct ctrans *t, unsigned status)
{
	ctrans_fn *fn = t->fn;

	t->fn = NULL;
	if (fn)
		fn(t->arg, t, NULL, status);
	ctrans_free(t);
}

static void on_end(struct alarm *a)
{
	struct ctrans *t = a->arg;

	if (t->state == CTRANS_COMPLETED || t->state == CTRANS_ACCEPTED) {
		ctrans_free(t);
		return;
	}
	sl_count(&t->stack->m[M_TIMEOUTS]);
	finish(t, t->cancelled ? 487 : 408);
}

static void on_resend(struct alarm *a)
{
	struct ctrans *t = a->arg;

	if (t->state == CTRANS_PROCEEDING && t->invite)
		return;
	sl_count(&t->stack->m[M_RETRANSMISSIONS]);
	(void)send_request(t); /* a flow that is gone is told otherwise */
	t->interval *= 2;
	if (!t->invite && (t->interval > SIP_T2 || t->state == CTRANS_PROCEEDING))
		t->interval = SIP_T2;
	arm(t, &t->resend, t->interval);
}

/* The first send failed: told from the loop, not from within ctrans_new. */
static void on_unsent(struct alarm *a)
{
	finish(a->arg, 503);
}

static void start(struct ctrans *t)
{
	t->interval = SIP_T1;
	tie_set(&t->stack->ties, &t->way,
		t->flow.conn ? tie_to_conn(&t->flow) : tie_to_remote(&t->flow));
	if (send_request(t) < 0) {
		t->end.fn = on_unsent;
		arm(t, &t->end, 0);
		return;
	}
	if (!sip_flow_is_reliable(&t->flow))
		arm(t, &t->resend, t->interval);
	arm(t, &t->end, t->patience);
}

/* Nobody listens there by TCP: for a while it is not tried again. */
static void go_back_to_udp(struct ctrans *t)
{
	struct trunk *trunk = trunk_by_peer(t->stack, t->flow.peer);

	if (trunk) {
		trunk->no_tcp_until_ms = stack_now(t->stack) + NO_TCP_MS;
		trunk->flow.tcp_when_large = false;
	}
	t->was_udp = false;
	set_transport(t, SIP_UDP);
	start(t);
}

/* Its connection has ended or could not be made: what waits for a first answer there fails. */
static void on_way_gone(struct tie *way)
{
	struct ctrans *t = SL_CONTAINER(way, struct ctrans, way);

	if (t->state != CTRANS_CALLING)
		return;
	if (t->was_udp) {
		go_back_to_udp(t);
		return;
	}
	t->end.fn = on_unsent;
	arm(t, &t->end, 0);
}

int ctrans_new(struct stack *s, const struct sip_flow *flow, const char *name,
	       struct sl_buf *request, struct ctrans **ret_trans)
{
	struct ctrans *t = calloc(1, sizeof *t);
	int rc = t ? sl_buf_ok(request) : -SL_ENOMEM;

	if (rc == 0) {
		(void)sl_str_copy(t->name, sizeof t->name, sl_str_c(name));
		rc = sl_htab_insert(&s->ctrans, &t->node, sl_hash(name, strlen(name)));
	}
	if (rc < 0) {
		sl_buf_free(request);
		free(t);
		return rc;
	}
	t->stack = s;
	t->flow = *flow;
	t->request = *request;
	sl_buf_init(request, 0);
	t->invite = sl_str_starts(sl_buf_view(&t->request), SL_STR("INVITE "));
	count(t);
	t->resend = (struct alarm){.fn = on_resend, .arg = t};
	t->end = (struct alarm){.fn = on_end, .arg = t};
	t->way.fn = on_way_gone;
	t->patience = SIP_PATIENCE;
	choose_transport(t);
	start(t);
	*ret_trans = t;
	return 0;
}

void ctrans_hurry(struct ctrans *t, uint64_t ms)
{
	t->patience = ms < SIP_PATIENCE ? ms : SIP_PATIENCE;
	if (t->state == CTRANS_CALLING && t->end.fn == on_end)
		arm(t, &t->end, t->patience);
}

void ctrans_on(struct ctrans *t, ctrans_fn *fn, void *arg)
{
	t->fn = fn;
	t->arg = arg;
}

/* ---- ACK and CANCEL: made from the INVITE, line by line */

static void copy_lines(struct sl_buf *b, struct sl_str request, bool with_to)
{
	static const char *const names[] = {"Via", "From", "Call-ID", "Max-Forwards", "Route"};
	struct sl_str rest = request, n, v;

	while (sip_header_next(&rest, &n, &v)) {
		bool wanted = with_to && sip_header_is(n, "To");

		for (size_t i = 0; i < SL_ARRAY_LEN(names); i++)
			wanted |= sip_header_is(n, names[i]);
		if (wanted)
			sl_buf_printf(b, "%.*s: %.*s\r\n", SL_FMT(n), SL_FMT(v));
	}
}

static void begin_like(struct sl_buf *b, const struct ctrans *t, const char *method)
{
	struct sl_str line = sl_buf_view(&t->request), uri;

	line = sl_str_split(&line, '\r');
	(void)sl_str_split(&line, ' ');
	uri = sl_str_split(&line, ' ');
	sl_buf_printf(b, "%s %.*s SIP/2.0\r\n", method, SL_FMT(uri));
}

static uint32_t cseq_of(const struct ctrans *t)
{
	struct sip_peek m;

	return sip_peek(&m, sl_buf_view(&t->request)) == 0 ? m.cseq : 0;
}

static void send_ack(struct ctrans *t, const struct sip_msg *m)
{
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	begin_like(&b, t, "ACK");
	copy_lines(&b, sl_buf_view(&t->request), false);
	sl_buf_printf(&b, "To: %.*s\r\nCSeq: %u ACK\r\n", SL_FMT(m->peek.to), m->peek.cseq);
	message_end(&b, NULL, SL_STR_NULL);
	if (sl_buf_ok(&b) == 0)
		(void)stack_send(t->stack, &t->flow, sl_buf_view(&b)); /* the failure comes again */
	sl_buf_free(&b);
}

/* Over UDP it may be lost, so it is a transaction; with the branch of its INVITE it cannot be in
 * the table, and a few repetitions do as well. */
static void send_cancel(struct ctrans *t)
{
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	begin_like(&b, t, "CANCEL");
	copy_lines(&b, sl_buf_view(&t->request), true);
	sl_buf_printf(&b, "CSeq: %u CANCEL\r\n", cseq_of(t));
	message_end(&b, NULL, SL_STR_NULL);
	if (sl_buf_ok(&b) == 0)
		(void)stack_send(t->stack, &t->flow, sl_buf_view(&b)); /* see on_cancel_again */
	sl_buf_free(&b);
}

static void on_cancel_again(struct alarm *a)
{
	struct ctrans *t = a->arg;

	if (t->state != CTRANS_PROCEEDING)
		return;
	send_cancel(t);
	t->interval *= 2;
	arm(t, &t->resend, t->interval);
}

void ctrans_cancel(struct ctrans *t)
{
	if (!t->invite || t->cancelled || t->state > CTRANS_PROCEEDING)
		return;
	t->cancel_wanted = true;
	if (t->state != CTRANS_PROCEEDING)
		return;
	t->cancelled = true;
	send_cancel(t);
	t->interval = SIP_T1;
	if (!sip_flow_is_reliable(&t->flow)) {
		t->resend.fn = on_cancel_again;
		arm(t, &t->resend, t->interval);
	}
	arm(t, &t->end, SIP_PATIENCE);
}

/* ---- what comes */

static void on_provisional(struct ctrans *t, const struct sip_msg *m)
{
	if (t->state == CTRANS_CALLING) {
		t->state = CTRANS_PROCEEDING;
		if (t->invite) {
			alarm_cancel(&t->stack->alarms, &t->resend);
			arm(t, &t->end, PROCEEDING_MS);
		}
	}
	if (t->cancel_wanted)
		ctrans_cancel(t);
	if (t->fn)
		t->fn(t->arg, t, m, m->peek.status);
}

static void on_failure(struct ctrans *t, const struct sip_msg *m)
{
	ctrans_fn *fn = t->fn;

	send_ack(t, m);
	if (t->state == CTRANS_COMPLETED)
		return;
	t->state = CTRANS_COMPLETED;
	t->fn = NULL;
	uncount(t);
	alarm_cancel(&t->stack->alarms, &t->resend);
	arm(t, &t->end, sip_flow_is_reliable(&t->flow) ? 0 : SIP_PATIENCE);
	if (fn)
		fn(t->arg, t, m, m->peek.status);
}

static void on_success(struct ctrans *t, const struct sip_msg *m)
{
	if (t->state == CTRANS_COMPLETED)
		return;
	if (t->state != CTRANS_ACCEPTED) {
		t->state = CTRANS_ACCEPTED;
		uncount(t);
		alarm_cancel(&t->stack->alarms, &t->resend);
		arm(t, &t->end, SIP_PATIENCE);
	}
	if (t->fn)
		t->fn(t->arg, t, m, m->peek.status);
}

void ctrans_input(struct ctrans *t, const struct sip_msg *m)
{
	ctrans_fn *fn = t->fn;

	if (m->peek.status < 200) {
		if (t->state <= CTRANS_PROCEEDING)
			on_provisional(t, m);
		return;
	}
	if (t->invite) {
		if (m->peek.status < 300)
			on_success(t, m);
		else if (t->state != CTRANS_ACCEPTED)
			on_failure(t, m);
		return;
	}
	t->fn = NULL;
	if (fn)
		fn(t->arg, t, m, m->peek.status);
	ctrans_free(t);
}

void ctrans_release(struct ctrans *t)
{
	if (!t)
		return;
	t->fn = NULL;
	if (t->invite)
		ctrans_cancel(t);
}
