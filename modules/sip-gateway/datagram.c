/*
 * sip-gateway/datagram.c: SIP over UDP, on listeners that other protocols share.
 *
 * Keep-alives of phones are a few bytes of white space, or a lone NUL: they hold a NAT's mapping
 * open and want no answer. STUN keep-alives (RFC 5626 section 4.4.2) are the module stun's.
 * Outgoing datagrams leave from the listener that the flow names; a message that does not fit the
 * arena's packets is not sent: who has so much to say comes by TCP.
 */
#include "edge.h"

static bool is_keep_alive(const struct sl_packet *p)
{
	for (uint32_t i = 0; i < p->len; i++)
		if (p->data[i] != '\r' && p->data[i] != '\n' && p->data[i] != 0)
			return false;
	return p->len <= 4;
}

int datagram_hook(void *ctx, struct sl_packet *p)
{
	struct edge *e = ctx;
	const struct sl_str bytes = {(const char *)p->data, p->len};
	struct sip_flow flow = {
		.worker = sl_worker_owner(e->w),
		.transport = SIP_UDP,
		.remote = p->from,
		.local = *p->local,
	};

	if (p->assoc || p->len == 0)
		return SL_DECLINED;
	if (is_keep_alive(p))
		return SL_DONE;
	if (sip_judge(bytes) <= 0)
		return SL_DECLINED;
	flow.listener = sl_udp_listener(p->udp)->index;
	if (!edge_receive(e, &flow, bytes))
		return SL_DROP;
	return SL_DONE;
}

static const struct sl_listener *find_listener(const struct edge *e, const struct sip_flow *flow)
{
	const struct sl_listener *const *all;
	const struct sl_listener *any = NULL;
	unsigned n = sl_listeners(e->w, &all);

	for (unsigned i = 0; i < n; i++) {
		if (!all[i]->udp || all[i]->local.family != flow->remote.family ||
		    !sl_listener_conf(e->w, all[i], "sip-gateway"))
			continue;
		if (all[i]->index == flow->listener)
			return all[i];
		if (!any)
			any = all[i];
	}
	return any;
}

int datagram_send(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	const struct sl_listener *l = find_listener(e, flow);
	struct sl_packet *p;
	uint8_t *dst;
	int rc;

	if (!l)
		return -SL_ENOENT;
	if (message.len > SL_PACKET_MAX)
		return -SL_ELIMIT;
	p = sl_packet_new(e->w);
	if (!p)
		return -SL_EFULL;
	dst = sl_packet_append(p, message.len);
	memcpy(dst, message.p, message.len);
	if (flow->local.family == flow->remote.family &&
	    sl_addr_classify(&l->local) == SL_ADDR_UNSPECIFIED)
		rc = sl_udp_send_from(sl_listener_udp(e->w, l), p, &flow->local, &flow->remote);
	else
		rc = sl_udp_send(sl_listener_udp(e->w, l), p, &flow->remote);
	sl_packet_unref(p);
	return rc;
}
