/*
 * signaling-ws/jwt.h: JSON Web Tokens (RFC 7519) as tickets to rooms. Pure: is told the time.
 */
#ifndef SIGNALING_JWT_H
#define SIGNALING_JWT_H

#include <sluice/conf.h>
#include <sluice/signal.h>

enum token_alg { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256, N_TOKEN_ALGS };
extern const char *const token_alg_names[N_TOKEN_ALGS + 1];

/* A record of `keys`: the key fixes its algorithm, whatever a token claims. */
struct token_key {
	struct sl_str kid; /* may be empty when it is the only key */
	int32_t alg;	   /* enum token_alg */
	struct sl_str key; /* HS256: the secret; else a public key in PEM */
};

struct token_rules {
	const struct token_key *keys;
	size_t n_keys;
	uint64_t leeway_s;
	struct sl_str issuer, audience; /* empty: not looked at */
};

/* What a peer may do. */
enum permission {
	MAY_SIGNAL = 1,	   /* offer, answer, candidate, bye */
	MAY_MESSAGE = 2,   /* message */
	MAY_BROADCAST = 4, /* without naming a receiver */
	MAY_ALL = 7,
};

/* Who needs no token, or whose token says nothing of media, moderates nobody. */
enum {
	GRANT_PUBLISH = SL_MAY_PUBLISH_AUDIO | SL_MAY_PUBLISH_VIDEO | SL_MAY_PUBLISH_SCREEN,
	GRANT_USUAL = GRANT_PUBLISH | SL_MAY_SUBSCRIBE | SL_MAY_DATA,
};

#define SUBJECT_BYTES 16

/* What a token says about its bearer; zeroed: nothing, so give MAY_ALL to those who need no token.
 */
struct claims {
	char *rooms;			/* owned: patterns, one in a line; NULL: any room */
	uint8_t may;			/* enum permission */
	uint32_t grants;		/* enum sl_signal_grant */
	uint8_t subject[SUBJECT_BYTES]; /* digest of `sub`; zeros: none */
	char *phone; /* owned: `phone`, JSON, for the module that has telephones; NULL: none */
};

/* 0, or -SL_EAUTH with *ret_why a sentence for the log. On success claims are the caller's to free.
 */
int token_verify(const struct token_rules *rules, struct sl_str token, uint64_t now_s,
		 struct claims *ret_claims, const char **ret_why);
bool claims_permit_room(const struct claims *c, struct sl_str room);
void claims_free(struct claims *c);

#endif
