/*
 * sip-gateway/preparse.c: frames of SIP and the few fields that the edge looks at (RFC 3261
 * sections 7, 18.3 and 25; RFC 7118; keep-alives of RFC 5626).
 *
 * The edge sees bytes of anybody. What it lets through is no proof of anything but that the stack's
 * parser is given something message-like of a bounded size.
 */
#include "preparse.h"

static struct sl_str from_offset(struct sl_str s, size_t n)
{
	return n >= s.len ? SL_STR_NULL : (struct sl_str){s.p + n, s.len - n};
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

static bool begins_status(struct sl_str line)
{
	const struct sl_str version = SL_STR("SIP/2.0");

	return line.len > version.len &&
	       sl_str_eq_nocase((struct sl_str){line.p, version.len}, version);
}

static int read_start(struct sip_peek *m, struct sl_str line)
{
	struct sl_str method, uri;

	if (line.len > SIP_MAX_START_LINE)
		return -SL_ELIMIT;
	if (begins_status(line))
		return read_status(m, line);
	method = sl_str_split(&line, ' ');
	uri = sl_str_split(&line, ' ');
	if (!sip_is_token(method) || method.len > SIP_MAX_METHOD || uri.len == 0)
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
	if (!sip_is_token(method) || (m->method.len && !sl_str_eq(method, m->method)))
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
	struct sl_str first;

	if (h->n_seen[f]++ > 0 && (f == F_FROM || f == F_TO || f == F_CALL_ID || f == F_CSEQ))
		return -SL_EPARSE;
	switch (f) {
	case F_VIA:
		if (h->n_seen[F_VIA] == 1 && sip_list_next(&value, &first))
			(void)sip_param(first, "branch", &m->branch);
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

	if (line.p == NULL || !sip_is_token(name))
		return -SL_EPARSE;
	return read_field(m, h, field_of(name), sl_str_trim(line));
}

static int read_head(struct sip_peek *m, struct head *h, struct sl_str message)
{
	struct sl_str rest = message, line;
	unsigned n = 0;
	int err;

	if (!sip_line_next(&rest, &line) || !sip_line_is_clean(line))
		return -SL_EPARSE;
	err = read_start(m, line);
	while (err == 0) {
		if (!sip_line_next(&rest, &line) || !sip_line_is_clean(line))
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
	while (n < first.len && sip_is_token_char(first.p[n]))
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
