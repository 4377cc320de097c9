/*
 * sip-gateway/aux.h: the halves of the module, for its descriptor.
 */
#ifndef SIP_AUX_H
#define SIP_AUX_H

#include <sluice/module.h>

int aux_start(struct sl_worker *w, void *conf, void **ret_ctx);
void aux_drain(void *ctx);
void aux_stop(void *ctx);
/* By a command of this module; see shown_bindings.c for the words */
int aux_asked(void *ctx, struct sl_str words, struct sl_buf *answer);

int edge_start(struct sl_worker *w, void *conf, void **ret_ctx);
void edge_drain(void *ctx);
void edge_stop(void *ctx);
int edge_on_event(void *ctx, const struct sl_bus_event *ev);
int datagram_hook(void *ctx, struct sl_packet *p);
int stream_preread(void *ctx, struct sl_conn *conn);

#endif
