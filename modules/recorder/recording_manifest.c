/*
 * recorder/recording_manifest.c: what a recording's manifest says: who and what was there, and how
 * far its journal is. It is written by a rename, so that there is always one that is whole.
 */
#include "recording.h"

#include <errno.h>

void recording_describe_track(const struct wtrack *t, struct sl_buf *b)
{
	sl_buf_printf(b,
		      "{\"id\":\"%016llx\",\"participant\":\"%016llx\",\"kind\":\"%s\",\"source\":",
		      (unsigned long long)t->id, (unsigned long long)t->peer->id,
		      t->kind == SL_MEDIA_VIDEO ? "video" : "audio");
	sl_buf_json(b, sl_str_c(t->source));
	sl_buf_str(b, SL_STR(",\"name\":"));
	sl_buf_json(b, sl_str_c(t->name));
	sl_buf_printf(b, ",\"label\":\"%s\",\"codec\":\"%s\",\"clock_hz\":%u", t->label,
		      sl_codec_name(t->codec), t->hz);
	if (t->first_ns >= 0)
		sl_buf_printf(b, ",\"start_ms\":%lld,\"end_ms\":%lld", recording_ms(t->first_ns),
			      recording_ms(t->last_end_ns));
	sl_buf_printf(b, ",\"packets\":%llu,\"lost\":%llu,\"frames\":%llu,\"gaps\":%llu}",
		      (unsigned long long)t->n_packets, (unsigned long long)t->n_lost,
		      (unsigned long long)t->n_frames, (unsigned long long)t->n_gaps);
}

static void add_items(struct sl_buf *b, const struct sl_buf *past)
{
	sl_buf_str(b, sl_buf_view(past));
}

static void write_tracks(const struct recording *rec, struct sl_buf *b)
{
	const char *comma = rec->past_tracks.len > 0 ? "," : "";

	sl_buf_str(b, SL_STR("\"tracks\":["));
	add_items(b, &rec->past_tracks);
	for (const struct wtrack *t = rec->room ? rec->room->tracks : NULL; t; t = t->next) {
		if (!t->joined)
			continue;
		sl_buf_printf(b, "%s\n  ", comma);
		recording_describe_track(t, b);
		comma = ",";
	}
	sl_buf_str(b, SL_STR("]"));
}

static const char *state_name(const struct recording *rec)
{
	return rec->state == REC_ENDING && rec->n_pending == 0 ? rec->end_state : "recording";
}

static void describe(struct recording *rec, struct sl_buf *ret_text)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "{\"version\":1,\n\"id\":\"%s\",\n\"room\":", rec->id);
	sl_buf_json(&b, rec->room_name);
	sl_buf_str(&b, SL_STR(",\n\"started\":\""));
	write_time_of_day(rec->unix_ms, &b);
	sl_buf_printf(&b, "\",\n\"started_unix_ms\":%llu,\n\"started_monotonic_ns\":%llu,\n",
		      (unsigned long long)rec->unix_ms, (unsigned long long)rec->t0_ns);
	sl_buf_printf(&b, "\"state\":\"%s\",\n\"reason\":", state_name(rec));
	sl_buf_json(&b, sl_str_c(rec->reason));
	sl_buf_printf(&b, ",\n\"duration_ms\":%llu,\n\"participants\":[",
		      (unsigned long long)(((rec->end_ns ? rec->end_ns
							 : sl_loop_ns(rec->writer->w->loop)) -
					    rec->t0_ns) /
					   SL_NS_PER_MS));
	add_items(&b, &rec->past_people);
	sl_buf_str(&b, SL_STR("],\n"));
	write_tracks(rec, &b);
	sl_buf_printf(&b,
		      ",\n\"segments\":%u,\n\"bytes\":%llu,\n\"files\":%u,\n\"journal\":{\"file\":"
		      "\"%s\",\"lines\":%llu,\"chain\":\"%s\"}\n}\n",
		      rec->n_segments, (unsigned long long)rec->bytes, rec->n_labels, JOURNAL_NAME,
		      (unsigned long long)rec->journal.n_lines, rec->journal.chain);
	*ret_text = b;
}

void recording_write_manifest(struct recording *rec)
{
	struct sl_buf b;

	describe(rec, &b);
	if (sl_buf_ok(&b) == 0)
		disk_put(rec->writer->disk, rec->dir, MANIFEST_NAME, sl_buf_view(&b));
	sl_buf_free(&b);
	rec->manifest_due = false;
}

int recording_first_manifest(struct recording *rec)
{
	struct sl_buf b;
	int rc = ENOMEM;

	describe(rec, &b);
	if (sl_buf_ok(&b) == 0)
		rc = disk_put_now(rec->dir, MANIFEST_NAME, sl_buf_view(&b));
	sl_buf_free(&b);
	return rc;
}
