/*
 * sip-gateway/presence.c: what there is to tell of a user: whether it can be reached, what it says
 * of itself, its calls, and its mailbox.
 *
 * Registered is open; what the user has published counts more, the newest first. Who talks and has
 * not said what it does is on the phone.
 */
#include "event.h"

#include <stdlib.h>

/* ---- calls */

static enum event_dialog_state state_of(const struct party *p)
{
	if (p->state == PARTY_UP)
		return DIALOG_CONFIRMED;
	return p->state == PARTY_RINGING ? DIALOG_EARLY : DIALOG_TRYING;
}

/* What a telephone needs that picks the call up by Replaces: our side of a dialog that rings */
static void name_dialog(const struct party *p, struct event_dialog *d)
{
	if (p->kind != PARTY_SIP || p->caller || p->state != PARTY_RINGING || !p->remote_tag)
		return;
	event_copy(d->call_id, sizeof d->call_id, sl_str_c(p->call_id));
	event_copy(d->local_tag, sizeof d->local_tag, sl_str_c(p->tag));
	event_copy(d->remote_tag, sizeof d->remote_tag, sl_str_c(p->remote_tag));
}

static void add_dialog(struct event_dialogs *d, const struct party *p)
{
	const struct party *other = call_other(p->call, p);
	struct event_dialog *x;

	if (d->n == EVENT_MAX_DIALOGS)
		return;
	x = &d->all[d->n++];
	*x = (struct event_dialog){.state = state_of(p), .initiator = p->caller};
	event_copy(x->id, sizeof x->id, sl_str_c(p->tag));
	name_dialog(p, x);
	if (!other && !p->caller)
		other = p->call->a;
	event_copy(x->number, sizeof x->number, sl_str_c(other ? other->name : p->call->called));
	if (other)
		event_copy(x->display, sizeof x->display, sl_str_c(other->display));
}

void user_dialogs(const struct stack *s, const struct user *u, struct event_dialogs *ret_dialogs)
{
	*ret_dialogs = (struct event_dialogs){.full = true};
	for (const struct call *c = s->first_call; c && u->n_calls > 0; c = c->next)
		for (const struct party *p = c->parties; p && !c->over; p = p->next)
			if (p->user == u && p->state != PARTY_ENDED && p->state != PARTY_NEW)
				add_dialog(ret_dialogs, p);
}

/* ---- presence */

static bool is_registered(const struct user *u)
{
	return u->bindings || u->browsers;
}

static bool talks(const struct stack *s, const struct user *u)
{
	struct event_dialogs d;

	user_dialogs(s, u, &d);
	for (unsigned i = 0; i < d.n; i++)
		if (d.all[i].state == DIALOG_CONFIRMED || d.all[i].initiator)
			return true;
	return false;
}

void user_presence(const struct stack *s, const struct user *u, struct event_presence *ret_presence)
{
	struct event_presence p = {0};

	for (const struct publication *x = u->said; x; x = x->next) {
		p.said |= x->said.said;
		p.open |= x->said.open;
		if (!p.activity[0])
			event_copy(p.activity, sizeof p.activity, sl_str_c(x->said.activity));
		if (!p.note[0])
			event_copy(p.note, sizeof p.note, sl_str_c(x->said.note));
	}
	if (!p.said)
		p.open = is_registered(u);
	p.said = true;
	if (!p.activity[0] && talks(s, u))
		event_copy(p.activity, sizeof p.activity, SL_STR("on-the-phone"));
	*ret_presence = p;
}

void user_changed(struct user *u, unsigned what)
{
	static const unsigned bits[EVENT_N] = {
		[EVENT_PRESENCE] = CHANGED_PRESENCE,
		[EVENT_DIALOG] = CHANGED_DIALOGS,
		[EVENT_SUMMARY] = CHANGED_MAILBOX,
	};

	for (struct watch *w = u ? u->watches : NULL; w; w = w->next)
		if (bits[w->package] & what && !w->reason)
			watch_tell(w);
}

/* ---- mailboxes */

static void tell_devices(const struct stack *s, const struct user *u)
{
	for (const struct browser *b = u->browsers; b; b = b->next_of_user)
		event_say_summary((struct stack *)s, b->peer, u->conf->name.p, &u->mailbox->said);
}

static void put_mailbox(const struct user *u, struct sl_buf *b)
{
	const struct event_summary *m = &u->mailbox->said;

	sl_buf_lstr(b, u->conf->name);
	sl_buf_u8(b, m->waiting);
	sl_buf_u32(b, m->fresh);
	sl_buf_u32(b, m->old);
	sl_buf_u32(b, m->urgent_fresh);
	sl_buf_u32(b, m->urgent_old);
	sl_buf_lstr(b, sl_str_c(m->account));
}

static unsigned take_summary(struct stack *s, struct user *u, uint32_t worker,
			     const struct event_summary *m)
{
	if (!u->mailbox)
		u->mailbox = calloc(1, sizeof *u->mailbox);
	if (!u->mailbox)
		return 500;
	u->mailbox->said = *m;
	stack_keep_begin(s, &u->mailbox->kept, worker, KEPT_MAILBOX);
	put_mailbox(u, &s->out);
	stack_keep_end(s, &u->mailbox->kept);
	user_changed(u, CHANGED_MAILBOX);
	tell_devices(s, u);
	return 200;
}

void mailbox_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms)
{
	struct user *u = stack_user(s, sl_read_lstr(r));
	struct event_summary m = {.waiting = sl_read_u8(r)};

	(void)ago_ms; /* it has no end */
	m.fresh = sl_read_u32(r);
	m.old = sl_read_u32(r);
	m.urgent_fresh = sl_read_u32(r);
	m.urgent_old = sl_read_u32(r);
	event_copy(m.account, sizeof m.account, sl_read_lstr(r));
	if (u && !u->mailbox && !r->failed)
		(void)take_summary(s, u, 0, &m); /* out of memory: told anew by the trunk */
}

void mailbox_free(struct stack *s, struct user *u)
{
	if (!u->mailbox)
		return;
	stack_forget(s, &u->mailbox->kept);
	free(u->mailbox);
	u->mailbox = NULL;
}

/* From now on they are the other's. */
void mailboxes_export(struct stack *s, uint32_t to)
{
	for (size_t i = 0; i < s->conf->users.n; i++) {
		struct user *u = &s->all_users[i];

		if (!u->mailbox)
			continue;
		sl_buf_reset(&s->out);
		put_mailbox(u, &s->out);
		if (sl_buf_ok(&s->out) == 0)
			(void)s->io->tell(s->io->arg, to, WIRE_MAILBOX,
					  &s->out); /* lost: told anew by the trunk */
		mailbox_free(s, u);
	}
}

static unsigned summary_for(struct stack *s, const struct sip_msg *m)
{
	struct sl_str called = called_of(m), id;
	const struct trunk *trunk = trunk_by_source(s, &m->flow.remote);
	const struct account *a = account_find(s, called);
	struct user *u = stack_user(s, called);
	enum event_package package;
	struct event_summary summary;

	if (!trunk)
		return 481; /* telephones have no mailboxes to tell of */
	if (event_of(m, &package, &id) < 0 || package != EVENT_SUMMARY)
		return 489;
	if (!u && !a)
		return 481;
	if (event_summary_parse(m->body, &summary) < 0)
		return 400;
	if (!a)
		return take_summary(s, u, m->flow.worker, &summary);
	if (a->trunk != trunk || !a->peer)
		return 481;
	event_say_summary(s, a->peer, a->user, &summary);
	return 200;
}

/* Asterisk tells of waiting messages without being asked, at the contact that has registered. */
void mailbox_notified(struct stack *s, const struct sip_msg *m)
{
	unsigned status = summary_for(s, m);

	strans_refuse(s, m, status, status == 489 ? SL_STR(EVENT_ALLOWED) : SL_STR_NULL);
}
