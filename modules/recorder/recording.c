/*
 * recorder/recording.c: one recording of a room: its directory, who takes part, its journal, its
 * life. What its manifest says is recording_manifest.c, what becomes of frames recording_frames.c.
 *
 * The directory is DIR/<room>/<when>-<random>/. The journal grows by a line for everything that
 * happens, a segment's when the disk has it; the manifest says who and what was there, is small and
 * is written anew when that changes. ".open" is there until all is finished, for recovery; who
 * writes the recording holds a lock on it, so that the writer of a new generation leaves it alone.
 */
#include "hls.h"
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

int64_t recording_now(const struct recording *rec)
{
	return (int64_t)(sl_loop_ns(rec->writer->w->loop) - rec->t0_ns);
}

/* ---- journal, events */

void recording_note(struct recording *rec, struct sl_buf *members)
{
	struct sl_buf line;

	sl_buf_init(&line, 0);
	if (sl_buf_ok(members) == 0)
		journal_write(&rec->journal, sl_buf_view(members), &line);
	if (!rec->lines)
		rec->lines = disk_lines_begin(rec->writer->disk, rec->dir, JOURNAL_NAME);
	if (rec->lines && line.len > 0 && sl_buf_ok(&line) == 0)
		disk_append(rec->lines, sl_buf_view(&line));
	sl_buf_free(&line);
	sl_buf_free(members);
	rec->manifest_due = true;
}

void recording_begin_note(struct sl_buf *b, const char *type, int64_t at_ns)
{
	sl_buf_init(b, 0);
	sl_buf_printf(b, "\"type\":\"%s\",\"at_ms\":%lld", type, recording_ms(at_ns));
}

void recording_publish(const struct recording *rec, const char *what, struct sl_str members)
{
	const struct notice n = {.what = what,
				 .id = sl_str_c(rec->id),
				 .room = rec->room_name,
				 .dir = sl_str_c(rec->dir),
				 .members = members};

	notify(rec->writer, &n);
}

/* ---- who takes part */

/* Each participant once, also when it comes again with another track */
static void add_person(struct recording *rec, const struct wpeer *p)
{
	char id[24];
	struct sl_buf b;

	(void)snprintf(id, sizeof id, "%016llx", (unsigned long long)p->id);
	sl_buf_init(&b, 0);
	if (rec->past_people.len > 0 &&
	    memmem(rec->past_people.p, rec->past_people.len, id, 16) != NULL)
		return;
	sl_buf_printf(&rec->past_people,
		      "%s\n  {\"id\":\"%s\",\"name\":", rec->past_people.len > 0 ? "," : "", id);
	sl_buf_json(&rec->past_people, sl_str_c(p->name));
	sl_buf_printf(&rec->past_people, ",\"joined_ms\":%lld}", recording_ms(recording_now(rec)));
}

static void make_label(struct wtrack *t)
{
	char person[40], source[24];

	if (t->mixed) {
		(void)snprintf(t->label, sizeof t->label, "mix-%04x", (unsigned)(t->id & 0xffff));
		return;
	}
	safe_name(person, sizeof person, sl_str_c(t->peer->name));
	safe_name(source, sizeof source, sl_str_c(t->source[0] ? t->source : "track"));
	(void)snprintf(t->label, sizeof t->label, "%s-%s-%04x", person, source,
		       (unsigned)(t->id & 0xffff));
}

static enum container_id container_of(const struct recorder_conf *conf, const struct wtrack *t)
{
	static const enum container_id video[] = {CONTAINER_MATROSKA, CONTAINER_MP4};
	static const enum container_id audio[] = {CONTAINER_MATROSKA, CONTAINER_MP4, CONTAINER_OGG,
						  CONTAINER_WAV};

	if (t->mixed && conf->mix == MIX_WAV)
		return CONTAINER_WAV;
	return t->kind == SL_MEDIA_VIDEO ? video[conf->container] : audio[conf->audio_container];
}

/* Times go on from what is in files, whatever the manifest had heard of before the crash. */
static void resume(const struct recording *rec, struct wtrack *t)
{
	const struct saved *last;

	saved_resume(rec, t);
	last = track_saved_last(&t->before);
	t->resumed = last->known && last->encoding < SL_RTC_MAX_ENCODINGS;
	if (!t->resumed)
		return;
	t->n_frames = last->n_frames; /* what no file has comes again */
	timeline_resume(&t->line[last->encoding], last->ts, last->at_ns + (int64_t)rec->t0_ns);
	t->last_ns = t->last_end_ns = last->at_ns;
	if (t->first_ns < 0)
		t->first_ns = t->last_ns;
}

void recording_join(struct recording *rec, struct wtrack *t)
{
	const struct recorder_conf *conf = rec->writer->conf;
	char raw[MAX_LABEL];
	struct sl_buf b;

	if (t->joined)
		return;
	t->joined = true;
	t->first_ns = -1;
	t->last_ns = t->last_end_ns = 0;
	recover_track(rec, t);
	resume(rec, t);
	make_label(t);
	if (!t->mixed)
		add_person(rec, t->peer);
	if (conf->tracks || t->mixed)
		t->own = series_new(rec, t->label, container_of(conf, t));
	(void)snprintf(raw, sizeof raw, "%.80s-packets", t->label);
	if (conf->packets && !t->mixed)
		t->raw = series_new(rec, raw, CONTAINER_PCAPNG);
	if (conf->hls)
		t->hls = hls_new(rec, t);
	recording_begin_note(&b, "track", recording_now(rec));
	sl_buf_str(&b, SL_STR(",\"track\":"));
	recording_describe_track(t, &b);
	recording_note(rec, &b);
	if (t->muted)
		recording_mute(rec, t);
}

/* Cutting one tells a successor how far all of them are: none of them may be gone while another is
 * cut. */
static void drop_series(struct series **s)
{
	struct series *gone = *s;

	if (gone)
		series_cut(gone);
	*s = NULL;
	series_free(gone);
}

/* All files with something of the track end, so that what is said of it is said of them; but for
 * the room's, as long as pictures of others need it. */
static void cut_of(struct recording *rec, struct wtrack *t)
{
	if (rec->room_series)
		series_leave(rec->room_series, t);
	if (t->own)
		series_cut(t->own);
	if (t->raw)
		series_cut(t->raw);
}

/* Its own files are whole now, and watchers have the last of it; in the room's the others go on. */
void recording_track_paused(struct recording *rec, struct wtrack *t)
{
	struct sl_buf b;

	if (!t->joined)
		return;
	recording_release(rec, INT64_MAX);
	if (t->own)
		series_cut(t->own);
	if (t->raw)
		series_cut(t->raw);
	if (t->hls)
		hls_cut(t->hls);
	recording_begin_note(&b, "track-pause", recording_now(rec));
	sl_buf_printf(&b, ",\"id\":\"%016llx\"", (unsigned long long)t->id);
	recording_note(rec, &b);
}

void recording_leave(struct recording *rec, struct wtrack *t)
{
	struct sl_buf b;

	if (!t->joined)
		return;
	recording_release(rec, INT64_MAX);
	cut_of(rec, t);
	saved_leave(rec, t);
	t->joined = false;
	if (rec->room_series)
		series_forget(rec->room_series, t);
	drop_series(&t->own);
	drop_series(&t->raw);
	if (t->hls)
		hls_end(t->hls);
	t->hls = NULL;
	sl_buf_str(&rec->past_tracks, rec->past_tracks.len > 0 ? SL_STR(",\n  ") : SL_STR("\n  "));
	recording_describe_track(t, &rec->past_tracks);
	recording_begin_note(&b, "track-end", recording_now(rec));
	sl_buf_printf(&b, ",\"id\":\"%016llx\"", (unsigned long long)t->id);
	recording_note(rec, &b);
}

void recording_mute(struct recording *rec, const struct wtrack *t)
{
	struct sl_buf b;

	recording_begin_note(&b, t->muted ? "mute" : "unmute", recording_now(rec));
	sl_buf_printf(&b, ",\"id\":\"%016llx\"", (unsigned long long)t->id);
	recording_note(rec, &b);
}

void recording_standstill(struct recording *rec, const struct wtrack *t, const char *reason)
{
	struct sl_buf b;

	recording_begin_note(&b, "standstill", recording_now(rec));
	sl_buf_printf(
		&b, ",\"id\":\"%016llx\",\"since_ms\":%lld,\"reason\":", (unsigned long long)t->id,
		recording_ms((int64_t)(t->written_ms * SL_NS_PER_MS) - (int64_t)rec->t0_ns));
	sl_buf_json(&b, sl_str_c(reason));
	recording_note(rec, &b);
	sl_log(SL_LOG_WARN, "recorder", "%s in recording %s: packets come, but no picture: %s",
	       t->label, rec->id, reason);
}

void recording_gap(struct recording *rec, struct wtrack *t, int64_t to_ns, uint64_t lost)
{
	int64_t to = to_ns - (int64_t)rec->t0_ns;
	struct sl_buf b;

	if (t->first_ns < 0) /* before its beginning nothing was missed */
		return;
	if (to < t->last_end_ns) /* its clock ran back: what follows is behind what was */
		to = t->last_end_ns;
	t->n_gaps++;
	sl_count(&rec->writer->m[M_gaps]);
	recording_begin_note(&b, "gap", t->last_end_ns);
	sl_buf_printf(&b, ",\"id\":\"%016llx\",\"to_ms\":%lld,\"lost\":%llu",
		      (unsigned long long)t->id, recording_ms(to), (unsigned long long)lost);
	recording_note(rec, &b);
}

/* ---- life */

void recording_free(struct recording *rec)
{
	saved_end(rec);
	if (rec->lines)
		disk_lines_end(rec->lines);
	hls_free_all(rec);
	if (rec->lock_fd >= 0)
		close(rec->lock_fd);
	free((char *)(uintptr_t)rec->room_name.p);
	sl_buf_free(&rec->past_tracks);
	sl_buf_free(&rec->past_people);
	free(rec);
}

/* All open files end; what comes next begins others. */
static void cut_all(struct recording *rec)
{
	recording_release(rec, INT64_MAX);
	if (rec->room_series)
		series_cut(rec->room_series);
	for (struct wtrack *t = rec->room ? rec->room->tracks : NULL; t; t = t->next) {
		if (t->own)
			series_cut(t->own);
		if (t->raw)
			series_cut(t->raw);
		if (t->hls)
			hls_cut(t->hls);
	}
}

/* The journal has come back by itself; what was in finished files has not. All that is open gets
 * its name in the new directory now, for until then a crash would lose it. */
void recording_vanished(struct recording *rec)
{
	struct sl_buf b;

	if (rec->state == REC_ENDING || disk_is_at(rec->lock_fd, rec->dir, OPEN_NAME))
		return;
	sl_log(SL_LOG_ERROR, "recorder",
	       "%s was removed while it is recorded: it is made again, but what was in it is lost",
	       rec->dir);
	close(rec->lock_fd);
	rec->lock_fd = -1;
	if (recording_lock(rec->dir, &rec->lock_fd) < 0) {
		recording_stop(rec, errno);
		return;
	}
	recording_begin_note(&b, "vanished", recording_now(rec));
	recording_note(rec, &b);
	hls_vanished(rec);
	cut_all(rec);
}

void recording_pause(struct recording *rec, bool paused)
{
	struct sl_buf b;

	if ((rec->state == REC_PAUSED) == paused || rec->state == REC_ENDING)
		return;
	if (paused)
		for (struct wtrack *t = rec->room->tracks; t; t = t->next)
			intake_pause(t);
	cut_all(rec);
	rec->state = paused ? REC_PAUSED : REC_ON;
	recording_begin_note(&b, paused ? "pause" : "resume", recording_now(rec));
	recording_note(rec, &b);
	for (struct wtrack *t = rec->room->tracks; t; t = t->next)
		t->frames.wants_key = t->kind == SL_MEDIA_VIDEO;
	room_tell(rec->room, 0, paused ? "paused" : "resumed");
}

void recording_end(struct recording *rec, const char *end_state, const char *reason)
{
	struct wroom *room = rec->room;
	struct sl_buf b;

	rec->failed = rec->failed || strcmp(end_state, "failed") == 0;
	if (rec->state == REC_ENDING)
		return;
	for (struct wtrack *t = room ? room->tracks : NULL; t; t = t->next) {
		recording_leave(rec, t);
	}
	cut_all(rec);
	drop_series(&rec->room_series);
	rec->state = REC_ENDING;
	rec->end_ns = sl_loop_ns(rec->writer->w->loop);
	(void)sl_str_copy(rec->end_state, sizeof rec->end_state, sl_str_c(end_state));
	(void)sl_str_copy(rec->reason, sizeof rec->reason, sl_str_c(reason));
	rec->room = NULL;
	recording_begin_note(&b, "end", recording_now(rec));
	sl_buf_str(&b, SL_STR(",\"reason\":"));
	sl_buf_json(&b, sl_str_c(reason));
	recording_note(rec, &b);
	if (room)
		room_ended(room, reason);
	sl_log(SL_LOG_INFO, "recorder", "recording %s of room \"%.*s\" ends: %s", rec->id,
	       SL_FMT(rec->room_name), reason);
	if (rec->n_pending == 0)
		recording_tick(rec);
}

void recording_stop(struct recording *rec, int error)
{
	rec->writer->disk_error = error;
	if (rec->room)
		rec->room->wanted = rec->writer->conf->when == RECORD_ALWAYS;
	rec->failed = true; /* nothing more is begun */
	recording_end(rec, "failed", disk_sentence(error));
}

void recording_fail(struct recording *rec, const char *file, int error)
{
	sl_count(&rec->writer->m[M_disk_errors]);
	sl_log(SL_LOG_ERROR, "recorder", "%s/%s could not be written as a whole: %s", rec->dir,
	       file, disk_sentence(error));
	recording_stop(rec, error);
}

static void unlock(void *arg, const char *dir)
{
	(void)dir;
	close((int)(intptr_t)arg);
}

static void finish(struct recording *rec)
{
	struct writer *w = rec->writer;
	struct sl_buf b;

	recording_write_manifest(rec);
	disk_remove(w->disk, rec->dir, PROGRESS_NAME);
	if (strcmp(rec->end_state, "recording") != 0)
		disk_remove(w->disk, rec->dir, OPEN_NAME);
	/* While something of it waits for the disk nobody else takes it for a crash's. */
	disk_then(w->disk, unlock, (void *)(intptr_t)rec->lock_fd, rec->dir);
	rec->lock_fd = -1;
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "\"segments\":%u,\"bytes\":%llu,\"reason\":", rec->n_segments,
		      (unsigned long long)rec->bytes);
	sl_buf_json(&b, sl_str_c(rec->reason));
	recording_publish(rec, rec->end_state, sl_buf_view(&b));
	sl_buf_free(&b);
	notify_upload(rec->writer, rec->dir);
	recording_free(rec);
}

void recording_tick(struct recording *rec)
{
	int64_t now = recording_now(rec);

	if (rec->state == REC_ENDING) {
		if (rec->n_pending == 0)
			finish(rec);
		return;
	}
	recording_release(rec, now - HOLD_MS * (int64_t)SL_NS_PER_MS -
				       (int64_t)rec->writer->conf->wait * (int64_t)SL_NS_PER_MS);
	for (struct wtrack *t = rec->room->tracks; t; t = t->next) {
		if (t->own)
			series_flush(t->own, now);
		if (t->raw)
			series_flush(t->raw, now);
		if (t->hls)
			hls_tick(t->hls, now);
	}
	if (rec->room_series)
		series_flush(rec->room_series, now);
	saved_write(rec);
	if (rec->manifest_due)
		recording_write_manifest(rec);
}
