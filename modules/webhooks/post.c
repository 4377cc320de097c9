/*
 * webhooks/post.c: one request to a receiver, and its answer in one word. Blocks. On the seam of
 * libcurl. Redirects are not followed: what is signed for one receiver is not for another.
 */
#include "webhooks.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_AFTER_S = 3600 };

struct post {
	CURL *easy;
	const struct hook_conf *hook;
	const bool *quit; /* atomic */
};

void post_init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT); /* what fails here fails in post_open */
}

int post_open(const struct hook_conf *hook, const bool *quit, struct post **ret_post)
{
	struct post *p = calloc(1, sizeof *p);

	if (!p)
		return -SL_ENOMEM;
	*p = (struct post){curl_easy_init(), hook, quit};
	if (!p->easy) {
		free(p);
		return -SL_ENOMEM;
	}
	*ret_post = p;
	return 0;
}

void post_close(struct post *p)
{
	if (!p)
		return;
	curl_easy_cleanup(p->easy);
	free(p);
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct post *p = arg;

	(void)a, (void)b, (void)c, (void)d;
	return __atomic_load_n(p->quit, __ATOMIC_RELAXED) ? 1 : 0;
}

/* What a receiver says beside its status is nobody's business. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

/* NULL: out of memory */
static struct curl_slist *make_headers(const struct post *p, struct sl_str id, struct sl_str body)
{
	uint64_t now_s = sl_clock_unix_ns() / SL_NS_PER_S;
	char lines[4][160], signature[SIGN_MAX];
	struct curl_slist *list = NULL, *more;
	unsigned n = 0;

	(void)snprintf(lines[n++], sizeof lines[0], "Content-Type: application/json");
	(void)snprintf(lines[n++], sizeof lines[0], "webhook-id: %.*s", SL_FMT(id));
	(void)snprintf(lines[n++], sizeof lines[0], "webhook-timestamp: %llu",
		       (unsigned long long)now_s);
	if (p->hook->secret.len > 0) {
		sign_body(p->hook->secret, id, now_s, body, signature);
		(void)snprintf(lines[n++], sizeof lines[0], "webhook-signature: %s", signature);
	}
	for (unsigned i = 0; i < n; i++) {
		more = curl_slist_append(list, lines[i]);
		if (!more) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

static void set_request(struct post *p, struct sl_str body, struct curl_slist *headers)
{
	CURL *e = p->easy;

	curl_easy_reset(e); /* connections stay */
	(void)curl_easy_setopt(e, CURLOPT_URL, p->hook->url.p);
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, "sluice");
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.p);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)p->hook->timeout);
	(void)curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(e, CURLOPT_XFERINFODATA, p);
	if (p->hook->ca.len > 0)
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, p->hook->ca.p);
}

void post_send(struct post *p, struct sl_str id, struct sl_str body, struct post_answer *ret_answer)
{
	struct curl_slist *headers = make_headers(p, id, body);
	char error[CURL_ERROR_SIZE] = "";
	curl_off_t after = 0;
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	*ret_answer = (struct post_answer){0};
	if (headers) {
		set_request(p, body, headers);
		(void)curl_easy_setopt(p->easy, CURLOPT_ERRORBUFFER, error);
		code = curl_easy_perform(p->easy);
		(void)curl_easy_setopt(p->easy, CURLOPT_ERRORBUFFER, NULL);
		(void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
		(void)curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &after);
	}
	curl_slist_free_all(headers);
	if (code == CURLE_OK) {
		ret_answer->status = (unsigned)status;
		ret_answer->after_ms = (uint64_t)(after < MAX_AFTER_S ? after : MAX_AFTER_S) * 1000;
		(void)snprintf(ret_answer->why, sizeof ret_answer->why, "it answers %ld", status);
		return;
	}
	(void)sl_str_copy(ret_answer->why, sizeof ret_answer->why,
			  sl_str_c(error[0] ? error : curl_easy_strerror(code)));
}
