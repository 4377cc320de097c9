/*
 * turn_relay.c: the TURN server (RFC 8656): relays UDP and TCP between clients, over UDP, TCP, TLS
 * or DTLS, and their peers.
 *
 * The descriptor, the module's life in a worker, and the engine's clock: after each request the
 * engine says when it next wants to be woken, and one loop timer is set to that.
 */
#include "relay.h"

#include <stdlib.h>

enum { OBJECTS_PER_BLOCK = 64 };

/* ---- the engine's clock */

void module_arm(struct turn_relay *m)
{
	uint64_t now = module_now_ms(m), next = sl_turn_tick(m->engine, now);

	if (next == UINT64_MAX)
		sl_timer_cancel(m->worker->loop, &m->timer);
	else
		sl_timer_set(m->worker->loop, &m->timer, next > now ? next - now : 0);
}

static void on_timer(struct sl_timer *t)
{
	struct turn_relay *m = t->arg;

	module_arm(m);
	meters_touch(m);
}

/* ---- life */

static void module_free(struct turn_relay *m)
{
	pumps_stop(m);
	bridges_stop(m);
	streams_close(m);
	alternates_close(m);
	sl_pass_close(m->pass);
	claim_close(m);
	if (m->channel)
		sl_channel_close(m->channel);
	if (m->engine) {
		offload_end(m);
		meters_export(&m->post);
		sl_turn_free(m->engine);
	}
	sl_timer_cancel(m->worker->loop, &m->timer);
	sl_timer_cancel(m->worker->loop, &m->read_pairs);
	sl_post_cancel(m->worker->loop, &m->post);
	policy_close(m);
	relay_engine_conf_free(m);
	credentials_close(m);
	unproven_close(m);
	sl_slab_destroy(m->relays);
	sl_slab_destroy(m->sockets);
	sl_slab_destroy(m->pairs);
	free(m);
}

static int open_slabs(struct turn_relay *m)
{
	m->relays = sl_slab_new(sizeof(struct relay), OBJECTS_PER_BLOCK);
	m->sockets = sl_slab_new(sizeof(struct relay_socket), OBJECTS_PER_BLOCK);
	return m->relays && m->sockets ? 0 : -SL_ENOMEM;
}

/* Nonces hold in every process of the node and in the next generation: their key comes from the
 * node's. */
static int open_engine(struct turn_relay *m)
{
	const struct sl_str node_key = {(const char *)m->worker->node_key, 32};
	uint8_t key[32];
	int err;

	err = relay_engine_conf(m);
	if (err < 0)
		return err;
	sl_hmac_sha256(key, node_key, "turn nonce", 10);
	err = sl_turn_new(&m->engine, &m->engine_conf, key, &relay_io, m);
	sl_wipe(key, sizeof key);
	return err;
}

/* RFC 8656 section 14: fields are carried, or have the defaults; of both sides DF is not asked for,
 * and is 0 then. */
int module_hear_header(const struct turn_relay *m, struct sl_udp *u)
{
	int err = sl_udp_may_fragment(u);

	if (err == 0 && m->conf->carry_dscp)
		err = sl_udp_recv_tos(u);
	if (err == 0 && m->conf->carry_ttl)
		err = sl_udp_recv_ttl(u);
	return err;
}

static int open_listeners(struct turn_relay *m)
{
	const struct sl_listener *const *list;
	unsigned n = sl_listeners(m->worker, &list);

	for (unsigned i = 0; i < n; i++) {
		struct sl_udp *u = sl_listener_udp(m->worker, list[i]);

		if (u && sl_listener_conf(m->worker, list[i], "turn-relay") &&
		    module_hear_header(m, u) < 0)
			return -SL_ESYS;
	}
	return 0;
}

static int module_open(struct turn_relay *m)
{
	int err;

	err = open_slabs(m);
	if (err == 0)
		err = offload_begin(m);
	if (err == 0)
		err = credentials_open(m);
	if (err == 0)
		err = host_read(m);
	if (err == 0)
		err = unproven_open(m);
	if (err == 0)
		err = open_engine(m);
	if (err == 0)
		err = claim_open(m);
	if (err == 0)
		err = transfer_open(m);
	if (err == 0)
		err = alternates_open(m);
	if (err == 0)
		err = open_listeners(m);
	if (err == 0)
		err = handout_open(m);
	if (err == 0)
		err = sl_iface_provide(m->worker, "ice-servers", 1, &credentials_iface, m);
	return err;
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct turn_relay *m = calloc(1, sizeof *m);
	int err;

	if (!m)
		return -SL_ENOMEM;
	m->worker = w;
	m->conf = conf;
	m->m = sl_worker_meters(w, "turn-relay");
	m->timer = (struct sl_timer){.fn = on_timer, .arg = m};
	m->post = (struct sl_post){.fn = meters_export, .arg = m};
	m->stun = sl_iface_get(w, SL_STUN_IFACE, 1, &m->stun_self);
	err = module_open(m);
	if (err < 0) {
		sl_log(SL_LOG_ERROR, "turn-relay", "cannot start: %s", sl_strerror(err));
		module_free(m);
		return err;
	}
	*ret_ctx = m;
	return 0;
}

static void worker_drain(void *ctx)
{
	struct turn_relay *m = ctx;

	sl_turn_drain(m->engine);
	policy_drain(m);
}

static void worker_stop(void *ctx)
{
	module_free(ctx);
}

static const struct sl_hook hooks[] = {
	SL_ON_DGRAM(SL_DGRAM_CONTENT, SL_NORMAL, datagram_content),
	SL_ON_CONN(SL_CONN_PREREAD, SL_NORMAL, stream_preread),
	SL_HOOKS_END,
};

SL_MODULE(turn_relay, .name = "turn-relay", .version = "1.0",
	  .summary = "TURN server: relays media of clients that cannot reach each other",
	  .directives = relay_directives, .conf_size = sizeof(struct relay_conf), .hooks = hooks,
	  .metrics = relay_metrics, .check = relay_check, .worker_start = worker_start,
	  .worker_drain = worker_drain, .worker_stop = worker_stop);
