/*
 * recorder/finished.c: a file from its last byte until the journal has its line: the disk works on
 * it, hashes it and gives it its name, and says how much of it there is.
 *
 * The line comes when the name is there, or is sure to come before the line. A recording is over
 * when all its files are; one that fails ends it.
 */
#include "series.h"

#include <stdlib.h>

struct finished {
	struct finished *next; /* of the recording's; only when it has ended */
	struct recording *rec;
	struct file_head head;
	uint64_t n_bytes, n_frames;
	int64_t end_ns;
};

/* ---- what the journal says of a file */

void head_write(const struct file_head *h, uint64_t hidden, struct sl_buf *b)
{
	const char *comma = "";

	sl_buf_str(b, SL_STR(",\"file\":"));
	sl_buf_json(b, sl_str_c(h->name));
	sl_buf_printf(b, ",\"container\":\"%s\",\"sealed\":%s,\"start_ms\":%lld,\"tracks\":[",
		      h->container, h->sealed ? "true" : "false",
		      (long long)(h->begin_ns / (int64_t)SL_NS_PER_MS));
	for (unsigned i = 0; i < h->n_streams; i++) {
		if (hidden >> i & 1)
			continue;
		sl_buf_printf(b, "%s{\"id\":\"%016llx\",\"codec\":\"%s\"", comma,
			      (unsigned long long)h->streams[i].track,
			      sl_codec_name(h->streams[i].codec));
		if (h->streams[i].width)
			sl_buf_printf(b, ",\"width\":%u,\"height\":%u", h->streams[i].width,
				      h->streams[i].height);
		if (h->streams[i].first_ns)
			sl_buf_printf(b, ",\"start_ms\":%lld",
				      (long long)(h->streams[i].first_ns / (int64_t)SL_NS_PER_MS));
		sl_buf_str(b, SL_STR("}"));
		comma = ",";
	}
	sl_buf_str(b, SL_STR("]"));
}

static void note_whole(const struct finished *f, const struct disk_result *r)
{
	struct recording *rec = f->rec;
	struct writer *w = rec->writer;
	struct sl_buf b;
	char hash[65];

	sl_hex_encode(hash, r->sha256, sizeof r->sha256);
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"segment\""));
	head_write(&f->head, r->hidden, &b);
	sl_buf_printf(&b, ",\"end_ms\":%lld,\"frames\":%llu,\"bytes\":%llu,\"sha256\":\"%s\"%s",
		      (long long)(f->end_ns / (int64_t)SL_NS_PER_MS),
		      (unsigned long long)f->n_frames, (unsigned long long)r->bytes, hash,
		      r->error ? ",\"cut\":true" : "");
	recording_publish(rec, "segment", sl_buf_view(&b));
	recording_note(rec, &b);
	notify_upload(w, rec->dir);
	rec->n_segments++;
	rec->bytes += r->bytes;
	w->used_bytes += r->bytes;
	sl_count(&w->m[M_segments]);
	sl_count_n(&w->m[M_bytes], r->bytes);
}

/* Nothing that plays, or that could be read again, is in it. */
static void note_lost(const struct finished *f, const struct disk_result *r)
{
	struct sl_buf b;

	if (!r->error)
		return;
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"lost\",\"file\":"));
	sl_buf_json(&b, sl_str_c(f->head.name));
	sl_buf_str(&b, SL_STR(",\"reason\":"));
	sl_buf_json(&b, sl_str_c(disk_sentence(r->error)));
	recording_note(f->rec, &b);
}

/* ---- the disk's word */

static void unlink_finished(struct finished *f)
{
	struct finished **link = &f->rec->finished;

	while (*link && *link != f)
		link = &(*link)->next;
	if (*link)
		*link = f->next;
}

static void on_done(void *arg, const struct disk_result *r)
{
	struct finished *f = arg;
	struct recording *rec = f->rec;

	unlink_finished(f);
	if (r->renamed)
		note_whole(f, r);
	else
		note_lost(f, r);
	if (r->error)
		recording_fail(rec, f->head.name, r->error);
	rec->manifest_due = true;
	free(f);
	rec->n_pending--;
	if (rec->state == REC_ENDING)
		recording_tick(rec); /* with the last file it is finished, and gone */
}

/* The rest of the segment would go nowhere: all that is open ends now. */
static void on_failed(void *arg, int error)
{
	const struct finished *f = arg;

	recording_stop(f->rec, error);
}

struct disk_file *finished_begin(struct recording *rec, const struct file_head *head)
{
	struct finished *f = calloc(1, sizeof *f);
	struct disk_file *file = NULL;

	if (f)
		file = disk_file_begin(rec->writer->disk, rec->dir, head->name, on_done, on_failed,
				       f);
	if (!file) {
		free(f);
		return NULL;
	}
	f->rec = rec;
	f->head = *head;
	rec->n_pending++;
	return file;
}

void finished_end(const struct segment *g)
{
	struct finished *f = disk_file_arg(g->file);

	f->head = g->head;
	f->n_bytes = g->at;
	f->n_frames = g->n_frames;
	f->end_ns = g->end_ns;
	f->next = f->rec->finished;
	f->rec->finished = f;
	disk_file_end(g->file);
}

/* ---- how far it is, for a successor */

static void write_length(const char *name, uint64_t bytes, struct sl_buf *b, const char **comma)
{
	sl_buf_str(b, sl_str_c(*comma));
	sl_buf_json(b, sl_str_c(name));
	sl_buf_printf(b, ":%llu", (unsigned long long)bytes);
	*comma = ",";
}

void series_write_length(const struct series *s, struct sl_buf *b, const char **comma)
{
	if (s && s->now)
		write_length(s->now->head.name, s->now->flushed_at, b, comma);
	for (const struct segment *g = s ? s->late : NULL; g; g = g->next)
		write_length(g->head.name, g->flushed_at, b, comma);
}

void series_write_finished(const struct recording *rec, struct sl_buf *b, const char **comma)
{
	for (const struct finished *f = rec->finished; f; f = f->next)
		write_length(f->head.name, f->n_bytes, b, comma);
}
