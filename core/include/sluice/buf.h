/*
 * sluice/buf.h: a growable byte buffer, and a bounded reader. Integers are big-endian (network
 * order).
 *
 * A write that runs out of memory or over the limit sets `failed` and all later writes do nothing,
 * so that a sequence of writes needs one check at its end.
 */
#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H

#include <sluice/str.h>

struct sl_buf {
	uint8_t *p; /* owned, malloc'ed */
	size_t len, cap;
	size_t limit; /* bytes; 0: none */
	bool failed;
};

/* Allocates nothing yet; a zeroed struct is a buffer without limit */
SL_API void sl_buf_init(struct sl_buf *b, size_t limit_bytes);
/* Leaves it empty and usable */
SL_API void sl_buf_free(struct sl_buf *b);
/* Empty, memory kept */
SL_API void sl_buf_reset(struct sl_buf *b);
/* 0, or -SL_ENOMEM once failed */
SL_API SL_MUST_CHECK int sl_buf_ok(const struct sl_buf *b);
/* Room for n at p + len, or NULL */
SL_API uint8_t *sl_buf_reserve(struct sl_buf *b, size_t n);
/* Copies n bytes behind the rest, as do all below */
SL_API void sl_buf_add(struct sl_buf *b, const void *src, size_t n);
SL_API void sl_buf_str(struct sl_buf *b, struct sl_str s);
/* As printf; the text ends without a NUL */
SL_API void sl_buf_printf(struct sl_buf *b, const char *fmt, ...) SL_PRINTF(2, 3);
SL_API void sl_buf_u8(struct sl_buf *b, uint8_t v);
SL_API void sl_buf_u16(struct sl_buf *b, uint16_t v);
SL_API void sl_buf_u32(struct sl_buf *b, uint32_t v);
SL_API void sl_buf_u64(struct sl_buf *b, uint64_t v);
/* U32 length, bytes */
SL_API void sl_buf_lstr(struct sl_buf *b, struct sl_str s);
/* A quoted JSON string; bad UTF-8 becomes U+FFFD */
SL_API void sl_buf_json(struct sl_buf *b, struct sl_str s);
/* Removes the first n bytes */
SL_API void sl_buf_drop(struct sl_buf *b, size_t n);
static inline struct sl_str sl_buf_view(const struct sl_buf *b)
{
	return (struct sl_str){(const char *)b->p, b->len};
}

/* Reads past the end give zeros and set `failed`. */
struct sl_reader {
	const uint8_t *p, *end;
	bool failed;
};
static inline struct sl_reader sl_reader(const void *p, size_t n)
{
	const uint8_t *from = p;
	return (struct sl_reader){from, n > 0 ? from + n : from, false};
}
/* The next number, big-endian; 0 past the end */
SL_API uint8_t sl_read_u8(struct sl_reader *r);
SL_API uint16_t sl_read_u16(struct sl_reader *r);
SL_API uint32_t sl_read_u32(struct sl_reader *r);
SL_API uint64_t sl_read_u64(struct sl_reader *r);
/* Borrowed view */
SL_API struct sl_str sl_read_bytes(struct sl_reader *r, size_t n);
/* As sl_buf_lstr wrote it: a view, empty past the end */
SL_API struct sl_str sl_read_lstr(struct sl_reader *r);

/* Unaligned big-endian access to packet bytes. */
static inline uint16_t sl_get16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t sl_get32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t sl_get64(const void *p)
{
	return (uint64_t)sl_get32(p) << 32 | sl_get32((const uint8_t *)p + 4);
}
static inline void sl_put16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8), b[1] = (uint8_t)v;
}
static inline void sl_put32(void *p, uint32_t v)
{
	sl_put16(p, (uint16_t)(v >> 16));
	sl_put16((uint8_t *)p + 2, (uint16_t)v);
}
static inline void sl_put64(void *p, uint64_t v)
{
	sl_put32(p, (uint32_t)(v >> 32));
	sl_put32((uint8_t *)p + 4, (uint32_t)v);
}

#endif
