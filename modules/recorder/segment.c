/*
 * recorder/segment.c: series of files: of one track, of a room, or of a track's packets.
 *
 * A segment begins with the first frame that can begin one, and ends when it is long enough and the
 * next frame can begin another: any sound, a key frame of a picture, which is asked for. A file's
 * head describes its streams, so that it also ends when one of them changes (codec, size, parameter
 * sets) or another joins. A file of a room then misses the other pictures until their key frames,
 * which are asked for; the tracks' own files miss nothing. Who joins is known before its frames are
 * written, since a room's frames wait to be in order: whoever comes in that time is in one file.
 *
 * Times in a file begin at 0; the journal says when that was.
 */
#include "pcapng.h"
#include "series.h"

#include <stdio.h>
#include <stdlib.h>

enum { SILENT_TICKS = 12 };
#define SEAM_NS (60 * (int64_t)SL_NS_PER_MS)

struct series *series_new(struct recording *rec, const char *label, enum container_id container)
{
	struct series *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->rec = rec;
	s->wanted = container;
	(void)sl_str_copy(s->label, sizeof s->label, sl_str_c(label));
	return s;
}

static void note_open(struct series *s)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"open\""));
	head_write(&s->head, 0, &b);
	recording_note(s->rec, &b);
}

/* ---- files */

static void on_bytes(void *arg, uint64_t at, struct sl_str bytes)
{
	struct series *s = arg;

	if (!s->file || bytes.len == 0)
		return;
	disk_file_write(s->file, at, bytes);
	if (at + bytes.len > s->at)
		s->at = at + bytes.len;
}

static const char *suffix_of(const struct series *s)
{
	return s->webm ? "webm" : s->container->suffix;
}

/* The streams that can be described now */
static unsigned choose_streams(struct series *s, struct mux_stream streams[MUX_MAX_STREAMS])
{
	unsigned n = 0;

	s->webm = s->container == &containers[CONTAINER_MATROSKA];
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		m->stream = -1;
		if (!member_is_known(m) || !container_takes(s->container, m->codec))
			continue;
		s->webm = s->webm && container_is_webm(m->codec);
		m->stream = (int)n;
		m->fresh = false;
		m->needs_key = m->track->kind == SL_MEDIA_VIDEO;
		s->head.streams[n].track = m->track->id;
		s->head.streams[n].codec = m->codec;
		s->head.streams[n].width = m->width;
		s->head.streams[n].height = m->height;
		streams[n++] = member_describe(m);
	}
	s->head.n_streams = n;
	return n;
}

static bool open_file(struct series *s, int64_t at_ns)
{
	struct recording *rec = s->rec;
	struct file_head *h = &s->head;

	h->container = s->webm ? "webm" : s->container->name;
	h->sealed = rec->writer->recipient != NULL;
	h->begin_ns = s->end_ns = at_ns;
	s->n_frames = 0;
	s->n_silent = 0;
	s->at = s->flushed_at = 0;
	(void)snprintf(h->name, sizeof h->name, "%06u-%s.%s%s", ++rec->n_labels, s->label,
		       suffix_of(s), h->sealed ? ".sealed" : "");
	s->file = finished_begin(rec, h);
	return s->file != NULL;
}

static bool open_segment(struct series *s, int64_t at_ns)
{
	struct mux_stream streams[MUX_MAX_STREAMS];
	struct recording *rec = s->rec;
	struct mux_opts o = {.streams = streams,
			     .title = rec->room_name,
			     .unix_ms = rec->unix_ms + (uint64_t)(at_ns / (int64_t)SL_NS_PER_MS),
			     .seekable = !rec->writer->recipient,
			     .sink = on_bytes,
			     .arg = s};

	if (rec->failed || s->dead)
		return false;
	o.n_streams = choose_streams(s, streams);
	o.container = s->container;
	o.webm = s->webm;
	if (o.n_streams == 0 || !open_file(s, at_ns))
		return false;
	if (mux_open(&o, &s->mux) == 0) {
		note_open(s);
		return true;
	}
	sl_log(SL_LOG_ERROR, "recorder", "%s: a %s file cannot hold these streams", s->head.name,
	       s->container->name);
	s->dead = true;
	series_cut(s);
	return false;
}

/* ---- how far it is */

static void note_flushed(struct series *s)
{
	s->flushed_at = s->at;
	s->flushed = s->newest;
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		m->flushed = m == s->held ? m->second : m->newest;
	}
}

struct saved series_saved(const struct series *s, const struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++)
		if (s->members[i].track == t)
			return s->members[i].flushed;
	return s->flushed;
}

void series_cut(struct series *s)
{
	if (!s->file)
		return;
	mux_close(s->mux);
	s->mux = NULL;
	s->held = NULL;
	note_flushed(s);
	saved_write(s->rec); /* before the file has its name */
	finished_end(s->file, s);
	s->file = NULL;
	for (unsigned i = 0; i < s->n_members; i++)
		s->members[i].stream = -1;
}

/* ---- members */

static struct member *member_of(struct series *s, struct wtrack *t)
{
	struct member *m;

	for (unsigned i = 0; i < s->n_members; i++)
		if (s->members[i].track == t)
			return &s->members[i];
	if (s->n_members == MUX_MAX_STREAMS)
		return NULL;
	m = &s->members[s->n_members++];
	*m = (struct member){.track = t, .stream = -1};
	m->n_frames = s == t->own ? t->before.own.n_frames : t->before.room.n_frames;
	sl_buf_init(&m->parameters, 0);
	return m;
}

void series_cut_of(struct series *s, const struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++)
		if (s->members[i].track == t)
			series_cut(s);
}

void series_forget(struct series *s, struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++) {
		if (s->members[i].track != t)
			continue;
		series_cut(s); /* its line names the track */
		sl_buf_free(&s->members[i].parameters);
		s->members[i] = s->members[--s->n_members];
		return;
	}
}

static bool can_begin(const struct series *s, const struct wtrack *t, const struct frame *f)
{
	if (t->kind == SL_MEDIA_VIDEO)
		return f->key;
	for (unsigned i = 0; i < s->n_members; i++) /* sound does not cut pictures */
		if (s->members[i].track->kind == SL_MEDIA_VIDEO && s->members[i].stream >= 0)
			return false;
	return true;
}

static bool is_long(const struct series *s, int64_t at_ns, uint64_t ms)
{
	return at_ns - s->head.begin_ns >= (int64_t)(ms * SL_NS_PER_MS);
}

/* ---- frames */

static void choose_container(struct series *s, unsigned codec)
{
	const struct container *c = container_for(s->wanted, codec);

	/* One stream that needs Matroska takes the others of a room with it. */
	if (!s->container || !container_takes(s->container, codec))
		s->container = c;
}

/* WAV has no times: what is missing is filled, up to a while */
static void fill_silence(struct series *s, const struct member *m, int64_t at_ns)
{
	static const uint8_t ulaw[160] = {[0 ... 159] = 0xff}, alaw[160] = {[0 ... 159] = 0xd5},
			     zeros[160];
	const uint8_t *silence = m->codec == SL_CODEC_PCMU   ? ulaw
				 : m->codec == SL_CODEC_PCMA ? alaw
							     : zeros;
	struct sl_str data = {(const char *)silence, 160};
	int64_t step = 160 * (int64_t)SL_NS_PER_S / m->hz / (m->codec == SL_CODEC_L16 ? 2 : 1);

	while (s->end_ns + step + step / 2 < at_ns) {
		if (mux_frame(s->mux, (unsigned)m->stream, data, s->end_ns - s->head.begin_ns, step,
			      true) < 0)
			return;
		s->end_ns += step;
	}
}

/* Ogg counts samples: packets follow each other without a seam, or leave a gap that is worth one.
 */
static int64_t without_seam(const struct series *s, const struct member *m, int64_t at_ns)
{
	if (s->container != &containers[CONTAINER_OGG] || s->n_frames == 0)
		return at_ns;
	return at_ns > m->end_ns + SEAM_NS ? at_ns : m->end_ns;
}

static void write_frame(struct series *s, struct member *m, const struct frame *f, int64_t at_ns)
{
	struct writer *w = s->rec->writer;
	int64_t duration = member_duration(m, f);

	if (m->stream < 0)
		return;
	if (m->needs_key && !f->key) {
		intake_ask_key(m->track);
		return;
	}
	m->needs_key = false;
	at_ns = without_seam(s, m, at_ns);
	if (s->container == &containers[CONTAINER_WAV])
		fill_silence(s, m, at_ns);
	if (mux_frame(s->mux, (unsigned)m->stream, f->data,
		      at_ns > s->head.begin_ns ? at_ns - s->head.begin_ns : 0, duration,
		      f->key) < 0) {
		sl_count(&w->m[M_frames_dropped]);
		return;
	}
	/* A packet of sound waits there for the next of any stream, over flushes, too. */
	s->held =
		s->container == &containers[CONTAINER_MATROSKA] && m->track->kind == SL_MEDIA_AUDIO
			? m
			: NULL;
	m->n_frames++;
	if (!m->track->own || m->track->own == s) /* not again in the room's */
		m->track->n_frames++;
	m->second = m->newest;
	m->newest = (struct saved){.known = true,
				   .encoding = f->encoding,
				   .ssrc = f->ssrc,
				   .ts = f->ts,
				   .seq = f->seq,
				   .arrival_ns = f->arrival_ns,
				   .at_ns = at_ns,
				   .n_frames = m->n_frames};
	m->end_ns = at_ns + duration;
	if (m->end_ns > s->end_ns)
		s->end_ns = m->end_ns;
	s->n_frames++;
	s->n_silent = 0;
	m->track->written_ms = sl_loop_ms(w->w->loop);
	m->track->stands_still = false;
	sl_count(&w->m[M_frames]);
}

void series_expect(struct series *s, struct wtrack *t, const struct frame *f)
{
	struct member *m = member_of(s, t);

	if (!m || member_is_known(m) || !member_learn(m, f) || !member_is_known(m))
		return;
	m->fresh = true;
	if (!s->file)
		choose_container(s, f->codec);
	else /* which is about to end */
		for (unsigned i = 0; i < s->n_members; i++)
			intake_ask_key(s->members[i].track);
}

void series_frame(struct series *s, struct wtrack *t, const struct frame *f, int64_t at_ns)
{
	struct member *m = member_of(s, t);
	uint64_t length = s->rec->writer->conf->segment;
	bool changed;

	if (!m)
		return;
	changed = member_learn(m, f) || m->fresh;
	m->fresh = false;
	s->dead = s->dead && !changed;
	if (s->file && changed)
		series_cut(s);
	choose_container(s, f->codec);
	if (s->file && is_long(s, at_ns, length)) {
		if (can_begin(s, t, f) || (s->n_members > 1 && is_long(s, at_ns, 2 * length)))
			series_cut(s);
		else
			for (unsigned i = 0; i < s->n_members; i++)
				intake_ask_key(s->members[i].track);
	}
	if (!s->file && t->kind == SL_MEDIA_VIDEO && !f->key) {
		intake_ask_key(t);
		return;
	}
	if (!s->file && !open_segment(s, at_ns)) {
		sl_count(&s->rec->writer->m[M_frames_dropped]);
		return;
	}
	write_frame(s, m, f, at_ns);
}

void series_flush(struct series *s, int64_t now_ns)
{
	uint64_t length = s->rec->writer->conf->segment;

	if (s->mux)
		mux_flush(s->mux);
	note_flushed(s);
	/* What has fallen silent is finished all the same; counted in ticks, since it may have been
	 * this process that did not run. */
	if (s->file && ++s->n_silent > SILENT_TICKS && is_long(s, now_ns, length))
		series_cut(s);
}

/* ---- packets */

void series_packet(struct series *s, const struct wtrack *t, const struct rpacket *p, int64_t at_ns)
{
	uint64_t length = s->rec->writer->conf->segment;
	struct sl_buf b;

	if (s->file && is_long(s, at_ns, length))
		series_cut(s);
	s->container = &containers[CONTAINER_PCAPNG];
	sl_buf_init(&b, 0);
	if (!s->file) {
		if (s->rec->failed || !open_file(s, at_ns))
			return;
		note_open(s);
		pcapng_begin(&b);
	}
	pcapng_packet(&b, s->rec->unix_ms * SL_NS_PER_MS + (uint64_t)at_ns,
		      (struct sl_str){(const char *)p->data, p->len});
	if (sl_buf_ok(&b) == 0)
		on_bytes(s, s->at, sl_buf_view(&b));
	sl_buf_free(&b);
	s->newest = (struct saved){.known = true,
				   .encoding = p->encoding,
				   .ssrc = t->ssrc,
				   .seq = p->seq,
				   .arrival_ns = p->arrival_ns,
				   .at_ns = at_ns};
	s->end_ns = at_ns;
	s->n_frames++;
	s->n_silent = 0;
}

void series_free(struct series *s)
{
	if (!s)
		return;
	series_cut(s);
	for (unsigned i = 0; i < s->n_members; i++)
		sl_buf_free(&s->members[i].parameters);
	free(s);
}
