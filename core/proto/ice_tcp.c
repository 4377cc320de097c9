/*
 * proto/ice_tcp.c: frames of ICE over TCP (RFC 4571, RFC 6544 section 3), and how they differ from
 * what else may begin a connection on a port that many protocols share.
 *
 * Called with what has arrived so far, which may be one byte, or several frames and a part.
 */
#include "proto/ice_tcp.h"

#include <string.h>
#include <sluice/buf.h>

size_t ice_tcp_frame(const uint8_t *data, size_t len)
{
	size_t frame = len >= ICE_TCP_HEADER ? (size_t)ICE_TCP_HEADER + sl_get16(data) : 0;

	return frame <= len ? frame : 0;
}

bool ice_tcp_too_long(const uint8_t *data, size_t len)
{
	return len >= ICE_TCP_HEADER && sl_get16(data) > SL_PACKET_MAX;
}

/* TURN's framing cannot look like it: its length field would stand where the type does, and no STUN
 * length ends in 01. */
bool ice_tcp_may_be_check(const uint8_t *data, size_t len)
{
	static const uint8_t type[] = {0, SL_STUN_BINDING}, cookie[] = {0x21, 0x12, 0xa4, 0x42};
	size_t n_type = len < 4 ? len : 4;
	size_t n_cookie = len < ICE_TCP_COOKIE_END ? len : ICE_TCP_COOKIE_END;

	if (data[0] > SL_PACKET_MAX >> 8 || ice_tcp_too_long(data, len))
		return false; /* most others', by their first byte */
	if (n_type > 2 && memcmp(data + 2, type, n_type - 2) != 0)
		return false;
	if (len >= 6 && sl_get16(data) != SL_STUN_HEADER + sl_get16(data + 4))
		return false;
	return n_cookie <= 6 || memcmp(data + 6, cookie, n_cookie - 6) == 0;
}
