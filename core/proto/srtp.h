/*
 * proto/srtp.h: SRTP and SRTCP (RFC 3711, 7714) for one peer, keyed by DTLS (RFC 5764) or SDES.
 *
 * Outbound is the fan-out path and goes to gcm.h and EVP directly, since one packet is sealed under
 * many keys; inbound does so under the AEAD profiles, which browsers agree to: authentication, a
 * window against replays, no allocation. Counter mode inbound is libsrtp2's. The tests hold what is
 * our own against libsrtp2 packet by packet, roll-overs included.
 *
 * Sans-I/O. Keys are wiped with their object.
 */
#ifndef PROTO_SRTP_H
#define PROTO_SRTP_H

#include <sluice/dtls.h>

enum { SRTP_MAX_KEY = 32, SRTP_MAX_SALT = 14, SRTP_MAX_OVERHEAD = 20 /* tag, E and index */ };

struct srtp_key { /* one direction's master key and salt; lengths follow from the profile */
	uint8_t key[SRTP_MAX_KEY], salt[SRTP_MAX_SALT];
};
size_t srtp_key_bytes(enum sl_srtp_profile profile);
size_t srtp_salt_bytes(enum sl_srtp_profile profile);

/* ---- inbound */
enum { SRTP_IN_MAX_STREAMS = 128 }; /* SSRCs of one peer, RTP and RTCP */
struct srtp_in;
int srtp_in_new(struct srtp_in **ret_in, enum sl_srtp_profile profile, const struct srtp_key *key);
void srtp_in_free(struct srtp_in *in); /* accepts NULL */
/* In place; *len shrinks; after a failure the bytes are of no use. -SL_EAUTH; -SL_EEXIST: a replay,
 * or too old to tell; -SL_ELIMIT: an SSRC beyond the limit, unread; -SL_EPARSE */
int srtp_open_rtp(struct srtp_in *in, uint8_t *data, size_t *len);
int srtp_open_rtcp(struct srtp_in *in, uint8_t *data, size_t *len);
/* Does data, not opened, seem to be the next of a stream that is known here: newer than all of it, by
 * little? Cheap, and no proof. Under counter mode the SSRC is all that is looked at. */
bool srtp_in_awaits(struct srtp_in *in, const uint8_t *data, size_t len, bool rtcp);
/* The stream's state goes: its SSRC has left and will not be used again under these keys, for its
 * packets could then be replayed. */
void srtp_in_forget(struct srtp_in *in, uint32_t ssrc);

/* ---- outbound */
struct srtp_out; /* keys: one per peer */
int srtp_out_new(struct srtp_out **ret_out, enum sl_srtp_profile profile,
		 const struct srtp_key *key);
void srtp_out_free(struct srtp_out *out); /* accepts NULL */

/* What srtp_out_new derives from the master key (RFC 3711 section 4.3), and makes its contexts of. */
enum { SRTP_AUTH_KEY = 20 };
struct srtp_key_set {
	uint8_t key[SRTP_MAX_KEY], auth[SRTP_AUTH_KEY], salt[SRTP_MAX_SALT];
};
struct srtp_session_keys {
	struct srtp_key_set rtp, rtcp;
};
int srtp_derive(enum sl_srtp_profile profile, const struct srtp_key *key,
		struct srtp_session_keys *ret_keys);
int srtp_out_new_derived(struct srtp_out **ret_out, enum sl_srtp_profile profile,
			 const struct srtp_session_keys *keys);

/*
 * State of one outbound SSRC; the caller's, zeroed at first. Sequence numbers may be sent out of
 * order (retransmissions without RTX) within half of their range. One number of one SSRC seals one
 * packet: with other bytes under it, be it only another header extension, both packets together
 * tell the key stream, and under GCM what is needed to forge. So a retransmission without RTX
 * repeats header and payload exactly, and SSRCs are unique among all that a peer is sent.
 */
struct srtp_out_stream {
	uint32_t roc;
	uint16_t highest_seq;
	bool started;
};
/*
 * Seals one RTP packet: dst holds a written header of header_len bytes (extensions included); the
 * payload comes from payload (may overlap dst + header_len exactly) and lands behind it, the tag at
 * the end. At dst there is room for header_len + len + SRTP_MAX_OVERHEAD. Returns the whole length;
 * -SL_EINVAL: a number before the stream's beginning. No allocation.
 */
int srtp_seal_rtp(struct srtp_out *out, struct srtp_out_stream *stream, uint8_t *dst,
		  size_t header_len, const uint8_t *payload, size_t len);
/* Only for speed: something is going to be sealed, and its keys are fetched meanwhile. */
void srtp_seal_soon(const struct srtp_out *out);
/* In place; room for SRTP_MAX_OVERHEAD behind. Returns the whole length; -SL_ELIMIT: 2^31 packets
 * have been sealed, the peer needs new keys. */
int srtp_seal_rtcp(struct srtp_out *out, uint8_t *data, size_t len);

#endif
