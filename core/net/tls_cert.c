/*
 * net/tls_cert.c: a self-signed certificate for development: ECDSA P-256, one year, for the names
 * and addresses given.
 *
 * Browsers want subjectAltName, serverAuth and no CA; they show their warning once per certificate,
 * so the caller keeps it.
 */
#include "net/tls.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define VALID_S (365L * 86400)
#define CLOCK_SKEW_S 3600L
#define COMMON_NAME "Sluice development certificate"

/* An address as certificates have it: without port and zone, which mean something on one host only.
 */
static void address_text(struct sl_buf *out, const struct sl_addr *addr)
{
	struct sl_addr bare = *addr;
	char text[SL_ADDR_STRLEN];

	bare.scope = 0;
	sl_buf_printf(out, "IP:%s", sl_addr_format_ip(text, &bare));
}

/* "DNS:localhost,IP:127.0.0.1" as OpenSSL reads it. What is an address says the address parser. */
static int names_text(const struct sl_str *names, unsigned n, struct sl_buf *out)
{
	for (unsigned i = 0; i < n; i++) {
		struct sl_addr addr;

		if (memchr(names[i].p, ',', names[i].len))
			return -SL_EINVAL;
		sl_buf_printf(out, "%s", i > 0 ? "," : "");
		if (sl_addr_parse(&addr, names[i]) == 0)
			address_text(out, &addr);
		else
			sl_buf_printf(out, "DNS:%.*s", SL_FMT(names[i]));
	}
	sl_buf_u8(out, 0);
	return sl_buf_ok(out);
}

/* In OpenSSL's configuration language. */
static int add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int rc = ext && X509_add_ext(cert, ext, -1) == 1 ? 0 : -SL_EINVAL;

	X509_EXTENSION_free(ext);
	return rc;
}

/* No certificate authority: what this key signs is nobody's business. */
static int add_extensions(X509 *cert, const char *names)
{
	if (add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
	    add_extension(cert, NID_key_usage, "critical,digitalSignature") < 0 ||
	    add_extension(cert, NID_ext_key_usage, "serverAuth") < 0)
		return -SL_EINVAL;
	return add_extension(cert, NID_subject_alt_name, names);
}

/* Browsers refuse two different certificates of one issuer and serial number. */
static int set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *number;
	int rc;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return -SL_ESYS;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive and of full length */
	number = BN_bin2bn(bytes, sizeof bytes, NULL);
	rc = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) ? 0 : -SL_ENOMEM;
	BN_free(number);
	return rc;
}

/* Self-signed: issuer and subject are the same. */
static int set_name(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	const unsigned char *text = (const unsigned char *)COMMON_NAME;

	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) != 1)
		return -SL_ENOMEM;
	return X509_set_issuer_name(cert, name) == 1 ? 0 : -SL_ENOMEM;
}

/* A clock that runs a little behind accepts it, too. */
static int fill(X509 *cert, EVP_PKEY *key, const char *names)
{
	if (X509_set_version(cert, X509_VERSION_3) != 1 || set_serial(cert) < 0 ||
	    set_name(cert) < 0 || !X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_S) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), VALID_S - CLOCK_SKEW_S) ||
	    X509_set_pubkey(cert, key) != 1)
		return -SL_ENOMEM;
	if (add_extensions(cert, names) < 0)
		return -SL_EINVAL;
	return X509_sign(cert, key, EVP_sha256()) > 0 ? 0 : -SL_ESYS;
}

/* Out of OpenSSL's memory into the caller's. */
static int copy_out(BIO *bio, struct sl_buf *out)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	sl_buf_add(out, text, len > 0 ? (size_t)len : 0);
	return sl_buf_ok(out);
}

/* The key passes through memory that OpenSSL clears. */
static int write_pem(X509 *cert, EVP_PKEY *key, struct sl_buf *ret_cert, struct sl_buf *ret_key)
{
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());
	int rc = -SL_ENOMEM;

	if (cert_bio && key_bio && PEM_write_bio_X509(cert_bio, cert) == 1 &&
	    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		rc = copy_out(cert_bio, ret_cert);
	if (rc == 0)
		rc = copy_out(key_bio, ret_key);
	BIO_free(cert_bio);
	BIO_free(key_bio);
	return rc;
}

/* Half-built objects are freed by OpenSSL's functions, which accept NULL. */
int tls_make_dev_cert(const struct sl_str *names, unsigned n, struct sl_buf *ret_cert,
		      struct sl_buf *ret_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	struct sl_buf text;
	int rc;

	sl_buf_init(&text, 0);
	rc = n > 0 && key && cert ? names_text(names, n, &text) : -SL_EINVAL;
	if (rc == 0)
		rc = fill(cert, key, (const char *)text.p);
	if (rc == 0)
		rc = write_pem(cert, key, ret_cert, ret_key);
	sl_buf_free(&text);
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}
