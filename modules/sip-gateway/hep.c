/*
 * sip-gateway/hep.c: HEP version 3: "HEP3", the length of all, then chunks of vendor, type, length
 * and data. What is not known of an address is zero, since collectors want one.
 */
#include "hep.h"

#include <sluice/clock.h>

#include <sys/socket.h>

enum {
	HEAD = 6, /* of the packet, and of each chunk */
	FAMILY = 1,
	PROTOCOL,
	FROM_4,
	TO_4,
	FROM_6,
	TO_6,
	FROM_PORT,
	TO_PORT,
	SECONDS,
	MICROSECONDS,
	KIND,
	AGENT,
	KEY = 14,
	PAYLOAD,
	CORRELATION = 17,
	ANY_TCP = 6, /* of IP */
	ANY_UDP = 17,
};

static void begin_chunk(struct sl_buf *b, uint16_t type, size_t len)
{
	sl_buf_u16(b, 0); /* vendor: the specification */
	sl_buf_u16(b, type);
	sl_buf_u16(b, (uint16_t)(HEAD + len));
}

static void put_u8(struct sl_buf *b, uint16_t type, uint8_t v)
{
	begin_chunk(b, type, 1);
	sl_buf_u8(b, v);
}

static void put_u16(struct sl_buf *b, uint16_t type, uint16_t v)
{
	begin_chunk(b, type, 2);
	sl_buf_u16(b, v);
}

static void put_u32(struct sl_buf *b, uint16_t type, uint32_t v)
{
	begin_chunk(b, type, 4);
	sl_buf_u32(b, v);
}

static void put_bytes(struct sl_buf *b, uint16_t type, struct sl_str s)
{
	if (s.len == 0)
		return;
	begin_chunk(b, type, s.len);
	sl_buf_str(b, s);
}

static void put_address(struct sl_buf *b, const struct sl_addr *a, bool v6, bool from)
{
	size_t len = v6 ? 16 : 4;

	begin_chunk(b, (uint16_t)((from ? FROM_4 : TO_4) + (v6 ? FROM_6 - FROM_4 : 0)), len);
	sl_buf_add(b, a->ip, len);
}

int hep_write(struct sl_buf *out, const struct hep_packet *p)
{
	bool v6 = p->from.family == 6 || p->to.family == 6;
	size_t begin = out->len;

	if (p->payload.len + p->correlation.len + p->key.len > UINT16_MAX - 256)
		return -SL_ELIMIT;
	sl_buf_str(out, SL_STR("HEP3"));
	sl_buf_u16(out, 0); /* known at the end */
	put_u8(out, FAMILY, v6 ? AF_INET6 : AF_INET);
	put_u8(out, PROTOCOL, p->stream ? ANY_TCP : ANY_UDP);
	put_address(out, &p->from, v6, true);
	put_address(out, &p->to, v6, false);
	put_u16(out, FROM_PORT, p->from.port);
	put_u16(out, TO_PORT, p->to.port);
	put_u32(out, SECONDS, (uint32_t)(p->unix_ns / SL_NS_PER_S));
	put_u32(out, MICROSECONDS, (uint32_t)(p->unix_ns % SL_NS_PER_S / 1000));
	put_u8(out, KIND, (uint8_t)p->kind);
	put_u32(out, AGENT, p->agent);
	put_bytes(out, KEY, p->key);
	put_bytes(out, CORRELATION, p->correlation);
	put_bytes(out, PAYLOAD, p->payload);
	if (sl_buf_ok(out) < 0)
		return -SL_ELIMIT;
	sl_put16(out->p + begin + 4, (uint16_t)(out->len - begin));
	return 0;
}
