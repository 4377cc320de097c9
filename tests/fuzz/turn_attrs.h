/*
 * tests/fuzz/turn_attrs.h: every attribute that <sluice/stun.h> names, written into a request as a
 * fuzzer's bytes say.
 *
 * An input chooses attributes by their place in the table, and whether each has the shape of its
 * RFC (filled with the input's bytes, so that what is checked behind the length is reached), or any
 * bytes at all. Addresses, tickets, tokens and connection ids are those of the world, where there
 * are any. tests/build/test_fuzz_attributes compares table and header.
 */
#ifndef TESTS_FUZZ_TURN_ATTRS_H
#define TESTS_FUZZ_TURN_ATTRS_H

#include <sluice/stun.h>

/* What is left of the input. Behind its end are zeros. */
struct bytes {
	const uint8_t *p;
	size_t len;
};

static inline uint8_t take(struct bytes *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

static inline uint16_t take16(struct bytes *in)
{
	const uint16_t high = take(in);

	return (uint16_t)(high << 8 | take(in));
}

static inline struct sl_str take_some(struct bytes *in, size_t len)
{
	const struct sl_str some = {(const char *)in->p, len < in->len ? len : in->len};

	in->p += some.len;
	in->len -= some.len;
	return some;
}

/* Few addresses and ports, so that they meet again: public, denied, a cloud's metadata, this node's
 * own and its relay ports. */
static inline struct sl_addr take_addr(struct bytes *in)
{
	const uint8_t what = take(in);
	const uint8_t port = take(in);
	struct sl_addr a = {.family = what & 64 ? 6 : 4, .port = port, .ip = {192, 0, 2}};

	if (a.family == 6) {
		a.ip[0] = 0x20;
		a.ip[1] = 1;
		a.ip[15] = what & 15;
	} else if (what & 32) {
		a.ip[0] = 10;
	} else if (what & 16) {
		a = (struct sl_addr){.family = 4, .port = port, .ip = {169, 254, 169, 254}};
	} else {
		a.ip[3] = what & 15;
	}
	return a;
}

enum attr_shape {
	ATTR_EMPTY,
	ATTR_BYTE,
	ATTR_WORD,
	ATTR_NUMBER,
	ATTR_FAMILY,
	ATTR_ADDR,
	ATTR_XOR_ADDR,
	ATTR_TEXT,
	ATTR_KNOWN
};

struct attr_kind {
	uint16_t type;
	enum attr_shape shape;
};

static const struct attr_kind attr_kinds[] = {
	{SL_STUN_MAPPED_ADDRESS, ATTR_ADDR},
	{SL_STUN_CHANGE_REQUEST, ATTR_NUMBER},
	{SL_STUN_USERNAME, ATTR_TEXT},
	{SL_STUN_MESSAGE_INTEGRITY, ATTR_TEXT},
	{SL_STUN_ERROR_CODE, ATTR_NUMBER},
	{SL_STUN_UNKNOWN_ATTRIBUTES, ATTR_WORD},
	{SL_TURN_CHANNEL_NUMBER, ATTR_WORD},
	{SL_TURN_LIFETIME, ATTR_NUMBER},
	{SL_TURN_XOR_PEER_ADDRESS, ATTR_XOR_ADDR},
	{SL_TURN_DATA_ATTR, ATTR_TEXT},
	{SL_STUN_REALM, ATTR_TEXT},
	{SL_STUN_NONCE, ATTR_TEXT},
	{SL_TURN_XOR_RELAYED_ADDRESS, ATTR_XOR_ADDR},
	{SL_TURN_REQUESTED_ADDRESS_FAMILY, ATTR_FAMILY},
	{SL_TURN_EVEN_PORT, ATTR_BYTE},
	{SL_TURN_REQUESTED_TRANSPORT, ATTR_FAMILY},
	{SL_TURN_DONT_FRAGMENT, ATTR_EMPTY},
	{SL_STUN_ACCESS_TOKEN, ATTR_TEXT},
	{SL_STUN_MESSAGE_INTEGRITY_SHA256, ATTR_TEXT},
	{SL_STUN_PASSWORD_ALGORITHM, ATTR_WORD},
	{SL_STUN_USERHASH, ATTR_TEXT},
	{SL_STUN_XOR_MAPPED_ADDRESS, ATTR_XOR_ADDR},
	{SL_TURN_RESERVATION_TOKEN, ATTR_KNOWN},
	{SL_STUN_PRIORITY, ATTR_NUMBER},
	{SL_STUN_USE_CANDIDATE, ATTR_EMPTY},
	{SL_STUN_PADDING, ATTR_TEXT},
	{SL_STUN_RESPONSE_PORT, ATTR_WORD},
	{SL_TURN_CONNECTION_ID, ATTR_KNOWN},
	{SL_TURN_ADDITIONAL_ADDRESS_FAMILY, ATTR_FAMILY},
	{SL_TURN_ADDRESS_ERROR_CODE, ATTR_NUMBER},
	{SL_STUN_PASSWORD_ALGORITHMS, ATTR_TEXT},
	{SL_STUN_ALTERNATE_DOMAIN, ATTR_TEXT},
	{SL_TURN_ICMP, ATTR_TEXT},
	{SL_STUN_SOFTWARE, ATTR_TEXT},
	{SL_STUN_ALTERNATE_SERVER, ATTR_ADDR},
	{SL_STUN_FINGERPRINT, ATTR_NUMBER},
	{SL_STUN_ICE_CONTROLLED, ATTR_TEXT},
	{SL_STUN_ICE_CONTROLLING, ATTR_TEXT},
	{SL_STUN_RESPONSE_ORIGIN, ATTR_ADDR},
	{SL_STUN_OTHER_ADDRESS, ATTR_ADDR},
	{SL_TURN_MOBILITY_TICKET, ATTR_KNOWN},
	{SL_STUN_THIRD_PARTY_AUTHORIZATION, ATTR_TEXT},
	{SL_TURN_ADDITIONAL_ADDRESS_FAMILY_DRAFT, ATTR_FAMILY},
};

/* What the world has told its clients, to be said back to it. */
struct told {
	uint8_t ticket[64], token[8];
	size_t ticket_len, token_len;
	uint32_t connection;
};

static inline void put_known(struct sl_stun_writer *w, uint16_t type, const struct told *told)
{
	switch (type) {
	case SL_TURN_MOBILITY_TICKET:
		sl_stun_put(w, type, told->ticket, told->ticket_len);
		break;
	case SL_TURN_RESERVATION_TOKEN:
		sl_stun_put(w, type, told->token, told->token_len);
		break;
	default:
		sl_stun_put_u32(w, type, told->connection);
	}
}

static inline void put_shaped(struct sl_stun_writer *w, const struct attr_kind *kind,
			      struct bytes *in, const struct told *told)
{
	struct sl_addr addr;
	uint16_t word;
	uint8_t byte;

	switch (kind->shape) {
	case ATTR_EMPTY:
		sl_stun_put(w, kind->type, NULL, 0);
		break;
	case ATTR_BYTE:
		byte = take(in);
		sl_stun_put(w, kind->type, &byte, 1);
		break;
	case ATTR_WORD: /* a channel's number more often than not */
		byte = take(in);
		sl_stun_put_u32(w, kind->type, (byte & 1 ? 0x4000u | byte >> 1 : byte) << 16);
		break;
	case ATTR_NUMBER:
		word = take16(in);
		sl_stun_put_u32(w, kind->type, word);
		break;
	case ATTR_FAMILY:
		sl_stun_put_u32(w, kind->type, (uint32_t)take(in) << 24);
		break;
	case ATTR_ADDR:
		addr = take_addr(in);
		sl_stun_put_addr(w, kind->type, &addr);
		break;
	case ATTR_XOR_ADDR:
		addr = take_addr(in);
		sl_stun_put_xor_addr(w, kind->type, &addr);
		break;
	case ATTR_TEXT:
		sl_stun_put_str(w, kind->type, take_some(in, take(in) % 64));
		break;
	default:
		put_known(w, kind->type, told);
	}
}

/* One attribute; the writer stops by itself when it is full. */
static inline void put_any(struct sl_stun_writer *w, struct bytes *in, const struct told *told)
{
	const uint8_t which = take(in);
	const struct attr_kind *kind = &attr_kinds[which % SL_ARRAY_LEN(attr_kinds)];

	uint16_t type = kind->type;

	if (which < 3 * SL_ARRAY_LEN(attr_kinds)) {
		put_shaped(w, kind, in, told);
		return;
	}
	if (which >= 240)
		type = take16(in);
	sl_stun_put_str(w, type, take_some(in, take(in)));
}

#endif
