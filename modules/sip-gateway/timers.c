/*
 * sip-gateway/timers.c: session timers (RFC 4028): a dialog whose peer vanished without a word
 * ends.
 *
 * One side refreshes after half the interval; the other takes a dialog for dead that was not
 * refreshed in time. Who does is agreed with each answer. A peer that knows nothing of it is
 * refreshed by us.
 */
#include "call.h"

#include <stdio.h>

enum { MIN_SE = 90, SECOND = 1000 };

static void on_refresh(struct alarm *a)
{
	party_reinvite(a->arg);
}

static void on_expire(struct alarm *a)
{
	struct party *p = a->arg;

	p->status = 408;
	call_left(p->call, p, 408);
}

void session_init(struct party *p)
{
	p->refresh = (struct alarm){.fn = on_refresh, .arg = p};
	p->expire = (struct alarm){.fn = on_expire, .arg = p};
}

void session_stop(struct party *p)
{
	alarm_cancel(&p->call->stack->alarms, &p->refresh);
	alarm_cancel(&p->call->stack->alarms, &p->expire);
}

/* The one who waits gives a little more than the one who refreshes takes (section 10). */
static void arm(struct party *p, bool we_refresh)
{
	struct alarms *t = &p->call->stack->alarms;
	uint64_t ms = (uint64_t)p->session_s * SECOND, margin = ms / 3 < 32000 ? ms / 3 : 32000;

	session_stop(p);
	p->we_refresh = we_refresh;
	if (p->session_s == 0)
		return;
	if ((we_refresh && alarm_set(t, &p->refresh, ms / 2) < 0) ||
	    (!we_refresh && alarm_set(t, &p->expire, ms - margin) < 0))
		p->session_s = 0; /* out of memory: the call's other timers remain */
}

void session_start(struct party *p)
{
	arm(p, p->we_refresh);
}

static uint32_t least(const struct party *p)
{
	return p->session_min_s > MIN_SE ? p->session_min_s : MIN_SE;
}

static uint32_t ours(const struct party *p)
{
	uint32_t s = (uint32_t)(p->call->stack->conf->session_expires / SECOND);

	return s > least(p) ? s : least(p);
}

void session_put(struct party *p, struct sl_buf *b)
{
	if (p->session_s == 0)
		sl_buf_printf(b, "Session-Expires: %u\r\nMin-SE: %u\r\n", ours(p), least(p));
	else
		sl_buf_printf(b, "Session-Expires: %u;refresher=%s\r\nMin-SE: %u\r\n", p->session_s,
			      p->we_refresh ? "uac" : "uas", least(p));
}

bool session_refuses(struct strans *t, const struct sip_msg *m)
{
	const sip_session_expires_t *x = m->sip->sip_session_expires;
	char line[32];

	if (!x || x->x_delta >= MIN_SE || !message_supports(m, "timer"))
		return false;
	(void)snprintf(line, sizeof line, "Min-SE: %u\r\n", MIN_SE);
	strans_reply(t, &(struct strans_reply){.status = 422, .headers = sl_str_c(line)});
	return true;
}

void session_from_request(struct party *p, const struct sip_msg *m, struct sl_buf *headers)
{
	const sip_session_expires_t *x = m->sip->sip_session_expires;
	bool knows = message_supports(m, "timer");
	bool they;

	p->session_s = ours(p);
	if (x && x->x_delta >= MIN_SE && x->x_delta < p->session_s)
		p->session_s = (uint32_t)x->x_delta;
	they = knows &&
	       !(x && x->x_refresher && sl_str_eq_nocase(sl_str_c(x->x_refresher), SL_STR("uas")));
	if (knows)
		sl_buf_printf(headers, "Session-Expires: %u;refresher=%s\r\n%s", p->session_s,
			      they ? "uac" : "uas", they ? "Require: timer\r\n" : "");
	arm(p, !they);
}

bool session_accepts_longer(struct party *p, const struct sip_msg *m)
{
	uint64_t s;

	if (sl_str_u64(message_header(m, "Min-SE"), &s) < 0 || s <= p->session_min_s ||
	    s > UINT32_MAX / SECOND)
		return false;
	p->session_min_s = (uint32_t)s;
	return true;
}

void session_from_response(struct party *p, const struct sip_msg *m)
{
	const sip_session_expires_t *x = m->sip->sip_session_expires;
	bool they =
		x && x->x_refresher && sl_str_eq_nocase(sl_str_c(x->x_refresher), SL_STR("uas"));

	p->session_s = x && x->x_delta >= MIN_SE ? (uint32_t)x->x_delta : ours(p);
	arm(p, !they);
}
