/*
 * session/fact.c: what the four words of a shared session entry mean, for `sluice sessions` and for
 * events.
 *
 * A tool has no module loaded, so the layout of a kind that it shall understand is here. Words are
 * written one by one when something changes, never for a packet; who reads them may find the old
 * and the new of a change beside each other.
 *
 * SL_KIND_TURN:
 *     0     transport (8 bits), relay is for TCP (8), permissions (16), channels (16), directions
 *           that the kernel relays (16)
 *     1, 2  relayed IPv6 address
 *     3     relayed IPv4 address (32), its port (16), the port of IPv6 (16); port 0: not relayed
 *
 * SL_KIND_SIP:
 *     0     state of the call (8 bits), recorded (8), slot of the worker with its media (16)
 *     1     when it was answered (loop time, ms); 0: not yet
 */
#include <inttypes.h>
#include <sluice/clock.h>
#include <sluice/session.h>

static const char *const transport_names[] = {
	[SL_RELAY_UDP] = "udp",
	[SL_RELAY_TCP] = "tcp",
	[SL_RELAY_TLS] = "tls",
	[SL_RELAY_DTLS] = "dtls",
};

static uint64_t in_16_bits(unsigned n)
{
	return n < UINT16_MAX ? n : UINT16_MAX;
}

void sl_relay_view_write(uint64_t words[4], const struct sl_relay_view *v)
{
	const struct sl_addr *v4 = &v->relayed[0], *v6 = &v->relayed[1];

	words[0] = (uint64_t)v->transport << 56 | (uint64_t)v->tcp << 48 |
		   in_16_bits(v->permissions) << 32 | in_16_bits(v->channels) << 16 |
		   in_16_bits(v->offloaded);
	words[1] = sl_get64(v6->ip);
	words[2] = sl_get64(v6->ip + 8);
	words[3] = (uint64_t)sl_get32(v4->ip) << 32 | (uint64_t)v4->port << 16 | v6->port;
}

struct sl_relay_view sl_relay_view_read(const uint64_t words[4])
{
	struct sl_relay_view v = {
		.transport = (enum sl_relay_transport)(words[0] >> 56),
		.tcp = words[0] >> 48 & 1,
		.permissions = words[0] >> 32 & UINT16_MAX,
		.channels = words[0] >> 16 & UINT16_MAX,
		.offloaded = words[0] & UINT16_MAX,
	};
	struct sl_addr *v4 = &v.relayed[0], *v6 = &v.relayed[1];

	v4->port = (uint16_t)(words[3] >> 16);
	v4->family = v4->port ? 4 : 0;
	sl_put32(v4->ip, (uint32_t)(words[3] >> 32));
	v6->port = (uint16_t)words[3];
	v6->family = v6->port ? 6 : 0;
	sl_put64(v6->ip, words[1]);
	sl_put64(v6->ip + 8, words[2]);
	return v;
}

/* ---- facts */

static struct sl_session_fact text(const char *name, const char *value)
{
	struct sl_session_fact f = {.name = name};

	(void)sl_str_copy(f.text, sizeof f.text, sl_str_c(value)); /* all of ours fit */
	return f;
}

static struct sl_session_fact number(const char *name, uint64_t value)
{
	return (struct sl_session_fact){.name = name, .number = value};
}

static unsigned relay_facts(const struct sl_relay_view *v, struct sl_session_fact *f)
{
	static const char *const relayed_names[2] = {"relayed", "relayed_ipv6"};
	const struct sl_session_fact *first = f;
	char addr[SL_ADDR_STRLEN];

	*f++ = text("transport", v->transport < SL_ARRAY_LEN(transport_names)
					 ? transport_names[v->transport]
					 : "unknown");
	*f++ = text("relay", v->tcp ? "tcp" : "udp");
	for (int i = 0; i < 2; i++)
		if (v->relayed[i].family)
			*f++ = text(relayed_names[i], sl_addr_format(addr, &v->relayed[i]));
	*f++ = number("permissions", v->permissions);
	*f++ = number("channels", v->channels);
	*f++ = number("offloaded", v->offloaded);
	return (unsigned)(f - first);
}

static const char *const call_states[] = {
	[SL_CALL_TRYING] = "trying",
	[SL_CALL_RINGING] = "ringing",
	[SL_CALL_UP] = "up",
	[SL_CALL_HELD] = "held",
};

void sl_call_view_write(uint64_t words[4], const struct sl_call_view *v)
{
	words[0] =
		(uint64_t)v->state << 56 | (uint64_t)v->recorded << 48 | (uint64_t)v->worker << 32;
	words[1] = v->answered_ms;
}

struct sl_call_view sl_call_view_read(const uint64_t words[4])
{
	return (struct sl_call_view){.state = (enum sl_call_state)(words[0] >> 56),
				     .recorded = words[0] >> 48 & 1,
				     .worker = words[0] >> 32 & UINT16_MAX,
				     .answered_ms = words[1]};
}

static unsigned call_facts(const struct sl_call_view *v, struct sl_session_fact *f)
{
	uint64_t now = sl_clock_ns() / SL_NS_PER_MS;
	const struct sl_session_fact *first = f;

	*f++ = text("state", v->state < SL_ARRAY_LEN(call_states) ? call_states[v->state] : "?");
	*f++ = number("talk_s",
		      v->answered_ms && now > v->answered_ms ? (now - v->answered_ms) / 1000 : 0);
	*f++ = number("media_slot", v->worker);
	*f++ = number("recorded", v->recorded);
	return (unsigned)(f - first);
}

unsigned sl_session_facts(unsigned kind, const uint64_t words[4],
			  struct sl_session_fact ret_facts[SL_SESSION_FACTS])
{
	struct sl_relay_view relay;
	struct sl_call_view call;

	switch (kind) {
	case SL_KIND_TURN:
		relay = sl_relay_view_read(words);
		return relay_facts(&relay, ret_facts);
	case SL_KIND_SIP:
		call = sl_call_view_read(words);
		return call_facts(&call, ret_facts);
	default:
		return 0;
	}
}

void sl_session_fact_json(struct sl_buf *out, const struct sl_session_fact *f)
{
	sl_buf_printf(out, "\"%s\":", f->name);
	if (f->text[0])
		sl_buf_json(out, sl_str_c(f->text));
	else
		sl_buf_printf(out, "%" PRIu64, f->number);
}
