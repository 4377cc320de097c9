/*
 * proto/sctp_guard.c: a look at SCTP packets before the library parses them (RFC 9260 section 3).
 *
 * What data channels have no use for is dropped here, so that the library's code for it cannot be
 * reached from the network: authentication, address reconfiguration, packet drop reports, ECN,
 * SACKs that nobody negotiated. What is let through is checked for the bounds of its chunks only;
 * it is the library that understands them.
 */
#include "proto/sctp_impl.h"

#include <sluice/buf.h>

enum { COMMON_HEADER = 12, CHUNK_HEADER = 4 };

enum chunk {
	DATA = 0,
	INIT,
	INIT_ACK,
	SACK,
	HEARTBEAT,
	HEARTBEAT_ACK,
	ABORT,
	SHUTDOWN,
	SHUTDOWN_ACK,
	ERROR,
	COOKIE_ECHO,
	COOKIE_ACK,
	SHUTDOWN_COMPLETE = 14,
	RE_CONFIG = 130,
	PAD = 132,
	FORWARD_TSN = 192,
};

/* Types that may come, with the least length that their fixed part needs. */
static size_t least_length(uint8_t type)
{
	static const uint8_t least[] = {[DATA] = 17,
					[INIT] = 20,
					[INIT_ACK] = 20,
					[SACK] = 16,
					[HEARTBEAT] = 8,
					[HEARTBEAT_ACK] = 8,
					[ABORT] = 4,
					[SHUTDOWN] = 8,
					[SHUTDOWN_ACK] = 4,
					[ERROR] = 4,
					[COOKIE_ECHO] = 5,
					[COOKIE_ACK] = 4,
					[SHUTDOWN_COMPLETE] = 4};

	if (type < sizeof least)
		return least[type];
	if (type == RE_CONFIG || type == FORWARD_TSN)
		return 8;
	return type == PAD ? CHUNK_HEADER : 0;
}

/* INIT and INIT ACK come alone: the library answers them before it reads on. */
static bool is_alone(uint8_t type)
{
	return type == INIT || type == INIT_ACK || type == SHUTDOWN_COMPLETE;
}

bool sctp_guard(const uint8_t *packet, size_t len)
{
	size_t at = COMMON_HEADER;

	if (len < COMMON_HEADER + CHUNK_HEADER)
		return false;
	while (at < len) {
		size_t left = len - at, chunk, least, padded;
		uint8_t type = packet[at];

		if (left < CHUNK_HEADER)
			return false;
		chunk = sl_get16(packet + at + 2);
		least = least_length(type);
		padded = (chunk + 3) & ~(size_t)3;
		if (least == 0 || chunk < least || chunk > left)
			return false;
		if (is_alone(type) && (at != COMMON_HEADER || padded < left))
			return false;
		at += padded; /* the last one's padding may be missing */
	}
	return true;
}
