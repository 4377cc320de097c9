/*
 * recorder/s3_reply.c: see s3_reply.h. The documents are flat and known: an element is looked for
 * by its name, wherever it stands; attributes, comments and CDATA do not come in them.
 */
#include "s3_reply.h"

#include <stdlib.h>
#include <time.h>

/* Behind "<name" there may be attributes. NULL: not found */
static const char *find_open(struct sl_str xml, struct sl_str name)
{
	const char *p = xml.p, *end = xml.p + xml.len;

	while (p && (p = memchr(p, '<', (size_t)(end - p)))) {
		size_t left = (size_t)(end - ++p);

		if (left <= name.len || memcmp(p, name.p, name.len) != 0)
			continue;
		if (p[name.len] == '>')
			return p + name.len + 1;
		if (p[name.len] == ' ' && (p = memchr(p, '>', left)))
			return p[-1] == '/' ? NULL : p + 1;
	}
	return NULL;
}

static const struct {
	struct sl_str entity;
	char c;
} entities[] = {
	{SL_STR_INIT("&quot;"), '"'}, {SL_STR_INIT("&amp;"), '&'},   {SL_STR_INIT("&lt;"), '<'},
	{SL_STR_INIT("&gt;"), '>'},   {SL_STR_INIT("&apos;"), '\''}, {SL_STR_INIT("&#34;"), '"'},
	{SL_STR_INIT("&#39;"), '\''},
};

/* One character off *text */
static char next_char(struct sl_str *text)
{
	char c = *text->p;
	size_t n = 1;

	for (size_t i = 0; c == '&' && n == 1 && i < SL_ARRAY_LEN(entities); i++) {
		if (!sl_str_starts(*text, entities[i].entity))
			continue;
		c = entities[i].c;
		n = entities[i].entity.len;
	}
	text->p += n;
	text->len -= n;
	return c;
}

bool s3_element(struct sl_str xml, struct sl_str name, char *dst, size_t cap)
{
	const char *from = xml.len > 0 ? find_open(xml, name) : NULL, *to;
	struct sl_str text;
	size_t n = 0;

	if (!from)
		return false;
	to = memchr(from, '<', (size_t)(xml.p + xml.len - from));
	if (!to || xml.p + xml.len - to < 2 || to[1] != '/')
		return false;
	text = (struct sl_str){from, (size_t)(to - from)};
	while (text.len > 0 && n + 1 < cap)
		dst[n++] = next_char(&text);
	dst[n] = '\0';
	return true;
}

void s3_tag(struct sl_str header, char *dst, size_t cap)
{
	header = sl_str_trim(header);
	if (sl_str_starts(header, SL_STR("W/"))) {
		header.p += 2;
		header.len -= 2;
	}
	if (header.len >= 2 && header.p[0] == '"' && header.p[header.len - 1] == '"') {
		header.p++;
		header.len -= 2;
	}
	(void)sl_str_copy(dst, cap, header);
}

int s3_date(struct sl_str text, int64_t *ret_s)
{
	struct tm tm = {0};
	char z[64];
	const char *end;

	if (text.len >= sizeof z)
		return -SL_EPARSE;
	(void)sl_str_copy(z, sizeof z, sl_str_trim(text));
	end = strptime(z, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return -SL_EPARSE;
	*ret_s = (int64_t)timegm(&tm);
	return 0;
}
