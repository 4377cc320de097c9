/*
 * net/steer_map.h: what the steering program (steer.bpf.c) and its loader (steer.c) agree on.
 *
 * The program is compiled without knowing its maps: it loads 64-bit constants, which the loader
 * replaces by map descriptors and by the index of the listener whose sockets it chooses among.
 */
#ifndef NET_STEER_MAP_H
#define NET_STEER_MAP_H

#include <stdint.h>

/* The constants: recognised by their upper half. */
#define STEER_MARK 0x5eed0000
enum steer_mark {
	STEER_MARK_FLOWS,
	STEER_MARK_CURRENT,
	STEER_MARK_SOCKETS,
	STEER_MARK_LISTENER,
	STEER_N_MARKS
};

/* Flow map (LRU hash): a remote address on a listener -> uint32_t slot. Bytes as in the packet. */
struct steer_flow {
	uint16_t listener;
	uint8_t family; /* 4 or 6 */
	uint8_t zero;
	uint16_t port; /* network order */
	uint16_t zero2;
	uint8_t ip[16]; /* IPv4 in the first 4 */
};

/*
 * Current map (array): STEER_ACTIVE says in n which of the two sets is in force; the other one is
 * written first, then n is: so a reload is one atomic moment. STEER_LISTENERS is for the loader:
 * the listeners whose sockets it exports.
 */
#define STEER_MAX_SLOTS 256
enum steer_set_index { STEER_ACTIVE, STEER_SET_A, STEER_SET_B, STEER_LISTENERS, STEER_N_SETS };
struct steer_set {
	uint32_t n;
	uint16_t slots[STEER_MAX_SLOTS];
};

#endif
