/*
 * sip-gateway/leg_keys.h: keys in descriptions (RFC 4568): ours for one section, and which of theirs
 * goes with which.
 */
#ifndef SIP_GATEWAY_LEG_KEYS_H
#define SIP_GATEWAY_LEG_KEYS_H

#include <sluice/sdp_plain.h>

enum { LEG_OWN_KEYS = 3 };

struct leg_keys {
	struct sl_sdes own[LEG_OWN_KEYS]; /* secret; of our offers and answers */
	unsigned n;
};

/* Once for the life of a section. -SL_ESYS: no random numbers */
SL_MUST_CHECK int leg_keys_draw(struct leg_keys *k);
/* Into a section that offers them */
void leg_keys_put(const struct leg_keys *k, struct sl_plain *section);
/* The first of theirs that there is a key of ours for; it is *ret_own under their tag. NULL: none */
const struct sl_sdes *leg_keys_match(const struct leg_keys *k, const struct sl_plain *theirs,
				     struct sl_sdes *ret_own);
void leg_keys_wipe(struct leg_keys *k);

#endif
