/*
 * sip-gateway/siprec_body.c: bodies of a recording session: descriptions of two streams, metadata,
 * and both in one (RFC 2046).
 *
 * Each stream has a media leg of its own, which writes and reads descriptions of one section; what
 * a recorder sees has both.
 */
#include "siprec_body.h"

#include <sluice/str.h>

#include <time.h>

#include "xml.h"

#define NAMESPACE "urn:ietf:params:xml:ns:recording:1"

/* ---- metadata (RFC 7865) */

static void put_time(struct sl_buf *b, const char *element, uint64_t unix_ms)
{
	time_t s = (time_t)(unix_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	sl_buf_printf(b, "<%s>%s.%03uZ</%s>", element, text, (unsigned)(unix_ms % 1000), element);
}

static void put_life(struct sl_buf *b, const struct siprec_person *p)
{
	put_time(b, "associate-time", p->from_ms);
	if (p->to_ms)
		put_time(b, "disassociate-time", p->to_ms);
}

static void put_person(struct sl_buf *b, const struct siprec_person *p)
{
	sl_buf_printf(b, "<participant participant_id=\"%s\"><nameID aor=\"", p->id);
	xml_put_text(b, sl_str_c(p->aor));
	sl_buf_str(b, SL_STR("\">"));
	if (p->name[0] && sl_str_is_utf8(sl_str_c(p->name))) {
		sl_buf_str(b, SL_STR("<name xml:lang=\"und\">"));
		xml_put_text(b, sl_str_c(p->name));
		sl_buf_str(b, SL_STR("</name>"));
	}
	sl_buf_str(b, SL_STR("</nameID></participant>\r\n"));
}

static void put_membership(struct sl_buf *b, const struct siprec_view *v,
			   const struct siprec_person *p)
{
	sl_buf_printf(b, "<participantsessionassoc participant_id=\"%s\" session_id=\"%s\">", p->id,
		      v->session);
	put_life(b, p);
	sl_buf_str(b, SL_STR("</participantsessionassoc>\r\n"));
}

/* Each says one stream and hears the other. On hold nobody hears anything. */
static void put_streams_of(struct sl_buf *b, const struct siprec_view *v,
			   const struct siprec_person *p)
{
	sl_buf_printf(b, "<participantstreamassoc participant_id=\"%s\">", p->id);
	if (!v->held && p->to_ms == 0)
		sl_buf_printf(b, "<send>%s</send><recv>%s</recv>", v->stream[p->stream],
			      v->stream[1 - p->stream]);
	put_life(b, p);
	sl_buf_str(b, SL_STR("</participantstreamassoc>\r\n"));
}

void siprec_write_metadata(struct sl_buf *out, const struct siprec_view *v)
{
	sl_buf_printf(out,
		      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<recording xmlns=\"" NAMESPACE
		      "\">\r\n<datamode>complete</datamode>\r\n<session session_id=\"%s\">",
		      v->session);
	put_time(out, "start-time", v->from_ms);
	sl_buf_str(out, SL_STR("</session>\r\n"));
	for (unsigned i = 0; i < v->n_people; i++)
		put_person(out, &v->people[i]);
	for (unsigned i = 0; i < SIPREC_STREAMS; i++)
		sl_buf_printf(out,
			      "<stream stream_id=\"%s\" session_id=\"%s\"><label>%u</label>"
			      "</stream>\r\n",
			      v->stream[i], v->session, i + 1);
	sl_buf_printf(out, "<sessionrecordingassoc session_id=\"%s\">", v->session);
	put_time(out, "associate-time", v->from_ms);
	sl_buf_str(out, SL_STR("</sessionrecordingassoc>\r\n"));
	for (unsigned i = 0; i < v->n_people; i++)
		put_membership(out, v, &v->people[i]);
	for (unsigned i = 0; i < v->n_people; i++)
		put_streams_of(out, v, &v->people[i]);
	sl_buf_str(out, SL_STR("</recording>\r\n"));
}

/* ---- descriptions */

/* Where section `at` begins; the length of the whole when there is none. */
static size_t section_at(struct sl_str sdp, unsigned at)
{
	struct sl_str rest = sdp;
	unsigned n = 0;

	while (rest.len > 0) {
		size_t here = sdp.len - rest.len;
		struct sl_str line = sl_str_split(&rest, '\n');

		if (sl_str_starts(line, SL_STR("m=")) && n++ == at)
			return here;
	}
	return sdp.len;
}

static struct sl_str cut(struct sl_str s, size_t from, size_t to)
{
	return (struct sl_str){s.p + from, to - from};
}

int siprec_join(struct sl_buf *out, const struct sl_str sdp[SIPREC_STREAMS])
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		size_t from = section_at(sdp[i], 0), to = section_at(sdp[i], 1);

		if (from == sdp[i].len)
			return -SL_EPARSE;
		sl_buf_str(out, cut(sdp[i], i == 0 ? 0 : from, to));
		sl_buf_printf(out, "a=label:%u\r\n", i + 1);
	}
	return sl_buf_ok(out);
}

int siprec_part(struct sl_buf *out, struct sl_str sdp, unsigned at)
{
	size_t from = section_at(sdp, at), to = section_at(sdp, at + 1);

	if (from == sdp.len)
		return -SL_ENOENT;
	sl_buf_str(out, cut(sdp, 0, section_at(sdp, 0)));
	sl_buf_str(out, cut(sdp, from, to));
	return sl_buf_ok(out);
}

/* ---- several parts in one body */

void siprec_write_type(struct sl_buf *out, struct sl_str boundary)
{
	sl_buf_printf(out, "multipart/mixed;boundary=%.*s", SL_FMT(boundary));
}

void siprec_write_body(struct sl_buf *out, struct sl_str boundary, struct sl_str sdp,
		       struct sl_str metadata)
{
	sl_buf_printf(out, "--%.*s\r\nContent-Type: application/sdp\r\n\r\n", SL_FMT(boundary));
	sl_buf_str(out, sdp);
	sl_buf_printf(out,
		      "\r\n--%.*s\r\nContent-Type: application/rs-metadata+xml\r\n"
		      "Content-Disposition: recording-session\r\n\r\n",
		      SL_FMT(boundary));
	sl_buf_str(out, metadata);
	sl_buf_printf(out, "\r\n--%.*s--\r\n", SL_FMT(boundary));
}

static bool is_type(struct sl_str type, struct sl_str wanted)
{
	return sl_str_eq_nocase(sl_str_trim(sl_str_split(&type, ';')), wanted);
}

/* Of a Content-Type; at most 70 characters, perhaps quoted (RFC 2046 section 5.1.1) */
static struct sl_str boundary_of(struct sl_str type)
{
	while (type.len > 0) {
		struct sl_str value = sl_str_trim(sl_str_split(&type, ';'));
		struct sl_str name = sl_str_trim(sl_str_split(&value, '='));

		if (!sl_str_eq_nocase(name, SL_STR("boundary")))
			continue;
		value = sl_str_trim(value);
		if (value.len >= 2 && value.p[0] == '"' && value.p[value.len - 1] == '"')
			value = cut(value, 1, value.len - 1);
		return value.len <= 70 ? value : SL_STR_NULL;
	}
	return SL_STR_NULL;
}

static bool is_delimiter(struct sl_str line, struct sl_str boundary)
{
	return line.len >= boundary.len + 2 && line.p[0] == '-' && line.p[1] == '-' &&
	       memcmp(line.p + 2, boundary.p, boundary.len) == 0;
}

/* The lines up to the next delimiter; *rest goes on behind it. */
static struct sl_str next_part(struct sl_str *rest, struct sl_str boundary)
{
	struct sl_str part = *rest;
	size_t end = part.len;

	while (rest->len > 0) {
		size_t here = part.len - rest->len;

		if (is_delimiter(sl_str_split(rest, '\n'), boundary)) {
			end = here;
			break;
		}
	}
	return cut(part, 0, end);
}

/* The content of a part of this type; false: it is another's */
static bool part_is(struct sl_str part, struct sl_str wanted, struct sl_str *ret_content)
{
	bool found = false;

	while (part.len > 0) {
		struct sl_str line = sl_str_trim(sl_str_split(&part, '\n')), name = line;

		if (line.len == 0)
			break;
		name = sl_str_trim(sl_str_split(&line, ':'));
		if (sl_str_eq_nocase(name, SL_STR("Content-Type")))
			found = is_type(sl_str_trim(line), wanted);
	}
	*ret_content = part;
	return found;
}

static struct sl_str find_part(struct sl_str type, struct sl_str body, struct sl_str wanted,
			       bool *ret_found)
{
	struct sl_str boundary = boundary_of(type), rest = body, content;

	*ret_found = is_type(type, wanted);
	if (*ret_found)
		return body;
	if (body.len == 0 || boundary.len == 0 || !sl_str_starts(type, SL_STR("multipart/")))
		return SL_STR_NULL;
	(void)next_part(&rest, boundary); /* what stands before the first */
	while (rest.len > 0) {
		*ret_found = part_is(next_part(&rest, boundary), wanted, &content);
		if (*ret_found)
			return content;
	}
	return SL_STR_NULL;
}

struct sl_str siprec_find_sdp(struct sl_str type, struct sl_str body)
{
	bool found;

	return find_part(type, body, SL_STR("application/sdp"), &found);
}

bool siprec_asks(struct sl_str type, struct sl_str body)
{
	bool found;

	(void)find_part(type, body, SL_STR("application/rs-metadata-request"), &found);
	return found;
}
