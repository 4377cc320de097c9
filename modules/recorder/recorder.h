/*
 * recorder/recorder.h: what the halves of the recorder share.
 *
 *     recorder.c    the descriptor                 conf.c      directives that a table cannot check
 *     in workers:   tap.c       packets of recorded tracks to the writer: tap_tracks.c these,
 *                   tap_writers.c what writers say
 *                   spool.c     kept until they are in files
 *                   ended.c     tracks that have ended before that
 *                   control.c   what clients say and are told
 *                   api.c       what HTTP clients ask for
 *                   announce.c  what a room hears of it
 *                   mix.c       the room as the mixer mixes it: one more track
 *     the writer:   writer.c    its life and clock, messages from the workers
 *                   intake.c    packets to frames, at their times
 *                   saved.c     what of them is in files, told to workers and successors
 *                   room.c      rooms, their tracks, their recording
 *                   recording.c one recording: its directory, journal and life
 *                   recording_begin.c, recording_frames.c, recording_manifest.c: its
 *                   directory, its frames, what it says of itself
 *                   series.c    series of files: of a track, of a room
 *                   segment.c   one file of them
 *                   member.c    what is known of a stream in them
 *                   finished.c  their way to a name and a line
 *                   hls.c       for watching while it is recorded, hls_playlist.c as players know it
 *                   recover.c   what a crash has left
 *                   limits.c    space, quota, retention
 *                   ask.c       what HTTP clients want done
 *                   upload.c    to S3, in threads: delivery.c a recording, delivery_file.c a file
 *     pure:         simulcast.c timeline.c reorder.c depacket*.c parameters.c codec_name.c container.c
 *                   ebml.c empty.c pcapng.c manifest.c
 *                   envelope.c sigv4.c s3_reply.c
 *     commands:     tool.c library.c export.c
 *     libraries:    mux.c (libavformat)   disk.c, work.c (threads)   shelf.c, shelf_list.c (read, in one)
 *                   fetch.c (libcurl)  s3.c  digest.c (libcrypto)
 *
 * The halves talk by the channel "recorder". A worker tells of every track in rooms that could be
 * recorded; the writer says which rooms are; then packets flow, in batches, and never wait: what
 * finds no room is lost, counted, and a gap in the recording.
 */
#ifndef RECORDER_RECORDER_H
#define RECORDER_RECORDER_H

#include <sluice/buf.h>
#include <sluice/bus.h>
#include <sluice/module.h>
#include <sluice/regex.h>
#include <sluice/track.h>

enum record_when { RECORD_ON_DEMAND, RECORD_ALWAYS };
enum record_control { CONTROL_GRANT, CONTROL_EVERYONE };
enum record_mix { MIX_OFF, MIX_OPUS, MIX_WAV };

enum s3_style { S3_PATH, S3_HOST };
enum upload_verify { VERIFY_CHECKSUM, VERIFY_READ };
struct upload_conf {
	struct sl_str url; /* empty: nothing is uploaded */
	struct sl_str bucket, region, key_id, secret, session_token, prefix, storage_class, ca;
	int32_t style, verify;
	uint64_t part /* bytes */, timeout /* ms */;
	int64_t parallel;
	bool delete_local;
};

struct recorder_conf {
	struct sl_str dir;
	int32_t when, control, container, audio_container, mix, sync;
	struct sl_list rooms; /* struct sl_regex *; none: all */
	bool tracks, room, packets, hls, announce;
	struct sl_str announcement; /* file */
	uint64_t segment, hls_segment, wait, linger, max_duration, retention; /* ms */
	uint64_t memory, min_free, quota;			 /* bytes */
	struct sl_str recipient;				 /* file */
	struct sl_str api;					 /* path of URLs */
	struct upload_conf upload;
};
extern const struct sl_directive recorder_directives[];
int recorder_check(struct sl_conf *c, void *conf);
bool recorder_wants_room(const struct recorder_conf *conf, struct sl_str room);

/* X(name, kind, help) */
#define RECORDER_METERS(X)                                                                         \
	X(packets, COUNTER, "packets handed to the writer")                                        \
	X(dropped, COUNTER, "packets that found no room on the way to the writer")                 \
	X(received, COUNTER, "packets that the writer got")                                        \
	X(lost, COUNTER, "packets that never came, after waiting for retransmission")              \
	X(malformed, COUNTER, "packets that are not what their codec says")                        \
	X(frames, COUNTER, "frames written")                                                       \
	X(frames_dropped, COUNTER, "frames dropped: the disk is too slow, or a file failed")       \
	X(gaps, COUNTER, "gaps in recordings")                                                     \
	X(key_frames, COUNTER, "key frames asked for")                                             \
	X(segments, COUNTER, "segments finished")                                                  \
	X(bytes, COUNTER, "bytes of finished segments", .unit = "bytes")                           \
	X(disk_errors, COUNTER, "files that could not be written as a whole")                      \
	X(recordings, GAUGE, "recordings that run")                                                \
	X(started, COUNTER, "recordings started")                                                  \
	X(recovered, COUNTER, "recordings that a crash had left open")                             \
	X(refused, COUNTER, "recordings or requests refused")                                      \
	X(api_refused, COUNTER, "HTTP requests refused")                                           \
	X(uploads, COUNTER, "files uploaded, and verified")                                        \
	X(upload_bytes, COUNTER, "their bytes", .unit = "bytes")                                   \
	X(upload_errors, COUNTER, "attempts to upload that failed")                                \
	X(upload_mismatches, COUNTER, "files of which the server had something else")              \
	X(upload_waiting, GAUGE, "recordings with something to upload")                            \
	X(queued, GAUGE, "bytes waiting for the disk", .unit = "bytes")

enum recorder_meter {
#define X(name, kind, help, ...) M_##name,
	RECORDER_METERS(X)
#undef X
		N_RECORDER_METERS
};
extern const struct sl_metric recorder_metrics[];

/* ---- messages of the channel; strings are lstr, integers big-endian. The number in its name goes up
 * with their layouts: in an upgrade, a process of another version is not heard rather than misread. */
#define RECORDER_CHANNEL "recorder-2"
enum record_message {
	/* to the writer */
	MSG_TRACK = 1, /* u64 id, u64 peer, u8 kind, u8 codec, u8 muted, u32 hz, room, peer name, name,
			  source, params, id of the recording that was in the room or "",
			  u8 mixed out of others, u8 it has ended already */
	MSG_GONE,      /* u64 id */
	MSG_CLOCK,     /* u64 id, u8 encoding, u64 ntp, u32 ts */
	MSG_MEDIA,     /* u64 number of the batch, u32 dropped before, then packets: u64 id,
			  u64 arrival ns, u64 seq, u8 encoding or PACKET_..., u8 codec, lstr */
	MSG_CONTROL,   /* u64 peer, verb, room, peer name */
	MSG_HELLO,     /* a worker wants to know the rooms that are recorded */
	MSG_ASK,       /* u64 number, u8 enum record_verb, room, id of a recording, its directory */
	/* to the workers */
	MSG_STATE = 64, /* u8 enum record_state, room, id of the recording, reason */
	MSG_KEY,	/* u64 id, u8 encoding */
	MSG_REFUSED,	/* u64 peer, sentence */
	MSG_ANSWER,	/* u64 number, u16 status of HTTP, JSON */
	MSG_SAVED,	/* u64 batch up to which it has them, u64 batch, u64 ns: of batches up to
			   this, what came until then is in files */
};
enum record_verb { VERB_START, VERB_PAUSE, VERB_RESUME, VERB_STOP, VERB_REMOVE };
enum record_state { STATE_OFF, STATE_ON, STATE_PAUSED };
enum {
	PACKET_HEAD = 8 + 8 + 8 + 1 + 1 + 2, /* id, arrival ns, seq, encoding, codec, length */
	PACKET_GONE = 255,		     /* instead of an encoding: the track has ended */
	PACKET_PAUSE = 254, /* its sender says that nothing comes, for now; older writers skip it */
};

/* Frees b. false: it could not be sent; state is told again by the clock, and the rest is told by who
 * asked. owner 0: all workers */
static inline bool record_post(struct sl_channel *c, uint32_t owner, enum record_message type,
			       struct sl_buf *b)
{
	const struct iovec iov = {b->p, b->len};
	bool ok = sl_buf_ok(b) == 0;

	if (ok && owner)
		ok = sl_channel_send(c, owner, (uint16_t)type, &iov, 1) == 0;
	else if (ok)
		ok = sl_channel_broadcast(c, (uint16_t)type, &iov, 1) > 0;
	sl_buf_free(b);
	return ok;
}

/* ---- tap.c: the half in the workers */
struct tap;
int tap_start(struct sl_worker *w, void *conf, void **ret_ctx);
void tap_drain(void *ctx);
void tap_stop(void *ctx);
extern const struct sl_hook tap_hooks[];

/* ---- control.c */
struct control;
/* Without signalling on this node there is none: *ret_control is NULL, and 0 returned. */
int control_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
		 struct control **ret_control);
void control_close(struct control *c); /* accepts NULL */
void control_tell(struct control *c, struct sl_str room, enum record_state state,
		  struct sl_str reason);
void control_refused(struct control *c, uint64_t peer, struct sl_str sentence);
/* tap.c, for control.c */
enum record_state tap_state(const struct tap *t, struct sl_str room);
/* tap.c, for api.c: the writer of a room, new or not, and of a recording; 0: none */
uint32_t tap_writer(const struct tap *t, struct sl_str room);
uint32_t tap_writer_of(const struct tap *t, struct sl_str id);
/* As record_post */
bool tap_post(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b);
int tap_ask(struct tap *t, uint64_t peer, struct sl_str verb, struct sl_str room,
	    struct sl_str name);

/* ---- writer.c: the half in a process of its own */
int writer_start(struct sl_worker *w, void *conf, void **ret_ctx);
void writer_drain(void *ctx);
void writer_stop(void *ctx);

/* ---- tool.c */
extern const struct sl_tool recorder_tools[];

#endif
