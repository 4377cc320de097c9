/*
 * recorder/spool.h: a worker's packets on their way to one writer, kept until they are in files.
 *
 * Packets gather in numbered batches. The writer says which batches it has taken, so that never
 * more than WINDOW bytes are on the way and other modules' messages find room in the ring; and
 * which are saved, after which they are freed. When it dies, its successor is sent all that was not
 * saved. What would be more than max_bytes is dropped, and the next batch says how many packets
 * that were.
 */
#ifndef RECORDER_SPOOL_H
#define RECORDER_SPOOL_H

#include "recorder.h"

struct spool;
SL_MUST_CHECK int spool_open(struct sl_channel *channel, const struct sl_meter *m, size_t max_bytes,
			     struct spool **ret_spool);
void spool_free(struct spool *s); /* accepts NULL */
/* The writer; 0: it died, and all that is not saved waits for another */
uint32_t spool_owner(const struct spool *s);
void spool_orphan(struct spool *s);
void spool_adopt(struct spool *s, uint32_t owner);
bool spool_is_empty(const struct spool *s);
size_t spool_bytes(const struct spool *s);

void spool_packet(struct spool *s, const struct sl_media *m, uint64_t now_ns);
/* The track's last word, behind its packets. false: there is no room */
bool spool_gone(struct spool *s, uint64_t track_id, uint64_t now_ns);
/* Behind its packets so far: its sender has ended it, and may go on. false: there is no room */
bool spool_pause(struct spool *s, uint64_t track_id, uint64_t now_ns);
/* The number of the newest batch; and whether one up to it is still kept */
uint64_t spool_newest(const struct spool *s);
bool spool_keeps(const struct spool *s, uint64_t number);
/* What has gathered goes. */
void spool_flush(struct spool *s);
/* MSG_SAVED, read: batches up to taken are with the writer; of those up to saved the packets that
 * came until saved_ns are in files */
void spool_saved(struct spool *s, uint64_t taken, uint64_t saved, uint64_t saved_ns);

#endif
