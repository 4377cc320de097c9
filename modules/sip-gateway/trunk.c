/*
 * sip-gateway/trunk.c: PBXs and carriers: whether they live (OPTIONS), and our registrations there.
 *
 * One that does not answer is passed over by routes and asked less and less often. A registration
 * is renewed at half its life, tried again after a failure with growing pauses, and taken back when
 * the stack ends for good.
 */
#include "stack.h"

#include <sluice/rate.h>

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PAUSES = 8, RETRY_MS = 5000, MAX_RETRY_MS = 120 * 1000, SECOND = 1000 };

static void arm(struct trunk *t, struct alarm *a, uint64_t ms)
{
	if (alarm_set(&t->stack->alarms, a, ms) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "trunk %.*s: out of memory for a timer",
		       SL_FMT(t->conf->name));
}

/* Who has not been asked yet may live: a new stack turns nobody away for its own newness. */
bool trunk_is_usable(const struct trunk *t)
{
	return t->hops.n > 0 && t->n_silent == 0 && t->n_failed == 0;
}

static bool is_known_to_live(const struct trunk *t)
{
	return trunk_is_usable(t) && (t->up || t->conf->options_interval == 0) &&
	       (t->registered || !t->conf->registers);
}

struct trunk *trunk_by_name(const struct stack *s, struct sl_str name)
{
	for (size_t i = 0; i < s->conf->trunks.n; i++)
		if (sl_str_eq(s->trunks[i].conf->name, name))
			return &s->trunks[i];
	return NULL;
}

struct trunk *trunk_by_peer(const struct stack *s, uint32_t peer)
{
	for (size_t i = 0; peer && i < s->conf->trunks.n; i++)
		if (wire_peer(s->trunks[i].conf->name) == peer)
			return &s->trunks[i];
	return NULL;
}

struct trunk *trunk_by_source(const struct stack *s, const struct sl_addr *remote)
{
	for (size_t i = 0; i < s->conf->trunks.n; i++) {
		struct trunk *t = &s->trunks[i];

		if (hops_has(t, remote) || trunk_conf_has(t->conf, remote))
			return t;
	}
	return NULL;
}

void trunk_put_uri(const struct trunk *t, struct sl_buf *b, struct sl_str user)
{
	struct sl_str host = t->conf->domain.len ? t->conf->domain : t->conf->server;

	sl_buf_printf(b, "sip:%.*s%s%.*s", SL_FMT(user), user.len ? "@" : "", SL_FMT(host));
	if (t->conf->transport == TRUNK_TCP || t->conf->transport == TRUNK_TLS)
		sl_buf_printf(b, ";transport=%s", t->conf->transport == TRUNK_TCP ? "tcp" : "tls");
}

/* ---- credentials */

static struct sl_str find_challenge(const struct sip_msg *m, struct digest *ret_digest)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v, best = SL_STR_NULL;
	enum sip_algorithm a, best_a = SIP_MD5;

	while (sip_header_next(&rest, &n, &v)) {
		struct digest d;

		if (!sl_str_eq_nocase(n, SL_STR("WWW-Authenticate")) &&
		    !sl_str_eq_nocase(n, SL_STR("Proxy-Authenticate")))
			continue;
		if (digest_parse(&d, v) < 0 || digest_algorithm(&d, &a) < 0)
			continue;
		if (best.len > 0 && a <= best_a)
			continue;
		best = v;
		best_a = a;
		*ret_digest = d;
	}
	return best;
}

int trunk_answer_challenge(struct sl_buf *b, const struct sip_msg *resp,
			   const struct digest_answer *answer)
{
	struct digest d;

	if (answer->password.len == 0 || find_challenge(resp, &d).len == 0)
		return -SL_EUNSUPP;
	sl_buf_str(b, resp->peek.status == 407 ? SL_STR("Proxy-Authorization: ")
					       : SL_STR("Authorization: "));
	if (digest_answer(b, &d, answer) < 0)
		return -SL_EUNSUPP;
	sl_buf_str(b, SL_STR("\r\n"));
	return sl_buf_ok(b);
}

int trunk_put_credentials(struct trunk *t, struct sl_buf *b, const struct sip_msg *resp,
			  const char *method, struct sl_str uri)
{
	const struct digest_answer a = {
		.username = t->conf->auth_user.len ? t->conf->auth_user : t->conf->user,
		.password = t->conf->password,
		.method = sl_str_c(method),
		.uri = uri,
		.n = 1,
	};

	return trunk_answer_challenge(b, resp, &a);
}

/* ---- requests of our own */

/* One request, to a server. */
struct question {
	const char *method;
	struct sip_flow flow;
	uint64_t expires_s;
	const struct sip_msg *challenge; /* to be answered; NULL: none */
};

static void put_request(struct trunk *t, struct sl_buf *b, const struct question *q,
			struct sl_str uri, const char *name)
{
	struct sl_str user = t->conf->user.len ? t->conf->user : SL_STR("sluice");

	request_begin(t->stack, b, q->method, uri, &q->flow, name);
	sl_buf_str(b, SL_STR("From: <"));
	trunk_put_uri(t, b, user);
	sl_buf_printf(b, ">;tag=%s\r\nTo: <", t->tag);
	trunk_put_uri(t, b, t->conf->registers ? user : SL_STR_NULL);
	sl_buf_printf(b, ">\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", t->call_id, ++t->cseq, q->method);
	sl_buf_printf(b, "Contact: <sip:%.*s@", SL_FMT(user));
	stack_put_here(t->stack, b, &q->flow);
	sl_buf_printf(b, "%s>\r\n", sip_transport_param(q->flow.transport));
}

static struct ctrans *ask(struct trunk *t, const struct question *q)
{
	bool registers = sl_str_eq(sl_str_c(q->method), SL_STR("REGISTER"));
	char name[SIP_NAME_LEN + 1];
	struct ctrans *c = NULL;
	struct sl_buf b, uri;
	int rc = sip_name_new(name, t->stack->owner);

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	sl_buf_init(&uri, 1024);
	trunk_put_uri(t, &uri, SL_STR_NULL);
	put_request(t, &b, q, sl_buf_view(&uri), name);
	if (registers)
		sl_buf_printf(&b, "Expires: %llu\r\n", (unsigned long long)q->expires_s);
	if (rc == 0 && q->challenge)
		rc = trunk_put_credentials(t, &b, q->challenge, q->method, sl_buf_view(&uri));
	message_end(&b, NULL, SL_STR_NULL);
	if (rc == 0)
		rc = ctrans_new(t->stack, &q->flow, name, &b, &c);
	if (rc == 0 && (t->hops.n > 1 || !registers)) /* to know early costs nothing */
		ctrans_hurry(c, t->conf->failover);
	sl_buf_free(&uri);
	sl_buf_free(&b);
	return rc == 0 ? c : NULL;
}

static void count_up(struct stack *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->conf->trunks.n; i++)
		n += is_known_to_live(&s->trunks[i]);
	sl_gauge_set(&s->m[M_TRUNKS_UP], n);
}

static void set_up(struct trunk *t, bool up)
{
	if (t->up != up || (!up && t->n_silent == 0))
		sl_log(up ? SL_LOG_NOTICE : SL_LOG_WARN, "sip-gateway", "trunk %.*s %s",
		       SL_FMT(t->conf->name), up ? "answers" : "does not answer");
	t->up = up;
	t->n_silent = up ? 0 : t->n_silent + 1;
	count_up(t->stack);
}

/* ---- is it there? */

/* Any answer is one; a PBX that says 404 to us is alive. What says 503 wants no calls: its next
 * server is asked, and when none is left the trunk is down. */
static void on_options(void *arg, struct ctrans *c, const struct sip_msg *resp, unsigned status)
{
	struct trunk *t = arg;
	uint64_t pause = t->conf->options_interval;
	const struct sip_hop *asked = &t->hops.hop[t->probed];

	(void)c;
	if (resp && status < 200)
		return;
	t->probing = NULL;
	if (!resp || status == 503) {
		hops_shun(t, &asked->addr);
		if (hops_is_hopeful(t)) {
			arm(t, &t->probe, 0);
			return;
		}
		set_up(t, false);
	} else {
		t->shunned_until_ms[t->probed] = 0;
		if (t->probed != t->hop)
			hops_use(t, t->probed);
		set_up(t, true);
	}
	for (unsigned i = 1; i < t->n_silent && i < MAX_PAUSES && !t->up; i *= 2)
		pause *= 2;
	arm(t, &t->probe, pause);
	if (!t->up)
		hops_find(t);
}

static void on_probe(struct alarm *a)
{
	struct trunk *t = a->arg;
	struct question q = {.method = "OPTIONS"};

	if (t->probing)
		return;
	t->probed = hops_best(t);
	q.flow = hops_flow(t, t->probed);
	t->probing = ask(t, &q);
	if (t->probing)
		ctrans_on(t->probing, on_options, t);
	else
		arm(t, &t->probe, t->conf->options_interval);
}

/* ---- registration */

static void on_register(void *arg, struct ctrans *c, const struct sip_msg *resp, unsigned status);

static void registration_failed(struct trunk *t, unsigned status)
{
	if (t->registered || t->failure != status)
		sl_log(SL_LOG_WARN, "sip-gateway", "trunk %.*s: registration failed with %u",
		       SL_FMT(t->conf->name), status);
	t->failure = status;
	t->registered = false;
	count_up(t->stack);
	arm(t, &t->renew, sl_backoff_ms(t->n_failed++, RETRY_MS, MAX_RETRY_MS));
}

/* What the registrar grants may be less than was asked for. */
static uint64_t granted_ms(const struct trunk *t, const struct sip_msg *resp)
{
	uint64_t ms = t->conf->expires, s;
	struct sl_str v = message_header(resp, "Contact"), item, e;

	if (resp->sip->sip_expires)
		ms = (uint64_t)resp->sip->sip_expires->ex_delta * SECOND;
	while (sip_list_next(&v, &item))
		if (sip_param(item, "expires", &e) && sl_str_u64(e, &s) == 0 && s * SECOND < ms)
			ms = s * SECOND;
	return ms < 2 * SECOND ? 2 * SECOND : ms;
}

static void register_at(struct trunk *t, const struct sip_msg *challenge)
{
	const struct question q = {.method = "REGISTER",
				   .flow = t->flow,
				   .expires_s = t->conf->expires / SECOND,
				   .challenge = challenge};

	t->answered = challenge != NULL;
	t->registering = ask(t, &q);
	if (t->registering)
		ctrans_on(t->registering, on_register, t);
	else
		registration_failed(t, challenge ? challenge->peek.status : 503);
}

/* A server that does not answer is no reason to give up while there is another. */
static bool try_next(struct trunk *t, const struct sip_flow *failed)
{
	hops_shun(t, &failed->remote);
	if (++t->n_tries >= t->hops.n || sl_addr_eq(&t->flow.remote, &failed->remote))
		return false;
	register_at(t, NULL);
	return true;
}

static void on_register(void *arg, struct ctrans *c, const struct sip_msg *resp, unsigned status)
{
	struct trunk *t = arg;
	const struct sip_flow flow = c->flow;

	if (resp && status < 200)
		return;
	t->registering = NULL;
	if (resp && (status == 401 || status == 407) && !t->answered) {
		register_at(t, resp);
		return;
	}
	if ((!resp || status == 503) && try_next(t, &flow))
		return;
	if (!resp || status >= 300) {
		registration_failed(t, status);
		return;
	}
	if (!t->registered)
		sl_log(SL_LOG_NOTICE, "sip-gateway", "trunk %.*s: registered as %.*s",
		       SL_FMT(t->conf->name), SL_FMT(t->conf->user));
	t->registered = true;
	t->n_failed = t->failure = 0;
	count_up(t->stack);
	arm(t, &t->renew, granted_ms(t, resp) / 2);
}

static void on_renew(struct alarm *a)
{
	struct trunk *t = a->arg;

	if (t->registering)
		return;
	t->n_tries = 0;
	register_at(t, NULL);
}

/* ---- life */

void trunk_found(struct trunk *t)
{
	if (t->started) { /* asked again, as DNS wants it */
		count_up(t->stack);
		return;
	}
	t->started = true;
	if (t->conf->options_interval > 0)
		arm(t, &t->probe, 0);
	if (t->conf->registers)
		arm(t, &t->renew, 0);
	count_up(t->stack);
}

void trunks_export(struct stack *s, uint32_t to)
{
	for (size_t i = 0; i < s->conf->trunks.n; i++) {
		const struct trunk *t = &s->trunks[i];

		if (!t->up && !t->registered)
			continue;
		sl_buf_reset(&s->out);
		sl_buf_lstr(&s->out, t->conf->name);
		sl_buf_lstr(&s->out, t->conf->server);
		sl_buf_u8(&s->out, t->up);
		sl_buf_u8(&s->out, t->registered);
		(void)s->io->tell(s->io->arg, to, WIRE_TRUNK, &s->out); /* lost: it asks itself */
	}
}

/* Until it has asked itself, under its own configuration. */
void trunks_import(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct trunk *t = trunk_by_name(s, sl_read_lstr(&r));
	struct sl_str server = sl_read_lstr(&r);
	bool up = sl_read_u8(&r), registered = sl_read_u8(&r);

	if (r.failed || !t || !sl_str_eq(t->conf->server, server) || t->n_silent || t->n_failed)
		return;
	t->up |= up;
	t->registered |= registered && t->conf->registers;
	count_up(s);
}

static void on_find(struct alarm *a)
{
	hops_find(a->arg);
}

static int open_one(struct stack *s, struct trunk *t, const struct trunk_conf *conf)
{
	int rc = sip_name_new(t->call_id, s->owner);

	if (rc == 0)
		rc = sip_name_new(t->tag, s->owner);
	t->stack = s;
	t->conf = conf;
	t->probe = (struct alarm){.fn = on_probe, .arg = t};
	t->renew = (struct alarm){.fn = on_renew, .arg = t};
	t->find = (struct alarm){.fn = on_find, .arg = t};
	return rc;
}

int trunks_open(struct stack *s)
{
	size_t n = s->conf->trunks.n;

	s->trunks = calloc(n + 1, sizeof *s->trunks);
	if (!s->trunks)
		return -SL_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int rc = open_one(s, &s->trunks[i],
				  SL_LIST_AT(s->conf->trunks, struct trunk_conf, i));

		if (rc < 0)
			return rc;
	}
	return 0;
}

void trunks_start(struct stack *s)
{
	for (size_t i = 0; i < s->conf->trunks.n; i++)
		hops_find(&s->trunks[i]);
}

void trunks_close(struct stack *s)
{
	for (size_t i = 0; s->trunks && i < s->conf->trunks.n; i++) {
		struct trunk *t = &s->trunks[i];

		alarm_cancel(&s->alarms, &t->probe);
		alarm_cancel(&s->alarms, &t->renew);
		alarm_cancel(&s->alarms, &t->find);
	}
	free(s->trunks);
	s->trunks = NULL;
}
