/*
 * sip-gateway/shown.c: calls in the node's table of sessions, for `sluice sessions`: who calls
 * whom, whether they talk, and where. `sluice kick` ends one.
 */
#include "siprec.h"

#include <stdio.h>

static struct sl_session *show(struct call *c)
{
	const struct stack_io *io = c->stack->io;
	static const struct sl_addr nowhere;
	const struct sl_addr *remote =
		c->a && c->a->kind == PARTY_SIP ? &c->a->flow.remote : &nowhere;
	char label[sizeof c->a->name + DIAL_TEXT + 4];

	(void)snprintf(label, sizeof label, "%s > %s", c->a ? c->a->name : "?", c->called);
	return io->show ? io->show(io->arg, c, sl_str_c(label), remote) : NULL;
}

static enum sl_call_state state_of(const struct call *c)
{
	if ((c->a && c->a->held) || (c->b && c->b->held))
		return SL_CALL_HELD;
	if (c->answered)
		return SL_CALL_UP;
	return c->ringing_ms ? SL_CALL_RINGING : SL_CALL_TRYING;
}

void call_show(struct call *c)
{
	if (c->over)
		return;
	if (!c->shown)
		c->shown = show(c);
	if (!c->shown)
		return; /* a call that nobody sees is one all the same */
	sl_call_view_write(c->shown->words,
			   &(struct sl_call_view){.state = state_of(c),
						  .worker = (uint16_t)(c->worker >> 16),
						  .recorded = c->siprec && c->siprec->up,
						  .answered_ms = c->answered_ms});
}

void call_hide(struct call *c)
{
	sl_session_close(c->shown, c->ended_by ? c->ended_by : "ended");
	c->shown = NULL;
}

void calls_evict(struct call *c)
{
	(void)snprintf(c->reason, sizeof c->reason,
		       "Q.850;cause=31;text=\"Ended by the operator\"");
	call_end(c, "node", 503);
}
