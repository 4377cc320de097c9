/*
 * recorder/ended.h: tracks that have ended while packets of theirs are still kept for the writer.
 * What was told of a track is told again to a writer's successor, which would else not know whose
 * the packets are, and drop them. In workers; tap.c says when.
 */
#ifndef RECORDER_ENDED_H
#define RECORDER_ENDED_H

#include "spool.h"

struct ended {
	struct ended *next;
	struct spool *spool; /* where its packets are; borrowed */
	uint64_t id, ended_ns;
	uint64_t number; /* of the batch with its last word; 0: there was no room for it yet */
	uint32_t told;	 /* the writer that knows it; 0: none that lives */
	struct sl_buf track, clocks[SL_RTC_MAX_ENCODINGS]; /* MSG_TRACK, MSG_CLOCK */
	size_t room_len;
	char room[];
};

/* Takes the buffers, and says the track's last word to the spool. Out of memory: it is forgotten */
void ended_add(struct ended **list, struct spool *spool, const struct sl_track *k, uint32_t told,
	       uint64_t now_ns, struct sl_buf *track, struct sl_buf clocks[SL_RTC_MAX_ENCODINGS]);
struct sl_str ended_room(const struct ended *e);
/* Says the track to the writer, with its clocks. */
void ended_tell(struct ended *e, struct sl_channel *channel, uint32_t owner);
/* Last words that found no room are said; tracks whose packets are all in files are forgotten. */
void ended_tidy(struct ended **list);
/* Forgets those of the room (empty: of all), or of the spool (NULL: of all). */
void ended_forget(struct ended **list, struct sl_str room, const struct spool *spool);

#endif
