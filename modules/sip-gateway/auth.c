/*
 * sip-gateway/auth.c: who asks: credentials of users (RFC 8760), without telling which users there
 * are.
 *
 * An unknown user and a wrong password get the same answer after the same work. Over WebSocket one
 * algorithm is offered, since JsSIP and SIP.js abort on a challenge beside the one they know.
 */
#include "stack.h"

static uint64_t unix_s(const struct stack *s)
{
	return s->io->unix_ms(s->io->arg) / 1000;
}

static void put_challenge(struct strans *t, struct sl_buf *b, bool stale)
{
	struct stack *s = t->stack;
	const struct sl_list *list = &s->conf->algorithms;
	bool one = t->flow.transport == SIP_WS || t->flow.transport == SIP_WSS;
	char nonce[NONCE_LEN + 1];

	nonce_new(&s->nonces, nonce, &t->flow.remote, unix_s(s));
	for (size_t i = 0; i < (one ? 1 : list->n); i++) {
		int32_t a = *SL_LIST_AT(*list, int32_t, i);

		sl_buf_str(b, SL_STR("WWW-Authenticate: "));
		digest_challenge(b, s->conf->realm, nonce, (enum sip_algorithm)a, stale);
		sl_buf_str(b, SL_STR("\r\n"));
	}
}

static void challenge(struct strans *t, bool stale)
{
	struct sl_buf headers;

	sl_buf_init(&headers, 4096);
	put_challenge(t, &headers, stale);
	sl_count(&t->stack->m[M_CHALLENGES]);
	strans_reply(t, &(struct strans_reply){.status = 401, .headers = sl_buf_view(&headers)});
	sl_buf_free(&headers);
}

static void suspect(struct strans *t, const struct sip_msg *m)
{
	struct stack *s = t->stack;

	sl_buf_reset(&s->out);
	wire_put_flow(&s->out, &m->flow);
	(void)s->io->tell(s->io->arg, m->flow.worker, WIRE_SUSPECT, &s->out);
	strans_answer(t, 403);
}

static bool is_offered(const struct stack *s, const struct digest *d)
{
	const struct sl_list *list = &s->conf->algorithms;
	enum sip_algorithm a;

	if (digest_algorithm(d, &a) < 0)
		return false;
	for (size_t i = 0; i < list->n; i++)
		if (*SL_LIST_AT(*list, int32_t, i) == (int32_t)a)
			return true;
	return false;
}

/* Of several headers, the one for our realm. */
static bool find_credentials(const struct sip_msg *m, struct sl_str realm, struct digest *d)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v;

	while (sip_header_next(&rest, &n, &v)) {
		if (!sl_str_eq_nocase(n, SL_STR("Authorization")) &&
		    !sl_str_eq_nocase(n, SL_STR("Proxy-Authorization")))
			continue;
		if (digest_parse(d, v) == 0 && sl_str_eq(d->realm, realm))
			return true;
	}
	return false;
}

/* ---- is it this request that was signed? */

/* One character of the user part of a URI, %41 as A; -1: there is no more. */
static int next_char(struct sl_str *s)
{
	uint8_t c;
	size_t n;

	if (s->len == 0)
		return -1;
	if (s->p[0] == '%' && s->len > 2 &&
	    sl_hex_decode(&c, 1, (struct sl_str){s->p + 1, 2}, &n) == 0) {
		s->p += 3, s->len -= 3;
		return c;
	}
	s->len--;
	return (unsigned char)*s->p++;
}

static bool is_same_user(struct sl_str a, struct sl_str b)
{
	int x, y;

	do {
		x = next_char(&a);
		y = next_char(&b);
	} while (x == y && x >= 0);
	return x == y;
}

/* What is signed has to be what is asked for (RFC 7616 section 3.4.6), or a password for one number
 * would pay for calls to another. Who is meant decides that here, and not where the request was
 * sent: proxies on the way write other hosts into it, and parameters. sipp and some telephones sign
 * the server for everybody there, by the host that they ask, too. */
static bool signs(const struct digest *d, const struct sip_msg *m)
{
	struct sl_str signed_user = sip_user_of(d->uri), asked_user = sip_user_of(m->peek.uri);

	if (d->uri.len == 0)
		return false;
	if (is_same_user(signed_user, asked_user))
		return true;
	return signed_user.len == 0 &&
	       sl_str_eq_nocase(sip_hostport_of(d->uri), sip_hostport_of(m->peek.uri));
}

/* ---- the verdict */

/* Credentials that hold, once: who has overheard them has them in vain. A client that lost count is
 * asked again, as for a nonce that is too old. */
static bool is_used_up(struct strans *t, const struct digest *d)
{
	int rc = nonce_use(&t->stack->nonces, d->nonce, d->qop.len > 0 ? d->nc : SL_STR_NULL);

	if (rc == 0)
		return false;
	if (rc == -SL_EEXIST) {
		sl_count(&t->stack->m[M_REPLAYS]);
		challenge(t, true);
	} else {
		strans_answer(t, 400);
	}
	return true;
}

static bool is_fresh(struct strans *t, const struct sip_msg *m, const struct digest *d)
{
	struct stack *s = t->stack;
	int rc = nonce_check(&s->nonces, d->nonce, &m->flow.remote, unix_s(s),
			     s->conf->nonce_lifetime / 1000);

	if (rc < 0)
		challenge(t, rc == -SL_ETIMEOUT);
	return rc == 0;
}

static struct user *user_of(const struct stack *s, const struct digest *d)
{
	struct sl_str name = d->username;

	if (name.len && memchr(name.p, '@', name.len)) /* some write their whole address */
		name = sl_str_split(&name, '@');
	return stack_user(s, name);
}

enum auth_verdict auth_request(struct strans *t, const struct sip_msg *m, struct auth_who *ret_who)
{
	struct stack *s = t->stack;
	struct digest d;
	struct user *u;

	if (!find_credentials(m, s->conf->realm, &d) || !is_offered(s, &d)) {
		challenge(t, false);
		return AUTH_ANSWERED;
	}
	if (!is_fresh(t, m, &d))
		return AUTH_ANSWERED;
	if (!signs(&d, m)) {
		strans_answer(t, 400);
		return AUTH_ANSWERED;
	}
	u = user_of(s, &d);
	if (!digest_matches(&d, u ? u->conf->password : SL_STR("there is no such user"),
			    m->peek.method) ||
	    !u) {
		suspect(t, m);
		return AUTH_ANSWERED;
	}
	if (is_used_up(t, &d))
		return AUTH_ANSWERED;
	*ret_who = (struct auth_who){.kind = AUTH_USER, .user = u};
	return AUTH_OK;
}
