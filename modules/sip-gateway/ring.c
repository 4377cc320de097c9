/*
 * sip-gateway/ring.c: INVITEs of ours that nobody has answered yet outlive this process, so that
 * what rings does not ring for a call that is over.
 *
 * Workers keep the request as it went out. The process that follows sends it again, which its
 * receiver takes for a repetition and answers with where it is; then it is cancelled. Who has
 * picked up meanwhile is told goodbye.
 */
#include "stack.h"

void ring_keep(struct ctrans *t, uint32_t worker)
{
	struct stack *s = t->stack;

	stack_keep_begin(s, &t->kept, worker, KEPT_INVITE);
	wire_put_flow(&s->out, &t->flow);
	sl_buf_lstr(&s->out, sl_str_c(t->name));
	sl_buf_str(&s->out, sl_buf_view(&t->request));
	stack_keep_end(s, &t->kept);
}

/* One request of the dialog that the answer has made; route: its lines */
static void begin_in_dialog(struct sl_buf *b, const struct ctrans *t, const struct sip_msg *ok,
			    const char *method, const char branch[SIP_NAME_LEN + 1])
{
	struct sl_str rest = sl_buf_view(&t->request), n, v;
	uint32_t cseq = ok->peek.cseq + (sl_str_eq(sl_str_c(method), SL_STR("BYE")) ? 1 : 0);

	request_begin(t->stack, b, method, message_contact(ok), &t->flow, branch);
	message_route_set(b, ok);
	while (sip_header_next(&rest, &n, &v))
		if (sip_header_is(n, "From") || sip_header_is(n, "Call-ID"))
			sl_buf_printf(b, "%.*s: %.*s\r\n", SL_FMT(n), SL_FMT(v));
	sl_buf_printf(b, "To: %.*s\r\nCSeq: %u %s\r\n", SL_FMT(ok->peek.to), cseq, method);
}

static void acknowledge(const struct ctrans *t, const struct sip_msg *ok)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	if (sip_name_new(branch, t->stack->owner) < 0)
		b.failed = true;
	begin_in_dialog(&b, t, ok, "ACK", branch);
	message_end(&b, NULL, SL_STR_NULL);
	if (sl_buf_ok(&b) == 0)
		(void)stack_send(t->stack, &t->flow, sl_buf_view(&b)); /* its answer comes again */
	sl_buf_free(&b);
}

static void say_goodbye(const struct ctrans *t, const struct sip_msg *ok)
{
	char branch[SIP_NAME_LEN + 1];
	struct ctrans *bye;
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	if (sip_name_new(branch, t->stack->owner) < 0)
		b.failed = true;
	begin_in_dialog(&b, t, ok, "BYE", branch);
	sl_buf_str(&b, SL_STR("Reason: Q.850;cause=41;text=\"Temporary failure\"\r\n"));
	message_end(&b, NULL, SL_STR_NULL);
	if (ctrans_new(t->stack, &t->flow, branch, &b, &bye) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "out of memory: a call is not hung up");
	sl_buf_free(&b);
}

/* A 2xx comes again until it is acknowledged; it is told goodbye once. */
static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	(void)arg;
	if (!resp || status < 200 || status >= 300 || message_contact(resp).len == 0)
		return;
	acknowledge(t, resp);
	if (t->arg) /* said */
		return;
	t->arg = t;
	say_goodbye(t, resp);
}

void ring_take(struct stack *s, struct sl_reader *r)
{
	struct sip_flow flow;
	struct sl_str name;
	char text[SIP_NAME_LEN + 1];
	struct sl_buf request;
	struct ctrans *t;

	wire_get_flow(r, &flow);
	name = sl_read_lstr(r);
	if (r->failed || name.len != SIP_NAME_LEN)
		return;
	(void)sl_str_copy(text, sizeof text, name);
	sl_buf_init(&request, SIP_MAX_MESSAGE);
	sl_buf_add(&request, r->p, (size_t)(r->end - r->p));
	if (ctrans_new(s, &flow, text, &request, &t) < 0)
		return; /* it rings until its own time-out */
	ctrans_on(t, on_answer, NULL);
	ring_keep(t, s->io->worker(s->io->arg, flow.worker));
	ctrans_cancel(t);
}
