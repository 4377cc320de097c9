/*
 * turn-relay/handout.c: POST credentials_path: credentials for applications, over HTTP.
 *
 * Whoever has a token that the node's signalling would take (interface "tokens") gets a name and
 * password of the main realm, with the URLs to use them at. Limits count by the token's subject.
 * Routes are the module http's, CORS included.
 */
#include "relay.h"

#include <sluice/http.h>

/* "example.org:8080", "[2001:db8::1]:443": what stands before the port. */
static struct sl_str without_port(struct sl_str host)
{
	const char *end = host.len > 0 && host.p[0] == '[' ? memchr(host.p, ']', host.len) : NULL;

	if (end)
		return (struct sl_str){host.p, (size_t)(end + 1 - host.p)};
	return sl_str_split(&host, ':');
}

/* 0 or an HTTP status. Looked up each time: that module may start after this one. */
static unsigned authorize(const struct turn_relay *m, struct sl_http_req *r, char ret_subject[33])
{
	const struct sl_tokens_iface *tokens;
	void *self;

	tokens = sl_iface_get(m->worker, "tokens", 1, &self);
	switch (tokens ? tokens->verify(self, sl_http_bearer(m->http, r), ret_subject)
		       : -SL_EUNSUPP) {
	case 0:
		return 0;
	case -SL_EUNSUPP:
		return 503;
	default:
		return 401;
	}
}

static void refuse(struct turn_relay *m, struct sl_http_req *r, unsigned status)
{
	const bool token = status == 401;

	sl_count(&m->m[M_CREDENTIALS_REFUSED]);
	(void)m->http->respond(r, status, "text/plain",
			       token ? SL_STR("www-authenticate: Bearer\r\n") : SL_STR_NULL,
			       token ? SL_STR("a valid token is required\n")
				     : SL_STR("signaling-ws with auth: jwt is needed for this\n"));
}

static void on_post(void *arg, struct sl_http_req *r)
{
	struct turn_relay *m = arg;
	struct sl_str host = without_port(m->http->header(r, "host"));
	char subject[33];
	struct sl_buf json;
	unsigned status = authorize(m, r, subject);

	if (status) {
		refuse(m, r, status);
		return;
	}
	sl_buf_init(&json, 0);
	if (host.len == 0 || host.len > 255 ||
	    credentials_write(m, host, sl_str_c(subject), &json) < 0) {
		(void)m->http->respond(r, 400, "text/plain", SL_STR_NULL,
				       SL_STR("a Host header is required\n"));
	} else {
		sl_count(&m->m[M_CREDENTIALS_GIVEN]);
		(void)m->http->respond(r, 200, "application/json",
				       SL_STR("cache-control: no-store\r\n"), sl_buf_view(&json));
	}
	sl_buf_free(&json);
}

int handout_open(struct turn_relay *m)
{
	const struct sl_str path = m->conf->credentials_path;
	int err;

	if (path.len == 0)
		return 0;
	m->http = sl_iface_get(m->worker, "http", 1, &m->http_self);
	if (!m->http) {
		sl_log(SL_LOG_ERROR, "turn-relay",
		       "credentials_path needs the module http: name it before turn-relay in "
		       "modules");
		return -SL_ENOENT;
	}
	err = m->http->route(m->http_self, "POST", path.p, on_post, m);
	if (err < 0)
		sl_log(SL_LOG_ERROR, "turn-relay", "no route at credentials_path %s: %s", path.p,
		       sl_strerror(err));
	return err;
}
