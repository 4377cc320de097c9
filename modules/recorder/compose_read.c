/*
 * recorder/compose_read.c: the frames of one track, decoded, file after file.
 *
 * A decoder goes on over the files of a track as long as they say the same of its codec: sound then
 * has no seam. What cannot be read or decoded is left out and counted.
 */
#include "compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct track_reader {
	const struct recorded *recorded;
	const struct envelope_key *key;
	const struct cast_track *track;
	unsigned next; /* piece */
	AVFormatContext *in;
	int fd, stream;
	int64_t start_us;
	AVCodecContext *decoder;
	AVPacket *packet;
	bool drained, reopen; /* the decoder is at its end; the open file needs another one */
	bool told;	      /* that this file is bad */
	unsigned n_bad;
};

static void bad(struct track_reader *r)
{
	if (!r->told)
		r->n_bad++;
	r->told = true;
}

static void close_piece(struct track_reader *r)
{
	avformat_close_input(&r->in);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static const AVCodecParameters *parameters(const struct track_reader *r)
{
	return r->in->streams[r->stream]->codecpar;
}

static int open_piece(struct track_reader *r, const struct piece *p)
{
	const json_t *segment = json_array_get(r->recorded->segments, p->segment);
	char path[40];
	bool whole;

	r->told = false;
	r->start_us = p->at.from_us;
	r->stream = (int)p->stream;
	r->fd = recorded_file(r->recorded, segment, r->key, &whole);
	if (r->fd < 0)
		return r->fd;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", r->fd);
	if (avformat_open_input(&r->in, path, NULL, NULL) < 0 ||
	    avformat_find_stream_info(r->in, NULL) < 0 || r->in->nb_streams <= p->stream)
		return -SL_EPARSE;
	for (unsigned i = 0; i < r->in->nb_streams; i++)
		if (i != p->stream)
			r->in->streams[i]->discard = AVDISCARD_ALL;
	return 0;
}

/* ---- the decoder */

static bool goes_on(const struct track_reader *r)
{
	const AVCodecParameters *p = parameters(r);
	const AVCodecContext *d = r->decoder;

	return d->codec_id == p->codec_id && d->extradata_size == p->extradata_size &&
	       (p->extradata_size == 0 ||
		memcmp(d->extradata, p->extradata, (size_t)p->extradata_size) == 0) &&
	       (p->codec_type != AVMEDIA_TYPE_AUDIO ||
		(d->sample_rate == p->sample_rate &&
		 d->ch_layout.nb_channels == p->ch_layout.nb_channels));
}

static int open_decoder(struct track_reader *r)
{
	const AVCodec *codec = avcodec_find_decoder(parameters(r)->codec_id);

	avcodec_free_context(&r->decoder);
	r->reopen = r->drained = false;
	r->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!r->decoder || avcodec_parameters_to_context(r->decoder, parameters(r)) < 0)
		return -SL_EUNSUPP;
	r->decoder->thread_count = 1; /* the encoder has the other cores */
	r->decoder->pkt_timebase = (AVRational){1, US_PER_S};
	return avcodec_open2(r->decoder, codec, NULL) < 0 ? -SL_EUNSUPP : 0;
}

static void drain(struct track_reader *r)
{
	if (!r->drained)
		(void)avcodec_send_packet(r->decoder, NULL); /* at its end already: the same */
	r->drained = true;
}

/* Opens the next file that can be read; false: there is none. */
static bool next_piece(struct track_reader *r)
{
	close_piece(r);
	while (r->next < r->track->n_pieces) {
		if (open_piece(r, &r->track->pieces[r->next++]) < 0) {
			bad(r);
			close_piece(r);
			continue;
		}
		if (r->decoder && goes_on(r))
			return true;
		r->reopen = true;
		if (r->decoder)
			drain(r);
		return true;
	}
	return false;
}

/* ---- */

static void send(struct track_reader *r)
{
	AVRational base = r->in->streams[r->stream]->time_base;
	AVPacket *p = r->packet;

	if (p->pts == AV_NOPTS_VALUE)
		p->pts = p->dts;
	p->pts = av_rescale_q(p->pts, base, (AVRational){1, US_PER_S}) + r->start_us;
	p->dts = p->pts;
	p->duration = av_rescale_q(p->duration, base, (AVRational){1, US_PER_S});
	if (avcodec_send_packet(r->decoder, p) < 0)
		bad(r);
}

/* Gives the decoder something; false: nothing is left. */
static bool feed(struct track_reader *r)
{
	if (r->reopen && (!r->decoder || r->drained)) {
		if (open_decoder(r) == 0)
			return true;
		bad(r);
		avcodec_free_context(&r->decoder);
		return next_piece(r);
	}
	if (!r->in)
		return next_piece(r);
	while (av_read_frame(r->in, r->packet) >= 0) {
		bool ours = r->packet->stream_index == r->stream;

		if (ours)
			send(r);
		av_packet_unref(r->packet);
		if (ours)
			return true;
	}
	if (next_piece(r))
		return true;
	if (!r->decoder || r->drained)
		return false;
	drain(r);
	return true;
}

/* There is no more: a long recording has many tracks, and few at a time. */
static bool end(struct track_reader *r)
{
	close_piece(r);
	avcodec_free_context(&r->decoder);
	r->next = r->track->n_pieces;
	r->reopen = false;
	return false;
}

bool reader_next(struct track_reader *r, AVFrame *frame, int64_t *ret_at_us)
{
	for (;;) {
		int rc = r->decoder ? avcodec_receive_frame(r->decoder, frame) : AVERROR(EAGAIN);

		if (rc >= 0 && frame->best_effort_timestamp != AV_NOPTS_VALUE) {
			*ret_at_us = frame->best_effort_timestamp;
			return true;
		}
		if (rc >= 0) {
			av_frame_unref(frame);
			continue;
		}
		if (rc == AVERROR_EOF && !r->reopen)
			return end(r);
		if (rc != AVERROR_EOF && rc != AVERROR(EAGAIN))
			bad(r);
		if (!feed(r))
			return end(r);
	}
}

int reader_new(struct track_reader **ret_reader, const struct recorded *recorded,
	       const struct envelope_key *key, const struct cast_track *t, int64_t at_us)
{
	struct track_reader *r = calloc(1, sizeof *r);

	if (!r)
		return -SL_ENOMEM;
	*r = (struct track_reader){.recorded = recorded, .key = key, .track = t, .fd = -1};
	r->packet = av_packet_alloc();
	if (!r->packet) {
		free(r);
		return -SL_ENOMEM;
	}
	while (r->next < t->n_pieces && t->pieces[r->next].at.to_us < at_us)
		r->next++;
	/* The last picture before it stands until the next one comes. */
	if (t->video && r->next > 0 &&
	    (r->next == t->n_pieces || t->pieces[r->next].at.from_us > at_us))
		r->next--;
	*ret_reader = r;
	return 0;
}

void reader_free(struct track_reader *r)
{
	if (!r)
		return;
	close_piece(r);
	avcodec_free_context(&r->decoder);
	av_packet_free(&r->packet);
	free(r);
}

unsigned reader_bad(const struct track_reader *r)
{
	return r->n_bad;
}
