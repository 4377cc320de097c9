/*
 * base/utf8.h: UTF-8 (RFC 3629) one character at a time, and the escaped form in which characters
 * of unknown origin may stand between double quotes. Used by JSON output and by the log.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <sluice/str.h>

/* Bytes of the character at s.p, 1..4; 0 when it is not valid UTF-8, or s is empty. */
size_t utf8_len(struct sl_str s);

#define UTF8_ESCAPE_MAX 6 /* "\u001f" */

/*
 * Writes the first character of s, which is not empty, as it stands in a JSON string, and returns
 * the bytes written; *ret_used are those taken from s. A bad byte becomes U+FFFD; controls, DEL and
 * U+0080..U+009F are escaped, as a terminal obeys them.
 */
size_t utf8_escape(char dst[UTF8_ESCAPE_MAX], struct sl_str s, size_t *ret_used);

/* True when utf8_escape() copies this byte as it is. */
static inline bool utf8_is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#endif
