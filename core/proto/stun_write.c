/*
 * proto/stun_write.c: writing STUN messages into a caller's buffer (RFC 8489 sections 5, 14).
 *
 * The writer appends attributes, padded with zeros, and never passes cap: the first overflow sets
 * `failed`, later calls do nothing, and sl_stun_finish tells. The header's length is right whenever
 * a MAC or CRC is taken over it, so MESSAGE-INTEGRITY and FINGERPRINT come in this order, last.
 */
#include <sluice/stun.h>

#include <sluice/buf.h>
#include <sluice/crypto.h>

enum { ATTR_HEADER = 4, SHA1_BYTES = 20, SHA256_BYTES = 32, FINGERPRINT_XOR = 0x5354554e };

static uint16_t type_of(enum sl_stun_class class_, uint16_t method)
{
	unsigned c = class_;

	return (uint16_t)((method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2 |
			  (c & 1) << 4 | (c & 2) << 7);
}

static void set_length(struct sl_stun_writer *w, size_t total)
{
	sl_put16(w->p + 2, (uint16_t)(total - SL_STUN_HEADER));
}

/* Room for an attribute with its header written and its padding zeroed; NULL after an overflow. */
static uint8_t *room(struct sl_stun_writer *w, uint16_t type, size_t len)
{
	size_t pad = (4 - len % 4) % 4;
	uint8_t *p;

	if (w->failed || len > UINT16_MAX || w->cap - w->len < ATTR_HEADER + len + pad) {
		w->failed = true;
		return NULL;
	}
	p = w->p + w->len;
	sl_put16(p, type);
	sl_put16(p + 2, (uint16_t)len);
	memset(p + ATTR_HEADER + len, 0, pad);
	w->len += ATTR_HEADER + len + pad;
	return p + ATTR_HEADER;
}

void sl_stun_begin(struct sl_stun_writer *w, void *dst, size_t cap, enum sl_stun_class class_,
		   uint16_t method, const uint8_t txid[12])
{
	*w = (struct sl_stun_writer){.p = dst, .cap = cap, .failed = cap < SL_STUN_HEADER};
	if (w->failed)
		return;
	if (w->cap > SL_STUN_HEADER + (size_t)UINT16_MAX)
		w->cap = SL_STUN_HEADER + (size_t)UINT16_MAX;
	sl_put16(w->p, type_of(class_, method));
	sl_put16(w->p + 2, 0);
	sl_put32(w->p + 4, SL_STUN_COOKIE);
	memcpy(w->p + 8, txid, 12);
	w->len = SL_STUN_HEADER;
}

void sl_stun_put(struct sl_stun_writer *w, uint16_t type, const void *data, size_t len)
{
	uint8_t *p = room(w, type, len);

	if (p && len > 0)
		memcpy(p, data, len);
}

void sl_stun_put_str(struct sl_stun_writer *w, uint16_t type, struct sl_str s)
{
	sl_stun_put(w, type, s.p, s.len);
}

void sl_stun_put_u32(struct sl_stun_writer *w, uint16_t type, uint32_t v)
{
	uint8_t *p = room(w, type, 4);

	if (p)
		sl_put32(p, v);
}

/* mask: 16 bytes to XOR the address with; the port takes its first two. */
static void put_masked(struct sl_stun_writer *w, uint16_t type, const struct sl_addr *a,
		       const uint8_t *mask)
{
	size_t ip_len = a->family == 4 ? 4 : 16;
	uint8_t *p = room(w, type, 4 + ip_len);

	if (!p)
		return;
	p[0] = 0;
	p[1] = a->family == 4 ? 1 : 2;
	sl_put16(p + 2, a->port ^ sl_get16(mask));
	for (size_t i = 0; i < ip_len; i++)
		p[4 + i] = a->ip[i] ^ mask[i];
}

void sl_stun_put_addr(struct sl_stun_writer *w, uint16_t type, const struct sl_addr *a)
{
	static const uint8_t none[16];

	put_masked(w, type, a, none);
}

void sl_stun_put_xor_addr(struct sl_stun_writer *w, uint16_t type, const struct sl_addr *a)
{
	if (!w->failed)
		put_masked(w, type, a, w->p + 4); /* cookie and transaction id */
}

void sl_stun_put_error(struct sl_stun_writer *w, unsigned code, struct sl_str reason)
{
	uint8_t *p = room(w, SL_STUN_ERROR_CODE, 4 + reason.len);

	if (!p)
		return;
	sl_put16(p, 0);
	p[2] = (uint8_t)(code / 100);
	p[3] = (uint8_t)(code % 100);
	if (reason.len > 0)
		memcpy(p + 4, reason.p, reason.len);
}

void sl_stun_put_integrity(struct sl_stun_writer *w, struct sl_str key)
{
	size_t covered = w->len;
	uint8_t *p = room(w, SL_STUN_MESSAGE_INTEGRITY, SHA1_BYTES);

	if (!p)
		return;
	set_length(w, w->len);
	sl_hmac_sha1(p, key, w->p, covered);
}

void sl_stun_put_integrity_sha256(struct sl_stun_writer *w, struct sl_str key)
{
	size_t covered = w->len;
	uint8_t *p = room(w, SL_STUN_MESSAGE_INTEGRITY_SHA256, SHA256_BYTES);

	if (!p)
		return;
	set_length(w, w->len);
	sl_hmac_sha256(p, key, w->p, covered);
}

void sl_stun_put_fingerprint(struct sl_stun_writer *w)
{
	size_t covered = w->len;
	uint8_t *p = room(w, SL_STUN_FINGERPRINT, 4);

	if (!p)
		return;
	set_length(w, w->len);
	sl_put32(p, sl_crc32(w->p, covered) ^ FINGERPRINT_XOR);
}

int sl_stun_finish(struct sl_stun_writer *w, size_t *ret_len)
{
	if (w->failed)
		return -SL_EFULL;
	set_length(w, w->len);
	*ret_len = w->len;
	return 0;
}
