/*
 * webhooks/webhooks.h: what the parts of this module know of each other.
 *
 *     webhooks.c  the descriptor, and the half in workers: events of the bus, to the process
 *     courier.c   the half in a process of its own: its life, and what comes to it
 *     queue.c     one receiver: what waits for it, and its thread
 *     spool.c     what waits, as files
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
/* By the clock: what the disk did not take is tried again. */
void queue_tick(struct queue *q);
void queue_count(struct queue *q, struct queue_counts *sum); /* adds */
/* What went wrong since it was asked last; false: nothing */
bool queue_complaint(struct queue *q, char *dst, size_t cap);

/* ---- spool.c */
enum { SPOOL_MAX_PATH = 1024, SPOOL_MAX_BODY = 1 << 17, SPOOL_MODE_DIR = 0750 };
struct spooled { /* a file */
	uint64_t number, unix_ms;
	char key[64]; /* events of one key keep their order */
};
/* Appends what the event's file holds. */
struct spooled spool_make(const struct sl_webhook_event *e, struct sl_buf *text);
/* Leaves the body of what a file holds. false: it is none */
bool spool_open(struct sl_buf *text, struct spooled *ret_file);
/* All or nothing. 0 or errno */
SL_MUST_CHECK int spool_write(const char *dir, uint64_t number, const struct sl_buf *text);
void spool_remove(const char *dir, uint64_t number);
/* Of file->number. false: it cannot be read */
bool spool_read(const char *dir, struct spooled *file, struct sl_buf *body);
/* All that there are, in the order of their numbers */
void spool_each(const char *dir, void (*fn)(void *arg, const struct spooled *file), void *arg);
/* A descriptor while which is open the directory is this process's; -1: it is another's, or there is
 * no file for it now */
int spool_lock(const char *dir);

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
