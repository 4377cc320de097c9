/*
 * recorder/api_call.c: a request for recordings on its way to an answer.
 *
 * What is read comes from the disk by a thread of this worker; what is to be done goes to the
 * writer that has the recording, as a question with a number, and its answer comes back under that.
 * A client that leaves in between changes nothing: http lets us respond into the void.
 */
#include "api_impl.h"

#include <stdlib.h>
#include <unistd.h>
#include "s3.h"
#include "work.h"

enum { ANSWER_MS = 10000, MAX_ASKS = 1024, URL_S = 3600 };

/* ---- answers */

static void respond_as(struct call *c, unsigned status, const char *type, struct sl_str headers,
		       struct sl_str body)
{
	(void)c->api->http->respond(c->req, status, type, headers,
				    body); /* the client may have gone */
	c->req = NULL;
}

static void respond(struct call *c, unsigned status, struct sl_str headers, struct sl_str json)
{
	respond_as(c, status, "application/json", headers, json);
}

static void respond_sentence(struct call *c, unsigned status, struct sl_str sentence)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{\"error\":"));
	sl_buf_json(&b, sentence);
	sl_buf_str(&b, SL_STR("}\n"));
	if (status >= 400)
		sl_count(&c->api->m[M_api_refused]);
	respond(c, status,
		status == 401 ? SL_STR("www-authenticate: Bearer\r\n")
			      : SL_STR("cache-control: no-store\r\n"),
		sl_buf_view(&b));
	sl_buf_free(&b);
}

static void call_free(struct call *c)
{
	sl_timer_cancel(c->api->w->loop, &c->deadline);
	if (c->tokens)
		c->tokens->release(&c->token);
	if (c->file.fd >= 0)
		close(c->file.fd);
	sl_buf_free(&c->json);
	free(c->id);
	free(c->name);
	free(c->room);
	free(c->after);
	free(c->passed);
	free(c);
}

void call_fail(struct call *c, unsigned status, const char *sentence)
{
	respond_sentence(c, status, sl_str_c(sentence));
	call_free(c);
}

/* ---- who asks */

/* A player's URL may carry it: elements of pages cannot set headers. */
static struct sl_str token_of(const struct api *a, struct sl_http_req *r)
{
	struct sl_str token = sl_http_bearer(a->http, r);

	return token.p ? token : a->http->query(r, "token");
}

/* Looked up each time: that module may start after this one. Answers, and frees c, when not. */
static bool is_permitted(struct call *c)
{
	struct api *a = c->api;
	const struct sl_tokens_iface *tokens;
	void *self;
	int rc;

	tokens = sl_iface_get(a->w, "tokens", 1, &self);
	rc = tokens && tokens->size >= sizeof *tokens
		     ? tokens->open(self, token_of(a, c->req), &c->token)
		     : -SL_EUNSUPP;
	if (rc == 0)
		c->tokens = tokens;
	if (rc == -SL_EUNSUPP)
		call_fail(c, 503, "signaling-ws with auth: jwt is needed for this");
	else if (rc < 0)
		call_fail(c, 401, "a valid token is required");
	else if (!(c->token.grants & (SL_MAY_ADMIN | SL_IS_RECORDER)))
		call_fail(c, 403, "the token does not permit this");
	else
		return true;
	return false;
}

bool call_may_see(const struct call *c, struct sl_str room)
{
	return c->tokens->permits(&c->token, room);
}

struct call *call_new(struct api *a, struct sl_http_req *r)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c) {
		(void)a->http->respond(r, 503, NULL, SL_STR_NULL, SL_STR_NULL);
		return NULL;
	}
	c->api = a;
	c->req = r;
	c->file.fd = -1;
	sl_buf_init(&c->json, 0);
	return is_permitted(c) ? c : NULL;
}

/* ---- reading */

/* It was uploaded, and removed here: a URL of storage that holds for a while */
static void find_elsewhere(struct call *c)
{
	const struct recorder_conf *conf = c->api->conf;
	const char *below = c->path + conf->dir.len;
	struct sl_buf key;

	if (conf->upload.url.len == 0 || !shelf_is_uploaded(c->path, sl_str_c(c->name)))
		return;
	while (*below == '/')
		below++;
	sl_buf_init(&key, 0);
	sl_buf_printf(&key, "%.*s%s/%s", SL_FMT(conf->upload.prefix), below, c->name);
	if (sl_buf_ok(&key) == 0)
		c->rc = s3_url(&conf->upload, sl_buf_view(&key), URL_S, &c->json);
	c->elsewhere = c->rc == 0;
	sl_buf_free(&key);
}

/* In the thread */
static bool may_see(void *arg, struct sl_str room)
{
	return call_may_see(arg, room);
}

static void read_it(void *arg)
{
	struct call *c = arg;
	const struct recorder_conf *conf = c->api->conf;
	const struct shelf_query q = {.room = sl_str_c(c->room),
				      .after = sl_str_c(c->after),
				      .limit = c->limit,
				      .may = may_see,
				      .arg = c};

	if (c->kind == CALL_LIST) {
		shelf_list(conf->dir.p, &q, &c->json);
		return;
	}
	c->rc = shelf_find(conf->dir.p, sl_str_c(c->id), &q, c->path);
	if (c->rc == 0 && c->kind == CALL_ONE)
		c->rc = shelf_describe(c->path, &c->json);
	else if (c->rc == 0 && c->kind == CALL_FILE && c->passed)
		c->rc = shelf_playlist(c->path, sl_str_c(c->name), sl_str_c(c->passed), &c->json);
	else if (c->rc == 0 && c->kind == CALL_FILE)
		c->rc = shelf_open(c->path, sl_str_c(c->name), &c->file);
	if (c->rc == -SL_ENOENT && c->name && c->kind == CALL_FILE)
		find_elsewhere(c);
}

static void respond_file(struct call *c)
{
	const struct shelf_file *f = &c->file;

	(void)c->api->http->respond_file(
		c->req, f->type,
		f->grows ? SL_STR("cache-control: no-cache\r\n")
			 : SL_STR("cache-control: private, max-age=3600\r\n"),
		sl_str_c(f->tag), f->fd, f->len);
	c->req = NULL;
	c->file.fd = -1;
}

static void redirect(struct call *c)
{
	struct sl_buf head;

	sl_buf_init(&head, 0);
	sl_buf_printf(&head, "location: %.*s\r\ncache-control: no-store\r\n", (int)c->json.len,
		      (char *)c->json.p);
	respond_as(c, 307, "text/plain", sl_buf_view(&head), SL_STR(""));
	sl_buf_free(&head);
	call_free(c);
}

static void on_read(void *arg, bool done)
{
	struct call *c = arg;

	if (!done) {
		call_fail(c, 503, "the server is about to leave");
	} else if (c->rc < 0) {
		call_fail(c, 404,
			  c->kind == CALL_FILE ? "there is no such file"
					       : "there is no such recording");
	} else if (c->kind == CALL_ASK) {
		call_ask(c);
	} else if (c->elsewhere) {
		redirect(c);
	} else if (c->kind == CALL_FILE && !c->passed) {
		respond_file(c);
		call_free(c);
	} else if (sl_buf_ok(&c->json) < 0) {
		call_fail(c, 503, "the server is out of memory");
	} else {
		respond_as(c, 200,
			   c->kind == CALL_FILE ? "application/vnd.apple.mpegurl"
						: "application/json",
			   SL_STR("cache-control: no-store\r\n"), sl_buf_view(&c->json));
		call_free(c);
	}
}

void call_read(struct call *c)
{
	if (work_do(c->api->work, read_it, on_read, c) < 0)
		call_fail(c, 503, "the server is busy");
}

/* ---- asking a writer */

static void forget(struct call *c)
{
	struct call **link = &c->api->asks;

	while (*link && *link != c)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = c->next;
	c->api->n_asks--;
}

static void on_deadline(struct sl_timer *t)
{
	struct call *c = t->arg;

	forget(c);
	call_fail(c, 504, "the recorder does not answer");
}

static uint32_t owner_for(const struct call *c)
{
	uint32_t owner = 0;

	if (c->room)
		return tap_writer(c->api->tap, sl_str_c(c->room));
	if (c->verb == VERB_REMOVE)
		owner = sl_aux_owner(c->api->w, "recorder");
	return owner ? owner : tap_writer_of(c->api->tap, sl_str_c(c->id));
}

void call_ask(struct call *c)
{
	struct api *a = c->api;
	struct sl_buf b;

	c->owner = owner_for(c);
	if (!c->owner) {
		call_fail(c, c->id ? 409 : 503,
			  c->id ? "this recording does not run" : "the recorder is not there");
		return;
	}
	if (a->n_asks >= MAX_ASKS) {
		call_fail(c, 503, "the server is busy");
		return;
	}
	c->number = ++a->number;
	sl_buf_init(&b, 0);
	sl_buf_u64(&b, c->number);
	sl_buf_u8(&b, (uint8_t)c->verb);
	sl_buf_lstr(&b, sl_str_c(c->room));
	sl_buf_lstr(&b, sl_str_c(c->id));
	sl_buf_lstr(&b, sl_str_c(c->path));
	if (!tap_post(a->tap, c->owner, MSG_ASK, &b)) {
		call_fail(c, 503, "the recorder is busy");
		return;
	}
	c->next = a->asks;
	a->asks = c;
	a->n_asks++;
	c->deadline = (struct sl_timer){.fn = on_deadline, .arg = c};
	sl_timer_set(a->w->loop, &c->deadline, ANSWER_MS);
}

void api_answered(struct api *a, struct sl_reader *r)
{
	uint64_t number = sl_read_u64(r);
	unsigned status = sl_read_u16(r);
	struct sl_str json = sl_read_lstr(r);
	struct call *c = a ? a->asks : NULL;

	while (c && c->number != number)
		c = c->next;
	if (!c || r->failed)
		return; /* too late */
	forget(c);
	if (status >= 400)
		sl_count(&a->m[M_api_refused]);
	respond(c, status, SL_STR("cache-control: no-store\r\n"), json);
	call_free(c);
}

void api_lost(struct api *a, uint32_t owner)
{
	for (struct call *c = a ? a->asks : NULL, *next; c; c = next) {
		next = c->next;
		if (c->owner != owner)
			continue;
		forget(c);
		call_fail(c, 503, "the recorder was interrupted; ask again");
	}
}

void call_fail_all(struct api *a)
{
	while (a->asks) {
		struct call *c = a->asks;

		forget(c);
		call_fail(c, 503, "the server is about to leave");
	}
}
