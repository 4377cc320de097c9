/*
 * turn-relay/show.c: what others learn of an allocation: the words of its session, which `sluice
 * sessions` shows, and the events "turn.allocated", "turn.refreshed" and "turn.released", for
 * accounting.
 *
 * The layout of the words is the core's (struct sl_relay_view). Packets and bytes are in the
 * session's statistics anyway.
 */
#include "relay.h"

#include <inttypes.h>

/* ---- in the session */

/* One that waits for its client is shown as it came last. */
static enum sl_relay_transport transport_of(const struct relay *r)
{
	if (r->flow)
		return sl_flow_is_dtls(r->flow) ? SL_RELAY_DTLS : SL_RELAY_UDP;
	if (r->stream && stream_place(r->stream).datagrams)
		return SL_RELAY_DTLS;
	if (r->stream)
		return sl_conn_is_tls(stream_conn(r->stream)) ? SL_RELAY_TLS : SL_RELAY_TCP;
	return sl_relay_view_read(r->session->words).transport;
}

static struct sl_addr relayed_of(const struct relay *r, uint8_t family)
{
	const struct sl_addr *a = sl_turn_alloc_relayed(r->alloc, family);

	return a ? *a : (struct sl_addr){0};
}

void show_relay(struct relay *r)
{
	struct sl_relay_view v;

	if (!r->session)
		return;
	v = (struct sl_relay_view){
		.transport = transport_of(r),
		.tcp = sl_turn_alloc_is_tcp(r->alloc),
		.permissions = sl_turn_alloc_permissions(r->alloc),
		.channels = sl_turn_alloc_channels(r->alloc),
		.offloaded = r->n_offloaded,
		.relayed = {relayed_of(r, 4), relayed_of(r, 6)},
	};
	sl_relay_view_write(r->session->words, &v);
}

void show_counted(void *ctx, struct sl_turn_alloc *a)
{
	struct relay *r = sl_turn_data(a);

	(void)ctx;
	if (r)
		show_relay(r);
}

/* ---- on the bus */

static void write_name(struct sl_buf *out, const char *name, struct sl_str value)
{
	sl_buf_printf(out, ",\"%s\":", name);
	sl_buf_json(out, value);
}

static void write_facts(struct sl_buf *out, const struct relay *r)
{
	struct sl_session_fact facts[SL_SESSION_FACTS];
	unsigned n = sl_session_facts(SL_KIND_TURN, r->session->words, facts);

	for (unsigned i = 0; i < n; i++) {
		sl_buf_printf(out, ",");
		sl_session_fact_json(out, &facts[i]);
	}
}

static void write_counts(struct sl_buf *out, const struct relay *r)
{
	const struct sl_session_stats *n = r->session->stats;

	sl_buf_printf(out,
		      ",\"packets_in\":%" PRIu64 ",\"bytes_in\":%" PRIu64
		      ",\"packets_out\":%" PRIu64 ",\"bytes_out\":%" PRIu64
		      ",\"duration_ms\":%" PRIu64,
		      n->packets_in, n->bytes_in, n->packets_out, n->bytes_out,
		      module_now_ms(r->module) - r->granted_ms);
}

static void write_event(struct sl_buf *out, const struct relay *r, const char *why)
{
	const struct sl_turn_client *client = sl_turn_alloc_client(r->alloc);
	const uint64_t now = module_now_ms(r->module), end = sl_turn_alloc_expires_ms(r->alloc);
	char text[SL_ADDR_STRLEN];

	sl_buf_printf(out, "{\"session\":\"%s\"", sl_sid_format(text, r->session->sid));
	write_name(out, "user", sl_turn_alloc_user(r->alloc));
	write_name(out, "realm", r->module->realms[client->realm].realm);
	write_name(out, "client", sl_str_c(sl_addr_format(text, &client->remote)));
	write_facts(out, r);
	write_counts(out, r);
	if (why)
		write_name(out, "why", sl_str_c(why));
	else
		sl_buf_printf(out, ",\"lifetime_ms\":%" PRIu64, end > now ? end - now : 0);
	sl_buf_printf(out, "}");
}

void show_event(struct relay *r, const char *name, const char *why)
{
	struct sl_worker *w = r->module->worker;
	struct sl_buf text;

	if (!sl_bus_is_heard(w)) /* the text is a twentieth of what an allocation costs */
		return;
	sl_buf_init(&text, 0);
	write_event(&text, r, why);
	if (sl_buf_ok(&text) == 0) {
		const struct sl_bus_event ev = {
			.kind = SL_EV_USER,
			.name = name,
			.owner = sl_worker_owner(w),
			.sid = r->session->sid,
			.session_kind = SL_KIND_TURN,
			.text = {(const char *)text.p, text.len},
		};

		sl_bus_publish(w, &ev);
	} else {
		sl_log(SL_LOG_WARN, "turn-relay", "out of memory: nobody is told of %s", name);
	}
	sl_buf_free(&text);
}
