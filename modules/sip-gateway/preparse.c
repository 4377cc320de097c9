/*
 * sip-gateway/preparse.c: frames of SIP and the few fields that the edge looks at (RFC 3261
 * sections 7, 18.3 and 25; RFC 7118; keep-alives of RFC 5626).
 *
 * The edge sees bytes of anybody. What it lets through is no proof of anything but that the stack's
 * parser is given something message-like of a bounded size. Folded lines are followed, compact
 * names are known, and a quoted string may hide any separator.
 */
#include "preparse.h"

static bool is_token_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("-.!%*_+`'~", c) != NULL;
}

static bool is_token(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char(s.p[i]))
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
static bool is_clean(struct sl_str line)
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

/* The next line of the head, folded continuations included (section 7.3.1), without its end. False:
 * no complete line is left. */
static bool next_line(struct sl_str *rest, struct sl_str *ret_line)
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

	while (next_line(rest, &line) && line.len > 0) {
		struct sl_str name = sl_str_trim(sl_str_split(&line, ':'));

		if (line.p ==
		    NULL) /* the first line of a response has no colon; a URI has no blank */
			continue;
		if (!is_token(name))
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

static int read_status(struct sip_peek *m, struct sl_str line)
{
	uint64_t status;

	if (line.len < 11 || line.p[7] != ' ' || (line.len > 11 && line.p[11] != ' '))
		return -SL_EPARSE;
	if (sl_str_u64((struct sl_str){line.p + 8, 3}, &status) < 0 || status < 100 || status > 699)
		return -SL_EPARSE;
	m->status = (unsigned)status;
	return 0;
}

static int read_start(struct sip_peek *m, struct sl_str line)
{
	struct sl_str method, uri;

	if (line.len > SIP_MAX_START_LINE)
		return -SL_ELIMIT;
	if (has_scheme(line, SL_STR("SIP/2.0")))
		return read_status(m, line);
	method = sl_str_split(&line, ' ');
	uri = sl_str_split(&line, ' ');
	if (!is_token(method) || method.len > SIP_MAX_METHOD || uri.len == 0)
		return -SL_EPARSE;
	if (!sl_str_eq_nocase(line, SL_STR("SIP/2.0")))
		return -SL_EPARSE;
	m->method = method;
	m->uri = uri;
	return 0;
}

static void set_once(struct sl_str *field, struct sl_str value)
{
	if (field->p == NULL)
		*field = value;
}

static int read_cseq(struct sip_peek *m, struct sl_str value)
{
	size_t n = 0;
	uint64_t number;
	struct sl_str method;

	while (n < value.len && value.p[n] >= '0' && value.p[n] <= '9')
		n++;
	method = sl_str_trim(from_offset(value, n));
	if (sl_str_u64((struct sl_str){value.p, n}, &number) < 0 || number > UINT32_MAX)
		return -SL_EPARSE;
	if (!is_token(method) || (m->method.len && !sl_str_eq(method, m->method)))
		return -SL_EPARSE;
	m->cseq = (uint32_t)number;
	m->method = method;
	return 0;
}

/* ---- headers */

enum field {
	F_NONE,
	F_VIA,
	F_FROM,
	F_TO,
	F_CALL_ID,
	F_CSEQ,
	F_LENGTH,
	F_CONTACT,
	F_USER_AGENT,
	F_CREDENTIALS,
};

static enum field field_of(struct sl_str name)
{
	static const struct {
		struct sl_str name;
		char compact; /* section 7.3.3 */
		enum field field;
	} known[] = {
		{SL_STR_INIT("Via"), 'v', F_VIA},
		{SL_STR_INIT("From"), 'f', F_FROM},
		{SL_STR_INIT("To"), 't', F_TO},
		{SL_STR_INIT("Call-ID"), 'i', F_CALL_ID},
		{SL_STR_INIT("CSeq"), 0, F_CSEQ},
		{SL_STR_INIT("Content-Length"), 'l', F_LENGTH},
		{SL_STR_INIT("Contact"), 'm', F_CONTACT},
		{SL_STR_INIT("User-Agent"), 0, F_USER_AGENT},
		{SL_STR_INIT("Authorization"), 0, F_CREDENTIALS},
		{SL_STR_INIT("Proxy-Authorization"), 0, F_CREDENTIALS},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
		if (name.len == 1 && (name.p[0] | 0x20) == known[i].compact)
			return known[i].field;
		if (sl_str_eq_nocase(name, known[i].name))
			return known[i].field;
	}
	return F_NONE;
}

struct head {
	bool has_length;
	uint64_t length;
	unsigned n_seen[F_CREDENTIALS + 1];
};

static int read_length(struct head *h, struct sl_str value)
{
	uint64_t length;

	if (sl_str_u64(value, &length) < 0)
		return -SL_EPARSE;
	if (length > SIP_MAX_MESSAGE)
		return -SL_ELIMIT;
	if (h->has_length && h->length != length)
		return -SL_EPARSE; /* two readers would cut differently */
	h->has_length = true;
	h->length = length;
	return 0;
}

static void read_address(struct sl_str value, struct sl_str *ret_value, struct sl_str *ret_tag,
			 struct sl_str *ret_user)
{
	set_once(ret_value, value);
	(void)sip_param(value, "tag", ret_tag); /* a first request has none */
	*ret_user = sip_user_of(sip_uri_of(value));
}

/* Exactly one of From, To, Call-ID and CSeq: a message with two means different things to
 * different readers (RFC 4475 section 3.3.8). */
static int read_field(struct sip_peek *m, struct head *h, enum field f, struct sl_str value)
{
	if (h->n_seen[f]++ > 0 && (f == F_FROM || f == F_TO || f == F_CALL_ID || f == F_CSEQ))
		return -SL_EPARSE;
	switch (f) {
	case F_VIA:
		if (h->n_seen[F_VIA] == 1)
			(void)sip_param((struct sl_str){value.p, find_bare(value, ',')}, "branch",
					&m->branch);
		return 0;
	case F_FROM:
		read_address(value, &m->from, &m->from_tag, &m->from_user);
		return 0;
	case F_TO:
		read_address(value, &m->to, &m->to_tag, &m->to_user);
		return 0;
	case F_CALL_ID:
		m->call_id = value;
		return 0;
	case F_CSEQ:
		return read_cseq(m, value);
	case F_LENGTH:
		return read_length(h, value);
	case F_CONTACT:
		set_once(&m->contact, value);
		return 0;
	case F_USER_AGENT:
		set_once(&m->user_agent, value);
		return 0;
	case F_CREDENTIALS:
		m->has_credentials = true;
		return 0;
	case F_NONE:
		return 0;
	}
	return 0;
}

static int read_header(struct sip_peek *m, struct head *h, struct sl_str line)
{
	struct sl_str name = sl_str_trim(sl_str_split(&line, ':'));

	if (line.p == NULL || !is_token(name))
		return -SL_EPARSE;
	return read_field(m, h, field_of(name), sl_str_trim(line));
}

static int read_head(struct sip_peek *m, struct head *h, struct sl_str message)
{
	struct sl_str rest = message, line;
	unsigned n = 0;
	int err;

	if (!next_line(&rest, &line) || !is_clean(line))
		return -SL_EPARSE;
	err = read_start(m, line);
	while (err == 0) {
		if (!next_line(&rest, &line) || !is_clean(line))
			return -SL_EPARSE;
		if (line.len == 0)
			break;
		if (++n > SIP_MAX_HEADERS)
			return -SL_ELIMIT;
		err = read_header(m, h, line);
	}
	m->head_len = message.len - rest.len;
	return err;
}

int sip_peek(struct sip_peek *ret_peek, struct sl_str message)
{
	struct sip_peek m = {0};
	struct head h = {0};
	int err;

	if (message.len > SIP_MAX_MESSAGE)
		return -SL_ELIMIT;
	err = read_head(&m, &h, message);
	if (err < 0)
		return err;
	if (!h.n_seen[F_VIA] || !h.n_seen[F_CSEQ] || m.from.len == 0 || m.to.len == 0 ||
	    m.call_id.len == 0)
		return -SL_EPARSE;
	m.body_len = message.len - m.head_len;
	if (h.has_length && h.length > m.body_len)
		return -SL_EPARSE; /* cut off on its way (section 18.3) */
	if (h.has_length)
		m.body_len = (size_t)h.length;
	*ret_peek = m;
	return 0;
}

/* ---- streams */

static int frame_blank(struct sl_str s, enum sip_frame_kind *ret_kind, size_t *ret_len)
{
	if (sl_str_starts(s, SL_STR("\r\n\r\n"))) {
		*ret_kind = SIP_FRAME_PING;
		*ret_len = 4;
		return 0;
	}
	if (s.len < 4 && sl_str_starts(SL_STR("\r\n\r\n"), s)) { /* a ping may still come of it */
		*ret_kind = SIP_FRAME_NEED_MORE;
		*ret_len = 0;
		return 0;
	}
	*ret_kind = SIP_FRAME_BLANK;
	*ret_len = sl_str_starts(s, SL_STR("\r\n")) ? 2 : 1;
	return 0;
}

/* Length of the head with its empty line; 0: not all there. */
static size_t head_length(struct sl_str s)
{
	const char *p = s.p, *end = s.p + s.len;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (p < end && *p == '\n')
			return (size_t)(p - s.p) + 1;
		if (p + 1 < end && p[0] == '\r' && p[1] == '\n')
			return (size_t)(p - s.p) + 2;
	}
	return 0;
}

int sip_frame(struct sl_str stream, enum sip_frame_kind *ret_kind, size_t *ret_len)
{
	struct sip_peek m = {0};
	struct head h = {0};
	size_t head;
	int err;

	*ret_kind = SIP_FRAME_NEED_MORE;
	*ret_len = 0;
	if (stream.len == 0)
		return 0;
	if (stream.p[0] == '\r' || stream.p[0] == '\n')
		return frame_blank(stream, ret_kind, ret_len);
	if (sip_judge(stream) < 0)
		return -SL_EPARSE;
	head = head_length(stream);
	if (head == 0)
		return stream.len > SIP_MAX_MESSAGE ? -SL_ELIMIT : 0;
	err = read_head(&m, &h, (struct sl_str){stream.p, head});
	if (err < 0)
		return err;
	if (head + h.length > SIP_MAX_MESSAGE)
		return -SL_ELIMIT;
	if (stream.len - head < h.length)
		return 0;
	*ret_kind = SIP_FRAME_MESSAGE;
	*ret_len = head + (size_t)h.length;
	return 0;
}

/* HTTP begins with a token and a space, too: its target is "/..." or "*" or an absolute http URI,
 * ours a URI with another scheme. */
int sip_judge(struct sl_str first)
{
	static const struct sl_str schemes[] = {SL_STR_INIT("sip:"), SL_STR_INIT("sips:"),
						SL_STR_INIT("tel:"), SL_STR_INIT("urn:")};
	const struct sl_str response = SL_STR("SIP/2.0 ");
	size_t n = 0, common = first.len < response.len ? first.len : response.len;
	struct sl_str uri;

	if (common > 0 && memcmp(first.p, response.p, common) == 0)
		return common == response.len ? 1 : 0;
	while (n < first.len && is_token_char(first.p[n]))
		n++;
	if (n > SIP_MAX_METHOD || (n < first.len && (n == 0 || first.p[n] != ' ')))
		return -1;
	uri = from_offset(first, n + 1);
	for (size_t i = 0; i < SL_ARRAY_LEN(schemes); i++) {
		size_t k = uri.len < schemes[i].len ? uri.len : schemes[i].len;

		if (sl_str_eq_nocase((struct sl_str){uri.p, k}, (struct sl_str){schemes[i].p, k}))
			return k == schemes[i].len ? 1 : 0;
	}
	return -1;
}
