/*
 * sfu.c: the selective forwarding unit: rooms whose media this node carries.
 *
 * The descriptor, the module's life in a worker, its clock, and what signalling and the bus tell
 * it.
 */
#include "sfu.h"

#include <stdlib.h>

const struct sl_directive sfu_directives[] = {
	SL_DIR(struct sfu_conf, rooms, SL_T_REGEX, SL_S_MAIN, .list = true,
	       .doc = "Rooms whose media this node carries, as regular expressions; unset: all."),
	SL_DIR(struct sfu_conf, direct_peers, SL_T_INT, SL_S_MAIN, .dflt = "2", .min = 0, .max = 16,
	       .doc = "Up to so many peers of a room talk directly; with more, their media come "
		      "here. 0: always here."),
	SL_DIR(struct sfu_conf, max_participants, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = 100000, .doc = "Participants with media in one room; 0: no limit."),
	SL_DIR(struct sfu_conf, max_tracks, SL_T_INT, SL_S_MAIN, .dflt = "16", .min = 1, .max = 256,
	       .doc = "Tracks that one participant may publish."),
	SL_DIR(struct sfu_conf, audible, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0, .max = 64,
	       .doc = "Only so many loudest voices of a room are forwarded; 0: all."),
	SL_DIR(struct sfu_conf, data, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Data channels: what a participant says on one goes to all others."),
	SL_DIR(struct sfu_conf, key_frame_cache, SL_T_SIZE, SL_S_MAIN, .dflt = "0", .max = 1 << 30,
	       .doc = "Memory of a worker for the newest key frame of each encoding: who "
		      "subscribes "
		      "sees it at once, before the publisher has made another. 0: none are kept."),
	SL_DIR(struct sfu_conf, idle_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "2m", .min = 1000,
	       .max = 86400000,
	       .doc = "A participant that has neither sent nor got a packet for so long loses its "
		      "connections."),
	SL_DIRS_END,
};

#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
const struct sl_metric sfu_metrics[] = {
#define X(n, k, h) {.name = #n, .kind = k, .help = h},
	SFU_METERS(X)
#undef X
		SL_METRICS_END};

/* ---- what signalling tells */

static void on_joined(void *arg, const struct sl_signal_peer *p)
{
	mode_joined(arg, p);
}

static void on_welcome(void *arg, const struct sl_signal_peer *p, struct sl_buf *members)
{
	if (mode_is_sfu(arg, p->room))
		sl_buf_str(members, SL_STR(",\"mode\":\"sfu\""));
}

static void on_left(void *arg, const struct sl_signal_peer *peer, const char *reason)
{
	struct sfu *s = arg;
	struct participant *p = participant_find(s, peer->id);

	if (p && p->here)
		participant_remove(p, reason);
}

static int on_message(void *arg, const struct sl_signal_peer *peer, struct sl_str type,
		      const json_t *msg, const char **ret_sentence)
{
	(void)type;
	return verb_handle(arg, peer, msg, ret_sentence);
}

static const struct sl_signal_handler handler = {
	.joined = on_joined,
	.left = on_left,
	.welcome = on_welcome,
	.message = on_message,
};

/* ---- the bus */

static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	if (ev->kind == SL_EV_WORKER_GONE)
		trunk_gone(ctx, ev->owner);
	return SL_OK;
}

static const struct sl_hook hooks[] = {SL_ON_EVENT(SL_NORMAL, on_event), SL_HOOKS_END};

/* ---- life */

static void on_tick(struct sl_timer *t)
{
	struct sfu *s = t->arg;

	steward_tick(s);
	sl_timer_set(s->w->loop, &s->tick, TICK_MS);
}

static int open_signal(struct sfu *s)
{
	struct sl_buf hello;
	int rc;

	s->signal = sl_iface_get(s->w, SL_SIGNAL_IFACE, 1, &s->signal_self);
	if (!s->signal)
		return -SL_ENOENT;
	sl_buf_init(&hello, 0);
	sl_buf_printf(&hello, "{\"sfu\":{\"version\":1,\"direct_peers\":%d,\"data\":%s}}",
		      (int)s->conf->direct_peers, s->conf->data ? "true" : "false");
	rc = sl_buf_ok(&hello);
	if (rc == 0)
		rc = s->signal->listen(s->signal_self, verb_types, sl_buf_view(&hello), &handler,
				       s);
	sl_buf_free(&hello);
	return rc;
}

static void worker_stop(void *ctx)
{
	struct sfu *s = ctx;

	rooms_free(s);
	sl_timer_cancel(s->w->loop, &s->tick);
	sl_timer_cancel(s->w->loop, &s->held);
	sl_post_cancel(s->w->loop, &s->post);
	sl_channel_close(s->channel);
	s->signal->unlisten(s->signal_self, s);
	free(s);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct sfu *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return -SL_ENOMEM;
	s->w = w;
	s->conf = conf;
	s->m = sl_worker_meters(w, "sfu");
	s->post = (struct sl_post){.fn = forward_pending, .arg = s};
	s->held = (struct sl_timer){.fn = forward_held, .arg = s};
	s->tick = (struct sl_timer){.fn = on_tick, .arg = s};
	rc = trunk_open(s);
	if (rc == 0)
		rc = open_signal(s);
	if (rc == 0)
		rc = sl_iface_provide(w, SL_ROOM_IFACE, 1, &member_iface, s);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "sfu", "cannot start: %s", sl_strerror(rc));
		sl_channel_close(s->channel);
		free(s);
		return rc;
	}
	sl_rtc_use(w);
	sl_timer_set(w->loop, &s->tick, TICK_MS);
	*ret_ctx = s;
	return 0;
}

static void worker_drain(void *ctx)
{
	struct sfu *s = ctx;

	s->draining = true;
}

static const char *const needs[] = {"signaling-ws", NULL};

SL_MODULE(sfu, .name = "sfu", .version = "1.0",
	  .summary = "Selective forwarding unit: group calls, over all workers of the node",
	  .needs = needs, .directives = sfu_directives, .conf_size = sizeof(struct sfu_conf),
	  .hooks = hooks, .metrics = sfu_metrics, .worker_start = worker_start,
	  .worker_drain = worker_drain, .worker_stop = worker_stop);
