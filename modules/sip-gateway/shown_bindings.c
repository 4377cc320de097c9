/*
 * sip-gateway/shown_bindings.c: registrations for the operator: contacts of users here, and what we
 * and our clients have registered at PBXs.
 *
 * They are asked for and are not in the node's table of sessions: 50 000 of them would fill it, and
 * a registration has no media. Who asks gets a page at a time, and with it the place where the next
 * begins, so that signalling waits for a few hundred lines at most, and memory is that of a page
 * however many there are. What comes and goes between two pages may be missed, or told of twice
 * where clients without SIP are concerned, whose table has no order.
 */
#include "account.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SECOND = 1000,
	PAGE_LINES = 500, /* and a user's contacts are never divided */
	PAGE_USERS = 50000, /* looked at for one page: most may have nothing */
};

/* One line of the answer. */
struct shown {
	struct sl_str user, pbx, contact, agent; /* pbx empty: registered here */
	const struct sip_flow *flow;		 /* where from, or to; NULL: not known */
	uint64_t left_s;			 /* 0: not known */
};

struct answer {
	struct sl_buf *out;
	struct sl_str user; /* empty: all */
	bool json;
	unsigned n;
};

/* Where a page begins: users in the order of the configuration, then accounts, then trunks. As
 * text: "owner.part.at"; the owner word tells a process from the one that follows. */
enum part { USERS, ACCOUNTS, TRUNKS, N_PARTS };
struct place {
	uint64_t part, at;
};

static void transport_name(char dst[8], const struct sip_flow *f)
{
	const char *name = f ? sip_transport_name(f->transport) : "-";
	size_t i = 0;

	for (; name[i] && i < 7; i++)
		dst[i] = (char)tolower((unsigned char)name[i]);
	dst[i] = 0;
}

static void put_json(const struct answer *a, const struct shown *x)
{
	char remote[SL_ADDR_STRLEN], transport[8];

	transport_name(transport, x->flow);
	sl_buf_str(a->out, a->n ? SL_STR(",{\"user\":") : SL_STR("{\"user\":"));
	sl_buf_json(a->out, x->user);
	if (x->pbx.len > 0) {
		sl_buf_str(a->out, SL_STR(",\"pbx\":"));
		sl_buf_json(a->out, x->pbx);
	}
	if (x->flow)
		sl_buf_printf(a->out, ",\"transport\":\"%s\",\"remote\":\"%s\"", transport,
			      sl_addr_format(remote, &x->flow->remote));
	if (x->left_s > 0)
		sl_buf_printf(a->out, ",\"expires_s\":%" PRIu64, x->left_s);
	sl_buf_str(a->out, SL_STR(",\"contact\":"));
	sl_buf_json(a->out, x->contact);
	sl_buf_str(a->out, SL_STR(",\"agent\":"));
	sl_buf_json(a->out, x->agent);
	sl_buf_str(a->out, SL_STR("}"));
}

/* What a phone says of itself is not the terminal's to obey. */
static void put_plain(struct sl_buf *b, struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		sl_buf_u8(b, (uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : (uint8_t)s.p[i]);
}

static void put_line(const struct answer *a, const struct shown *x)
{
	char remote[SL_ADDR_STRLEN] = "-", transport[8], left[24] = "-";

	transport_name(transport, x->flow);
	if (x->flow)
		(void)sl_addr_format(remote, &x->flow->remote);
	if (x->left_s > 0)
		(void)snprintf(left, sizeof left, "%" PRIu64, x->left_s);
	sl_buf_printf(a->out, "%-16.*s %-12.*s %-4s %-24s %7s  ", SL_FMT(x->user),
		      SL_FMT(x->pbx.len ? x->pbx : SL_STR("-")), transport, remote, left);
	put_plain(a->out, x->contact);
	if (x->agent.len > 0)
		sl_buf_str(a->out, SL_STR("  "));
	put_plain(a->out, x->agent);
	sl_buf_str(a->out, SL_STR("\n"));
}

static void put(struct answer *a, const struct shown *x)
{
	if (a->user.len > 0 && !sl_str_eq(a->user, x->user))
		return;
	if (a->json)
		put_json(a, x);
	else
		put_line(a, x);
	a->n++;
}

static void put_user(struct stack *s, struct answer *a, const struct user *u)
{
	uint64_t now = stack_now(s);

	for (const struct binding *b = u->bindings; b; b = b->next)
		put(a, &(struct shown){.user = u->conf->name,
				       .contact = b->contact,
				       .agent = b->agent,
				       .flow = &b->flow,
				       .left_s = b->expires_ms <= now
							 ? 1
							 : (b->expires_ms - now + SECOND - 1) /
								   SECOND});
}

static bool is_full(const struct answer *a)
{
	return a->n >= PAGE_LINES;
}

/* Each of these goes on at *at and says where it has stopped; true: at its end */
static bool put_users(struct stack *s, struct answer *a, uint64_t *at)
{
	uint64_t end = *at + PAGE_USERS;

	for (; *at < s->conf->users.n; ++*at) {
		if (is_full(a) || *at == end)
			return false;
		put_user(s, a, &s->all_users[*at]);
	}
	return true;
}

/* Clients without SIP, as subscribers of a PBX */
static bool put_accounts(struct stack *s, struct answer *a, uint64_t *at)
{
	struct sl_hnode *n = sl_htab_first(&s->accounts);

	for (uint64_t i = 0; n && i < *at; i++)
		n = sl_htab_next(&s->accounts, n);
	for (; n; n = sl_htab_next(&s->accounts, n), ++*at) {
		const struct account *x = SL_CONTAINER(n, struct account, node);

		if (is_full(a))
			return false;
		if (x->registered)
			put(a, &(struct shown){.user = sl_str_c(x->user),
					       .pbx = x->trunk->conf->name,
					       .contact = sl_str_c(x->contact),
					       .flow = &x->trunk->flow});
	}
	return true;
}

static bool put_trunks(struct stack *s, struct answer *a, uint64_t *at)
{
	for (; *at < s->conf->trunks.n; ++*at) {
		const struct trunk *t = &s->trunks[*at];

		if (is_full(a))
			return false;
		if (t->registered)
			put(a, &(struct shown){.user = t->conf->user,
					       .pbx = t->conf->name,
					       .flow = t->hops.n ? &t->flow : NULL});
	}
	return true;
}

/* What stands at the place, and behind it, as far as a page goes */
static void put_page(struct stack *s, struct answer *a, struct place *p)
{
	static bool (*const parts[N_PARTS])(struct stack *s, struct answer *a, uint64_t *at) = {
		[USERS] = put_users, [ACCOUNTS] = put_accounts, [TRUNKS] = put_trunks};

	if (a->user.len > 0 && p->part == USERS) {
		const struct user *u = stack_user(s, a->user);

		if (u)
			put_user(s, a, u);
		p->part++;
	}
	for (; p->part < N_PARTS; p->part++, p->at = 0)
		if (!parts[p->part](s, a, &p->at))
			return;
}

/* "-": the beginning. -SL_ENOENT: it is another process' */
static int read_place(const struct stack *s, struct sl_str text, struct place *ret_place)
{
	struct sl_str owner = sl_str_split(&text, '.'), part = sl_str_split(&text, '.');
	uint64_t whose;

	*ret_place = (struct place){0};
	if (sl_str_eq(owner, SL_STR("-")))
		return 0;
	if (sl_str_u64(owner, &whose) < 0 || sl_str_u64(part, &ret_place->part) < 0 ||
	    sl_str_u64(text, &ret_place->at) < 0 || whose != s->owner)
		return -SL_ENOENT;
	return 0;
}

/* words: text or json, the place, and perhaps a user. The first line tells the place of what
 * follows, or "-" where nothing does. */
static int page(struct stack *s, struct sl_str words, struct sl_buf *out)
{
	struct sl_str how = sl_str_split(&words, ' '), from = sl_str_split(&words, ' ');
	struct sl_buf lines;
	struct answer a = {.out = &lines, .user = sl_str_trim(words)};
	struct place p;

	if (read_place(s, from, &p) < 0) {
		sl_buf_str(out, SL_STR("a reload has come between two pages; ask again\n"));
		return -SL_ENOENT;
	}
	a.json = sl_str_eq(how, SL_STR("json"));
	sl_buf_init(&lines, 0);
	put_page(s, &a, &p);
	if (p.part < N_PARTS)
		sl_buf_printf(out, "%u.%" PRIu64 ".%" PRIu64 "\n", s->owner, p.part, p.at);
	else
		sl_buf_str(out, SL_STR("-\n"));
	sl_buf_str(out, sl_buf_view(&lines));
	if (sl_buf_ok(&lines) < 0)
		out->failed = true;
	sl_buf_free(&lines);
	return 0;
}

/* Its phone is not told, and comes back with its next REGISTER. */
static int end(struct stack *s, struct sl_str name, struct sl_str contact, struct sl_buf *out)
{
	struct user *u = stack_user(s, name);
	struct binding *b = u ? u->bindings : NULL, *next;
	unsigned n = 0;

	for (; b; b = next) {
		next = b->next;
		if (contact.len > 0 && !sl_str_eq(contact, b->contact))
			continue;
		binding_free(b);
		n++;
	}
	if (n > 0) {
		sl_log(SL_LOG_NOTICE, "sip-gateway",
		       "the operator has ended %u registrations of %.*s", n, SL_FMT(u->conf->name));
		sl_buf_printf(out, "%u ended\n", n);
		return 0;
	}
	sl_buf_printf(out, u ? "%.*s has no such registration\n" : "there is no user %.*s\n",
		      SL_FMT(name));
	return -SL_ENOENT;
}

int registrations_asked(struct stack *s, struct sl_str words, struct sl_buf *answer)
{
	struct sl_str verb = sl_str_split(&words, ' '), name;

	if (sl_str_eq(verb, SL_STR("page")))
		return page(s, words, answer);
	name = sl_str_split(&words, ' ');
	if (sl_str_eq(verb, SL_STR("end")) && name.len > 0)
		return end(s, name, sl_str_trim(words), answer);
	sl_buf_str(answer, SL_STR("page and end are known\n"));
	return -SL_ENOENT;
}
