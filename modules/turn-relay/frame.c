/*
 * turn-relay/frame.c: TURN on a stream of bytes (RFC 8656 section 12.5).
 *
 * STUN messages are framed by their length field and ChannelData, whose payload is padded to four
 * bytes; the first two bits tell them apart.
 */
#include "relay.h"

enum { DATA_INDICATION = 0x0017 };

ptrdiff_t frame_length(const uint8_t *p, size_t len)
{
	if (len < CHANNEL_HEADER)
		return 0;
	switch (p[0] & 0xc0) {
	case 0x00:
		return SL_STUN_HEADER + sl_get16(p + 2);
	case 0x40:
		return CHANNEL_HEADER + ((sl_get16(p + 2) + 3) & ~3);
	default:
		return -SL_EPARSE;
	}
}

bool frame_is_media(const uint8_t *frame)
{
	return (frame[0] & 0xc0) == 0x40 || sl_get16(frame) == DATA_INDICATION;
}

int frame_pad(struct sl_packet *p)
{
	const size_t n = (4 - p->len % 4) % 4;
	uint8_t *end = sl_packet_append(p, n);

	if (!end)
		return -SL_EFULL;
	memset(end, 0, n);
	return 0;
}
