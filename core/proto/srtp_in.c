/*
 * proto/srtp_in.c: opening SRTP and SRTCP: which of two does it; the seam of libsrtp2.
 *
 * The AEAD profiles are srtp_in_gcm.c's: nearly every packet comes under them, and the library, as
 * Debian builds it, allocates five times for each. The counter-mode profiles are libsrtp2's.
 *
 * There, one libsrtp2 session per peer with a template for any SSRC; the library makes a stream of
 * it when the first packet of an SSRC is authentic. It keeps streams in a list that it walks for
 * every packet, and never drops one by itself, so that a peer with keys could make it slow and
 * large: the SSRCs that have streams are remembered here, and a further one is refused unopened.
 */
#include "proto/srtp.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <sluice/buf.h>
#include <sluice/crypto.h>
#include "proto/srtp_impl.h"

/* Retransmissions come late: at 1 000 packets a second the window is a second wide. */
enum { REPLAY_WINDOW = 1024 };

struct srtp_in {
	struct srtp_in_gcm *gcm; /* NULL: the library's, as follows */
	srtp_t session;
	unsigned n_ssrcs;
	uint32_t ssrcs[SRTP_IN_MAX_STREAMS];
	uint8_t rtp_tag, rtcp_tag; /* bytes */
};

static bool library_works;

static void start_library(void)
{
	library_works = srtp_init() == srtp_err_status_ok;
}

/* The library numbers its profiles as RFC 5764 and RFC 7714 do, and so does enum sl_srtp_profile.
 */
static int fill_policy(srtp_policy_t *p, enum sl_srtp_profile profile)
{
	srtp_profile_t number = (srtp_profile_t)profile;

	*p = (srtp_policy_t){.ssrc.type = ssrc_any_inbound, .window_size = REPLAY_WINDOW};
	if (srtp_key_bytes(profile) == 0)
		return -SL_EUNSUPP;
	if (srtp_crypto_policy_set_from_profile_for_rtp(&p->rtp, number) != srtp_err_status_ok)
		return -SL_EUNSUPP;
	if (srtp_crypto_policy_set_from_profile_for_rtcp(&p->rtcp, number) != srtp_err_status_ok)
		return -SL_EUNSUPP;
	return 0;
}

static int create_session(struct srtp_in *in, enum sl_srtp_profile profile,
			  const struct srtp_key *key)
{
	size_t key_bytes = srtp_key_bytes(profile), salt_bytes = srtp_salt_bytes(profile);
	uint8_t joined[SRTP_MAX_KEY + SRTP_MAX_SALT];
	srtp_err_status_t status;
	srtp_policy_t policy;
	int err;

	err = fill_policy(&policy, profile);
	if (err < 0)
		return err;
	memcpy(joined, key->key, key_bytes);
	memcpy(joined + key_bytes, key->salt, salt_bytes);
	policy.key = joined;
	status = srtp_create(&in->session, &policy);
	sl_wipe(joined, sizeof joined);
	if (status != srtp_err_status_ok)
		return status == srtp_err_status_alloc_fail ? -SL_ENOMEM : -SL_EUNSUPP;
	in->rtp_tag = (uint8_t)policy.rtp.auth_tag_len;
	in->rtcp_tag = (uint8_t)policy.rtcp.auth_tag_len;
	return 0;
}

static int open_library(struct srtp_in *in, enum sl_srtp_profile profile,
			const struct srtp_key *key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, start_library);
	return library_works ? create_session(in, profile, key) : -SL_ESYS;
}

static bool is_aead(enum sl_srtp_profile profile)
{
	return profile == SL_SRTP_AEAD_AES_128_GCM || profile == SL_SRTP_AEAD_AES_256_GCM;
}

int srtp_in_new(struct srtp_in **ret_in, enum sl_srtp_profile profile, const struct srtp_key *key)
{
	struct srtp_in *in = calloc(1, sizeof *in);
	int err;

	if (!in)
		return -SL_ENOMEM;
	err = is_aead(profile) ? srtp_in_gcm_new(&in->gcm, profile, key)
			       : open_library(in, profile, key);
	if (err < 0) {
		free(in);
		return err;
	}
	if (in->gcm)
		in->rtp_tag = in->rtcp_tag = GCM_TAG;
	*ret_in = in;
	return 0;
}

void srtp_in_free(struct srtp_in *in)
{
	if (!in)
		return;
	srtp_in_gcm_free(in->gcm);
	if (in->session)
		(void)srtp_dealloc(
			in->session); /* wipes its keys; nothing to be done about a failure */
	free(in);
}

static bool is_known(const struct srtp_in *in, uint32_t ssrc)
{
	for (unsigned i = 0; i < in->n_ssrcs; i++)
		if (in->ssrcs[i] == ssrc)
			return true;
	return false;
}

static int result_of(srtp_err_status_t status)
{
	switch (status) {
	case srtp_err_status_ok:
		return 0;
	case srtp_err_status_replay_fail:
	case srtp_err_status_replay_old:
		return -SL_EEXIST;
	case srtp_err_status_auth_fail:
		return -SL_EAUTH;
	case srtp_err_status_alloc_fail:
		return -SL_ENOMEM;
	default:
		return -SL_EPARSE;
	}
}

typedef srtp_err_status_t open_fn(srtp_t session, void *data, int *len);

static int open_packet(struct srtp_in *in, open_fn *fn, uint32_t ssrc, uint8_t *data, size_t *len)
{
	const bool known = is_known(in, ssrc);
	int bytes = (int)*len, err;

	if (!known && in->n_ssrcs == SRTP_IN_MAX_STREAMS)
		return -SL_ELIMIT;
	err = result_of(fn(in->session, data, &bytes));
	if (err < 0)
		return err;
	if (!known)
		in->ssrcs[in->n_ssrcs++] = ssrc;
	*len = (size_t)bytes;
	return 0;
}

int srtp_open_rtp(struct srtp_in *in, uint8_t *data, size_t *len)
{
	if (*len < SRTP_RTP_HEADER + (size_t)in->rtp_tag || *len > UINT16_MAX)
		return -SL_EPARSE;
	if (in->gcm)
		return srtp_in_gcm_rtp(in->gcm, data, len);
	return open_packet(in, srtp_unprotect, sl_get32(data + 8), data, len);
}

int srtp_open_rtcp(struct srtp_in *in, uint8_t *data, size_t *len)
{
	if (*len < SRTP_RTCP_HEADER + SRTP_INDEX + (size_t)in->rtcp_tag || *len > UINT16_MAX)
		return -SL_EPARSE;
	if (in->gcm)
		return srtp_in_gcm_rtcp(in->gcm, data, len);
	return open_packet(in, srtp_unprotect_rtcp, sl_get32(data + 4), data, len);
}

bool srtp_in_awaits(struct srtp_in *in, const uint8_t *data, size_t len, bool rtcp)
{
	size_t least = rtcp ? SRTP_RTCP_HEADER + SRTP_INDEX + (size_t)in->rtcp_tag
			    : SRTP_RTP_HEADER + (size_t)in->rtp_tag;

	if (len < least)
		return false;
	if (in->gcm)
		return srtp_in_gcm_awaits(in->gcm, data, len, rtcp);
	return is_known(in, sl_get32(data + (rtcp ? 4 : 8)));
}

void srtp_in_forget(struct srtp_in *in, uint32_t ssrc)
{
	if (in->gcm)
		srtp_in_gcm_forget(in->gcm, ssrc);
	for (unsigned i = 0; i < in->n_ssrcs; i++) {
		if (in->ssrcs[i] != ssrc)
			continue;
		in->ssrcs[i] = in->ssrcs[--in->n_ssrcs];
		(void)srtp_remove_stream(in->session, htonl(ssrc)); /* it has one, or never had */
		return;
	}
}
