/*
 * sip-gateway/text_out.c: one text to one place: a MESSAGE outside of any dialog (RFC 3428), or a
 * message to a client without SIP.
 *
 * A request of more than 1300 bytes does not go by a datagram (section 8): to a trunk it goes by
 * TCP, and a phone that is reached by UDP alone cannot have it.
 */
#include "text.h"

#include <stdlib.h>

enum { UDP_MAX = 1300, PATIENCE_MS = 10 * 1000 };

struct sending {
	struct text *text;
	struct trunk *trunk; /* NULL: a phone */
	struct sip_flow flow;
	char call_id[SIP_NAME_LEN + 1], tag[SIP_NAME_LEN + 1];
	char *uri, *routes; /* owned */
	uint32_t cseq;
	bool answered; /* a challenge */
};

static void sending_free(struct sending *g)
{
	free(g->uri);
	free(g->routes);
	free(g);
}

static struct account *account_of(const struct sending *g)
{
	struct account *a = g->text->account;

	return a && a->trunk == g->trunk ? a : NULL;
}

/* As calls say it: to a PBX its subscriber, to a carrier its customer */
static void put_from(const struct sending *g, struct sl_buf *b)
{
	const struct text *x = g->text;
	const struct account *a = account_of(g);
	const struct trunk_conf *t = g->trunk ? g->trunk->conf : NULL;
	struct sl_str host = x->stack->conf->realm, user = sl_str_c(x->from);

	if (t)
		host = t->domain.len ? t->domain : t->server;
	if (a)
		user = sl_str_c(a->user);
	else if (t && t->registers)
		user = t->user;
	sl_buf_str(b, SL_STR("From: "));
	if (x->display[0]) {
		sl_buf_u8(b, '"');
		message_quote(b, sl_str_c(x->display));
		sl_buf_str(b, SL_STR("\" "));
	}
	sl_buf_printf(b, "<sip:%.*s@%.*s>;tag=%s\r\n", SL_FMT(user), SL_FMT(host), g->tag);
	if (t && !a)
		sl_buf_printf(b, "P-Asserted-Identity: <sip:%s@%.*s>\r\n", x->from,
			      SL_FMT(x->stack->conf->realm));
}

static int put_request(struct sending *g, struct sl_buf *b, const char *branch,
		       const struct sip_msg *challenge)
{
	struct text *x = g->text;
	struct account *a = account_of(g);
	int rc = 0;

	request_begin(x->stack, b, "MESSAGE", sl_str_c(g->uri), &g->flow, branch);
	sl_buf_str(b, sl_str_c(g->routes));
	put_from(g, b);
	sl_buf_printf(b, "To: <%s>\r\nCall-ID: %s\r\nCSeq: %u MESSAGE\r\n", g->uri, g->call_id,
		      ++g->cseq);
	if (challenge && a)
		rc = account_put_credentials(a, b, challenge, "MESSAGE", sl_str_c(g->uri));
	else if (challenge)
		rc = trunk_put_credentials(g->trunk, b, challenge, "MESSAGE", sl_str_c(g->uri));
	message_end(b, "text/plain;charset=UTF-8", sl_str_c(x->body));
	return rc < 0 ? rc : sl_buf_ok(b);
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status);

/* challenge: the response that is answered, or NULL */
static int send_it(struct sending *g, const struct sip_msg *challenge)
{
	char branch[SIP_NAME_LEN + 1];
	struct ctrans *t;
	struct sl_buf b;
	int rc = sip_name_new(branch, g->text->stack->owner);

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	if (rc == 0)
		rc = put_request(g, &b, branch, challenge);
	if (rc == 0 && b.len > UDP_MAX && g->flow.transport == SIP_UDP) {
		rc = g->trunk ? 0 : -SL_ELIMIT;
		g->flow.transport = SIP_TCP;
		sl_buf_reset(&b);
		if (rc == 0)
			rc = put_request(g, &b, branch, challenge);
	}
	if (rc == 0)
		rc = ctrans_new(g->text->stack, &g->flow, branch, &b, &t);
	sl_buf_free(&b);
	if (rc < 0)
		return rc;
	ctrans_hurry(t, PATIENCE_MS);
	ctrans_on(t, on_answer, g);
	return 0;
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct sending *g = arg;
	struct text *x = g->text;
	const struct trunk *trunk = g->trunk;

	(void)t;
	if (resp && status < 200)
		return;
	if (resp && trunk && (status == 401 || status == 407) && !g->answered) {
		g->answered = true;
		if (send_it(g, resp) == 0)
			return;
	}
	sending_free(g);
	/* Whose password is wrong there is not for the sender to mend. */
	text_answered(x, trunk, status == 401 || status == 407 ? 403 : status);
}

void text_abandon(struct ctrans *t)
{
	struct sending *g = t->arg;

	if (t->fn != on_answer)
		return;
	t->fn = NULL;
	text_abandoned(g->text);
	sending_free(g);
}

static int begin(struct sending *g)
{
	uint32_t owner = g->text->stack->owner;
	int rc = g->uri && g->routes ? 0 : -SL_ENOMEM;

	if (rc == 0)
		rc = sip_name_new(g->call_id, owner);
	if (rc == 0)
		rc = sip_name_new(g->tag, owner);
	if (rc == 0)
		rc = send_it(g, NULL);
	if (rc == 0)
		g->text->n_open++;
	else
		sending_free(g);
	return rc;
}

int text_to_binding(struct text *x, const struct user *u, const struct binding *b)
{
	struct sending *g = calloc(1, sizeof *g);

	(void)u;
	if (!g)
		return -SL_ENOMEM;
	g->text = x;
	g->flow = b->flow;
	g->uri = sl_str_dup(b->contact);
	g->routes = sl_str_dup(b->path);
	return begin(g);
}

int text_to_trunk(struct text *x, struct trunk *t, struct sl_str number)
{
	struct sending *g = calloc(1, sizeof *g);
	struct sl_buf uri;

	if (!g)
		return -SL_ENOMEM;
	sl_buf_init(&uri, 2048);
	trunk_put_uri(t, &uri, number);
	g->text = x;
	g->trunk = t;
	g->flow = t->flow;
	g->uri = sl_buf_ok(&uri) == 0 ? sl_str_dup(sl_buf_view(&uri)) : NULL;
	g->routes = sl_str_dup(SL_STR(""));
	sl_buf_free(&uri);
	return begin(g);
}

void text_to_client(const struct text *x, uint64_t peer)
{
	json_t *json =
		json_pack("{s:s, s:s, s:s}", "type", "text", "from", x->from, "text", x->body);

	browser_tell(x->stack, peer,
		     browser_with(json, "display", x->display[0] ? x->display : NULL));
}
