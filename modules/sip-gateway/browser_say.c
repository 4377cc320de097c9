/*
 * sip-gateway/browser_say.c: messages to clients without SIP, and what a status of SIP means to
 * somebody who only wanted to call.
 *
 * A client is reached by the worker that has its socket; when that worker is gone, by any other:
 * every one of them knows the way.
 */
#include "browsers.h"

#include <stdlib.h>

static const struct {
	uint16_t status;
	const char *sentence;
} sentences[] = {
	{200, "The call has ended."},
	{400, "The other side did not understand this call."},
	{401, "The password was refused there."},
	{403, "This call is not permitted."},
	{404, "Nobody has this number."},
	{407, "The password was refused there."},
	{408, "Nobody answered in time."},
	{410, "This number is not in use any more."},
	{415, "The two sides have no kind of sound in common."},
	{480, "Nobody can be reached there now."},
	{481, "This call is over already."},
	{482, "The call went in circles."},
	{483, "The call went in circles."},
	{484, "The number is not complete."},
	{486, "The line is busy."},
	{487, "The call was taken back."},
	{488, "The two sides have no kind of sound in common."},
	{491, "Both sides changed the call at once; try again."},
	{500, "Something went wrong on the way; try again."},
	{501, "The other side cannot do this."},
	{503, "The line is not available now; try again in a moment."},
	{504, "The other side could not be reached."},
	{600, "The line is busy."},
	{603, "The call was declined."},
	{604, "Nobody has this number."},
	{606, "The two sides have no kind of sound in common."},
};

const char *browser_sentence(unsigned status)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(sentences); i++)
		if (sentences[i].status == status)
			return sentences[i].sentence;
	if (status < 300)
		return "The call has ended.";
	if (status < 400)
		return "The number has moved.";
	if (status < 500)
		return "The other side refused this call.";
	return status < 600 ? "The other side could not take this call."
			    : "The call was refused everywhere.";
}

json_t *browser_message(const char *type, const char *call)
{
	return json_pack("{s:s, s:s}", "type", type, "call", call);
}

/* What cannot be stored is left out: the message says the most important first. */
json_t *browser_with(json_t *json, const char *key, const char *value)
{
	if (json && value)
		(void)json_object_set_new(json, key, json_string(value));
	return json;
}

json_t *browser_with_status(json_t *json, unsigned status, const char *reason)
{
	if (json)
		(void)json_object_set_new(json, "status", json_integer(status));
	return browser_with(json, "reason", reason);
}

static int send_by(struct stack *s, uint32_t worker, uint64_t peer, struct sl_str json)
{
	sl_buf_reset(&s->out);
	wire_put_signal(&s->out, &(struct wire_signal){.peer = peer, .json = json});
	if (sl_buf_ok(&s->out) < 0)
		return -SL_ELIMIT;
	return s->io->tell(s->io->arg, worker, WIRE_SIGNAL_SEND, &s->out);
}

void browser_tell(struct stack *s, uint64_t peer, json_t *json)
{
	const struct browser *b = browser_find(s, peer);
	struct sl_buf text;
	int rc = 0;

	sl_buf_init(&text, SIP_MAX_MESSAGE);
	if (json)
		sl_json_dump(json, &text);
	if (b && json && sl_buf_ok(&text) == 0) {
		rc = send_by(s, b->worker, peer, sl_buf_view(&text));
		if (rc == -SL_ENOENT)
			rc = send_by(s, 0, peer, sl_buf_view(&text));
	}
	if (rc < 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "a browser cannot be told: %s", sl_strerror(rc));
	sl_buf_free(&text);
	json_decref(json);
}

void browser_tell_hangup(struct stack *s, uint64_t peer, const char *call, unsigned status)
{
	browser_tell(s, peer,
		     browser_with_status(browser_message("hangup", call), status,
					 browser_sentence(status)));
}

void browser_say(struct party *p, json_t *json)
{
	browser_tell(p->call->stack, p->peer, json);
}

void browser_problem(struct party *p, const char *reason)
{
	browser_say(p, browser_with(browser_message("problem", p->tag), "reason", reason));
}

/* ---- what happens to a party */

static json_t *with_flag(json_t *json, const char *key, bool value)
{
	if (json)
		(void)json_object_set_new(json, key, json_boolean(value));
	return json;
}

void browser_ring(struct party *p)
{
	p->state = PARTY_RINGING;
	browser_say(p, browser_message("ringing", p->tag));
}

void browser_held(struct party *p, bool held)
{
	browser_say(p, with_flag(browser_message("held", p->tag), "on", held));
}

void browser_digit(struct party *p, char digit, uint32_t ms)
{
	const char text[2] = {digit, 0};
	json_t *json = browser_with(browser_message("digit", p->tag), "digit", text);

	if (json)
		(void)json_object_set_new(json, "ms", json_integer(ms));
	browser_say(p, json);
}

void browser_transferred(struct party *p, unsigned status)
{
	const char *reason = status < 200   ? "The other one is being called."
			     : status < 300 ? "The call was handed over."
					    : browser_sentence(status);

	browser_say(p, browser_with_status(browser_message("transferred", p->tag), status, reason));
}

/* The Q.850 cause of a Reason header ("Q.850;cause=17;text=..."); 0: none */
static unsigned cause_in(const char *reason)
{
	struct sl_str v;
	uint64_t cause;

	if (!reason[0] || !sip_param(sl_str_c(reason), "cause", &v) || sl_str_u64(v, &cause) < 0)
		return 0;
	return cause < 128 ? (unsigned)cause : 0;
}

static const char *why_ended(const struct party *p, unsigned status)
{
	bool rang = !p->caller && p->state != PARTY_UP;

	if (status < 300 && rang)
		return "Answered on another device.";
	return browser_sentence(status);
}

void browser_end(struct party *p, unsigned status)
{
	unsigned cause = cause_in(p->call->reason);
	json_t *json = browser_with_status(browser_message("hangup", p->tag), status,
					   why_ended(p, status));

	if (json && cause > 0)
		(void)json_object_set_new(json, "cause", json_integer(cause));
	browser_say(p, json);
}
