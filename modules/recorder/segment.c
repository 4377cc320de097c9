/*
 * recorder/segment.c: one file of a series: its head, its frames, its bytes on their way to the
 * disk. Which frames it gets, and when it ends, is the series' to say.
 *
 * Times in a file begin at 0; the journal says when that was.
 */
#include "series.h"

#include <stdio.h>
#include <stdlib.h>

#define SEAM_NS (60 * (int64_t)SL_NS_PER_MS)
#define WAV_SEAM_NS (30 * (int64_t)SL_NS_PER_MS) /* a lost packet of 20 ms is none yet */

static void on_bytes(void *arg, uint64_t at, struct sl_str bytes)
{
	struct segment *g = arg;

	if (bytes.len == 0)
		return;
	disk_file_write(g->file, at, bytes);
	if (at + bytes.len > g->at)
		g->at = at + bytes.len;
}

/* ---- its head */

/* The streams that can be described now */
static unsigned choose_streams(struct series *s, struct segment *g,
			       struct mux_stream streams[MUX_MAX_STREAMS])
{
	unsigned n = 0;

	g->webm = g->container == &containers[CONTAINER_MATROSKA];
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		m->next = -1;
		if (!member_is_known(m) || !container_takes(g->container, m->codec))
			continue;
		g->webm = g->webm && container_is_webm(m->codec);
		m->next = (int)n;
		m->fresh = false;
		g->head.streams[n].track = m->track->id;
		g->head.streams[n].codec = m->codec;
		g->head.streams[n].width = m->width;
		g->head.streams[n].height = m->height;
		streams[n++] = member_describe(m);
	}
	g->head.n_streams = n;
	return n;
}

static void note_open(const struct segment *g)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"open\""));
	head_write(&g->head, 0, &b);
	recording_note(g->series->rec, &b);
}

static struct segment *make(struct series *s, const struct container *c, int64_t at_ns)
{
	struct segment *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->series = s;
	g->container = c;
	g->head.begin_ns = g->end_ns = at_ns;
	return g;
}

static int open_file(struct segment *g)
{
	struct recording *rec = g->series->rec;
	struct file_head *h = &g->head;

	h->container = g->webm ? "webm" : g->container->name;
	h->sealed = rec->writer->recipient != NULL;
	(void)snprintf(h->name, sizeof h->name, "%06u-%s.%s%s", ++rec->n_labels, g->series->label,
		       g->webm ? "webm" : g->container->suffix, h->sealed ? ".sealed" : "");
	g->file = finished_begin(rec, h);
	return g->file ? 0 : -SL_ENOMEM;
}

static int open_mux(struct segment *g, const struct mux_stream *streams)
{
	const struct recording *rec = g->series->rec;
	const struct mux_opts o = {.container = g->container,
				   .webm = g->webm,
				   .streams = streams,
				   .n_streams = g->head.n_streams,
				   .title = rec->room_name,
				   .unix_ms = rec->unix_ms +
					      (uint64_t)(g->head.begin_ns / (int64_t)SL_NS_PER_MS),
				   .seekable = !rec->writer->recipient,
				   .sink = on_bytes,
				   .arg = g};

	return mux_open(&o, &g->mux);
}

struct segment *segment_open(struct series *s, int64_t at_ns)
{
	struct mux_stream streams[MUX_MAX_STREAMS];
	struct segment *g = make(s, s->container, at_ns);

	if (!g || choose_streams(s, g, streams) == 0 || open_file(g) < 0) {
		free(g);
		return NULL;
	}
	/* Before the muxer writes its head: of a file that the journal does not name nobody would
	 * know after a crash. */
	note_open(g);
	if (open_mux(g, streams) == 0)
		return g;
	sl_log(SL_LOG_ERROR, "recorder", "%s: a %s file cannot hold these streams", g->head.name,
	       g->container->name);
	s->dead = true;
	segment_end(g);
	return NULL;
}

struct segment *segment_open_packets(struct series *s, int64_t at_ns)
{
	struct segment *g = make(s, &containers[CONTAINER_PCAPNG], at_ns);

	if (g && open_file(g) == 0) {
		note_open(g);
		return g;
	}
	free(g);
	return NULL;
}

/* ---- frames */

/* WAV has no times, but samples that are counted: what is missing is filled. A clock that is set
 * right to and fro fills nothing, for that would not be taken back, and the file become longer than
 * what it holds. Returns where the next sample is. */
static int64_t fill_silence(struct segment *g, const struct member *m, int64_t at_ns)
{
	static const uint8_t ulaw[160] = {[0 ... 159] = 0xff}, alaw[160] = {[0 ... 159] = 0xd5},
			     zeros[160];
	const uint8_t *silence = m->codec == SL_CODEC_PCMU   ? ulaw
				 : m->codec == SL_CODEC_PCMA ? alaw
							     : zeros;
	struct sl_str data = {(const char *)silence, 160};
	int64_t step = 160 * (int64_t)SL_NS_PER_S / m->hz / (m->codec == SL_CODEC_L16 ? 2 : 1);

	if (at_ns <= g->end_ns + WAV_SEAM_NS)
		return g->end_ns;
	while (g->end_ns + step / 2 < at_ns) {
		if (mux_frame(g->mux, (unsigned)m->stream, data, g->end_ns - g->head.begin_ns, step,
			      true) < 0)
			break;
		g->end_ns += step;
	}
	return g->end_ns;
}

/* Ogg counts samples: packets follow each other without a seam, or leave a gap that is worth one.
 */
static int64_t without_seam(const struct segment *g, const struct member *m, int64_t at_ns)
{
	if (g->container != &containers[CONTAINER_OGG] || g->n_frames == 0)
		return at_ns;
	return at_ns > m->end_ns + SEAM_NS ? at_ns : m->end_ns;
}

static void note_written(struct member *m, const struct frame *f, int64_t at_ns, int64_t duration)
{
	m->n_frames++;
	m->newest = (struct saved){.known = true,
				   .encoding = f->encoding,
				   .ssrc = f->ssrc,
				   .ts = f->ts,
				   .seq = f->seq,
				   .arrival_ns = f->arrival_ns,
				   .at_ns = at_ns,
				   .n_frames = m->n_frames};
	m->end_ns = at_ns + duration;
}

bool segment_frame(struct segment *g, struct member *m, const struct frame *f, int64_t at_ns)
{
	int64_t duration = member_duration(m, f), *first = &g->head.streams[m->stream].first_ns;

	at_ns = without_seam(g, m, at_ns);
	if (g->container == &containers[CONTAINER_WAV])
		at_ns = fill_silence(g, m, at_ns);
	if (mux_frame(g->mux, (unsigned)m->stream, f->data,
		      at_ns > g->head.begin_ns ? at_ns - g->head.begin_ns : 0, duration,
		      f->key) < 0)
		return false;
	note_written(m, f, at_ns, duration);
	if (*first == 0 && at_ns > g->head.begin_ns)
		*first = at_ns;
	if (m->end_ns > g->end_ns)
		g->end_ns = m->end_ns;
	g->n_frames++;
	return true;
}

void segment_bytes(struct segment *g, struct sl_str bytes)
{
	on_bytes(g, g->at, bytes);
}

/* ---- its end */

void segment_close(struct segment *g)
{
	mux_close(g->mux);
	g->mux = NULL;
}

void segment_end(struct segment *g)
{
	segment_close(g);
	finished_end(g);
	free(g);
}
