/*
 * turn-relay/meters.c: the engine's counters as metrics. The engine counts in plain words of its
 * own; at the end of a tick in which something happened the difference goes to shared memory, where
 * totals outlive this process.
 */
#include "relay.h"

const struct sl_metric relay_metrics[] = {
#define X(name, help) [M_TURN_##name] = SL_COUNTER(name, help),
	SL_TURN_COUNTERS(X)
#undef X
		[M_LIVE] = SL_GAUGE(live_allocations, "allocations that live now"),
	[M_NO_PORT] = SL_COUNTER(
		no_port,
		"relay sockets that could not be had: range used up, or out of descriptors"),
	[M_USER_QUOTA] =
		SL_COUNTER(user_quota_refusals, "allocations over the quota of their user"),
	[M_SOURCE_QUOTA] =
		SL_COUNTER(source_quota_refusals, "allocations over the limit of their source"),
	[M_REALM_QUOTA] =
		SL_COUNTER(realm_quota_refusals, "allocations over the limit of their realm"),
	[M_CHALLENGES_LIMITED] =
		SL_COUNTER(challenges_limited,
			   "requests without credentials dropped: their source sent too many"),
	[M_ANSWERS_LIMITED] = SL_COUNTER(
		answers_limited,
		"answers to unproven sources not sent: more than the worker had received"),
	[M_CREDENTIALS_GIVEN] =
		SL_COUNTER(credentials_given, "credentials given out at credentials_path"),
	[M_CREDENTIALS_REFUSED] = SL_COUNTER(credentials_refused,
					     "requests at credentials_path without a good token"),
	[M_ALTERNATES_FOUND] = SL_COUNTER(alternates_found,
					  "alternates that began to answer, seen by each worker"),
	[M_ALTERNATES_LOST] = SL_COUNTER(alternates_lost,
					 "alternates that ceased to answer, seen by each worker"),
	[M_FORWARDED] = SL_COUNTER(forwarded, "requests and connections passed to the worker that "
					      "keeps their port, allocation or peer"),
	[M_CLIENT_QUEUE_FULL] =
		SL_COUNTER(client_queue_full, "packets dropped on the way to clients: queue full"),
	[M_PEER_QUEUE_FULL] =
		SL_COUNTER(peer_queue_full, "packets dropped on the way to peers: queue full"),
	[M_TOO_LONG] =
		SL_COUNTER(too_long, "packets dropped as longer than a datagram may be here"),
	SL_COUNTER(ttl_expired, "packets dropped at the end of their TTL (carry_ttl)"),
	[M_CONNECTIONS] = SL_COUNTER(connections, "connections of clients over TCP and TLS"),
	[M_STREAM_ERRORS] =
		SL_COUNTER(stream_errors, "connections closed because they fell out of framing"),
	SL_METRICS_END,
};

void meters_export(struct sl_post *post)
{
	struct turn_relay *m = post->arg;
	const struct sl_turn_counters *now = sl_turn_counters(m->engine);

#define X(name, help)                                                                              \
	if (now->name != m->exported.name)                                                         \
		sl_count_n(&m->m[M_TURN_##name], now->name - m->exported.name);
	SL_TURN_COUNTERS(X)
#undef X
	m->exported = *now;
}
