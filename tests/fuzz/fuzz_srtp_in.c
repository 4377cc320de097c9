/*
 * Fuzz target: SRTP and SRTCP of a peer without keys and of one with them. First byte: profile, RTP
 * or RTCP, and whether the rest is sealed before it is opened.
 */
#include <stdlib.h>
#include <sluice/buf.h>
#include "proto/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEALED = 0x10, RTCP = 0x20 };

static int seal(enum sl_srtp_profile profile, const struct srtp_key *key, bool rtcp, uint8_t *p,
		size_t len)
{
	struct srtp_out_stream stream = {0};
	struct srtp_out *out;
	int n = -1;

	sl_assert(srtp_out_new(&out, profile, key) == 0);
	if (rtcp && len >= 8)
		n = srtp_seal_rtcp(out, p, len);
	else if (!rtcp && len >= 12)
		n = srtp_seal_rtp(out, &stream, p, 12, p + 12, len - 12);
	srtp_out_free(out);
	return n;
}

/* Made once: the library takes milliseconds for it. */
static struct srtp_in *opener(enum sl_srtp_profile profile, const struct srtp_key *key)
{
	static struct srtp_in *all[SL_SRTP_AEAD_AES_256_GCM + 1];

	if (!all[profile])
		sl_assert(srtp_in_new(&all[profile], profile, key) == 0);
	return all[profile];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum sl_srtp_profile profiles[] = {
		SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32, SL_SRTP_AEAD_AES_128_GCM,
		SL_SRTP_AEAD_AES_256_GCM};
	static const struct srtp_key key = {{1, 2, 3}, {4, 5, 6}};
	uint8_t kind = size > 0 ? data[0] : 0, *p;
	size_t len = size > 0 ? size - 1 : 0, before;
	struct srtp_in *in;
	int n;

	if (len > 2000)
		return 0;
	in = opener(profiles[kind & 3], &key);
	p = malloc(len + SRTP_MAX_OVERHEAD);
	sl_assert(p);
	if (len > 0)
		memcpy(p, data + 1, len);
	if (kind & SEALED) {
		n = seal(profiles[kind & 3], &key, kind & RTCP, p, len);
		len = n > 0 ? (size_t)n : len;
	}
	before = len;
	if ((kind & RTCP ? srtp_open_rtcp(in, p, &len) : srtp_open_rtp(in, p, &len)) == 0)
		sl_assert(len < before);
	if (before >= 12) /* the next input finds nothing of this one */
		srtp_in_forget(in, sl_get32(p + (kind & RTCP ? 4 : 8)));
	free(p);
	return 0;
}
