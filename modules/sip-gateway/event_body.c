/*
 * sip-gateway/event_body.c: bodies of events: those that are lines, and how the others are written.
 */
#include "event_body.h"

#include "preparse.h"
#include "xml.h"

static const struct {
	const char *name, *type;
} packages[EVENT_N] = {
	[EVENT_PRESENCE] = {"presence", "application/pidf+xml"},
	[EVENT_DIALOG] = {"dialog", "application/dialog-info+xml"},
	[EVENT_SUMMARY] = {"message-summary", "application/simple-message-summary"},
};

const char *event_name(unsigned package)
{
	return package < EVENT_N ? packages[package].name : "";
}

const char *event_type(unsigned package)
{
	return package < EVENT_N ? packages[package].type : "";
}

int event_package_of(struct sl_str name, enum event_package *ret_package)
{
	for (unsigned i = 0; i < EVENT_N; i++) {
		if (sl_str_eq(name, sl_str_c(packages[i].name))) {
			*ret_package = (enum event_package)i;
			return 0;
		}
	}
	return -SL_ENOENT;
}

void event_copy(char *dst, size_t cap, struct sl_str s)
{
	if (s.len >= cap) {
		s.len = cap - 1;
		while (s.len > 0 && ((unsigned char)s.p[s.len] & 0xc0) == 0x80)
			s.len--;
	}
	(void)sl_str_copy(dst, cap, s);
}

void event_copy_number(char *dst, size_t cap, struct sl_str uri)
{
	struct sl_str user = sip_user_of(uri);

	event_copy(dst, cap, user.len > 0 ? user : uri);
}

/* ---- message-summary */

/* "2/8 (0/2)": new and old ones, and how many of them are urgent */
static int read_pair(struct sl_str text, uint32_t *fresh, uint32_t *old)
{
	uint64_t a, b;
	struct sl_str first = sl_str_split(&text, '/');

	if (sl_str_u64(sl_str_trim(first), &a) < 0 || sl_str_u64(sl_str_trim(text), &b) < 0 ||
	    a > UINT32_MAX || b > UINT32_MAX)
		return -SL_EPARSE;
	*fresh = (uint32_t)a;
	*old = (uint32_t)b;
	return 0;
}

static int read_counts(struct event_summary *s, struct sl_str value)
{
	struct sl_str plain = sl_str_split(&value, '('), urgent = sl_str_split(&value, ')');

	if (read_pair(plain, &s->fresh, &s->old) < 0)
		return -SL_EPARSE;
	return urgent.len > 0 ? read_pair(urgent, &s->urgent_fresh, &s->urgent_old) : 0;
}

int event_summary_parse(struct sl_str body, struct event_summary *ret_summary)
{
	struct event_summary s = {0};
	bool said = false;

	while (body.len > 0) {
		struct sl_str value = sl_str_split(&body, '\n');
		struct sl_str name = sl_str_trim(sl_str_split(&value, ':'));

		value = sl_str_trim(value);
		if (name.len == 0 && value.len == 0)
			break; /* headers of single messages follow */
		if (sl_str_eq_nocase(name, SL_STR("Messages-Waiting"))) {
			said = sl_str_eq_nocase(value, SL_STR("yes")) ||
			       sl_str_eq_nocase(value, SL_STR("no"));
			s.waiting = said && value.len == 3;
		} else if (sl_str_eq_nocase(name, SL_STR("Message-Account"))) {
			event_copy(s.account, sizeof s.account, value);
		} else if (sl_str_eq_nocase(name, SL_STR("Voice-Message")) &&
			   read_counts(&s, value) < 0) {
			return -SL_EPARSE;
		}
	}
	if (!said)
		return -SL_EPARSE;
	*ret_summary = s;
	return 0;
}

void event_summary_put(struct sl_buf *b, const struct event_summary *s)
{
	sl_buf_printf(b, "Messages-Waiting: %s\r\n", s->waiting ? "yes" : "no");
	if (s->account[0])
		sl_buf_printf(b, "Message-Account: %s\r\n", s->account);
	if (s->fresh || s->old)
		sl_buf_printf(b, "Voice-Message: %u/%u (%u/%u)\r\n", s->fresh, s->old,
			      s->urgent_fresh, s->urgent_old);
}

/* ---- XML, written */

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"

static void put_between(struct sl_buf *b, const char *before, struct sl_str text, const char *after)
{
	sl_buf_str(b, sl_str_c(before));
	xml_put_text(b, text);
	sl_buf_str(b, sl_str_c(after));
}

/* ---- presence */

void event_presence_put(struct sl_buf *b, struct sl_str uri, const struct event_presence *p)
{
	struct sl_str note = sl_str_c(p->note);

	put_between(b,
		    XML_HEAD "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
			     "xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" "
			     "xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"",
		    uri, "\">\r\n<tuple id=\"all\"><status><basic>");
	sl_buf_printf(b, "%s</basic></status>", p->open ? "open" : "closed");
	put_between(b, "<contact>", uri, "</contact>");
	if (note.len > 0)
		put_between(b, "<note>", note, "</note>");
	sl_buf_str(b, SL_STR("</tuple>\r\n"));
	if (p->activity[0]) /* a name of RFC 4480 */
		sl_buf_printf(b,
			      "<dm:person id=\"user\"><rpid:activities><rpid:%s/>"
			      "</rpid:activities></dm:person>\r\n",
			      p->activity);
	sl_buf_str(b, SL_STR("</presence>\r\n"));
}

/* ---- calls */

static const char *const state_names[] = {"trying", "early", "confirmed", "terminated"};

const char *event_dialog_state_name(unsigned state)
{
	return state < SL_ARRAY_LEN(state_names) ? state_names[state] : "";
}

static void put_dialog(struct sl_buf *b, struct sl_str host, const struct event_dialog *d)
{
	put_between(b, "<dialog id=\"", sl_str_c(d->id), "\"");
	if (d->call_id[0] && d->local_tag[0]) {
		put_between(b, " call-id=\"", sl_str_c(d->call_id), "\"");
		put_between(b, " local-tag=\"", sl_str_c(d->local_tag), "\"");
		put_between(b, " remote-tag=\"", sl_str_c(d->remote_tag), "\"");
	}
	sl_buf_printf(b, " direction=\"%s\"><state>%s</state>",
		      d->initiator ? "initiator" : "recipient", event_dialog_state_name(d->state));
	if (d->number[0]) {
		put_between(b, "<remote><identity display=\"", sl_str_c(d->display), "\">sip:");
		xml_put_text(b, sl_str_c(d->number));
		put_between(b, "@", host, "</identity><target uri=\"sip:");
		xml_put_text(b, sl_str_c(d->number));
		put_between(b, "@", host, "\"/></remote>");
	}
	sl_buf_str(b, SL_STR("</dialog>\r\n"));
}

void event_dialogs_put(struct sl_buf *b, struct sl_str uri, struct sl_str host,
		       const struct event_dialogs *d)
{
	sl_buf_printf(b,
		      XML_HEAD "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" "
			       "version=\"%u\" state=\"full\"",
		      d->version);
	put_between(b, " entity=\"", uri, "\">\r\n");
	for (unsigned i = 0; i < d->n; i++)
		put_dialog(b, host, &d->all[i]);
	sl_buf_str(b, SL_STR("</dialog-info>\r\n"));
}
