/*
 * base/utf8.c: UTF-8 (RFC 3629): validity, length and escaping of one character.
 *
 * Strict: overlong forms, surrogates and what lies over U+10FFFF are bad. A bad sequence is given
 * up byte by byte, so that the text behind it is never swallowed.
 */
#include "base/utf8.h"

static bool is_tail(char c)
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

/* The second byte carries all the limits (RFC 3629 section 4); first is 0xc2..0xf4. */
static bool second_fits(uint8_t first, uint8_t second)
{
	uint8_t lo = 0x80, hi = 0xbf;

	if (first == 0xe0)
		lo = 0xa0; /* overlong below */
	else if (first == 0xed)
		hi = 0x9f; /* surrogates above */
	else if (first == 0xf0)
		lo = 0x90; /* overlong below */
	else if (first == 0xf4)
		hi = 0x8f; /* over U+10FFFF */
	return second >= lo && second <= hi;
}

size_t utf8_len(struct sl_str s)
{
	uint8_t first = s.len > 0 ? (uint8_t)s.p[0] : 0xff;
	size_t n;

	if (first < 0x80)
		return 1;
	/* Tails, 0xc0 and 0xc1 (overlong ASCII), and what would begin over U+10FFFF. */
	if (first < 0xc2 || first > 0xf4)
		return 0;
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (s.len < n || !second_fits(first, (uint8_t)s.p[1]))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (!is_tail(s.p[i]))
			return 0;
	return n;
}

static size_t escape_code(char dst[UTF8_ESCAPE_MAX], uint8_t code)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(dst, "\\u00", 4);
	dst[4] = hex[code >> 4];
	dst[5] = hex[code & 15];
	return 6;
}

/* Short forms where JSON (RFC 8259 section 7) has them. */
static size_t escape_ascii(char dst[UTF8_ESCAPE_MAX], char c)
{
	static const char codes[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
	const char *at;

	if (utf8_is_plain(c)) {
		dst[0] = c;
		return 1;
	}
	/* strchr() would find the NUL at the end of the table. */
	at = c ? strchr(codes, c) : NULL;
	if (!at)
		return escape_code(dst, (uint8_t)c);
	dst[0] = '\\';
	dst[1] = letters[at - codes];
	return 2;
}

size_t utf8_escape(char dst[UTF8_ESCAPE_MAX], struct sl_str s, size_t *ret_used)
{
	size_t n = utf8_len(s);

	*ret_used = n > 0 ? n : 1;
	if (n == 1)
		return escape_ascii(dst, s.p[0]);
	if (n == 0) {
		memcpy(dst, "\xef\xbf\xbd", 3);
		return 3;
	}
	/* U+0080..U+009F: for a terminal U+009B begins a command, as ESC [ does. */
	if (n == 2 && (uint8_t)s.p[0] == 0xc2 && (uint8_t)s.p[1] < 0xa0)
		return escape_code(dst, (uint8_t)s.p[1]);
	memcpy(dst, s.p, n);
	return n;
}

bool sl_str_is_utf8(struct sl_str s)
{
	while (s.len > 0) {
		size_t n = utf8_len(s);

		if (n == 0)
			return false;
		s.p += n;
		s.len -= n;
	}
	return true;
}
