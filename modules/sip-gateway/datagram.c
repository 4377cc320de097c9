/*
 * sip-gateway/datagram.c: SIP over UDP, on listeners that other protocols share.
 *
 * Keep-alives of phones are a few bytes of white space, or a lone NUL: they hold a NAT's mapping
 * open and want no answer. STUN keep-alives (RFC 5626 section 4.4.2) are the module stun's.
 * Outgoing datagrams leave from the listener that the flow names; long ones in fragments.
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

/* What fits into no packet: the INVITEs of PBXs with many codecs. */
static bool on_long(void *arg, struct sl_udp *u, struct sl_str data, const struct sl_addr *from,
		    const struct sl_addr *local)
{
	struct edge *e = arg;
	const struct sip_flow flow = {
		.worker = sl_worker_owner(e->w),
		.transport = SIP_UDP,
		.listener = sl_udp_listener(u)->index,
		.remote = *from,
		.local = *local,
	};

	return sip_judge(data) > 0 && edge_receive(e, &flow, data);
}

int datagram_open(struct edge *e)
{
	const struct sl_listener *const *all;
	unsigned n = sl_listeners(e->w, &all);
	int rc = 0;

	for (unsigned i = 0; i < n && rc == 0; i++)
		if (all[i]->udp && sl_listener_conf(e->w, all[i], "sip-gateway"))
			rc = sl_udp_take_long(sl_listener_udp(e->w, all[i]), on_long, e);
	return rc;
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

static int send_packet(struct edge *e, struct sl_udp *u, const struct sip_flow *flow,
		       struct sl_str message)
{
	struct sl_packet *p = sl_packet_new(e->w);
	int rc;

	if (!p)
		return -SL_EFULL;
	memcpy(sl_packet_append(p, message.len), message.p, message.len);
	if (flow->local.family == flow->remote.family)
		rc = sl_udp_send_from(u, p, &flow->local, &flow->remote);
	else
		rc = sl_udp_send(u, p, &flow->remote);
	sl_packet_unref(p);
	return rc;
}

int datagram_send(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	const struct sl_listener *l = find_listener(e, flow);
	struct sl_udp *u;

	if (!l)
		return -SL_ENOENT;
	u = sl_listener_udp(e->w, l);
	if (message.len <= SL_PACKET_MAX)
		return send_packet(e, u, flow, message);
	return sl_udp_send_long(u, message, &flow->local, &flow->remote);
}
