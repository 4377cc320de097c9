/*
 * sip_gateway.c: the descriptor: telephones, PBXs and carriers beside browsers.
 *
 * Two halves: sockets and media in every worker (edge.h), dialogs in a process of their own
 * (stack.h). A crash of the stack costs a moment of signalling and no media.
 */
#include "aux.h"
#include "conf.h"
#include "registrations_tool.h"
#include "route_tool.h"

static const struct sl_hook hooks[] = {
	SL_ON_DGRAM(SL_DGRAM_CONTENT, SL_NORMAL, datagram_hook),
	SL_ON_CONN(SL_CONN_PREREAD, SL_EARLY, stream_preread),
	SL_ON_EVENT(SL_NORMAL, edge_on_event),
	SL_HOOKS_END,
};

static const struct sl_tool tools[] = {
	{.name = "route",
	 .usage = "       sluice route URI|NUMBER [from USER | trunk NAME | browser | anyone]\n",
	 .run = route_tool},
	{.name = "registrations",
	 .usage = "       sluice registrations [--json] [USER]\n"
		  "       sluice registrations end USER [CONTACT]\n",
	 .run = registrations_tool},
	{.name = NULL},
};

SL_MODULE(sip_gateway, .name = "sip-gateway", .version = "1.0",
	  .summary = "SIP: registrar, trunks and calls between phones and browsers",
	  .flags = SL_M_AUX, .directives = sip_directives, .conf_size = sizeof(struct sip_conf),
	  .hooks = hooks, .metrics = sip_metrics, .check = sip_conf_check,
	  .worker_start = edge_start, .worker_drain = edge_drain, .worker_stop = edge_stop,
	  .aux_start = aux_start, .aux_drain = aux_drain, .aux_stop = aux_stop, .tools = tools,
	  .asked = aux_asked);
