/*
 * sip-gateway/message.c: reading by sofia-sip, writing by text.
 *
 * The library's parser is strict where that matters (start line, URIs, numbers, the headers that
 * make a dialog) and keeps a header that it cannot read apart, so that a message with a broken
 * User-Agent is still a message. Only such errors in what we use refuse it.
 */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

static struct sl_str str_of(const char *z)
{
	return sl_str_c(z);
}

static void read_body(struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type");
	struct sl_str bare = sl_str_trim(sl_str_split(&type, ';'));

	m->body = (struct sl_str){m->raw.p + m->peek.head_len, m->peek.body_len};
	m->body_kind = BODY_OTHER;
	if (m->body.len == 0)
		m->body_kind = BODY_NONE;
	else if (sl_str_eq_nocase(bare, SL_STR("application/sdp")))
		m->body_kind = BODY_SDP;
	else if (sl_str_eq_nocase(bare, SL_STR("application/dtmf-relay")) ||
		 sl_str_eq_nocase(bare, SL_STR("application/dtmf")))
		m->body_kind = BODY_DTMF;
	else if (sl_str_eq_nocase(bare, SL_STR("application/media_control+xml")))
		m->body_kind = BODY_CONTROL;
}

static bool is_complete(const sip_t *sip)
{
	if (!sip->sip_from || !sip->sip_to || !sip->sip_call_id || !sip->sip_cseq || !sip->sip_via)
		return false;
	if (sip->sip_request)
		return sip->sip_request->rq_url->url_scheme != NULL;
	return sip->sip_status != NULL;
}

int message_read(struct sip_msg *ret_msg, const struct sip_flow *flow, struct sl_str raw)
{
	struct sip_msg m = {.raw = raw, .flow = *flow};

	if (sip_peek(&m.peek, raw) < 0)
		return -SL_EPARSE;
	m.msg = msg_make(sip_default_mclass(), 0, raw.p, (ssize_t)raw.len);
	if (!m.msg)
		return -SL_ENOMEM;
	m.sip = sip_object(m.msg);
	if (!m.sip || !is_complete(m.sip)) {
		message_free(&m);
		return -SL_EPARSE;
	}
	read_body(&m);
	*ret_msg = m;
	return 0;
}

void message_free(struct sip_msg *m)
{
	if (m->msg)
		msg_destroy(m->msg);
	m->msg = NULL;
	m->sip = NULL;
}

struct sl_str message_header(const struct sip_msg *m, const char *name)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v;

	while (sip_header_next(&rest, &n, &v))
		if (sip_header_is(n, name))
			return v;
	return SL_STR_NULL;
}

bool message_supports(const struct sip_msg *m, const char *feature)
{
	return sip_has_feature(m->sip->sip_supported, feature) || message_requires(m, feature);
}

bool message_requires(const struct sip_msg *m, const char *feature)
{
	return sip_has_feature(m->sip->sip_require, feature);
}

bool message_allows(const struct sip_msg *m, const char *method)
{
	struct sl_str rest = message_header(m, "Allow");

	while (rest.len > 0)
		if (sl_str_eq_nocase(sl_str_trim(sl_str_split(&rest, ',')), sl_str_c(method)))
			return true;
	return false;
}

struct sl_str message_contact(const struct sip_msg *m)
{
	struct sl_str value = m->peek.contact;

	if (!m->sip->sip_contact || m->sip->sip_contact->m_url->url_type == url_any)
		return SL_STR_NULL;
	return sip_uri_of(value);
}

struct sl_str message_display(const struct sip_msg *m)
{
	struct sl_str d = sl_str_trim(str_of(m->sip->sip_from->a_display));

	if (d.len >= 2 && d.p[0] == '"' && d.p[d.len - 1] == '"')
		d = (struct sl_str){d.p + 1, d.len - 2};
	return d;
}

/* ---- what answers repeat */

/* ";rport" asks for the port that the request came from (RFC 3581). */
static void put_first_via(struct sl_buf *b, struct sl_str value, const struct sl_addr *from)
{
	const char *comma = memchr(value.p, ',', value.len);
	struct sl_str first = {value.p, comma ? (size_t)(comma - value.p) : value.len};
	struct sl_str port = SL_STR_NULL;
	bool asked = sip_param(first, "rport", &port);
	char ip[SL_ADDR_STRLEN];

	if (asked && port.len == 0) {
		struct sl_str rest = first, item;
		bool done = false, begun = false;

		while (rest.p && (item = sl_str_split(&rest, ';'), true)) {
			if (begun)
				sl_buf_u8(b, ';');
			begun = true;
			sl_buf_str(b, item);
			if (!done && sl_str_eq_nocase(sl_str_trim(item), SL_STR("rport"))) {
				sl_buf_printf(b, "=%u", from->port);
				done = true;
			}
		}
	} else {
		sl_buf_str(b, first);
	}
	sl_buf_printf(b, ";received=%s", sl_addr_format_ip(ip, from));
	if (comma)
		sl_buf_str(b, (struct sl_str){comma, value.len - first.len});
}

static void put_line(struct sl_buf *b, const char *name, struct sl_str value)
{
	sl_buf_printf(b, "%s: ", name);
	sl_buf_str(b, value);
	sl_buf_str(b, SL_STR("\r\n"));
}

void message_echo(struct sl_buf *b, const struct sip_msg *m)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v;
	bool first = true;

	while (sip_header_next(&rest, &n, &v)) {
		if (!sip_header_is(n, "Via"))
			continue;
		if (first) {
			sl_buf_str(b, SL_STR("Via: "));
			put_first_via(b, v, &m->flow.remote);
			sl_buf_str(b, SL_STR("\r\n"));
		} else {
			put_line(b, "Via", v);
		}
		first = false;
	}
	put_line(b, "From", m->peek.from);
	put_line(b, "Call-ID", m->peek.call_id);
	sl_buf_printf(b, "CSeq: %u %.*s\r\n", m->peek.cseq, SL_FMT(m->peek.method));
}

void message_record_routes(struct sl_buf *b, const struct sip_msg *m)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v;

	while (sip_header_next(&rest, &n, &v))
		if (sl_str_eq_nocase(n, SL_STR("Record-Route")))
			put_line(b, "Record-Route", v);
}

enum { MAX_ROUTES = 16 };

/* Values may be several in one line; a comma within brackets is no separator. */
static unsigned split_routes(const struct sip_msg *m, struct sl_str routes[MAX_ROUTES])
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v;
	unsigned count = 0;

	while (sip_header_next(&rest, &n, &v)) {
		if (!sl_str_eq_nocase(n, SL_STR("Record-Route")))
			continue;
		while (v.len > 0 && count < MAX_ROUTES) {
			const char *close = memchr(v.p, '>', v.len);
			size_t used = close ? (size_t)(close - v.p) : v.len;
			struct sl_str tail = {v.p + used, v.len - used};
			struct sl_str params = sl_str_split(&tail, ',');

			routes[count++] = sl_str_trim((struct sl_str){v.p, used + params.len});
			v = tail;
		}
	}
	return count;
}

void message_route_set(struct sl_buf *b, const struct sip_msg *m)
{
	struct sl_str routes[MAX_ROUTES];
	unsigned n = split_routes(m, routes);

	for (unsigned i = 0; i < n; i++)
		put_line(b, "Route", routes[m->peek.status ? n - 1 - i : i]);
}

struct sip_flow message_reply_flow(const struct sip_msg *m)
{
	const sip_via_t *via = m->sip->sip_via;
	struct sip_flow f = m->flow;
	uint64_t port = 5060;

	if (f.transport != SIP_UDP || via->v_rport)
		return f;
	if (via->v_port && sl_str_u64(str_of(via->v_port), &port) < 0)
		return f;
	f.remote.port = (uint16_t)port;
	return f;
}

/* ---- writing */

void message_end(struct sl_buf *b, const char *content_type, struct sl_str body)
{
	if (body.len > 0)
		sl_buf_printf(b, "Content-Type: %s\r\n", content_type);
	sl_buf_printf(b, "Content-Length: %zu\r\n\r\n", body.len);
	sl_buf_str(b, body);
}

void message_quote(struct sl_buf *b, struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < ' ')
			continue;
		if (s.p[i] == '"' || s.p[i] == '\\')
			sl_buf_u8(b, '\\');
		sl_buf_u8(b, (uint8_t)s.p[i]);
	}
}

const char *sip_status_text(unsigned status)
{
	static const struct {
		uint16_t status;
		const char *text;
	} known[] = {
		{100, "Trying"},
		{180, "Ringing"},
		{181, "Call Is Being Forwarded"},
		{183, "Session Progress"},
		{200, "OK"},
		{202, "Accepted"},
		{302, "Moved Temporarily"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{407, "Proxy Authentication Required"},
		{408, "Request Timeout"},
		{412, "Conditional Request Failed"},
		{413, "Request Entity Too Large"},
		{415, "Unsupported Media Type"},
		{416, "Unsupported URI Scheme"},
		{420, "Bad Extension"},
		{421, "Extension Required"},
		{422, "Session Interval Too Small"},
		{423, "Interval Too Brief"},
		{480, "Temporarily Unavailable"},
		{481, "Call/Transaction Does Not Exist"},
		{483, "Too Many Hops"},
		{484, "Address Incomplete"},
		{486, "Busy Here"},
		{487, "Request Terminated"},
		{488, "Not Acceptable Here"},
		{489, "Bad Event"},
		{491, "Request Pending"},
		{500, "Server Internal Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{504, "Server Time-out"},
		{513, "Message Too Large"},
		{600, "Busy Everywhere"},
		{603, "Decline"},
		{604, "Does Not Exist Anywhere"},
		{606, "Not Acceptable"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(known); i++)
		if (known[i].status == status)
			return known[i].text;
	return status < 200 ? "Progress" : status < 300 ? "OK" : "Failure";
}
