/*
 * proto/demux.c: what a datagram is, by its first bytes.
 *
 * RFC 7983 section 7 as updated by RFC 9443 section 3, RTCP by RFC 5761 section 4. Called for every
 * datagram before anything else looks at it, so it reads at most eight bytes and believes only what
 * a header of that kind can be: too short is unknown, and STUN shows its magic cookie.
 */
#include <sluice/buf.h>
#include <sluice/stun.h>

enum { CHANNEL_HEADER = 4, DTLS_HEADER = 13, RTP_HEADER = 12, RTCP_HEADER = 8, ZRTP_HEADER = 12 };

static enum sl_demux if_long_enough(enum sl_demux kind, size_t len, size_t need)
{
	return len >= need ? kind : SL_DEMUX_UNKNOWN;
}

static enum sl_demux stun(const uint8_t *p, size_t len)
{
	if (len < SL_STUN_HEADER || sl_get32(p + 4) != SL_STUN_COOKIE)
		return SL_DEMUX_UNKNOWN;
	return SL_DEMUX_STUN;
}

/* RTCP packet types 192-223 look like RTP payload types 64-95 with the marker bit; RTP avoids them.
 */
static enum sl_demux rtp_or_rtcp(const uint8_t *p, size_t len)
{
	if (len >= RTCP_HEADER && p[1] >= 192 && p[1] <= 223)
		return SL_DEMUX_RTCP;
	return if_long_enough(SL_DEMUX_RTP, len, RTP_HEADER);
}

enum sl_demux sl_demux(const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len == 0)
		return SL_DEMUX_UNKNOWN;
	if (p[0] < 4)
		return stun(p, len);
	if (p[0] < 16)
		return SL_DEMUX_UNKNOWN;
	if (p[0] < 20)
		return if_long_enough(SL_DEMUX_ZRTP, len, ZRTP_HEADER);
	if (p[0] < 64)
		return if_long_enough(SL_DEMUX_DTLS, len, DTLS_HEADER);
	if (p[0] < 80)
		return if_long_enough(SL_DEMUX_CHANNEL, len, CHANNEL_HEADER);
	if (p[0] >= 128 && p[0] < 192)
		return rtp_or_rtcp(p, len);
	return SL_DEMUX_QUIC;
}
