/*
 * net/steer.bpf.c: which socket of a SO_REUSEPORT group gets a datagram. Runs in the kernel
 * (BPF_PROG_TYPE_SK_REUSEPORT).
 *
 * 1. A connectivity check (STUN Binding request with USERNAME, RFC 8445 section 7.2.2) goes to the
 * slot that the first two characters of our ufrag name: the client says whom it means, which
 * outranks what was learned from its address.
 * 2. A known flow goes to the slot that learned it, of whatever generation.
 * 3. Anything else is new and goes to the current generation, by the kernel's hash of both
 * addresses. When none of these finds a socket, the kernel chooses.
 *
 * Not part of the build: auto/bpf-bytes compiles it into steer_prog.h, which is committed. Needs
 * neither libbpf nor maps at compile time (see steer_map.h). Attributes are read by
 * bpf_skb_load_bytes, since only the first bytes are sure to be linear.
 */
#include <linux/bpf.h>
#include "net/steer_map.h"

#define INLINE static __inline __attribute__((always_inline))

#define UDP_HEADER 8
#define STUN_HEADER 20
#define STUN_COOKIE 0x2112a442u
#define STUN_USERNAME 0x0006
#define MAX_ATTRS 8 /* USERNAME comes early in every check that was ever seen */
#define ETH_P_IP 0x0800
#define IPV4_SOURCE 12
#define IPV6_SOURCE 8

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const load_bytes)(const void *ctx, __u32 offset, void *to,
				__u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*const load_relative)(const void *ctx, __u32 offset, void *to, __u32 len,
				   __u32 from) = (void *)BPF_FUNC_skb_load_bytes_relative;
static long (*const select_socket)(void *ctx, void *sockets, void *key,
				   __u64 flags) = (void *)BPF_FUNC_sk_select_reuseport;

/* A constant that the loader finds again: one 16-byte instruction. */
#define MARKED(mark)                                                                               \
	({                                                                                         \
		__u64 value_;                                                                      \
		__asm__ volatile("%0 = %1 ll"                                                      \
				 : "=r"(value_)                                                    \
				 : "i"((__u64)STEER_MARK << 32 | (mark)));                         \
		value_;                                                                            \
	})

INLINE __u32 swap16(__u32 v)
{
	return (v & 0xff) << 8 | (v >> 8 & 0xff);
}

INLINE int choose(struct sk_reuseport_md *ctx, __u32 slot)
{
	return select_socket(ctx, (void *)MARKED(STEER_MARK_SOCKETS), &slot, 0) == 0;
}

/* A character of RFC 4648 base64; 64: none. */
INLINE __u32 base64(__u32 c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

INLINE int is_check(struct sk_reuseport_md *ctx)
{
	const __u8 *p = (const __u8 *)ctx->data + UDP_HEADER;

	if ((const void *)(p + 8) > ctx->data_end)
		return 0;
	/* Type 0x0001: Binding request. */
	return p[0] == 0 && p[1] == 1 && *(const __u32 *)(p + 4) == __builtin_bswap32(STUN_COOKIE);
}

/* 1: chosen by USERNAME. */
INLINE int choose_by_ufrag(struct sk_reuseport_md *ctx)
{
	__u32 at = UDP_HEADER + STUN_HEADER;

	for (int i = 0; i < MAX_ATTRS; i++) {
		__u16 head[2];
		__u8 name[2];
		__u32 high, low;

		if (load_bytes(ctx, at, head, sizeof head) < 0)
			return 0;
		if (head[0] != swap16(STUN_USERNAME)) {
			at += 4 + ((swap16(head[1]) + 3) & ~3u);
			continue;
		}
		if (swap16(head[1]) < sizeof name || load_bytes(ctx, at + 4, name, sizeof name) < 0)
			return 0;
		high = base64(name[0]);
		low = base64(name[1]);
		return high < 64 && low < 64 && choose(ctx, high << 6 | low);
	}
	return 0;
}

INLINE int choose_by_flow(struct sk_reuseport_md *ctx)
{
	const __u8 *udp = ctx->data;
	struct steer_flow key = {0};
	const __u32 *slot;
	long rc;

	if ((const void *)(udp + UDP_HEADER) > ctx->data_end)
		return 0;
	key.listener = (__u16)MARKED(STEER_MARK_LISTENER);
	key.port = *(const __u16 *)udp;
	key.family = ctx->eth_protocol == swap16(ETH_P_IP) ? 4 : 6;
	if (key.family == 4)
		rc = load_relative(ctx, IPV4_SOURCE, key.ip, 4, BPF_HDR_START_NET);
	else
		rc = load_relative(ctx, IPV6_SOURCE, key.ip, 16, BPF_HDR_START_NET);
	if (rc < 0)
		return 0;
	slot = map_lookup((void *)MARKED(STEER_MARK_FLOWS), &key);
	return slot && choose(ctx, *slot);
}

INLINE int choose_current(struct sk_reuseport_md *ctx)
{
	__u32 index = STEER_ACTIVE, at;
	const struct steer_set *set = map_lookup((void *)MARKED(STEER_MARK_CURRENT), &index);

	if (!set)
		return 0;
	index = set->n;
	set = map_lookup((void *)MARKED(STEER_MARK_CURRENT), &index);
	if (!set || set->n == 0)
		return 0;
	at = (__u32)((__u64)ctx->hash * set->n >> 32);
	if (at >= STEER_MAX_SLOTS)
		return 0;
	return choose(ctx, set->slots[at]);
}

__attribute__((section("sk_reuseport"), used)) int steer(struct sk_reuseport_md *ctx)
{
	if (is_check(ctx) && choose_by_ufrag(ctx))
		return SK_PASS;
	if (choose_by_flow(ctx))
		return SK_PASS;
	choose_current(ctx);
	return SK_PASS;
}
