/*
 * sip-gateway/shown_bindings.c: registrations for the operator: contacts of users here, and what we
 * and our clients have registered at PBXs.
 *
 * They are asked for and are not in the node's table of sessions: 50 000 of them would fill it, and
 * a registration has no media.
 */
#include "account.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECOND = 1000 };

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

/* Clients without SIP, as subscribers of a PBX */
static void put_accounts(struct stack *s, struct answer *a)
{
	for (struct sl_hnode *n = sl_htab_first(&s->accounts); n;
	     n = sl_htab_next(&s->accounts, n)) {
		const struct account *x = SL_CONTAINER(n, struct account, node);

		if (x->registered)
			put(a, &(struct shown){.user = sl_str_c(x->user),
					       .pbx = x->trunk->conf->name,
					       .contact = sl_str_c(x->contact),
					       .flow = &x->trunk->flow});
	}
}

static void put_trunks(struct stack *s, struct answer *a)
{
	for (size_t i = 0; i < s->conf->trunks.n; i++) {
		const struct trunk *t = &s->trunks[i];

		if (t->registered)
			put(a, &(struct shown){.user = t->conf->user,
					       .pbx = t->conf->name,
					       .flow = t->hops.n ? &t->flow : NULL});
	}
}

static void list(struct stack *s, struct answer *a)
{
	if (a->json)
		sl_buf_str(a->out, SL_STR("{\"registrations\":["));
	else
		sl_buf_str(a->out, SL_STR("user             pbx          over remote               "
					  "    expires  contact, agent\n"));
	for (size_t i = 0; i < s->conf->users.n; i++)
		put_user(s, a, &s->all_users[i]);
	put_accounts(s, a);
	put_trunks(s, a);
	if (a->json)
		sl_buf_str(a->out, SL_STR("]}\n"));
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
	struct sl_str verb = sl_str_split(&words, ' '), first = sl_str_split(&words, ' ');
	struct answer a = {.out = answer, .user = sl_str_trim(words)};

	if (sl_str_eq(verb, SL_STR("end")) && first.len > 0)
		return end(s, first, sl_str_trim(words), answer);
	if (!sl_str_eq(verb, SL_STR("list"))) {
		sl_buf_str(answer, SL_STR("list and end are known\n"));
		return -SL_ENOENT;
	}
	a.json = sl_str_eq(first, SL_STR("json"));
	list(s, &a);
	return 0;
}
