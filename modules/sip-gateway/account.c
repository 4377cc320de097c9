/*
 * sip-gateway/account.c: registrations of clients without SIP at PBXs (RFC 3261 section 10.2).
 *
 * Each is renewed at half its life. A refusal ends it and is told to the client; what may pass (no
 * answer, 5xx) is tried again with growing pauses. When the client leaves, its contact is taken
 * back. Over a reload a registration moves with its Call-ID and its count to the next process.
 */
#include "account.h"

#include <sluice/crypto.h>
#include <sluice/rate.h>

#include <stdlib.h>

#include "event.h"

enum { SECOND = 1000, RETRY_MS = 2000, MAX_RETRY_MS = 120 * SECOND };

static void ask(struct account *a, uint64_t expires_s, const struct sip_msg *challenge);

static bool has_contact(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct account, node)->contact),
			 *(const struct sl_str *)key);
}

struct account *account_find(const struct stack *s, struct sl_str contact)
{
	struct sl_hnode *n =
		sl_htab_find(&s->accounts, sl_hash(contact.p, contact.len), has_contact, &contact);

	return n ? SL_CONTAINER(n, struct account, node) : NULL;
}

/* ---- life */

static void discard(struct account *a)
{
	sl_wipe(a->password, sizeof a->password);
	free(a);
}

static void account_free(struct account *a)
{
	alarm_cancel(&a->stack->alarms, &a->renew);
	ctrans_release(a->asking);
	sl_htab_remove(&a->stack->accounts, &a->node);
	discard(a);
}

struct account *account_ref(struct account *a)
{
	if (a)
		a->n_refs++;
	return a;
}

void account_unref(struct account *a)
{
	if (a && --a->n_refs == 0)
		account_free(a);
}

void accounts_free(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->accounts)))
		account_free(SL_CONTAINER(n, struct account, node));
	sl_htab_free(&s->accounts);
}

/* ---- what the client is told */

static void tell(const struct account *a, unsigned status)
{
	json_t *json =
		json_pack("{s:s, s:b, s:s, s:s#}", "type", "registered", "ok", status < 300, "user",
			  a->user, "pbx", a->trunk->conf->name.p, (int)a->trunk->conf->name.len);
	const char *reason = status < 300    ? NULL
			     : status == 408 ? "The telephone system does not answer."
			     : status == 404 ? "The telephone system does not know this user."
			     : status == 403 ? "The telephone system refused the registration: is "
					       "the password right?"
					     : browser_sentence(status);

	if (a->peer)
		browser_tell(a->stack, a->peer, browser_with_status(json, status, reason));
	else
		json_decref(json);
}

/* Once for each change */
static void tell_change(struct account *a, unsigned status)
{
	if (a->failure == status)
		return;
	a->failure = status;
	tell(a, status);
}

/* ---- REGISTER */

static void arm(struct account *a, uint64_t ms)
{
	if (alarm_set(&a->stack->alarms, &a->renew, ms) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "%s at %.*s: out of memory for a timer",
		       a->user, SL_FMT(a->trunk->conf->name));
}

static bool is_passing(unsigned status)
{
	return status == 408 || status == 480 || (status >= 500 && status < 600);
}

static void on_failure(struct account *a, unsigned status)
{
	if (a->failure != status)
		sl_log(SL_LOG_NOTICE, "sip-gateway", "%s cannot register at %.*s: %u", a->user,
		       SL_FMT(a->trunk->conf->name), status);
	if (a->peer && !is_passing(status)) /* the PBX may take it out on all of us */
		browser_suspect(a->stack, a->peer);
	tell_change(a, status);
	a->registered = false;
	if (is_passing(status))
		arm(a, sl_backoff_ms(a->n_failed, RETRY_MS, MAX_RETRY_MS));
	a->n_failed++;
}

/* What is granted for our contact, among others of the same user, may be less than was asked. */
static uint64_t granted_ms(const struct account *a, const struct sip_msg *resp)
{
	uint64_t ms = a->expires_ms, s;
	struct sl_str rest = {resp->raw.p, resp->peek.head_len}, n, v, item, e;

	if (resp->sip->sip_expires)
		ms = (uint64_t)resp->sip->sip_expires->ex_delta * SECOND;
	while (sip_header_next(&rest, &n, &v)) {
		if (!sip_header_is(n, "Contact"))
			continue;
		while (sip_list_next(&v, &item))
			if (sl_str_eq(sip_user_of(sip_uri_of(item)), sl_str_c(a->contact)) &&
			    sip_param(item, "expires", &e) && sl_str_u64(e, &s) == 0)
				ms = s * SECOND;
	}
	return ms < 2 * SECOND ? 2 * SECOND : ms;
}

/* 423 says what is long enough (section 10.2.8). */
static bool accept_longer(struct account *a, const struct sip_msg *resp)
{
	struct sl_str v = message_header(resp, "Min-Expires");
	uint64_t s;

	if (sl_str_u64(v, &s) < 0 || s > 7 * 86400 || s * SECOND <= a->expires_ms)
		return false;
	a->expires_ms = s * SECOND;
	return true;
}

static void on_granted(struct account *a, const struct sip_msg *resp)
{
	if (a->leaving)
		return;
	tell_change(a, 200);
	if (!a->registered)
		sl_count(&a->stack->m[M_REGISTRATIONS]);
	a->registered = true;
	follow_registered(a);
	a->n_failed = 0;
	arm(a, granted_ms(a, resp) / 2);
}

static uint64_t wanted_s(const struct account *a)
{
	return a->leaving ? 0 : a->expires_ms / SECOND;
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct account *a = arg;

	if (resp && status < 200)
		return;
	if (!resp)
		hops_shun(a->trunk, &t->flow.remote);
	a->asking = NULL;
	if (resp && (status == 401 || status == 407) && !a->answered) {
		a->answered = true;
		ask(a, wanted_s(a), resp);
	} else if (resp && status < 300) {
		on_granted(a, resp);
	} else if (!a->leaving && resp && status == 423 && accept_longer(a, resp)) {
		a->answered = false;
		ask(a, wanted_s(a), NULL);
	} else if (!a->leaving) {
		on_failure(a, status);
	}
	account_unref(a); /* the transaction's */
}

static void put_register(struct account *a, struct sl_buf *b, struct sl_str uri, const char *branch,
			 uint64_t expires_s)
{
	const struct trunk *t = a->trunk;

	request_begin(a->stack, b, "REGISTER", uri, &t->flow, branch);
	sl_buf_str(b, SL_STR("From: <"));
	trunk_put_uri(t, b, sl_str_c(a->user));
	sl_buf_printf(b, ">;tag=%s\r\nTo: <", a->tag);
	trunk_put_uri(t, b, sl_str_c(a->user));
	sl_buf_printf(b, ">\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\nContact: <sip:%s@", a->call_id,
		      ++a->cseq, a->contact);
	stack_put_here(a->stack, b, &t->flow);
	sl_buf_printf(b, "%s>;expires=%llu\r\nExpires: %llu\r\n",
		      sip_transport_param(t->flow.transport), (unsigned long long)expires_s,
		      (unsigned long long)expires_s);
}

/* challenge: the response to answer, or NULL */
static void ask(struct account *a, uint64_t expires_s, const struct sip_msg *challenge)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b, uri;
	int rc = a->trunk->hops.n > 0 ? sip_name_new(branch, a->stack->owner) : -SL_EAGAIN;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	sl_buf_init(&uri, 1024);
	trunk_put_uri(a->trunk, &uri, SL_STR_NULL);
	if (rc == 0)
		put_register(a, &b, sl_buf_view(&uri), branch, expires_s);
	if (rc == 0 && challenge)
		rc = account_put_credentials(a, &b, challenge, "REGISTER", sl_buf_view(&uri));
	if (rc == 0) {
		message_end(&b, NULL, SL_STR_NULL);
		rc = ctrans_new(a->stack, &a->trunk->flow, branch, &b, &a->asking);
	}
	sl_buf_free(&uri);
	sl_buf_free(&b);
	if (rc == 0)
		ctrans_on(a->asking, on_answer, account_ref(a));
	else if (!a->leaving)
		on_failure(a, challenge ? challenge->peek.status : 503);
}

static void on_renew(struct alarm *alarm)
{
	struct account *a = alarm->arg;

	if (a->asking)
		return;
	a->answered = false;
	ask(a, wanted_s(a), NULL);
}

void account_renew(struct account *a)
{
	a->failure = 0;
	a->n_failed = 0;
	arm(a, 0);
}

int account_put_credentials(const struct account *a, struct sl_buf *b, const struct sip_msg *resp,
			    const char *method, struct sl_str uri)
{
	const struct digest_answer answer = {
		.username = sl_str_c(a->auth_user[0] ? a->auth_user : a->user),
		.password = sl_str_c(a->password),
		.method = sl_str_c(method),
		.uri = uri,
		.n = 1,
	};

	return trunk_answer_challenge(b, resp, &answer);
}

/* ---- begin and end */

static bool take(char *dst, size_t cap, struct sl_str s)
{
	return s.len == 0 || sl_str_copy(dst, cap, s) < cap;
}

static bool is_line(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ')
			return false;
	return true;
}

static int account_new(struct stack *s, uint64_t peer, const struct account_conf *conf,
		       struct account **ret_account)
{
	struct trunk *t = trunk_by_name(s, conf->pbx);
	struct account *a;

	if (!t || !t->conf->accounts)
		return -SL_ENOENT;
	if (!browser_word_is_good(conf->user) ||
	    (conf->auth_user.len && !browser_word_is_good(conf->auth_user)) ||
	    !is_line(conf->password) || !is_line(conf->display))
		return -SL_EINVAL;
	a = calloc(1, sizeof *a);
	if (!a)
		return -SL_ENOMEM;
	a->stack = s;
	a->trunk = t;
	a->peer = peer;
	a->n_refs = 1;
	a->expires_ms = t->conf->expires;
	a->renew = (struct alarm){.fn = on_renew, .arg = a};
	if (take(a->user, sizeof a->user, conf->user) &&
	    take(a->auth_user, sizeof a->auth_user, conf->auth_user) &&
	    take(a->password, sizeof a->password, conf->password) &&
	    take(a->display, sizeof a->display, conf->display)) {
		*ret_account = a;
		return 0;
	}
	discard(a);
	return -SL_EINVAL;
}

int account_open(struct stack *s, uint64_t peer, const struct account_conf *conf,
		 struct account **ret_account)
{
	struct account *a;
	int rc = account_new(s, peer, conf, &a);

	if (rc < 0)
		return rc;
	rc = sip_name_new(a->contact, s->owner);
	if (rc == 0)
		rc = sip_name_new(a->call_id, s->owner);
	if (rc == 0)
		rc = sip_name_new(a->tag, s->owner);
	if (rc == 0)
		rc = sl_htab_insert(&s->accounts, &a->node,
				    sl_hash(a->contact, strlen(a->contact)));
	if (rc < 0) {
		discard(a);
		return rc;
	}
	arm(a, 0);
	*ret_account = a;
	return 0;
}

void account_close(struct account *a)
{
	if (!a)
		return;
	a->peer = 0;
	follow_account_left(a);
	alarm_cancel(&a->stack->alarms, &a->renew);
	if (!a->moved && (a->registered || a->asking)) {
		a->leaving = true;
		a->answered = false;
		if (a->asking) {
			ctrans_release(a->asking);
			a->asking = NULL;
			account_unref(a);
		}
		ask(a, 0, NULL);
	}
	account_unref(a);
}

/* ---- calls */

struct account *account_for(const struct call *c, const struct trunk *t)
{
	const struct party *from = c->transfer.by ? c->transfer.by : c->a;

	return from && from->account && from->account->trunk == t ? from->account : NULL;
}

void account_target(const struct account *a, struct sl_str number, struct dial_target *ret_target)
{
	*ret_target = (struct dial_target){.kind = DIAL_TRUNK};
	(void)sl_str_copy(ret_target->name, DIAL_TEXT, a->trunk->conf->name);
	(void)sl_str_copy(ret_target->number, DIAL_TEXT, number);
}

void account_route(struct call *c, const struct account *a, struct sl_str number)
{
	c->plan = (struct dial_result){.n_targets = 1};
	account_target(a, number, &c->plan.targets[0]);
}

bool account_takes(struct call *c, struct sl_str called, const struct trunk *trunk)
{
	const struct account *a = account_find(c->stack, called);

	if (!a || !trunk || !a->peer)
		return false;
	(void)sl_str_copy(c->called, sizeof c->called, sl_str_c(a->user));
	c->plan = (struct dial_result){.n_targets = 1};
	c->plan.targets[0].kind = DIAL_CONTACT;
	(void)sl_str_copy(c->plan.targets[0].name, DIAL_TEXT, called);
	return true;
}

/* ---- from process to process */

void account_export(struct account *a, struct sl_buf *b)
{
	sl_buf_lstr(b, a->trunk->conf->name);
	sl_buf_lstr(b, sl_str_c(a->user));
	sl_buf_lstr(b, sl_str_c(a->auth_user));
	sl_buf_lstr(b, sl_str_c(a->password));
	sl_buf_lstr(b, sl_str_c(a->display));
	sl_buf_lstr(b, sl_str_c(a->contact));
	sl_buf_lstr(b, sl_str_c(a->call_id));
	sl_buf_lstr(b, sl_str_c(a->tag));
	sl_buf_u32(b, a->cseq + 8); /* beyond what is under way here */
	sl_buf_u8(b, a->registered);
	a->moved = true;
	alarm_cancel(&a->stack->alarms, &a->renew);
	if (a->asking) {
		ctrans_release(a->asking);
		a->asking = NULL;
		account_unref(a);
	}
}

/* Renewed at once: the trunk may be another one now, or have other ways. */
struct account *account_import(struct stack *s, uint64_t peer, struct sl_reader *r)
{
	struct account_conf conf = {.pbx = sl_read_lstr(r)};
	struct sl_str contact, call_id, tag;
	struct account *a;
	uint32_t cseq;
	bool registered;

	conf.user = sl_read_lstr(r);
	conf.auth_user = sl_read_lstr(r);
	conf.password = sl_read_lstr(r);
	conf.display = sl_read_lstr(r);
	contact = sl_read_lstr(r);
	call_id = sl_read_lstr(r);
	tag = sl_read_lstr(r);
	cseq = sl_read_u32(r);
	registered = sl_read_u8(r);
	if (r->failed || account_find(s, contact) || account_new(s, peer, &conf, &a) < 0)
		return NULL;
	(void)sl_str_copy(a->contact, sizeof a->contact, contact);
	(void)sl_str_copy(a->call_id, sizeof a->call_id, call_id);
	(void)sl_str_copy(a->tag, sizeof a->tag, tag);
	a->cseq = cseq;
	a->registered = registered;
	a->failure = registered ? 200 : 0;
	if (sl_htab_insert(&s->accounts, &a->node, sl_hash(a->contact, strlen(a->contact))) < 0) {
		discard(a);
		return NULL;
	}
	arm(a, 50); /* until there is a socket to send from */
	return a;
}
