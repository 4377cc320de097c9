/*
 * sip-gateway/event_path.c: the dialog of a subscription: made by SUBSCRIBE, used by NOTIFY, in
 * either direction, and without media.
 */
#include "event.h"

#include <stdlib.h>

static struct sl_str without_tag(struct sl_str value)
{
	struct sl_str tag;

	if (!sip_param(value, "tag", &tag) || tag.len == 0)
		return value;
	return sl_str_trim((struct sl_str){value.p, (size_t)(tag.p - value.p) - strlen(";tag=")});
}

static bool keep_routes(struct event_path *p, const struct sip_msg *m)
{
	struct sl_buf routes;
	bool ok;

	sl_buf_init(&routes, 16 * 1024);
	message_route_set(&routes, m);
	ok = sl_buf_ok(&routes) == 0 && keep_text(&p->routes, sl_buf_view(&routes));
	sl_buf_free(&routes);
	return ok;
}

int event_path_from_request(struct event_path *p, const struct sip_msg *m, const char *tag)
{
	(void)sl_str_copy(p->tag, sizeof p->tag, sl_str_c(tag));
	p->flow = m->flow;
	p->remote_cseq = m->peek.cseq;
	p->cseq = 1;
	if (!keep_text(&p->call_id, m->peek.call_id) ||
	    !keep_text(&p->remote_tag, m->peek.from_tag) ||
	    !keep_text(&p->remote, without_tag(m->peek.from)) ||
	    !keep_text(&p->local, m->peek.to) || !keep_text(&p->target, message_contact(m)) ||
	    !keep_routes(p, m))
		return -SL_ENOMEM;
	return 0;
}

/* What cannot be kept stays as it was. */
void event_path_refresh(struct event_path *p, const struct sip_msg *m)
{
	bool response = m->peek.status != 0;
	struct sl_str tag = response ? m->peek.to_tag : m->peek.from_tag;
	struct sl_str contact = message_contact(m);

	if (!p->remote_tag && tag.len > 0) {
		(void)keep_text(&p->remote_tag, tag);
		(void)keep_routes(p, m);
	}
	if (contact.len > 0)
		(void)keep_text(&p->target, contact);
	p->flow = m->flow;
}

void event_path_begin(struct stack *s, struct event_path *p, struct sl_buf *b, const char *method,
		      char branch[SIP_NAME_LEN + 1])
{
	if (sip_name_new(branch, s->owner) < 0)
		b->failed = true;
	request_begin(s, b, method, sl_str_c(p->target), &p->flow, branch);
	sl_buf_printf(b, "%sFrom: %s;tag=%s\r\nTo: %s", p->routes ? p->routes : "", p->local,
		      p->tag, p->remote);
	if (p->remote_tag)
		sl_buf_printf(b, ";tag=%s", p->remote_tag);
	sl_buf_printf(b, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", p->call_id, ++p->cseq, method);
}

bool event_path_has(const struct event_path *p, const struct sip_msg *m)
{
	if (!sl_str_eq(sl_str_c(p->call_id), m->peek.call_id))
		return false;
	return !p->remote_tag || sl_str_eq(sl_str_c(p->remote_tag), m->peek.from_tag);
}

void event_path_put(const struct event_path *p, struct sl_buf *b)
{
	const char *const texts[] = {p->tag,	p->call_id, p->remote_tag, p->local,
				     p->remote, p->target,  p->routes};

	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++)
		sl_buf_lstr(b, sl_str_c(texts[i] ? texts[i] : ""));
	wire_put_flow(b, &p->flow);
	sl_buf_u32(b, p->cseq);
	sl_buf_u32(b, p->remote_cseq);
}

int event_path_get(struct event_path *p, struct sl_reader *r)
{
	enum { CSEQ_STEP = 16 }; /* beyond what was said in the last moment */
	char **const fields[] = {&p->call_id, &p->remote_tag, &p->local,
				 &p->remote,  &p->target,     &p->routes};
	bool ok = true;

	(void)sl_str_copy(p->tag, sizeof p->tag, sl_read_lstr(r));
	for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
		struct sl_str text = sl_read_lstr(r);

		if (fields[i] != &p->remote_tag || text.len > 0)
			ok &= keep_text(fields[i], text);
	}
	wire_get_flow(r, &p->flow);
	p->cseq = sl_read_u32(r) + CSEQ_STEP;
	p->remote_cseq = sl_read_u32(r);
	return ok && !r->failed && p->tag[0] ? 0 : -SL_EPARSE;
}

void event_path_free(struct event_path *p)
{
	free(p->call_id);
	free(p->remote_tag);
	free(p->local);
	free(p->remote);
	free(p->target);
	free(p->routes);
}

void event_put_contact(struct stack *s, struct sl_buf *b, const struct sip_flow *flow,
		       const char *user)
{
	sl_buf_printf(b, "Contact: <sip:%s%s", user, user[0] ? "@" : "");
	stack_put_here(s, b, flow);
	sl_buf_printf(b, "%s>\r\n", sip_transport_param(flow->transport));
}

int event_of(const struct sip_msg *m, enum event_package *ret_package, struct sl_str *ret_id)
{
	struct sl_str value = message_header(m, "Event"), rest = value, id = SL_STR_NULL;

	if (value.len == 0) /* its compact form */
		rest = value = message_header(m, "o");
	if (sip_param(value, "id", &id) && id.len >= EVENT_TEXT)
		return -SL_ENOENT;
	*ret_id = id;
	return event_package_of(sl_str_trim(sl_str_split(&rest, ';')), ret_package);
}
