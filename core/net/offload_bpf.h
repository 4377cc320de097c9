/*
 * net/offload_bpf.h: what the relaying programs share: finding the rule of a datagram, and judging
 * whether it may act. Included by offload*.bpf.c only.
 */
#ifndef NET_OFFLOAD_BPF_H
#define NET_OFFLOAD_BPF_H

#include <linux/bpf.h>
#include "net/offload_map.h"

#define INLINE static __inline __attribute__((always_inline))

#define ETH_BYTES 14
#define IP4_BYTES 20
#define IP6_BYTES 40
#define UDP_BYTES 8
#define CHANNEL_BYTES 4
#define PROTO_UDP 17
#define COARSE_NS 20000000ULL
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const ktime_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static __u64 (*const ktime_coarse_ns)(void) = (void *)BPF_FUNC_ktime_get_coarse_ns;

/* A constant that the loader finds again: one 16-byte instruction. */
#define MARKED(mark)                                                                               \
	({                                                                                         \
		__u64 value_;                                                                      \
		__asm__ volatile("%0 = %1 ll"                                                      \
				 : "=r"(value_)                                                    \
				 : "i"((__u64)OFFLOAD_MARK << 32 | (mark)));                       \
		value_;                                                                            \
	})

struct ip4 {
	__u8 version, tos;
	__u16 len, id, fragment;
	__u8 ttl, protocol;
	__u16 check;
	__u32 source, dest;
};

struct ip6 {
	__u8 version, rest[3];
	__u16 len;
	__u8 protocol, hops;
	__u32 source[4], dest[4];
};

struct udp {
	__u16 source, dest, len, check;
};

/* What was learned of a datagram while it is handled. */
struct found {
	const struct offload_rule *rule;
	struct offload_state *state;
	__u32 payload; /* bytes behind the UDP header */
	__u16 channel; /* that stands in front of it, network order; 0: none */
};

INLINE __u16 net16(__u32 v)
{
	return (__u16)((v & 0xff) << 8 | (v >> 8 & 0xff));
}

/* One's complement sums of 16-bit words, in the byte order of the packet. */
INLINE __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

INLINE __u32 minus(__u16 word)
{
	return ~word & 0xffff;
}

INLINE __u16 check_add(__u16 check, __u32 diff)
{
	return (__u16)~fold(minus(check) + diff);
}

/* Checksums hold whatever becomes of a packet here, so a damaged one is still damaged where it
 * arrives. false: not for us; the stack takes it. */
INLINE int good4(const struct ip4 *ip, const struct udp *udp)
{
	return ip->version == 0x45 && ip->protocol == PROTO_UDP && ip->ttl > 1 &&
	       (ip->fragment & net16(0x3fff)) == 0 &&
	       net16(udp->len) + IP4_BYTES == net16(ip->len) && net16(udp->len) >= UDP_BYTES;
}

INLINE int good6(const struct ip6 *ip, const struct udp *udp)
{
	return ip->version >> 4 == 6 && ip->protocol == PROTO_UDP && ip->hops > 1 &&
	       udp->len == ip->len && net16(udp->len) >= UDP_BYTES;
}

INLINE void key4(struct offload_key *key, const struct ip4 *ip, const struct udp *udp)
{
	*(__u32 *)key->from_ip = ip->source;
	*(__u32 *)key->at_ip = ip->dest;
	key->from_port = udp->source;
	key->at_port = udp->dest;
	key->family = 4;
}

INLINE void key6(struct offload_key *key, const struct ip6 *ip, const struct udp *udp)
{
	__builtin_memcpy(key->from_ip, ip->source, 16);
	__builtin_memcpy(key->at_ip, ip->dest, 16);
	key->from_port = udp->source;
	key->at_port = udp->dest;
	key->family = 6;
}

/* Of either family, by the size of its header: a constant at each place, of which nothing is left. */
INLINE int is_good(const void *ip, const struct udp *udp, __u32 ip_bytes)
{
	return ip_bytes == IP4_BYTES ? good4(ip, udp) : good6(ip, udp);
}

INLINE void make_key(struct offload_key *key, const void *ip, const struct udp *udp, __u32 ip_bytes)
{
	if (ip_bytes == IP4_BYTES)
		key4(key, ip, udp);
	else
		key6(key, ip, udp);
}

/*
 * ChannelData first: a peer's datagrams may look like it, but then no rule has such a channel. A
 * channel whose length is not that of the datagram (padding, a lie) is for user space to judge.
 */
INLINE int find_rule(struct offload_key *key, const __u16 *channel, struct found *f)
{
	if (channel && (*(const __u8 *)channel & 0xc0) == 0x40) {
		key->channel = channel[0];
		f->rule = map_lookup((void *)MARKED(OFFLOAD_MARK_RULES), key);
		if (f->rule) {
			f->channel = channel[0];
			return net16(channel[1]) + CHANNEL_BYTES == f->payload &&
			       f->payload > CHANNEL_BYTES;
		}
		key->channel = 0;
	}
	f->rule = map_lookup((void *)MARKED(OFFLOAD_MARK_RULES), key);
	return f->rule && f->payload > 0;
}

/* The time of the last tick costs nothing and is up to 10 ms late; only near the end that matters. */
INLINE int is_before(__u64 when_ns)
{
	return ktime_coarse_ns() + COARSE_NS < when_ns || ktime_ns() < when_ns;
}

/* A rule holds as long as its owner lives and its time is not over, for what comes the way that
 * answers would take. */
INLINE int holds(struct found *f, __u32 ifindex)
{
	__u32 slot = f->rule->owner >> 16, index = f->rule->state;
	const __u32 *epoch = map_lookup((void *)MARKED(OFFLOAD_MARK_EPOCHS), &slot);

	if (!epoch || *epoch != (f->rule->owner & 0xffff) || f->rule->in_ifindex != ifindex)
		return 0;
	f->state = map_lookup((void *)MARKED(OFFLOAD_MARK_STATES), &index);
	return f->state && f->state->owner == f->rule->owner &&
	       f->state->serial == f->rule->serial && is_before(f->state->expires_ns);
}

INLINE __u32 payload_after(const struct found *f)
{
	return f->channel ? f->payload - CHANNEL_BYTES : f->payload + CHANNEL_BYTES;
}

INLINE void count(const struct found *f)
{
	__u32 bytes = f->channel ? f->payload - CHANNEL_BYTES : f->payload;

	__sync_fetch_and_add(&f->state->packets, 1);
	__sync_fetch_and_add(&f->state->bytes, bytes);
}

/* What the change of the UDP length adds to a sum. */
INLINE __u32 len_diff(const struct found *f)
{
	return net16(payload_after(f) + UDP_BYTES) + minus(net16(f->payload + UDP_BYTES));
}

/* Ports, length, and the four bytes of channel header that go or come. */
INLINE __u32 udp_diff(const struct found *f)
{
	__u32 sum = f->rule->port_diff + len_diff(f);

	if (f->channel)
		return fold(sum + minus(f->channel) + minus(net16(f->payload - CHANNEL_BYTES)));
	return fold(sum + f->rule->channel + net16(f->payload));
}

INLINE void rewrite4(struct ip4 *ip, const struct found *f)
{
	__u16 *ttl_word = (__u16 *)&ip->ttl;
	__u16 len = net16(IP4_BYTES + UDP_BYTES + payload_after(f)), ttl_old = *ttl_word;
	__u32 diff = f->rule->ip_diff + len + minus(ip->len) + minus(ttl_old);

	ip->ttl--;
	ip->check = check_add(ip->check, diff + *ttl_word);
	ip->len = len;
	ip->source = *(const __u32 *)f->rule->via_ip;
	ip->dest = *(const __u32 *)f->rule->to_ip;
}

INLINE void rewrite6(struct ip6 *ip, const struct found *f)
{
	ip->hops--;
	ip->len = net16(UDP_BYTES + payload_after(f));
	__builtin_memcpy(ip->source, f->rule->via_ip, 16);
	__builtin_memcpy(ip->dest, f->rule->to_ip, 16);
}

INLINE void rewrite_ip(void *ip, const struct found *f, __u32 ip_bytes)
{
	if (ip_bytes == IP4_BYTES)
		rewrite4(ip, f);
	else
		rewrite6(ip, f);
}

INLINE void rewrite_udp(struct udp *udp, const struct found *f)
{
	udp->source = f->rule->via_port;
	udp->dest = f->rule->to_port;
	udp->len = net16(UDP_BYTES + payload_after(f));
}

#endif
