/*
 * tests/lib/jsep.h: descriptions for tests of JSEP, and two engines that negotiate with each other.
 */
#ifndef TESTS_LIB_JSEP_H
#define TESTS_LIB_JSEP_H

#include "lib/test.h"
#include "proto/rtc_caps.h"

#define JSEP_HEAD "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define JSEP_TRANSPORT                                                                             \
	"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\n"  \
	"a=setup:actpass\r\n"
#define JSEP_OPUS(mid)                                                                             \
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:" mid "\r\na=rtcp-mux\r\n"   \
	"a=sendrecv\r\na=rtpmap:111 opus/48000/2\r\n"
#define JSEP_VP8(mid)                                                                              \
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:" mid "\r\na=rtcp-mux\r\n" \
	"a=sendrecv\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\n"    \
	"a=fmtp:97 apt=96\r\n"
#define JSEP_DATA(mid)                                                                             \
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:" mid "\r\na=sctp-port:"        \
									 "5000\r\n"

struct jsep_side {
	struct jsep *j;
	struct jsep_transport local, remote;
	struct sl_sdp_error error;
	struct sl_buf text; /* of its newest description */
};

static inline struct jsep_side jsep_side(const char *ufrag, const struct jsep_caps *caps)
{
	struct jsep_side s = {0};

	sl_assert(jsep_new(&s.j, caps) == 0);
	snprintf(s.local.ufrag, sizeof s.local.ufrag, "%s", ufrag);
	snprintf(s.local.password, sizeof s.local.password, "0123456789012345678901");
	snprintf(s.local.fingerprint, sizeof s.local.fingerprint, "sha-256 AA:BB");
	sl_buf_init(&s.text, 0);
	return s;
}

static inline void jsep_side_free(struct jsep_side *s)
{
	jsep_free(s->j);
	sl_buf_free(&s->text);
}

static inline const char *jsep_text(struct jsep_side *s)
{
	sl_buf_u8(&s->text, 0);
	s->text.len--;
	return (const char *)s->text.p;
}

static inline int jsep_side_offer(struct jsep_side *s)
{
	sl_buf_reset(&s->text);
	return jsep_offer(s->j, &s->local, &s->text);
}

static inline int jsep_side_answer(struct jsep_side *s)
{
	sl_buf_reset(&s->text);
	return jsep_answer(s->j, &s->local, &s->text);
}

static inline int jsep_side_hear(struct jsep_side *s, struct sl_str offer)
{
	return jsep_remote_offer(s->j, offer, NULL, NULL, &s->remote, &s->error);
}

/* a offers and b answers; 0 or the first error. */
static inline int jsep_exchange(struct jsep_side *a, struct jsep_side *b)
{
	int err = jsep_side_offer(a);

	if (err == 0)
		err = jsep_side_hear(b, sl_buf_view(&a->text));
	if (err == 0)
		err = jsep_side_answer(b);
	if (err == 0)
		err = jsep_remote_answer(a->j, sl_buf_view(&b->text), &a->remote, &a->error);
	return err;
}

static inline struct jsep_media *jsep_side_add(struct jsep_side *s, enum sl_media_kind kind,
					       enum jsep_direction wanted)
{
	struct jsep_media *m;

	sl_assert(jsep_add(s->j, kind, wanted, &m) == 0);
	return m;
}

static inline const struct jsep_codec *jsep_codec_of(const struct jsep_media *m,
						     enum sl_codec_id id)
{
	for (unsigned i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].id == id)
			return &m->codecs[i];
	return NULL;
}

#endif
