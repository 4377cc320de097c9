/*
 * webhooks/webhooks.h: what the parts of this module know of each other.
 *
 *     webhooks.c  the descriptor, and the half in workers: events of the bus, to the process
 *     courier.c   the half in a process of its own: its life, and what comes to it
 *     queue.c     one receiver: what waits for it, on disk, and its thread
 *     post.c      one request (libcurl)
 *     sign.c      what stands in its headers; pure
 */
#ifndef WEBHOOKS_WEBHOOKS_H
#define WEBHOOKS_WEBHOOKS_H

#include <sluice/module.h>
#include <sluice/webhook.h>

struct hook_conf { /* a record of `hooks` */
	struct sl_str url, secret, ca;
	struct sl_list events; /* struct sl_str */
	uint64_t timeout;      /* ms */
};
struct webhooks_conf {
	struct sl_list hooks; /* struct hook_conf */
	struct sl_str spool;
	int64_t queue;
	uint64_t max_age; /* ms */
};

/* X(name, kind, help) */
#define WEBHOOKS_METERS(X)                                                                         \
	X(events, COUNTER, "events that some receiver wants")                                      \
	X(lost, COUNTER, "events that were too many or too long on their way here")                            \
	X(delivered, COUNTER, "events delivered")                                                  \
	X(failures, COUNTER, "attempts that failed")                                               \
	X(dropped, COUNTER, "events given up: too old, too many, or no longer wanted (410)")       \
	X(waiting, GAUGE, "events that wait for their receivers")

enum webhooks_meter {
#define X(name, kind, help) M_##name,
	WEBHOOKS_METERS(X)
#undef X
};

bool hook_wants(const struct hook_conf *h, struct sl_str event);

/* ---- courier.c */
int courier_start(struct sl_worker *w, void *conf, void **ret_ctx);
void courier_drain(void *ctx);
void courier_stop(void *ctx);

/* ---- queue.c */
struct queue;
struct queue_counts { /* since the beginning */
	uint64_t delivered, failures, dropped, waiting;
};
SL_MUST_CHECK int queue_open(const struct webhooks_conf *conf, const struct hook_conf *hook,
			     struct queue **ret_queue);
void queue_close(struct queue *q); /* what waits stays on disk; accepts NULL */
void queue_put(struct queue *q, const struct sl_webhook_event *e);
void queue_count(struct queue *q, struct queue_counts *sum); /* adds */
/* What went wrong since it was asked last; false: nothing */
bool queue_complaint(struct queue *q, char *dst, size_t cap);

/* ---- post.c */
struct post;
SL_MUST_CHECK int post_open(const struct hook_conf *hook, const bool *quit, struct post **ret_post);
void post_close(struct post *p); /* accepts NULL */
struct post_answer {
	unsigned status; /* 0: none came */
	uint64_t after_ms;
	char why[200];
};
void post_send(struct post *p, struct sl_str id, struct sl_str body, struct post_answer *ret_answer);
void post_init(void); /* once in a process */

/* ---- sign.c: the headers of the Standard Webhooks specification */
enum { SIGN_MAX = 64 };
/* "v1,<base64 of HMAC-SHA256 over id.time.body>". secret: "whsec_<base64>", or its bytes */
void sign_body(struct sl_str secret, struct sl_str id, uint64_t unix_s, struct sl_str body,
	       char ret_signature[SIGN_MAX]);

#endif
