/*
 * sip-gateway/keep.c: what outlives this process if it is killed: calls that are up, with the
 * dialogs of their parties, and registrations. Workers, who have the media and the sockets, keep it
 * as bytes and give it to the process that follows.
 *
 * A call is kept anew when something of it has changed, at most once in a tick. What was said in
 * the last moment may be missing, so CSeq goes on with a step. A call of which a side cannot be
 * taken over, because it was still being set up, ends with a cause.
 */
#include "account.h"
#include "call_impl.h"
#include "event.h"
#include "siprec.h"

#include <stdlib.h>

#include "leg.h"

enum { CSEQ_STEP = 16, NOBODY = 255, MAX_KEPT = 48 * 1024 };

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
	sl_buf_u8(b, (uint8_t)p->profile);
	sl_buf_u32(b, p->leg);
	sl_buf_u32(b, p->worker);
	put_text(b, p->name);
	put_text(b, p->display);
	sl_buf_lstr(b, p->user ? p->user->conf->name : SL_STR_NULL);
	sl_buf_lstr(b, p->trunk ? p->trunk->conf->name : SL_STR_NULL);
	put_text(b, p->account ? p->account->contact : NULL);
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

/* Whose speech a stream has: of a, of b, or what a hears of this node */
enum { SOURCE_A, SOURCE_B, SOURCE_HEARD };

static uint8_t source_word(const struct call *c, const struct siprec_source *s)
{
	if (!s->party)
		return NOBODY;
	if (s->heard)
		return SOURCE_HEARD;
	return s->party == c->b ? SOURCE_B : SOURCE_A;
}

static struct siprec_source source_of(const struct call *c, uint8_t word)
{
	if (word == NOBODY)
		return (struct siprec_source){0};
	return (struct siprec_source){.party = word == SOURCE_B ? c->b : c->a,
				      .heard = word == SOURCE_HEARD};
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

static void on_keep(struct alarm *alarm)
{
	struct call *c = alarm->arg;
	struct stack *s = c->stack;

	if (c->over || !c->answered || (!is_kept(c->a) && !is_kept(c->b)))
		return;
	if (c->kept_key == 0)
		c->kept_key = new_key(s);
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, c->kept_key);
	put_call(&s->out, c);
	if (sl_buf_ok(&s->out) == 0 && s->out.len < MAX_KEPT)
		(void)s->io->tell(s->io->arg, c->worker, WIRE_KEEP, &s->out);
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

static void say_words(struct stack *s, struct sl_reader *r)
{
	struct sip_flow flow;

	wire_get_flow(r, &flow);
	if (!r->failed)
		(void)stack_send(s, &flow,
				 (struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)});
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

/* ---- read again */

struct kept_from {
	struct stack *s;
	struct sl_reader r;
	uint32_t owner; /* that has died, or has given it */
	bool given;
};

static bool take_text(struct kept_from *k, char **field)
{
	struct sl_str text = sl_read_lstr(&k->r);

	return !k->r.failed && keep_text(field, text);
}

static int read_dialog(struct kept_from *k, struct party *p)
{
	uint8_t allows;
	bool ok;

	(void)sl_str_copy(p->tag, sizeof p->tag, sl_read_lstr(&k->r));
	wire_get_flow(&k->r, &p->flow);
	ok = take_text(k, &p->call_id) && take_text(k, &p->remote_tag) && take_text(k, &p->local) &&
	     take_text(k, &p->remote) && take_text(k, &p->target) && take_text(k, &p->routes);
	p->cseq = sl_read_u32(&k->r) + CSEQ_STEP;
	p->remote_cseq = sl_read_u32(&k->r);
	allows = sl_read_u8(&k->r);
	p->allows_update = allows & 1;
	p->allows_message = allows & 2;
	p->session_s = sl_read_u32(&k->r);
	p->session_min_s = sl_read_u32(&k->r);
	p->we_refresh = sl_read_u8(&k->r);
	return ok && !k->r.failed ? 0 : -SL_EPARSE;
}

/* Told something, so that one who has left meanwhile is found out. */
static int read_client(struct kept_from *k, struct party *p)
{
	struct wire_signal m = {0};

	(void)sl_str_copy(p->tag, sizeof p->tag, sl_read_lstr(&k->r));
	p->peer = m.peer = sl_read_u64(&k->r);
	m.worker = sl_read_u32(&k->r);
	m.name = sl_read_lstr(&k->r);
	if (k->r.failed)
		return -SL_EPARSE;
	if (!browser_find(k->s, m.peer) && !browser_find_or_make(k->s, &m))
		return -SL_ENOMEM;
	if (k->given)
		browser_call_is_here(k->s, p->peer, sl_str_c(p->tag));
	else
		browser_say(p, browser_message("restored", p->tag));
	return 0;
}

/* The leg goes on under a number of ours. */
static int adopt_leg(struct kept_from *k, struct party *p, uint32_t leg)
{
	int rc = party_leg_adopt(p, k->owner, leg);

	if (rc < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "the media of %s could not be taken over",
		       p->name);
	return rc;
}

static int read_party(struct kept_from *k, struct call *c, struct party **ret_party)
{
	uint8_t kind = sl_read_u8(&k->r);
	struct party *p = kind <= PARTY_RECORDER ? party_new(c, (enum party_kind)kind) : NULL;
	uint32_t leg;
	int rc;

	if (!p)
		return -SL_ENOMEM;
	p->state = PARTY_UP;
	p->has_media = true;
	p->caller = sl_read_u8(&k->r);
	p->held = sl_read_u8(&k->r);
	p->profile = (enum sip_profile)(sl_read_u8(&k->r) & 3);
	leg = sl_read_u32(&k->r);
	p->worker = sl_read_u32(&k->r);
	(void)sl_str_copy(p->name, sizeof p->name, sl_read_lstr(&k->r));
	(void)sl_str_copy(p->display, sizeof p->display, sl_read_lstr(&k->r));
	p->user = stack_user(k->s, sl_read_lstr(&k->r));
	p->trunk = trunk_by_name(k->s, sl_read_lstr(&k->r));
	p->account = account_ref(account_find(k->s, sl_read_lstr(&k->r)));
	p->begun_ms = sl_read_u64(&k->r);
	p->ringing_ms = sl_read_u64(&k->r);
	p->answered_ms = sl_read_u64(&k->r);
	if (kind == PARTY_BROWSER)
		rc = read_client(k, p);
	else
		rc = read_dialog(k, p);
	if (rc == 0 && kind != PARTY_BROWSER)
		rc = party_enter_table(p);
	if (rc < 0)
		return rc;
	party_charge(p);
	if (kind != PARTY_BROWSER)
		session_start(p);
	*ret_party = p;
	return adopt_leg(k, p, leg);
}

static void read_builtin(struct kept_from *k, struct call *c)
{
	uint8_t kind = sl_read_u8(&k->r);
	struct dial_target *t = &c->plan.targets[0];

	(void)sl_str_copy(t->name, sizeof t->name, sl_read_lstr(&k->r));
	c->builtin = kind != NOBODY;
	if (!c->builtin)
		return;
	t->kind = (enum dial_kind)kind;
	c->announcing =
		t->kind == DIAL_ANNOUNCEMENT; /* the end follows: what came next is not kept */
	c->plan.n_targets = c->next_target = 1;
}

static int read_recorder(struct kept_from *k, struct call *c)
{
	struct party *first = NULL, *second;
	struct siprec_taken t = {0};
	struct sl_str view;
	uint32_t leg;
	int rc;

	if (!sl_read_u8(&k->r))
		return 0;
	rc = read_party(k, c, &first);
	leg = sl_read_u32(&k->r);
	t.boundary = sl_read_lstr(&k->r);
	view = sl_read_bytes(&k->r, sizeof t.view);
	for (unsigned i = 0; i < SIPREC_STREAMS; i++)
		t.source[i] = source_of(c, sl_read_u8(&k->r));
	if (rc < 0 || k->r.failed || view.len != sizeof t.view || !first->trunk)
		return -SL_EPARSE;
	memcpy(&t.view, view.p, view.len);
	second = party_new(c, PARTY_RECORDER);
	if (!second)
		return -SL_ENOMEM;
	second->trunk = first->trunk;
	t.leg[0] = first;
	t.leg[1] = second;
	rc = adopt_leg(k, second, leg);
	return rc == 0 ? siprec_restore(c, &t) : rc;
}

static int read_span(struct kept_from *k, struct call *c)
{
	struct span s = {.end = {c->a, c->b}, .up = true};
	int rc = 0;

	for (unsigned i = 0; i < SPAN_LEGS; i++) {
		uint32_t leg = sl_read_u32(&k->r);

		if (leg == 0 || !s.end[i])
			continue;
		s.leg[i] = span_new_leg(c, s.end[i]);
		rc = s.leg[i] ? adopt_leg(k, s.leg[i], leg) : -SL_ENOMEM;
		if (rc < 0)
			return rc;
	}
	if (s.leg[0] && s.leg[1])
		c->span = s;
	return 0;
}

static int read_call(struct kept_from *k, struct call *c)
{
	struct sl_str id = sl_read_bytes(&k->r, sizeof c->id);
	bool has_a, has_b;
	int rc = 0;

	if (id.len == sizeof c->id)
		memcpy(c->id, id.p, id.len);
	(void)sl_str_copy(c->called, sizeof c->called, sl_read_lstr(&k->r));
	read_builtin(k, c);
	c->worker = sl_read_u32(&k->r);
	c->begun_unix_ms = sl_read_u64(&k->r);
	c->begun_ms = sl_read_u64(&k->r);
	c->ringing_ms = sl_read_u64(&k->r);
	c->answered_ms = sl_read_u64(&k->r);
	c->answered = c->joined = true;
	has_a = sl_read_u8(&k->r);
	has_b = sl_read_u8(&k->r);
	if (k->r.failed)
		return -SL_EPARSE;
	if (has_a)
		rc = read_party(k, c, &c->a);
	if (rc == 0 && has_b)
		rc = read_party(k, c, &c->b);
	if (rc == 0 && (!c->a || (!c->b && !c->builtin)))
		return -SL_ENOENT; /* the other side could not be taken over */
	if (rc == 0)
		rc = read_span(k, c);
	if (rc == 0 && read_recorder(k, c) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a recorder could not be taken over");
	return rc;
}

/* For what is left of its time */
static void go_on(struct call *c)
{
	uint64_t max = c->stack->conf->max_duration, gone = stack_now(c->stack) - c->answered_ms;

	if (max)
		call_arm(c, &c->longest, gone < max ? max - gone : 0);
	call_keep(c);
}

static void take_call(struct kept_from *k)
{
	struct call *c = call_restored(k->s);

	if (!c)
		return;
	if (read_call(k, c) < 0)
		call_end(c, "node", 503);
	else
		go_on(c);
	call_users_changed(c); /* another worker may have told of those who watch them before */
	call_show(c);
}

void stack_given(struct stack *s, struct sl_str data)
{
	struct kept_from k = {.s = s, .r = sl_reader(data.p, data.len), .given = true};

	k.owner = sl_read_u32(&k.r);
	if (sl_read_u8(&k.r) == KEPT_CALL)
		take_call(&k);
}

void stack_kept(struct stack *s, struct sl_str data)
{
	struct kept_from k = {.s = s, .r = sl_reader(data.p, data.len)};
	uint64_t then;

	k.owner = sl_read_u32(&k.r);
	switch (sl_read_u8(&k.r)) {
	case KEPT_CALL:
		take_call(&k);
		break;
	case KEPT_BINDING:
		then = sl_read_u64(&k.r);
		binding_take(s, &k.r, stack_now(s) - then);
		break;
	case KEPT_WATCH:
		then = sl_read_u64(&k.r);
		watch_take(s, &k.r, stack_now(s) - then);
		break;
	case KEPT_PUBLICATION:
		then = sl_read_u64(&k.r);
		publication_take(s, &k.r, stack_now(s) - then);
		break;
	case KEPT_INVITE:
		(void)sl_read_u64(&k.r);
		ring_take(s, &k.r);
		break;
	case KEPT_MAILBOX:
		then = sl_read_u64(&k.r);
		mailbox_take(s, &k.r, stack_now(s) - then);
		break;
	case KEPT_WORDS:
		say_words(s, &k.r);
		break;
	default:
		break; /* an older version's */
	}
}
