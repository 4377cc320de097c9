/*
 * recorder/envelope.c: see envelope.h. Keys are libcrypto's EVP_PKEY; pieces are sealed by the
 * core's AES-GCM.
 */
#include "envelope.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRAP_X25519 = 1, WRAP_RSA_OAEP = 2, MAX_WRAPPED = 1024, X25519_BYTES = 32, KEY = 32 };

static const char magic[8] = {'S', 'L', 'S', 'E', 'A', 'L', '1', '\n'};

struct envelope_key {
	EVP_PKEY *pkey;
	int wrap;
};

/* ---- recipients */

static int kind_of(const EVP_PKEY *pkey)
{
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_X25519)
		return WRAP_X25519;
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey) >= 2048)
		return WRAP_RSA_OAEP;
	return 0;
}

static int take_key(EVP_PKEY *pkey, struct envelope_key **ret_key, char *err)
{
	struct envelope_key *k;

	ERR_clear_error();
	if (!pkey) {
		(void)snprintf(err, 160, "holds no such key in PEM form");
		return -SL_EPARSE;
	}
	k = calloc(1, sizeof *k);
	if (k && (k->wrap = kind_of(pkey)) != 0) {
		k->pkey = pkey;
		*ret_key = k;
		return 0;
	}
	EVP_PKEY_free(pkey);
	free(k);
	(void)snprintf(err, 160, "is neither an X25519 key nor RSA of 2048 bits or more");
	return -SL_EUNSUPP;
}

int envelope_key_public(struct sl_str pem, struct envelope_key **ret_key, char *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return take_key(pkey, ret_key, err);
}

int envelope_key_private(struct sl_str pem, struct envelope_key **ret_key, char *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return take_key(pkey, ret_key, err);
}

void envelope_key_free(struct envelope_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

/* ---- X25519 */

/* HKDF-SHA256 over what both have agreed on, bound to both public keys */
static int derive(EVP_PKEY *own, EVP_PKEY *peer, const uint8_t publics[2 * X25519_BYTES],
		  uint8_t ret_kek[KEY])
{
	static const char info[] = "sluice recording";
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL), *hkdf = NULL;
	uint8_t shared[X25519_BYTES];
	size_t n = sizeof shared, out = KEY;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
		  EVP_PKEY_derive(ctx, shared, &n) > 0;

	EVP_PKEY_CTX_free(ctx);
	if (ok)
		hkdf = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	ok = hkdf && EVP_PKEY_derive_init(hkdf) > 0 &&
	     EVP_PKEY_CTX_set_hkdf_md(hkdf, EVP_sha256()) > 0 &&
	     EVP_PKEY_CTX_set1_hkdf_salt(hkdf, publics, 2 * X25519_BYTES) > 0 &&
	     EVP_PKEY_CTX_set1_hkdf_key(hkdf, shared, (int)n) > 0 &&
	     EVP_PKEY_CTX_add1_hkdf_info(hkdf, (const uint8_t *)info, sizeof info - 1) > 0 &&
	     EVP_PKEY_derive(hkdf, ret_kek, &out) > 0;
	EVP_PKEY_CTX_free(hkdf);
	sl_wipe(shared, sizeof shared);
	return ok ? 0 : -SL_ESYS;
}

static int raw_public(EVP_PKEY *pkey, uint8_t dst[X25519_BYTES])
{
	size_t n = X25519_BYTES;

	return EVP_PKEY_get_raw_public_key(pkey, dst, &n) > 0 && n == X25519_BYTES ? 0 : -SL_ESYS;
}

static struct sl_gcm gcm_of(const uint8_t kek[KEY], const uint8_t nonce[12])
{
	return (struct sl_gcm){.key = {(const char *)kek, KEY}, .nonce = {(const char *)nonce, 12}};
}

static int wrap_x25519(const struct envelope_key *k, const uint8_t key[KEY], struct sl_buf *out)
{
	EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	uint8_t publics[2 * X25519_BYTES], kek[KEY] = {0}, sealed[KEY + SL_GCM_TAG];
	static const uint8_t nonce[12]; /* the key is used once */
	struct sl_gcm g = gcm_of(kek, nonce);
	int rc = own ? raw_public(own, publics) : -SL_ESYS;

	if (rc == 0)
		rc = raw_public(k->pkey, publics + X25519_BYTES);
	if (rc == 0)
		rc = derive(own, k->pkey, publics, kek);
	if (rc == 0)
		rc = sl_gcm_seal(&g, (struct sl_str){(const char *)key, KEY}, sealed);
	EVP_PKEY_free(own);
	sl_wipe(kek, sizeof kek);
	if (rc < 0)
		return rc;
	sl_buf_add(out, publics, X25519_BYTES);
	sl_buf_add(out, sealed, sizeof sealed);
	return 0;
}

static int unwrap_x25519(const struct envelope_key *k, struct sl_str wrapped, uint8_t ret_key[KEY])
{
	uint8_t publics[2 * X25519_BYTES], kek[KEY] = {0};
	static const uint8_t nonce[12];
	struct sl_gcm g = gcm_of(kek, nonce);
	EVP_PKEY *peer;
	int rc;

	if (wrapped.len != X25519_BYTES + KEY + SL_GCM_TAG)
		return -SL_EPARSE;
	memcpy(publics, wrapped.p, X25519_BYTES);
	peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, publics, X25519_BYTES);
	rc = peer ? raw_public(k->pkey, publics + X25519_BYTES) : -SL_EPARSE;
	if (rc == 0)
		rc = derive(k->pkey, peer, publics, kek);
	EVP_PKEY_free(peer);
	if (rc == 0)
		rc = sl_gcm_open(
			&g, (struct sl_str){wrapped.p + X25519_BYTES, wrapped.len - X25519_BYTES},
			ret_key);
	sl_wipe(kek, sizeof kek);
	return rc;
}

/* ---- RSA */

static bool oaep(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0;
}

static int wrap_rsa(const struct envelope_key *k, const uint8_t key[KEY], struct sl_buf *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	uint8_t wrapped[MAX_WRAPPED];
	size_t n = sizeof wrapped;
	bool ok = ctx && EVP_PKEY_encrypt_init(ctx) > 0 && oaep(ctx) &&
		  EVP_PKEY_encrypt(ctx, wrapped, &n, key, KEY) > 0;

	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return -SL_ESYS;
	sl_buf_add(out, wrapped, n);
	return 0;
}

static int unwrap_rsa(const struct envelope_key *k, struct sl_str wrapped, uint8_t ret_key[KEY])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	uint8_t text[MAX_WRAPPED];
	size_t n = sizeof text;
	bool ok = ctx && EVP_PKEY_decrypt_init(ctx) > 0 && oaep(ctx) &&
		  EVP_PKEY_decrypt(ctx, text, &n, (const uint8_t *)wrapped.p, wrapped.len) > 0 &&
		  n == KEY;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	if (ok)
		memcpy(ret_key, text, KEY);
	sl_wipe(text, sizeof text);
	return ok ? 0 : -SL_EAUTH;
}

/* ---- files */

void envelope_wipe(struct envelope *e)
{
	sl_wipe(e, sizeof *e);
}

/* Not by sl_sha256, whose state stays with the thread that used it: this may be one that ends. */
static int digest_head(struct envelope *e, const void *head, size_t len)
{
	return EVP_Digest(head, len, e->head_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -SL_ESYS;
}

int envelope_begin(struct envelope *e, const struct envelope_key *recipient, struct sl_buf *out)
{
	struct sl_buf wrapped;
	size_t from = out->len;
	int rc = sl_random(e->key, sizeof e->key);

	sl_buf_init(&wrapped, MAX_WRAPPED);
	e->n = 0;
	if (rc == 0)
		rc = recipient->wrap == WRAP_X25519 ? wrap_x25519(recipient, e->key, &wrapped)
						    : wrap_rsa(recipient, e->key, &wrapped);
	sl_buf_add(out, magic, sizeof magic);
	sl_buf_u8(out, (uint8_t)recipient->wrap);
	sl_buf_u8(out, 0);
	sl_buf_u16(out, (uint16_t)wrapped.len);
	sl_buf_str(out, sl_buf_view(&wrapped));
	sl_buf_free(&wrapped);
	if (rc == 0)
		rc = sl_buf_ok(out);
	if (rc == 0)
		rc = digest_head(e, out->p + from, out->len - from);
	return rc;
}

struct piece_names { /* what is authenticated with a piece, and its nonce */
	uint8_t aad[32 + 8 + 1], nonce[12];
};

static struct sl_gcm name_piece(const struct envelope *e, bool last, struct piece_names *names)
{
	struct sl_gcm g = gcm_of(e->key, names->nonce);

	memset(names->nonce, 0, sizeof names->nonce);
	sl_put64(names->nonce + 4, e->n);
	memcpy(names->aad, e->head_digest, 32);
	sl_put64(names->aad + 32, e->n);
	names->aad[40] = last;
	g.aad = (struct sl_str){(const char *)names->aad, sizeof names->aad};
	return g;
}

static int seal_piece(struct envelope *e, struct sl_str text, bool last, struct sl_buf *out)
{
	struct piece_names names = {{0}, {0}};
	struct sl_gcm g = name_piece(e, last, &names);
	uint8_t *dst;

	sl_buf_u32(out, (uint32_t)text.len | (last ? ENVELOPE_LAST : 0));
	dst = sl_buf_reserve(out, text.len + SL_GCM_TAG);
	if (!dst)
		return -SL_ENOMEM;
	e->n++;
	out->len += text.len + SL_GCM_TAG;
	return sl_gcm_seal(&g, text.len > 0 ? text : SL_STR(""), dst);
}

int envelope_seal(struct envelope *e, struct sl_str text, bool last, struct sl_buf *out)
{
	int rc = 0;

	do {
		size_t n = text.len < ENVELOPE_MAX_PIECE ? text.len : ENVELOPE_MAX_PIECE;

		rc = seal_piece(e, (struct sl_str){text.p, n}, last && n == text.len, out);
		text.p += n;
		text.len -= n;
	} while (rc == 0 && text.len > 0);
	return rc;
}

bool envelope_is_sealed(struct sl_str bytes)
{
	return bytes.len >= sizeof magic && memcmp(bytes.p, magic, sizeof magic) == 0;
}

/* Skips the head; the wrapped key is borrowed. */
static int read_head(struct sl_reader *r, int *ret_wrap, struct sl_str *ret_wrapped)
{
	struct sl_str m = sl_read_bytes(r, sizeof magic);

	*ret_wrap = sl_read_u8(r);
	(void)sl_read_u8(r);
	*ret_wrapped = sl_read_bytes(r, sl_read_u16(r));
	return r->failed || !envelope_is_sealed(m) ? -SL_EPARSE : 0;
}

int envelope_open(struct envelope *e, const struct envelope_key *own, struct sl_str *in)
{
	struct sl_reader r = sl_reader(in->p, in->len);
	struct sl_str wrapped;
	int wrap, rc = read_head(&r, &wrap, &wrapped);
	size_t n = (size_t)((const char *)r.p - in->p);

	if (rc < 0)
		return rc;
	if (wrap != own->wrap)
		return -SL_EAUTH;
	*e = (struct envelope){0};
	rc = wrap == WRAP_X25519 ? unwrap_x25519(own, wrapped, e->key)
				 : unwrap_rsa(own, wrapped, e->key);
	if (rc < 0)
		return rc;
	rc = digest_head(e, in->p, n);
	*in = (struct sl_str){in->p + n, in->len - n};
	return rc;
}

/* false: no whole piece */
static bool read_piece(struct sl_reader *r, bool *ret_last, struct sl_str *ret_sealed)
{
	uint32_t word = sl_read_u32(r), len = word & ~(uint32_t)ENVELOPE_LAST;

	if (r->failed || len > ENVELOPE_MAX_PIECE)
		return false;
	*ret_last = word & ENVELOPE_LAST;
	*ret_sealed = sl_read_bytes(r, len + SL_GCM_TAG);
	return !r->failed;
}

int envelope_read(struct envelope *e, struct sl_str *in, struct sl_buf *out)
{
	struct sl_reader r = sl_reader(in->p, in->len);
	struct piece_names names = {{0}, {0}};
	struct sl_str sealed;
	struct sl_gcm g;
	bool last;
	uint8_t *dst;
	int rc;

	if (e->ended || !read_piece(&r, &last, &sealed))
		return -SL_ENOENT;
	g = name_piece(e, last, &names);
	dst = sl_buf_reserve(out, sealed.len);
	if (!dst)
		return -SL_ENOMEM;
	rc = sl_gcm_open(&g, sealed, dst);
	if (rc < 0)
		return rc;
	out->len += sealed.len - SL_GCM_TAG;
	e->n++;
	e->ended = last;
	in->len -= (size_t)((const char *)r.p - in->p);
	in->p = (const char *)r.p;
	return 0;
}

size_t envelope_good_length(const uint8_t *p, size_t len, uint64_t max_text)
{
	struct sl_reader r = sl_reader(p, len);
	uint64_t left = max_text;
	struct sl_str piece;
	size_t good = 0;
	bool last;
	int wrap;

	if (read_head(&r, &wrap, &piece) < 0)
		return 0;
	while (read_piece(&r, &last, &piece) && piece.len - SL_GCM_TAG <= left) {
		left -= piece.len - SL_GCM_TAG;
		good = (size_t)(r.p - p);
	}
	return left < max_text ? good : 0;
}
