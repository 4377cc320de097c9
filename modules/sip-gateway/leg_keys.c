/*
 * sip-gateway/leg_keys.c: keys in descriptions. Each section has its own, which stay for its life,
 * so that a new description does not begin a stream's counters anew.
 */
#include "leg_keys.h"

#include <sluice/crypto.h>

int leg_keys_draw(struct leg_keys *k)
{
	static const enum sl_srtp_profile profiles[LEG_OWN_KEYS] = {
		SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AEAD_AES_128_GCM, SL_SRTP_AES128_CM_SHA1_32};

	if (k->n > 0)
		return 0;
	for (unsigned i = 0; i < LEG_OWN_KEYS; i++)
		if (sl_sdes_draw(&k->own[i], i + 1, profiles[i]) < 0)
			return -SL_ESYS;
	k->n = LEG_OWN_KEYS;
	return 0;
}

void leg_keys_put(const struct leg_keys *k, struct sl_plain *section)
{
	section->n_keys = k->n;
	memcpy(section->keys, k->own, k->n * sizeof *k->own);
}

static const struct sl_sdes *own_key(const struct leg_keys *k, enum sl_srtp_profile profile)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->own[i].profile == profile)
			return &k->own[i];
	return NULL;
}

const struct sl_sdes *leg_keys_match(const struct leg_keys *k, const struct sl_plain *theirs,
				     struct sl_sdes *ret_own)
{
	for (unsigned i = 0; i < theirs->n_keys; i++) {
		const struct sl_sdes *own = own_key(k, theirs->keys[i].profile);

		if (!own)
			continue;
		*ret_own = *own;
		ret_own->tag = theirs->keys[i].tag;
		return &theirs->keys[i];
	}
	return NULL;
}

void leg_keys_wipe(struct leg_keys *k)
{
	sl_wipe(k, sizeof *k);
}
