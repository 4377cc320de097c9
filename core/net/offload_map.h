/*
 * net/offload_map.h: what the relaying programs (offload*.bpf.c) and their loader and users
 * (offload*.c) agree on.
 *
 * A rule says how datagrams of one sender to one of our ports go on; its state, in another map, is
 * what changes while it stands: how long it holds and what it has carried. Rules are found by hash
 * and never rewritten; states are an array that workers see in their memory, so that refreshing and
 * reading cost no system call. The programs are compiled without knowing their maps, as those of
 * steering (steer_map.h). Addresses and ports are as in the packet.
 */
#ifndef NET_OFFLOAD_MAP_H
#define NET_OFFLOAD_MAP_H

#include <stdint.h>

#define OFFLOAD_MARK 0x5eed1000
enum offload_mark {
	OFFLOAD_MARK_RULES,
	OFFLOAD_MARK_STATES,
	OFFLOAD_MARK_EPOCHS,
	OFFLOAD_MARK_SCRATCH,
	OFFLOAD_N_MARKS
};

#define OFFLOAD_SCRATCH_BYTES 2048
#define OFFLOAD_MAX_PAYLOAD 1920 /* as in user space: SL_PACKET_MAX */

/* IPv4 in the first 4 bytes of addresses, the rest zero. */
struct offload_key {
	uint8_t from_ip[16], at_ip[16]; /* sender, and our address that it sends to */
	uint16_t from_port, at_port;
	uint16_t channel; /* network order; 0: bare datagrams */
	uint8_t family;	  /* 4 or 6 */
	uint8_t zero;
};

struct offload_rule {
	uint32_t owner; /* slot << 16 | epoch */
	uint32_t state; /* index */
	uint32_t serial;
	uint32_t in_ifindex, out_ifindex;
	uint8_t via_ip[16], to_ip[16]; /* our address to send from, and the receiver */
	uint8_t next_hop[16];
	uint16_t via_port, to_port;
	uint16_t channel;   /* network order; != 0: put in front. The key's: taken off */
	uint16_t mtu;	    /* of the way to the receiver */
	uint16_t ip_diff;   /* what the addresses add to a one's complement sum */
	uint16_t port_diff; /* what the ports add */
};

/* A cache line. owner 0: free. W: the owner; packets and bytes: the programs. */
struct offload_state {
	uint64_t expires_ns; /* CLOCK_MONOTONIC; from then on nothing is relayed */
	uint64_t packets, bytes;
	uint32_t owner;
	uint32_t serial; /* of the rule that it serves: one that is gone finds another */
	uint32_t zero[8];
};
_Static_assert(sizeof(struct offload_state) == 64, "one cache line each");

/* Epochs (array by slot): the epoch of the slot's living process. W: the master */

#endif
