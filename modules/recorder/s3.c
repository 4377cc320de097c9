/*
 * recorder/s3.c: see s3.h.
 *
 * The clock of this machine may be wrong: a server that refuses a signature for its time says what
 * time it has, and the difference is kept. Redirects mean a wrong region or URL, and are told, not
 * followed: recordings go where the configuration says.
 */
#include "s3.h"

#include <sluice/clock.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "s3_reply.h"

enum { N_OWN = 3, DATE_LEN = 17, MAX_RETRY_AFTER_S = 3600 };

struct s3 {
	const struct upload_conf *conf;
	struct fetch *fetch;
	struct sl_str scheme, host, base; /* of conf's URL: "https", "minio:9000", "" or "/path" */
	char virtual_host[320];
	int64_t offset_s; /* the server's clock less ours */
};

/* ---- where */

/* The library leaves the usual port out of Host, and what is signed must be what is sent. */
static void strip_port(struct s3 *s)
{
	struct sl_str port =
		sl_str_eq_nocase(s->scheme, SL_STR("https")) ? SL_STR(":443") : SL_STR(":80");

	if (s->host.len > port.len &&
	    memcmp(s->host.p + s->host.len - port.len, port.p, port.len) == 0)
		s->host.len -= port.len;
}

static int split_url(struct s3 *s)
{
	struct sl_str url = s->conf->url;
	const char *sep = memmem(url.p, url.len, "://", 3), *slash;

	if (!sep)
		return -SL_EPARSE;
	s->scheme = (struct sl_str){url.p, (size_t)(sep - url.p)};
	s->host = (struct sl_str){sep + 3, (size_t)(url.p + url.len - sep - 3)};
	slash = memchr(s->host.p, '/', s->host.len);
	s->base = SL_STR("");
	if (slash) {
		s->base = (struct sl_str){slash, (size_t)(s->host.p + s->host.len - slash)};
		s->host.len = (size_t)(slash - s->host.p);
	}
	while (s->base.len > 0 && s->base.p[s->base.len - 1] == '/')
		s->base.len--;
	strip_port(s);
	if (s->conf->style != S3_HOST)
		return 0;
	if (snprintf(s->virtual_host, sizeof s->virtual_host, "%.*s.%.*s", SL_FMT(s->conf->bucket),
		     SL_FMT(s->host)) >= (int)sizeof s->virtual_host)
		return -SL_ELIMIT;
	s->host = sl_str_c(s->virtual_host);
	return 0;
}

/* "/bucket/key", or "/key" where the host names the bucket */
static void write_path(const struct s3 *s, struct sl_str key, struct sl_buf *out)
{
	sl_buf_str(out, s->base);
	sl_buf_str(out, SL_STR("/"));
	if (s->conf->style != S3_HOST) {
		sl_buf_str(out, s->conf->bucket);
		sl_buf_str(out, SL_STR("/"));
	}
	sl_buf_str(out, key);
}

/* ---- one signed request */

struct signing {
	char date[DATE_LEN], hash[65], checksum[48];
	struct sl_buf path, url, auth;
	struct sigv4_pair headers[SIGV4_MAX_PAIRS];
	unsigned n;
	struct sl_buf lines; /* "name: value\0" … */
	const char *list[SIGV4_MAX_PAIRS + 4];
};

static void add(struct signing *g, struct sl_str name, struct sl_str value)
{
	if (value.len > 0 && g->n < SIGV4_MAX_PAIRS)
		g->headers[g->n++] = (struct sigv4_pair){name, value};
}

static void set_time(const struct s3 *s, struct signing *g)
{
	time_t now = (time_t)((int64_t)(sl_clock_unix_ns() / SL_NS_PER_S) + s->offset_s);
	struct tm tm = {0};

	(void)gmtime_r(&now, &tm);
	(void)strftime(g->date, sizeof g->date, "%Y%m%dT%H%M%SZ", &tm);
}

static void set_hash(const struct s3_request *r, struct signing *g)
{
	uint8_t digest[32];

	if (r->sha256)
		memcpy(digest, r->sha256, sizeof digest);
	else
		sl_sha256(digest, r->body.p, r->body.len);
	sl_hex_encode(g->hash, digest, sizeof digest);
	if (r->checksum)
		(void)sl_base64_encode(g->checksum, digest, sizeof digest);
}

static void choose_headers(const struct s3 *s, const struct s3_request *r, struct signing *g)
{
	add(g, SL_STR("host"), s->host);
	add(g, SL_STR("x-amz-date"), sl_str_c(g->date));
	add(g, SL_STR("x-amz-content-sha256"), sl_str_c(g->hash));
	add(g, SL_STR("x-amz-checksum-sha256"), sl_str_c(g->checksum));
	add(g, SL_STR("x-amz-security-token"), s->conf->session_token);
	for (unsigned i = 0; i < r->n_more; i++)
		add(g, r->more[i].name, r->more[i].value);
}

/* The library writes Host by itself, from the URL. */
static int list_headers(const struct s3_request *r, struct signing *g)
{
	size_t at = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++) {
		if (sl_str_eq(g->headers[i].name, SL_STR("host")))
			continue;
		sl_buf_printf(&g->lines, "%.*s: %.*s", SL_FMT(g->headers[i].name),
			      SL_FMT(g->headers[i].value));
		sl_buf_u8(&g->lines, 0);
	}
	sl_buf_printf(&g->lines, "authorization: %.*s", (int)g->auth.len, (char *)g->auth.p);
	sl_buf_u8(&g->lines, 0);
	sl_buf_printf(&g->lines, "content-type: %s",
		      r->type ? r->type : "application/octet-stream");
	sl_buf_u8(&g->lines, 0);
	if (sl_buf_ok(&g->lines) < 0)
		return -SL_ENOMEM;
	while (at < g->lines.len) {
		g->list[n++] = (const char *)g->lines.p + at;
		at += strlen((const char *)g->lines.p + at) + 1;
	}
	g->list[n] = NULL;
	return 0;
}

static int sign(const struct s3 *s, const struct s3_request *r, struct signing *g)
{
	const struct sigv4_key key = {s->conf->key_id, s->conf->secret, s->conf->region,
				      SL_STR("s3")};
	struct sigv4_request q = {.method = sl_str_c(r->method),
				  .query = r->query,
				  .n_query = r->n_query,
				  .headers = g->headers};
	int rc;

	set_time(s, g);
	set_hash(r, g);
	choose_headers(s, r, g);
	write_path(s, r->key, &g->path);
	q.path = sl_buf_view(&g->path);
	q.n_headers = g->n;
	q.payload_hash = sl_str_c(g->hash);
	q.date = sl_str_c(g->date);
	rc = sigv4_authorize(&key, &q, &g->auth);
	sl_buf_printf(&g->url, "%.*s://%.*s", SL_FMT(s->scheme), SL_FMT(s->host));
	sigv4_encode_path(&g->url, q.path);
	sl_buf_str(&g->url, r->n_query > 0 ? SL_STR("?") : SL_STR(""));
	if (rc == 0)
		rc = sigv4_encode_query(&g->url, r->query, r->n_query);
	sl_buf_u8(&g->url, 0);
	if (rc == 0)
		rc = sl_buf_ok(&g->url);
	return rc == 0 ? list_headers(r, g) : rc;
}

static void signing_free(struct signing *g)
{
	sl_buf_free(&g->path);
	sl_buf_free(&g->url);
	sl_buf_free(&g->auth);
	sl_buf_free(&g->lines);
}

static int send(struct s3 *s, const struct s3_request *r, struct fetch_answer *ret_answer)
{
	struct signing g = {.n = 0};
	struct fetch_request q = {.method = r->method,
				  .body = r->body,
				  .fd = r->fd,
				  .at = r->at,
				  .len = r->len,
				  .sink = r->sink,
				  .arg = r->arg};
	int rc;

	*ret_answer = (struct fetch_answer){0};
	sl_buf_init(&g.path, S3_MAX_URL);
	sl_buf_init(&g.url, S3_MAX_URL);
	sl_buf_init(&g.auth, 0);
	sl_buf_init(&g.lines, 0);
	rc = sign(s, r, &g);
	if (rc == 0) {
		q.url = (const char *)g.url.p;
		q.headers = g.list;
		rc = fetch(s->fetch, &q, ret_answer);
	}
	signing_free(&g);
	return rc;
}

/* ---- what came of it */

static uint64_t read_after(const struct fetch_answer *a)
{
	uint64_t seconds;

	if (sl_str_u64(fetch_header(a, SL_STR("retry-after")), &seconds) < 0)
		return 0;
	return (seconds < MAX_RETRY_AFTER_S ? seconds : MAX_RETRY_AFTER_S) * 1000;
}

static void read_reply(struct fetch_answer *a, struct s3_reply *r)
{
	struct sl_str xml = sl_buf_view(&a->body);
	char message[200] = "";
	uint64_t length;

	r->status = a->status;
	r->length = -1;
	if (sl_str_u64(fetch_header(a, SL_STR("content-length")), &length) == 0)
		r->length = (int64_t)length;
	s3_tag(fetch_header(a, SL_STR("etag")), r->tag, sizeof r->tag);
	(void)sl_str_copy(r->checksum, sizeof r->checksum,
			  fetch_header(a, SL_STR("x-amz-checksum-sha256")));
	r->after_ms = read_after(a);
	if (a->status / 100 != 2 ||
	    memmem(a->body.p ? a->body.p : (uint8_t *)"", a->body.len, "<Error>", 7)) {
		(void)s3_element(xml, SL_STR("Code"), r->code, sizeof r->code);
		(void)s3_element(xml, SL_STR("Message"), message, sizeof message);
	}
	if (a->status == 0)
		(void)sl_str_copy(r->sentence, sizeof r->sentence, sl_str_c(a->error));
	else if (a->status / 100 == 3)
		(void)snprintf(r->sentence, sizeof r->sentence,
			       "%u: it redirects; set url and region as the bucket has them",
			       a->status);
	else
		(void)snprintf(r->sentence, sizeof r->sentence, "%u %s%s%s", a->status, r->code,
			       message[0] ? ": " : "", message);
	r->body = a->body;
	sl_buf_init(&a->body, 0);
}

static bool is_skew(const struct s3_reply *r)
{
	return r->status == 403 && (strcmp(r->code, "RequestTimeTooSkewed") == 0 ||
				    strcmp(r->code, "RequestExpired") == 0);
}

static int verdict(const struct s3_reply *r)
{
	static const char *const passing[] = {"RequestTimeout", "SlowDown", "InternalError",
					      "ServiceUnavailable", "OperationAborted"};

	if (r->status == 0 || r->status >= 500 || r->status == 429 || r->status == 408)
		return -SL_EAGAIN;
	for (size_t i = 0; i < SL_ARRAY_LEN(passing); i++)
		if (strcmp(r->code, passing[i]) == 0)
			return -SL_EAGAIN;
	if (r->status == 404)
		return -SL_ENOENT;
	return r->status / 100 == 2 && !r->code[0] ? 0 : -SL_EDENIED;
}

int s3_do(struct s3 *s, const struct s3_request *r, struct s3_reply *ret_reply)
{
	struct fetch_answer a;
	int64_t theirs;
	int rc;

	for (unsigned again = 0;; again++) {
		*ret_reply = (struct s3_reply){.length = -1};
		rc = send(s, r, &a);
		if (rc < 0 && rc != -SL_EAGAIN) {
			(void)sl_str_copy(ret_reply->sentence, sizeof ret_reply->sentence,
					  SL_STR("the request could not be made"));
			fetch_answer_free(&a);
			return rc;
		}
		read_reply(&a, ret_reply);
		rc = s3_date(fetch_header(&a, SL_STR("date")), &theirs);
		fetch_answer_free(&a);
		if (!is_skew(ret_reply) || rc < 0 || again > 0)
			return verdict(ret_reply);
		s->offset_s = theirs - (int64_t)(sl_clock_unix_ns() / SL_NS_PER_S);
		s3_reply_free(ret_reply);
	}
}

void s3_reply_free(struct s3_reply *r)
{
	sl_buf_free(&r->body);
}

int s3_open(const struct upload_conf *conf, const bool *quit, struct s3 **ret_s3)
{
	const struct fetch_opts o = {.timeout_ms = conf->timeout, .ca = conf->ca, .quit = quit};
	struct s3 *s = calloc(1, sizeof *s);
	int rc = s ? 0 : -SL_ENOMEM;

	if (rc < 0)
		return rc;
	s->conf = conf;
	rc = split_url(s);
	if (rc == 0)
		rc = fetch_open(&o, &s->fetch);
	if (rc < 0) {
		s3_close(s);
		return rc;
	}
	*ret_s3 = s;
	return 0;
}

void s3_close(struct s3 *s)
{
	if (!s)
		return;
	fetch_close(s->fetch);
	free(s);
}

int s3_url(const struct upload_conf *conf, struct sl_str key, unsigned expires_s,
	   struct sl_buf *url)
{
	const struct sigv4_key k = {conf->key_id, conf->secret, conf->region, SL_STR("s3")};
	struct sigv4_pair query[] = {{SL_STR("X-Amz-Security-Token"), conf->session_token}};
	struct signing g = {.n = 0};
	struct s3 s = {.conf = conf};
	struct sigv4_request r = {.method = SL_STR("GET"),
				  .query = query,
				  .n_query = conf->session_token.len > 0,
				  .headers = g.headers,
				  .n_headers = 1};
	int rc = split_url(&s);

	if (rc < 0)
		return rc;
	sl_buf_init(&g.path, S3_MAX_URL);
	set_time(&s, &g);
	add(&g, SL_STR("host"), s.host);
	write_path(&s, key, &g.path);
	r.path = sl_buf_view(&g.path);
	r.date = sl_str_c(g.date);
	sl_buf_printf(url, "%.*s://%.*s", SL_FMT(s.scheme), SL_FMT(s.host));
	sigv4_encode_path(url, r.path);
	sl_buf_str(url, SL_STR("?"));
	rc = sigv4_presign(&k, &r, expires_s, url);
	sl_buf_free(&g.path);
	return rc < 0 ? rc : sl_buf_ok(url);
}
