/*
 * base/base64.c: bytes as text: hex (RFC 4648 section 8) and base64 (sections 4 and 5).
 *
 * The decoder takes both base64 alphabets, with or without padding, but never a second spelling of
 * the same bytes: spare bits must be zero (section 3.5), so that two different tokens are never
 * one.
 */
#include <sluice/str.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void sl_hex_encode(char *dst, const void *src, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = src;

	for (size_t i = 0; i < n; i++) {
		*dst++ = digits[p[i] >> 4];
		*dst++ = digits[p[i] & 15];
	}
	*dst = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int sl_hex_decode(uint8_t *dst, size_t dst_len, struct sl_str s, size_t *ret_len)
{
	if (s.len % 2 != 0)
		return -SL_EPARSE;
	if (s.len / 2 > dst_len)
		return -SL_EFULL;
	for (size_t i = 0; i < s.len; i += 2) {
		int hi = hex_value(s.p[i]), lo = hex_value(s.p[i + 1]);

		if (hi < 0 || lo < 0)
			return -SL_EPARSE;
		dst[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*ret_len = s.len / 2;
	return 0;
}

/*
 * Bits wait in an accumulator until there are six; what is above them is shifted out in time and
 * never looked at. Writes n * 4 / 3 characters, rounded up, without padding; returns their number.
 */
static size_t encode(char *dst, const uint8_t *src, size_t n, const char alphabet[65])
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | src[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			dst[len++] = alphabet[bits >> (n_bits - 6) & 63];
	}
	if (n_bits > 0)
		dst[len++] = alphabet[bits << (6 - n_bits) & 63];
	return len;
}

size_t sl_base64_encode(char *dst, const void *src, size_t n)
{
	size_t len = encode(dst, src, n, standard);

	while (len % 4 != 0)
		dst[len++] = '=';
	dst[len] = '\0';
	return len;
}

size_t sl_base64url_encode(char *dst, const void *src, size_t n)
{
	size_t len = encode(dst, src, n, url_safe);

	dst[len] = '\0';
	return len;
}

/* Both alphabets at once: they differ in characters that the other does not have. */
static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

/* Padding is all there or not at all. */
static int strip_padding(struct sl_str *s)
{
	size_t n = 0;

	while (n < s->len && n < 2 && s->p[s->len - 1 - n] == '=')
		n++;
	if (n > 0 && s->len % 4 != 0)
		return -SL_EPARSE;
	s->len -= n;
	/* One character over is 6 bits, which are no byte. */
	return s->len % 4 == 1 ? -SL_EPARSE : 0;
}

int sl_base64_decode(uint8_t *dst, size_t dst_len, struct sl_str s, size_t *ret_len)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t len = 0;

	if (strip_padding(&s) < 0)
		return -SL_EPARSE;
	/* Before the first byte is written: on failure dst may still be the caller's. */
	if (s.len / 4 * 3 + s.len % 4 * 3 / 4 > dst_len)
		return -SL_EFULL;
	for (size_t i = 0; i < s.len; i++) {
		int v = base64_value(s.p[i]);

		if (v < 0)
			return -SL_EPARSE;
		bits = bits << 6 | (uint32_t)v;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			dst[len++] = (uint8_t)(bits >> n_bits);
		}
	}
	/* The spare bits of the last character. */
	if ((bits & ((1u << n_bits) - 1)) != 0)
		return -SL_EPARSE;
	*ret_len = len;
	return 0;
}
