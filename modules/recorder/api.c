/*
 * recorder/api.c: see api.h; the routes stand in README.md. Here is what each of them takes; how
 * its answer comes about is for api_call.c.
 */
#include "api_impl.h"

#include <sluice/json.h>
#include <stdio.h>
#include <stdlib.h>
#include "work.h"

enum { PAGE = 50, BODY_DEPTH = 2 };

/* ---- routes */

static bool is_room(struct sl_str name)
{
	return name.len > 0 && name.len <= 128 && sl_str_is_utf8(name);
}

static void on_list(void *arg, struct sl_http_req *r)
{
	struct api *a = arg;
	struct call *c = call_new(a, r);
	struct sl_str room, after, limit;
	uint64_t n = PAGE;

	if (!c)
		return;
	room = a->http->query(r, "room");
	after = a->http->query(r, "after");
	limit = a->http->query(r, "limit");
	if ((after.p && !shelf_is_id(after)) ||
	    (limit.p && (sl_str_u64(limit, &n) < 0 || n == 0))) {
		call_fail(c, 400, "after is the id of a recording, limit a number");
		return;
	}
	c->kind = CALL_LIST;
	c->limit = (unsigned)(n < SHELF_MAX_PAGE ? n : SHELF_MAX_PAGE);
	c->room = room.p ? sl_str_dup(room) : NULL;
	c->after = after.p ? sl_str_dup(after) : NULL;
	call_read(c);
}

static void on_start(void *arg, struct sl_http_req *r)
{
	struct api *a = arg;
	struct call *c = call_new(a, r);
	struct sl_str room;
	json_t *body;

	if (!c)
		return;
	body = sl_json_parse(a->http->body(r), BODY_DEPTH, NULL, 0);
	room = sl_json_get_str(body, "room");
	c->room = is_room(room) ? sl_str_dup(room) : NULL;
	json_decref(body);
	c->verb = VERB_START;
	c->kind = CALL_ASK;
	if (!c->room)
		call_fail(c, 400, "a JSON object with the name of a room is required");
	else if (!call_may_see(c, sl_str_c(c->room)))
		call_fail(c, 403, "the token does not permit this room");
	else if (!recorder_wants_room(a->conf, sl_str_c(c->room)))
		call_fail(c, 403, "this room is not recorded here");
	else
		call_ask(c);
}

/* "/recordings/ID/NAME": *ret_name is NULL without one. false: nothing that can be there */
static bool split_path(struct call *c)
{
	struct sl_str rest = c->api->http->path(c->req), id;

	rest.p += c->api->conf->api.len + 1;
	rest.len -= c->api->conf->api.len + 1;
	id = sl_str_split(&rest, '/');
	if (!shelf_is_id(id) || (rest.p && rest.len == 0))
		return false;
	c->id = sl_str_dup(id);
	c->name = rest.p ? sl_str_dup(rest) : NULL;
	return c->id != NULL;
}

static void on_get(void *arg, struct sl_http_req *r)
{
	struct call *c = call_new(arg, r);

	if (!c)
		return;
	if (!split_path(c)) {
		call_fail(c, 404, "there is no such recording");
		return;
	}
	c->kind = c->name ? CALL_FILE : CALL_ONE;
	if (c->name && shelf_is_playlist(sl_str_c(c->name)) && c->api->http->query(r, "token").p)
		c->passed = sl_str_dup(c->api->http->query(r, "token"));
	call_read(c);
}

static const struct {
	struct sl_str name;
	enum record_verb verb;
} verbs[] = {
	{SL_STR_INIT("pause"), VERB_PAUSE},
	{SL_STR_INIT("resume"), VERB_RESUME},
	{SL_STR_INIT("stop"), VERB_STOP},
};

/* Found on the disk first: that says whether the token may see its room. */
static void on_post(void *arg, struct sl_http_req *r)
{
	struct call *c = call_new(arg, r);
	size_t i = 0;

	if (!c)
		return;
	if (!split_path(c)) {
		call_fail(c, 404, "there is no such recording");
		return;
	}
	while (c->name && i < SL_ARRAY_LEN(verbs) && !sl_str_eq(verbs[i].name, sl_str_c(c->name)))
		i++;
	if (!c->name || i == SL_ARRAY_LEN(verbs)) {
		call_fail(c, 404, "a recording can be told pause, resume or stop");
		return;
	}
	c->verb = verbs[i].verb;
	c->kind = CALL_ASK;
	call_read(c);
}

static void on_delete(void *arg, struct sl_http_req *r)
{
	struct call *c = call_new(arg, r);

	if (!c)
		return;
	if (!split_path(c) || c->name) {
		call_fail(c, 404, "only a recording as a whole can be removed");
		return;
	}
	c->verb = VERB_REMOVE;
	c->kind = CALL_ASK;
	call_read(c);
}

/* ---- life */

static int add_routes(struct api *a)
{
	static const struct {
		const char *method;
		bool below;
		sl_http_fn *fn;
	} routes[] = {
		{"GET", false, on_list}, {"POST", false, on_start},   {"GET", true, on_get},
		{"POST", true, on_post}, {"DELETE", true, on_delete},
	};
	int rc = 0;

	(void)sl_str_copy(a->path, sizeof a->path, a->conf->api);
	(void)snprintf(a->below, sizeof a->below, "%s/*", a->path);
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_LEN(routes); i++)
		rc = a->http->route(a->http_self, routes[i].method,
				    routes[i].below ? a->below : a->path, routes[i].fn, a);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "recorder", "no route at %.*s: %s", SL_FMT(a->conf->api),
		       sl_strerror(rc));
	return rc;
}

int api_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
	     struct api **ret_api)
{
	void *self;
	const struct sl_http_iface *http = sl_iface_get(w, "http", 1, &self);
	struct api *a;
	int rc;

	*ret_api = NULL;
	if (!http || http->size < sizeof *http || conf->api.len == 0)
		return 0;
	a = calloc(1, sizeof *a);
	if (!a)
		return -SL_ENOMEM;
	*a = (struct api){.w = w, .conf = conf, .tap = tap, .http = http, .http_self = self};
	a->m = sl_worker_meters(w, "recorder");
	rc = work_open(w->loop, &a->work);
	if (rc == 0)
		rc = add_routes(a);
	if (rc < 0) {
		api_close(a);
		return rc;
	}
	*ret_api = a;
	return 0;
}

void api_close(struct api *a)
{
	if (!a)
		return;
	work_close(a->work);
	call_fail_all(a);
	free(a);
}
