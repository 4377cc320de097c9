/*
 * proto/sdes.c: keys in a description: a=crypto (RFC 4568, 7714 for GCM).
 *
 * One key without MKI, as telephones offer it. Parameters of a session that would change how
 * packets are protected are not taken (RFC 4568 section 6.3.7 says to refuse what is not
 * understood); hints are.
 */
#include <sluice/sdp_plain.h>

#include "proto/srtp.h"

#include <sluice/crypto.h>

#include <stdio.h>

static const struct {
	struct sl_str name;
	enum sl_srtp_profile profile;
} suites[] = {
	{SL_STR_INIT("AES_CM_128_HMAC_SHA1_80"), SL_SRTP_AES128_CM_SHA1_80},
	{SL_STR_INIT("AES_CM_128_HMAC_SHA1_32"), SL_SRTP_AES128_CM_SHA1_32},
	{SL_STR_INIT("AEAD_AES_128_GCM"), SL_SRTP_AEAD_AES_128_GCM},
	{SL_STR_INIT("AEAD_AES_256_GCM"), SL_SRTP_AEAD_AES_256_GCM},
};

static int set_profile(struct sl_sdes *k, enum sl_srtp_profile profile)
{
	size_t key = srtp_key_bytes(profile), salt = srtp_salt_bytes(profile);

	if (key == 0 || key > sizeof k->key || salt > sizeof k->salt)
		return -SL_EUNSUPP;
	k->profile = profile;
	k->key_len = (uint8_t)key;
	k->salt_len = (uint8_t)salt;
	return 0;
}

static int read_suite(struct sl_sdes *k, struct sl_str name)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(suites); i++)
		if (sl_str_eq(suites[i].name, name))
			return set_profile(k, suites[i].profile);
	return -SL_EUNSUPP;
}

/* "|2^48" is a lifetime, which this node does not reach; "|1:4" is an MKI. */
static int read_tail(struct sl_str tail)
{
	while (tail.p) {
		struct sl_str part = sl_str_split(&tail, '|');

		if (part.len == 0)
			return -SL_EPARSE;
		if (memchr(part.p, ':', part.len))
			return -SL_EUNSUPP;
	}
	return 0;
}

/* "inline:" key and salt in base64; several keys would need an MKI. */
static int read_key(struct sl_sdes *k, struct sl_str params)
{
	uint8_t both[sizeof k->key + sizeof k->salt];
	struct sl_str method = sl_str_split(&params, ':'), text = sl_str_split(&params, '|');
	size_t len = 0, want = (size_t)k->key_len + k->salt_len;
	int err = read_tail(params);

	if (!sl_str_eq(method, SL_STR("inline")))
		return -SL_EUNSUPP;
	if (text.len > 0 && memchr(text.p, ';', text.len))
		return -SL_EUNSUPP;
	if (err == 0 && (sl_base64_decode(both, sizeof both, text, &len) < 0 || len != want))
		err = -SL_EPARSE;
	if (err == 0) {
		memcpy(k->key, both, k->key_len);
		memcpy(k->salt, both + k->key_len, k->salt_len);
	}
	sl_wipe(both, sizeof both);
	return err;
}

/* WSH is a hint, and so is what begins with "-". */
static int read_session_params(struct sl_str words)
{
	while (words.p) {
		struct sl_str word = sl_str_split(&words, ' ');

		if (word.len > 0 && word.p[0] != '-' && !sl_str_starts(word, SL_STR("WSH=")))
			return -SL_EUNSUPP;
	}
	return 0;
}

int sl_sdes_parse(struct sl_sdes *ret_key, struct sl_str value)
{
	struct sl_str tag = sl_str_split(&value, ' '), suite = sl_str_split(&value, ' ');
	struct sl_str key = sl_str_split(&value, ' ');
	struct sl_sdes k = {0};
	uint64_t n;
	int err;

	if (sl_str_u64(tag, &n) < 0 || n > UINT32_MAX || key.len == 0)
		return -SL_EPARSE;
	k.tag = (uint32_t)n;
	err = read_suite(&k, suite);
	if (err == 0)
		err = read_session_params(value);
	if (err == 0)
		err = read_key(&k, key);
	if (err == 0)
		*ret_key = k;
	sl_wipe(&k, sizeof k);
	return err;
}

static const char *suite_name(enum sl_srtp_profile profile)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(suites); i++)
		if (suites[i].profile == profile)
			return suites[i].name.p;
	return "";
}

size_t sl_sdes_format(char dst[SL_SDES_STRLEN], const struct sl_sdes *key)
{
	uint8_t both[sizeof key->key + sizeof key->salt];
	char text[4 * ((sizeof both + 2) / 3) + 1];
	int n;

	memcpy(both, key->key, key->key_len);
	memcpy(both + key->key_len, key->salt, key->salt_len);
	sl_base64_encode(text, both, (size_t)key->key_len + key->salt_len);
	n = snprintf(dst, SL_SDES_STRLEN, "%u %s inline:%s", key->tag, suite_name(key->profile),
		     text);
	sl_wipe(both, sizeof both);
	sl_wipe(text, sizeof text);
	return (size_t)n;
}

int sl_sdes_draw(struct sl_sdes *ret_key, uint32_t tag, enum sl_srtp_profile profile)
{
	struct sl_sdes k = {.tag = tag};
	int err = set_profile(&k, profile);

	if (err == 0)
		err = sl_random(k.key, k.key_len);
	if (err == 0)
		err = sl_random(k.salt, k.salt_len);
	if (err == 0)
		*ret_key = k;
	sl_wipe(&k, sizeof k);
	return err;
}
