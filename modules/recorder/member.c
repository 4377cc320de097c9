/*
 * recorder/member.c: a stream of a series of files: what its frames say of it, which is what a
 * file's head has to know before the first of them is written.
 */
#include "series.h"

/* true: it is not what it was */
static bool learn_audio(struct member *m, const struct frame *f)
{
	if (m->codec == f->codec)
		return false;
	m->codec = f->codec;
	m->hz = f->codec == SL_CODEC_OPUS ? 48000 : m->track->hz;
	/* Opus may change from packet to packet; a decoder makes two channels of any. */
	m->channels = f->codec == SL_CODEC_OPUS ? 2 : 1;
	return true;
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
	changed = parameters_learn(f, sl_str_c(m->track->params), &m->parameters) || changed;
	if (m->width == 0) /* told in the description alone */
		(void)sets_size(f->codec, sl_buf_view(&m->parameters), &m->width, &m->height);
	return changed;
}

bool member_learn(struct member *m, const struct frame *f)
{
	return m->track->kind == SL_MEDIA_AUDIO ? learn_audio(m, f) : learn_video(m, f);
}

bool member_is_known(const struct member *m)
{
	return m->codec && (m->track->kind == SL_MEDIA_AUDIO || m->width);
}

struct mux_stream member_describe(const struct member *m)
{
	return (struct mux_stream){.codec = m->codec,
				   .hz = m->hz,
				   .channels = m->channels,
				   .width = m->width,
				   .height = m->height,
				   .parameters = sl_buf_view(&m->parameters),
				   .title = sl_str_c(m->track->label)};
}

int64_t member_duration(const struct member *m, const struct frame *f)
{
	int64_t samples = 0;

	if (f->codec == SL_CODEC_OPUS)
		return (int64_t)opus_samples(f->data) * (int64_t)SL_NS_PER_S / 48000;
	if (m->track->kind != SL_MEDIA_AUDIO || m->hz == 0)
		return 0;
	samples = (int64_t)f->data.len / (f->codec == SL_CODEC_L16 ? 2 : 1);
	return samples * (int64_t)SL_NS_PER_S / m->hz;
}
