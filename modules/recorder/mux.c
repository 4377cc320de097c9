/*
 * recorder/mux.c: see mux.h.
 *
 * libavformat writes into a buffer of ours; what it wrote goes to the sink as runs: a new one
 * begins where it seeks, and at each flush. Matroska's clusters and MP4's fragments end at our
 * flushes only, so that how much a crash can cost is decided in one place.
 */
#include "mux.h"
#include <sluice/buf.h>
#include <sluice/clock.h>
#include "depacket.h"

#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <stdlib.h>

#define IO_BYTES 65536
#define RUN_MAX (1u << 20) /* a longer run is handed over before a flush */
#define OPUS_HEAD 19
/* Before our flush it ends no cluster by itself, unless this much time or bytes are in it. */
#define CLUSTER_MS 5000
#define CLUSTER_BYTES (4 << 20)

struct mux {
	AVFormatContext *format;
	AVPacket *packet;
	mux_sink_fn *sink;
	void *arg;
	struct sl_buf run;
	uint64_t run_at, at; /* where the run began; where the next byte goes */
	struct sl_buf units; /* of a frame without its parameter sets, where a file has them once */
	uint8_t codec[MUX_MAX_STREAMS];
	bool sets_apart;
	bool keeps; /* Matroska: a sound until the next frame, of any stream */
	int kept;   /* its stream; -1: none */
	int64_t last_dts[MUX_MAX_STREAMS];
	bool begun;
};

/* ---- bytes */

static void hand_over(struct mux *m)
{
	if (m->run.len > 0 && sl_buf_ok(&m->run) == 0)
		m->sink(m->arg, m->run_at, sl_buf_view(&m->run));
	sl_buf_reset(&m->run);
	m->run_at = m->at;
}

static int on_write(void *arg, uint8_t *data, int len)
{
	struct mux *m = arg;

	sl_buf_add(&m->run, data, (size_t)len);
	m->at += (uint64_t)len;
	if (m->run.len > RUN_MAX)
		hand_over(m);
	return sl_buf_ok(&m->run) < 0 ? AVERROR(ENOMEM) : len;
}

static int64_t on_seek(void *arg, int64_t offset, int whence)
{
	struct mux *m = arg;

	if (whence != SEEK_SET || offset < 0)
		return AVERROR(ENOSYS);
	hand_over(m);
	m->at = m->run_at = (uint64_t)offset;
	return offset;
}

static int open_io(struct mux *m, bool seekable)
{
	uint8_t *buffer = av_malloc(IO_BYTES);
	AVIOContext *io = buffer ? avio_alloc_context(buffer, IO_BYTES, 1, m, NULL, on_write,
						      seekable ? on_seek : NULL)
				 : NULL;

	if (!io) {
		av_free(buffer);
		return -SL_ENOMEM;
	}
	io->seekable = seekable ? AVIO_SEEKABLE_NORMAL : 0;
	m->format->pb = io;
	m->format->flags |= AVFMT_FLAG_CUSTOM_IO;
	return 0;
}

/* ---- streams */

static enum AVCodecID av_codec(unsigned codec)
{
	switch (codec) {
	case SL_CODEC_OPUS:
		return AV_CODEC_ID_OPUS;
	case SL_CODEC_PCMU:
		return AV_CODEC_ID_PCM_MULAW;
	case SL_CODEC_PCMA:
		return AV_CODEC_ID_PCM_ALAW;
	case SL_CODEC_G722:
		return AV_CODEC_ID_ADPCM_G722;
	case SL_CODEC_L16:
		return AV_CODEC_ID_PCM_S16LE;
	case SL_CODEC_VP8:
		return AV_CODEC_ID_VP8;
	case SL_CODEC_VP9:
		return AV_CODEC_ID_VP9;
	case SL_CODEC_H264:
		return AV_CODEC_ID_H264;
	case SL_CODEC_H265:
		return AV_CODEC_ID_HEVC;
	case SL_CODEC_AV1:
		return AV_CODEC_ID_AV1;
	default:
		return AV_CODEC_ID_NONE;
	}
}

/* RFC 7845 section 5.1: no pre-skip, since a call has no beginning that would have to go */
static void write_opus_head(uint8_t dst[OPUS_HEAD], unsigned channels)
{
	static const uint8_t head[OPUS_HEAD] = {'O', 'p', 'u',	's',  'H', 'e', 'a', 'd', 1, 2,
						0,   0,	  0x80, 0xbb, 0,   0,	0,   0,	  0};

	memcpy(dst, head, sizeof head);
	dst[9] = (uint8_t)channels;
}

static int set_extradata(AVCodecParameters *par, struct sl_str bytes)
{
	if (bytes.len == 0)
		return 0;
	par->extradata = av_mallocz(bytes.len + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!par->extradata)
		return -SL_ENOMEM;
	memcpy(par->extradata, bytes.p, bytes.len);
	par->extradata_size = (int)bytes.len;
	return 0;
}

static int describe_audio(AVCodecParameters *par, const struct mux_stream *s)
{
	uint8_t head[OPUS_HEAD];

	par->codec_type = AVMEDIA_TYPE_AUDIO;
	/* G.722 says 8000 in RTP, by a mistake of RFC 1890 that was kept; it samples at 16000. */
	par->sample_rate = s->codec == SL_CODEC_G722 ? 16000 : (int)s->hz;
	av_channel_layout_default(&par->ch_layout, s->channels);
	par->bits_per_coded_sample = av_get_bits_per_sample(par->codec_id);
	par->block_align = par->bits_per_coded_sample * s->channels / 8;
	par->bit_rate = (int64_t)par->bits_per_coded_sample * par->sample_rate * s->channels;
	if (s->codec != SL_CODEC_OPUS)
		return 0;
	par->block_align = 0;
	par->bit_rate = 0;
	write_opus_head(head, s->channels);
	return set_extradata(par, (struct sl_str){(char *)head, sizeof head});
}

/* An MP4 file says which profile it has; of the parameters of VP9 that is all. */
static void describe_vp9(AVCodecParameters *par, const struct mux_stream *s)
{
	static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV444P,
						     AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV444P10};
	unsigned profile = s->parameters.len > 0 ? (uint8_t)s->parameters.p[0] & 3 : 0;

	par->format = formats[profile];
	par->profile = (int)profile;
}

static int describe_video(AVCodecParameters *par, const struct mux_stream *s, bool mp4)
{
	par->codec_type = AVMEDIA_TYPE_VIDEO;
	par->width = s->width;
	par->height = s->height;
	if (s->codec == SL_CODEC_VP9) {
		describe_vp9(par, s);
		return 0;
	}
	if (s->codec == SL_CODEC_H265 && mp4)
		par->codec_tag = MKTAG('h', 'v', 'c', '1'); /* the one that all players take */
	return set_extradata(par, s->parameters);
}

static int add_stream(struct mux *m, const struct mux_stream *s)
{
	AVStream *stream = avformat_new_stream(m->format, NULL);
	char title[256];

	if (!stream)
		return -SL_ENOMEM;
	stream->codecpar->codec_id = av_codec(s->codec);
	stream->time_base = (AVRational){1, 1000000};
	(void)sl_str_copy(title, sizeof title, s->title);
	if (title[0])
		(void)av_dict_set(&stream->metadata, "title", title, 0);
	if (sl_codec_kind(s->codec) == SL_MEDIA_AUDIO)
		return describe_audio(stream->codecpar, s);
	stream->avg_frame_rate = (AVRational){0, 1};
	return describe_video(stream->codecpar, s, m->sets_apart);
}

/* ---- life */

static void set_options(const struct mux_opts *o, AVDictionary **options)
{
	if (o->container == &containers[CONTAINER_MATROSKA]) {
		(void)av_dict_set_int(options, "cluster_time_limit", CLUSTER_MS, 0);
		(void)av_dict_set_int(options, "cluster_size_limit", CLUSTER_BYTES, 0);
		(void)av_dict_set(options, "default_mode", "passthrough", 0);
	} else if (o->container == &containers[CONTAINER_MP4]) {
		(void)av_dict_set(options, "movflags",
				  o->continues ? "frag_custom+empty_moov+default_base_moof+"
						 "skip_trailer+frag_discont"
					       : "frag_custom+empty_moov+default_base_moof+"
						 "skip_trailer",
				  0);
		if (o->continues)
			(void)av_dict_set_int(options, "use_editlist", 0, 0);
		(void)av_dict_set(options, "strict", "experimental", 0);
	} else if (o->container == &containers[CONTAINER_OGG]) {
		(void)av_dict_set_int(options, "page_duration", 500000, 0);
	}
}

static int begin(struct mux *m, const struct mux_opts *o)
{
	AVDictionary *options = NULL;
	char text[256], when[64];
	time_t seconds = (time_t)(o->unix_ms / 1000);
	struct tm tm;
	int rc;

	(void)sl_str_copy(text, sizeof text, o->title);
	(void)av_dict_set(&m->format->metadata, "title", text, 0);
	if (gmtime_r(&seconds, &tm) && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		(void)av_dict_set(&m->format->metadata, "creation_time", when, 0);
	m->format->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
	set_options(o, &options);
	rc = avformat_write_header(m->format, &options);
	av_dict_free(&options);
	m->begun = rc >= 0;
	return rc < 0 ? -SL_EUNSUPP : 0;
}

static void free_mux(struct mux *m)
{
	if (m->format && m->format->pb) {
		av_freep(&m->format->pb->buffer);
		avio_context_free(&m->format->pb);
	}
	avformat_free_context(m->format);
	av_packet_free(&m->packet);
	sl_buf_free(&m->units);
	sl_buf_free(&m->run);
	free(m);
}

int mux_open(const struct mux_opts *o, struct mux **ret_mux)
{
	struct mux *m;
	int rc;

	if (o->n_streams == 0 || o->n_streams > MUX_MAX_STREAMS)
		return -SL_EUNSUPP;
	m = calloc(1, sizeof *m);
	if (!m)
		return -SL_ENOMEM;
	av_log_set_level(AV_LOG_QUIET); /* it speaks of options, to nobody who could change them */
	m->sink = o->sink;
	m->arg = o->arg;
	m->sets_apart = o->container == &containers[CONTAINER_MP4];
	m->keeps = o->container == &containers[CONTAINER_MATROSKA];
	m->kept = -1;
	sl_buf_init(&m->run, 0);
	sl_buf_init(&m->units, 0);
	m->packet = av_packet_alloc();
	(void)avformat_alloc_output_context2(&m->format, NULL,
					     o->webm ? "webm" : o->container->format, NULL);
	rc = m->packet && m->format ? open_io(m, o->seekable) : -SL_ENOMEM;
	for (unsigned i = 0; rc == 0 && i < o->n_streams; i++) {
		m->last_dts[i] = INT64_MIN;
		m->codec[i] = o->streams[i].codec;
		rc = add_stream(m, &o->streams[i]);
	}
	if (rc == 0)
		rc = begin(m, o);
	if (rc < 0) {
		free_mux(m);
		return rc;
	}
	mux_flush(m);
	*ret_mux = m;
	return 0;
}

/* hvc1 and avc1: parameter sets stand in the head alone (ISO/IEC 14496-15). */
static struct sl_str apart(struct mux *m, unsigned stream, struct sl_str data)
{
	uint8_t codec = m->codec[stream];

	if (!m->sets_apart || (codec != SL_CODEC_H264 && codec != SL_CODEC_H265))
		return data;
	sl_buf_reset(&m->units);
	without_sets(codec, data, &m->units);
	return m->units.len > 0 && sl_buf_ok(&m->units) == 0 ? sl_buf_view(&m->units) : data;
}

int mux_frame(struct mux *m, unsigned stream, struct sl_str data, int64_t at_ns,
	      int64_t duration_ns, bool key)
{
	AVRational nanoseconds = {1, (int)SL_NS_PER_S};
	AVStream *s = m->format->streams[stream];
	AVPacket *p = m->packet;
	int rc;

	data = apart(m, stream, data);
	av_packet_unref(p);
	if (av_new_packet(p, (int)data.len) < 0)
		return -SL_ENOMEM;
	memcpy(p->data, data.p, data.len);
	p->stream_index = (int)stream;
	p->dts = av_rescale_q(at_ns, nanoseconds, s->time_base);
	if (p->dts <= m->last_dts[stream] && m->last_dts[stream] != INT64_MIN)
		p->dts = m->last_dts[stream] + 1;
	m->last_dts[stream] = p->pts = p->dts;
	p->duration = av_rescale_q(duration_ns, nanoseconds, s->time_base);
	p->flags = key ? AV_PKT_FLAG_KEY : 0;
	rc = av_write_frame(m->format, p);
	m->kept = m->keeps && s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO ? (int)stream : -1;
	return rc < 0 ? -SL_EPARSE : 0;
}

/* A packet without bytes makes Matroska's muxer let go of the sound that it keeps for a cluster
 * with a picture; nothing of it is written. */
static void let_go(struct mux *m)
{
	AVPacket *p = m->packet;

	if (m->kept < 0)
		return;
	av_packet_unref(p);
	if (av_new_packet(p, 0) < 0)
		return; /* the next frame does it */
	p->stream_index = m->kept;
	p->dts = p->pts = m->last_dts[m->kept];
	m->kept = -1;
	(void)av_write_frame(m->format, p); /* what fails here fails again later */
}

void mux_flush(struct mux *m)
{
	let_go(m);
	if (m->format->oformat->flags & AVFMT_ALLOW_FLUSH)
		(void)av_write_frame(m->format, NULL); /* what fails here fails again later */
	/* Else a fragment would begin where the one before seemed to end. A picture's length is not
	 * known when it is written: the next fragment's first would be at the same time. */
	if (m->sets_apart)
		(void)av_opt_set(m->format->priv_data, "movflags", "+frag_discont", 0);
	avio_flush(m->format->pb);
	hand_over(m);
}

void mux_close(struct mux *m)
{
	if (!m)
		return;
	mux_flush(m);
	if (m->begun)
		(void)av_write_trailer(m->format);
	avio_flush(m->format->pb);
	hand_over(m);
	free_mux(m);
}
