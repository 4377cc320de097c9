/*
 * signaling-ws/jwt.c: verifying a JSON Web Token (RFC 7519, RFC 7515; practices of RFC 8725). The
 * seam of libjwt.
 *
 * The header is read here first: its `kid` chooses the key, and its `alg` must be the algorithm
 * that the key was configured with. Only then does the library see the token, with that one key;
 * afterwards its idea of the algorithm is compared once more. So a public key can never be used as
 * an HMAC secret, and `none` is no algorithm. Times are checked here, too, with leeway.
 */
#include "jwt.h"

#include <jwt.h>
#include <stdlib.h>
#include <sluice/crypto.h>
#include <sluice/json.h>
#include "limits.h"

#define HEADER_MAX 1024
#define TOKEN_MAX 8192
#define JSON_DEPTH 6
#define PHONE_MAX 2048

const char *const token_alg_names[N_TOKEN_ALGS + 1] = {"HS256", "RS256", "ES256", NULL};
static const jwt_alg_t library_algs[N_TOKEN_ALGS] = {JWT_ALG_HS256, JWT_ALG_RS256, JWT_ALG_ES256};

static const struct {
	const char *name;
	uint8_t bit;
} permissions[] = {{"signal", MAY_SIGNAL}, {"message", MAY_MESSAGE}, {"broadcast", MAY_BROADCAST}};

/* Before any signature is checked: bounded, and trusted in nothing but the choice of a key. */
static json_t *read_header(struct sl_str token)
{
	struct sl_str part = sl_str_split(&token, '.');
	uint8_t text[HEADER_MAX];
	size_t n;

	if (part.len > HEADER_MAX || sl_base64_decode(text, sizeof text, part, &n) < 0)
		return NULL;
	return sl_json_parse((struct sl_str){(const char *)text, n}, JSON_DEPTH, NULL, 0);
}

/*
 * A token that names a key must name one of ours; one that names none can only mean the only key.
 */
static const struct token_key *key_for(const struct token_rules *rules, const json_t *header)
{
	const json_t *kid = json_object_get(header, "kid");

	if (!kid)
		return rules->n_keys == 1 ? &rules->keys[0] : NULL;
	for (size_t i = 0; i < rules->n_keys; i++)
		if (rules->keys[i].kid.len > 0 &&
		    sl_str_eq(rules->keys[i].kid, sl_json_get_str(header, "kid")))
			return &rules->keys[i];
	return NULL;
}

/* RFC 8725 section 3.1: the algorithm is the key's, and `crit` is for those who understand it. */
static const struct token_key *choose_key(const struct token_rules *rules, struct sl_str token,
					  const char **ret_why)
{
	json_t *header = read_header(token);
	const struct token_key *key = header ? key_for(rules, header) : NULL;

	if (!header)
		*ret_why = "the header of the token is no JSON object";
	else if (!key)
		*ret_why = "no key of this kid is configured";
	else if (!sl_str_eq(sl_json_get_str(header, "alg"), sl_str_c(token_alg_names[key->alg])))
		*ret_why = "the algorithm is not the one of the key", key = NULL;
	else if (json_object_get(header, "crit"))
		*ret_why = "the token has critical extensions", key = NULL;
	json_decref(header);
	return key;
}

/* The payload of a token with a good signature; NULL: bad. */
static json_t *verified_payload(const struct token_key *key, const char *token)
{
	char *text = NULL;
	json_t *payload = NULL;
	jwt_t *jwt = NULL;

	if (jwt_decode(&jwt, token, (const unsigned char *)key->key.p, (int)key->key.len) != 0)
		return NULL;
	if (jwt_get_alg(jwt) == library_algs[key->alg])
		text = jwt_get_grants_json(jwt, NULL);
	if (text)
		payload = sl_json_parse(sl_str_c(text), JSON_DEPTH, NULL, 0);
	free(text);
	jwt_free(jwt);
	return payload;
}

/* A NumericDate (RFC 7519 section 2), fractions included. */
static bool date_of(const json_t *payload, const char *name, double *ret_s)
{
	const json_t *v = json_object_get(payload, name);

	if (!json_is_number(v))
		return false;
	*ret_s = json_number_value(v);
	return true;
}

/* A token without end is refused: it could not be taken back. */
static const char *check_times(const struct token_rules *rules, const json_t *payload,
			       uint64_t now_s)
{
	double at = 0, now = (double)now_s, leeway = (double)rules->leeway_s;

	if (!date_of(payload, "exp", &at))
		return "the token has no exp";
	if (now - leeway >= at)
		return "the token has expired";
	if (json_object_get(payload, "nbf") && (!date_of(payload, "nbf", &at) || now + leeway < at))
		return "the token is not valid yet";
	return NULL;
}

/* `aud` and `permissions` are a text or a list of texts. */
static bool list_names(const json_t *list, struct sl_str name)
{
	const json_t *item;
	size_t i;

	if (json_is_string(list))
		return sl_str_eq(sl_str_c(json_string_value(list)), name);
	json_array_foreach(
		list, i, item) if (json_is_string(item) &&
				   sl_str_eq(sl_str_c(json_string_value(item)), name)) return true;
	return false;
}

static const char *check_parties(const struct token_rules *rules, const json_t *payload)
{
	if (rules->issuer.len > 0 && !sl_str_eq(sl_json_get_str(payload, "iss"), rules->issuer))
		return "the token is of another issuer";
	if (rules->audience.len > 0 &&
	    !list_names(json_object_get(payload, "aud"), rules->audience))
		return "the token is for another audience";
	return NULL;
}

/* One name, or a list of patterns, as lines of patterns. A malformed claim permits nothing rather
 * than everything. */
static int add_pattern(struct sl_buf *lines, const json_t *item)
{
	struct sl_str s = {json_string_value(item), json_string_length(item)};

	if (!json_is_string(item) || s.len == 0 || !name_is_fair(s, TOKEN_MAX))
		return -SL_EAUTH;
	if (lines->len > 0)
		sl_buf_u8(lines, '\n');
	sl_buf_str(lines, s);
	return 0;
}

static int read_rooms(const json_t *claim, char **ret_rooms)
{
	struct sl_buf lines;
	const json_t *item;
	size_t i;
	int rc = 0;

	sl_buf_init(&lines, 0);
	if (json_is_array(claim)) {
		json_array_foreach(claim, i, item) if (rc == 0) rc = add_pattern(&lines, item);
	} else {
		rc = add_pattern(&lines, claim);
	}
	sl_buf_u8(&lines, '\0');
	if (rc == 0 && sl_buf_ok(&lines) == 0) {
		*ret_rooms = (char *)lines.p;
		return 0;
	}
	sl_buf_free(&lines);
	return -SL_EAUTH;
}

/* Unknown names are of a later version and give nothing. */
static uint8_t read_permissions(const json_t *claim)
{
	uint8_t may = 0;

	if (!claim)
		return MAY_ALL;
	for (size_t i = 0; i < SL_ARRAY_LEN(permissions); i++)
		if (list_names(claim, sl_str_c(permissions[i].name)))
			may |= permissions[i].bit;
	return may;
}

/* `media`: {"publish": true, or a list of "audio", "video", "screen"; "subscribe", "data",
 * "hidden", "recorder", "admin": bool}. A member that is missing keeps what everybody may. */
static uint32_t read_publish(const json_t *v, uint32_t grants)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} sources[] = {{"audio", SL_MAY_PUBLISH_AUDIO},
		       {"video", SL_MAY_PUBLISH_VIDEO},
		       {"screen", SL_MAY_PUBLISH_SCREEN}};

	if (!v || json_is_true(v))
		return grants;
	grants &= ~(uint32_t)GRANT_PUBLISH;
	for (size_t i = 0; i < SL_ARRAY_LEN(sources); i++)
		if (list_names(v, sl_str_c(sources[i].name)))
			grants |= sources[i].bit;
	return grants;
}

static uint32_t read_grants(const json_t *claim)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} flags[] = {{"subscribe", SL_MAY_SUBSCRIBE},
		     {"data", SL_MAY_DATA},
		     {"admin", SL_MAY_ADMIN},
		     {"hidden", SL_IS_HIDDEN},
		     {"recorder", SL_IS_RECORDER}};
	uint32_t grants = GRANT_USUAL;

	if (!claim)
		return grants;
	grants = read_publish(json_object_get(claim, "publish"), grants);
	for (size_t i = 0; i < SL_ARRAY_LEN(flags); i++) {
		const json_t *v = json_object_get(claim, flags[i].name);

		if (v)
			grants = json_is_true(v) ? grants | flags[i].bit : grants & ~flags[i].bit;
	}
	return grants;
}

/* Not looked into: what it means is a matter of the module that knows telephones. */
static const char *read_phone(const json_t *claim, char **ret_phone)
{
	struct sl_buf text;

	if (!claim)
		return NULL;
	if (!json_is_object(claim))
		return "the phone claim is no object";
	sl_buf_init(&text, PHONE_MAX);
	sl_json_dump(claim, &text);
	sl_buf_u8(&text, '\0');
	if (sl_buf_ok(&text) < 0) {
		sl_buf_free(&text);
		return "the phone claim is too long";
	}
	*ret_phone = (char *)text.p;
	return NULL;
}

/* The subject is kept as a digest: it may be long, and is only compared. */
static const char *read_claims(const json_t *payload, struct claims *c)
{
	struct sl_str sub = sl_json_get_str(payload, "sub");
	const json_t *room = json_object_get(payload, "room");
	uint8_t digest[32];

	if (room && read_rooms(room, &c->rooms) < 0)
		return "the room claim is neither a name nor a list of patterns";
	c->may = read_permissions(json_object_get(payload, "permissions"));
	c->grants = read_grants(json_object_get(payload, "media"));
	if (sub.len > 0) {
		sl_sha256(digest, sub.p, sub.len);
		memcpy(c->subject, digest, SUBJECT_BYTES);
	}
	return read_phone(json_object_get(payload, "phone"), &c->phone);
}

/* The first reason found is told; nothing of an unverified payload is looked at. */
int token_verify(const struct token_rules *rules, struct sl_str token, uint64_t now_s,
		 struct claims *ret_claims, const char **ret_why)
{
	const struct token_key *key;
	struct claims c = {0};
	json_t *payload;
	char *z;

	*ret_why = token.len == 0 ? "there is no token" : "the token is too long";
	if (token.len == 0 || token.len > TOKEN_MAX)
		return -SL_EAUTH;
	key = choose_key(rules, token, ret_why);
	if (!key)
		return -SL_EAUTH;
	z = sl_str_dup(token);
	payload = z ? verified_payload(key, z) : NULL;
	free(z);
	*ret_why = payload ? check_times(rules, payload, now_s) : "the signature does not fit";
	if (!*ret_why)
		*ret_why = check_parties(rules, payload);
	if (!*ret_why)
		*ret_why = read_claims(payload, &c);
	json_decref(payload);
	if (*ret_why) {
		claims_free(&c);
		return -SL_EAUTH;
	}
	*ret_claims = c;
	return 0;
}

bool claims_permit_room(const struct claims *c, struct sl_str room)
{
	return !c->rooms || glob_match_any(sl_str_c(c->rooms), room);
}

void claims_free(struct claims *c)
{
	free(c->rooms);
	if (c->phone)
		sl_wipe(c->phone, strlen(c->phone)); /* may hold a password */
	free(c->phone);
	*c = (struct claims){0};
}
