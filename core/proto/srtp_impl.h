/*
 * proto/srtp_impl.h: what sealing (srtp_out.c) and opening (srtp_in*.c) of SRTP have in common.
 */
#ifndef PROTO_SRTP_IMPL_H
#define PROTO_SRTP_IMPL_H

#include <sluice/buf.h>
#include "proto/gcm.h"
#include "proto/srtp.h"

enum {
	SRTP_RTP_HEADER = 12,
	SRTP_RTCP_HEADER = 8,
	SRTP_INDEX = 4, /* bytes behind a sealed RTCP packet: the E flag and the index */
};
#define SRTP_RTCP_SEALED (UINT32_C(1) << 31) /* the E flag */

static inline void srtp_mix(uint8_t *iv, const uint8_t *salt, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		iv[i] ^= salt[i];
}

/* RFC 7714 section 8.1: zeros, SSRC, roll-over counter, sequence number. */
static inline void srtp_rtp_gcm_iv(uint8_t iv[GCM_IV], const uint8_t *header, uint32_t roc,
				   const uint8_t *salt)
{
	memset(iv, 0, 2);
	memcpy(iv + 2, header + 8, 4);
	sl_put32(iv + 6, roc);
	memcpy(iv + 10, header + 2, 2);
	srtp_mix(iv, salt, GCM_IV);
}

/* Section 9.1: zeros, SSRC, zeros, index without the E flag. */
static inline void srtp_rtcp_gcm_iv(uint8_t iv[GCM_IV], const uint8_t *packet, uint32_t index,
				    const uint8_t *salt)
{
	memset(iv, 0, GCM_IV);
	memcpy(iv + 2, packet + 4, 4);
	sl_put32(iv + 8, index);
	srtp_mix(iv, salt, GCM_IV);
}

/* ---- srtp_in_gcm.c: opening under the AEAD profiles. As srtp_in_new and so on. */
struct srtp_in_gcm;
int srtp_in_gcm_new(struct srtp_in_gcm **ret_in, enum sl_srtp_profile profile,
		    const struct srtp_key *key);
void srtp_in_gcm_free(struct srtp_in_gcm *in); /* accepts NULL */
int srtp_in_gcm_rtp(struct srtp_in_gcm *in, uint8_t *data, size_t *len);
int srtp_in_gcm_rtcp(struct srtp_in_gcm *in, uint8_t *data, size_t *len);
bool srtp_in_gcm_awaits(struct srtp_in_gcm *in, const uint8_t *data, size_t len, bool rtcp);
void srtp_in_gcm_forget(struct srtp_in_gcm *in, uint32_t ssrc);

#endif
