/*
 * sip-gateway/browsers.c: clients that signal in JSON over signaling-ws, beside phones that speak
 * SIP: who they are, and to whom what they say goes.
 *
 * A client may call as it is, which reaches what everybody may. With `register` and the password of
 * a user, or a token that names one, it is that user's device, and is called with its other ones;
 * with `pbx` it is a subscriber of that trunk (account.c).
 *
 * What is said of a call that a process of before has is passed on to there.
 */
#include "event.h"
#include "text.h"

#include <sluice/crypto.h>

#include <stdlib.h>

enum { MAX_DEPTH = 4 };

/* ---- who is there */

static bool has_peer(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct browser, node)->peer == *(const uint64_t *)key;
}

static uint64_t peer_hash(uint64_t peer)
{
	return peer * UINT64_C(0x9e3779b97f4a7c15);
}

struct browser *browser_find(const struct stack *s, uint64_t peer)
{
	struct sl_hnode *n = sl_htab_find(&s->browsers, peer_hash(peer), has_peer, &peer);

	return n ? SL_CONTAINER(n, struct browser, node) : NULL;
}

struct browser *browser_find_or_make(struct stack *s, const struct wire_signal *m)
{
	struct browser *b = browser_find(s, m->peer);

	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b || sl_htab_insert(&s->browsers, &b->node, peer_hash(m->peer)) < 0) {
			free(b);
			return NULL;
		}
		b->peer = m->peer;
	}
	b->worker = m->worker;
	b->remote = m->remote;
	(void)sl_str_copy(b->name, sizeof b->name, m->name);
	return b;
}

void browser_belongs(struct browser *b, struct user *u)
{
	if (b->user)
		*b->of_user = b->next_of_user;
	if (b->user && b->next_of_user)
		b->next_of_user->of_user = b->of_user;
	b->user = u;
	if (!u)
		return;
	b->next_of_user = u->browsers;
	b->of_user = &u->browsers;
	if (u->browsers)
		u->browsers->of_user = &b->next_of_user;
	u->browsers = b;
}

/* What it has said and wanted to know as a device of this user */
static void leave_user(struct stack *s, struct browser *b)
{
	struct user *u = b->user;

	if (!u)
		return;
	browser_belongs(b, NULL);
	publications_client_left(s, u, b->peer);
	watches_client_left(s, b->peer);
	user_changed(u, CHANGED_PRESENCE);
}

static void forget(struct stack *s, struct browser *b)
{
	struct elsewhere *e;

	leave_user(s, b);
	sl_htab_remove(&s->browsers, &b->node);
	account_close(b->account);
	while ((e = b->calls)) {
		b->calls = e->next;
		free(e);
	}
	free(b);
}

struct party *browser_party(const struct said *m, struct sl_str call)
{
	for (struct call *c = m->s->first_call; c; c = c->next)
		for (struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == m->b->peer &&
			    p->state != PARTY_ENDED && sl_str_eq(sl_str_c(p->tag), call))
				return p;
	return NULL;
}

/* ---- register */

static void answer_register(const struct said *m, const struct user *u, unsigned status,
			    const char *reason)
{
	json_t *json = json_pack("{s:s, s:b}", "type", "registered", "ok", (int)(status == 200));

	if (status == 200)
		sl_count(&m->s->m[M_REGISTRATIONS]);
	json = browser_with(json, "user", u ? u->conf->name.p : NULL);
	browser_tell(m->s, m->b->peer, browser_with_status(json, status, reason));
}

static bool has_room(const struct browser *b, const struct user *u)
{
	int64_t n = u->n_bindings;

	for (const struct browser *other = u->browsers; other; other = other->next_of_user)
		n += other != b;
	return n < u->conf->max_contacts;
}

static bool password_is(const struct user *u, struct sl_str password)
{
	struct sl_str right = u ? u->conf->password : SL_STR("there is no such user");
	bool same = right.len == password.len && sl_mem_eq(right.p, password.p, right.len);

	return u && same;
}

void browser_suspect(struct stack *s, uint64_t peer)
{
	const struct browser *b = browser_find(s, peer);
	const struct sip_flow flow = {.transport = SIP_WS,
				      .remote = b ? b->remote : (struct sl_addr){0}};

	if (!flow.remote.family)
		return;
	sl_buf_reset(&s->out);
	wire_put_flow(&s->out, &flow);
	(void)s->io->tell(s->io->arg, b->worker, WIRE_SUSPECT, &s->out); /* it has died: no loss */
}

static void register_user(const struct said *m, struct user *u)
{
	if (!has_room(m->b, u)) {
		answer_register(m, NULL, 403, "This user has too many devices.");
		return;
	}
	if (m->b->user != u)
		leave_user(m->s, m->b);
	browser_belongs(m->b, u);
	user_changed(u, CHANGED_PRESENCE);
	answer_register(m, u, 200, NULL);
	if (u->mailbox)
		event_say_summary(m->s, m->b->peer, u->conf->name.p, &u->mailbox->said);
}

static void register_by_password(const struct said *m, struct sl_str name)
{
	struct user *u = stack_user(m->s, name);

	if (password_is(u, sl_json_get_str(m->json, "password"))) {
		register_user(m, u);
		return;
	}
	browser_suspect(m->s, m->b->peer);
	answer_register(m, NULL, 401, "Wrong user or password.");
}

static struct sl_str either(const struct said *m, const char *key)
{
	struct sl_str v = sl_json_get_str(m->json, key);

	return v.len > 0 ? v : sl_json_get_str(m->claims, key);
}

/* With what it says, or else what its token does; the password of a token is for its user alone. */
static void register_account(const struct said *m, struct sl_str pbx)
{
	struct account_conf conf = {.pbx = pbx, .user = either(m, "user")};
	struct account *a;
	int rc;

	conf.auth_user = either(m, "auth_user");
	conf.password = either(m, "password");
	conf.display = either(m, "display");
	rc = account_open(m->s, m->b->peer, &conf, &a);
	if (rc < 0) {
		answer_register(m, NULL, rc == -SL_ENOENT ? 404 : 400,
				rc == -SL_ENOENT ? "There is no such telephone system here."
						 : "The user or the password cannot be used.");
		return;
	}
	account_close(m->b->account);
	m->b->account = a;
}

static bool is_same_account(const struct said *m, struct sl_str pbx)
{
	const struct account *a = m->b->account;

	return a && sl_str_eq(a->trunk->conf->name, pbx) &&
	       sl_str_eq(sl_str_c(a->user), either(m, "user")) &&
	       sl_str_eq(sl_str_c(a->password), either(m, "password"));
}

static void leave_all(const struct said *m)
{
	leave_user(m->s, m->b);
	account_close(m->b->account);
	m->b->account = NULL;
	answer_register(m, NULL, 200, NULL);
}

static void on_register(const struct said *m)
{
	struct sl_str user = sl_json_get_str(m->json, "user");
	struct sl_str claimed = sl_json_get_str(m->claims, "user");
	struct sl_str pbx = either(m, "pbx");
	struct user *u;

	if (json_is_false(json_object_get(m->json, "on")) || (user.len == 0 && claimed.len == 0)) {
		leave_all(m);
	} else if (pbx.len > 0 && is_same_account(m, pbx)) {
		account_renew(m->b->account);
	} else if (pbx.len > 0) {
		register_account(m, pbx);
	} else if (user.len > 0) {
		register_by_password(m, user);
	} else {
		u = stack_user(m->s, claimed);
		if (u)
			register_user(m, u);
		else
			answer_register(m, NULL, 404, "The token names a user that is not here.");
	}
}

/* ---- what is another process' (browser_pass.c) */

static struct elsewhere *find_elsewhere(const struct browser *b, struct sl_str call)
{
	for (struct elsewhere *e = b->calls; e; e = e->next)
		if (sl_str_eq(sl_str_c(e->call), call))
			return e;
	return NULL;
}

static void drop_elsewhere(struct browser *b, struct elsewhere *e)
{
	struct elsewhere **at = &b->calls;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	free(e);
}

void browser_call_is_here(struct stack *s, uint64_t peer, struct sl_str call)
{
	struct browser *b = browser_find(s, peer);
	struct elsewhere *e = b ? find_elsewhere(b, call) : NULL;

	if (e)
		drop_elsewhere(b, e);
}

/* Of a call that is not here: where it is; 0: here, or nowhere */
static uint32_t owner_of(const struct said *m, struct sl_str call)
{
	const struct elsewhere *e = browser_party(m, call) ? NULL : find_elsewhere(m->b, call);

	return e ? e->owner : 0;
}

/* Two calls are joined by the process that has both. */
static bool waits_for_call(const struct said *m, struct sl_str data)
{
	struct sl_str other = sl_json_get_str(m->json, "to_call");
	uint32_t of_one = owner_of(m, m->call), of_other = owner_of(m, other);

	if (other.len == 0 || of_one == of_other)
		return false;
	return of_one ? move_for_signal(m->s, of_one, m->b->peer, m->call, data)
		      : move_for_signal(m->s, of_other, m->b->peer, other, data);
}

static bool pass_on(struct stack *s, uint32_t owner, enum wire_type type, struct sl_str data)
{
	sl_buf_reset(&s->out);
	sl_buf_str(&s->out, data);
	return sl_buf_ok(&s->out) == 0 && s->io->tell(s->io->arg, owner, type, &s->out) == 0;
}

/* ---- from a client */

static void on_unknown(const struct said *m, struct sl_str data)
{
	struct elsewhere *e = find_elsewhere(m->b, m->call);

	if (e && pass_on(m->s, e->owner, WIRE_SIGNAL, data))
		return;
	if (e)
		drop_elsewhere(m->b, e);
	browser_tell_hangup(m->s, m->b->peer, m->call.p ? m->call.p : "", 481);
}

static void dispatch(const struct said *m, struct sl_str data)
{
	static const struct {
		const char *type;
		void (*fn)(const struct said *m);
	} verbs[] = {{"register", on_register},
		     {"call", browser_on_call},
		     {"text", texts_said},
		     {"watch", watch_said},
		     {"presence", publish_said}};
	struct sl_str type = sl_json_get_str(m->json, "type");
	struct party *p;

	for (size_t i = 0; i < SL_ARRAY_LEN(verbs); i++) {
		if (sl_str_eq(type, sl_str_c(verbs[i].type))) {
			verbs[i].fn(m);
			return;
		}
	}
	if (sl_str_eq(type, SL_STR("transfer")) && waits_for_call(m, data))
		return;
	p = browser_party(m, m->call);
	if (p)
		browser_on_verb(p, m, type);
	else
		on_unknown(m, data);
}

void browsers_hear(struct stack *s, struct sl_str data)
{
	struct wire_signal w;
	struct said m = {.s = s};
	json_t *json, *claims = NULL;

	if (wire_get_signal(data, &w) < 0)
		return;
	json = sl_json_parse(w.json, MAX_DEPTH, NULL, 0);
	if (w.claims.len > 0)
		claims = sl_json_parse(w.claims, MAX_DEPTH, NULL, 0);
	m.b = json ? browser_find_or_make(s, &w) : NULL;
	m.json = json;
	m.claims = claims;
	m.call = sl_json_get_str(json, "call");
	if (m.b)
		dispatch(&m, data);
	json_decref(json);
	json_decref(claims);
}

/* ---- the end */

static void end_calls(struct stack *s, uint64_t peer)
{
	for (struct call *c = s->first_call, *next; c; c = next) {
		next = c->next; /* calls are freed from the clock only */
		for (struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == peer && p->state != PARTY_ENDED)
				browser_hang_up(p, 480);
	}
}

void browsers_left(struct stack *s, struct sl_str data)
{
	struct wire_signal w;
	struct browser *b;

	if (wire_get_signal(data, &w) < 0)
		return;
	browsers_unpark(s, w.peer);
	b = browser_find(s, w.peer);
	if (!b)
		return;
	for (const struct elsewhere *e = b->calls; e; e = e->next)
		(void)pass_on(s, e->owner, WIRE_PEER_LEFT, data); /* gone: its calls are, too */
	forget(s, b);
	end_calls(s, w.peer);
}

void browsers_free(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->browsers)))
		forget(s, SL_CONTAINER(n, struct browser, node));
}
