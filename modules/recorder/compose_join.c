/*
 * recorder/compose_join.c: parts into the file that was asked for: pictures as they are, each at
 * its number, and sound encoded once over all of them, so that there is no seam to hear.
 */
#include "compose.h"

#include <libswresample/swresample.h>
#include <stdio.h>
#include <stdlib.h>

struct join {
	struct film film;
	const struct compose_opts *o;
	AVFormatContext *in;
	AVCodecContext *decoder;
	SwrContext *swr;
	AVPacket *packet;
	AVFrame *frame;
	int picture, sound; /* streams of the part; -1: none */
	int64_t first;	    /* picture of the part */
	int64_t number;	    /* of the next picture */
	float *samples;
	size_t cap;
};

static int open_part(struct join *j, const char *path)
{
	const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_FLAC);
	const AVCodecParameters *p;

	if (avformat_open_input(&j->in, path, NULL, NULL) < 0 ||
	    avformat_find_stream_info(j->in, NULL) < 0)
		return -SL_EPARSE;
	j->picture = av_find_best_stream(j->in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
	j->sound = av_find_best_stream(j->in, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
	if (j->sound < 0 || !codec || !(j->decoder = avcodec_alloc_context3(codec)))
		return -SL_EPARSE;
	p = j->in->streams[j->sound]->codecpar;
	return avcodec_parameters_to_context(j->decoder, p) < 0 ||
			       avcodec_open2(j->decoder, codec, NULL) < 0
		       ? -SL_EPARSE
		       : 0;
}

static void close_part(struct join *j)
{
	avformat_close_input(&j->in);
	avcodec_free_context(&j->decoder);
}

/* ---- */

static int copy_picture(struct join *j)
{
	AVPacket *p = j->packet;

	p->pts = p->dts =
		j->first + av_rescale_q_rnd(p->pts, j->in->streams[j->picture]->time_base,
					    (AVRational){1, (int)j->o->fps}, AV_ROUND_NEAR_INF);
	p->duration = 1;
	j->number = p->pts + 1;
	av_packet_rescale_ts(p, (AVRational){1, (int)j->o->fps}, j->film.picture_out->time_base);
	p->stream_index = j->film.picture_out->index;
	p->pos = -1;
	return av_interleaved_write_frame(j->film.out, p) < 0 ? -SL_ESYS : 0;
}

static int to_float(struct join *j)
{
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
	AVFrame *f = j->frame;
	size_t need = (size_t)f->nb_samples * COMPOSE_CHANNELS;
	uint8_t *out;

	if (!j->swr &&
	    (swr_alloc_set_opts2(&j->swr, &stereo, AV_SAMPLE_FMT_FLT, COMPOSE_HZ, &f->ch_layout,
				 f->format, f->sample_rate, 0, NULL) < 0 ||
	     swr_init(j->swr) < 0))
		return -SL_EUNSUPP;
	if (need > j->cap) {
		float *more = realloc(j->samples, need * sizeof *more);

		if (!more)
			return -SL_ENOMEM;
		j->samples = more;
		j->cap = need;
	}
	out = (uint8_t *)j->samples;
	return swr_convert(j->swr, &out, f->nb_samples, (const uint8_t **)f->extended_data,
			   f->nb_samples) == f->nb_samples
		       ? 0
		       : -SL_EPARSE;
}

/* p NULL: the end of the part */
static int decode(struct join *j, const AVPacket *p)
{
	int rc = avcodec_send_packet(j->decoder, p) < 0 ? -SL_EPARSE : 0;

	while (rc == 0 && avcodec_receive_frame(j->decoder, j->frame) >= 0) {
		rc = to_float(j);
		if (rc == 0)
			rc = film_sound(&j->film, j->samples, (unsigned)j->frame->nb_samples);
		av_frame_unref(j->frame);
	}
	return rc;
}

static int copy_part(struct join *j)
{
	int rc = 0;

	while (rc == 0 && av_read_frame(j->in, j->packet) >= 0) {
		if (j->packet->stream_index == j->picture)
			rc = copy_picture(j);
		else if (j->packet->stream_index == j->sound)
			rc = decode(j, j->packet);
		av_packet_unref(j->packet);
	}
	return rc < 0 ? rc : decode(j, NULL);
}

static int begin(struct join *j, const struct film_kind *kind, const char *to)
{
	int rc = film_open(&j->film, to, kind->format);

	if (rc == 0 && j->o->title)
		(void)av_dict_set(&j->film.out->metadata, "title", j->o->title, 0);
	if (rc == 0 && j->o->created)
		(void)av_dict_set(&j->film.out->metadata, "creation_time", j->o->created, 0);
	if (rc == 0 && kind->picture != AV_CODEC_ID_NONE)
		rc = j->picture < 0
			     ? -SL_EPARSE
			     : film_copy_picture(&j->film, j->in->streams[j->picture], j->o->fps);
	if (rc == 0)
		rc = film_add_sound(&j->film, kind->sound);
	return rc < 0 ? rc : film_begin(&j->film);
}

static int join_all(struct join *j, const char *dir, unsigned n_parts, unsigned part_frames,
		    const struct film_kind *kind, const char *to)
{
	int rc = 0;

	for (unsigned i = 0; i < n_parts && rc == 0; i++) {
		char path[LIBRARY_MAX_PATH + 40];

		(void)snprintf(path, sizeof path, "%s/%06u.mkv", dir, i);
		j->first = (int64_t)i * part_frames;
		rc = open_part(j, path);
		if (rc == 0 && i == 0)
			rc = begin(j, kind, to);
		if (rc == 0)
			rc = copy_part(j);
		close_part(j);
		if (rc < 0)
			fprintf(stderr, "sluice: %s: %s\n", path, sl_strerror(rc));
	}
	return rc < 0 ? rc : film_end(&j->film);
}

int compose_join(const char *dir, unsigned n_parts, unsigned part_frames,
		 const struct compose_opts *o, const struct film_kind *kind, const char *to)
{
	struct join j = {.o = o, .packet = av_packet_alloc(), .frame = av_frame_alloc()};
	int rc = j.packet && j.frame ? join_all(&j, dir, n_parts, part_frames, kind, to)
				     : -SL_ENOMEM;

	film_close(&j.film);
	swr_free(&j.swr);
	av_packet_free(&j.packet);
	av_frame_free(&j.frame);
	free(j.samples);
	return rc;
}
