/*
 * recorder/announce.c: a room hears that it is recorded: as a participant for a few seconds, who
 * says what the operator has in a file, or beeps twice. So phones know it, too, and the recording
 * has it.
 *
 * One worker does it for a room. It speaks a moment after it came, when the others can hear it.
 */
#include "announce.h"

#include <fcntl.h>
#include <sluice/audio.h>
#include <sluice/crypto.h>
#include <sluice/room.h>
#include <sluice/signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FRAME_MS = 20,
	BEFORE_MS = 1500,
	AFTER_MS = 500,
	MAX_FILE = 16 << 20,
	PAYLOAD_TYPE = 111,
	OPUS_HZ = 48000,
	BEEP_DBOV = -20,
	NAME_MAX_LEN = 128,
};

struct announcer {
	struct sl_worker *w;
	const struct sl_room_iface *rooms;
	void *rooms_self;
	int16_t *pcm; /* of the file; NULL: beeps */
	size_t n_samples;
	unsigned hz;
	struct saying *sayings;
};

struct saying { /* in one room */
	struct saying *next;
	struct announcer *a;
	struct sl_room_member *member;
	struct sl_room_source *source;
	struct sl_audio_encoder *encoder;
	struct sl_tone beep;
	struct sl_timer tick;
	size_t at; /* samples said */
	uint16_t seq;
	uint32_t ts, ssrc;
	uint64_t begin_ms, n_frames;
	bool over;
};

static const struct sl_tone_step beeps[] = {
	{{880, 0}, 180}, {{0, 0}, 120}, {{880, 0}, 180}, {{0, 0}, 0}};

/* ---- the file: WAV, 16 bit, mono */

static uint32_t get_le(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

int announce_wav(struct sl_str file, unsigned *ret_hz, struct sl_str *ret_samples)
{
	const uint8_t *p = (const uint8_t *)file.p, *end = p + file.len;
	unsigned hz = 0;

	if (file.len < 12 || memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WAVE", 4) != 0)
		return -SL_EPARSE;
	for (p += 12; end - p >= 8;) {
		size_t len = get_le(p + 4, 4), left = (size_t)(end - p) - 8;
		const uint8_t *body = p + 8;

		len = len < left ? len : left;
		if (memcmp(p, "fmt ", 4) == 0 && len >= 16) {
			hz = get_le(body + 4, 4);
			if (get_le(body, 2) != 1 || get_le(body + 2, 2) != 1 ||
			    get_le(body + 14, 2) != 16 ||
			    (hz != 8000 && hz != 16000 && hz != OPUS_HZ))
				return -SL_EUNSUPP;
		} else if (memcmp(p, "data", 4) == 0 && hz > 0) {
			*ret_hz = hz;
			*ret_samples = (struct sl_str){(const char *)body, len & ~(size_t)1};
			return 0;
		}
		p = body + (len + (len & 1) < left ? len + (len & 1) : left);
	}
	return -SL_EPARSE;
}

static int read_file(struct announcer *a, const char *path)
{
	struct sl_buf b;
	struct sl_str samples;
	ssize_t n = -1;
	uint8_t *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -SL_ESYS;

	if (fd < 0)
		return rc;
	sl_buf_init(&b, MAX_FILE);
	while ((p = sl_buf_reserve(&b, 65536)) && (n = read(fd, p, 65536)) > 0)
		b.len += (size_t)n;
	close(fd);
	if (n == 0)
		rc = announce_wav(sl_buf_view(&b), &a->hz, &samples);
	if (rc == 0)
		a->pcm = malloc(samples.len + 1);
	if (rc == 0 && !a->pcm)
		rc = -SL_ENOMEM;
	for (size_t i = 0; rc == 0 && i < samples.len / 2; i++)
		a->pcm[i] = (int16_t)get_le((const uint8_t *)samples.p + 2 * i, 2);
	a->n_samples = rc == 0 ? samples.len / 2 : 0;
	sl_buf_free(&b);
	return rc;
}

/* ---- one room */

static void forget(struct saying *s)
{
	struct saying **link = &s->a->sayings;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	sl_timer_cancel(s->a->w->loop, &s->tick);
	sl_audio_encoder_free(s->encoder);
	free(s);
}

static void on_ended(void *arg, const char *why)
{
	struct saying *s = arg;

	(void)why;
	s->member = NULL;
	s->source = NULL;
	s->over = true; /* the next tick, which is no handler, ends it */
}

static const struct sl_room_handler handler = {.ended = on_ended};

/* false: all is said */
static bool next_samples(struct saying *s, int16_t *pcm, size_t n)
{
	const struct announcer *a = s->a;
	size_t left = a->n_samples - s->at, k = left < n ? left : n;

	if (!a->pcm)
		return sl_tone_make(&s->beep, pcm, n);
	memcpy(pcm, a->pcm + s->at, k * sizeof *pcm);
	memset(pcm + k, 0, (n - k) * sizeof *pcm);
	s->at += k;
	return s->at < a->n_samples;
}

static void send_frame(struct saying *s, struct sl_str payload, int level)
{
	struct sl_packet *p = sl_packet_new(s->a->w);
	uint8_t *head;

	if (!p)
		return;
	head = sl_packet_append(p, SL_RTP_HEADER);
	head[0] = 0x80;
	head[1] = PAYLOAD_TYPE;
	sl_put16(head + 2, s->seq++);
	sl_put32(head + 4, s->ts);
	sl_put32(head + 8, s->ssrc);
	memcpy(sl_packet_append(p, payload.len), payload.p, payload.len);
	(void)!s->a->rooms->send(s->source, p, (unsigned)-level); /* a frame less is heard so */
	sl_packet_unref(p);
}

static bool say_frame(struct saying *s)
{
	int16_t pcm[OPUS_HZ / 1000 * FRAME_MS];
	uint8_t bytes[SL_AUDIO_MAX_BYTES];
	size_t n = s->a->hz / 1000 * FRAME_MS;
	bool more = next_samples(s, pcm, n);
	int len = sl_audio_encode(s->encoder, pcm, n, bytes, sizeof bytes);

	if (len > 0)
		send_frame(s, (struct sl_str){(const char *)bytes, (size_t)len},
			   sl_audio_level(pcm, n));
	s->ts += OPUS_HZ / 1000 * FRAME_MS;
	return more;
}

static void leave(struct saying *s)
{
	s->a->rooms->leave(s->member);
	forget(s);
}

static void on_tick(struct sl_timer *t)
{
	struct saying *s = t->arg;
	uint64_t now = sl_loop_ms(s->a->w->loop);
	bool more = !s->over;

	if (s->over) {
		leave(s);
		return;
	}
	while (more && s->begin_ms + s->n_frames * FRAME_MS <= now) {
		more = say_frame(s);
		s->n_frames++;
	}
	s->over = !more;
	sl_timer_set(s->a->w->loop, &s->tick, more ? FRAME_MS : AFTER_MS);
}

static int enter(struct saying *s, struct sl_str room)
{
	const struct announcer *a = s->a;
	const struct sl_audio_encoder_opts encoder = {
		.codec = SL_CODEC_OPUS, .hz = a->hz, .complexity = 5};
	const struct sl_room_opts opts = {.room = room,
					  .name = SL_STR("Recording"),
					  .grants = SL_MAY_PUBLISH_AUDIO,
					  .handler = &handler,
					  .arg = s};
	const struct sl_room_source_opts source = {.kind = SL_MEDIA_AUDIO,
						   .codec = SL_CODEC_OPUS,
						   .clock_hz = OPUS_HZ,
						   .name = SL_STR("announcement")};
	int rc = sl_audio_encoder_new(&s->encoder, &encoder);

	if (rc == 0)
		rc = a->rooms->join(a->rooms_self, &opts, &s->member);
	return rc == 0 ? a->rooms->publish(s->member, &source, &s->source) : rc;
}

/* The first of the workers that new work goes to; whoever is asked twice in between says it twice.
 */
static bool is_mine(const struct announcer *a)
{
	uint32_t owners[256];
	unsigned n = sl_worker_current(a->w, owners, SL_ARRAY_LEN(owners));

	return n > 0 && owners[0] == sl_worker_owner(a->w);
}

void announce_room(struct announcer *a, struct sl_str room)
{
	struct saying *s;
	int rc;

	if (!a || !is_mine(a))
		return;
	s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->a = a;
	s->tick = (struct sl_timer){.fn = on_tick, .arg = s};
	s->begin_ms = sl_loop_ms(a->w->loop) + BEFORE_MS;
	(void)!sl_random(&s->ssrc, sizeof s->ssrc); /* any will do */
	sl_tone_begin(&s->beep, beeps, true, a->hz, BEEP_DBOV);
	s->next = a->sayings;
	a->sayings = s;
	rc = enter(s, room);
	if (rc < 0) {
		sl_log(SL_LOG_WARN, "recorder",
		       "room \"%.*s\" does not hear that it is recorded: %s", SL_FMT(room),
		       sl_strerror(rc));
		leave(s);
		return;
	}
	sl_timer_set(a->w->loop, &s->tick, BEFORE_MS);
}

/* ---- life */

int announce_open(struct sl_worker *w, const struct recorder_conf *conf,
		  struct announcer **ret_announcer)
{
	void *self;
	const struct sl_room_iface *rooms = sl_iface_get(w, SL_ROOM_IFACE, 1, &self);
	struct announcer *a;
	int rc = 0;

	*ret_announcer = NULL;
	if (!conf->announce || !rooms)
		return 0;
	a = calloc(1, sizeof *a);
	if (!a)
		return -SL_ENOMEM;
	*a = (struct announcer){.w = w, .rooms = rooms, .rooms_self = self, .hz = OPUS_HZ};
	if (conf->announcement.len > 0)
		rc = read_file(a, conf->announcement.p);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "recorder",
		       "the announcement %s cannot be used: WAV of 16 bit, mono, at 8, 16 or 48 "
		       "kHz, "
		       "readable by the user that workers run as, is wanted",
		       conf->announcement.p);
		free(a);
		return rc;
	}
	*ret_announcer = a;
	return 0;
}

void announce_close(struct announcer *a)
{
	if (!a)
		return;
	while (a->sayings)
		leave(a->sayings);
	free(a->pcm);
	free(a);
}
