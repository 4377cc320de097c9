/*
 * recorder/tap.c: the half in the workers: tells the writer of tracks, and copies the packets of
 * those in recorded rooms for it.
 *
 * A packet costs a look-up and a copy. A batch leaves when it is full or 50 ms old, since to wake
 * the writer, which then takes the CPU and its caches, costs more than a packet does; spool.c keeps
 * it until it is in files. Of simulcast one encoding goes to the writer: the one with the highest
 * rate, and to another only at a key frame of that.
 *
 * Which rooms are recorded, and by which process, the writer says. When one dies its rooms stay
 * recorded, and their packets wait: its successor is told of all tracks, and of the recordings that
 * were.
 */
#include "tap_impl.h"

#include <sluice/bus.h>
#include <sluice/record.h>
#include <stdlib.h>

/* At most; and a quarter of what the writer waits for repeats */
enum { FLUSH_MS = 50 };

/* ---- rooms */

struct tap_room *tap_room_find(const struct tap *t, struct sl_str name)
{
	struct tap_room *r = t->rooms;

	while (r && !sl_str_eq((struct sl_str){r->name, r->name_len}, name))
		r = r->next;
	return r;
}

void tap_room_remove(struct tap *t, struct tap_room *room)
{
	struct tap_room **link = &t->rooms;

	while (*link != room)
		link = &(*link)->next;
	*link = room->next;
	free(room);
}

enum record_state tap_state(const struct tap *t, struct sl_str room)
{
	const struct tap_room *r = tap_room_find(t, room);

	return r ? r->state : STATE_OFF;
}

uint32_t tap_writer(const struct tap *t, struct sl_str room)
{
	const struct tap_room *r = tap_room_find(t, room);

	return r && r->owner ? r->owner : sl_aux_owner(t->w, "recorder");
}

uint32_t tap_writer_of(const struct tap *t, struct sl_str id)
{
	const struct tap_room *r = t->rooms;

	while (r && !sl_str_eq(sl_str_c(r->id), id))
		r = r->next;
	return r ? r->owner : 0;
}

bool tap_post(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b)
{
	return record_post(t->channel, owner, type, b);
}

void tap_send(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b)
{
	if (!record_post(t->channel, owner, type, b))
		sl_log(SL_LOG_WARN, "recorder", "a message to the writer found no room");
}

/* ---- packets */

static void flush_all(struct tap *t)
{
	for (unsigned i = 0; i < MAX_SPOOLS; i++)
		if (t->spools[i])
			spool_flush(t->spools[i]);
}

static void on_flush(struct sl_timer *timer)
{
	flush_all(timer->arg);
}

static void on_announce(struct sl_timer *timer)
{
	tap_announce_tracks(timer->arg);
}

int tap_ask(struct tap *t, uint64_t peer, struct sl_str verb, struct sl_str room,
	    struct sl_str name)
{
	uint32_t owner = tap_writer(t, room);
	struct sl_buf b;

	if (!owner)
		return -SL_EAGAIN;
	sl_buf_init(&b, 0);
	sl_buf_u64(&b, peer);
	sl_buf_lstr(&b, verb);
	sl_buf_lstr(&b, room);
	sl_buf_lstr(&b, name);
	tap_send(t, owner, MSG_CONTROL, &b);
	return 0;
}

/* ---- for other modules of the worker */

static enum sl_record_state state_of(void *self, struct sl_str room)
{
	static const enum sl_record_state states[] = {[STATE_OFF] = SL_RECORD_OFF,
						      [STATE_ON] = SL_RECORD_ON,
						      [STATE_PAUSED] = SL_RECORD_PAUSED};

	return states[tap_state(self, room)];
}

static int tell(void *self, struct sl_str room, enum sl_record_verb verb, struct sl_str by)
{
	static const struct sl_str verbs[] = {[SL_RECORD_START] = SL_STR_INIT("record-start"),
					      [SL_RECORD_STOP] = SL_STR_INIT("record-stop"),
					      [SL_RECORD_PAUSE] = SL_STR_INIT("record-pause"),
					      [SL_RECORD_RESUME] = SL_STR_INIT("record-resume")};
	struct tap *t = self;

	if ((unsigned)verb >= SL_ARRAY_LEN(verbs) || !recorder_wants_room(t->conf, room))
		return -SL_EDENIED;
	return tap_ask(t, 0, verbs[verb], room, by); /* peer 0: nobody is told of a refusal */
}

static const struct sl_record_iface record_iface = {
	.size = sizeof record_iface, .state = state_of, .tell = tell};

/* ---- life */

const struct sl_hook tap_hooks[] = {
	SL_ON_TRACK(SL_TRACK_NEW, SL_NORMAL, tap_on_new),
	SL_ON_TRACK(SL_TRACK_CHANGE, SL_NORMAL, tap_on_change),
	SL_ON_TRACK(SL_TRACK_CLOCK, SL_NORMAL, tap_on_clock),
	SL_ON_TRACK(SL_TRACK_CLOSE, SL_NORMAL, tap_on_close),
	SL_ON_MEDIA(SL_RTP_TAP, SL_NORMAL, tap_on_media),
	SL_ON_EVENT(SL_NORMAL, tap_on_event),
	SL_HOOKS_END,
};

void tap_stop(void *ctx)
{
	struct tap *t = ctx;

	api_close(t->api);
	announce_close(t->announcer);
	mix_close(t->mixes);
	control_close(t->control);
	sl_timer_cancel(t->w->loop, &t->announce);
	sl_timer_cancel(t->w->loop, &t->flush);
	sl_channel_close(t->channel);
	for (struct sl_hnode *n; (n = sl_htab_first(&t->tracks));)
		tap_track_drop(t, SL_CONTAINER(n, struct tap_track, node));
	sl_htab_free(&t->tracks);
	while (t->rooms)
		tap_room_remove(t, t->rooms);
	ended_forget(&t->ended, SL_STR_NULL, NULL);
	for (unsigned i = 0; i < MAX_SPOOLS; i++)
		spool_free(t->spools[i]);
	free(t);
}

void tap_drain(void *ctx)
{
	struct tap *t = ctx;

	mix_drain(t->mixes); /* who is here stays recorded until it goes */
}

static int open_all(struct tap *t)
{
	uint32_t owner = sl_aux_owner(t->w, "recorder");
	struct sl_buf nothing;
	int rc = sl_channel_open(t->w, RECORDER_CHANNEL, tap_on_message, t, &t->channel);

	sl_buf_init(&nothing, 0);
	if (rc == 0)
		rc = control_open(t->w, t->conf, t, &t->control);
	if (rc == 0)
		rc = api_open(t->w, t->conf, t, &t->api);
	if (rc == 0)
		rc = announce_open(t->w, t->conf, &t->announcer);
	if (rc == 0)
		rc = mix_open(t->w, t->conf, t, &t->mixes);
	if (rc == 0)
		rc = sl_iface_provide(t->w, SL_RECORD_IFACE, 1, &record_iface, t);
	if (rc == 0 && owner)
		(void)record_post(t->channel, owner, MSG_HELLO, &nothing);
	return rc;
}

int tap_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct tap *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return -SL_ENOMEM;
	t->w = w;
	t->conf = conf;
	t->m = sl_worker_meters(w, "recorder");
	t->flush_ms = t->conf->wait / 4 < FLUSH_MS ? (uint32_t)(t->conf->wait / 4) : FLUSH_MS;
	t->flush = (struct sl_timer){.fn = on_flush, .arg = t};
	t->announce = (struct sl_timer){.fn = on_announce, .arg = t};
	rc = open_all(t);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "recorder", "cannot start: %s", sl_strerror(rc));
		tap_stop(t);
		return rc;
	}
	*ret_ctx = t;
	return 0;
}
