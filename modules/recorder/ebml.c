/*
 * recorder/ebml.c: see ebml.h.
 */
#include "ebml.h"

/* How many bytes follow the first one, which is told by its highest bit that is set */
static unsigned bytes_behind(uint8_t first)
{
	unsigned n = 0;

	while (n < 8 && !(first & 0x80 >> n))
		n++;
	return n;
}

static uint64_t read_rest(struct sl_reader *r, uint64_t v, unsigned n)
{
	while (n-- > 0)
		v = v << 8 | sl_read_u8(r);
	return v;
}

static uint32_t read_id(struct sl_reader *r)
{
	uint8_t first = sl_read_u8(r);
	unsigned n = bytes_behind(first);

	r->failed = r->failed || n > 3;
	return r->failed ? 0 : (uint32_t)read_rest(r, first, n);
}

/* UINT64_MAX: all its bits are set, by which a length is unknown (RFC 8794 section 6.2) */
static uint64_t read_length(struct sl_reader *r)
{
	uint8_t first = sl_read_u8(r);
	unsigned n = bytes_behind(first);
	uint64_t v;

	r->failed = r->failed || n == 8;
	if (r->failed)
		return 0;
	v = read_rest(r, first & (0x7f >> n), n);
	return v == (UINT64_C(1) << 7 * (n + 1)) - 1 ? UINT64_MAX : v;
}

uint64_t ebml_read_number(struct sl_reader *r)
{
	return read_length(r);
}

bool ebml_next(struct sl_reader *r, struct ebml *ret_element)
{
	struct ebml e = {.begin = r->p};
	uint64_t size, rest;

	e.id = read_id(r);
	size = read_length(r);
	if (r->failed)
		return false;
	rest = (uint64_t)(r->end - r->p);
	if (e.id == EBML_SEGMENT && size > rest) /* it is written until its end */
		size = rest;
	if (size > rest)
		return false;
	e.in = sl_reader(r->p, (size_t)size);
	r->p += size;
	*ret_element = e;
	return true;
}

bool ebml_find(struct sl_reader r, uint32_t id, struct ebml *ret_element)
{
	while (ebml_next(&r, ret_element))
		if (ret_element->id == id)
			return true;
	return false;
}

uint64_t ebml_number_within(const struct ebml *e, uint32_t id)
{
	struct ebml inner;
	uint64_t v = 0;

	if (!ebml_find(e->in, id, &inner))
		return 0;
	while (inner.in.p < inner.in.end)
		v = v << 8 | sl_read_u8(&inner.in);
	return v;
}
