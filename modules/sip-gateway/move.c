/*
 * sip-gateway/move.c: after a reload, a call that goes over to the process that follows.
 *
 * Calls stay where they have begun, as a rule. But one that was placed before the reload and one
 * that was placed after it may be wanted as one: by REFER or INVITE with Replaces (RFC 3891), or by
 * a client without SIP. Both then are the newest process', which has the registrations and will
 * live: it asks for what it lacks, and who is asked, or has the request itself, gives its own away
 * (keep.c writes it as for a process that dies). What is said in such a dialog afterwards still
 * comes to the one that named it, and is passed on while that lives.
 *
 * A call is given only while nothing is under way in it. What waits for one is done all the same
 * when it does not come: whoever asked hears 481.
 */
#include "call.h"
#include "siprec.h"

#include <stdlib.h>

enum {
	MAX_WANTED = 256,
	WANTED_MS = 1000, /* a process that is alive answers in a few */
};

/* How a call is named: by Replaces, or by its client and what that calls it */
enum { BY_DIALOG = 1, BY_CLIENT };

/* Said here, and done when the call has come. */
struct wanted {
	struct wanted *next;
	struct stack *stack;
	struct alarm patience;
	uint64_t number;
	enum wire_type type; /* of what was said: WIRE_RECEIVED or WIRE_SIGNAL */
	size_t len;
	char data[];
};

/* ---- giving */

static bool is_inviting(const struct party *p)
{
	return p->inviting && p->inviting->state <= CTRANS_PROCEEDING;
}

static bool asks_its_leg(const struct party *p)
{
	for (unsigned i = 0; i < LEG_ASKS; i++)
		if (p->asks[i].seq)
			return true;
	return false;
}

/* Nothing is being said to it: the answer would come to us. */
static bool recorder_is_still(const struct siprec *r)
{
	if (!r->up || r->asks || r->answering || r->unwritten)
		return false;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++)
		if (r->leg[i] && (asks_its_leg(r->leg[i]) || is_inviting(r->leg[i])))
			return false;
	return true;
}

static bool party_is_still(const struct party *p)
{
	if (asks_its_leg(p))
		return false;
	if (p->state == PARTY_ENDED)
		return true;
	return p->state == PARTY_UP && p->leg && !p->moving && !p->asking && !p->answers &&
	       !p->unacked && !p->updating && !p->offers && !p->waiting && !p->texting &&
	       !is_inviting(p);
}

static bool is_still(const struct call *c)
{
	if (c->over || !c->answered || c->transfer.by || !c->a || (!c->b && !c->builtin))
		return false;
	if ((c->siprec && !recorder_is_still(c->siprec)) || c->span.asks ||
	    (c->span.leg[0] && !c->span.up))
		return false;
	for (const struct party *p = c->parties; p; p = p->next)
		if (p->kind != PARTY_SPAN && p->kind != PARTY_RECORDER && !party_is_still(p))
			return false;
	return true;
}

/* false: it stays */
static bool give(struct call *c, uint32_t to)
{
	if (!is_still(c) || call_give(c, to) < 0)
		return false;
	sl_log(SL_LOG_INFO, "sip-gateway", "a call of %s goes to the process that follows",
	       c->a->name);
	call_leave(c);
	return true;
}

static struct party *party_of_client(const struct stack *s, uint64_t peer, struct sl_str call)
{
	for (const struct call *c = s->first_call; c; c = c->next)
		for (struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == peer &&
			    p->state != PARTY_ENDED && sl_str_eq(sl_str_c(p->tag), call))
				return p;
	return NULL;
}

void move_asked(struct stack *s, uint32_t from, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	uint64_t number = sl_read_u64(&r);
	uint8_t how = sl_read_u8(&r);
	uint64_t peer = sl_read_u64(&r);
	struct sl_str name = sl_read_lstr(&r);
	const struct party *p;
	bool given;

	if (r.failed)
		return;
	p = how == BY_DIALOG ? transfer_find(s, name) : party_of_client(s, peer, name);
	given = p && give(p->call, from);
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, number);
	sl_buf_u8(&s->out, given);
	(void)s->io->tell(s->io->arg, from, WIRE_CALL_ASKED,
			  &s->out); /* it waits for so long only */
}

/* ---- asking */

static struct wanted *take_out(struct stack *s, uint64_t number)
{
	for (struct wanted **at = &s->wanted; *at; at = &(*at)->next) {
		struct wanted *w = *at;

		if (w->number != number)
			continue;
		*at = w->next;
		s->n_wanted--;
		alarm_cancel(&s->alarms, &w->patience);
		return w;
	}
	return NULL;
}

/* Asks again only when the call has come, for another one. */
static void do_it(struct stack *s, struct wanted *w, bool came)
{
	s->wants_no_more = !came;
	stack_input(s, 0, w->type, (struct sl_str){w->data, w->len});
	s->wants_no_more = false;
	free(w);
}

void move_answered(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct wanted *w = take_out(s, sl_read_u64(&r));

	if (w)
		do_it(s, w, sl_read_u8(&r));
}

static void on_impatient(struct alarm *a)
{
	struct wanted *w = a->arg;

	do_it(w->stack, take_out(w->stack, w->number), false);
}

static struct wanted *keep_said(struct stack *s, enum wire_type type, struct sl_str data)
{
	struct wanted *w = s->n_wanted < MAX_WANTED ? malloc(sizeof *w + data.len) : NULL;

	if (!w)
		return NULL;
	*w = (struct wanted){.stack = s, .number = ++s->last_wanted, .type = type, .len = data.len};
	memcpy(w->data, data.p, data.len);
	w->patience = (struct alarm){.fn = on_impatient, .arg = w};
	if (alarm_set(&s->alarms, &w->patience, WANTED_MS) < 0) {
		free(w);
		return NULL;
	}
	w->next = s->wanted;
	s->wanted = w;
	s->n_wanted++;
	return w;
}

struct call_name {
	uint8_t how;
	uint64_t peer;
	struct sl_str name;
};

/* false: it cannot be asked for, so that what was said is done without. */
static bool ask(struct stack *s, uint32_t owner, const struct call_name *what,
		const struct wanted *w)
{
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, w->number);
	sl_buf_u8(&s->out, what->how);
	sl_buf_u64(&s->out, what->peer);
	sl_buf_lstr(&s->out, what->name);
	return sl_buf_ok(&s->out) == 0 &&
	       s->io->tell(s->io->arg, owner, WIRE_ASK_CALL, &s->out) == 0;
}

static bool want(struct stack *s, uint32_t owner, const struct call_name *what, enum wire_type type,
		 struct sl_str said)
{
	struct wanted *w = s->wants_no_more ? NULL : keep_said(s, type, said);

	if (!w)
		return false;
	if (ask(s, owner, what, w))
		return true;
	free(take_out(s, w->number));
	return false;
}

bool move_for_signal(struct stack *s, uint32_t owner, uint64_t peer, struct sl_str call,
		     struct sl_str signal)
{
	return want(s, owner, &(struct call_name){BY_CLIENT, peer, call}, WIRE_SIGNAL, signal);
}

/* ---- requests */

static void write_received(const struct stack *s, struct sl_buf *b, const struct sip_msg *m)
{
	sl_buf_u64(b, stack_now(s));
	wire_put_flow(b, &m->flow);
	sl_buf_str(b, m->raw);
}

bool move_pass_on(struct stack *s, const struct sip_msg *m)
{
	uint32_t to = s->draining ? s->io->newest(s->io->arg) : 0;

	if (!to)
		return false;
	sl_buf_reset(&s->out);
	write_received(s, &s->out, m);
	return sl_buf_ok(&s->out) == 0 && s->io->tell(s->io->arg, to, WIRE_RECEIVED, &s->out) == 0;
}

/* Which process named our side of the dialog; others may call that side either (transfer_find) */
static uint32_t owner_of(struct sl_str replaces)
{
	struct sl_str tag;
	uint32_t owner = 0;

	if (sip_param(replaces, "to-tag", &tag))
		owner = sip_name_owner(tag);
	if (!owner && sip_param(replaces, "from-tag", &tag))
		owner = sip_name_owner(tag);
	return owner;
}

static bool want_dialog(struct stack *s, const struct sip_msg *m, struct sl_str replaces)
{
	uint32_t owner = owner_of(replaces);
	struct sl_buf said;
	bool waits;

	if (!owner || owner == s->owner)
		return false;
	sl_buf_init(&said, 2 * SIP_MAX_MESSAGE);
	write_received(s, &said, m);
	waits = sl_buf_ok(&said) == 0 &&
		want(s, owner, &(struct call_name){.how = BY_DIALOG, .name = replaces},
		     WIRE_RECEIVED, sl_buf_view(&said));
	sl_buf_free(&said);
	return waits;
}

/* One process that leaves has one of them at most: the newest is to have both. */
static bool go_with(struct stack *s, const struct sip_msg *m)
{
	const struct party *p = party_by_tag(s, m->peek.to_tag);
	uint32_t to = s->io->newest(s->io->arg);

	if (m->peek.to_tag.len > 0 && (!p || !to || !give(p->call, to)))
		return false;
	return move_pass_on(s, m);
}

bool move_for_request(struct stack *s, const struct sip_msg *m)
{
	bool refer = message_is(m, "REFER") && m->peek.to_tag.len > 0;
	struct sl_str value;
	char *replaces;
	bool done = false;

	if (!refer && (!message_is(m, "INVITE") || m->peek.to_tag.len > 0))
		return false;
	value = message_header(m, refer ? "Refer-To" : "Replaces");
	replaces = refer ? transfer_replaces_in(value) : value.len > 0 ? sl_str_dup(value) : NULL;
	if (replaces && !transfer_find(s, sl_str_c(replaces)))
		done = s->draining ? go_with(s, m) : want_dialog(s, m, sl_str_c(replaces));
	free(replaces);
	return done;
}

void move_free(struct stack *s)
{
	while (s->wanted)
		free(take_out(s, s->wanted->number));
}
