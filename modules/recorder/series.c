/*
 * recorder/series.c: series of files: of one track, of a room, or of a track's packets.
 *
 * A segment begins with the first frame that can begin one, and ends when it is long enough and the
 * next frame can begin another: any sound, a key frame of a picture, which is asked for. A file's
 * head describes its streams, so that it also ends when one of them changes (codec, size, parameter
 * sets) or another joins. The next file can show other pictures from their key frames on, which are
 * asked for; until then they go on in the one before, which is late: so of no picture anything is
 * missing, and files overlap. Who joins is known before its frames are written, since a room's
 * frames wait to be in order: whoever comes in that time is in one file.
 */
#include "pcapng.h"
#include "series.h"

#include <stdlib.h>

enum { SILENT_TICKS = 12 };
#define LATE_NS                                                                                    \
	(10 * (int64_t)SL_NS_PER_S) /* for a key frame that is asked for again and again           \
				     */

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

/* ---- how far it is */

/* What was flushed is what a successor leaves out. */
static void note_flushed(struct series *s)
{
	for (struct segment *g = s->late; g; g = g->next)
		g->flushed_at = g->at;
	if (s->now)
		s->now->flushed_at = s->now->at;
	s->flushed = s->newest;
	for (unsigned i = 0; i < s->n_members; i++)
		s->members[i].flushed = s->members[i].newest;
}

static void flush(struct series *s)
{
	for (const struct segment *g = s->late; g; g = g->next)
		if (g->mux)
			mux_flush(g->mux);
	if (s->now && s->now->mux)
		mux_flush(s->now->mux);
	note_flushed(s);
}

struct saved series_saved(const struct series *s, const struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++)
		if (s->members[i].track == t)
			return s->members[i].flushed;
	return s->flushed;
}

/* ---- files end */

static bool is_used(const struct series *s, const struct segment *g)
{
	for (unsigned i = 0; i < s->n_members; i++)
		if (s->members[i].file == g)
			return true;
	return false;
}

/* Late files that nobody waits in any more get their names, once it is said how far they are. */
static void end_late(struct series *s)
{
	unsigned n = 0;

	for (const struct segment *g = s->late; g; g = g->next)
		n += !is_used(s, g);
	if (n == 0)
		return;
	for (struct segment *g = s->late; g; g = g->next)
		if (!is_used(s, g))
			segment_close(g);
	flush(s);
	saved_write(s->rec);
	for (struct segment **link = &s->late, *g; (g = *link);) {
		if (is_used(s, g)) {
			link = &g->next;
			continue;
		}
		*link = g->next;
		segment_end(g);
	}
}

static void make_late(struct series *s, int64_t at_ns)
{
	s->now->late_ns = at_ns;
	s->now->next = s->late;
	s->late = s->now;
	s->now = NULL;
}

/* The open file ends, but for its pictures: another one can show them from a key frame on, and
 * until it comes they go on here. A stream that has changed cannot. */
static void turn(struct series *s, const struct member *changed, int64_t at_ns)
{
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		if (m->track->kind != SL_MEDIA_VIDEO || m == changed)
			m->file = NULL;
		m->next = -1;
	}
	make_late(s, at_ns);
	end_late(s);
}

void series_cut(struct series *s)
{
	if (s->now)
		make_late(s, s->now->end_ns);
	for (unsigned i = 0; i < s->n_members; i++) {
		s->members[i].file = NULL;
		s->members[i].next = -1;
	}
	end_late(s);
}

/* Whose key frame does not come goes on without it. */
static void drop_slow(struct series *s, int64_t now_ns)
{
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		if (m->file && m->file != s->now && now_ns > m->file->late_ns + LATE_NS)
			m->file = NULL;
	}
	end_late(s);
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
	*m = (struct member){.track = t, .next = -1};
	m->n_frames = s == t->own ? t->before.own.n_frames : t->before.room.n_frames;
	sl_buf_init(&m->parameters, 0);
	return m;
}

void series_leave(struct series *s, const struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++) {
		struct member *m = &s->members[i];

		if (m->track != t)
			continue;
		flush(s); /* what is said of it from here on */
		if (s->now)
			turn(s, m, s->now->end_ns);
		m->file = NULL;
		end_late(s);
	}
}

void series_forget(struct series *s, const struct wtrack *t)
{
	for (unsigned i = 0; i < s->n_members; i++) {
		if (s->members[i].track != t)
			continue;
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
		if (s->members[i].track->kind == SL_MEDIA_VIDEO &&
		    (s->members[i].file == s->now || s->members[i].next >= 0))
			return false;
	return true;
}

static bool is_long(const struct series *s, int64_t at_ns, uint64_t ms)
{
	return at_ns - s->now->head.begin_ns >= (int64_t)(ms * SL_NS_PER_MS);
}

/* ---- frames */

static void choose_container(struct series *s, unsigned codec)
{
	const struct container *c = container_for(s->wanted, codec);

	/* One stream that needs Matroska takes the others of a room with it. */
	if (!s->container || !container_takes(s->container, codec))
		s->container = c;
}

/* Into the series' file, when it can begin there; true: its frame has a place */
static bool has_file(struct series *s, struct member *m, const struct frame *f)
{
	if (m->next >= 0 && (f->key || m->track->kind != SL_MEDIA_VIDEO)) {
		m->file = s->now;
		m->stream = m->next;
		m->next = -1;
		end_late(s);
	}
	if (!m->file || m->file != s->now)
		intake_ask_key(m->track);
	return m->file != NULL;
}

static void write_frame(struct series *s, struct member *m, const struct frame *f, int64_t at_ns)
{
	struct writer *w = s->rec->writer;

	if (!has_file(s, m, f))
		return;
	if (!segment_frame(m->file, m, f, at_ns)) {
		sl_count(&w->m[M_frames_dropped]);
		return;
	}
	if (!m->track->own || m->track->own == s) /* not again in the room's */
		m->track->n_frames++;
	s->n_silent = 0;
	m->track->written_ms = sl_loop_ms(w->w->loop);
	m->track->stands_still = false;
	sl_count(&w->m[M_frames]);
}

static void ask_keys(struct series *s)
{
	for (unsigned i = 0; i < s->n_members; i++)
		intake_ask_key(s->members[i].track);
}

void series_expect(struct series *s, struct wtrack *t, const struct frame *f)
{
	struct member *m = member_of(s, t);

	if (!m || member_is_known(m) || !member_learn(m, f) || !member_is_known(m))
		return;
	m->fresh = true;
	if (!s->now)
		choose_container(s, f->codec);
	else
		ask_keys(s); /* it is about to end */
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
	if (s->now && changed)
		turn(s, m, at_ns);
	choose_container(s, f->codec);
	if (s->now && is_long(s, at_ns, length)) {
		if (can_begin(s, t, f) || (s->n_members > 1 && is_long(s, at_ns, 2 * length)))
			turn(s, NULL, at_ns);
		else
			ask_keys(s);
	}
	if (!s->now && (t->kind != SL_MEDIA_VIDEO || f->key)) {
		s->now = s->rec->failed || s->dead ? NULL : segment_open(s, at_ns);
		if (!s->now) {
			sl_count(&s->rec->writer->m[M_frames_dropped]);
			return;
		}
	}
	write_frame(s, m, f, at_ns);
}

void series_flush(struct series *s, int64_t now_ns)
{
	uint64_t length = s->rec->writer->conf->segment;

	flush(s);
	drop_slow(s, now_ns - HOLD_MS * (int64_t)SL_NS_PER_MS);
	/* What has fallen silent is finished all the same; counted in ticks, since it may have been
	 * this process that did not run. */
	if (s->now && ++s->n_silent > SILENT_TICKS && is_long(s, now_ns, length))
		series_cut(s);
}

/* ---- packets */

void series_packet(struct series *s, const struct wtrack *t, const struct rpacket *p, int64_t at_ns)
{
	uint64_t length = s->rec->writer->conf->segment;
	struct sl_buf b;

	if (s->now && is_long(s, at_ns, length))
		series_cut(s);
	sl_buf_init(&b, 0);
	if (!s->now) {
		s->now = s->rec->failed ? NULL : segment_open_packets(s, at_ns);
		if (!s->now)
			return;
		pcapng_begin(&b);
	}
	pcapng_packet(&b, s->rec->unix_ms * SL_NS_PER_MS + (uint64_t)at_ns,
		      (struct sl_str){(const char *)p->data, p->len});
	if (sl_buf_ok(&b) == 0)
		segment_bytes(s->now, sl_buf_view(&b));
	sl_buf_free(&b);
	s->newest = (struct saved){.known = true,
				   .encoding = p->encoding,
				   .ssrc = t->ssrc,
				   .seq = p->seq,
				   .arrival_ns = p->arrival_ns,
				   .at_ns = at_ns};
	s->now->end_ns = at_ns;
	s->now->n_frames++;
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
