/*
 * recorder/fetch.c: see fetch.h.
 */
#include "fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MIN_SPEED = 100 /* bytes a second: less is no progress */ };

struct fetch {
	CURL *easy;
	struct fetch_opts opts;
	char ca[1024];
};

struct transfer { /* one request */
	const struct fetch *f;
	const struct fetch_request *r;
	struct fetch_answer *a;
	uint64_t sent;
	char error[CURL_ERROR_SIZE];
};

void fetch_init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT); /* what fails here fails in fetch_open */
}

int fetch_open(const struct fetch_opts *o, struct fetch **ret_fetch)
{
	struct fetch *f = calloc(1, sizeof *f);

	if (!f)
		return -SL_ENOMEM;
	f->opts = *o;
	(void)sl_str_copy(f->ca, sizeof f->ca, o->ca);
	f->easy = curl_easy_init();
	if (!f->easy) {
		free(f);
		return -SL_ENOMEM;
	}
	*ret_fetch = f;
	return 0;
}

void fetch_close(struct fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->easy);
	free(f);
}

void fetch_answer_free(struct fetch_answer *a)
{
	sl_buf_free(&a->head);
	sl_buf_free(&a->body);
}

struct sl_str fetch_header(const struct fetch_answer *a, struct sl_str name)
{
	struct sl_str rest = sl_buf_view(&a->head), found = SL_STR_NULL;

	while (rest.len > 0) {
		struct sl_str value = sl_str_split(&rest, '\n');
		struct sl_str key = sl_str_split(&value, ':');

		if (value.p && sl_str_eq_nocase(sl_str_trim(key), name))
			found = sl_str_trim(value);
	}
	return found;
}

/* ---- what the library calls */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	(void)size; /* always 1 */
	(void)curl_easy_getinfo(t->f->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->r->sink && status / 100 == 2) {
		t->r->sink(t->r->arg, p, n);
		return n;
	}
	sl_buf_add(&t->a->body, p, n);
	return sl_buf_ok(&t->a->body) == 0 ? n : 0;
}

/* Interim answers (100) begin anew with their status line. */
static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)size;
	if (n > 5 && memcmp(p, "HTTP/", 5) == 0)
		sl_buf_reset(&t->a->head);
	sl_buf_add(&t->a->head, p, n);
	return sl_buf_ok(&t->a->head) == 0 ? n : 0;
}

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->r->len - t->sent;
	ssize_t got;

	n *= size;
	if (left == 0)
		return 0;
	got = pread(t->r->fd, p, n < left ? n : (size_t)left, (off_t)(t->r->at + t->sent));
	if (got <= 0)
		return CURL_READFUNC_ABORT; /* the file is shorter than it was */
	t->sent += (uint64_t)got;
	return (size_t)got;
}

/* A connection that was kept and had ended: again from the beginning */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->r->len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *t = arg;

	(void)a, (void)b, (void)c, (void)d;
	return t->f->opts.quit && __atomic_load_n(t->f->opts.quit, __ATOMIC_RELAXED) ? 1 : 0;
}

/* ---- one request */

static void set_body(CURL *e, struct transfer *t)
{
	const struct fetch_request *r = t->r;

	if (r->fd >= 0) {
		(void)curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->len);
		(void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		(void)curl_easy_setopt(e, CURLOPT_READDATA, t);
		(void)curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		(void)curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	} else if (strcmp(r->method, "HEAD") == 0) {
		(void)curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	} else if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "DELETE") != 0) {
		(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body.p ? r->body.p : "");
	}
	if (strcmp(r->method, "HEAD") != 0)
		(void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_limits(CURL *e, struct transfer *t)
{
	const struct fetch_opts *o = &t->f->opts;
	long seconds = (long)((o->timeout_ms + 999) / 1000);

	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->timeout_ms / 2));
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)MIN_SPEED);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, seconds);
	(void)curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
	if (t->f->ca[0])
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, t->f->ca);
}

static struct curl_slist *make_headers(const struct fetch_request *r)
{
	struct curl_slist *list = NULL, *more;

	for (const char *const *h = r->headers; h && *h; h++) {
		more = curl_slist_append(list, *h);
		if (!more) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

static CURLcode perform(struct fetch *f, struct transfer *t, struct curl_slist *headers)
{
	CURL *e = f->easy;

	curl_easy_reset(e); /* connections stay */
	(void)curl_easy_setopt(e, CURLOPT_URL, t->r->url);
	(void)curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, "sluice");
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	set_body(e, t);
	set_limits(e, t);
	return curl_easy_perform(e);
}

int fetch(struct fetch *f, const struct fetch_request *r, struct fetch_answer *ret_answer)
{
	struct curl_slist *headers = make_headers(r);
	struct transfer t = {.f = f, .r = r, .a = ret_answer};
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	*ret_answer = (struct fetch_answer){0};
	sl_buf_init(&ret_answer->head, FETCH_MAX_ANSWER);
	sl_buf_init(&ret_answer->body, FETCH_MAX_ANSWER);
	if (headers || !r->headers || !r->headers[0])
		code = perform(f, &t, headers);
	(void)curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK && status < 400) /* a refusal counts, also when it came too early */
		status = 0;
	ret_answer->status = (unsigned)status;
	if (status > 0)
		return 0;
	(void)sl_str_copy(ret_answer->error, sizeof ret_answer->error,
			  sl_str_c(t.error[0] ? t.error : curl_easy_strerror(code)));
	return -SL_EAGAIN;
}
