/*
 * fuzz_signal_json.c: what clients and other workers may say: lines of text to two clients of one
 * hub.
 *
 * The first byte of each line chooses: a client that joined, one that did not, a message of another
 * worker (type in the next byte), or time that passes. Nothing may crash, and nobody may have more
 * peers than clients.
 */
#include "modules/signaling-ws/hub.h"

#include <stdlib.h>
#include <sluice/crypto.h>

static uint64_t words[N_SIGNAL_METRICS][16];
static struct sl_meter meters[N_SIGNAL_METRICS];
static uint8_t sockets[2];

static int io_send(void *arg, struct sl_ws *ws, struct sl_str text)
{
	(void)arg;
	(void)ws;
	(void)text;
	return 0;
}

static size_t io_queued(void *arg, const struct sl_ws *ws)
{
	(void)arg;
	(void)ws;
	return 0;
}

static void io_close(void *arg, struct sl_ws *ws, unsigned code, struct sl_str reason)
{
	(void)arg;
	(void)ws;
	(void)code;
	(void)reason;
}

static int io_post(void *arg, uint32_t to, uint16_t type, struct sl_str data)
{
	(void)arg;
	(void)to;
	(void)type;
	(void)data;
	return 0;
}

static void io_broadcast(void *arg, uint16_t type, struct sl_str data)
{
	(void)arg;
	(void)type;
	(void)data;
}

static bool io_is_alive(void *arg, uint32_t owner)
{
	(void)arg;
	return (owner & 1) == 0;
}

static int io_session_open(void *arg, struct peer *p, bool counted)
{
	(void)arg;
	(void)p;
	(void)counted;
	return 0;
}

static void io_session_close(void *arg, struct peer *p, const char *why)
{
	(void)arg;
	(void)p;
	(void)why;
}

static int io_ice_servers(void *arg, struct sl_str host, struct sl_str id, struct sl_buf *json,
			  uint64_t *ret_ttl_s)
{
	(void)arg;
	(void)host;
	(void)id;
	sl_buf_str(json, SL_STR("[]"));
	*ret_ttl_s = 60;
	return 0;
}

/* Each message takes some of a tick, so that some wait. */
static uint64_t io_clock_us(void *arg)
{
	static uint64_t now_us;

	(void)arg;
	now_us += 700;
	return now_us;
}

static void io_go_on(void *arg)
{
	(void)arg;
}

static const struct hub_io io = {
	.send = io_send,
	.queued = io_queued,
	.close = io_close,
	.post = io_post,
	.broadcast = io_broadcast,
	.is_alive = io_is_alive,
	.session_open = io_session_open,
	.session_close = io_session_close,
	.ice_servers = io_ice_servers,
	.clock_us = io_clock_us,
	.go_on = io_go_on,
};

static const struct signal_conf conf = {
	.max_message = 4096,
	.max_queue = 65536,
	.mailbox_bytes = 65536,
	.mailbox_messages = 64,
	.max_peers = 16,
	.max_name = 32,
	.max_candidates = 4,
	.rate = 1000,
	.burst = 1000,
	.resume_timeout = 3000,
	.join_timeout = 1000,
};

static struct conn *open_conn(struct hub *hub, unsigned i)
{
	struct claims claims = {.may = MAY_ALL};
	struct conn *c = hub_conn_new(hub, &claims, strdup("localhost"));

	sl_assert(c);
	hub_conn_opened(c, (struct sl_ws *)&sockets[i]);
	return c;
}

static void one_line(struct hub *hub, struct conn **conns, struct sl_str line)
{
	struct sl_str rest = {line.p + 1, line.len - 1};

	switch (line.p[0] & 3) {
	case 0:
	case 1:
		hub_conn_text(conns[line.p[0] & 1], rest, (line.p[0] & 4) != 0);
		break;
	case 2:
		if (rest.len > 1)
			spread_receive(hub, 0x20002, (uint16_t)(rest.p[0] & 15),
				       (struct sl_str){rest.p + 1, rest.len - 1});
		break;
	default:
		turns_go_on(hub);
		hub->now_ms += 700;
		hub_tick(hub);
		if (line.p[0] & 4)
			spread_gone(hub, 0x20002);
		if (line.p[0] & 8) {
			hub_conn_closed(conns[1], 1006);
			conns[1] = open_conn(hub, 1);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hub hub = {.conf = &conf, .io = &io, .m = meters, .self = 0x10002, .now_ms = 1000};
	struct sl_str all = {(const char *)data, size};
	uint64_t random = 7;
	struct conn *conns[2];

	for (unsigned i = 0; i < N_SIGNAL_METRICS; i++)
		meters[i] = (struct sl_meter){words[i], signal_time_bounds};
	sl_random_fake(&random);
	for (unsigned i = 0; i < 2; i++)
		conns[i] = open_conn(&hub, i);
	hub_conn_text(conns[0], SL_STR("{\"type\":\"hello\",\"version\":1}"), false);
	hub_conn_text(conns[0], SL_STR("{\"type\":\"join\",\"room\":\"r\"}"), false);
	while (all.len > 0) {
		struct sl_str line = sl_str_split(&all, '\n');

		if (line.len > 0)
			one_line(&hub, conns, line);
	}
	hub_free(&hub);
	sl_random_fake(NULL);
	return 0;
}
