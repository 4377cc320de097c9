/*
 * recorder/segment.c: series of files: of one track, of a room, or of a track's packets.
 *
 * A segment begins with the first frame that can begin one, and ends when it is long enough and the
 * next frame can begin another: any sound, a key frame of a picture, which is asked for. A file's
 * head describes its streams, so that it also ends when one of them changes (codec, size, parameter
 * sets) or another joins. A file of a room then misses the other pictures until their key frames,
 * which are asked for; the tracks' own files miss nothing.
 *
 * Times in a file begin at 0; the journal says when that was.
 */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

enum { SILENT_TICKS = 12 };
#define SEAM_NS (60 * (int64_t)SL_NS_PER_MS)

struct member { /* a stream of the series */
	struct wtrack *track;
	uint8_t codec, channels;
	uint32_t hz;
	uint16_t width, height;
	struct sl_buf parameters;
	int stream;	/* in the open file; -1: not in it */
	struct {
		uint8_t codec;
		uint16_t width, height;
	} told; /* by the head of the open file */
	bool needs_key; /* the open file has none of it yet */
	int64_t end_ns;
	struct saved second, newest, flushed; /* of its packets in files */
};

struct series {
	struct recording *rec;
	char label[MAX_LABEL];
	enum container_id wanted;
	const struct container *container; /* of the open file */
	struct member members[MUX_MAX_STREAMS];
	unsigned n_members;
	/* The open segment: */
	struct mux *mux; /* NULL with a file: packets */
	struct disk_file *file;
	char name[200];
	int64_t begin_ns, end_ns;
	uint64_t at, flushed_at, n_frames;
	struct saved newest, flushed; /* packets */
	const struct member *held;    /* whose newest frame libavformat's Matroska keeps back */
	unsigned n_silent; /* ticks without a frame */
	bool webm, dead;   /* dead: no file can hold these streams; until they change */
};

/* What is known of a file while the disk works on it */
struct finished {
	struct finished *next; /* of the recording's */
	char name[200];
	uint64_t n_bytes;
	struct recording *rec;
	struct sl_buf members; /* of its line */
	int64_t begin_ns, end_ns;
};

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

/* ---- what the journal says of a segment */

static void add_tracks(const struct series *s, struct sl_buf *b)
{
	const char *comma = "";

	sl_buf_str(b, SL_STR(",\"tracks\":["));
	for (unsigned i = 0; i < s->n_members; i++) {
		const struct member *m = &s->members[i];

		if (m->stream < 0)
			continue;
		sl_buf_printf(b, "%s{\"id\":\"%016llx\",\"codec\":\"%s\"", comma,
			      (unsigned long long)m->track->id, sl_codec_name(m->told.codec));
		if (m->told.width)
			sl_buf_printf(b, ",\"width\":%u,\"height\":%u", m->told.width,
				      m->told.height);
		sl_buf_str(b, SL_STR("}"));
		comma = ",";
	}
	sl_buf_str(b, SL_STR("]"));
}

static void describe(const struct series *s, struct sl_buf *b)
{
	sl_buf_str(b, SL_STR(",\"file\":"));
	sl_buf_json(b, sl_str_c(s->name));
	sl_buf_printf(b, ",\"container\":\"%s\",\"sealed\":%s,\"start_ms\":%lld",
		      s->webm ? "webm" : s->container->name,
		      s->rec->writer->recipient ? "true" : "false",
		      (long long)(s->begin_ns / (int64_t)SL_NS_PER_MS));
	add_tracks(s, b);
}

static void note_open(struct series *s)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"open\""));
	describe(s, &b);
	recording_note(s->rec, &b);
}

/* ---- files */

static void unlink_finished(struct finished *f)
{
	struct finished **link = &f->rec->finished;

	while (*link && *link != f)
		link = &(*link)->next;
	if (*link)
		*link = f->next;
}

static void note_whole(struct finished *f, const struct disk_result *r)
{
	struct recording *rec = f->rec;
	struct writer *w = rec->writer;
	char hash[65];

	sl_hex_encode(hash, r->sha256, sizeof r->sha256);
	sl_buf_printf(&f->members, ",\"bytes\":%llu,\"sha256\":\"%s\"%s",
		      (unsigned long long)r->bytes, hash, r->error ? ",\"cut\":true" : "");
	recording_publish(rec, "segment", sl_buf_view(&f->members));
	recording_note(rec, &f->members);
	notify_upload(w, rec->dir);
	rec->n_segments++;
	rec->bytes += r->bytes;
	w->used_bytes += r->bytes;
	sl_count(&w->m[M_segments]);
	sl_count_n(&w->m[M_bytes], r->bytes);
}

/* Nothing that plays, or that could be read again, is in it. */
static void note_lost(struct finished *f, const struct disk_result *r)
{
	struct sl_buf b;

	sl_buf_free(&f->members);
	if (!r->error)
		return;
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"lost\",\"file\":"));
	sl_buf_json(&b, sl_str_c(f->name));
	sl_buf_str(&b, SL_STR(",\"reason\":"));
	sl_buf_json(&b, sl_str_c(disk_sentence(r->error)));
	recording_note(f->rec, &b);
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
		recording_fail(rec, f->name, r->error);
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
		bool known = m->codec && (m->track->kind == SL_MEDIA_AUDIO || m->width);

		m->stream = -1;
		if (!known || !container_takes(s->container, m->codec))
			continue;
		s->webm = s->webm && container_is_webm(m->codec);
		m->stream = (int)n;
		m->told.codec = m->codec;
		m->told.width = m->width;
		m->told.height = m->height;
		m->needs_key = m->track->kind == SL_MEDIA_VIDEO;
		streams[n++] = (struct mux_stream){.codec = m->codec,
						   .hz = m->hz,
						   .channels = m->channels,
						   .width = m->width,
						   .height = m->height,
						   .parameters = sl_buf_view(&m->parameters),
						   .title = sl_str_c(m->track->label)};
	}
	return n;
}

static bool open_file(struct series *s, int64_t at_ns)
{
	struct recording *rec = s->rec;
	struct finished *f = calloc(1, sizeof *f);

	s->begin_ns = s->end_ns = at_ns;
	s->n_frames = 0;
	s->n_silent = 0;
	s->at = s->flushed_at = 0;
	(void)snprintf(s->name, sizeof s->name, "%06u-%s.%s%s", ++rec->n_labels, s->label,
		       suffix_of(s), rec->writer->recipient ? ".sealed" : "");
	if (f)
		s->file = disk_file_begin(rec->writer->disk, rec->dir, s->name, on_done, on_failed,
					  f);
	if (!s->file) {
		free(f);
		return false;
	}
	f->rec = rec;
	rec->n_pending++;
	return true;
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
	sl_log(SL_LOG_ERROR, "recorder", "%s: a %s file cannot hold these streams", s->name,
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

static void write_length(const char *name, uint64_t bytes, struct sl_buf *b, const char **comma)
{
	sl_buf_str(b, sl_str_c(*comma));
	sl_buf_json(b, sl_str_c(name));
	sl_buf_printf(b, ":%llu", (unsigned long long)bytes);
	*comma = ",";
}

void series_write_length(const struct series *s, struct sl_buf *b, const char **comma)
{
	if (s && s->file)
		write_length(s->name, s->flushed_at, b, comma);
}

void series_write_finished(const struct recording *rec, struct sl_buf *b, const char **comma)
{
	for (const struct finished *f = rec->finished; f; f = f->next)
		write_length(f->name, f->n_bytes, b, comma);
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
	struct finished *f;

	if (!s->file)
		return;
	mux_close(s->mux);
	s->mux = NULL;
	s->held = NULL;
	note_flushed(s);
	saved_write(s->rec); /* before the file has its name */
	f = disk_file_arg(s->file);
	(void)sl_str_copy(f->name, sizeof f->name, sl_str_c(s->name));
	f->n_bytes = s->at;
	f->next = s->rec->finished;
	s->rec->finished = f;
	f->begin_ns = s->begin_ns;
	f->end_ns = s->end_ns;
	sl_buf_init(&f->members, 0);
	sl_buf_str(&f->members, SL_STR("\"type\":\"segment\""));
	describe(s, &f->members);
	sl_buf_printf(&f->members, ",\"end_ms\":%lld,\"frames\":%llu",
		      (long long)(s->end_ns / (int64_t)SL_NS_PER_MS),
		      (unsigned long long)s->n_frames);
	disk_file_end(s->file);
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
	sl_buf_init(&m->parameters, 0);
	return m;
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

static unsigned channels_of(const struct wtrack *t, const struct frame *f)
{
	(void)t;
	/* Opus may change from packet to packet; a decoder makes two channels of any. */
	return f->codec == SL_CODEC_OPUS ? 2 : 1;
}

/* true: it is not what it was */
static bool learn_audio(struct member *m, const struct frame *f)
{
	if (m->codec == f->codec)
		return false;
	m->codec = f->codec;
	m->hz = f->codec == SL_CODEC_OPUS ? 48000 : m->track->hz;
	m->channels = (uint8_t)channels_of(m->track, f);
	return true;
}

static bool set_parameters(struct member *m, const struct frame *f)
{
	struct sl_buf now;
	bool changed;

	sl_buf_init(&now, 0);
	if (!frame_parameters(f, &now))
		sdp_parameters(f->codec, sl_str_c(m->track->params), &now);
	if (m->width == 0) /* told in the description alone */
		(void)sets_size(f->codec, sl_buf_view(&now), &m->width, &m->height);
	changed = now.len > 0 && !sl_str_eq(sl_buf_view(&now), sl_buf_view(&m->parameters));
	if (changed) {
		sl_buf_free(&m->parameters);
		m->parameters = now;
	} else {
		sl_buf_free(&now);
	}
	return changed;
}

static bool learn_video(struct member *m, const struct frame *f)
{
	uint16_t width = f->width, height = f->height;
	bool changed;

	if (!f->key)
		return false;
	if (f->codec == SL_CODEC_VP9)
		(void)vp9_frame_size(f->data, &width, &height);
	changed = m->codec != f->codec || (width && (width != m->width || height != m->height));
	m->codec = f->codec;
	if (width) {
		m->width = width;
		m->height = height;
	}
	return set_parameters(m, f) || changed;
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
	return at_ns - s->begin_ns >= (int64_t)(ms * SL_NS_PER_MS);
}

/* ---- frames */

static int64_t duration_of(const struct member *m, const struct frame *f)
{
	int64_t samples = 0;

	if (f->codec == SL_CODEC_OPUS)
		return (int64_t)opus_samples(f->data) * (int64_t)SL_NS_PER_S / 48000;
	if (m->track->kind != SL_MEDIA_AUDIO || m->hz == 0)
		return 0;
	samples = (int64_t)f->data.len / (f->codec == SL_CODEC_L16 ? 2 : 1);
	return samples * (int64_t)SL_NS_PER_S / m->hz;
}

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
		if (mux_frame(s->mux, (unsigned)m->stream, data, s->end_ns - s->begin_ns, step,
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
	int64_t duration = duration_of(m, f);

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
		      at_ns > s->begin_ns ? at_ns - s->begin_ns : 0, duration, f->key) < 0) {
		sl_count(&w->m[M_frames_dropped]);
		return;
	}
	/* A packet of sound waits there for the next of any stream, over flushes, too. */
	s->held = s->container == &containers[CONTAINER_MATROSKA] &&
				  m->track->kind == SL_MEDIA_AUDIO
			  ? m
			  : NULL;
	m->second = m->newest;
	m->newest = (struct saved){.known = true,
				   .encoding = f->encoding,
				   .ssrc = f->ssrc,
				   .ts = f->ts,
				   .seq = f->seq,
				   .arrival_ns = f->arrival_ns,
				   .at_ns = at_ns};
	m->end_ns = at_ns + duration;
	if (m->end_ns > s->end_ns)
		s->end_ns = m->end_ns;
	s->n_frames++;
	s->n_silent = 0;
	m->track->written_ms = sl_loop_ms(w->w->loop);
	m->track->stands_still = false;
	sl_count(&w->m[M_frames]);
}

void series_frame(struct series *s, struct wtrack *t, const struct frame *f, int64_t at_ns)
{
	struct member *m = member_of(s, t);
	uint64_t length = s->rec->writer->conf->segment;
	bool changed;

	if (!m)
		return;
	changed = t->kind == SL_MEDIA_AUDIO ? learn_audio(m, f) : learn_video(m, f);
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

/* ---- packets: pcapng (draft-ietf-opsawg-pcapng), each as a UDP datagram from nowhere to nowhere
 */

enum {
	PCAP_BLOCK = 0x0a0d0d0a,
	PCAP_INTERFACE = 1,
	PCAP_PACKET = 6,
	LINKTYPE_IPV4 = 228,
	IP_UDP = 28
};

static void put_host32(struct sl_buf *b, uint32_t v)
{
	sl_buf_add(b, &v, sizeof v);
}

static void pcap_begin(struct sl_buf *b)
{
	static const uint32_t section[] = {PCAP_BLOCK, 28,	   0x1a2b3c4d, 1,
					   UINT32_MAX, UINT32_MAX, 28};
	/* Times in nanoseconds: option 9, one byte of value 9 */
	static const uint32_t interface[] = {PCAP_INTERFACE, 32, LINKTYPE_IPV4, 0};
	static const uint8_t resolution[12] = {9, 0, 1, 0, 9};

	sl_buf_add(b, section, sizeof section);
	sl_buf_add(b, interface, sizeof interface);
	sl_buf_add(b, resolution, sizeof resolution);
	put_host32(b, 32);
}

static void pcap_packet(struct sl_buf *b, uint64_t unix_ns, const struct rpacket *p)
{
	uint32_t len = IP_UDP + p->len, padded = (len + 3) & ~3u;
	uint8_t head[IP_UDP] = {0x45, 0, 0,   0, 0, 0, 0x40, 0, 64, 17,
				0,    0, 127, 0, 0, 1, 127,  0, 0,  1};

	sl_put16(head + 2, (uint16_t)len);
	sl_put16(head + 20, 5004);
	sl_put16(head + 22, 5004);
	sl_put16(head + 24, (uint16_t)(8 + p->len));
	put_host32(b, PCAP_PACKET);
	put_host32(b, 32 + padded);
	put_host32(b, 0);
	put_host32(b, (uint32_t)(unix_ns >> 32));
	put_host32(b, (uint32_t)unix_ns);
	put_host32(b, len);
	put_host32(b, len);
	sl_buf_add(b, head, sizeof head);
	sl_buf_add(b, p->data, p->len);
	sl_buf_add(b, "\0\0\0", padded - len);
	put_host32(b, 32 + padded);
}

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
		pcap_begin(&b);
	}
	pcap_packet(&b, s->rec->unix_ms * SL_NS_PER_MS + (uint64_t)at_ns, p);
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
