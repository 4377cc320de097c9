/*
 * recorder/compose_film.c: encoders and a file: of a part, whose sound is kept without loss, and of
 * the whole.
 *
 * Pictures come at a constant rate and are never reordered, so that parts can be put one behind
 * another. Sound comes in any amounts and is cut into what the encoder wants.
 */
#include "compose.h"

#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>

#define PCM_FRAME 4800 /* of encoders that take any amount */
#define KEY_EVERY_S 4

/* ---- what a name asks for */

static const struct {
	const char *name;
	enum AVCodecID id;
	const char *encoders[3]; /* the first that is there */
} codecs[] = {
	{"h264", AV_CODEC_ID_H264, {"libx264", "libopenh264", "h264"}},
	{"vp8", AV_CODEC_ID_VP8, {"libvpx"}},
	{"vp9", AV_CODEC_ID_VP9, {"libvpx-vp9"}},
};

static const struct {
	const char *suffix, *format, *codec; /* codec: NULL: sound alone */
	enum AVCodecID sound;
} files[] = {
	{".mp4", "mp4", "h264", AV_CODEC_ID_AAC},
	{".m4v", "mp4", "h264", AV_CODEC_ID_AAC},
	{".mov", "mov", "h264", AV_CODEC_ID_AAC},
	{".webm", "webm", "vp9", AV_CODEC_ID_OPUS},
	{".mkv", "matroska", "h264", AV_CODEC_ID_OPUS},
	{".ogg", "ogg", NULL, AV_CODEC_ID_OPUS},
	{".opus", "ogg", NULL, AV_CODEC_ID_OPUS},
	{".wav", "wav", NULL, AV_CODEC_ID_PCM_S16LE},
	{".flac", "flac", NULL, AV_CODEC_ID_FLAC},
	{".m4a", "mp4", NULL, AV_CODEC_ID_AAC},
};

static const char *encoder_of(const char *const names[3])
{
	for (unsigned i = 0; i < 3 && names[i]; i++)
		if (avcodec_find_encoder_by_name(names[i]))
			return names[i];
	return NULL;
}

static bool set_codec(const char *name, struct film_kind *kind)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(codecs); i++) {
		if (strcmp(codecs[i].name, name) != 0)
			continue;
		kind->picture = codecs[i].id;
		kind->encoder = encoder_of(codecs[i].encoders);
		return kind->encoder != NULL;
	}
	return false;
}

bool film_kind_of(const struct compose_opts *o, struct film_kind *ret_kind)
{
	const char *suffix = strrchr(o->to, '.'), *codec;
	struct film_kind kind = {.picture = AV_CODEC_ID_NONE};
	size_t i = 0;

	while (i < SL_ARRAY_LEN(files) && (!suffix || strcmp(files[i].suffix, suffix) != 0))
		i++;
	if (i == SL_ARRAY_LEN(files)) {
		fputs("sluice: -o names a film (.mp4, .webm, .mkv) or a sound (.ogg, .wav, .flac, "
		      ".m4a)\n",
		      stderr);
		return false;
	}
	kind.format = files[i].format;
	kind.sound = files[i].sound;
	codec = files[i].codec && o->codec ? o->codec : files[i].codec;
	if (codec && !set_codec(codec, &kind)) {
		fprintf(stderr,
			"sluice: there is no encoder for %s; --codec takes vp8, vp9, h264\n",
			codec);
		return false;
	}
	if (strcmp(kind.format, "webm") == 0 && kind.picture == AV_CODEC_ID_H264) {
		fputs("sluice: a .webm takes vp8 or vp9; h264 goes into .mp4 or .mkv\n", stderr);
		return false;
	}
	*ret_kind = kind;
	return true;
}

/* ---- the file */

int film_open(struct film *f, const char *path, const char *format)
{
	*f = (struct film){.packet = av_packet_alloc(), .samples = av_frame_alloc()};
	if (!f->packet || !f->samples ||
	    avformat_alloc_output_context2(&f->out, NULL, format, path) < 0)
		return -SL_ENOMEM;
	f->out->flags |= AVFMT_FLAG_BITEXACT;
	return avio_open(&f->out->pb, path, AVIO_FLAG_WRITE) < 0 ? -SL_ESYS : 0;
}

int film_begin(struct film *f)
{
	AVDictionary *o = NULL;
	int rc;

	if (strcmp(f->out->oformat->name, "mp4") == 0 || strcmp(f->out->oformat->name, "mov") == 0)
		(void)av_dict_set(&o, "movflags", "+faststart", 0);
	rc = avformat_write_header(f->out, &o);
	av_dict_free(&o);
	return rc < 0 ? -SL_EUNSUPP : 0;
}

void film_close(struct film *f)
{
	avcodec_free_context(&f->picture);
	avcodec_free_context(&f->sound);
	if (f->out)
		avio_closep(&f->out->pb);
	avformat_free_context(f->out);
	av_packet_free(&f->packet);
	av_frame_free(&f->samples);
	free(f->held);
	*f = (struct film){0};
}

/* ---- pictures */

static void set_quality(AVCodecContext *e, AVDictionary **o, unsigned pixels, unsigned fps)
{
	int64_t bps = (int64_t)pixels * fps / 10; /* 1280x720 at 25: 2.3 Mbit/s */

	if (e->codec_id == AV_CODEC_ID_H264) {
		(void)av_dict_set(o, "preset", "veryfast", 0); /* others ignore these two */
		(void)av_dict_set(o, "crf", "23", 0);
		if (strcmp(e->codec->name, "libx264") != 0)
			e->bit_rate = bps;
		return;
	}
	e->bit_rate = bps;
	(void)av_dict_set(o, "deadline", "realtime", 0);
	(void)av_dict_set(o, "cpu-used", e->codec_id == AV_CODEC_ID_VP9 ? "7" : "5", 0);
	(void)av_dict_set(o, "crf", e->codec_id == AV_CODEC_ID_VP9 ? "30" : "12", 0);
	(void)av_dict_set(o, "lag-in-frames", "0", 0);
	(void)av_dict_set(o, "auto-alt-ref", "0", 0);
	if (e->codec_id == AV_CODEC_ID_VP9)
		(void)av_dict_set(o, "row-mt", "1", 0);
}

int film_add_picture(struct film *f, const struct compose_opts *o, const struct film_kind *kind)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(kind->encoder);
	AVDictionary *options = NULL;
	AVCodecContext *e = codec ? avcodec_alloc_context3(codec) : NULL;
	int rc;

	f->picture = e;
	if (!e || !(f->picture_out = avformat_new_stream(f->out, NULL)))
		return -SL_ENOMEM;
	e->width = (int)o->width;
	e->height = (int)o->height;
	e->pix_fmt = AV_PIX_FMT_YUV420P;
	e->time_base = (AVRational){1, (int)o->fps};
	e->framerate = (AVRational){(int)o->fps, 1};
	e->gop_size = (int)o->fps * KEY_EVERY_S;
	e->max_b_frames = 0;
	e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	e->color_range = AVCOL_RANGE_MPEG;
	e->colorspace = AVCOL_SPC_SMPTE170M;
	e->color_primaries = AVCOL_PRI_SMPTE170M;
	e->color_trc = AVCOL_TRC_SMPTE170M;
	set_quality(e, &options, o->width * o->height, o->fps);
	rc = avcodec_open2(e, codec, &options);
	av_dict_free(&options);
	if (rc < 0 || avcodec_parameters_from_context(f->picture_out->codecpar, e) < 0)
		return -SL_EUNSUPP;
	f->picture_out->time_base = e->time_base;
	f->picture_out->avg_frame_rate = e->framerate;
	return 0;
}

int film_copy_picture(struct film *f, const AVStream *from, unsigned fps)
{
	f->picture_out = avformat_new_stream(f->out, NULL);
	if (!f->picture_out ||
	    avcodec_parameters_copy(f->picture_out->codecpar, from->codecpar) < 0)
		return -SL_ENOMEM;
	f->picture_out->codecpar->codec_tag = 0;
	f->picture_out->time_base = (AVRational){1, (int)fps};
	f->picture_out->avg_frame_rate = (AVRational){(int)fps, 1};
	return 0;
}

/* Writes what the encoder has; frame NULL: its end. */
static int encode(struct film *f, AVCodecContext *e, AVStream *to, const AVFrame *frame)
{
	int rc = avcodec_send_frame(e, frame);

	if (rc < 0)
		return -SL_EPARSE;
	while ((rc = avcodec_receive_packet(e, f->packet)) >= 0) {
		f->packet->stream_index = to->index;
		if (f->packet->duration == 0 && e->codec_type == AVMEDIA_TYPE_VIDEO)
			f->packet->duration = 1;
		av_packet_rescale_ts(f->packet, e->time_base, to->time_base);
		if (av_interleaved_write_frame(f->out, f->packet) < 0)
			return -SL_ESYS;
	}
	return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? 0 : -SL_EPARSE;
}

int film_picture(struct film *f, AVFrame *frame, int64_t number)
{
	frame->pts = number;
	frame->pict_type = AV_PICTURE_TYPE_NONE;
	return encode(f, f->picture, f->picture_out, frame);
}

/* ---- sound */

static enum AVSampleFormat sample_format(enum AVCodecID id)
{
	return id == AV_CODEC_ID_AAC	? AV_SAMPLE_FMT_FLTP
	       : id == AV_CODEC_ID_OPUS ? AV_SAMPLE_FMT_FLT
					: AV_SAMPLE_FMT_S16;
}

int film_add_sound(struct film *f, enum AVCodecID id)
{
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
	const AVCodec *codec = id == AV_CODEC_ID_OPUS ? avcodec_find_encoder_by_name("libopus")
						      : avcodec_find_encoder(id);
	AVCodecContext *e = codec ? avcodec_alloc_context3(codec) : NULL;

	f->sound = e;
	if (!e || !(f->sound_out = avformat_new_stream(f->out, NULL)))
		return codec ? -SL_ENOMEM : -SL_EUNSUPP;
	e->sample_rate = COMPOSE_HZ;
	e->sample_fmt = sample_format(id);
	e->time_base = (AVRational){1, COMPOSE_HZ};
	e->bit_rate = id == AV_CODEC_ID_AAC ? 128000 : id == AV_CODEC_ID_OPUS ? 96000 : 0;
	e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	if (av_channel_layout_copy(&e->ch_layout, &stereo) < 0 ||
	    avcodec_open2(e, codec, NULL) < 0 ||
	    avcodec_parameters_from_context(f->sound_out->codecpar, e) < 0)
		return -SL_EUNSUPP;
	f->sound_out->time_base = e->time_base;
	f->held = calloc((size_t)(e->frame_size ? e->frame_size : PCM_FRAME) * COMPOSE_CHANNELS,
			 sizeof *f->held);
	return f->held ? 0 : -SL_ENOMEM;
}

static int16_t to_s16(float v)
{
	float scaled = v * 32767;

	return (int16_t)(scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled);
}

static void fill(const struct film *f, AVFrame *to)
{
	for (unsigned i = 0; i < f->n_held; i++)
		for (unsigned c = 0; c < COMPOSE_CHANNELS; c++) {
			float v = f->held[i * COMPOSE_CHANNELS + c];

			if (f->sound->sample_fmt == AV_SAMPLE_FMT_FLTP)
				((float *)(void *)to->data[c])[i] = v;
			else if (f->sound->sample_fmt == AV_SAMPLE_FMT_FLT)
				((float *)(void *)to->data[0])[i * COMPOSE_CHANNELS + c] = v;
			else
				((int16_t *)(void *)to->data[0])[i * COMPOSE_CHANNELS + c] =
					to_s16(v);
		}
}

static int encode_held(struct film *f)
{
	AVFrame *s = f->samples;
	int rc;

	av_frame_unref(s);
	s->format = f->sound->sample_fmt;
	s->nb_samples = (int)f->n_held;
	s->sample_rate = COMPOSE_HZ;
	if (av_channel_layout_copy(&s->ch_layout, &f->sound->ch_layout) < 0 ||
	    av_frame_get_buffer(s, 0) < 0)
		return -SL_ENOMEM;
	s->pts = f->n_samples;
	fill(f, s);
	rc = encode(f, f->sound, f->sound_out, s);
	f->n_samples += f->n_held;
	f->n_held = 0;
	return rc;
}

int film_sound(struct film *f, const float *samples, unsigned n)
{
	unsigned size = (unsigned)(f->sound->frame_size ? f->sound->frame_size : PCM_FRAME);
	int rc = 0;

	while (n > 0 && rc == 0) {
		unsigned k = size - f->n_held < n ? size - f->n_held : n;

		memcpy(f->held + (size_t)f->n_held * COMPOSE_CHANNELS, samples,
		       (size_t)k * COMPOSE_CHANNELS * sizeof *samples);
		f->n_held += k;
		samples += (size_t)k * COMPOSE_CHANNELS;
		n -= k;
		if (f->n_held == size)
			rc = encode_held(f);
	}
	return rc;
}

int film_end(struct film *f)
{
	int rc = 0;

	if (f->sound && f->n_held > 0)
		rc = encode_held(f);
	if (rc == 0 && f->sound)
		rc = encode(f, f->sound, f->sound_out, NULL);
	if (rc == 0 && f->picture)
		rc = encode(f, f->picture, f->picture_out, NULL);
	if (rc == 0 && av_write_trailer(f->out) < 0)
		rc = -SL_ESYS;
	if (rc == 0 && avio_closep(&f->out->pb) < 0)
		rc = -SL_ESYS;
	return rc;
}
