/*
 * sip-gateway/cdr.c: the record of a call, as one JSON object: who, when, how long, what the media
 * was like on either side, who hung up and why. Times are Unix milliseconds, durations
 * milliseconds.
 */
#include "call.h"

#include <stdlib.h>

unsigned cause_of(unsigned status)
{
	static const struct {
		uint16_t status;
		uint8_t cause; /* Q.850, by RFC 3398 section 8.2.6.1 */
	} map[] = {
		{200, 16}, {400, 41},  {401, 21}, {403, 21}, {404, 1},	{405, 63},
		{407, 21}, {408, 102}, {410, 22}, {415, 79}, {480, 18}, {481, 41},
		{484, 28}, {486, 17},  {487, 16}, {488, 65}, {500, 41}, {501, 79},
		{503, 41}, {504, 102}, {600, 17}, {603, 21}, {604, 1},	{606, 65},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(map); i++)
		if (map[i].status == status)
			return map[i].cause;
	return status < 300 ? 16 : 31;
}

const char *cause_text(unsigned cause)
{
	switch (cause) {
	case 1:
		return "Unallocated number";
	case 16:
		return "Normal call clearing";
	case 17:
		return "User busy";
	case 18:
		return "No user responding";
	case 21:
		return "Call rejected";
	case 28:
		return "Invalid number format";
	case 41:
		return "Temporary failure";
	case 65:
		return "Bearer capability not implemented";
	case 102:
		return "Recovery on timer expiry";
	default:
		return "Normal, unspecified";
	}
}

static void put_text(struct sl_buf *b, const char *name, const char *value)
{
	sl_buf_printf(b, ",\"%s\":", name);
	sl_buf_json(b, sl_str_c(value));
}

static void put_since(struct sl_buf *b, const char *name, uint64_t from, uint64_t to)
{
	if (from && to >= from)
		sl_buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)(to - from));
}

static void put_party(struct sl_buf *b, const struct party *p)
{
	const char *kind = p->kind == PARTY_BROWSER ? "browser" : p->trunk ? "trunk" : "sip";

	sl_buf_printf(b, "{\"kind\":\"%s\",\"role\":\"%s\"", kind, p->caller ? "caller" : "callee");
	put_text(b, "name", p->name);
	if (p->trunk)
		put_text(b, "trunk", p->trunk->conf->name.p);
	if (p->call_id)
		put_text(b, "call_id", p->call_id);
	if (p->kind == PARTY_SIP)
		put_text(b, "transport", sip_transport_name(p->flow.transport));
	if (p->status)
		sl_buf_printf(b, ",\"status\":%u", p->status);
	put_since(b, "ring_ms", p->begun_ms, p->ringing_ms);
	put_since(b, "answer_ms", p->begun_ms, p->answered_ms);
	sl_buf_printf(b, ",\"answered\":%s", p->answered_ms ? "true" : "false");
	if (p->stats && p->stats[0] == '{')
		sl_buf_printf(b, ",\"media\":%s", p->stats);
	sl_buf_str(b, SL_STR("}"));
}

static void put_parties(struct sl_buf *b, const struct call *c)
{
	bool first = true;

	sl_buf_str(b, SL_STR(",\"parties\":["));
	for (const struct party *p = c->parties; p; p = p->next) {
		if (p->kind == PARTY_RECORDER || p->kind == PARTY_SPAN)
			continue;
		if (!first)
			sl_buf_u8(b, ',');
		first = false;
		put_party(b, p);
	}
	sl_buf_u8(b, ']');
}

/* The recorders that were called, each with what became of it */
static void put_recorders(struct sl_buf *b, const struct call *c)
{
	bool first = true;

	for (const struct party *p = c->parties; p; p = p->next) {
		if (p->kind != PARTY_RECORDER || !p->call_id)
			continue;
		sl_buf_str(b, first ? SL_STR(",\"recorders\":[{") : SL_STR(",{"));
		first = false;
		sl_buf_printf(b, "\"answered\":%s,\"status\":%u", p->answered_ms ? "true" : "false",
			      p->status);
		put_text(b, "trunk", p->trunk->conf->name.p);
		put_text(b, "call_id", p->call_id);
		if (p->stats && p->stats[0] == '{')
			sl_buf_printf(b, ",\"media\":%s", p->stats);
		sl_buf_u8(b, '}');
	}
	if (!first)
		sl_buf_u8(b, ']');
}

void cdr_write(struct call *c)
{
	const struct stack *s = c->stack;
	const struct party *caller = NULL;
	uint64_t now = stack_now(s);
	char id[33];
	struct sl_buf b;

	for (const struct party *p = c->parties; p; p = p->next)
		if (p->caller)
			caller = p;
	sl_hex_encode(id, c->id, sizeof c->id);
	sl_buf_init(&b, 60 * 1024);
	sl_buf_printf(&b, "{\"call\":\"%s\",\"begun\":%llu", id,
		      (unsigned long long)c->begun_unix_ms);
	put_text(&b, "from", caller ? caller->name : "");
	put_text(&b, "to", c->called);
	if (c->plan.route)
		put_text(&b, "route", c->plan.route->name.len ? c->plan.route->name.p : "unnamed");
	put_since(&b, "post_dial_ms", c->begun_ms, c->ringing_ms);
	put_since(&b, "setup_ms", c->begun_ms, c->answered_ms);
	put_since(&b, "duration_ms", c->answered_ms, now);
	sl_buf_printf(&b, ",\"answered\":%s", c->answered ? "true" : "false");
	put_text(&b, "ended_by", c->ended_by ? c->ended_by : "node");
	sl_buf_printf(&b, ",\"status\":%u,\"cause\":%u", c->end_status, cause_of(c->end_status));
	if (c->n_restarts)
		sl_buf_printf(&b, ",\"media_restarts\":%u", c->n_restarts);
	if (c->reason[0])
		put_text(&b, "reason", c->reason);
	put_parties(&b, c);
	put_recorders(&b, c);
	sl_buf_u8(&b, '}');
	if (sl_buf_ok(&b) == 0)
		s->io->record(s->io->arg, sl_buf_view(&b));
	sl_buf_free(&b);
}
