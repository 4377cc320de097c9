/*
 * recorder/writer.h: what the files of the writer's process share.
 */
#ifndef RECORDER_WRITER_H
#define RECORDER_WRITER_H

#include "depacket.h"
#include "disk.h"
#include "keyask.h"
#include "manifest.h"
#include "mux.h"
#include "recorder.h"
#include "reorder.h"
#include "timeline.h"
#include "upload.h"
#include "work.h"

enum {
	TICK_MS = 250, /* flushes: what a crash can cost, with the wait for what is missing */
	HOLD_MS = 400, /* a room's file: so long later than its frames, to have them in order */
	MAX_PATH_LEN = 1024,
	MAX_LABEL = 96,
	ID_LEN = 40,
};

/* The newest packet of a track that is in a file, and its time. Numbers compare within one stream; a
 * sender that begins another counts from anywhere. */
struct saved {
	bool known;
	uint8_t encoding;
	uint32_t ssrc, ts;
	uint64_t seq, arrival_ns;
	int64_t at_ns;
	uint64_t n_frames; /* up to it */
};
struct track_saved {
	struct saved own, raw, room;
	struct saved heard; /* all packets up to it came, or are counted as lost */
};

/* Whose time the track goes on from */
static inline const struct saved *track_saved_last(const struct track_saved *s)
{
	return s->own.known ? &s->own : &s->room;
}

struct writer {
	struct sl_worker *w;
	const struct recorder_conf *conf;
	const struct sl_meter *m;
	struct sl_channel *channel;
	struct disk *disk;
	struct work *work;
	struct upload *upload; /* NULL: nothing is uploaded */
	struct sl_webhooks *webhooks;
	struct envelope_key *recipient;
	struct sl_htab tracks;
	struct wroom *rooms;
	struct orphan *orphans; /* recovered recordings that a room may take up again */
	struct sl_timer tick;
	uint64_t limits_at_ms, recovered_at_ms;
	bool draining, looks;	/* looks: a thread looks for space */
	const char *refuses;	/* why no new recordings are begun; NULL: they are */
	int disk_error;		/* of the last recording that failed, until the disk takes files again */
	uint64_t used_bytes;
	/* saved.c: what workers need not keep any more */
	struct worker_said *said;
	uint64_t saved_ns, mark_ns;
	bool mark_reached; /* by the disk's thread */
};

struct wroom {
	struct wroom *next;
	struct writer *writer;
	struct wtrack *tracks;
	struct wpeer *peers;
	struct recording *recording; /* NULL: none */
	uint64_t empty_since_ms; /* nobody's track is there; a mix is nobody's */
	bool wanted; /* it would be recorded, if the disk took it */
	size_t name_len;
	char name[];
};

struct wpeer { /* whose tracks share a clock */
	struct wpeer *next;
	uint64_t id;
	unsigned n_tracks;
	struct peer_clock clock;
	char name[130];
};

struct wtrack {
	struct sl_hnode node;
	struct wtrack *next; /* in room */
	struct wroom *room;
	struct wpeer *peer;
	uint64_t id;
	uint32_t owner; /* the worker that has it */
	uint8_t kind, codec, encoding;
	bool muted, mixed; /* mixed: out of the others, which is nobody's being there */
	uint32_t hz;
	char name[130], source[24], params[600];
	/* What comes: */
	uint32_t ssrc, past_ssrc; /* past: that of the stream before, until changed_ns and a while */
	uint64_t changed_ns;
	struct reorder order;
	struct depacket frames;
	struct timeline line[SL_RTC_MAX_ENCODINGS];
	uint64_t lost_now;    /* numbers missing before the next frame */
	struct keyask ask;    /* for key frames */
	uint64_t came_ms;     /* the newest packet with a payload */
	uint64_t written_ms;  /* the newest frame in a file; packets without one are a standstill */
	bool stands_still;    /* which has been told */
	bool has_stream;      /* a packet has come: encoding and ssrc are its */
	/* In the recording: */
	bool joined;
	int64_t first_ns, last_ns, last_end_ns; /* since its beginning; first < 0: no frame yet */
	int64_t interval_ns;  /* between the last two frames */
	uint8_t last_encoding; /* of the last one */
	uint64_t n_packets, n_frames, n_lost, n_gaps;
	struct track_saved before; /* by the writer that was killed */
	bool resumed;		   /* and nothing has come since */
	struct series *own, *raw; /* files of its own; NULL: none */
	struct hls *hls;
	char label[MAX_LABEL];
};

enum recording_state { REC_ON, REC_PAUSED, REC_ENDING };
struct recording {
	struct writer *writer;
	struct wroom *room; /* NULL: it has ended, and waits for its files */
	char id[ID_LEN], dir[MAX_PATH_LEN];
	struct sl_str room_name; /* owned */
	enum recording_state state;
	char end_state[16], reason[64];
	uint64_t t0_ns, unix_ms; /* its time 0: monotonic, and of day */
	uint64_t end_ns;
	unsigned n_segments, n_pending, n_labels; /* pending: files at the disk */
	uint64_t bytes, last_media_ms;
	struct journal journal;
	struct disk_file *lines; /* of it; NULL: none has been written */
	struct sl_buf past_tracks, past_people; /* JSON of those that have ended, with commas */
	struct series *room_series;
	struct held *held; /* frames for it, by time */
	struct hls *hls;   /* of all its tracks, those that have ended too */
	bool manifest_due, failed;
	struct finished *finished; /* files that are with the disk */
	struct disk_file *progress;
	uint64_t n_progress;
	struct json_t *before; /* progress of tracks that are not here: a predecessor's; NULL: none */
	int lock_fd; /* of ".open", locked: another process leaves it alone */
};

/* ---- writer.c */
/* record-start, -pause, -resume, -stop; NULL, or why not */
const char *writer_obey(struct writer *w, struct sl_str verb, struct sl_str room, struct sl_str by);

/* ---- ask.c: MSG_ASK */
void ask_take(struct writer *w, uint32_t from, struct sl_reader *r);

/* ---- room.c */
struct wroom *room_find(struct writer *w, struct sl_str name);
struct wroom *room_get(struct writer *w, struct sl_str name); /* NULL: out of memory */
void room_release(struct wroom *r);			      /* frees it when nothing is in it */
struct wtrack *wtrack_find(struct writer *w, uint64_t id);
/* MSG_TRACK */
void room_take_track(struct writer *w, uint32_t from, struct sl_reader *r);
void wtrack_end(struct wtrack *t);
/* Begins, or takes up again, what should be recorded of the room; a sentence when not. */
const char *room_record(struct wroom *r, struct sl_str previous_id, struct sl_str by);
void room_tell(const struct wroom *r, uint32_t owner /* 0: all */, const char *reason);
void rooms_tick(struct writer *w);
/* There is room again: what `when` wants and the disk did not take */
void rooms_resume(struct writer *w);
void rooms_free(struct writer *w);
void room_ended(struct wroom *r, const char *reason);

/* ---- intake.c */
void intake_media(struct writer *w, uint32_t from, struct sl_reader *r);
void intake_clock(struct writer *w, struct sl_reader *r);
int intake_open(struct wtrack *t);
void intake_close(struct wtrack *t);
/* What has waited long enough goes on. */
void intake_tick(struct wtrack *t, uint64_t now_ns);
void intake_drain(struct wtrack *t);
/* The same, and what comes next is the first again. */
void intake_pause(struct wtrack *t);
void intake_ask_key(struct wtrack *t);
/* Tells of pictures of which packets come and nothing gets into a file. */
void intake_watch(struct wtrack *t);

/* ---- recording.c */
int recording_start(struct wroom *room, struct recording **ret_rec);
void recording_join(struct recording *rec, struct wtrack *t);
void recording_leave(struct recording *rec, struct wtrack *t);
/* Its sender has said that nothing comes, for now. */
void recording_track_paused(struct recording *rec, struct wtrack *t);
void recording_pause(struct recording *rec, bool paused);
void recording_mute(struct recording *rec, const struct wtrack *t);
/* Makes and locks DIR/.open. -SL_EAGAIN: a living process has it; -SL_ESYS with errno */
int recording_lock(const char *dir, int *ret_fd);
/* at_ns: of the monotonic clock */
void recording_frame(struct recording *rec, struct wtrack *t, const struct frame *f, int64_t at_ns);
void recording_packet(struct recording *rec, struct wtrack *t, const struct rpacket *p);
void recording_standstill(struct recording *rec, const struct wtrack *t, const char *reason);
void recording_gap(struct recording *rec, struct wtrack *t, int64_t to_ns, uint64_t lost);
/* No more; the room has let go of it. It is freed when its last file is. */
void recording_end(struct recording *rec, const char *end_state, const char *reason);
void recording_tick(struct recording *rec);
/* Its directory was removed, or moved, from outside. */
void recording_vanished(struct recording *rec);
/* A file of it is not whole: said, counted, and it ends as recording_stop has it. */
void recording_fail(struct recording *rec, const char *file, int error);
void recording_stop(struct recording *rec, int error);
void recording_note(struct recording *rec, struct sl_buf *members); /* a line; frees members */
void recording_write_manifest(struct recording *rec);
int64_t recording_now(const struct recording *rec);
/* "started", "segment", "finished", "failed", "interrupted": to those who listen */
void recording_publish(const struct recording *rec, const char *what, struct sl_str members);

/* ---- notify.c */
struct notice {
	const char *what;
	struct sl_str id, room, dir, members; /* members: of the JSON object, without the first comma */
};
SL_MUST_CHECK int notify_open(struct writer *w);
void notify(struct writer *w, const struct notice *n);
/* Something of the recording can be uploaded, once the disk has all that it was given. */
void notify_upload(struct writer *w, const char *dir);
void notify_tick(struct writer *w);
void notify_free(struct writer *w);

/* ---- series.c */
struct series;
struct series *series_new(struct recording *rec, const char *label, enum container_id container);
/* A frame that series_frame will be given once those before it have come */
void series_expect(struct series *s, struct wtrack *t, const struct frame *f);
void series_frame(struct series *s, struct wtrack *t, const struct frame *f, int64_t at_ns);
void series_packet(struct series *s, const struct wtrack *t, const struct rpacket *p,
		   int64_t at_ns);
void series_flush(struct series *s, int64_t now_ns);
void series_cut(struct series *s);  /* the open file ends */
/* No frames of the track come any more. It stays known, and how far its files are, until it is
 * forgotten. */
void series_leave(struct series *s, const struct wtrack *t);
void series_forget(struct series *s, const struct wtrack *t);
void series_free(struct series *s); /* with it; accepts NULL */

/* Names and lengths of files that a crash would leave without theirs, as members of an object: the
 * open one (s may be NULL), and those that are with the disk */
void series_write_length(const struct series *s, struct sl_buf *b, const char **comma);
void series_write_finished(const struct recording *rec, struct sl_buf *b, const char **comma);
struct saved series_saved(const struct series *s, const struct wtrack *t);

/* ---- saved.c */
void saved_taken(struct writer *w, uint32_t from, uint64_t number);
void saved_sweep(struct writer *w, const uint32_t *owners, unsigned n);
/* When all has been flushed */
void saved_tick(struct writer *w);
void saved_free(struct writer *w);
/* How far the files are: for a successor */
void saved_write(struct recording *rec);
void saved_end(struct recording *rec);
void saved_read(struct recording *rec);
/* How much of an open file counts; UINT64_MAX: all, since nothing is known */
uint64_t saved_file_bytes(const struct recording *rec, const char *name);
void saved_resume(const struct recording *rec, struct wtrack *t);
/* A track leaves whose packets a worker may send again. */
void saved_leave(struct recording *rec, const struct wtrack *t);
bool saved_has(const struct saved *s, const struct wtrack *t, uint64_t seq, uint64_t arrival_ns);

/* ---- recover_files.c */
/* The whole text of a file, with a NUL behind it; the caller's. NULL: none, or too long */
char *repair_read(const char *path, size_t *ret_len);
/* Journal and files of a recording that a crash has left, with a line that says so. -SL_ENOMEM:
 * nothing has been touched */
SL_MUST_CHECK int repair_recording(struct recording *rec);

/* ---- recover.c */
void recover_all(struct writer *w);
/* The recovered recording with this id, or the newest of the room; NULL: none. The caller's. */
struct recording *recover_take(struct writer *w, struct sl_str room, struct sl_str id);
bool recover_has(const struct writer *w, struct sl_str room, struct sl_str id);
/* A track that was in the recording before the crash goes on as the same. */
void recover_track(struct recording *rec, struct wtrack *t);
void recover_tick(struct writer *w);
void recover_free(struct writer *w);

/* ---- limits.c */
/* Before recordings begin: is there any space? */
void limits_begin(struct writer *w);
void limits_tick(struct writer *w);

#endif
