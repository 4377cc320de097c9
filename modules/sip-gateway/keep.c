/*
 * sip-gateway/keep.c: what outlives this process if it is killed: calls that are up, with the
 * dialogs of their parties, and registrations. Workers, who have the media and the sockets, keep it
 * as bytes and give it to the process that follows, where keep_read.c makes calls of it again.
 *
 * A call is kept anew when something of it has changed, at most once in a tick: by the worker that
 * has its media, and by another one if there is, for when that worker dies in the same moment.
 */
#include "keep_impl.h"

enum { MAX_KEPT = 48 * 1024 };

static uint64_t new_key(struct stack *s)
{
	return ++s->last_kept;
}

static void forget(struct stack *s, uint32_t worker, uint64_t key)
{
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, key);
	(void)s->io->tell(s->io->arg, worker, WIRE_FORGET, &s->out); /* gone: so is what it kept */
}

/* ---- for others */

void stack_forget(struct stack *s, struct kept_place *k)
{
	if (k->key)
		forget(s, k->worker, k->key);
	*k = (struct kept_place){0};
}

void stack_keep_begin(struct stack *s, struct kept_place *k, uint32_t worker, enum kept_kind kind)
{
	worker = s->io->worker(s->io->arg, worker); /* one that leaves would take it away */
	if (k->key && k->worker != worker)
		stack_forget(s, k);
	if (k->key == 0)
		*k = (struct kept_place){new_key(s), worker};
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, k->key);
	sl_buf_u8(&s->out, (uint8_t)kind);
	sl_buf_u64(&s->out, stack_now(s));
}

/* What cannot be kept is lost with this process, as if it had not been said. */
void stack_keep_end(struct stack *s, struct kept_place *k)
{
	if (sl_buf_ok(&s->out) == 0 && s->out.len < MAX_KEPT)
		(void)s->io->tell(s->io->arg, k->worker, WIRE_KEEP, &s->out);
}

/* ---- written */

static void put_text(struct sl_buf *b, const char *text)
{
	sl_buf_lstr(b, sl_str_c(text ? text : ""));
}

static void put_dialog(struct sl_buf *b, const struct party *p)
{
	put_text(b, p->tag);
	wire_put_flow(b, &p->flow);
	put_text(b, p->call_id);
	put_text(b, p->remote_tag);
	put_text(b, p->local);
	put_text(b, p->remote);
	put_text(b, p->target);
	put_text(b, p->routes);
	sl_buf_u32(b, p->cseq);
	sl_buf_u32(b, p->remote_cseq);
	sl_buf_u8(b, (uint8_t)(p->allows_update | p->allows_message << 1));
	sl_buf_u32(b, p->session_s);
	sl_buf_u32(b, p->session_min_s);
	sl_buf_u8(b, p->we_refresh);
}

/* One without SIP: its name for the call, and where it is */
static void put_client(struct sl_buf *b, const struct party *p)
{
	const struct browser *client = browser_find(p->call->stack, p->peer);

	put_text(b, p->tag);
	sl_buf_u64(b, p->peer);
	sl_buf_u32(b, client ? client->worker : 0);
	put_text(b, client ? client->name : "");
}

static void put_party(struct sl_buf *b, const struct party *p)
{
	sl_buf_u8(b, (uint8_t)p->kind);
	sl_buf_u8(b, p->caller);
	sl_buf_u8(b, p->held);
	sl_buf_u8(b, p->moving || p->answers); /* what it says to our offer is not known yet */
	sl_buf_u8(b, (uint8_t)p->profile);
	sl_buf_u32(b, p->leg);
	sl_buf_u32(b, p->worker);
	put_text(b, p->name);
	put_text(b, p->display);
	sl_buf_lstr(b, p->user ? p->user->conf->name : SL_STR_NULL);
	sl_buf_lstr(b, p->trunk ? p->trunk->conf->name : SL_STR_NULL);
	put_text(b, p->account ? p->account->contact : NULL);
	put_text(b, p->described);
	sl_buf_u64(b, p->origin.id);
	sl_buf_u64(b, p->origin.version);
	sl_buf_u64(b, p->begun_ms);
	sl_buf_u64(b, p->ringing_ms);
	sl_buf_u64(b, p->answered_ms);
	if (p->kind == PARTY_BROWSER)
		put_client(b, p);
	else
		put_dialog(b, p);
}

static bool is_kept(const struct party *p)
{
	return p && p->state == PARTY_UP && p->leg;
}

static uint8_t source_word(const struct call *c, const struct siprec_source *s)
{
	if (!s->party)
		return NOBODY;
	if (s->heard)
		return SOURCE_HEARD;
	return s->party == c->b ? SOURCE_B : SOURCE_A;
}

/* Its recorder: the dialog, both legs, and who has been told of */
static void put_recorder(struct sl_buf *b, const struct call *c)
{
	const struct siprec *r = c->siprec;
	bool up = r && r->up;

	sl_buf_u8(b, up);
	if (!up)
		return;
	put_party(b, r->leg[0]);
	sl_buf_u32(b, r->leg[1]->leg);
	put_text(b, r->boundary);
	sl_buf_add(b, &r->view, sizeof r->view); /* plain bytes, of a process of the same binary */
	for (unsigned i = 0; i < SIPREC_STREAMS; i++)
		sl_buf_u8(b, source_word(c, &r->source[i]));
}

/* The legs at a's and at b's side; 0: none */
static void put_span(struct sl_buf *b, const struct call *c)
{
	const struct span *s = &c->span;
	bool turned = s->end[0] == c->b;

	for (unsigned i = 0; i < SPAN_LEGS; i++)
		sl_buf_u32(b, s->up ? s->leg[turned ? 1 - i : i]->leg : 0);
}

static void put_call(struct sl_buf *b, const struct call *c)
{
	const struct dial_target *t =
		c->builtin && c->next_target > 0 ? &c->plan.targets[c->next_target - 1] : NULL;

	sl_buf_u8(b, KEPT_CALL);
	sl_buf_add(b, c->id, sizeof c->id);
	put_text(b, c->called);
	sl_buf_u8(b, t ? (uint8_t)t->kind : NOBODY);
	put_text(b, t ? t->name : "");
	sl_buf_u32(b, c->worker);
	sl_buf_u64(b, c->begun_unix_ms);
	sl_buf_u64(b, c->begun_ms);
	sl_buf_u64(b, c->ringing_ms);
	sl_buf_u64(b, c->answered_ms);
	sl_buf_u8(b, is_kept(c->a));
	sl_buf_u8(b, is_kept(c->b));
	if (is_kept(c->a))
		put_party(b, c->a);
	if (is_kept(c->b))
		put_party(b, c->b);
	put_span(b, c);
	put_recorder(b, c);
}

/* Of two numbers that follow each other, one is another worker's, where there are two. */
static uint32_t spare_worker(const struct call *c)
{
	const struct stack_io *io = c->stack->io;
	uint32_t worker = io->worker_for(io->arg, c->kept_key);

	return worker != c->worker ? worker : io->worker_for(io->arg, c->kept_key + 1);
}

static void keep_spare(struct call *c)
{
	struct stack *s = c->stack;
	uint32_t worker = spare_worker(c);

	if (c->spare.worker != worker || worker == c->worker)
		stack_forget(s, &c->spare);
	if (worker == c->worker)
		return;
	if (c->spare.key == 0)
		c->spare = (struct kept_place){new_key(s), worker};
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, c->spare.key);
	sl_buf_u32(&s->out, c->worker);
	put_call(&s->out, c);
	if (sl_buf_ok(&s->out) == 0 && s->out.len < MAX_KEPT)
		(void)s->io->tell(s->io->arg, worker, WIRE_KEEP_SPARE, &s->out);
}

static void on_keep(struct alarm *alarm)
{
	struct call *c = alarm->arg;
	struct stack *s = c->stack;

	if (c->over || !c->answered || !c->worker || (!is_kept(c->a) && !is_kept(c->b)))
		return;
	if (c->kept_key == 0)
		c->kept_key = new_key(s);
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, c->kept_key);
	put_call(&s->out, c);
	if (sl_buf_ok(&s->out) == 0 && s->out.len < MAX_KEPT)
		(void)s->io->tell(s->io->arg, c->worker, WIRE_KEEP, &s->out);
	keep_spare(c);
}

int call_give(struct call *c, uint32_t to)
{
	struct stack *s = c->stack;
	int rc;

	sl_buf_reset(&s->out);
	sl_buf_u32(&s->out, s->owner);
	put_call(&s->out, c);
	rc = sl_buf_ok(&s->out);
	return rc < 0 ? rc : s->io->tell(s->io->arg, to, WIRE_CALL, &s->out);
}

void keep_init(struct call *c)
{
	c->keep = (struct alarm){.fn = on_keep, .arg = c};
}

void call_keep(struct call *c)
{
	if (c->over || c->keep.place)
		return;
	if (alarm_set(&c->stack->alarms, &c->keep, 0) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a call will not outlive this process");
}

void call_forget(struct call *c)
{
	alarm_cancel(&c->stack->alarms, &c->keep);
	if (c->kept_key)
		forget(c->stack, c->worker, c->kept_key);
	c->kept_key = 0;
	stack_forget(c->stack, &c->spare);
}

/* ---- what is said for a caller that hears nothing any more */

void keep_words(struct call *c, const struct strans *t)
{
	struct stack *s = c->stack;

	c->kept_key = new_key(s);
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, c->kept_key);
	sl_buf_u8(&s->out, KEPT_WORDS);
	wire_put_flow(&s->out, &t->flow);
	sl_buf_str(&s->out, SL_STR("SIP/2.0 503 Service Unavailable\r\n"));
	sl_buf_str(&s->out, sl_buf_view(&t->echo));
	sl_buf_printf(&s->out, "To: %s;tag=%s\r\n", t->to, t->to_tag);
	sl_buf_str(&s->out, SL_STR("Retry-After: 1\r\nReason: Q.850;cause=41;text=\"Temporary "
				   "failure\"\r\nContent-Length: 0\r\n\r\n"));
	if (sl_buf_ok(&s->out) == 0)
		(void)s->io->tell(s->io->arg, c->worker, WIRE_KEEP, &s->out);
}

/* ---- registrations: as they go from process to process */

void binding_keep(struct binding *b)
{
	struct stack *s = b->stack;

	b->kept_key = new_key(s);
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, b->kept_key);
	sl_buf_u8(&s->out, KEPT_BINDING);
	sl_buf_u64(&s->out, stack_now(s));
	binding_put(b, &s->out);
	if (sl_buf_ok(&s->out) == 0 && s->out.len < MAX_KEPT)
		(void)s->io->tell(s->io->arg, b->flow.worker, WIRE_KEEP, &s->out);
}

void binding_forget(struct binding *b)
{
	if (b->kept_key)
		forget(b->stack, b->flow.worker, b->kept_key);
	b->kept_key = 0;
}
