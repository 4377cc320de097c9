/*
 * recorder/ended.c: see ended.h.
 */
#include "ended.h"

#include <stdlib.h>

struct sl_str ended_room(const struct ended *e)
{
	return (struct sl_str){e->room, e->room_len};
}

static void say_last_word(struct ended *e)
{
	if (spool_gone(e->spool, e->id, e->ended_ns))
		e->number = spool_newest(e->spool);
}

static void free_one(struct ended *e)
{
	sl_buf_free(&e->track);
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		sl_buf_free(&e->clocks[i]);
	free(e);
}

void ended_add(struct ended **list, struct spool *spool, const struct sl_track *k, uint32_t told,
	       uint64_t now_ns, struct sl_buf *track, struct sl_buf clocks[SL_RTC_MAX_ENCODINGS])
{
	struct ended *e = calloc(1, sizeof *e + k->room.len + 1);

	if (!e) {
		(void)spool_gone(spool, k->id, now_ns); /* else it ends with its worker */
		sl_buf_free(track);
		for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
			sl_buf_free(&clocks[i]);
		return;
	}
	*e = (struct ended){.spool = spool,
			    .id = k->id,
			    .ended_ns = now_ns,
			    .told = told,
			    .track = *track,
			    .room_len = k->room.len};
	memcpy(e->clocks, clocks, sizeof e->clocks);
	if (k->room.len > 0)
		memcpy(e->room, k->room.p, k->room.len);
	e->next = *list;
	*list = e;
	say_last_word(e);
}

static void say(struct sl_channel *channel, uint32_t owner, enum record_message type,
		const struct sl_buf *text)
{
	struct sl_buf b;

	if (text->len == 0)
		return;
	sl_buf_init(&b, 0);
	sl_buf_str(&b, sl_buf_view(text));
	if (!record_post(channel, owner, type, &b))
		sl_log(SL_LOG_WARN, "recorder", "a message to the writer found no room");
}

void ended_tell(struct ended *e, struct sl_channel *channel, uint32_t owner)
{
	e->told = owner;
	say(channel, owner, MSG_TRACK, &e->track);
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		say(channel, owner, MSG_CLOCK, &e->clocks[i]);
}

void ended_tidy(struct ended **list)
{
	for (struct ended **link = list, *e; (e = *link);) {
		if (!e->number)
			say_last_word(e);
		if (!e->number || spool_keeps(e->spool, e->number)) {
			link = &e->next;
			continue;
		}
		*link = e->next;
		free_one(e);
	}
}

void ended_forget(struct ended **list, struct sl_str room, const struct spool *spool)
{
	for (struct ended **link = list, *e; (e = *link);) {
		if ((room.len > 0 && !sl_str_eq(ended_room(e), room)) ||
		    (spool && e->spool != spool)) {
			link = &e->next;
			continue;
		}
		*link = e->next;
		free_one(e);
	}
}
