/*
 * recorder/manifest.c: see manifest.h.
 */
#include "manifest.h"

#include <sluice/crypto.h>
#include <time.h>

enum { HEX = 64 };
static const struct sl_str tail = SL_STR_INIT(",\"chain\":\"");

static void step(char chain[HEX + 1], struct sl_str line)
{
	const struct sl_str parts[2] = {{chain, HEX}, line};
	uint8_t digest[32];

	sl_sha256_parts(digest, parts, 2);
	sl_hex_encode(chain, digest, sizeof digest);
}

void journal_begin(struct journal *j, struct sl_str id)
{
	uint8_t digest[32];

	sl_sha256(digest, id.p, id.len);
	sl_hex_encode(j->chain, digest, sizeof digest);
	j->n_lines = 0;
}

void journal_write(struct journal *j, struct sl_str members, struct sl_buf *out)
{
	size_t from = out->len;

	sl_buf_str(out, SL_STR("{"));
	sl_buf_str(out, members);
	if (sl_buf_ok(out) < 0)
		return;
	step(j->chain, (struct sl_str){(const char *)out->p + from, out->len - from});
	j->n_lines++;
	sl_buf_printf(out, ",\"chain\":\"%s\"}\n", j->chain);
}

int journal_read(struct journal *j, struct sl_str *text, struct sl_str *ret_line)
{
	const char *end = text->len > 0 ? memchr(text->p, '\n', text->len) : NULL;
	struct sl_str line, body, told;
	char chain[HEX + 1];

	if (!end)
		return -SL_ENOENT;
	line = (struct sl_str){text->p, (size_t)(end - text->p)};
	if (line.len < tail.len + HEX + 3)
		return -SL_EAUTH;
	body = (struct sl_str){line.p, line.len - tail.len - HEX - 2};
	told = (struct sl_str){body.p + body.len, tail.len};
	memcpy(chain, j->chain, sizeof chain);
	step(chain, body);
	if (!sl_str_eq(told, tail) || memcmp(told.p + tail.len, chain, HEX) != 0 ||
	    memcmp(end - 2, "\"}", 2) != 0)
		return -SL_EAUTH;
	memcpy(j->chain, chain, sizeof chain);
	j->n_lines++;
	text->len -= line.len + 1;
	text->p = end + 1;
	*ret_line = line;
	return 0;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

void safe_name(char *dst, size_t cap, struct sl_str name)
{
	size_t n = 0;

	for (size_t i = 0; i < name.len && n + 1 < cap; i++) {
		bool dot = name.p[i] == '.' && n > 0 && dst[n - 1] != '.';

		dst[n++] = is_plain(name.p[i]) || dot ? name.p[i] : '_';
	}
	while (n > 0 && dst[n - 1] == '.')
		n--;
	if (n == 0)
		dst[n++] = '_';
	dst[n] = '\0';
}

void write_time_of_day(uint64_t unix_ms, struct sl_buf *out)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[40] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	sl_buf_printf(out, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}
