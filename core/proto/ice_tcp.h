/*
 * proto/ice_tcp.h: messages of ICE over TCP (RFC 6544 section 3): each framed by its length in two
 * bytes (RFC 4571), a check first. Pure: it sees bytes, and says what they are.
 */
#ifndef PROTO_ICE_TCP_H
#define PROTO_ICE_TCP_H

#include <sluice/packet.h>
#include <sluice/stun.h>

enum {
	ICE_TCP_HEADER = 2,
	ICE_TCP_COOKIE_END = ICE_TCP_HEADER + 8, /* what tells a framed check from all else */
};

/* The frame's whole length, header included, once all of it is there, else 0. */
size_t ice_tcp_frame(const uint8_t *data, size_t len);
/* Its header is there, and says more than a packet can hold. */
bool ice_tcp_too_long(const uint8_t *data, size_t len);
/* Can these first bytes, at least one, be those of a framed Binding request? */
bool ice_tcp_may_be_check(const uint8_t *data, size_t len);

#endif
