/*
 * proto/stun_query.c: Binding from the client's side (RFC 8489 section 6.3.3, RFC 5780 section 7).
 *
 * Sans-I/O: writes a request, reads an answer. Knows nothing of retransmission; the tools that ask
 * do that. An answer is known by its transaction id alone, because discovery means that it may come
 * from anywhere.
 */
#include "proto/stun_query.h"

enum { CHANGE_ADDRESS = 4, CHANGE_PORT = 2 };

size_t stun_query_write(const struct stun_query *q, uint8_t dst[STUN_QUERY_MAX])
{
	const uint8_t port[2] = {(uint8_t)(q->response_port >> 8), (uint8_t)q->response_port};
	uint32_t change =
		(q->change_address ? CHANGE_ADDRESS : 0) | (q->change_port ? CHANGE_PORT : 0);
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, dst, STUN_QUERY_MAX, SL_STUN_REQUEST, SL_STUN_BINDING, q->txid);
	if (change)
		sl_stun_put_u32(&w, SL_STUN_CHANGE_REQUEST, change);
	if (q->response_port)
		sl_stun_put(&w, SL_STUN_RESPONSE_PORT, port, sizeof port);
	sl_assert(sl_stun_finish(&w, &len) == 0); /* the room is made for all of it */
	return len;
}

static void read_plain(const struct sl_stun_msg *msg, uint16_t type, struct sl_addr *ret_addr)
{
	struct sl_stun_attr a;

	/* Malformed is as good as absent. */
	if (!sl_stun_find(msg, type, &a) || sl_stun_get_addr(msg, &a, ret_addr) < 0)
		*ret_addr = (struct sl_addr){0};
}

/* 300 to 699; 0: none that RFC 8489 section 14.8 permits. */
static unsigned error_code(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr a;
	unsigned hundreds, rest;

	if (!sl_stun_find(msg, SL_STUN_ERROR_CODE, &a) || a.len < 4)
		return 0;
	hundreds = a.data[2] & 7;
	rest = a.data[3];
	return hundreds < 3 || hundreds > 6 || rest > 99 ? 0 : hundreds * 100 + rest;
}

int stun_report_read(const void *data, size_t len, const uint8_t txid[12],
		     struct stun_report *ret_report)
{
	struct stun_report r = {0};
	struct sl_stun_msg msg;
	struct sl_stun_attr a;

	if (sl_stun_parse(&msg, data, len) < 0 || memcmp(msg.txid, txid, 12) != 0 ||
	    msg.method != SL_STUN_BINDING || msg.class_ < SL_STUN_SUCCESS)
		return -SL_ENOENT;
	if (msg.class_ == SL_STUN_ERROR) {
		r.error = error_code(&msg);
		if (r.error == 0)
			return -SL_EPARSE;
		*ret_report = r;
		return 0;
	}
	read_plain(&msg, SL_STUN_MAPPED_ADDRESS, &r.plain);
	read_plain(&msg, SL_STUN_RESPONSE_ORIGIN, &r.origin);
	read_plain(&msg, SL_STUN_OTHER_ADDRESS, &r.other);
	if (sl_stun_find(&msg, SL_STUN_XOR_MAPPED_ADDRESS, &a)) {
		if (sl_stun_get_xor_addr(&msg, &a, &r.mapped) < 0)
			return -SL_EPARSE;
	} else {
		r.mapped = r.plain; /* servers of RFC 3489 */
	}
	if (r.mapped.family == 0)
		return -SL_EPARSE;
	*ret_report = r;
	return 0;
}
