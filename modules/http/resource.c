/*
 * http/resource.c: what a URL path means below a directory, and how a file is described.
 *
 * Names with a segment that begins with a dot are refused as a whole: that covers "..", and keeps
 * .git and the like private; /.well-known/ is the exception (RFC 8615). The kernel checks again
 * that a name stays below its root (see files.c).
 */
#include "resource.h"

static const struct {
	struct sl_str ext;
	const char *type;
} types[] = {
	{SL_STR_INIT("html"), "text/html; charset=utf-8"},
	{SL_STR_INIT("htm"), "text/html; charset=utf-8"},
	{SL_STR_INIT("js"), "text/javascript; charset=utf-8"},
	{SL_STR_INIT("mjs"), "text/javascript; charset=utf-8"},
	{SL_STR_INIT("css"), "text/css; charset=utf-8"},
	{SL_STR_INIT("json"), "application/json"},
	{SL_STR_INIT("map"), "application/json"},
	{SL_STR_INIT("webmanifest"), "application/manifest+json"},
	{SL_STR_INIT("txt"), "text/plain; charset=utf-8"},
	{SL_STR_INIT("md"), "text/plain; charset=utf-8"},
	{SL_STR_INIT("xml"), "application/xml"},
	{SL_STR_INIT("pdf"), "application/pdf"},
	{SL_STR_INIT("wasm"), "application/wasm"},
	{SL_STR_INIT("svg"), "image/svg+xml"},
	{SL_STR_INIT("png"), "image/png"},
	{SL_STR_INIT("jpg"), "image/jpeg"},
	{SL_STR_INIT("jpeg"), "image/jpeg"},
	{SL_STR_INIT("gif"), "image/gif"},
	{SL_STR_INIT("webp"), "image/webp"},
	{SL_STR_INIT("avif"), "image/avif"},
	{SL_STR_INIT("ico"), "image/x-icon"},
	{SL_STR_INIT("woff2"), "font/woff2"},
	{SL_STR_INIT("woff"), "font/woff"},
	{SL_STR_INIT("mp3"), "audio/mpeg"},
	{SL_STR_INIT("ogg"), "audio/ogg"},
	{SL_STR_INIT("opus"), "audio/ogg"},
	{SL_STR_INIT("wav"), "audio/wav"},
	{SL_STR_INIT("mp4"), "video/mp4"},
	{SL_STR_INIT("webm"), "video/webm"},
};

static bool segment_allowed(struct sl_str segment, bool first)
{
	for (size_t i = 0; i < segment.len; i++)
		if ((unsigned char)segment.p[i] < ' ' || segment.p[i] == 0x7f ||
		    segment.p[i] == '\\')
			return false;
	if (segment.len == 0 || segment.p[0] != '.')
		return true;
	return first && sl_str_eq(segment, SL_STR(".well-known"));
}

int resource_name(char *dst, size_t cap, struct sl_str url_path, struct sl_str index)
{
	struct sl_str rest = url_path;
	bool first = true;
	size_t len;

	if (rest.len == 0 || rest.p[0] != '/')
		return -SL_EDENIED;
	rest.p++, rest.len--;
	len = rest.len;
	if (len + index.len + 1 > cap)
		return -SL_ELIMIT;
	if (len > 0)
		memcpy(dst, rest.p, len);
	while (rest.len > 0) {
		if (!segment_allowed(sl_str_split(&rest, '/'), first))
			return -SL_EDENIED;
		first = false;
	}
	if (len == 0 || dst[len - 1] == '/') {
		memcpy(dst + len, index.p, index.len);
		len += index.len;
	}
	dst[len] = '\0';
	return 0;
}

const char *resource_type(struct sl_str name)
{
	const char *dot = memrchr(name.p, '.', name.len);
	struct sl_str ext;

	if (!dot)
		return "application/octet-stream";
	ext = (struct sl_str){dot + 1, (size_t)(name.p + name.len - dot - 1)};
	for (size_t i = 0; i < SL_ARRAY_LEN(types); i++)
		if (sl_str_eq_nocase(ext, types[i].ext))
			return types[i].type;
	return "application/octet-stream";
}

/* Our tags contain no comma, so a list may be split at commas whatever the other tags are. */
bool resource_tag_matches(struct sl_str if_none_match, struct sl_str tag)
{
	while (if_none_match.len > 0) {
		struct sl_str one = sl_str_trim(sl_str_split(&if_none_match, ','));

		if (sl_str_eq(one, SL_STR("*")))
			return true;
		if (sl_str_starts(one, SL_STR("W/")))
			one.p += 2, one.len -= 2;
		if (sl_str_eq(one, tag))
			return true;
	}
	return false;
}
