/*
 * proto/sdp_write.c: writes a session description line by line.
 *
 * Knows the form of lines, not which of them belong together. The order of RFC 8866 is the
 * caller's: begin, session attributes, then each section.
 */
#include <sluice/sdp.h>

#include <stdarg.h>
#include <stdio.h>

#define LINE_END "\r\n"
#define VALUE_MAX 1024 /* bytes of an attribute's value */

static void put_address(struct sl_buf *b, const struct sl_addr *a)
{
	char ip[SL_ADDR_STRLEN];

	if (!a || !a->family)
		sl_buf_str(b, SL_STR("IN IP4 0.0.0.0"));
	else
		sl_buf_printf(b, "IN IP%d %s", a->family, sl_addr_format_ip(ip, a));
}

static void put_connection(struct sl_buf *b, const struct sl_addr *a)
{
	sl_buf_str(b, SL_STR("c="));
	put_address(b, a);
	sl_buf_str(b, SL_STR(LINE_END));
}

void sl_sdp_begin(struct sl_buf *b, uint64_t id, uint64_t version, const struct sl_addr *addr)
{
	sl_buf_printf(b, "v=0" LINE_END "o=- %llu %llu ", (unsigned long long)id,
		      (unsigned long long)version);
	put_address(b, addr);
	sl_buf_str(b, SL_STR(LINE_END "s=-" LINE_END));
	if (addr && addr->family)
		put_connection(b, addr);
	sl_buf_str(b, SL_STR("t=0 0" LINE_END));
}

void sl_sdp_put(struct sl_buf *b, const char *name)
{
	sl_buf_printf(b, "a=%s" LINE_END, name);
}

void sl_sdp_putf(struct sl_buf *b, const char *name, const char *fmt, ...)
{
	char value[VALUE_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(value, sizeof value, fmt, args);
	va_end(args);
	/* A value that is cut would be a wrong one. */
	if (n < 0 || (size_t)n >= sizeof value)
		b->failed = true;
	else
		sl_buf_printf(b, "a=%s:%s" LINE_END, name, value);
}

void sl_sdp_begin_media(struct sl_buf *b, struct sl_str type, uint16_t port, struct sl_str proto)
{
	sl_buf_printf(b, "m=%.*s %u %.*s", SL_FMT(type), port, SL_FMT(proto));
}

void sl_sdp_put_format(struct sl_buf *b, unsigned pt)
{
	sl_buf_printf(b, " %u", pt);
}

void sl_sdp_end_media(struct sl_buf *b, const struct sl_addr *connection)
{
	sl_buf_str(b, SL_STR(LINE_END));
	put_connection(b, connection);
}
