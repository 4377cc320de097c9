/*
 * net/offload.bpf.c: relays ChannelData and peers' datagrams between two UDP 5-tuples before the
 * stack sees them (BPF_PROG_TYPE_SCHED_CLS, at an interface's ingress).
 *
 * Whatever is not a plain datagram of an established pair goes on to the stack, and so to user
 * space, unchanged: other protocols, fragments, options, segmented trains, VLAN tags not taken off
 * yet, frames for other stations, STUN, padded ChannelData, what is too long for the way, the last
 * hop. The IP header is carried on as RFC 8656 section 16 prefers: TTL less one, DSCP, ECN and DF
 * as they came.
 *
 * The payload moves by four bytes and the headers stay where they are, since a checksum that is not
 * computed yet (CHECKSUM_PARTIAL, from virtual machines and containers) is found by its place.
 * bpf_l4_csum_replace knows which kind of checksum a packet has; one over the whole packet
 * (CHECKSUM_COMPLETE) is given up first by growing the packet by a byte. Everything that can fail
 * is done before the first change.
 */
#include "net/offload_bpf.h"

#define ACT_OK 0
#define ACT_SHOT 2
#define PACKET_HOST 0

static long (*const pull_data)(void *skb, __u32 len) = (void *)BPF_FUNC_skb_pull_data;
static long (*const change_tail)(void *skb, __u32 len,
				 __u64 flags) = (void *)BPF_FUNC_skb_change_tail;
static long (*const load_bytes)(const void *skb, __u32 at, void *to,
				__u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*const store_bytes)(void *skb, __u32 at, const void *from, __u32 len,
				 __u64 flags) = (void *)BPF_FUNC_skb_store_bytes;
static long (*const l4_csum)(void *skb, __u32 at, __u64 from, __u64 to,
			     __u64 flags) = (void *)BPF_FUNC_l4_csum_replace;
static __s64 (*const csum_update)(void *skb, __u32 csum) = (void *)BPF_FUNC_csum_update;
static long (*const check_mtu)(void *skb, __u32 ifindex, __u32 *mtu_len, __s32 diff,
			       __u64 flags) = (void *)BPF_FUNC_check_mtu;
static long (*const redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh *to, int len,
				    __u64 flags) = (void *)BPF_FUNC_redirect_neigh;

/* An unset checksum is one of 0 (IPv4) or one to be computed that happens to be 0: only the latter
 * is not changed by what is not of the pseudo header. 1: none; 0: to be computed; -1: no access. */
INLINE int has_no_checksum(struct __sk_buff *skb, __u32 udp_at)
{
	__u32 at = udp_at + 6;
	__u16 check = 0;

	if (l4_csum(skb, at, 0, 1, 0) < 0 || load_bytes(skb, at, &check, 2) < 0)
		return -1;
	if (check == 0)
		return 0;
	check = 0;
	return store_bytes(skb, at, &check, 2, 0) < 0 ? -1 : 1;
}

/* Puts the payload where it belongs, behind the channel header or over it; the packet has its new
 * length. 0, or negative before anything was changed. */
INLINE long move_payload(struct __sk_buff *skb, const struct found *f, __u32 udp_at)
{
	__u64 n = f->channel ? f->payload - CHANNEL_BYTES : f->payload;
	__u32 zero = 0, from = udp_at + UDP_BYTES, len = udp_at + UDP_BYTES + payload_after(f);
	__u8 *scratch = map_lookup((void *)MARKED(OFFLOAD_MARK_SCRATCH), &zero);

	__asm__ volatile("" : "+r"(n)); /* the verifier has to see this very number bounded */
	if (!scratch || n < 1 || n > OFFLOAD_MAX_PAYLOAD)
		return -1;
	if (f->channel) {
		if (load_bytes(skb, from + CHANNEL_BYTES, scratch, n) < 0 ||
		    store_bytes(skb, from, scratch, n, 0) < 0)
			return -1;
		return change_tail(skb, len, 0) < 0 ? 1 : 0;
	}
	*(__u16 *)scratch = f->rule->channel;
	*(__u16 *)(scratch + 2) = net16(n);
	if (load_bytes(skb, from, scratch + CHANNEL_BYTES, n) < 0 || change_tail(skb, len, 0) < 0)
		return -1;
	return store_bytes(skb, from, scratch, n + CHANNEL_BYTES, 0) < 0 ? 1 : 0;
}

INLINE int fits(struct __sk_buff *skb, const struct found *f, __u32 len)
{
	return len <= f->rule->mtu && check_mtu(skb, f->rule->out_ifindex, &len, 0, 0) == 0;
}

/* Unshared and in one piece, as the stack can have it all the same; without CHECKSUM_COMPLETE. */
INLINE int make_ready(struct __sk_buff *skb)
{
	if (pull_data(skb, skb->len) < 0)
		return 0;
	return csum_update(skb, 0) < 0 || change_tail(skb, skb->len + 1, 0) == 0;
}

INLINE void fix_checksum(struct __sk_buff *skb, const struct found *f, __u32 udp_at)
{
	__u32 pseudo = fold(f->rule->ip_diff + len_diff(f));

	l4_csum(skb, udp_at + 6, 0, pseudo, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
	l4_csum(skb, udp_at + 6, 0, udp_diff(f), BPF_F_MARK_MANGLED_0);
}

/* The neighbour table has the rest, and learns it where it has not. */
INLINE int send_on(const struct offload_rule *rule, int v4)
{
	struct bpf_redir_neigh hop = {.nh_family = v4 ? 2 : 10};

	__builtin_memcpy(hop.ipv6_nh, rule->next_hop, 16);
	return (int)redirect_neigh(rule->out_ifindex, &hop, sizeof hop, 0);
}

/* ACT_OK leaves the packet to the stack as it came. */
INLINE int relay(struct __sk_buff *skb, const struct found *f, __u32 udp_at, __u16 check)
{
	int none = 0, v4 = udp_at == ETH_BYTES + IP4_BYTES;
	void *data, *end;
	long moved;

	if (!fits(skb, f, udp_at - ETH_BYTES + UDP_BYTES + payload_after(f)) || !make_ready(skb))
		return ACT_OK;
	if (check == 0) {
		none = has_no_checksum(skb, udp_at);
		if (none < 0 || (none && !v4))
			return ACT_OK;
	}
	moved = move_payload(skb, f, udp_at);
	if (moved != 0)
		return moved < 0 ? ACT_OK : ACT_SHOT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + udp_at + UDP_BYTES > end)
		return ACT_SHOT;
	rewrite_ip(data + ETH_BYTES, f, udp_at - ETH_BYTES);
	rewrite_udp(data + udp_at, f);
	if (check == 0 && !none) /* computed later: the pseudo header's sum is all that stands */
		l4_csum(skb, udp_at + 6, 0, fold(f->rule->ip_diff + len_diff(f)), BPF_F_PSEUDO_HDR);
	else if (!none)
		fix_checksum(skb, f, udp_at);
	count(f);
	return send_on(f->rule, v4);
}

/* The first bytes are to be read where they are; some drivers leave them in a page. */
INLINE int is_readable(struct __sk_buff *skb, __u32 n)
{
	if ((void *)(long)skb->data + n <= (void *)(long)skb->data_end)
		return 1;
	return skb->len >= n && pull_data(skb, n) == 0;
}

/* ip_bytes is a constant where this is expanded, once for each family. */
INLINE int relay_if_known(struct __sk_buff *skb, __u32 ip_bytes)
{
	const __u32 udp_at = ETH_BYTES + ip_bytes, all = udp_at + UDP_BYTES + CHANNEL_BYTES;
	struct offload_key key = {0};
	struct found f = {0};
	const struct udp *udp;
	void *data, *end;
	__u16 check;

	if (!is_readable(skb, all))
		return ACT_OK;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + all > end)
		return ACT_OK;
	udp = data + udp_at;
	if (!is_good(data + ETH_BYTES, udp, ip_bytes) || skb->len < udp_at + net16(udp->len))
		return ACT_OK;
	make_key(&key, data + ETH_BYTES, udp, ip_bytes);
	f.payload = net16(udp->len) - UDP_BYTES;
	check = udp->check;
	if (!find_rule(&key, f.payload > CHANNEL_BYTES ? data + udp_at + UDP_BYTES : 0, &f) ||
	    !holds(&f, skb->ifindex))
		return ACT_OK;
	return relay(skb, &f, udp_at, check);
}

__attribute__((section("tc"), used)) int offload(struct __sk_buff *skb)
{
	if (skb->gso_size || skb->vlan_present || skb->pkt_type != PACKET_HOST)
		return ACT_OK;
	if (skb->protocol == net16(ETH_P_IP))
		return relay_if_known(skb, IP4_BYTES);
	if (skb->protocol == net16(ETH_P_IPV6))
		return relay_if_known(skb, IP6_BYTES);
	return ACT_OK;
}
