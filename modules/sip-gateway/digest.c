/*
 * sip-gateway/digest.c: digests with MD5, SHA-256 and SHA-512/256, with qop=auth and, for old
 * peers, without.
 */
#include "digest.h"

#include <sluice/crypto.h>

#include <stdio.h>

static const char *const tokens[SIP_N_ALGORITHMS] = {"MD5", "SHA-256", "SHA-512-256"};

/* ---- parameters */

/* The next name=value of a comma-separated list, quotes removed. */
static bool next_param(struct sl_str *rest, struct sl_str *ret_name, struct sl_str *ret_value)
{
	bool quoted = false;
	size_t i = 0, eq;
	struct sl_str item;

	while (rest->len > 0 && (rest->p[0] == ',' || rest->p[0] == ' ' || rest->p[0] == '\t' ||
				 rest->p[0] == '\r' || rest->p[0] == '\n'))
		rest->p++, rest->len--;
	if (rest->len == 0)
		return false;
	for (; i < rest->len && (quoted || rest->p[i] != ','); i++) {
		if (quoted && rest->p[i] == '\\' && i + 1 < rest->len)
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
	}
	item = (struct sl_str){rest->p, i};
	rest->p += i, rest->len -= i;
	for (eq = 0; eq < item.len && item.p[eq] != '=';)
		eq++;
	*ret_name = sl_str_trim((struct sl_str){item.p, eq});
	item = eq < item.len ? (struct sl_str){item.p + eq + 1, item.len - eq - 1} : SL_STR_NULL;
	item = sl_str_trim(item);
	if (item.len >= 2 && item.p[0] == '"' && item.p[item.len - 1] == '"')
		item = (struct sl_str){item.p + 1, item.len - 2};
	*ret_value = item;
	return true;
}

static struct sl_str *member(struct digest *d, struct sl_str name)
{
	const struct {
		const char *name;
		struct sl_str *value;
	} members[] = {
		{"username", &d->username}, {"realm", &d->realm},
		{"nonce", &d->nonce},	    {"uri", &d->uri},
		{"response", &d->response}, {"algorithm", &d->algorithm},
		{"qop", &d->qop},	    {"nc", &d->nc},
		{"cnonce", &d->cnonce},	    {"opaque", &d->opaque},
		{"stale", &d->stale},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(members); i++)
		if (sl_str_eq_nocase(name, sl_str_c(members[i].name)))
			return members[i].value;
	return NULL;
}

int digest_parse(struct digest *ret_digest, struct sl_str value)
{
	const struct sl_str scheme = SL_STR("Digest ");
	struct digest d = {0};
	struct sl_str name, v;

	if (value.len < scheme.len ||
	    !sl_str_eq_nocase((struct sl_str){value.p, scheme.len}, scheme))
		return -SL_EPARSE;
	value.p += scheme.len, value.len -= scheme.len;
	while (next_param(&value, &name, &v)) {
		struct sl_str *m = member(&d, name);

		if (m && m->p == NULL)
			*m = v;
	}
	if (d.nonce.len == 0 || d.realm.p == NULL)
		return -SL_EPARSE;
	*ret_digest = d;
	return 0;
}

int digest_algorithm(const struct digest *d, enum sip_algorithm *ret_algorithm)
{
	struct sl_str wanted = d->algorithm.len > 0 ? d->algorithm : SL_STR("MD5");

	for (unsigned a = 0; a < SIP_N_ALGORITHMS; a++) {
		if (!sl_str_eq_nocase(wanted, sl_str_c(tokens[a])))
			continue;
		*ret_algorithm = (enum sip_algorithm)a;
		return 0;
	}
	return -SL_EUNSUPP;
}

/* ---- hashes */

static void hash_hex(char ret_hex[DIGEST_HEX], enum sip_algorithm a, const struct sl_str *parts,
		     unsigned n)
{
	uint8_t out[32];

	if (a == SIP_SHA256)
		sl_sha256_parts(out, parts, n);
	else if (a == SIP_SHA512_256)
		sl_sha512_256_parts(out, parts, n);
	else
		sl_md5_parts(out, parts, n);
	sl_hex_encode(ret_hex, out, a == SIP_MD5 ? 16 : 32);
	sl_wipe(out, sizeof out);
}

void digest_response(char ret_hex[DIGEST_HEX], const struct digest *d, enum sip_algorithm a,
		     struct sl_str password, struct sl_str method)
{
	const struct sl_str colon = SL_STR(":");
	const struct sl_str secret[] = {d->username, colon, d->realm, colon, password};
	const struct sl_str what[] = {method, colon, d->uri};
	char a1[DIGEST_HEX], a2[DIGEST_HEX];

	hash_hex(a1, a, secret, SL_ARRAY_LEN(secret));
	hash_hex(a2, a, what, SL_ARRAY_LEN(what));
	if (d->qop.len > 0) {
		const struct sl_str all[] = {sl_str_c(a1), colon, d->nonce,    colon,
					     d->nc,	   colon, d->cnonce,   colon,
					     d->qop,	   colon, sl_str_c(a2)};

		hash_hex(ret_hex, a, all, SL_ARRAY_LEN(all));
	} else {
		const struct sl_str all[] = {sl_str_c(a1), colon, d->nonce, colon, sl_str_c(a2)};

		hash_hex(ret_hex, a, all, SL_ARRAY_LEN(all));
	}
	sl_wipe(a1, sizeof a1);
}

bool digest_matches(const struct digest *d, struct sl_str password, struct sl_str method)
{
	enum sip_algorithm a;
	char expected[DIGEST_HEX];
	bool same;

	if (digest_algorithm(d, &a) < 0)
		return false;
	if (d->qop.len > 0 && !sl_str_eq_nocase(d->qop, SL_STR("auth")))
		return false;
	digest_response(expected, d, a, password, method);
	same = d->response.len == strlen(expected) &&
	       sl_mem_eq(d->response.p, expected, d->response.len);
	sl_wipe(expected, sizeof expected);
	return same;
}

/* ---- headers */

void digest_challenge(struct sl_buf *b, struct sl_str realm, const char *nonce,
		      enum sip_algorithm a, bool stale)
{
	sl_buf_printf(b, "Digest realm=\"%.*s\", nonce=\"%s\", algorithm=%s, qop=\"auth\"%s",
		      SL_FMT(realm), nonce, tokens[a], stale ? ", stale=true" : "");
}

/* "auth,auth-int": one of several; none at all is permitted, too. */
static int choose_qop(const struct digest *challenge, struct sl_str *ret_qop)
{
	struct sl_str rest = challenge->qop;

	*ret_qop = SL_STR_NULL;
	if (rest.len == 0)
		return 0;
	while (rest.len > 0) {
		if (sl_str_eq_nocase(sl_str_trim(sl_str_split(&rest, ',')), SL_STR("auth"))) {
			*ret_qop = SL_STR("auth");
			return 0;
		}
	}
	return -SL_EUNSUPP;
}

int digest_answer(struct sl_buf *b, const struct digest *challenge, const struct digest_answer *a)
{
	struct digest d = {.username = a->username,
			   .realm = challenge->realm,
			   .nonce = challenge->nonce,
			   .uri = a->uri};
	char response[DIGEST_HEX], cnonce[17], nc[9];
	enum sip_algorithm algorithm;
	uint8_t random[8];
	int rc = digest_algorithm(challenge, &algorithm);

	if (rc == 0)
		rc = choose_qop(challenge, &d.qop);
	if (rc == 0)
		rc = sl_random(random, sizeof random);
	if (rc < 0)
		return rc;
	sl_hex_encode(cnonce, random, sizeof random);
	(void)snprintf(nc, sizeof nc, "%08x", a->n);
	d.cnonce = sl_str_c(cnonce);
	d.nc = sl_str_c(nc);
	digest_response(response, &d, algorithm, a->password, a->method);
	sl_buf_printf(b,
		      "Digest username=\"%.*s\", realm=\"%.*s\", nonce=\"%.*s\", uri=\"%.*s\", "
		      "response=\"%s\", algorithm=%s",
		      SL_FMT(d.username), SL_FMT(d.realm), SL_FMT(d.nonce), SL_FMT(d.uri), response,
		      tokens[algorithm]);
	if (d.qop.len > 0)
		sl_buf_printf(b, ", qop=auth, nc=%s, cnonce=\"%s\"", nc, cnonce);
	if (challenge->opaque.p)
		sl_buf_printf(b, ", opaque=\"%.*s\"", SL_FMT(challenge->opaque));
	return sl_buf_ok(b);
}
