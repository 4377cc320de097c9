/*
 * proto/srtp_out.c: sealing RTP and RTCP on EVP and gcm.h (RFC 3711, RFC 7714).
 *
 * One packet goes to many peers, each with its key, so what a packet costs is this file. Per peer
 * there are two ciphers (RTP, RTCP) whose key schedules are made once; a packet sets the IV and
 * encrypts from where the plain payload lies to where it is sent from: there is no copy and no
 * allocation. The MAC of the counter-mode profiles is built from digests (crypto.c), since EVP_MAC
 * allocates at each use.
 *
 * Session keys are derived once (RFC 3711 section 4.3 with a key derivation rate of 0; RFC 7714
 * section 11 uses the same function). srtp_in.c opens what others seal.
 */
#include "proto/srtp.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <sluice/crypto.h>
#include "proto/srtp_impl.h"

enum {
	CM_IV = 16,
	MAX_INDEX = 0x7fffffff, /* RFC 3711 section 3.4: then the key must change */
};

/* Labels of RFC 3711 section 4.3.2; SRTCP's follow by 3. */
enum label { LABEL_KEY, LABEL_AUTH, LABEL_SALT, LABELS_RTCP };

struct profile {
	uint8_t key, salt, rtp_tag, rtcp_tag; /* bytes */
	bool aead;
	const EVP_CIPHER *(*counter)(void); /* of the key derivation, and of what is no AEAD */
};

/* RFC 5764 section 4.1.2: the short tag is for SRTP alone. */
static const struct profile profiles[] = {
	[SL_SRTP_AES128_CM_SHA1_80] = {16, 14, 10, 10, false, EVP_aes_128_ctr},
	[SL_SRTP_AES128_CM_SHA1_32] = {16, 14, 4, 10, false, EVP_aes_128_ctr},
	[SL_SRTP_AEAD_AES_128_GCM] = {16, 12, GCM_TAG, GCM_TAG, true, EVP_aes_128_ctr},
	[SL_SRTP_AEAD_AES_256_GCM] = {32, 12, GCM_TAG, GCM_TAG, true, EVP_aes_256_ctr},
};

struct keys {			 /* of RTP or of RTCP */
	EVP_CIPHER_CTX *counter; /* NULL under an AEAD profile ... */
	struct gcm *gcm;	 /* ... which has this */
	uint8_t salt[SRTP_MAX_SALT];
	uint8_t auth[SRTP_AUTH_KEY];
};

struct srtp_out {
	const struct profile *profile;
	struct keys rtp, rtcp;
	uint32_t rtcp_index; /* of the next packet */
};

static const struct profile *find_profile(unsigned id)
{
	return id < SL_ARRAY_LEN(profiles) && profiles[id].key > 0 ? &profiles[id] : NULL;
}

size_t srtp_key_bytes(enum sl_srtp_profile profile)
{
	const struct profile *p = find_profile(profile);

	return p ? p->key : 0;
}

size_t srtp_salt_bytes(enum sl_srtp_profile profile)
{
	const struct profile *p = find_profile(profile);

	return p ? p->salt : 0;
}

/* ---- keys */

/* The PRF: counter mode over zeros, with the label mixed into byte 7 of the master salt. A GCM salt
 * is 96 bits and stands at the left (RFC 7714 section 11). */
static bool derive(EVP_CIPHER_CTX *prf, const uint8_t salt[SRTP_MAX_SALT], unsigned label,
		   uint8_t *ret_key, int bytes)
{
	uint8_t iv[CM_IV] = {0};
	int n;

	memcpy(iv, salt, SRTP_MAX_SALT);
	iv[7] ^= (uint8_t)label;
	memset(ret_key, 0, (size_t)bytes);
	return EVP_EncryptInit_ex2(prf, NULL, NULL, iv, NULL) == 1 &&
	       EVP_EncryptUpdate(prf, ret_key, &n, ret_key, bytes) == 1;
}

static bool derive_set(struct srtp_key_set *set, const struct profile *p, EVP_CIPHER_CTX *prf,
		       const uint8_t salt[SRTP_MAX_SALT], unsigned first_label)
{
	return derive(prf, salt, first_label + LABEL_KEY, set->key, p->key) &&
	       derive(prf, salt, first_label + LABEL_AUTH, set->auth, SRTP_AUTH_KEY) &&
	       derive(prf, salt, first_label + LABEL_SALT, set->salt, p->salt);
}

int srtp_derive(enum sl_srtp_profile profile, const struct srtp_key *key,
		struct srtp_session_keys *ret_keys)
{
	const struct profile *p = find_profile(profile);
	uint8_t salt[SRTP_MAX_SALT] = {0};
	EVP_CIPHER_CTX *prf;
	bool ok;

	if (!p)
		return -SL_EUNSUPP;
	prf = EVP_CIPHER_CTX_new();
	if (!prf)
		return -SL_ENOMEM;
	memcpy(salt, key->salt, p->salt);
	ok = EVP_EncryptInit_ex2(prf, p->counter(), key->key, NULL, NULL) == 1 &&
	     derive_set(&ret_keys->rtp, p, prf, salt, 0) &&
	     derive_set(&ret_keys->rtcp, p, prf, salt, LABELS_RTCP);
	EVP_CIPHER_CTX_free(prf);
	sl_wipe(salt, sizeof salt);
	return ok ? 0 : -SL_ENOMEM;
}

static bool use_keys(struct keys *k, const struct profile *p, const struct srtp_key_set *set)
{
	memcpy(k->auth, set->auth, sizeof k->auth);
	memcpy(k->salt, set->salt, sizeof k->salt);
	if (p->aead)
		return gcm_new(&k->gcm, set->key, p->key) == 0;
	k->counter = EVP_CIPHER_CTX_new();
	return k->counter &&
	       EVP_EncryptInit_ex2(k->counter, p->counter(), set->key, NULL, NULL) == 1;
}

static void drop_keys(struct keys *k)
{
	EVP_CIPHER_CTX_free(k->counter); /* clears what it held */
	gcm_free(k->gcm);
}

int srtp_out_new_derived(struct srtp_out **ret_out, enum sl_srtp_profile profile,
			 const struct srtp_session_keys *keys)
{
	const struct profile *p = find_profile(profile);
	struct srtp_out *out;

	if (!p)
		return -SL_EUNSUPP;
	out = calloc(1, sizeof *out);
	if (!out)
		return -SL_ENOMEM;
	out->profile = p;
	if (!use_keys(&out->rtp, p, &keys->rtp) || !use_keys(&out->rtcp, p, &keys->rtcp)) {
		srtp_out_free(out);
		return -SL_ENOMEM;
	}
	*ret_out = out;
	return 0;
}

int srtp_out_new(struct srtp_out **ret_out, enum sl_srtp_profile profile,
		 const struct srtp_key *key)
{
	struct srtp_session_keys keys = {0};
	int err;

	err = srtp_derive(profile, key, &keys);
	if (err == 0)
		err = srtp_out_new_derived(ret_out, profile, &keys);
	sl_wipe(&keys, sizeof keys);
	return err;
}

void srtp_out_free(struct srtp_out *out)
{
	if (!out)
		return;
	drop_keys(&out->rtp);
	drop_keys(&out->rtcp);
	sl_wipe(out, sizeof *out);
	free(out);
}

/* ---- ciphers: false means that libcrypto is broken */

static bool cm_crypt(EVP_CIPHER_CTX *c, const uint8_t iv[CM_IV], uint8_t *dst, const uint8_t *src,
		     size_t len)
{
	int n;

	return EVP_EncryptInit_ex2(c, NULL, NULL, iv, NULL) == 1 &&
	       (len == 0 || EVP_EncryptUpdate(c, dst, &n, src, (int)len) == 1);
}

/* ---- RTP */

/*
 * The roll-over counter that belongs to seq (RFC 3711 section 3.3.1), and the stream moved on.
 * Before the first roll-over nothing lies behind number 0: such a packet has never been sent.
 */
static int roll_over(struct srtp_out_stream *s, uint16_t seq, uint32_t *ret_roc)
{
	int32_t distance = (int16_t)(uint16_t)(seq - s->highest_seq);
	int64_t index;

	if (!s->started) {
		s->started = true;
		s->highest_seq = seq;
		distance = 0;
	}
	index = ((int64_t)s->roc << 16) + s->highest_seq + distance;
	if (index < 0)
		return -SL_EINVAL;
	*ret_roc = (uint32_t)(index >> 16);
	if (distance > 0) {
		s->roc = *ret_roc;
		s->highest_seq = seq;
	}
	return 0;
}

/* RFC 3711 section 4.1.1: the salt, the SSRC 64 bits up, the index 16 bits up. */
static void rtp_cm_iv(uint8_t iv[CM_IV], const uint8_t *header, uint32_t roc, const uint8_t *salt)
{
	memset(iv, 0, CM_IV);
	memcpy(iv + 4, header + 8, 4);
	sl_put32(iv + 8, roc);
	memcpy(iv + 12, header + 2, 2);
	srtp_mix(iv, salt, SRTP_MAX_SALT);
}

static void cm_tag(uint8_t *dst, const struct keys *k, struct sl_str covered, uint32_t roc,
		   size_t tag_bytes)
{
	uint8_t counter[4], mac[20];
	struct sl_str parts[2] = {covered, {(const char *)counter, sizeof counter}};

	sl_put32(counter, roc);
	sl_hmac_sha1_parts(mac, (struct sl_str){(const char *)k->auth, SRTP_AUTH_KEY}, parts, 2);
	memcpy(dst, mac, tag_bytes);
}

void srtp_seal_soon(const struct srtp_out *out)
{
	enum { LINE = 64, LINES = 4 };

	__builtin_prefetch(out);
	for (unsigned i = 0; out->rtp.gcm && i < LINES; i++)
		__builtin_prefetch((const uint8_t *)out->rtp.gcm + i * LINE);
}

int srtp_seal_rtp(struct srtp_out *out, struct srtp_out_stream *stream, uint8_t *dst,
		  size_t header_len, const uint8_t *payload, size_t len)
{
	const struct keys *k = &out->rtp;
	size_t sealed = header_len + len;
	uint8_t iv[CM_IV];
	uint32_t roc;
	int err;

	if (!sl_check(header_len >= SRTP_RTP_HEADER && sealed <= UINT16_MAX))
		return -SL_EBUG;
	err = roll_over(stream, sl_get16(dst + 2), &roc);
	if (err < 0)
		return err;
	if (out->profile->aead) {
		srtp_rtp_gcm_iv(iv, dst, roc, k->salt);
		gcm_seal(k->gcm, &(struct gcm_job){.iv = iv,
						   .aad = {(char *)dst, header_len},
						   .plain = {(const char *)payload, len},
						   .dst = dst + header_len,
						   .tag = dst + sealed});
		return (int)(sealed + GCM_TAG);
	}
	rtp_cm_iv(iv, dst, roc, k->salt);
	sl_assert(cm_crypt(k->counter, iv, dst + header_len, payload, len));
	cm_tag(dst + sealed, k, (struct sl_str){(char *)dst, sealed}, roc, out->profile->rtp_tag);
	return (int)(sealed + out->profile->rtp_tag);
}

/* ---- RTCP: header and SSRC stay readable; E flag and index come last (CM: before the tag). */

static size_t seal_rtcp_gcm(struct srtp_out *out, uint8_t *data, size_t len, uint32_t index)
{
	uint8_t iv[GCM_IV], aad[SRTP_RTCP_HEADER + SRTP_INDEX], *body = data + SRTP_RTCP_HEADER;
	const struct keys *k = &out->rtcp;

	srtp_rtcp_gcm_iv(iv, data, index, k->salt);
	memcpy(aad, data, SRTP_RTCP_HEADER);
	sl_put32(aad + SRTP_RTCP_HEADER, index | SRTP_RTCP_SEALED);
	gcm_seal(k->gcm, &(struct gcm_job){.iv = iv,
					   .aad = {(char *)aad, sizeof aad},
					   .plain = {(char *)body, len - SRTP_RTCP_HEADER},
					   .dst = body,
					   .tag = data + len});
	memcpy(data + len + GCM_TAG, aad + SRTP_RTCP_HEADER, SRTP_INDEX);
	return len + GCM_TAG + SRTP_INDEX;
}

static size_t seal_rtcp_cm(struct srtp_out *out, uint8_t *data, size_t len, uint32_t index)
{
	const struct keys *k = &out->rtcp;
	uint8_t iv[CM_IV] = {0}, mac[20], *body = data + SRTP_RTCP_HEADER;

	memcpy(iv + 4, data + 4, 4);
	sl_put32(iv + 10, index);
	srtp_mix(iv, k->salt, SRTP_MAX_SALT);
	sl_assert(cm_crypt(k->counter, iv, body, body, len - SRTP_RTCP_HEADER));
	sl_put32(data + len, index | SRTP_RTCP_SEALED);
	sl_hmac_sha1(mac, (struct sl_str){(const char *)k->auth, SRTP_AUTH_KEY}, data,
		     len + SRTP_INDEX);
	memcpy(data + len + SRTP_INDEX, mac, out->profile->rtcp_tag);
	return len + SRTP_INDEX + out->profile->rtcp_tag;
}

int srtp_seal_rtcp(struct srtp_out *out, uint8_t *data, size_t len)
{
	uint32_t index = out->rtcp_index;

	if (!sl_check(len >= SRTP_RTCP_HEADER && len <= UINT16_MAX))
		return -SL_EBUG;
	if (index > MAX_INDEX)
		return -SL_ELIMIT;
	out->rtcp_index++;
	return (int)(out->profile->aead ? seal_rtcp_gcm(out, data, len, index)
					: seal_rtcp_cm(out, data, len, index));
}
