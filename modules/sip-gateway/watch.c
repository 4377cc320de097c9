/*
 * sip-gateway/watch.c: subscriptions to our users (RFC 6665), of telephones, of PBXs, and of
 * clients without SIP.
 *
 * Users may watch each other; a mailbox is its user's alone. A subscription ends with its time,
 * with its connection, or when a NOTIFY finds nobody.
 */
#include "event.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, DEFAULT_S = 3600 };

/* ---- life */

static bool has_tag(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct watch, node)->path.tag),
			 *(const struct sl_str *)key);
}

struct watch *watch_by_tag(const struct stack *s, struct sl_str tag)
{
	struct sl_hnode *n = sl_htab_find(&s->watches, sl_hash(tag.p, tag.len), has_tag, &tag);

	return n ? SL_CONTAINER(n, struct watch, node) : NULL;
}

static void link_watch(struct watch *w)
{
	w->next = w->of->watches;
	w->at = &w->of->watches;
	if (w->next)
		w->next->at = &w->next;
	w->of->watches = w;
}

static void unlink_watch(struct watch *w)
{
	if (w->at)
		*w->at = w->next;
	if (w->at && w->next)
		w->next->at = w->at;
	w->at = NULL;
	if (w->by)
		w->by->n_watches--;
	w->of = w->by = NULL;
}

void watch_free(struct watch *w)
{
	struct stack *s = w->stack;

	unlink_watch(w);
	tie_cut(&s->ties, &w->way);
	stack_forget(s, &w->kept);
	ctrans_release(w->asking);
	alarm_cancel(&s->alarms, &w->expiry);
	alarm_cancel(&s->alarms, &w->say);
	sl_htab_remove(&s->watches, &w->node);
	sl_gauge_add(&s->m[M_WATCHES], -1);
	s->n_watches--;
	event_path_free(&w->path);
	free(w);
}

void watch_end(struct watch *w, const char *reason)
{
	if (w->reason)
		return;
	w->reason = reason;
	alarm_cancel(&w->stack->alarms, &w->expiry);
	watch_tell(w);
}

static void on_expiry(struct alarm *a)
{
	watch_end(a->arg, "timeout");
}

/* It ends with its client, or its connection, in silence: nobody hears its last word. */
static void on_way_gone(struct tie *way)
{
	watch_free(SL_CONTAINER(way, struct watch, way));
}

static void tie(struct watch *w)
{
	w->way.fn = on_way_gone;
	tie_set(&w->stack->ties, &w->way,
		w->peer ? tie_to_peer(w->peer) : tie_to_conn(&w->path.flow));
}

struct watch *watch_new(struct stack *s, struct user *of, enum event_package package)
{
	struct watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->stack = s;
	w->package = package;
	w->of = of;
	w->expiry = (struct alarm){.fn = on_expiry, .arg = w};
	watch_init_alarms(w);
	return w;
}

int watch_enter(struct watch *w, struct user *by)
{
	struct stack *s = w->stack;
	int rc = sl_htab_insert(&s->watches, &w->node, sl_hash(w->path.tag, strlen(w->path.tag)));

	if (rc < 0) {
		event_path_free(&w->path);
		free(w);
		return rc;
	}
	w->by = by;
	if (by)
		by->n_watches++;
	link_watch(w);
	tie(w);
	s->n_watches++;
	sl_gauge_add(&s->m[M_WATCHES], 1);
	return 0;
}

int watch_set_expiry(struct watch *w, uint64_t ms)
{
	w->expires_ms = stack_now(w->stack) + ms;
	return alarm_set(&w->stack->alarms, &w->expiry, ms);
}

/* ---- what a SUBSCRIBE wants */

struct wish {
	enum event_package package;
	struct sl_str id;
	uint64_t ms;
};

static void refuse(struct strans *t, unsigned status)
{
	char line[64] = "";
	struct sl_str headers = SL_STR_NULL;

	if (status == 423)
		(void)snprintf(line, sizeof line, "Min-Expires: %llu\r\n",
			       (unsigned long long)(t->stack->conf->min_expires / SECOND));
	headers = sl_str_c(line);
	if (status == 489)
		headers = SL_STR(EVENT_ALLOWED);
	else if (status == 503)
		headers = SL_STR("Retry-After: 60\r\n");
	strans_reply(t, &(struct strans_reply){.status = status, .headers = headers});
}

static bool accepts(const struct sip_msg *m, enum event_package package)
{
	struct sl_str all = message_header(m, "Accept"), item;

	if (all.len == 0)
		return true; /* the package's own type */
	while (sip_list_next(&all, &item)) {
		struct sl_str type = sl_str_trim(sl_str_split(&item, ';'));

		if (sl_str_eq_nocase(type, sl_str_c(event_type(package))) ||
		    sl_str_eq(type, SL_STR("*/*")) || sl_str_eq(type, SL_STR("application/*")))
			return true;
	}
	return false;
}

/* 0, or the status to refuse it with */
static unsigned read_wish(const struct stack *s, const struct sip_msg *m, struct wish *ret_wish)
{
	const sip_expires_t *e = m->sip->sip_expires;
	uint64_t ms = (uint64_t)(e ? e->ex_delta : DEFAULT_S) * SECOND;
	struct wish w;

	if (event_of(m, &w.package, &w.id) < 0)
		return 489;
	if (!accepts(m, w.package))
		return 406;
	if (ms > 0 && ms < s->conf->min_expires)
		return 423;
	w.ms = ms < s->conf->max_expires ? ms : s->conf->max_expires;
	*ret_wish = w;
	return 0;
}

static void answer(struct watch *w, struct strans *t, uint64_t ms)
{
	struct sl_buf b;

	sl_buf_init(&b, 1024);
	event_put_contact(w->stack, &b, &w->path.flow, "");
	sl_buf_printf(&b, "Expires: %llu\r\n", (unsigned long long)(ms / SECOND));
	t->makes_dialog = true;
	strans_reply(t, &(struct strans_reply){.status = 200, .headers = sl_buf_view(&b)});
	sl_buf_free(&b);
}

/* ---- a new one */

static unsigned admit(const struct stack *s, const struct auth_who *who, const struct user *u,
		      const struct wish *wish)
{
	if (who->kind == AUTH_STRANGER)
		return 403;
	if (!u)
		return 404;
	if (wish->package == EVENT_SUMMARY && who->user && who->user != u)
		return 403;
	if (s->draining || s->n_watches >= (uint64_t)s->conf->max_watches)
		return 503;
	if (who->user && who->user->n_watches >= (uint64_t)s->conf->max_watches_user)
		return 503;
	return 0;
}

static void begin(struct stack *s, struct strans *t, const struct sip_msg *m,
		  const struct auth_who *who, const struct wish *wish)
{
	struct watch *w = watch_new(s, stack_user(s, called_of(m)), wish->package);

	if (!w) {
		strans_answer(t, 500);
		return;
	}
	(void)sl_str_copy(w->id, sizeof w->id, wish->id);
	if (event_path_from_request(&w->path, m, t->to_tag) < 0) {
		event_path_free(&w->path);
		free(w);
		strans_answer(t, 500);
		return;
	}
	if (watch_enter(w, who->user) < 0) {
		strans_answer(t, 500);
		return;
	}
	answer(w, t, wish->ms);
	if (wish->ms == 0 || watch_set_expiry(w, wish->ms) < 0)
		watch_end(w, "timeout"); /* asked once */
	else
		watch_tell(w);
}

void watch_request(struct stack *s, const struct sip_msg *m)
{
	struct auth_who who;
	struct strans *t;
	struct wish wish;
	unsigned status;

	if (strans_new(s, m, &t) < 0)
		return;
	status = read_wish(s, m, &wish);
	if (status == 0 && message_contact(m).len == 0)
		status = 400;
	if (status) {
		refuse(t, status);
		return;
	}
	if (calls_identify(s, t, m, &who) != AUTH_OK)
		return;
	status = admit(s, &who, stack_user(s, called_of(m)), &wish);
	if (status)
		refuse(t, status);
	else
		begin(s, t, m, &who, &wish);
}

/* ---- one that there is */

static void refresh(struct watch *w, struct strans *t, const struct sip_msg *m)
{
	struct wish wish;
	unsigned status = read_wish(w->stack, m, &wish);

	if (status == 0 && (wish.package != w->package || !sl_str_eq(wish.id, sl_str_c(w->id))))
		status = 489; /* one dialog has one subscription here */
	if (status == 0 && m->peek.cseq <= w->path.remote_cseq)
		status = 500;
	if (status) {
		refuse(t, status);
		return;
	}
	w->path.remote_cseq = m->peek.cseq;
	event_path_refresh(&w->path, m);
	tie(w);
	answer(w, t, wish.ms);
	if (wish.ms == 0 || watch_set_expiry(w, wish.ms) < 0)
		watch_end(w, "timeout");
	else
		watch_tell(w);
}

bool watch_refresh(struct stack *s, const struct sip_msg *m)
{
	struct watch *w = watch_by_tag(s, m->peek.to_tag);
	struct strans *t;

	if (!w || w->peer || w->reason || !event_path_has(&w->path, m))
		return false;
	if (strans_new(s, m, &t) == 0)
		refresh(w, t, m);
	return true;
}

/* ---- of clients */

static struct watch *find_client(const struct user *u, uint64_t peer, enum event_package package)
{
	for (struct watch *w = u->watches; w; w = w->next)
		if (w->peer == peer && w->package == package)
			return w;
	return NULL;
}

unsigned watch_by_client(struct browser *b, struct stack *s, struct user *u,
			 enum event_package package, bool on)
{
	struct watch *w = find_client(u, b->peer, package);

	if (!b->user || (package == EVENT_SUMMARY && b->user != u))
		return 403;
	if (w && on)
		watch_tell(w); /* it may have forgotten */
	else if (w)
		watch_free(w);
	if (w || !on)
		return 200;
	if (s->n_watches >= (uint64_t)s->conf->max_watches ||
	    tie_count(&s->ties, tie_to_peer(b->peer), on_way_gone) >= s->conf->max_watches_user)
		return 503;
	w = watch_new(s, u, package);
	if (!w || sip_name_new(w->path.tag, s->owner) < 0) {
		free(w);
		return 500;
	}
	w->peer = b->peer;
	if (watch_enter(w, NULL) < 0)
		return 500;
	watch_tell(w);
	return 200;
}

void watches_client_left(struct stack *s, uint64_t peer)
{
	tie_ended(&s->ties, tie_to_peer(peer));
}

void watches_free(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->watches)))
		watch_free(SL_CONTAINER(n, struct watch, node));
	sl_htab_free(&s->watches);
}
