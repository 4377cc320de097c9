/*
 * sip-gateway/transfer.c: REFER, blind (RFC 3515) and attended (Replaces, RFC 3891).
 *
 * The one who is transferred stays where it is: its media is joined with somebody else. Who
 * referred is told how that goes by NOTIFY, until it hangs up. An attended transfer joins the two
 * other parties of the referrer's calls. A user's second call is placed where its first one is, so
 * that their media is on one worker as a rule; where it is not, span.c connects them.
 */
#include "account.h"
#include "call.h"

#include <stdio.h>
#include <stdlib.h>

#include "leg.h"

/* ---- telling the referrer */

static void notify(struct party *by, unsigned status, bool last)
{
	struct sl_buf lines, body;

	if (by->state != PARTY_UP)
		return;
	if (by->kind == PARTY_BROWSER) {
		browser_transferred(by, status);
		return;
	}
	sl_buf_init(&lines, 1024);
	sl_buf_init(&body, 256);
	sl_buf_printf(&lines, "Event: refer\r\nSubscription-State: %s\r\n",
		      last ? "terminated;reason=noresource" : "active;expires=60");
	party_put_contact(by, &lines);
	sl_buf_printf(&body, "SIP/2.0 %u %s\r\n", status, sip_status_text(status));
	party_request(by, "NOTIFY", sl_buf_view(&lines), "message/sipfrag;version=2.0",
		      sl_buf_view(&body), NULL);
	sl_buf_free(&lines);
	sl_buf_free(&body);
}

static void finish(struct call *c, unsigned status)
{
	struct party *by = c->transfer.by;

	if (c->transfer.subscribed)
		notify(by, status, true);
	c->transfer = (struct transfer){0};
}

void transfer_progress(struct call *c, unsigned status)
{
	struct party *by = c->transfer.by, *other = c->transfer.other;

	if (status < 200) {
		if (c->transfer.subscribed)
			notify(by, status, false);
		return;
	}
	finish(c, status);
	if (status < 300) {
		if (by->state == PARTY_UP) {
			party_end(by, 200);
			party_leg_close(by, "transferred");
		}
		return;
	}
	if (by->state != PARTY_UP) { /* nobody is left to talk to */
		call_end(c, "node", status);
		return;
	}
	c->a = by;
	c->b = other;
	call_join(c);
}

/* ---- attended: the other party of another call of the referrer's */

/* %3D and the like, in place */
static void unescape(char *s)
{
	char *to = s;

	for (const char *from = s; *from; from++) {
		uint8_t byte;
		size_t n;

		if (from[0] == '%' && from[1] && from[2] &&
		    sl_hex_decode(&byte, 1, (struct sl_str){from + 1, 2}, &n) == 0) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
}

/* "call-id;to-tag=x;from-tag=y": the dialog as its peer sees it, so that to-tag is ours. */
struct party *transfer_find(const struct stack *s, struct sl_str value)
{
	struct sl_str to, from, rest = value, id = sl_str_trim(sl_str_split(&rest, ';'));
	struct party *p;

	if (!sip_param(value, "to-tag", &to) || !sip_param(value, "from-tag", &from))
		return NULL;
	p = party_by_tag(s, to);
	if (!p) { /* some write it as they see it themselves */
		p = party_by_tag(s, from);
		from = to;
	}
	if (!p || !p->call_id || !sl_str_eq(sl_str_c(p->call_id), id))
		return NULL;
	return p->remote_tag && sl_str_eq(sl_str_c(p->remote_tag), from) ? p : NULL;
}

char *transfer_replaces_in(struct sl_str refer_to)
{
	struct sl_str uri = sip_uri_of(refer_to), item;
	const char *q = uri.len ? memchr(uri.p, '?', uri.len) : NULL;
	char *out = NULL;

	if (!q)
		return NULL;
	uri = (struct sl_str){q + 1, uri.len - (size_t)(q - uri.p) - 1};
	while (uri.len > 0 && !out) {
		struct sl_str name = (item = sl_str_split(&uri, '&'), sl_str_split(&item, '='));

		if (sl_str_eq_nocase(name, SL_STR("Replaces")))
			out = sl_str_dup(item);
	}
	if (out)
		unescape(out);
	return out;
}

static void unlink_party(struct party *p)
{
	struct party **at = &p->call->parties;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->next = NULL;
}

/* q's peer comes over into p's call; q's call is over for it. */
static unsigned attend(struct party *p, struct party *q)
{
	struct call *c = p->call, *from = q->call;
	struct party *other = call_other(c, p), *come = call_other(from, q);

	if (!other || !come || from == c || come->state != PARTY_UP || from->over)
		return 481;
	come->worker = party_worker(come);
	unlink_party(come);
	come->call = c;
	come->next = c->parties;
	c->parties = come;
	from->a = q;
	from->b = NULL;
	call_end(from, "caller", 200);
	c->a = other;
	c->b = come;
	call_join(c);
	return 200;
}

/* ---- REFER */

/* Who transfers may send the other one where it could call itself, and nowhere else. */
static enum dial_source source_of(const struct party *p)
{
	if (p->trunk)
		return DIAL_FROM_TRUNK;
	if (p->user)
		return DIAL_FROM_USER;
	return p->kind == PARTY_BROWSER ? DIAL_FROM_BROWSER : DIAL_FROM_STRANGER;
}

static bool plan(const struct party *p, struct sl_str user, struct dial_result *r)
{
	const struct dial_call dial = {
		.called = user,
		.caller = sl_str_c(p->name),
		.source = source_of(p),
		.trunk = p->trunk ? p->trunk->conf->name : SL_STR_NULL,
	};

	if (user.len == 0)
		return false;
	if (dialplan_route(p->call->stack->conf, &dial, r) == 0)
		return true;
	if (!p->account)
		return false;
	account_target(p->account, user, &r->targets[0]);
	r->n_targets = 1;
	return true;
}

static bool is_builtin(enum dial_kind kind)
{
	return kind == DIAL_ROOM || kind == DIAL_ANNOUNCEMENT || kind == DIAL_ECHO ||
	       kind == DIAL_MUSIC;
}

/* A room, or whatever else is this node's, takes who is transferred at once. */
static void take_in(struct call *c, const struct dial_result *r, unsigned i)
{
	c->plan = *r;
	c->next_target = i + 1;
	c->builtin = true;
	c->announcing = r->targets[i].kind == DIAL_ANNOUNCEMENT;
	c->joined = false;
	c->a = c->transfer.other;
	c->b = NULL;
	call_join(c);
	transfer_progress(c, 200);
}

/* uri: what named the user; may be empty */
static unsigned call_target(struct party *p, struct sl_str user, struct sl_str uri,
			    const char *headers)
{
	struct call *c = p->call;
	struct dial_result r;

	if (!plan(p, user, &r))
		return 404;
	gruu_aim(&r, uri);
	for (unsigned i = 0; i < r.n_targets; i++) {
		if (is_builtin(r.targets[i].kind)) {
			take_in(c, &r, i);
			return 0;
		}
		if (call_add_target(c, &r.targets[i], headers) == 0)
			return 0;
	}
	return 480;
}

static void put_referred_by(struct sl_buf *b, const struct party *p)
{
	sl_buf_printf(b, "Referred-By: <sip:%s@%.*s>\r\n", p->name,
		      SL_FMT(p->call->stack->conf->realm));
}

void transfer_to(struct party *p, struct sl_str number, struct sl_str uri)
{
	struct call *c = p->call;
	struct party *other = call_other(c, p);
	struct sl_buf headers;
	unsigned status;

	c->transfer = (struct transfer){.by = p, .other = other, .subscribed = true};
	notify(p, 100, false);
	sl_buf_init(&headers, 1024);
	put_referred_by(&headers, p);
	sl_buf_u8(&headers, 0);
	status = call_target(p, number, uri,
			     sl_buf_ok(&headers) == 0 ? (const char *)headers.p : NULL);
	sl_buf_free(&headers);
	if (status) {
		transfer_progress(c, status);
		return;
	}
	if (!c->transfer.by)
		return; /* taken in already */
	party_leg_tell(other, WIRE_LEG_PLAY, LEG_TONE_RINGBACK, SL_STR_NULL);
	party_leg_tell(p, WIRE_LEG_UNBRIDGE, 0, SL_STR_NULL);
	if (alarm_set(&c->stack->alarms, &c->ring, c->stack->conf->ring_timeout) < 0)
		transfer_progress(c, 500);
}

void transfer_join(struct party *p, struct party *q)
{
	struct call *c = p->call;
	unsigned status = q ? attend(p, q) : 481;

	notify(p, status, true);
	if (status != 200)
		return;
	party_end(p, 200);
	party_leg_close(p, "transferred");
	call_settle(c);
}

void transfer_refer(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct sl_str refer_to = message_header(m, "Refer-To");
	struct sl_buf headers;
	char *replaces;

	if (refer_to.len == 0 || p->state != PARTY_UP || !call_other(p->call, p)) {
		strans_answer(t, 400);
		return;
	}
	if (p->call->transfer.by) {
		strans_answer(t, 491);
		return;
	}
	sl_buf_init(&headers, 1024);
	party_put_contact(p, &headers);
	strans_reply(t, &(struct strans_reply){.status = 202, .headers = sl_buf_view(&headers)});
	sl_buf_free(&headers);
	replaces = transfer_replaces_in(refer_to);
	if (replaces)
		transfer_join(p, transfer_find(p->call->stack, sl_str_c(replaces)));
	else
		transfer_to(p, sip_user_of(sip_uri_of(refer_to)), sip_uri_of(refer_to));
	free(replaces);
}

/* ---- an INVITE that replaces a dialog: whoever it was with talks to the new one */

bool transfer_replaces(struct stack *s, const struct sip_msg *m, struct strans *t,
		       const struct auth_who *who)
{
	struct sl_str value = message_header(m, "Replaces");
	struct party *q;

	if (value.len == 0)
		return false;
	q = transfer_find(s, value);
	if (who->kind == AUTH_STRANGER)
		strans_answer(t, 403);
	else if (!q || q->call->over || q->state == PARTY_ENDED)
		strans_answer(t, 481);
	else
		invite_replace(q, m, t, who);
	return true;
}
