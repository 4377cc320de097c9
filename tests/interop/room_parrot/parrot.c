/*
 * parrot.c: a module for the tests of rooms: a participant without WebRTC that says again what it
 * hears. It comes when somebody enters a room and goes when somebody leaves it.
 *
 * Built by the test against the public headers alone.
 */
#include <stdlib.h>
#include <sluice/module.h>
#include <sluice/room.h>
#include <sluice/signal.h>

enum { HEARD, SILENCED, ENDED };
static const struct sl_metric metrics[] = {SL_COUNTER(heard, "packets"), SL_COUNTER(silenced, "changes"),
					   SL_COUNTER(ended, "times"), SL_METRICS_END};

struct parrot {
	struct sl_worker *w;
	const struct sl_room_iface *rooms;
	void *rooms_self;
	struct sl_post come, publish, go;
	char room[64];
	struct sl_room_member *member;
	struct sl_room_source *source;
	unsigned codec; /* of what it heard first */
};

static void count(const struct parrot *p, unsigned metric)
{
	sl_count(&sl_worker_meters(p->w, "parrot")[metric]);
}

/* ---- what it hears */

static struct sl_packet *copy(struct parrot *p, const struct sl_rtp *rtp)
{
	struct sl_packet *c = sl_packet_new(p->w);

	if (!c)
		return NULL;
	memcpy(sl_packet_append(c, SL_RTP_HEADER), rtp->data, SL_RTP_HEADER);
	c->data[0] = 0x80; /* no extensions, no padding */
	memcpy(sl_packet_append(c, rtp->payload_len), sl_rtp_payload(rtp), rtp->payload_len);
	return c;
}

static void on_rtp(void *arg, uint64_t track, const struct sl_rtp *rtp, uint64_t seq, unsigned codec)
{
	struct parrot *p = arg;
	struct sl_packet *c;

	(void)track;
	(void)seq;
	count(p, HEARD);
	if (!p->source) {
		p->codec = codec;
		sl_post(p->w->loop, &p->publish);
		return;
	}
	c = codec == p->codec ? copy(p, rtp) : NULL;
	if (!c)
		return;
	if (p->rooms->send(p->source, c, 20) < 0)
		abort();
	sl_packet_unref(c);
}

static void on_silenced(void *arg, bool silenced)
{
	(void)silenced;
	count(arg, SILENCED);
}

static void on_ended(void *arg, const char *why)
{
	struct parrot *p = arg;

	(void)why;
	p->member = NULL;
	p->source = NULL;
	count(p, ENDED);
}

static const struct sl_room_handler handler = {.rtp = on_rtp, .silenced = on_silenced, .ended = on_ended};

/* ---- what it does */

static void come(struct sl_post *post)
{
	struct parrot *p = post->arg;
	const struct sl_room_opts o = {.room = sl_str_c(p->room),
				       .name = SL_STR("parrot"),
				       .grants = SL_MAY_SUBSCRIBE | SL_MAY_PUBLISH_AUDIO,
				       .handler = &handler,
				       .arg = p};

	if (!p->member && p->rooms->join(p->rooms_self, &o, &p->member) < 0)
		abort();
}

static void publish(struct sl_post *post)
{
	struct parrot *p = post->arg;
	const struct sl_room_source_opts o = {.kind = SL_MEDIA_AUDIO,
					      .codec = p->codec,
					      .clock_hz = p->codec == SL_CODEC_OPUS ? 48000 : 8000,
					      .name = SL_STR("beak")};

	if (p->member && !p->source && p->rooms->publish(p->member, &o, &p->source) < 0)
		abort();
}

static void go(struct sl_post *post)
{
	struct parrot *p = post->arg;

	p->rooms->leave(p->member);
	p->member = NULL;
	p->source = NULL;
}

static void on_joined(void *arg, const struct sl_signal_peer *peer)
{
	struct parrot *p = arg;

	if (p->w->worker_index != 0 || p->member || sl_str_eq(peer->name, SL_STR("parrot")))
		return;
	if (sl_str_copy(p->room, sizeof p->room, peer->room) >= sizeof p->room)
		abort();
	sl_post(p->w->loop, &p->come);
}

static void on_left(void *arg, const struct sl_signal_peer *peer, const char *reason)
{
	struct parrot *p = arg;

	(void)reason;
	if (!sl_str_eq(peer->name, SL_STR("parrot")))
		sl_post(p->w->loop, &p->go);
}

static const struct sl_signal_handler signal_handler = {.joined = on_joined, .left = on_left};

/* ---- life */

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	static const char *const types[] = {NULL};
	struct parrot *p = calloc(1, sizeof *p);
	const struct sl_signal_iface *signal;
	void *self;

	(void)conf;
	if (!p)
		return -SL_ENOMEM;
	p->w = w;
	p->come = (struct sl_post){.fn = come, .arg = p};
	p->publish = (struct sl_post){.fn = publish, .arg = p};
	p->go = (struct sl_post){.fn = go, .arg = p};
	p->rooms = sl_iface_get(w, SL_ROOM_IFACE, 1, &p->rooms_self);
	signal = sl_iface_get(w, SL_SIGNAL_IFACE, 1, &self);
	*ret_ctx = p;
	return signal->listen(self, types, SL_STR("{}"), &signal_handler, p);
}

static void worker_stop(void *ctx)
{
	struct parrot *p = ctx;

	sl_post_cancel(p->w->loop, &p->come);
	sl_post_cancel(p->w->loop, &p->publish);
	sl_post_cancel(p->w->loop, &p->go);
	p->rooms->leave(p->member);
	free(p);
}

static const char *const needs[] = {"signaling-ws", "sfu", NULL};

SL_MODULE(parrot, .name = "parrot", .version = "1.0", .summary = "says again what it hears",
	  .needs = needs, .metrics = metrics, .worker_start = worker_start, .worker_stop = worker_stop);
