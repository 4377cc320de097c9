/*
 * http/response.c: what goes back: a head, and a body from memory or from a file.
 *
 * Written straight to the socket or its TLS, not by lws_write, which would keep what does not fit
 * without a bound. A response is one stream of bytes with an offset: each turn fills the scratch
 * buffer from there and writes it, and a full socket is waited for with the input stopped. A TLS
 * write that has to be repeated gets the same bytes and the same length, as OpenSSL demands.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "http.h"
#include "range.h"
#include "resource.h"

#define CHUNK_BYTES ((size_t)16 << 10)
#define CHUNKS_PER_TURN 16 /* then others have their turn */

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{422, "Unprocessable Content"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* RFC 9110 section 6.6.1; made once a second. */
static const char *date(struct http *h)
{
	time_t now = (time_t)(sl_clock_unix_ns() / SL_NS_PER_S);
	struct tm tm;

	if (now != h->date_s && gmtime_r(&now, &tm)) {
		/* Always fits. */
		(void)strftime(h->date, sizeof h->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		h->date_s = now;
	}
	return h->date;
}

static bool origin_allowed(const struct http_conf *conf, struct sl_str origin)
{
	for (size_t i = 0; i < conf->cors_origins.n; i++) {
		const struct sl_str *one = SL_LIST_AT(conf->cors_origins, struct sl_str, i);

		if (sl_str_eq(*one, SL_STR("*")) || sl_str_eq(*one, origin))
			return true;
	}
	return false;
}

static void add_cors(struct sl_buf *head, struct sl_http_req *r)
{
	struct sl_str origin;

	if (r->client->conf->cors_origins.n == 0)
		return;
	sl_buf_str(head, SL_STR("Vary: Origin\r\n"));
	origin = request_header(r, "origin");
	if (!origin.p || !origin_allowed(r->client->conf, origin))
		return;
	sl_buf_printf(head, "Access-Control-Allow-Origin: %.*s\r\n", SL_FMT(origin));
	if (sl_str_eq(r->method, SL_STR("OPTIONS")))
		sl_buf_str(head, SL_STR("Access-Control-Allow-Methods: GET, HEAD, POST, PUT, "
					"PATCH, DELETE\r\n"
					"Access-Control-Allow-Headers: Authorization, "
					"Content-Type, If-Match\r\n"
					"Access-Control-Max-Age: 600\r\n"));
}

/* What a page of ours may do, and what nobody may do with it. */
static void add_security(struct sl_buf *head)
{
	sl_buf_str(head, SL_STR("X-Content-Type-Options: nosniff\r\n"
				"Referrer-Policy: same-origin\r\n"
				"Permissions-Policy: camera=(self), microphone=(self), "
				"display-capture=(self)\r\n"
				"Content-Security-Policy: frame-ancestors 'self'\r\n"));
}

static void add_configured(struct sl_buf *head, const struct http_conf *conf)
{
	for (size_t i = 0; i < conf->headers.n; i++) {
		const struct http_header *one = SL_LIST_AT(conf->headers, struct http_header, i);

		sl_buf_printf(head, "%.*s: %.*s\r\n", SL_FMT(one->name), SL_FMT(one->value));
	}
}

static bool has_content(unsigned status)
{
	return status != 204 && status != 304;
}

static void write_head(struct sl_http_req *r, const char *content_type, struct sl_str headers)
{
	struct response *p = &r->response;
	struct sl_buf *head = &p->head;

	sl_buf_printf(head, "HTTP/1.1 %u %s\r\nDate: %s\r\n", p->status, reason_of(p->status),
		      date(r->http));
	if (content_type && has_content(p->status))
		sl_buf_printf(head, "Content-Type: %s\r\n", content_type);
	if (has_content(p->status))
		sl_buf_printf(head, "Content-Length: %llu\r\n", (unsigned long long)p->body_len);
	sl_buf_printf(head, "Connection: %s\r\n", p->close ? "close" : "keep-alive");
	add_security(head);
	add_cors(head, r);
	add_configured(head, r->client->conf);
	sl_buf_str(head, headers);
	sl_buf_str(head, SL_STR("\r\n"));
}

/* The response is complete in memory: it goes out now, or when the handler's call returns. */
static int submit(struct sl_http_req *r, const char *content_type, struct sl_str headers)
{
	struct response *p = &r->response;
	struct client *c = r->client;

	p->close = r->last || r->http->draining;
	write_head(r, content_type, headers);
	if (r->head_only || !has_content(p->status))
		p->body_len = 0;
	if (sl_buf_ok(&p->head) < 0 || sl_buf_ok(&p->copy) < 0) {
		client_kill(c);
		return -SL_ENOMEM;
	}
	r->responded = true;
	if (r->in_call)
		return 0;
	if (response_pump(c) < 0)
		client_kill(c);
	return 0;
}

/* < 0: nothing may be sent, and r may be gone. */
static int begin(struct sl_http_req *r, unsigned status, uint64_t body_len)
{
	if (!sl_check(!r->responded))
		return -SL_EEXIST;
	if (!r->client) {
		request_free(r);
		return -SL_ECLOSED;
	}
	r->response.status = status;
	r->response.body_len = body_len;
	return 0;
}

int respond(struct sl_http_req *r, unsigned status, const char *content_type, struct sl_str headers,
	    struct sl_str body)
{
	int rc = begin(r, status, body.len);

	if (rc < 0)
		return rc;
	sl_buf_str(&r->response.copy, body);
	r->response.body = r->response.copy.p;
	return submit(r, content_type, headers);
}

int respond_error(struct sl_http_req *r, unsigned status, struct sl_str headers)
{
	char text[96];
	int n = snprintf(text, sizeof text, "%u %s\n", status, reason_of(status));

	return respond(r, status, "text/plain; charset=utf-8", headers,
		       (struct sl_str){text, (size_t)n});
}

int respond_constant(struct sl_http_req *r, const char *content_type, struct sl_str headers,
		     const uint8_t *body, size_t len)
{
	int rc = begin(r, 200, len);

	if (rc < 0)
		return rc;
	r->response.body = body;
	return submit(r, content_type, headers);
}

/* What If-Range names must be what there is now (RFC 9110 section 13.1.5); a date names nothing,
 * since ours have none. */
static bool range_holds(struct sl_http_req *r, struct sl_str tag)
{
	struct sl_str condition = request_header(r, "if-range");

	return sl_str_eq(r->method, SL_STR("GET")) && (!condition.p || sl_str_eq(condition, tag));
}

/* The status; *ret_part is what of the file is sent. */
static unsigned choose_part(struct sl_http_req *r, struct sl_str tag, uint64_t len,
			    struct byte_range *ret_part)
{
	*ret_part = (struct byte_range){0, len};
	if (resource_tag_matches(request_header(r, "if-none-match"), tag))
		return 304;
	if (!range_holds(r, tag))
		return 200;
	switch (range_read(request_header(r, "range"), len, ret_part)) {
	case 0:
		return 206;
	case -SL_ELIMIT:
		ret_part->len = 0;
		return 416;
	default:
		return 200;
	}
}

int respond_file(struct sl_http_req *r, const char *content_type, struct sl_str headers,
		 struct sl_str tag, int file, uint64_t len)
{
	struct byte_range part = {0, len};
	unsigned status = r->client ? choose_part(r, tag, len, &part) : 200;
	int rc = begin(r, status, part.len);
	struct sl_buf more;

	if (rc < 0) {
		close(file);
		return rc;
	}
	r->response.file = file;
	r->response.file_at = part.at;
	sl_buf_init(&more, 0);
	sl_buf_str(&more, headers);
	sl_buf_printf(&more, "ETag: %.*s\r\nAccept-Ranges: bytes\r\n", SL_FMT(tag));
	if (status == 206)
		sl_buf_printf(&more, "Content-Range: bytes %llu-%llu/%llu\r\n",
			      (unsigned long long)part.at,
			      (unsigned long long)(part.at + part.len - 1),
			      (unsigned long long)len);
	else if (status == 416)
		sl_buf_printf(&more, "Content-Range: bytes */%llu\r\n", (unsigned long long)len);
	rc = submit(r, content_type, sl_buf_view(&more));
	sl_buf_free(&more);
	return rc;
}

void response_free(struct response *p)
{
	if (p->file >= 0)
		close(p->file);
	sl_buf_free(&p->head);
	sl_buf_free(&p->copy);
}

/* Bytes written; 0: the socket is full; -1: the connection is broken. */
static ptrdiff_t put(struct client *c, const void *p, size_t n)
{
	SSL *ssl = lws_get_ssl(c->wsi);
	ssize_t done;
	int rc;

	if (!ssl) {
		done = send(lws_get_socket_fd(c->wsi), p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		return done >= 0 ? done : errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	ERR_clear_error();
	rc = SSL_write(ssl, p, (int)n);
	if (rc > 0)
		return rc;
	return SSL_get_error(ssl, rc) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* Up to cap bytes of the body from offset at; -1: the file is shorter now, or unreadable. */
static ptrdiff_t read_body(const struct response *p, uint64_t at, uint8_t *dst, size_t cap)
{
	uint64_t left = p->body_len - at;
	size_t n = left < cap ? (size_t)left : cap;
	ssize_t got;

	if (n == 0)
		return 0;
	if (p->body) {
		memcpy(dst, p->body + at, n);
		return (ptrdiff_t)n;
	}
	got = pread(p->file, dst, n, (off_t)(p->file_at + at));
	return got > 0 ? got : -1;
}

/* The next bytes of head and body from p->sent on. */
static ptrdiff_t fill(const struct response *p, uint8_t *dst, size_t cap)
{
	size_t n = 0;
	ptrdiff_t got;

	if (p->sent < p->head.len) {
		n = p->head.len - (size_t)p->sent;
		n = n < cap ? n : cap;
		memcpy(dst, p->head.p + p->sent, n);
	}
	got = read_body(p, p->sent + n - p->head.len, dst + n, cap - n);
	return got < 0 ? -1 : got + (ptrdiff_t)n;
}

/* 1: all is out; 0: later; -1: broken. */
static int push(struct client *c, struct response *p)
{
	uint8_t *chunk = c->http->scratch;

	for (int i = 0; i < CHUNKS_PER_TURN; i++) {
		ptrdiff_t n = fill(p, chunk, CHUNK_BYTES), done;

		if (n <= 0)
			return n < 0 ? -1 : 1;
		done = put(c, chunk, (size_t)n);
		if (done <= 0)
			return (int)done;
		p->sent += (uint64_t)done;
		sl_timer_set(c->http->w->loop, &c->deadline, c->conf->response_timeout);
		if (p->sent == p->head.len + p->body_len)
			return 1;
	}
	return 0;
}

static void log_access(const struct sl_http_req *r)
{
	char from[SL_ADDR_STRLEN];

	sl_log(SL_LOG_INFO, "http", "%s %.*s %.*s: %u, %llu bytes, %llu ms",
	       sl_addr_format(from, &r->remote), SL_FMT(r->method), SL_FMT(r->path),
	       r->response.status, (unsigned long long)r->response.body_len,
	       (unsigned long long)(sl_loop_ms(r->http->w->loop) - r->begun_ms));
}

static void account(const struct sl_http_req *r)
{
	const struct sl_meter *m = r->http->m;
	unsigned class = r->response.status / 100;

	if (class >= 2 && class <= 5)
		sl_count(&m[M_2XX + class - 2]);
	sl_count_n(&m[M_BYTES_OUT], r->response.sent);
	if (r->client->conf->access_log)
		log_access(r);
}

/* The response is out: makes the connection ready for the next request, or < 0 to close it. */
static int finish(struct client *c)
{
	struct sl_http_req *r = c->req;
	bool close = r->response.close;

	account(r);
	request_free(r);
	sl_timer_cancel(c->http->w->loop, &c->deadline);
	sl_event_del(c->http->w->loop, &c->writable);
	client_hold(c, false);
	client_mark(c);
	if (close || lws_http_transaction_completed(c->wsi))
		return -1;
	client_expect(c, c->conf->keepalive_timeout);
	host_kick(c->http);
	return 0;
}

int response_pump(struct client *c)
{
	int rc = push(c, &c->req->response);

	if (rc < 0)
		return -1;
	if (rc > 0)
		return finish(c);
	client_hold(c, true);
	return sl_event_set(c->http->w->loop, &c->writable, SL_WRITE);
}

int response_continue(struct client *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	return put(c, text, sizeof text - 1) == (ptrdiff_t)sizeof text - 1 ? 0 : -1;
}
