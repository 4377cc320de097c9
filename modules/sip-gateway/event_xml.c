/*
 * sip-gateway/event_xml.c: presence and dialog-info, read by expat. The one seam of the library.
 *
 * Elements count by their namespace and local name, wherever in their parents they stand. Text is
 * kept as far as its place has room. A DTD, or more nesting than any of these has, ends it.
 */
#include "event_body.h"

#include <expat.h>
#include <stdlib.h>

enum { MAX_DEPTH = 12, MAX_BYTES = 32 * 1024 };

#define PIDF "urn:ietf:params:xml:ns:pidf|"
#define PERSON "urn:ietf:params:xml:ns:pidf:data-model|"
#define RPID "urn:ietf:params:xml:ns:pidf:rpid|"
#define DIALOG "urn:ietf:params:xml:ns:dialog-info|"

struct reading {
	XML_Parser parser;
	unsigned depth;
	bool right;	       /* its root is the one that was wanted */
	bool inside;	       /* activities, or the remote side */
	char text[EVENT_NOTE]; /* of the innermost element */
	size_t len;
	struct event_presence *presence; /* one of these two */
	struct event_dialogs *dialogs;
	struct event_dialog *dialog; /* the one that is read; NULL: none, or no room */
};

static bool is(const char *name, const char *wanted)
{
	return strcmp(name, wanted) == 0;
}

static struct sl_str attribute(const XML_Char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (is(attributes[0], name))
			return sl_str_c(attributes[1]);
	return SL_STR_NULL;
}

static struct sl_str text_of(const struct reading *r)
{
	return sl_str_trim((struct sl_str){r->text, r->len});
}

/* ---- presence */

/* Names of RFC 4480 are written as they are, so they have to be names. */
static bool is_name(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '-'))
			return false;
	return s.len > 0 && s.len < EVENT_TEXT;
}

static void presence_begins(struct reading *r, const char *name)
{
	struct event_presence *p = r->presence;
	struct sl_str local;

	if (is(name, RPID "activities")) {
		r->inside = true;
		return;
	}
	if (!r->inside || p->activity[0] || strncmp(name, RPID, strlen(RPID)) != 0)
		return;
	local = sl_str_c(name + strlen(RPID));
	if (is_name(local) && !sl_str_eq(local, SL_STR("note")) &&
	    !sl_str_eq(local, SL_STR("unknown")))
		event_copy(p->activity, sizeof p->activity, local);
}

static void presence_ends(struct reading *r, const char *name)
{
	struct event_presence *p = r->presence;

	if (is(name, RPID "activities"))
		r->inside = false;
	if (is(name, PIDF "basic")) {
		p->said = true;
		p->open |= sl_str_eq(text_of(r), SL_STR("open"));
	} else if ((is(name, PIDF "note") || is(name, PERSON "note") || is(name, RPID "note")) &&
		   !p->note[0]) {
		event_copy(p->note, sizeof p->note, text_of(r));
	}
}

/* ---- calls */

static void read_head(struct event_dialogs *d, const XML_Char **attributes)
{
	uint64_t version;

	if (sl_str_u64(attribute(attributes, "version"), &version) == 0 && version <= UINT32_MAX)
		d->version = (uint32_t)version;
	d->full = sl_str_eq(attribute(attributes, "state"), SL_STR("full"));
}

static void dialogs_begin(struct reading *r, const char *name, const XML_Char **attributes)
{
	struct event_dialogs *d = r->dialogs;

	if (is(name, DIALOG "dialog-info")) {
		read_head(d, attributes);
	} else if (is(name, DIALOG "dialog") && d->n < EVENT_MAX_DIALOGS) {
		r->dialog = &d->all[d->n++];
		event_copy(r->dialog->id, EVENT_TEXT, attribute(attributes, "id"));
		r->dialog->initiator =
			sl_str_eq(attribute(attributes, "direction"), SL_STR("initiator"));
	} else if (is(name, DIALOG "remote")) {
		r->inside = true;
	} else if (is(name, DIALOG "identity") && r->inside && r->dialog) {
		event_copy(r->dialog->display, EVENT_TEXT, attribute(attributes, "display"));
	}
}

static void read_state(struct event_dialog *d, struct sl_str text)
{
	for (unsigned i = 0; i <= DIALOG_TERMINATED; i++)
		if (sl_str_eq(text, sl_str_c(event_dialog_state_name(i))))
			d->state = (enum event_dialog_state)i;
	if (sl_str_eq(text, SL_STR("proceeding")))
		d->state = DIALOG_TRYING;
}

static void dialogs_end(struct reading *r, const char *name)
{
	if (is(name, DIALOG "remote"))
		r->inside = false;
	else if (is(name, DIALOG "dialog"))
		r->dialog = NULL;
	else if (is(name, DIALOG "state") && r->dialog)
		read_state(r->dialog, text_of(r));
	else if (is(name, DIALOG "identity") && r->inside && r->dialog)
		event_copy_number(r->dialog->number, EVENT_TEXT, text_of(r));
}

/* ---- both */

static void on_begin(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *r = arg;

	if (++r->depth > MAX_DEPTH) {
		XML_StopParser(r->parser, XML_FALSE);
		return;
	}
	if (r->depth == 1)
		r->right = is(name, r->presence ? PIDF "presence" : DIALOG "dialog-info");
	r->len = 0;
	if (r->presence)
		presence_begins(r, name);
	else
		dialogs_begin(r, name, attributes);
}

static void on_end(void *arg, const XML_Char *name)
{
	struct reading *r = arg;

	if (r->presence)
		presence_ends(r, name);
	else
		dialogs_end(r, name);
	r->depth--;
	r->len = 0;
}

/* Cut where it is too long, but not within a character. */
static void on_text(void *arg, const XML_Char *text, int len)
{
	struct reading *r = arg;
	size_t room = sizeof r->text - 1 - r->len, n = (size_t)len;

	if (n > room)
		for (n = room; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	memcpy(r->text + r->len, text, n);
	r->len += n;
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
		       const XML_Char *public, int has_subset)
{
	struct reading *r = arg;

	(void)name, (void)system, (void)public, (void)has_subset;
	XML_StopParser(r->parser, XML_FALSE);
}

static int read_document(struct reading *r, struct sl_str body)
{
	enum XML_Status status;

	if (body.len == 0 || body.len > MAX_BYTES)
		return -SL_EPARSE;
	r->parser = XML_ParserCreateNS(NULL, '|');
	if (!r->parser)
		return -SL_ENOMEM;
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_begin, on_end);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	status = XML_Parse(r->parser, body.p, (int)body.len, XML_TRUE);
	XML_ParserFree(r->parser);
	return status == XML_STATUS_OK && r->right ? 0 : -SL_EPARSE;
}

int event_presence_parse(struct sl_str body, struct event_presence *ret_presence)
{
	struct event_presence p = {0};
	struct reading r = {.presence = &p};
	int rc = read_document(&r, body);

	if (rc == 0)
		*ret_presence = p;
	return rc;
}

int event_dialogs_parse(struct sl_str body, struct event_dialogs *ret_dialogs)
{
	struct event_dialogs d = {0};
	struct reading r = {.dialogs = &d};
	int rc = read_document(&r, body);

	if (rc == 0)
		*ret_dialogs = d;
	return rc;
}
