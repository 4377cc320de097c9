/*
 * proto/rtp_ext.c: header extensions of RTP in the one-byte and the two-byte form (RFC 8285), read
 * and written.
 *
 * A walk ends at the first element that does not fit into its block: the packet is good without the
 * rest. Ids are the negotiated ones; what they mean is in struct sl_rtp_ext_map, and an id of 0
 * says "not in use" on both ways.
 */
#include <sluice/rtp.h>

enum {
	BLOCK_HEADER = 4,
	ONE_BYTE_MAX_ID = 14, /* 15 ends a walk: section 4.2 */
	ONE_BYTE_MAX_LEN = 16,
	TWO_BYTE_MAX_LEN = 255,
};

struct element {
	unsigned id;
	const uint8_t *value;
	size_t len;
};

/* The next element from *p on; false at the end. Padding has the id 0 and no length. */
static bool next_element(const uint8_t **p, const uint8_t *end, bool two_byte, struct element *e)
{
	const size_t header = two_byte ? 2 : 1;

	while (*p < end && (two_byte ? **p == 0 : **p >> 4 == 0))
		++*p;
	if ((size_t)(end - *p) < header)
		return false;
	e->id = two_byte ? (*p)[0] : (*p)[0] >> 4;
	e->len = two_byte ? (*p)[1] : ((*p)[0] & 15) + (size_t)1;
	e->value = *p + header;
	if (!two_byte && e->id > ONE_BYTE_MAX_ID)
		return false;
	if ((size_t)(end - e->value) < e->len)
		return false;
	*p = e->value + e->len;
	return true;
}

struct sl_str sl_rtp_ext_find(const struct sl_rtp *r, unsigned id)
{
	const uint8_t *p = r->data + r->ext_at, *end = p + r->ext_len;
	struct element e;

	while (id != 0 && next_element(&p, end, r->ext_two_byte, &e))
		if (e.id == id)
			return (struct sl_str){(const char *)e.value, e.len};
	return SL_STR_NULL;
}

/* Of two elements with one id the first holds. */
void sl_rtp_ext_index(struct sl_rtp *r, const struct sl_rtp_ext_map *map)
{
	const uint8_t *p = r->data + r->ext_at, *end = p + r->ext_len;
	struct element e;

	memset(r->ext, 0, sizeof r->ext);
	while (next_element(&p, end, r->ext_two_byte, &e)) {
		const uint8_t *at = memchr(map->id, (int)e.id, SL_N_RTP_EXT);
		struct sl_rtp_ext_ref *ref = at ? &r->ext[at - map->id] : NULL;

		if (ref && !ref->at)
			*ref = (struct sl_rtp_ext_ref){(uint16_t)(e.value - r->data),
						       (uint16_t)e.len};
	}
}

/* ---- writing */

void sl_rtp_ext_begin(struct sl_rtp_ext_writer *w, void *dst, size_t cap)
{
	*w = (struct sl_rtp_ext_writer){.p = dst, .cap = cap};
}

/* len counts elements only; the block's header comes before them. */
static bool has_room(struct sl_rtp_ext_writer *w, size_t more)
{
	size_t used = BLOCK_HEADER + w->len;

	if (used > w->cap || w->cap - used < more)
		w->failed = true;
	return !w->failed;
}

/* Every element so far gets a byte more. Elements are few and small, so each insertion moves what
 * follows it. */
static void widen(struct sl_rtp_ext_writer *w)
{
	uint8_t *p = w->p + BLOCK_HEADER;

	w->two_byte = true;
	while (p < w->p + BLOCK_HEADER + w->len) {
		uint8_t id = p[0] >> 4, len = (uint8_t)((p[0] & 15) + 1);

		if (!has_room(w, 1))
			return;
		memmove(p + 1, p, (size_t)(w->p + BLOCK_HEADER + w->len - p));
		p[0] = id;
		p[1] = len;
		w->len++;
		p += 2 + len;
	}
}

void sl_rtp_ext_put(struct sl_rtp_ext_writer *w, unsigned id, const void *value, size_t len)
{
	uint8_t *p;

	if (id == 0 || w->failed)
		return;
	if (id > 255 || len > TWO_BYTE_MAX_LEN) {
		w->failed = true;
		return;
	}
	if (!w->two_byte && (id > ONE_BYTE_MAX_ID || len == 0 || len > ONE_BYTE_MAX_LEN))
		widen(w);
	if (!has_room(w, len + (w->two_byte ? 2 : 1)))
		return;
	p = w->p + BLOCK_HEADER + w->len;
	if (w->two_byte) {
		*p++ = (uint8_t)id;
		*p++ = (uint8_t)len;
	} else {
		*p++ = (uint8_t)(id << 4 | (len - 1));
	}
	if (len > 0)
		memcpy(p, value, len);
	w->len = (size_t)(p + len - w->p) - BLOCK_HEADER;
}

int sl_rtp_ext_end(struct sl_rtp_ext_writer *w)
{
	size_t pad = -w->len & 3;

	if (w->failed || (w->len > 0 && !has_room(w, pad)))
		return -SL_EFULL;
	if (w->len == 0)
		return 0;
	memset(w->p + BLOCK_HEADER + w->len, 0, pad);
	w->len += pad;
	sl_put16(w->p, w->two_byte ? 0x1000 : 0xbede);
	sl_put16(w->p + 2, (uint16_t)(w->len / 4));
	return (int)(BLOCK_HEADER + w->len);
}

/* ---- names */

static const char *const uris[SL_N_RTP_EXT] = {
#define X(id, uri) [SL_RTP_EXT_##id] = uri,
	SL_RTP_EXTENSIONS(X)
#undef X
};

const char *sl_rtp_ext_uri(unsigned ext)
{
	return ext < SL_N_RTP_EXT ? uris[ext] : "";
}

unsigned sl_rtp_ext_by_uri(struct sl_str uri)
{
	unsigned i = 0;

	while (i < SL_N_RTP_EXT && !sl_str_eq(sl_str_c(uris[i]), uri))
		i++;
	return i;
}
