/*
 * recorder/sigv4.c: see sigv4.h. The canonical request is what both sides hash: method, path, query
 * and headers in one agreed form; the key is derived from secret, day, region and service. S3 wants
 * paths as they are: encoded once, dots not resolved.
 */
#include "sigv4.h"

#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAY = 8, HEX = 64 };
static const struct sl_str algorithm = SL_STR_INIT("AWS4-HMAC-SHA256");

/* ---- encoding */

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void encode(struct sl_buf *out, struct sl_str text, bool keep_slash)
{
	for (size_t i = 0; i < text.len; i++) {
		if (is_unreserved(text.p[i]) || (keep_slash && text.p[i] == '/'))
			sl_buf_u8(out, (uint8_t)text.p[i]);
		else
			sl_buf_printf(out, "%%%02X", (unsigned char)text.p[i]);
	}
}

void sigv4_encode_path(struct sl_buf *out, struct sl_str path)
{
	encode(out, path, true);
}

static int by_name(const void *a, const void *b)
{
	const struct sigv4_pair *x = *(const struct sigv4_pair *const *)a,
				*y = *(const struct sigv4_pair *const *)b;
	int rc = sl_str_cmp(x->name, y->name);

	return rc ? rc : x < y ? -1 : x > y;
}

static int by_name_and_value(const void *a, const void *b)
{
	const struct sigv4_pair *x = *(const struct sigv4_pair *const *)a,
				*y = *(const struct sigv4_pair *const *)b;
	int rc = sl_str_cmp(x->name, y->name);

	return rc ? rc : sl_str_cmp(x->value, y->value);
}

static int sort(const struct sigv4_pair *sorted[SIGV4_MAX_PAIRS], const struct sigv4_pair *pairs,
		unsigned n, int (*compare)(const void *, const void *))
{
	if (n > SIGV4_MAX_PAIRS)
		return -SL_ELIMIT;
	for (unsigned i = 0; i < n; i++)
		sorted[i] = &pairs[i];
	if (n > 0)
		qsort(sorted, n, sizeof *sorted, compare);
	return 0;
}

int sigv4_encode_query(struct sl_buf *out, const struct sigv4_pair *query, unsigned n)
{
	const struct sigv4_pair *sorted[SIGV4_MAX_PAIRS];
	int rc = sort(sorted, query, n, by_name_and_value);

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		sl_buf_str(out, i > 0 ? SL_STR("&") : SL_STR(""));
		encode(out, sorted[i]->name, false);
		sl_buf_str(out, SL_STR("="));
		encode(out, sorted[i]->value, false);
	}
	return rc;
}

/* ---- the canonical request */

/* Runs of spaces count as one. */
static void write_value(struct sl_buf *out, struct sl_str value)
{
	value = sl_str_trim(value);
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != ' ' || value.p[i - 1] != ' ')
			sl_buf_u8(out, (uint8_t)value.p[i]);
}

/* A name that comes again adds its value to the line. */
static void write_headers(struct sl_buf *out, const struct sigv4_pair *const *sorted, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool again = i > 0 && sl_str_eq(sorted[i]->name, sorted[i - 1]->name);

		if (i > 0 && !again)
			sl_buf_str(out, SL_STR("\n"));
		if (!again)
			sl_buf_str(out, sorted[i]->name);
		sl_buf_str(out, again ? SL_STR(",") : SL_STR(":"));
		write_value(out, sorted[i]->value);
	}
	sl_buf_str(out, SL_STR("\n"));
}

static void write_names(struct sl_buf *out, const struct sigv4_pair *const *sorted, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i > 0 && sl_str_eq(sorted[i]->name, sorted[i - 1]->name))
			continue;
		sl_buf_str(out, i > 0 ? SL_STR(";") : SL_STR(""));
		sl_buf_str(out, sorted[i]->name);
	}
}

static int write_request(struct sl_buf *out, const struct sigv4_request *r,
			 const struct sigv4_pair *const *sorted)
{
	int rc;

	sl_buf_str(out, r->method);
	sl_buf_str(out, SL_STR("\n"));
	sigv4_encode_path(out, r->path);
	sl_buf_str(out, SL_STR("\n"));
	rc = sigv4_encode_query(out, r->query, r->n_query);
	sl_buf_str(out, SL_STR("\n"));
	write_headers(out, sorted, r->n_headers);
	sl_buf_str(out, SL_STR("\n"));
	write_names(out, sorted, r->n_headers);
	sl_buf_str(out, SL_STR("\n"));
	sl_buf_str(out, r->payload_hash);
	return rc < 0 ? rc : sl_buf_ok(out);
}

/* ---- the signature */

static void hash_hex(char hex[HEX + 1], struct sl_str text)
{
	uint8_t digest[32];

	sl_sha256(digest, text.p, text.len);
	sl_hex_encode(hex, digest, sizeof digest);
}

static void step(uint8_t key[32], struct sl_str text)
{
	uint8_t next[32];

	sl_hmac_sha256(next, (struct sl_str){(const char *)key, 32}, text.p, text.len);
	memcpy(key, next, sizeof next);
}

static void derive(const struct sigv4_key *k, struct sl_str day, uint8_t key[32])
{
	struct sl_buf first;

	sl_buf_init(&first, 0);
	sl_buf_str(&first, SL_STR("AWS4"));
	sl_buf_str(&first, k->secret);
	sl_hmac_sha256(key, sl_buf_view(&first), day.p, day.len);
	if (first.p)
		sl_wipe(first.p, first.cap);
	sl_buf_free(&first);
	step(key, k->region);
	step(key, k->service);
	step(key, SL_STR("aws4_request"));
}

static void sign(const struct sigv4_key *k, struct sl_str day, struct sl_str text,
		 char hex[HEX + 1])
{
	uint8_t key[32];

	derive(k, day, key);
	step(key, text);
	sl_hex_encode(hex, key, sizeof key);
	sl_wipe(key, sizeof key);
}

static struct sl_str day_of(const struct sigv4_request *r)
{
	return (struct sl_str){r->date.p, r->date.len < DAY ? r->date.len : DAY};
}

static void write_scope(struct sl_buf *out, const struct sigv4_key *k, struct sl_str day)
{
	sl_buf_printf(out, "%.*s/%.*s/%.*s/aws4_request", SL_FMT(day), SL_FMT(k->region),
		      SL_FMT(k->service));
}

/* The signature of the whole, in hexadecimal */
static int sign_request(const struct sigv4_key *k, const struct sigv4_request *r,
			const struct sigv4_pair *const *sorted, char hex[HEX + 1])
{
	const struct sl_str day = day_of(r);
	struct sl_buf text;
	int rc;

	sl_buf_init(&text, 0);
	rc = write_request(&text, r, sorted);
	if (rc == 0) {
		hash_hex(hex, sl_buf_view(&text));
		sl_buf_reset(&text);
		sl_buf_printf(&text, "%.*s\n%.*s\n", SL_FMT(algorithm), SL_FMT(r->date));
		write_scope(&text, k, day);
		sl_buf_printf(&text, "\n%s", hex);
		rc = sl_buf_ok(&text);
	}
	if (rc == 0)
		sign(k, day, sl_buf_view(&text), hex);
	sl_buf_free(&text);
	return rc;
}

int sigv4_authorize(const struct sigv4_key *k, const struct sigv4_request *r, struct sl_buf *out)
{
	const struct sigv4_pair *sorted[SIGV4_MAX_PAIRS];
	char hex[HEX + 1];
	int rc = sort(sorted, r->headers, r->n_headers, by_name);

	if (rc == 0)
		rc = sign_request(k, r, sorted, hex);
	if (rc < 0)
		return rc;
	sl_buf_printf(out, "%.*s Credential=%.*s/", SL_FMT(algorithm), SL_FMT(k->id));
	write_scope(out, k, day_of(r));
	sl_buf_str(out, SL_STR(", SignedHeaders="));
	write_names(out, sorted, r->n_headers);
	sl_buf_printf(out, ", Signature=%s", hex);
	return sl_buf_ok(out);
}

int sigv4_presign(const struct sigv4_key *k, const struct sigv4_request *r, unsigned expires_s,
		  struct sl_buf *out)
{
	const struct sigv4_pair *sorted[SIGV4_MAX_PAIRS];
	struct sigv4_pair query[SIGV4_MAX_PAIRS];
	struct sigv4_request q = *r;
	char expires[16], hex[HEX + 1] = "";
	struct sl_buf credential;
	int rc = r->n_query + 5 > SIGV4_MAX_PAIRS ? -SL_ELIMIT
						  : sort(sorted, r->headers, r->n_headers, by_name);

	if (rc < 0)
		return rc;
	sl_buf_init(&credential, 0);
	sl_buf_printf(&credential, "%.*s/", SL_FMT(k->id));
	write_scope(&credential, k, day_of(r));
	(void)snprintf(expires, sizeof expires, "%u", expires_s);
	for (unsigned i = 0; i < r->n_query; i++)
		query[i] = r->query[i];
	query[q.n_query++] = (struct sigv4_pair){SL_STR("X-Amz-Algorithm"), algorithm};
	query[q.n_query++] =
		(struct sigv4_pair){SL_STR("X-Amz-Credential"), sl_buf_view(&credential)};
	query[q.n_query++] = (struct sigv4_pair){SL_STR("X-Amz-Date"), r->date};
	query[q.n_query++] = (struct sigv4_pair){SL_STR("X-Amz-Expires"), sl_str_c(expires)};
	query[q.n_query++] = (struct sigv4_pair){SL_STR("X-Amz-SignedHeaders"), SL_STR("host")};
	q.query = query;
	q.payload_hash = SL_STR("UNSIGNED-PAYLOAD");
	rc = sl_buf_ok(&credential);
	if (rc == 0)
		rc = sign_request(k, &q, sorted, hex);
	if (rc == 0)
		rc = sigv4_encode_query(out, query, q.n_query);
	sl_buf_free(&credential);
	sl_buf_printf(out, "&X-Amz-Signature=%s", hex);
	return rc < 0 ? rc : sl_buf_ok(out);
}
