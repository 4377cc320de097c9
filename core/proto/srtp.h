/*
 * proto/srtp.h: SRTP and SRTCP (RFC 3711, 7714) for one peer, keyed by DTLS (RFC 5764) or SDES.
 *
 * Inbound is libsrtp2's: bytes that an attacker controls, authentication, replay. Outbound is the
 * fan-out path and goes to EVP directly, since one packet is sealed under many keys; the tests hold
 * it against libsrtp2 packet by packet, roll-over included. The seam of libsrtp2.
 *
 * Sans-I/O. Keys are wiped with their object.
 */
#ifndef PROTO_SRTP_H
#define PROTO_SRTP_H

#include <sluice/dtls.h>

enum { SRTP_MAX_KEY = 32, SRTP_MAX_SALT = 14, SRTP_MAX_OVERHEAD = 20 }; /* trailer: tag, E and index */

struct srtp_key { /* one direction's master key and salt; lengths follow from the profile */
	uint8_t key[SRTP_MAX_KEY], salt[SRTP_MAX_SALT];
};
size_t srtp_key_bytes(enum sl_srtp_profile profile);
size_t srtp_salt_bytes(enum sl_srtp_profile profile);

/* ---- inbound */
struct srtp_in;
int srtp_in_new(struct srtp_in **ret_in, enum sl_srtp_profile profile, const struct srtp_key *key);
void srtp_in_free(struct srtp_in *in); /* accepts NULL */
/* In place; *len shrinks. -SL_EAUTH; -SL_EEXIST: a replay; -SL_EPARSE */
int srtp_open_rtp(struct srtp_in *in, uint8_t *data, size_t *len);
int srtp_open_rtcp(struct srtp_in *in, uint8_t *data, size_t *len);
/* The stream's state goes (its SSRC has left); so that a peer cannot fill memory with SSRCs the
 * number of streams is bounded too. */
void srtp_in_forget(struct srtp_in *in, uint32_t ssrc);

/* ---- outbound */
struct srtp_out; /* keys: one per peer */
int srtp_out_new(struct srtp_out **ret_out, enum sl_srtp_profile profile, const struct srtp_key *key);
void srtp_out_free(struct srtp_out *out);
/* State of one outbound SSRC; the caller's, zeroed at first. Sequence numbers may be sent out of
 * order (retransmissions without RTX) within half of their range. */
struct srtp_out_stream {
	uint32_t roc;
	uint16_t highest_seq;
	bool started;
};
/*
 * Seals one RTP packet: dst holds a written header of header_len bytes (extensions included); the
 * payload comes from payload (may overlap dst + header_len exactly) and lands behind it, the tag at
 * the end. room: bytes at dst, at least header_len + len + SRTP_MAX_OVERHEAD. Returns the whole
 * length. No allocation.
 */
int srtp_seal_rtp(struct srtp_out *out, struct srtp_out_stream *stream, uint8_t *dst,
		  size_t header_len, const uint8_t *payload, size_t len);
/* In place; room for SRTP_MAX_OVERHEAD behind. Returns the whole length. */
int srtp_seal_rtcp(struct srtp_out *out, uint8_t *data, size_t len);

#endif
