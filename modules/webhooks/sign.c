/*
 * webhooks/sign.c: what proves to a receiver that an event is ours, and new: the signature of the
 * Standard Webhooks specification, over id, time and body, under a secret that both know.
 */
#include "webhooks.h"

#include <sluice/crypto.h>
#include <stdio.h>

enum { MAX_KEY = 512 };
static const struct sl_str prefix = SL_STR_INIT("whsec_");

void sign_body(struct sl_str secret, struct sl_str id, uint64_t unix_s, struct sl_str body,
	       char ret_signature[SIGN_MAX])
{
	struct sl_str key = secret, coded = {secret.p + prefix.len, secret.len - prefix.len};
	uint8_t decoded[MAX_KEY], mac[32];
	char time[32];
	size_t len = 0;

	if (sl_str_starts(secret, prefix) &&
	    sl_base64_decode(decoded, sizeof decoded, coded, &len) == 0)
		key = (struct sl_str){(const char *)decoded, len};
	(void)snprintf(time, sizeof time, ".%llu.", (unsigned long long)unix_s);
	sl_hmac_sha256_parts(mac, key, (const struct sl_str[]){id, sl_str_c(time), body}, 3);
	memcpy(ret_signature, "v1,", 3);
	(void)sl_base64_encode(ret_signature + 3, mac, sizeof mac);
	sl_wipe(decoded, sizeof decoded);
}
