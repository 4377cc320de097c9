/*
 * sip-gateway/notify.c: what watchers are told: NOTIFY (RFC 6665 section 4.2.2), always the whole
 * state, one request at a time; what changes while one is open goes with the next.
 *
 * Who answers that there is no such subscription, or not at all, has ended it.
 */
#include "event.h"

enum { SECOND = 1000, GATHER_MS = 20, PAUSE_MS = 250 };

static void put_uri(const struct watch *w, struct sl_buf *b)
{
	sl_buf_printf(b, "sip:%.*s@%.*s", SL_FMT(w->of->conf->name), SL_FMT(w->stack->conf->realm));
}

static void put_presence(const struct watch *w, struct sl_str uri, struct sl_buf *b)
{
	struct event_presence p;

	user_presence(w->stack, w->of, &p);
	event_presence_put(b, uri, &p);
}

static void put_dialogs(const struct watch *w, struct sl_str uri, struct sl_buf *b)
{
	struct event_dialogs d;

	user_dialogs(w->stack, w->of, &d);
	d.version = w->version;
	event_dialogs_put(b, uri, w->stack->conf->realm, &d);
}

static void put_summary(const struct watch *w, struct sl_buf *b)
{
	const struct event_summary none = {0};

	event_summary_put(b, w->of->mailbox ? &w->of->mailbox->said : &none);
}

static void put_body(const struct watch *w, struct sl_buf *b)
{
	struct sl_buf uri;

	sl_buf_init(&uri, 512);
	put_uri(w, &uri);
	if (w->package == EVENT_PRESENCE)
		put_presence(w, sl_buf_view(&uri), b);
	else if (w->package == EVENT_DIALOG)
		put_dialogs(w, sl_buf_view(&uri), b);
	else
		put_summary(w, b);
	sl_buf_free(&uri);
}

static void put_state(const struct watch *w, struct sl_buf *b)
{
	uint64_t now = stack_now(w->stack);
	uint64_t left = w->expires_ms > now ? w->expires_ms - now : 0;

	sl_buf_printf(b, "Event: %s", event_name(w->package));
	if (w->id[0])
		sl_buf_printf(b, ";id=%s", w->id);
	if (w->reason)
		sl_buf_printf(b, "\r\nSubscription-State: terminated;reason=%s\r\n", w->reason);
	else
		sl_buf_printf(b, "\r\nSubscription-State: active;expires=%llu\r\n",
			      (unsigned long long)((left + SECOND - 1) / SECOND));
	event_put_contact(w->stack, b, &w->path.flow, "");
}

static bool is_over(const struct sip_msg *resp, unsigned status)
{
	return status >= 300 && !(resp && message_header(resp, "Retry-After").len > 0);
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct watch *w = arg;

	(void)t;
	if (resp && status < 200)
		return;
	w->asking = NULL;
	if (is_over(resp, status) || (w->reason && !w->again)) {
		watch_free(w);
		return;
	}
	if (w->again && alarm_set(&w->stack->alarms, &w->say, PAUSE_MS) < 0)
		watch_free(w);
}

static void notify(struct watch *w)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b, body;
	int rc;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	sl_buf_init(&body, 16 * 1024);
	event_path_begin(w->stack, &w->path, &b, "NOTIFY", branch);
	put_state(w, &b);
	if (w->of)
		put_body(w, &body);
	w->version++;
	message_end(&b, event_type(w->package), sl_buf_view(&body));
	watch_keep(w); /* before anybody knows of it */
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = ctrans_new(w->stack, &w->path.flow, branch, &b, &w->asking);
	sl_buf_free(&body);
	sl_buf_free(&b);
	if (rc < 0) {
		watch_free(w);
		return;
	}
	ctrans_on(w->asking, on_answer, w);
}

static void tell_client(struct watch *w)
{
	const char *user = w->of->conf->name.p;
	const struct event_summary none = {0};
	struct event_presence p;
	struct event_dialogs d;

	if (w->package == EVENT_PRESENCE) {
		user_presence(w->stack, w->of, &p);
		event_say_presence(w->stack, w->peer, user, &p);
	} else if (w->package == EVENT_DIALOG) {
		user_dialogs(w->stack, w->of, &d);
		event_say_dialogs(w->stack, w->peer, user, &d);
	} else {
		event_say_summary(w->stack, w->peer, user,
				  w->of->mailbox ? &w->of->mailbox->said : &none);
	}
}

static void on_say(struct alarm *a)
{
	struct watch *w = a->arg;

	w->again = false;
	if (w->peer && w->reason)
		watch_free(w);
	else if (w->peer)
		tell_client(w);
	else
		notify(w);
}

void watch_init_alarms(struct watch *w)
{
	w->say = (struct alarm){.fn = on_say, .arg = w};
}

void watch_tell(struct watch *w)
{
	w->again = true;
	if (w->asking || w->say.place)
		return;
	if (alarm_set(&w->stack->alarms, &w->say, GATHER_MS) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a watcher cannot be told: out of memory");
}
