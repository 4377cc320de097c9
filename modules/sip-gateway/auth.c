/*
 * sip-gateway/auth.c: who asks: credentials of users (RFC 8760), without telling which users there
 * are.
 *
 * An unknown user and a wrong password get the same answer after the same work. Over WebSocket one
 * algorithm is offered, since JsSIP and SIP.js abort on a challenge beside the one they know.
 */
#include "stack.h"

static void put_challenge(struct strans *t, struct sl_buf *b, bool stale)
{
	const struct stack *s = t->stack;
	const struct sl_list *list = &s->conf->algorithms;
	bool one = t->flow.transport == SIP_WS || t->flow.transport == SIP_WSS;
	char nonce[DIGEST_NONCE];

	digest_nonce(nonce, &s->nonce_key, &t->flow.remote, s->io->unix_ms(s->io->arg) / 1000);
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

enum auth_verdict auth_request(struct strans *t, const struct sip_msg *m, struct auth_who *ret_who)
{
	struct stack *s = t->stack;
	struct sl_str name;
	struct digest d;
	struct user *u;
	int rc;

	if (!find_credentials(m, s->conf->realm, &d) || !is_offered(s, &d)) {
		challenge(t, false);
		return AUTH_ANSWERED;
	}
	rc = digest_nonce_check(&s->nonce_key, &m->flow.remote, d.nonce,
				s->io->unix_ms(s->io->arg) / 1000, s->conf->nonce_lifetime / 1000);
	if (rc < 0) {
		challenge(t, rc == -SL_ETIMEOUT);
		return AUTH_ANSWERED;
	}
	name = d.username; /* some write their whole address */
	if (name.len && memchr(name.p, '@', name.len))
		name = sl_str_split(&name, '@');
	u = stack_user(s, name);
	if (!digest_matches(&d, u ? u->conf->password : SL_STR("there is no such user"),
			    m->peek.method) ||
	    !u) {
		suspect(t, m);
		return AUTH_ANSWERED;
	}
	*ret_who = (struct auth_who){.kind = AUTH_USER, .user = u};
	return AUTH_OK;
}
