/*
 * recorder/depacket_av1.c: OBUs out of the elements of AV1's RTP packets (section 4.4), each with
 * its size field as files want it; temporal delimiters and tile lists are left out (section 5).
 *
 * An OBU may go over several packets: its bytes gather at the end of the frame's data, and its size
 * is put in front of them once it is whole.
 */
#include "depacket.h"

enum {
	Z_BIT = 0x80,
	Y_BIT = 0x40,
	OBU_DELIMITER = 2,
	OBU_TILE_LIST = 8,
	HAS_EXTENSION = 0x04,
	HAS_SIZE = 0x02,
};

static uint32_t read_leb128(struct sl_reader *r)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t byte = sl_read_u8(r);

		v |= (uint32_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

static size_t write_leb128(uint8_t dst[5], size_t v)
{
	size_t n = 0;

	do {
		dst[n] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (dst[n++] & 0x80);
	return n;
}

/* The OBU from unit_at on is whole: gives it its size. */
static int finish_obu(struct depacket *d)
{
	uint8_t *obu, size[5];
	size_t len = d->data.len - d->unit_at, head, n;
	unsigned type;

	d->in_unit = false;
	if (d->data.failed || len == 0)
		return -SL_EPARSE;
	obu = d->data.p + d->unit_at;
	type = obu[0] >> 3 & 0xf;
	head = obu[0] & HAS_EXTENSION ? 2 : 1;
	if (type == OBU_DELIMITER || type == OBU_TILE_LIST) {
		d->data.len = d->unit_at;
		return 0;
	}
	if (len < head)
		return -SL_EPARSE;
	if (obu[0] & HAS_SIZE)
		return 0;
	n = write_leb128(size, len - head);
	if (!sl_buf_reserve(&d->data, n))
		return -SL_EPARSE;
	obu = d->data.p + d->unit_at;
	memmove(obu + head + n, obu + head, len - head);
	memcpy(obu + head, size, n);
	obu[0] |= HAS_SIZE;
	d->data.len += n;
	return 0;
}

static int put_element(struct depacket *d, struct sl_str element, bool goes_on, bool continues)
{
	if (goes_on != d->in_unit)
		return -SL_EPARSE;
	if (!goes_on)
		d->unit_at = d->data.len;
	d->in_unit = true;
	sl_buf_str(&d->data, element);
	return continues ? 0 : finish_obu(d);
}

int depacket_av1(struct depacket *d, struct sl_str payload)
{
	struct sl_reader r = sl_reader(payload.p, payload.len);
	uint8_t head = sl_read_u8(&r);
	unsigned n = head >> 4 & 3, i = 0;

	while (r.p < r.end) {
		bool last_without_length = n != 0 && i + 1 == n, goes_on = i == 0 && (head & Z_BIT);
		size_t len = last_without_length ? (size_t)(r.end - r.p) : read_leb128(&r);
		struct sl_str element = sl_read_bytes(&r, len);
		bool continues = r.p == r.end && (head & Y_BIT);

		if (r.failed || put_element(d, element, goes_on, continues) < 0)
			return -SL_EPARSE;
		i++;
	}
	return n != 0 && i != n ? -SL_EPARSE : 0;
}

int depacket_av1_close(struct depacket *d)
{
	return d->in_unit ? -SL_EPARSE : 0;
}
