/*
 * sluice/audio.h: speech between RTP and samples: codecs, concealment, rates, tones, digits.
 *
 * Samples are 16 bit, mono, at 8000, 16000 or 48000 Hz. Sans-I/O and without a clock; objects are
 * made when a call begins, nothing is allocated for a packet. Everything belongs to one worker.
 */
#ifndef SLUICE_AUDIO_H
#define SLUICE_AUDIO_H

#include <sluice/rtp.h>

enum {
	SL_AUDIO_MAX_MS = 120, /* of one packet (RFC 6716 section 2.1.4) */
	SL_AUDIO_MAX_HZ = 48000,
	SL_AUDIO_MAX_SAMPLES = SL_AUDIO_MAX_HZ / 1000 * SL_AUDIO_MAX_MS,
	SL_AUDIO_MAX_BYTES = 1400, /* of one payload that we make */
	SL_AUDIO_SILENT = -127,	   /* dBov: digital silence */
};

/* Samples per second that a codec carries; 0: no audio codec of ours. Opus carries any: 48000. clock_hz
 * counts for L16 only. */
SL_API unsigned sl_audio_codec_hz(enum sl_codec_id codec, unsigned clock_hz);
/* Root of the mean square against full scale, in dB: 0 .. -127 */
SL_API int sl_audio_level(const int16_t *pcm, size_t n);

/* ---- decoding: Opus, G.711 both ways, G.722, L16 */
struct sl_audio_decoder;
/* hz: wanted; Opus and equal rates come so, else it is the codec's own (sl_audio_decoder_hz).
 * -SL_EUNSUPP */
SL_API SL_MUST_CHECK int sl_audio_decoder_new(struct sl_audio_decoder **ret_decoder,
					      enum sl_codec_id codec, unsigned clock_hz,
					      unsigned hz);
SL_API void sl_audio_decoder_free(struct sl_audio_decoder *d); /* accepts NULL */
SL_API unsigned sl_audio_decoder_hz(const struct sl_audio_decoder *d);
/* Samples written, at most SL_AUDIO_MAX_SAMPLES. -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_audio_decode(struct sl_audio_decoder *d, struct sl_str payload,
					 int16_t *pcm);
/* n samples in place of a packet that is missing: from what the next packet says of it (Opus FEC,
 * next may be empty), else made up from the past. Returns n. */
SL_API int sl_audio_conceal(struct sl_audio_decoder *d, struct sl_str next, int16_t *pcm, size_t n);

/* ---- encoding */
struct sl_audio_encoder;
struct sl_audio_encoder_opts {
	enum sl_codec_id codec;
	unsigned clock_hz;   /* L16 */
	unsigned hz;	     /* of the samples; what a codec cannot take is -SL_EUNSUPP */
	unsigned max_bps;    /* Opus: no more than; 0: no limit but what the rate is worth */
	unsigned complexity; /* Opus, where packets are lost: 0 .. 10 */
	bool dtx;	     /* Opus: nothing for silence */
};
SL_API SL_MUST_CHECK int sl_audio_encoder_new(struct sl_audio_encoder **ret_encoder,
					      const struct sl_audio_encoder_opts *o);
SL_API void sl_audio_encoder_free(struct sl_audio_encoder *e); /* accepts NULL */
/* Bytes; 0: nothing need be sent (DTX). n: 10, 20, 40 or 60 ms for Opus, whole bytes else.
 * -SL_EINVAL; -SL_EFULL */
SL_API SL_MUST_CHECK int sl_audio_encode(struct sl_audio_encoder *e, const int16_t *pcm, size_t n,
					 uint8_t *dst, size_t cap);
/* What the receiver loses, told once a second: redundancy follows at once, and goes when nothing was
 * lost for 20 of them. complexity: of what is made for lossy ways. No-ops but for Opus. */
SL_API void sl_audio_encoder_set_loss(struct sl_audio_encoder *e, unsigned percent);
SL_API void sl_audio_encoder_set_complexity(struct sl_audio_encoder *e, unsigned complexity);

/* ---- rates */
struct sl_resampler;
SL_API SL_MUST_CHECK int sl_resampler_new(struct sl_resampler **ret_resampler, unsigned from_hz,
					  unsigned to_hz);
SL_API void sl_resampler_free(struct sl_resampler *r); /* accepts NULL */
/* Returns samples written: all that n yields; at most cap. */
SL_API size_t sl_resample(struct sl_resampler *r, const int16_t *in, size_t n, int16_t *out,
			  size_t cap);

/* ---- making up and stretching, for any rate */
struct sl_concealer;
SL_API SL_MUST_CHECK int sl_concealer_new(struct sl_concealer **ret_concealer, unsigned hz);
SL_API void sl_concealer_free(struct sl_concealer *c); /* accepts NULL */
/* Good samples pass here: kept as the past, and blended in when they follow made-up ones. */
SL_API void sl_concealer_good(struct sl_concealer *c, int16_t *pcm, size_t n);
/* Repeats the last pitch period, fading to silence within 60 ms */
SL_API void sl_concealer_make(struct sl_concealer *c, int16_t *pcm, size_t n);
/* Period of the voice in the last samples: 2.5 .. 15 ms; ret_like: how alike two periods are, of
 * 256. n: at least 30 ms, else 0 is said */
SL_API size_t sl_audio_pitch(const int16_t *pcm, size_t n, unsigned hz, unsigned *ret_like);
/* One pitch period less, or more, among the samples behind the first `past`, which are read only;
 * blended, in place. n: all of them, 30 ms or more; behind there is room for 15 ms. Returns the new
 * number: n when it would be heard. */
SL_API size_t sl_audio_shrink(int16_t *pcm, size_t past, size_t n, unsigned hz);
SL_API size_t sl_audio_grow(int16_t *pcm, size_t past, size_t n, unsigned hz);

/* ---- comfort noise (RFC 3389) */
struct sl_noise {
	int level; /* dBov */
	uint32_t random;
	uint8_t n_coefs;
	int16_t coefs[10]; /* reflection coefficients, Q15 */
	int32_t state[11];
};
/* Of a payload; an empty one is silence */
SL_API void sl_noise_read(struct sl_noise *n, struct sl_str payload);
SL_API void sl_noise_make(struct sl_noise *n, int16_t *pcm, size_t count);

/* ---- tones */
struct sl_tone_step {
	uint16_t hz[2];	  /* 0: none */
	uint16_t ms;	  /* 0: ends the pattern */
};
struct sl_tone {
	const struct sl_tone_step *steps; /* borrowed, ends with ms 0 */
	bool once;
	unsigned hz;	    /* samples per second */
	int amplitude;	    /* of each of the two */
	unsigned step;	    /* W: sl_tone_make, as all that follows */
	uint32_t left;	    /* samples of the step */
	uint32_t phase[2];
	bool over;
};
SL_API void sl_tone_begin(struct sl_tone *t, const struct sl_tone_step *steps, bool once,
			  unsigned hz, int dbov);
/* Fills all of it; false: it was over before the end, silence follows */
SL_API bool sl_tone_make(struct sl_tone *t, int16_t *pcm, size_t n);
/* The two frequencies of a digit (Q.23); false: none */
SL_API bool sl_dtmf_tone(char digit, uint16_t ret_hz[2]);

/* ---- digits in the audio */
struct sl_dtmf_ear;
typedef void sl_dtmf_fn(void *arg, char digit, unsigned ms);
/* fn comes from within sl_dtmf_hear, when a digit ends */
SL_API SL_MUST_CHECK int sl_dtmf_ear_new(struct sl_dtmf_ear **ret_ear, sl_dtmf_fn *fn, void *arg);
SL_API void sl_dtmf_ear_free(struct sl_dtmf_ear *e); /* accepts NULL */
/* At 8000 Hz */
SL_API void sl_dtmf_hear(struct sl_dtmf_ear *e, const int16_t *pcm, size_t n);

/* ---- digits as events (RFC 4733) */
struct sl_event_payload {
	uint8_t event, volume; /* volume: -dBm0 */
	bool end;
	uint16_t duration; /* in units of the clock */
};
/* -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_event_read(struct sl_event_payload *ret_event, struct sl_str payload);
SL_API void sl_event_write(uint8_t dst[4], const struct sl_event_payload *e);
/* "0123456789*#ABCD" by event; 0: none */
SL_API char sl_event_digit(uint8_t event);
/* -1: none */
SL_API int sl_event_of_digit(char digit);

/* Digits of a stream of events: each once, however often it is sent again, and also when its end
 * is lost. Zeroed at first. */
struct sl_event_in {
	bool open;
	bool any;	 /* last_ts holds */
	uint8_t event;
	uint32_t ts, last_ts; /* of the open one; of the newest that was told */
	uint32_t duration;
	uint64_t heard_ns;
};
/* Has a digit ended with this packet? Then it is in *ret_digit, and its length. */
SL_API bool sl_event_hear(struct sl_event_in *in, const struct sl_event_payload *e, uint32_t ts,
			  uint64_t now_ns, char *ret_digit, uint32_t *ret_duration);
/* No packet came for long: the end was lost. */
SL_API bool sl_event_time(struct sl_event_in *in, uint64_t now_ns, char *ret_digit,
			  uint32_t *ret_duration);

/*
 * ---- a source: packets of one direction in, samples by our clock out: jitter buffer, decoders,
 * concealment, rate, and the drift of the two clocks.
 */
struct sl_audio_source;
struct sl_audio_source_opts {
	unsigned hz; /* of the samples */
	uint32_t max_delay_ms; /* 0: the jitter buffer's default */
	void (*release)(void *arg, void *packet); /* as in <sluice/jitter.h> */
	void *arg;
};
SL_API SL_MUST_CHECK int sl_audio_source_new(struct sl_audio_source **ret_source,
					     const struct sl_audio_source_opts *o);
SL_API void sl_audio_source_free(struct sl_audio_source *s); /* accepts NULL */
struct sl_audio_packet {
	enum sl_codec_id codec; /* one of ours, or CN */
	uint32_t clock_hz, ts;
	uint16_t seq;
	struct sl_str payload; /* borrowed from packet */
	void *packet; /* released once, unless NULL */
	bool untimed; /* this process stood still: when the network brought it is not known */
};
/* -SL_EUNSUPP: no codec of ours; the packet is released in any case */
SL_API SL_MUST_CHECK int sl_audio_source_put(struct sl_audio_source *s,
					     const struct sl_audio_packet *p, uint64_t now_ns);
/* A packet of the stream that is no sound */
SL_API void sl_audio_source_note(struct sl_audio_source *s, uint16_t seq);
/* Another stream begins (SSRC). */
SL_API void sl_audio_source_restart(struct sl_audio_source *s);
/* n samples, at most 60 ms; false: nothing but silence or noise */
SL_API bool sl_audio_source_pull(struct sl_audio_source *s, uint64_t now_ns, int16_t *pcm,
				 size_t n);
struct sl_audio_source_stats {
	uint64_t played, late, lost, duplicates, malformed;
	uint64_t concealed_ms, shortened_ms, lengthened_ms;
	uint32_t target_ms, delay_ms;
};
SL_API void sl_audio_source_get_stats(const struct sl_audio_source *s,
				      struct sl_audio_source_stats *ret_stats);

/* ---- a sink: samples in, payloads of one packet time out. */
struct sl_audio_sink;
struct sl_audio_sink_opts {
	struct sl_audio_encoder_opts encoder; /* hz: ignored */
	unsigned hz;	   /* of the samples that come */
	unsigned ptime_ms; /* 10, 20, 40 or 60; 30 for what is not Opus */
};
SL_API SL_MUST_CHECK int sl_audio_sink_new(struct sl_audio_sink **ret_sink,
					   const struct sl_audio_sink_opts *o);
SL_API void sl_audio_sink_free(struct sl_audio_sink *s); /* accepts NULL */
SL_API struct sl_audio_encoder *sl_audio_sink_encoder(struct sl_audio_sink *s);
/* At most 60 ms; then take all packets. */
SL_API void sl_audio_sink_push(struct sl_audio_sink *s, const int16_t *pcm, size_t n);
struct sl_audio_out {
	size_t len;    /* 0: this packet time need not be sent (DTX) */
	uint32_t ts;   /* of the first sample, from 0 */
	uint32_t duration; /* in units of the codec's RTP clock */
	bool marker;   /* first after a pause */
};
/* false: not enough samples yet */
SL_API bool sl_audio_sink_next(struct sl_audio_sink *s, uint8_t *dst, size_t cap,
			       struct sl_audio_out *ret_out);

#endif
