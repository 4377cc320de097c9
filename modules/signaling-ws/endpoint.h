/*
 * signaling-ws/endpoint.h: the hub of one worker with everything around it.
 */
#ifndef SIGNALING_ENDPOINT_H
#define SIGNALING_ENDPOINT_H

#include "hub.h"

struct signaling {
	struct hub hub;
	struct sl_worker *w;
	const struct signal_conf *conf;
	const struct sl_http_iface *http;
	void *http_self;
	struct sl_channel *channel;
	struct sl_timer tick;
	struct sl_post turn;
	struct sl_ws_ops ops;
	struct token_rules rules;
};

/* Offers the WebSocket endpoint. */
int endpoint_open(struct signaling *s);
struct sl_tokens_iface;
extern const struct sl_tokens_iface endpoint_tokens; /* self: struct signaling */
/* An array of servers for one client: the operator's and those of a relay module. */
int endpoint_ice_servers(struct signaling *s, struct sl_str host, struct sl_str id,
			 struct sl_buf *json, uint64_t *ret_ttl_s);

#endif
