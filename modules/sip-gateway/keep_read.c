/*
 * sip-gateway/keep_read.c: what a process before this one has kept, read again: its calls go on
 * here, with their dialogs and their media, and what else was kept goes to whose it is.
 *
 * What was said in the last moment may be missing, so CSeq goes on with a step. A call of which a
 * side cannot be taken over, because it was still being set up, ends with a cause.
 */
#include "account.h"
#include "call_impl.h"
#include "keep_impl.h"

#include <stdlib.h>

enum { CSEQ_STEP = 16 };

struct kept_from {
	struct stack *s;
	struct sl_reader r;
	uint32_t owner; /* that has died, or has given it */
	uint32_t dead;	/* worker that has died, too; 0: all are there */
	bool given;
};

static bool take_text(struct kept_from *k, char **field)
{
	struct sl_str text = sl_read_lstr(&k->r);

	return !k->r.failed && keep_text(field, text);
}

static int read_dialog(struct kept_from *k, struct party *p)
{
	struct sip_flow flow;
	uint8_t allows;
	bool ok;

	(void)sl_str_copy(p->tag, sizeof p->tag, sl_read_lstr(&k->r));
	wire_get_flow(&k->r, &flow);
	party_reach(p, &flow);
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
	bool lost = k->dead && party_worker(p) == k->dead;
	int rc = lost ? party_leg_lost(p) : party_leg_adopt(p, k->owner, leg);

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
	p->moving = sl_read_u8(&k->r) && kind != PARTY_RECORDER;
	p->profile = (enum sip_profile)(sl_read_u8(&k->r) & 3);
	leg = sl_read_u32(&k->r);
	p->worker = sl_read_u32(&k->r);
	(void)sl_str_copy(p->name, sizeof p->name, sl_read_lstr(&k->r));
	(void)sl_str_copy(p->display, sizeof p->display, sl_read_lstr(&k->r));
	p->user = stack_user(k->s, sl_read_lstr(&k->r));
	p->trunk = trunk_by_name(k->s, sl_read_lstr(&k->r));
	p->account = account_ref(account_find(k->s, sl_read_lstr(&k->r)));
	if (!take_text(k, &p->described))
		return -SL_ENOMEM;
	p->origin.id = sl_read_u64(&k->r);
	p->origin.version = sl_read_u64(&k->r);
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

static struct siprec_source source_of(const struct call *c, uint8_t word)
{
	if (word == NOBODY)
		return (struct siprec_source){0};
	return (struct siprec_source){.party = word == SOURCE_B ? c->b : c->a,
				      .heard = word == SOURCE_HEARD};
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

static void say_words(struct stack *s, struct sl_reader *r)
{
	struct sip_flow flow;

	wire_get_flow(r, &flow);
	if (!r->failed)
		(void)stack_send(s, &flow,
				 (struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)});
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
	if (k->dead && !c->over)
		call_lost(c, k->dead);
	else if (!c->over)
		rescue_go_on(c);
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

static bool is_here(const struct stack *s, struct sl_reader r)
{
	struct sl_str id = sl_read_bytes(&r, sizeof s->first_call->id);

	for (const struct call *c = s->first_call; c && !r.failed; c = c->next)
		if (memcmp(c->id, id.p, id.len) == 0)
			return true;
	return false;
}

/* The worker may have died a moment after it has given the call away. */
void stack_kept_spare(struct stack *s, struct sl_str data)
{
	struct kept_from k = {.s = s, .r = sl_reader(data.p, data.len)};

	k.owner = sl_read_u32(&k.r);
	k.dead = sl_read_u32(&k.r);
	if (sl_read_u8(&k.r) == KEPT_CALL && !is_here(s, k.r))
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
