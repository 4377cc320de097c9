/*
 * webhooks/courier.c: the half in a process of its own: takes events, and gives each receiver those
 * that it wants.
 */
#include "webhooks.h"

#include <stdlib.h>

enum { TICK_MS = 500, MAX_HOOKS = 16 };

struct courier {
	struct sl_worker *w;
	const struct webhooks_conf *conf;
	const struct sl_meter *m;
	struct sl_channel *channel;
	struct queue *queues[MAX_HOOKS];
	struct queue_counts counted;
	struct sl_timer tick;
};

/* Who has sent it keeps it until it hears this. */
static void acknowledge(struct courier *c, uint32_t to, uint64_t number)
{
	uint8_t text[8];
	const struct iovec iov = {text, sizeof text};

	sl_put64(text, number);
	(void)!sl_channel_send(c->channel, to, SL_WEBHOOK_TAKEN, &iov, 1); /* then it comes again */
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct courier *c = arg;
	struct sl_webhook_event e;
	bool wanted = false;

	if (m->type != SL_WEBHOOK_EVENT || sl_webhook_read(m->data, &e) < 0)
		return;
	for (size_t i = 0; i < c->conf->hooks.n; i++) {
		if (!hook_wants(SL_LIST_AT(c->conf->hooks, struct hook_conf, i), e.name))
			continue;
		queue_put(c->queues[i], &e);
		wanted = true;
	}
	if (wanted)
		sl_count(&c->m[M_events]);
	acknowledge(c, m->from, e.number);
}

static void on_tick(struct sl_timer *t)
{
	struct courier *c = t->arg;
	struct queue_counts sum = {0};
	char why[300];

	for (size_t i = 0; i < c->conf->hooks.n; i++) {
		queue_tick(c->queues[i]);
		queue_count(c->queues[i], &sum);
		if (queue_complaint(c->queues[i], why, sizeof why))
			sl_log(SL_LOG_WARN, "webhooks", "%s", why);
	}
	sl_count_n(&c->m[M_delivered], sum.delivered - c->counted.delivered);
	sl_count_n(&c->m[M_failures], sum.failures - c->counted.failures);
	sl_count_n(&c->m[M_dropped], sum.dropped - c->counted.dropped);
	sl_gauge_set(&c->m[M_waiting], (int64_t)sum.waiting);
	c->counted = sum;
	sl_timer_set(c->w->loop, &c->tick, TICK_MS);
}

void courier_drain(void *ctx)
{
	(void)ctx; /* what comes late is taken to the spool, for the next generation's */
}

void courier_stop(void *ctx)
{
	struct courier *c = ctx;

	sl_timer_cancel(c->w->loop, &c->tick);
	sl_channel_close(c->channel);
	for (size_t i = 0; i < c->conf->hooks.n; i++)
		queue_close(c->queues[i]);
	free(c);
}

static int open_queues(struct courier *c)
{
	for (size_t i = 0; i < c->conf->hooks.n; i++) {
		int rc = queue_open(c->conf, SL_LIST_AT(c->conf->hooks, struct hook_conf, i),
				    &c->queues[i]);

		if (rc < 0) {
			sl_log(SL_LOG_ERROR, "webhooks",
			       "the spool %s cannot be used: %m; it must belong to the user that "
			       "workers run as",
			       c->conf->spool.p);
			return rc;
		}
	}
	return 0;
}

int courier_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct courier *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return -SL_ENOMEM;
	c->w = w;
	c->conf = conf;
	c->m = sl_worker_meters(w, SL_WEBHOOK_MODULE);
	c->tick = (struct sl_timer){.fn = on_tick, .arg = c};
	post_init();
	rc = open_queues(c);
	if (rc == 0)
		rc = sl_channel_open(w, SL_WEBHOOK_CHANNEL, on_message, c, &c->channel);
	if (rc < 0) {
		courier_stop(c);
		return rc;
	}
	sl_timer_set(w->loop, &c->tick, TICK_MS);
	*ret_ctx = c;
	return 0;
}
