/*
 * config/quote.c: text as a scalar of YAML.
 *
 * Double quotes are the one style that can say everything; they are left out where a text is what
 * every reader takes for a scalar anyway.
 */
#include "config/quote.h"

#include "base/utf8.h"

/* Words, paths and numbers: what no reader of YAML takes for anything but a scalar. */
static bool is_plain(struct sl_str s)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_.-";
	bool negative = s.len > 1 && s.p[0] == '-' && s.p[1] >= '0' && s.p[1] <= '9';

	if (!s.len || (!negative && strchr("_.-", s.p[0])))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!memchr(plain, s.p[i], sizeof plain - 1))
			return false;
	}
	return true;
}

/* Line separators would be folded, byte order marks and non-characters refused: all in three bytes
 * of UTF-8. */
static uint32_t needs_escape(struct sl_str s)
{
	static const uint32_t escaped[] = {0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff};
	uint32_t c;

	if (utf8_len(s) != 3)
		return 0;
	c = (s.p[0] & 0xfu) << 12 | (s.p[1] & 0x3fu) << 6 | (s.p[2] & 0x3fu);
	for (unsigned i = 0; i < SL_ARRAY_LEN(escaped); i++) {
		if (c == escaped[i])
			return c;
	}
	return 0;
}

/* JSON's strings are YAML's, but for a few characters. */
void quote_yaml_text(struct sl_buf *out, struct sl_str s)
{
	char text[UTF8_ESCAPE_MAX];
	size_t used;

	sl_buf_u8(out, '"');
	for (; s.len; s.p += used, s.len -= used) {
		uint32_t special = needs_escape(s);

		if (special) {
			sl_buf_printf(out, "\\u%04x", (unsigned)special);
			used = 3;
		} else {
			sl_buf_add(out, text, utf8_escape(text, s, &used));
		}
	}
	sl_buf_u8(out, '"');
}

void quote_yaml(struct sl_buf *out, struct sl_str text)
{
	if (is_plain(text))
		sl_buf_str(out, text);
	else
		quote_yaml_text(out, text);
}
