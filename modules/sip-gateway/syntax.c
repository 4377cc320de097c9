/*
 * sip-gateway/syntax.c: see syntax.h. Nothing is copied, and nothing is looked at twice however
 * long it is: these are bytes of anybody.
 */
#include "syntax.h"

bool sip_is_token_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("-.!%*_+`'~", c) != NULL;
}

bool sip_is_token(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!sip_is_token_char(s.p[i]))
			return false;
	return s.len > 0;
}

static struct sl_str from_offset(struct sl_str s, size_t n)
{
	return n >= s.len ? SL_STR_NULL : (struct sl_str){s.p + n, s.len - n};
}

/* Position of c outside of quotes, or s.len. */
static size_t find_bare(struct sl_str s, char c)
{
	bool quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.p[i] == c)
			return i;
	}
	return s.len;
}

bool sip_list_next(struct sl_str *rest, struct sl_str *ret_item)
{
	while (rest->len > 0) {
		size_t comma = find_bare(*rest, ',');
		/* No further: else a list of commas is read to its end for each of them. */
		size_t open = find_bare((struct sl_str){rest->p, comma}, '<');
		struct sl_str item;

		if (open < comma) {
			size_t close = open + find_bare(from_offset(*rest, open), '>');

			comma = close + find_bare(from_offset(*rest, close), ',');
		}
		item = sl_str_trim((struct sl_str){rest->p, comma});
		*rest = from_offset(*rest, comma + 1);
		if (item.len == 0)
			continue;
		*ret_item = item;
		return true;
	}
	return false;
}

/* ---- values of address headers */

/* What stands behind the address: parameters of the header. */
static struct sl_str params_of(struct sl_str value)
{
	size_t open = find_bare(value, '<');
	size_t close;

	if (open == value.len)
		return from_offset(value, find_bare(value, ';'));
	close = find_bare(from_offset(value, open), '>');
	return from_offset(value, open + close + 1);
}

struct sl_str sip_uri_of(struct sl_str value)
{
	size_t open = find_bare(value, '<');
	struct sl_str rest;

	if (open == value.len)
		return sl_str_trim((struct sl_str){value.p, find_bare(value, ';')});
	rest = from_offset(value, open + 1);
	return sl_str_trim((struct sl_str){rest.p, find_bare(rest, '>')});
}

bool sip_param(struct sl_str value, const char *name, struct sl_str *ret_value)
{
	struct sl_str rest = params_of(value);
	struct sl_str wanted = sl_str_c(name);

	while (rest.len > 0) {
		size_t end = find_bare(rest, ';');
		struct sl_str item = {rest.p, end};
		size_t eq = find_bare(item, '=');

		rest = from_offset(rest, end + 1);
		if (!sl_str_eq_nocase(sl_str_trim((struct sl_str){item.p, eq}), wanted))
			continue;
		*ret_value = sl_str_trim(from_offset(item, eq + 1));
		return true;
	}
	return false;
}

static bool has_scheme(struct sl_str uri, struct sl_str scheme)
{
	return uri.len > scheme.len && sl_str_eq_nocase((struct sl_str){uri.p, scheme.len}, scheme);
}

/* Behind the scheme, without URI parameters and headers; the user part may hold both signs. */
static struct sl_str hier_part(struct sl_str uri)
{
	static const struct sl_str schemes[] = {SL_STR_INIT("sip:"), SL_STR_INIT("sips:")};

	for (size_t i = 0; i < SL_ARRAY_LEN(schemes); i++)
		if (has_scheme(uri, schemes[i]))
			return from_offset(uri, schemes[i].len);
	return SL_STR_NULL;
}

struct sl_str sip_user_of(struct sl_str uri)
{
	struct sl_str rest = hier_part(uri);
	const char *at = rest.len ? memchr(rest.p, '@', rest.len) : NULL;
	struct sl_str user;

	if (!at) {
		if (!has_scheme(uri, SL_STR("tel:")))
			return SL_STR_NULL;
		rest = from_offset(uri, 4);
		return (struct sl_str){rest.p, find_bare(rest, ';')};
	}
	user = (struct sl_str){rest.p, (size_t)(at - rest.p)};
	return sl_str_split(&user, ':'); /* a password may follow, and is not looked at */
}

struct sl_str sip_hostport_of(struct sl_str uri)
{
	struct sl_str rest = hier_part(uri);
	const char *at = rest.len ? memchr(rest.p, '@', rest.len) : NULL;
	size_t n = 0;

	if (at)
		rest = from_offset(rest, (size_t)(at - rest.p) + 1);
	while (n < rest.len && rest.p[n] != ';' && rest.p[n] != '?')
		n++;
	rest.len = n;
	return rest;
}

/* ---- lines */

/* A CR alone, a NUL and their like end a line or a string for some readers and not for others. What
 * is within a line of two is a fold, which both take for a blank (section 7.3.1). */
bool sip_line_is_clean(struct sl_str line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if ((c >= ' ' && c != 0x7f) || c == '\t' || c == '\n')
			continue;
		if (c != '\r' || i + 1 == line.len || line.p[i + 1] != '\n')
			return false;
	}
	return true;
}

bool sip_line_next(struct sl_str *rest, struct sl_str *ret_line)
{
	size_t i = 0;

	while (i < rest->len) {
		const char *nl = memchr(rest->p + i, '\n', rest->len - i);
		size_t end;

		if (!nl)
			return false;
		end = (size_t)(nl - rest->p);
		i = end + 1;
		if (end > 1 && i < rest->len && (rest->p[i] == ' ' || rest->p[i] == '\t'))
			continue;
		if (end > 0 && rest->p[end - 1] == '\r')
			end--;
		*ret_line = (struct sl_str){rest->p, end};
		*rest = from_offset(*rest, i);
		return true;
	}
	return false;
}

bool sip_header_next(struct sl_str *rest, struct sl_str *ret_name, struct sl_str *ret_value)
{
	struct sl_str line;

	while (sip_line_next(rest, &line) && line.len > 0) {
		struct sl_str name = sl_str_trim(sl_str_split(&line, ':'));

		if (line.p ==
		    NULL) /* the first line of a response has no colon; a URI has no blank */
			continue;
		if (!sip_is_token(name))
			continue;
		*ret_name = name;
		*ret_value = sl_str_trim(line);
		return true;
	}
	return false;
}

bool sip_header_is(struct sl_str name, const char *wanted)
{
	static const struct {
		const char *name;
		char compact;
	} forms[] = {
		{"Via", 'v'},
		{"From", 'f'},
		{"To", 't'},
		{"Call-ID", 'i'},
		{"Contact", 'm'},
		{"Content-Type", 'c'},
		{"Supported", 'k'},
		{"Content-Length", 'l'},
		{"Refer-To", 'r'},
		{"Referred-By", 'b'},
		{"Subject", 's'},
		{"Event", 'o'},
		{"Session-Expires", 'x'},
	};

	if (sl_str_eq_nocase(name, sl_str_c(wanted)))
		return true;
	for (size_t i = 0; name.len == 1 && i < SL_ARRAY_LEN(forms); i++)
		if ((name.p[0] | 0x20) == forms[i].compact && strcmp(forms[i].name, wanted) == 0)
			return true;
	return false;
}
