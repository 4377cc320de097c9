/*
 * base/buf.c: a byte buffer that grows, and a reader that cannot run over.
 *
 * Both remember the first failure and then do nothing, so that a long message is written or read
 * straight through and checked once. Growth doubles, up to the buffer's limit.
 */
#include <sluice/buf.h>

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAP_MIN 64 /* a short message grows once */

void sl_buf_init(struct sl_buf *b, size_t limit_bytes)
{
	*b = (struct sl_buf){.limit = limit_bytes};
}

void sl_buf_free(struct sl_buf *b)
{
	free(b->p);
	sl_buf_init(b, b->limit);
}

void sl_buf_reset(struct sl_buf *b)
{
	b->len = 0;
	b->failed = false;
}

int sl_buf_ok(const struct sl_buf *b)
{
	return b->failed ? -SL_ENOMEM : 0;
}

/*
 * need is at most the limit. The last step does not double past it: a limit is often a whole page
 * or frame.
 */
static int grow(struct sl_buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : CAP_MIN;
	uint8_t *p;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (b->limit > 0 && cap > b->limit)
		cap = b->limit;
	if (cap == SIZE_MAX)
		return -SL_ENOMEM;
	p = realloc(b->p, cap + 1); /* room for the NUL that vsnprintf() insists on */
	if (!p)
		return -SL_ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

uint8_t *sl_buf_reserve(struct sl_buf *b, size_t n)
{
	size_t need;

	if (b->failed)
		return NULL;
	b->failed = __builtin_add_overflow(b->len, n, &need) || (b->limit > 0 && need > b->limit);
	/* An empty buffer is given memory even for n = 0: NULL means failure only. */
	if (!b->failed && (need > b->cap || !b->p))
		b->failed = grow(b, need) < 0;
	return b->failed ? NULL : b->p + b->len;
}

/* memcpy() takes no NULL, not even for nothing; an empty sl_str has one. */
void sl_buf_add(struct sl_buf *b, const void *src, size_t n)
{
	uint8_t *dst = n > 0 ? sl_buf_reserve(b, n) : NULL;

	if (!dst)
		return;
	memcpy(dst, src, n);
	b->len += n;
}

void sl_buf_str(struct sl_buf *b, struct sl_str s)
{
	sl_buf_add(b, s.p, s.len);
}

/* Printed into the room there is, and once more when that was too little. */
void sl_buf_printf(struct sl_buf *b, const char *fmt, ...)
{
	char *dst = (char *)sl_buf_reserve(b, 0);
	va_list args;
	int n;

	if (!dst)
		return;
	va_start(args, fmt);
	n = vsnprintf(dst, b->cap - b->len + 1, fmt, args);
	va_end(args);
	if (n > 0 && (size_t)n > b->cap - b->len) {
		dst = (char *)sl_buf_reserve(b, (size_t)n);
		if (!dst)
			return;
		va_start(args, fmt);
		n = vsnprintf(dst, (size_t)n + 1, fmt, args);
		va_end(args);
	}
	if (n < 0)
		b->failed = true;
	else
		b->len += (size_t)n;
}

void sl_buf_u8(struct sl_buf *b, uint8_t v)
{
	sl_buf_add(b, &v, 1);
}

void sl_buf_u16(struct sl_buf *b, uint16_t v)
{
	uint8_t bytes[2];

	sl_put16(bytes, v);
	sl_buf_add(b, bytes, sizeof bytes);
}

void sl_buf_u32(struct sl_buf *b, uint32_t v)
{
	uint8_t bytes[4];

	sl_put32(bytes, v);
	sl_buf_add(b, bytes, sizeof bytes);
}

void sl_buf_u64(struct sl_buf *b, uint64_t v)
{
	uint8_t bytes[8];

	sl_put64(bytes, v);
	sl_buf_add(b, bytes, sizeof bytes);
}

void sl_buf_lstr(struct sl_buf *b, struct sl_str s)
{
	if (s.len > UINT32_MAX) {
		b->failed = true;
		return;
	}
	sl_buf_u32(b, (uint32_t)s.len);
	sl_buf_str(b, s);
}

/* Nearly all text needs no escapes and is copied in one piece. */
static size_t plain_run(struct sl_str s)
{
	size_t n = 0;

	while (n < s.len && utf8_is_plain(s.p[n]))
		n++;
	return n;
}

void sl_buf_json(struct sl_buf *b, struct sl_str s)
{
	sl_buf_u8(b, '"');
	while (s.len > 0 && !b->failed) {
		size_t used = plain_run(s);

		sl_buf_add(b, s.p, used);
		if (used == 0) {
			char escaped[UTF8_ESCAPE_MAX];
			size_t n = utf8_escape(escaped, s, &used);

			sl_buf_add(b, escaped, n);
		}
		s.p += used;
		s.len -= used;
	}
	sl_buf_u8(b, '"');
}

void sl_buf_drop(struct sl_buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

/* n bytes at the reader, or NULL and nothing more from now on. */
static const uint8_t *take(struct sl_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || n > (size_t)(r->end - r->p)) {
		r->failed = true;
		return NULL;
	}
	if (n > 0) /* an empty input may be NULL, to which C adds nothing, not even 0 */
		r->p += n;
	return p;
}

/* The readers give zeros after a failure, so that nobody computes with what was never there. */
uint8_t sl_read_u8(struct sl_reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? *p : 0;
}

uint16_t sl_read_u16(struct sl_reader *r)
{
	const uint8_t *p = take(r, 2);

	return p ? sl_get16(p) : 0;
}

uint32_t sl_read_u32(struct sl_reader *r)
{
	const uint8_t *p = take(r, 4);

	return p ? sl_get32(p) : 0;
}

uint64_t sl_read_u64(struct sl_reader *r)
{
	const uint8_t *p = take(r, 8);

	return p ? sl_get64(p) : 0;
}

struct sl_str sl_read_bytes(struct sl_reader *r, size_t n)
{
	const uint8_t *p = take(r, n);

	return p ? (struct sl_str){(const char *)p, n} : SL_STR_NULL;
}

struct sl_str sl_read_lstr(struct sl_reader *r)
{
	uint32_t n = sl_read_u32(r);

	return sl_read_bytes(r, n);
}
