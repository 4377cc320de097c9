/*
 * hello.c: a complete Sluice module: a datagram that begins with "hello" is greeted. It has a directive (what to say), a
 * hook (datagrams that belong to no flow) and a counter (how often), and needs nothing but the installed headers.
 */
#include <stdlib.h>
#include <sluice/module.h>

struct hello_conf {
	struct sl_str greeting;
};

struct hello { /* one per worker */
	const struct hello_conf *conf;
	const struct sl_meter *meters;
};

enum { GREETED };
static const struct sl_metric metrics[] = {SL_COUNTER(greeted, "Datagrams that were greeted."), SL_METRICS_END};

static const struct sl_directive directives[] = {
	SL_DIR(struct hello_conf, greeting, SL_T_STR, SL_S_MAIN, .dflt = "hello, world", .min = 1,
	       .max = 80, .doc = "What to say to whoever says hello."),
	SL_DIRS_END};

static int on_datagram(void *ctx, struct sl_packet *p)
{
	const struct hello *h = ctx;
	struct sl_str greeting = h->conf->greeting;

	if (!sl_str_starts((struct sl_str){(const char *)p->data, p->len}, SL_STR("hello")))
		return SL_DECLINED;
	if (p->len < greeting.len) /* a forged sender must not get more than was sent */
		return SL_DROP;
	if (sl_udp_reply(p, greeting.p, greeting.len) == 0)
		sl_count(&h->meters[GREETED]);
	return SL_DONE;
}

static const struct sl_hook hooks[] = {SL_ON_DGRAM(SL_DGRAM_CONTENT, SL_NORMAL, on_datagram), SL_HOOKS_END};

static int start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct hello *h = malloc(sizeof(*h));

	if (!h)
		return -SL_ENOMEM;
	*h = (struct hello){.conf = conf, .meters = sl_worker_meters(w, "hello")};
	*ret_ctx = h;
	return 0;
}

SL_MODULE(hello, .name = "hello", .version = "1.0", .summary = "greets who says hello", .directives = directives,
	  .conf_size = sizeof(struct hello_conf), .hooks = hooks, .metrics = metrics, .worker_start = start, .worker_stop = free);
