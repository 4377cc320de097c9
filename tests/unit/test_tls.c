/*
 * tests/unit/test_tls.c: server contexts: what is refused, which certificate and protocol a client
 * gets, tickets over contexts, as workers of several generations have them.
 */
#include "lib/test.h"

#include "lib/tls_client.h"
#include "net/tls.h"

static const uint8_t ticket_key[80] = "a ticket key of the tests";

struct pair {
	SSL *client, *server;
};

/* Both ends in memory. */
static void new_pair(struct pair *p, SSL_CTX *client, SSL_CTX *server, const char *name,
		     const char *alpn)
{
	BIO *a, *b;

	sl_assert(BIO_new_bio_pair(&a, 65536, &b, 65536) == 1);
	p->client = SSL_new(client);
	p->server = SSL_new(server);
	SSL_set_bio(p->client, a, a);
	SSL_set_bio(p->server, b, b);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	if (name)
		SSL_set_tlsext_host_name(p->client, name);
	if (alpn)
		SSL_set_alpn_protos(p->client, (const uint8_t *)alpn, (unsigned)strlen(alpn));
}

static bool shake(struct pair *p)
{
	char byte;

	for (unsigned i = 0; i < 10; i++) {
		SSL_do_handshake(p->client);
		SSL_do_handshake(p->server);
		SSL_read(p->client, &byte, 1); /* takes tickets in */
	}
	ERR_clear_error();
	return SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server);
}

static void free_pair(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

static bool client_sees(struct pair *p, const char *name)
{
	X509 *cert = SSL_get1_peer_certificate(p->client);
	bool yes = cert && X509_check_host(cert, name, 0, 0, NULL) == 1;

	X509_free(cert);
	return yes;
}

static SSL_CTX *context(const struct tls_cert *certs, unsigned n, bool tls13_only,
			const uint8_t *key)
{
	const struct tls_opts o = {
		.certs = certs, .n_certs = n, .tls13_only = tls13_only, .ticket_key = key};
	SSL_CTX *ctx = NULL;
	char err[256] = "";

	if (tls_context_new(&o, &ctx, err, sizeof err) < 0)
		printf("# %s\n", err);
	return ctx;
}

/* The sentence of a refusal, or "". */
static const char *refusal(const struct tls_cert *certs, unsigned n)
{
	static char err[256];
	const struct tls_opts o = {.certs = certs, .n_certs = n};
	SSL_CTX *ctx = NULL;

	err[0] = '\0';
	if (tls_context_new(&o, &ctx, err, sizeof err) == 0)
		tls_context_free(ctx);
	return err;
}

TEST(the_development_certificate_is_one_browsers_take)
{
	struct sl_str names[] = {SL_STR("localhost"), SL_STR("127.0.0.1"), SL_STR("::1"),
				 SL_STR("*.example.org"), SL_STR("fe80::1%2")};
	struct sl_buf cert, key;
	BIO *bio;
	X509 *x;
	int days, seconds;

	sl_buf_init(&cert, 0);
	sl_buf_init(&key, 0);
	CHECK_INT(tls_make_dev_cert(names, 5, &cert, &key), 0);
	bio = BIO_new_mem_buf(cert.p, (int)cert.len);
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	CHECK(x);
	CHECK_INT(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	CHECK_INT(X509_check_host(x, "turn.example.org", 0, 0, NULL), 1);
	CHECK_INT(X509_check_host(x, "example.com", 0, 0, NULL), 0);
	CHECK_INT(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	CHECK_INT(X509_check_ip_asc(x, "::1", 0), 1);
	CHECK_INT(X509_check_ip_asc(x, "fe80::1", 0), 1); /* the zone is this host's affair */
	CHECK_INT(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
	CHECK_INT(X509_check_ca(x), 0);
	CHECK_INT(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 256);
	CHECK(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
	CHECK_INT(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
	CHECK(days >= 90 && days <= 365);
	X509_free(x);
	BIO_free(bio);
	sl_buf_free(&cert);
	sl_buf_free(&key);
	CHECK_INT(tls_make_dev_cert(names, 0, &cert, &key), -SL_EINVAL);
	names[0] = SL_STR("a,DNS:b");
	CHECK_INT(tls_make_dev_cert(names, 1, &cert, &key), -SL_EINVAL);
}

TEST(what_is_wrong_with_a_certificate_is_said)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	struct tls_cert a = test_cert("a.example"), b = test_cert("b.example");
	struct tls_cert old = test_cert_of(ec, "DNS:old.example", -7200, -3600);
	struct tls_cert early = test_cert_of(ec, "DNS:early.example", 3600, 7200);
	struct tls_cert mixed = {a.cert, b.key}, garbage = {SL_STR("hello"), a.key},
			keyless = {a.cert, SL_STR("")};

	CHECK(strcmp(refusal(&a, 1), "") == 0);
	CHECK(strstr(refusal(NULL, 0), "no certificate"));
	CHECK(strstr(refusal(&mixed, 1), "does not belong"));
	CHECK(strstr(refusal(&garbage, 1), "not readable"));
	CHECK(strstr(refusal(&keyless, 1), "private key is not readable"));
	CHECK(strstr(refusal(&old, 1), "has expired"));
	CHECK(strstr(refusal(&early, 1), "not valid yet"));
	test_cert_free(&a);
	test_cert_free(&b);
	test_cert_free(&old);
	test_cert_free(&early);
	EVP_PKEY_free(ec);
}

TEST(the_name_chooses_the_certificate)
{
	struct tls_cert certs[] = {test_cert("a.example"), test_cert("*.b.example"),
				   test_cert("c.example")};
	SSL_CTX *server = context(certs, 3, false, ticket_key),
		*client = SSL_CTX_new(TLS_client_method());
	static const struct {
		const char *asks, *gets;
	} cases[] = {{"a.example", "a.example"},     {"x.b.example", "x.b.example"},
		     {"c.example", "c.example"},     {"C.Example", "c.example"},
		     {"other.example", "a.example"}, {NULL, "a.example"}};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct pair p;

		new_pair(&p, client, server, cases[i].asks, NULL);
		CHECK(shake(&p));
		CHECK(client_sees(&p, cases[i].gets));
		free_pair(&p);
	}
	for (unsigned i = 0; i < 3; i++)
		test_cert_free(&certs[i]);
	SSL_CTX_free(client);
	tls_context_free(server);
}

TEST(a_client_without_ecdsa_gets_the_rsa_certificate_of_the_same_name)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
	struct tls_cert certs[] = {test_cert_of(ec, "DNS:a.example", -60, 3600),
				   test_cert_of(rsa, "DNS:a.example", -60, 3600)};
	SSL_CTX *server = context(certs, 2, false, NULL),
		*client = SSL_CTX_new(TLS_client_method());

	for (unsigned i = 0; i < 2; i++) {
		struct pair p;
		X509 *got;

		new_pair(&p, client, server, "a.example", NULL);
		if (i == 1)
			SSL_set1_sigalgs_list(p.client, "RSA-PSS+SHA256:RSA+SHA256");
		CHECK(shake(&p));
		got = SSL_get1_peer_certificate(p.client);
		CHECK_INT(EVP_PKEY_get_base_id(X509_get0_pubkey(got)),
			  i == 0 ? EVP_PKEY_EC : EVP_PKEY_RSA);
		X509_free(got);
		free_pair(&p);
	}
	test_cert_free(&certs[0]);
	test_cert_free(&certs[1]);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(rsa);
	SSL_CTX_free(client);
	tls_context_free(server);
}

TEST(protocols_are_chosen_by_our_order_and_strangers_refused)
{
	struct tls_cert cert = test_cert("a.example");
	SSL_CTX *server = context(&cert, 1, false, ticket_key),
		*client = SSL_CTX_new(TLS_client_method());
	static const struct {
		const char *offers, *gets; /* NULL: refused */
	} cases[] = {{"\x02h2\x08http/1.1", "http/1.1"},
		     {"\x08http/1.1\x09stun.turn", "stun.turn"},
		     {"\x12stun.nat-discovery", "stun.nat-discovery"},
		     {"\x06webrtc", NULL}};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		const unsigned char *got;
		unsigned len;
		struct pair p;

		new_pair(&p, client, server, NULL, cases[i].offers);
		CHECK(shake(&p) == (cases[i].gets != NULL));
		SSL_get0_alpn_selected(p.client, &got, &len);
		if (cases[i].gets)
			CHECK_STR(((struct sl_str){(const char *)got, len}), cases[i].gets);
		free_pair(&p);
	}
	test_cert_free(&cert);
	SSL_CTX_free(client);
	tls_context_free(server);
}

TEST(old_versions_are_refused)
{
	struct tls_cert cert = test_cert("a.example");
	SSL_CTX *both = context(&cert, 1, false, NULL), *new_only = context(&cert, 1, true, NULL);
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	struct pair p;

	SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
	new_pair(&p, client, both, NULL, NULL);
	CHECK(shake(&p));
	CHECK_INT(SSL_version(p.server), TLS1_2_VERSION);
	free_pair(&p);
	new_pair(&p, client, new_only, NULL, NULL);
	CHECK(!shake(&p));
	free_pair(&p);
	SSL_CTX_set_security_level(client, 0);
	SSL_CTX_set_min_proto_version(client, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(client, TLS1_1_VERSION);
	new_pair(&p, client, both, NULL, NULL);
	CHECK(!shake(&p));
	free_pair(&p);
	test_cert_free(&cert);
	SSL_CTX_free(client);
	tls_context_free(both);
	tls_context_free(new_only);
}

static SSL_SESSION *last_session;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

/* Connects to one context, then to the other with what it got. */
static bool resumes(SSL_CTX *client, SSL_CTX *first, SSL_CTX *second, const char *name)
{
	struct pair p;
	bool resumed;

	new_pair(&p, client, first, name, NULL);
	if (!shake(&p) || SSL_session_reused(p.server) || !last_session)
		return false;
	SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN); /* OpenSSL does not resume what broke off */
	free_pair(&p);
	new_pair(&p, client, second, name, NULL);
	SSL_set_session(p.client, last_session);
	resumed = shake(&p) && SSL_session_reused(p.server);
	free_pair(&p);
	SSL_SESSION_free(last_session);
	last_session = NULL;
	return resumed;
}

TEST(a_ticket_of_one_worker_is_good_at_another)
{
	static const uint8_t other_key[80] = "another ticket key";
	struct tls_cert certs[] = {test_cert("a.example"), test_cert("b.example")};
	SSL_CTX *first = context(certs, 2, false, ticket_key),
		*second = context(certs, 2, false, ticket_key);
	SSL_CTX *stranger = context(certs, 2, false, other_key),
		*client = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_session_cache_mode(client,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(client, on_session);
	CHECK(resumes(client, first, second, "a.example"));
	CHECK(resumes(client, first, second, "b.example"));
	CHECK(!resumes(client, first, stranger, "a.example"));
	SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
	CHECK(resumes(client, first, second, "a.example"));
	CHECK(resumes(client, second, first, "b.example"));
	SSL_CTX_free(client);
	tls_context_free(first);
	tls_context_free(second);
	tls_context_free(stranger);
	test_cert_free(&certs[0]);
	test_cert_free(&certs[1]);
}

TEST_MAIN()
