/*
 * net/offload_xdp.bpf.c: relays as offload.bpf.c does, but in the driver (BPF_PROG_TYPE_XDP), what
 * leaves by the interface that it came by. Everything else goes on, to offload.bpf.c at the ingress
 * of the same interface, and is relayed there if it can be.
 *
 * Frames here have no stack behind them: the next hop has to be known to the neighbour table, and
 * the kernel looks up routes for others only where forwarding is switched on. A checksum that is
 * still to be computed (CHECKSUM_PARTIAL) cannot be told apart but by its value, the plain sum of
 * the pseudo header; such packets go on. Headers move by four bytes, the payload stays.
 */
#include "net/offload_bpf.h"

static long (*const adjust_head)(struct xdp_md *x, int delta) = (void *)BPF_FUNC_xdp_adjust_head;
static long (*const fib_lookup)(void *ctx, struct bpf_fib_lookup *params, int len,
				__u32 flags) = (void *)BPF_FUNC_fib_lookup;

struct eth {
	__u8 dest[6], source[6];
	__u16 protocol;
};

/* As in the packet from eth on, with room for the longer of the headers; the two bytes align what
 * follows. UDP's stands right behind that of IP. */
struct head {
	__u16 zero;
	struct eth eth;
	union {
		struct ip4 v4;
		struct ip6 v6;
	} ip;
	struct udp room;
};

INLINE __u32 sum_words(const void *p, int n)
{
	const __u16 *w = p;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < n; i++)
		sum += w[i];
	return sum;
}

/* The sum of the pseudo header, and nothing else. */
INLINE int is_partial(const struct head *h, const struct udp *udp, __u32 ip_bytes)
{
	__u32 sum = ip_bytes == IP4_BYTES ? sum_words(&h->ip.v4.source, 4)
					  : sum_words(h->ip.v6.source, 16);

	return udp->check == fold(sum + net16(PROTO_UDP) + udp->len);
}

/* 0: the way is known, and it is back by the same interface. */
INLINE long find_way(struct xdp_md *x, const struct found *f, __u32 ip_bytes, struct eth *eth)
{
	struct bpf_fib_lookup way = {
		.family = ip_bytes == IP4_BYTES ? 2 : 10,
		.l4_protocol = PROTO_UDP,
		.sport = f->rule->via_port,
		.dport = f->rule->to_port,
		.tot_len = (__u16)(ip_bytes + UDP_BYTES + payload_after(f)),
		.ifindex = f->rule->out_ifindex,
	};
	long rc;

	if (way.tot_len > f->rule->mtu || f->rule->out_ifindex != x->ingress_ifindex)
		return -1;
	if (ip_bytes == IP4_BYTES) {
		way.ipv4_src = *(const __u32 *)f->rule->via_ip;
		way.ipv4_dst = *(const __u32 *)f->rule->to_ip;
	} else {
		__builtin_memcpy(way.ipv6_src, f->rule->via_ip, 16);
		__builtin_memcpy(way.ipv6_dst, f->rule->to_ip, 16);
	}
	rc = fib_lookup(x, &way, sizeof way, BPF_FIB_LOOKUP_OUTPUT);
	if (rc != 0 || way.ifindex != x->ingress_ifindex)
		return -1;
	__builtin_memcpy(eth->dest, way.dmac, 6);
	__builtin_memcpy(eth->source, way.smac, 6);
	return 0;
}

INLINE void fix_checksum(struct udp *udp, const struct found *f)
{
	if (udp->check == 0)
		return;
	udp->check = check_add(udp->check, fold(f->rule->ip_diff + len_diff(f)) + udp_diff(f));
	if (udp->check == 0)
		udp->check = 0xffff;
}

/* The channel header, behind the headers that are n bytes long; 0: there. */
INLINE int put_channel(struct xdp_md *x, const struct found *f, __u32 n)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u16 *channel = data + n;

	if (f->channel)
		return 0;
	if ((void *)(channel + 2) > end)
		return -1;
	channel[0] = f->rule->channel;
	channel[1] = net16(f->payload);
	return 0;
}

/* ip_bytes is a constant where this is expanded, once for each family. In IPv6 a checksum has to be
 * there; what has not is for the stack to drop. */
INLINE int relay(struct xdp_md *x, __u32 ip_bytes)
{
	const __u32 all = ETH_BYTES + ip_bytes + UDP_BYTES;
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	struct offload_key key = {0};
	struct found f = {0};
	struct head h;
	struct udp *udp = (void *)&h.ip + ip_bytes;

	if (data + all + CHANNEL_BYTES > end)
		return XDP_PASS;
	__builtin_memcpy(&h.eth, data, all);
	if (!is_good(&h.ip, udp, ip_bytes) || (ip_bytes == IP6_BYTES && udp->check == 0))
		return XDP_PASS;
	make_key(&key, &h.ip, udp, ip_bytes);
	f.payload = net16(udp->len) - UDP_BYTES;
	if ((__u64)(end - data) < all + f.payload ||
	    !find_rule(&key, f.payload > CHANNEL_BYTES ? data + all : 0, &f) ||
	    !holds(&f, x->ingress_ifindex) || is_partial(&h, udp, ip_bytes) ||
	    find_way(x, &f, ip_bytes, &h.eth) != 0)
		return XDP_PASS;
	if (adjust_head(x, f.channel ? CHANNEL_BYTES : -CHANNEL_BYTES) < 0)
		return XDP_PASS;
	fix_checksum(udp, &f);
	rewrite_ip(&h.ip, &f, ip_bytes);
	rewrite_udp(udp, &f);
	data = (void *)(long)x->data;
	end = (void *)(long)x->data_end;
	if (data + all > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, &h.eth, all);
	if (put_channel(x, &f, all) < 0)
		return XDP_ABORTED;
	count(&f);
	return XDP_TX;
}

__attribute__((section("xdp"), used)) int offload_xdp(struct xdp_md *x)
{
	const struct eth *eth = (void *)(long)x->data;

	if ((const void *)(eth + 1) > (void *)(long)x->data_end)
		return XDP_PASS;
	if (eth->protocol == net16(ETH_P_IP))
		return relay(x, IP4_BYTES);
	if (eth->protocol == net16(ETH_P_IPV6))
		return relay(x, IP6_BYTES);
	return XDP_PASS;
}
