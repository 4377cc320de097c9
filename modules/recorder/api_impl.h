/*
 * recorder/api_impl.h: what the halves of the API share: the API of a worker, and a request on its
 * way.
 *
 * api.c has the routes: what is asked for, and whether it can be. api_call.c gets it: who asks,
 * what the disk's thread finds, what a writer answers.
 */
#ifndef RECORDER_API_IMPL_H
#define RECORDER_API_IMPL_H

#include "api.h"

#include <sluice/http.h>
#include <sluice/signal.h>
#include "shelf.h"

struct api {
	struct sl_worker *w;
	const struct recorder_conf *conf;
	const struct sl_meter *m;
	struct tap *tap;
	const struct sl_http_iface *http;
	void *http_self;
	struct work *work;
	struct call *asks; /* that wait for a writer */
	unsigned n_asks;
	uint64_t number;
	char path[260], below[264]; /* of the routes */
};

enum call_kind { CALL_LIST, CALL_ONE, CALL_FILE, CALL_ASK };

struct call { /* a request on its way */
	struct call *next;
	struct api *api;
	struct sl_http_req *req;
	enum call_kind kind;
	const struct sl_tokens_iface *tokens;
	struct sl_token token;
	char *id, *name, *room, *after; /* owned; NULL: not said */
	char *passed;			/* the token, if it came in the URL; owned */
	unsigned limit;
	/* What was found: */
	int rc;
	char path[SHELF_PATH];
	struct sl_buf json;
	struct shelf_file file;
	bool elsewhere; /* the file is in storage only; json is its URL */
	/* What was asked: */
	enum record_verb verb;
	uint64_t number;
	uint32_t owner;
	struct sl_timer deadline;
};

/* ---- api_call.c */

/* A call for a request whose token permits this; NULL: it has been answered. */
struct call *call_new(struct api *a, struct sl_http_req *r);
/* Whether its token is for that room */
bool call_may_see(const struct call *c, struct sl_str room);
/* These answer, now or later, and free the call: with an error; with what the disk has, by kind; by
 * what the writer of its room or recording says to its verb. */
void call_fail(struct call *c, unsigned status, const char *sentence);
void call_read(struct call *c);
void call_ask(struct call *c);
/* Those that wait for a writer get an error. */
void call_fail_all(struct api *a);

#endif
