/*
 * proto/dtls_peer.c: who the peer of a DTLS session is, and the keys shared with it.
 *
 * The peer's certificate is self-signed; that it is the right one says its fingerprint, which came
 * by signalling (RFC 8122 section 5). SHA-1 and MD5 are refused: a fingerprint is all there is.
 * Keys for SRTP come out of the handshake (RFC 5764 section 4.2).
 */
#include "proto/dtls_impl.h"

#include <sluice/crypto.h>

#include <openssl/srtp.h>
#include <openssl/x509.h>

enum { MAX_KEY_MATERIAL = 2 * (32 + 14) };

/* ---- fingerprints */

static const EVP_MD *find_hash(struct sl_str name)
{
	if (sl_str_eq_nocase(name, SL_STR("sha-256")))
		return EVP_sha256();
	if (sl_str_eq_nocase(name, SL_STR("sha-384")))
		return EVP_sha384();
	if (sl_str_eq_nocase(name, SL_STR("sha-512")))
		return EVP_sha512();
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "AB:CD:..." of exactly n bytes. */
static int read_hex(struct sl_str s, uint8_t *dst, size_t n)
{
	if (s.len != 3 * n - 1)
		return -SL_EINVAL;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(s.p[3 * i]), low = hex_digit(s.p[3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < n && s.p[3 * i + 2] != ':'))
			return -SL_EINVAL;
		dst[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int dtls_pin_set(struct dtls_pin *pin, struct sl_str hash, struct sl_str fingerprint)
{
	struct dtls_pin made = {.md = find_hash(hash)};
	int rc;

	if (!made.md)
		return hash.len > 0 ? -SL_EUNSUPP : -SL_EINVAL;
	rc = read_hex(fingerprint, made.digest, (size_t)EVP_MD_get_size(made.md));
	if (rc == 0)
		*pin = made;
	return rc;
}

/* In place of OpenSSL's own verification: there is no authority to ask. */
int dtls_pin_check(X509_STORE_CTX *store, void *arg)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct dtls_pin *pin = &((struct sl_dtls *)SSL_get_app_data(ssl))->pin;
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	(void)arg;
	if (!pin->md)
		return 1;
	if (cert && X509_digest(cert, pin->md, digest, &len) == 1 &&
	    sl_mem_eq(digest, pin->digest, len))
		return 1;
	pin->mismatched = true;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	return 0;
}

int dtls_fingerprint(X509 *cert, char dst[96])
{
	static const char hex[] = "0123456789ABCDEF";
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 || len != 32)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < len; i++) {
		dst[3 * i] = hex[digest[i] >> 4];
		dst[3 * i + 1] = hex[digest[i] & 15];
		dst[3 * i + 2] = ':';
	}
	dst[3 * len - 1] = '\0';
	return 0;
}

/* ---- keys */

static int key_sizes(enum sl_srtp_profile profile, struct sl_srtp_keys *k)
{
	switch (profile) {
	case SL_SRTP_AES128_CM_SHA1_80:
	case SL_SRTP_AES128_CM_SHA1_32:
		k->key_len = 16;
		k->salt_len = 14;
		return 0;
	case SL_SRTP_AEAD_AES_128_GCM:
	case SL_SRTP_AEAD_AES_256_GCM:
		k->key_len = profile == SL_SRTP_AEAD_AES_128_GCM ? 16 : 32;
		k->salt_len = 12;
		return 0;
	default:
		return -SL_EUNSUPP;
	}
}

/* Client's key, server's key, client's salt, server's salt (RFC 5764 section 4.2). */
static void divide(const struct sl_dtls *s, const uint8_t *p, struct sl_srtp_keys *k)
{
	bool client = s->role == SL_DTLS_ACTIVE;

	memcpy(client ? k->local_key : k->remote_key, p, k->key_len);
	p += k->key_len;
	memcpy(client ? k->remote_key : k->local_key, p, k->key_len);
	p += k->key_len;
	memcpy(client ? k->local_salt : k->remote_salt, p, k->salt_len);
	p += k->salt_len;
	memcpy(client ? k->remote_salt : k->local_salt, p, k->salt_len);
}

int sl_dtls_srtp_keys(const struct sl_dtls *s, struct sl_srtp_keys *ret_keys)
{
	static const char label[] = "EXTRACTOR-dtls_srtp";
	const SRTP_PROTECTION_PROFILE *chosen;
	uint8_t material[MAX_KEY_MATERIAL];
	struct sl_srtp_keys k = {0};
	int rc;

	if (!sl_check(s->ssl && s->state == SL_DTLS_OPEN))
		return -SL_EBUG;
	chosen = SSL_get_selected_srtp_profile(s->ssl);
	if (!chosen)
		return -SL_ENOENT;
	k.profile = (enum sl_srtp_profile)chosen->id;
	rc = key_sizes(k.profile, &k);
	if (rc < 0)
		return rc;
	if (SSL_export_keying_material(s->ssl, material, 2 * (size_t)(k.key_len + k.salt_len),
				       label, sizeof label - 1, NULL, 0, 0) != 1)
		return -SL_ENOMEM;
	divide(s, material, &k);
	*ret_keys = k;
	sl_wipe(material, sizeof material);
	sl_wipe(&k, sizeof k);
	return 0;
}
