/*
 * proto/srtp_in_gcm.c: opening SRTP and SRTCP under AES-GCM (RFC 7714), which is what browsers
 * agree to, without an allocation per packet.
 *
 * A packet's index is guessed from its sequence number (RFC 3711 section 3.3.1), looked up in the
 * window of its SSRC, and believed once the tag fits: nothing is remembered of a packet that does
 * not, not even that its SSRC was named. So forgeries cost one decryption and change nothing.
 */
#include <stdlib.h>
#include <sluice/crypto.h>
#include "proto/srtp_impl.h"

/* Retransmissions come late: at 1 000 packets a second the window is a second wide. */
enum { RTP_WINDOW = 1024, RTCP_WINDOW = 64, FIRST_STREAMS = 4, CSRC = 4, EXT_HEADER = 4 };

/* Of an awaited packet, before the newest: seconds of a stream, minutes of reports. */
enum { RTP_AHEAD = 4096, RTCP_AHEAD = 256 };

struct rtp_window {
	bool started;
	uint64_t highest;		/* roll-over counter and number, 48 bits */
	uint64_t seen[RTP_WINDOW / 64]; /* bit index % RTP_WINDOW, of those up to highest */
};

struct rtcp_window {
	bool started;
	uint32_t highest;
	uint64_t seen; /* bit n: highest - n */
};

struct stream {
	uint32_t ssrc;
	struct rtp_window rtp;
	struct rtcp_window rtcp;
};

struct srtp_in_gcm {
	struct gcm *rtp, *rtcp;
	uint8_t rtp_salt[GCM_IV], rtcp_salt[GCM_IV];
	struct stream *streams; /* owned; grows */
	unsigned n, size, last; /* last: found last, and mostly wanted again */
};

/* ---- keys */

static int use_keys(struct srtp_in_gcm *in, const struct srtp_session_keys *keys, size_t key_bytes)
{
	int rc = gcm_new(&in->rtp, keys->rtp.key, key_bytes);

	if (rc == 0)
		rc = gcm_new(&in->rtcp, keys->rtcp.key, key_bytes);
	memcpy(in->rtp_salt, keys->rtp.salt, GCM_IV);
	memcpy(in->rtcp_salt, keys->rtcp.salt, GCM_IV);
	return rc;
}

int srtp_in_gcm_new(struct srtp_in_gcm **ret_in, enum sl_srtp_profile profile,
		    const struct srtp_key *key)
{
	struct srtp_in_gcm *in = calloc(1, sizeof *in);
	struct srtp_session_keys keys = {0};
	int rc;

	if (!in)
		return -SL_ENOMEM;
	rc = srtp_derive(profile, key, &keys);
	if (rc == 0)
		rc = use_keys(in, &keys, srtp_key_bytes(profile));
	sl_wipe(&keys, sizeof keys);
	if (rc < 0) {
		srtp_in_gcm_free(in);
		return rc;
	}
	*ret_in = in;
	return 0;
}

void srtp_in_gcm_free(struct srtp_in_gcm *in)
{
	if (!in)
		return;
	gcm_free(in->rtp);
	gcm_free(in->rtcp);
	free(in->streams);
	sl_wipe(in, sizeof *in);
	free(in);
}

/* ---- streams */

static struct stream *find(struct srtp_in_gcm *in, uint32_t ssrc)
{
	if (in->last < in->n && in->streams[in->last].ssrc == ssrc)
		return &in->streams[in->last];
	for (unsigned i = 0; i < in->n; i++) {
		if (in->streams[i].ssrc != ssrc)
			continue;
		in->last = i;
		return &in->streams[i];
	}
	return NULL;
}

/* Room for one that has proven to be authentic */
static struct stream *add(struct srtp_in_gcm *in, uint32_t ssrc)
{
	if (in->n == in->size) {
		unsigned size = in->size ? 2 * in->size : FIRST_STREAMS;
		struct stream *more = realloc(in->streams, size * sizeof *more);

		if (!more)
			return NULL;
		in->streams = more;
		in->size = size;
	}
	in->streams[in->n] = (struct stream){.ssrc = ssrc};
	return &in->streams[in->n++];
}

/* *s: NULL where the authentic packet is the first of its SSRC, which gets its place then */
static int settle(struct srtp_in_gcm *in, uint32_t ssrc, struct stream **s)
{
	if (!*s)
		*s = add(in, ssrc);
	return *s ? 0 : -SL_ENOMEM;
}

void srtp_in_gcm_forget(struct srtp_in_gcm *in, uint32_t ssrc)
{
	struct stream *s = find(in, ssrc);

	if (s)
		*s = in->streams[--in->n];
}

/* ---- the window of RTP */

/*
 * Nearest to the highest so far. Before the first roll-over there is nothing below number 0: there
 * a number far ahead is taken at its word, as the sender's library does when its numbers jump.
 */
static uint64_t guess_index(const struct stream *s, uint16_t seq)
{
	int64_t index;

	if (!s || !s->rtp.started)
		return seq;
	index = (int64_t)s->rtp.highest + (int16_t)(uint16_t)(seq - (uint16_t)s->rtp.highest);
	return index < 0 ? seq : (uint64_t)index;
}

static bool is_replay(const struct rtp_window *w, uint64_t index)
{
	if (!w->started || index > w->highest)
		return false;
	if (w->highest - index >= RTP_WINDOW)
		return true;
	return w->seen[index % RTP_WINDOW / 64] >> index % 64 & 1;
}

static void move_up(struct rtp_window *w, uint64_t index)
{
	if (!w->started || index - w->highest >= RTP_WINDOW)
		memset(w->seen, 0, sizeof w->seen);
	else
		for (uint64_t i = w->highest + 1; i <= index; i++)
			w->seen[i % RTP_WINDOW / 64] &= ~(UINT64_C(1) << i % 64);
	w->highest = index;
	w->started = true;
}

static void note(struct rtp_window *w, uint64_t index)
{
	if (!w->started || index > w->highest)
		move_up(w, index);
	w->seen[index % RTP_WINDOW / 64] |= UINT64_C(1) << index % 64;
}

/* ---- packets */

/* Header, CSRCs and extension stay readable; 0: they are longer than the packet. */
static size_t header_bytes(const uint8_t *data, size_t len)
{
	size_t n = SRTP_RTP_HEADER + (size_t)CSRC * (data[0] & 15);

	if (data[0] & 0x10) {
		if (n + EXT_HEADER > len)
			return 0;
		n += EXT_HEADER + 4 * (size_t)sl_get16(data + n + 2);
	}
	return n <= len ? n : 0;
}

int srtp_in_gcm_rtp(struct srtp_in_gcm *in, uint8_t *data, size_t *len)
{
	size_t whole = *len - GCM_TAG, header = header_bytes(data, whole);
	uint32_t ssrc = sl_get32(data + 8);
	struct stream *s = find(in, ssrc);
	uint64_t index = guess_index(s, sl_get16(data + 2));
	uint8_t iv[GCM_IV];

	if (header == 0)
		return -SL_EPARSE;
	if (!s && in->n == SRTP_IN_MAX_STREAMS)
		return -SL_ELIMIT;
	if (s && is_replay(&s->rtp, index))
		return -SL_EEXIST;
	srtp_rtp_gcm_iv(iv, data, (uint32_t)(index >> 16), in->rtp_salt);
	if (!gcm_open(in->rtp, &(struct gcm_sealed){.iv = iv,
						    .aad = {(char *)data, header},
						    .data = data + header,
						    .len = whole - header,
						    .tag = data + whole}))
		return -SL_EAUTH;
	if (settle(in, ssrc, &s) < 0)
		return -SL_ENOMEM;
	note(&s->rtp, index);
	*len = whole;
	return 0;
}

static bool is_rtcp_replay(const struct rtcp_window *w, uint32_t index)
{
	uint32_t back = w->highest - index;

	if (!w->started || index > w->highest)
		return false;
	return back >= RTCP_WINDOW || (w->seen >> back & 1);
}

static void note_rtcp(struct rtcp_window *w, uint32_t index)
{
	if (!w->started || index > w->highest) {
		uint32_t ahead = index - w->highest;

		w->seen = w->started && ahead < RTCP_WINDOW ? w->seen << ahead : 0;
		w->highest = index;
		w->started = true;
	}
	w->seen |= UINT64_C(1) << (w->highest - index);
}

/* The tag stands before E flag and index, which are covered as if they stood behind the header. */
static bool open_rtcp(struct srtp_in_gcm *in, uint8_t *data, size_t whole, uint32_t last)
{
	uint8_t iv[GCM_IV], aad[SRTP_RTCP_HEADER + SRTP_INDEX];

	srtp_rtcp_gcm_iv(iv, data, last & ~SRTP_RTCP_SEALED, in->rtcp_salt);
	memcpy(aad, data, SRTP_RTCP_HEADER);
	sl_put32(aad + SRTP_RTCP_HEADER, last);
	return gcm_open(in->rtcp, &(struct gcm_sealed){.iv = iv,
						       .aad = {(char *)aad, sizeof aad},
						       .data = data + SRTP_RTCP_HEADER,
						       .len = whole - SRTP_RTCP_HEADER,
						       .tag = data + whole});
}

int srtp_in_gcm_rtcp(struct srtp_in_gcm *in, uint8_t *data, size_t *len)
{
	size_t whole = *len - GCM_TAG - SRTP_INDEX;
	uint32_t last = sl_get32(data + *len - SRTP_INDEX), ssrc = sl_get32(data + 4);
	uint32_t index = last & ~SRTP_RTCP_SEALED;
	struct stream *s = find(in, ssrc);

	if (!(last & SRTP_RTCP_SEALED))
		return -SL_EPARSE; /* readable by everybody: nobody agreed to that */
	if (!s && in->n == SRTP_IN_MAX_STREAMS)
		return -SL_ELIMIT;
	if (s && is_rtcp_replay(&s->rtcp, index))
		return -SL_EEXIST;
	if (!open_rtcp(in, data, whole, last))
		return -SL_EAUTH;
	if (settle(in, ssrc, &s) < 0)
		return -SL_ENOMEM;
	note_rtcp(&s->rtcp, index);
	*len = whole;
	return 0;
}

bool srtp_in_gcm_awaits(struct srtp_in_gcm *in, const uint8_t *data, size_t len, bool rtcp)
{
	const struct stream *s = find(in, sl_get32(data + (rtcp ? 4 : 8)));
	uint64_t index;

	if (!s)
		return false;
	if (rtcp) {
		index = sl_get32(data + len - SRTP_INDEX) & ~SRTP_RTCP_SEALED;
		return s->rtcp.started && index > s->rtcp.highest &&
		       index - s->rtcp.highest <= RTCP_AHEAD;
	}
	index = guess_index(s, sl_get16(data + 2));
	return s->rtp.started && index > s->rtp.highest && index - s->rtp.highest <= RTP_AHEAD;
}
