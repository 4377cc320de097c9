/*
 * sip-gateway/event_say.c: events as messages to clients without SIP.
 */
#include "event.h"

static json_t *message(const char *type, const char *user)
{
	return json_pack("{s:s, s:s}", "type", type, "user", user);
}

static json_t *with_flag(json_t *json, const char *key, bool value)
{
	if (json)
		(void)json_object_set_new(json, key, json_boolean(value));
	return json;
}

static const char *or_none(const char *text)
{
	return text[0] ? text : NULL;
}

void event_say_presence(struct stack *s, uint64_t peer, const char *user,
			const struct event_presence *p)
{
	json_t *json = with_flag(message("presence", user), "open", p->open);

	json = browser_with(json, "activity", or_none(p->activity));
	browser_tell(s, peer, browser_with(json, "note", or_none(p->note)));
}

static json_t *of_dialog(const struct event_dialog *d)
{
	json_t *json = json_pack("{s:s, s:b, s:s}", "state", event_dialog_state_name(d->state),
				 "calls", (int)d->initiator, "number", d->number);

	return browser_with(json, "display", or_none(d->display));
}

/* The state of the lamp is that of the call that is furthest. */
void event_say_dialogs(struct stack *s, uint64_t peer, const char *user,
		       const struct event_dialogs *d)
{
	json_t *json = message("lamp", user), *calls = json_array();
	int furthest = -1;

	for (unsigned i = 0; i < d->n; i++) {
		if (d->all[i].state == DIALOG_TERMINATED)
			continue;
		if ((int)d->all[i].state > furthest)
			furthest = (int)d->all[i].state;
		(void)json_array_append_new(calls, of_dialog(&d->all[i]));
	}
	json = browser_with(json, "state",
			    furthest < 0 ? "idle" : event_dialog_state_name((unsigned)furthest));
	if (json)
		(void)json_object_set_new(json, "calls", calls);
	else
		json_decref(calls);
	browser_tell(s, peer, json);
}

void event_say_summary(struct stack *s, uint64_t peer, const char *user,
		       const struct event_summary *m)
{
	json_t *json = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "type", "voicemail", "user",
				 user, "waiting", (int)m->waiting, "new", (json_int_t)m->fresh,
				 "old", (json_int_t)m->old, "urgent", (json_int_t)m->urgent_fresh);

	browser_tell(s, peer, browser_with(json, "account", or_none(m->account)));
}

void event_say_watching(struct stack *s, uint64_t peer, const char *user, const char *package,
			unsigned status)
{
	json_t *json = with_flag(message("watching", user ? user : ""), "ok", status < 300);
	const char *reason = status < 300    ? NULL
			     : status == 403 ? "You may not know this; register first."
			     : status == 404 ? "Nobody has this number."
			     : status == 489 ? "The telephone system does not tell this."
					     : browser_sentence(status);

	browser_tell(s, peer,
		     browser_with_status(browser_with(json, "package", package), status, reason));
}
