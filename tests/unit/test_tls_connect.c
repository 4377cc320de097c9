/*
 * tests/unit/test_tls_connect.c: connections of ours over TLS, to a listener of the core: what is
 * written at once arrives when the peer has shown who it is, and stays here when it has not.
 */
#include "lib/test.h"

#include "lib/stream_app.h"
#include "lib/tls_client.h"

struct pair {
	struct app server;
	struct tls_cert cert;
	SSL_CTX *ctx;
	struct sl_tls_client *client;
	struct sl_conn *conn;
	char got[32], doubt[128];
	unsigned n_closed;
	enum sl_close_reason why;
};

static ptrdiff_t on_answer(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	struct pair *p = arg;

	(void)c;
	(void)sl_str_copy(p->got, sizeof p->got, (struct sl_str){(const char *)data, len});
	return (ptrdiff_t)len;
}

static void on_end(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	struct pair *p = arg;
	const char *doubt = sl_conn_tls_doubt(c);

	p->why = why;
	p->n_closed++;
	(void)sl_str_copy(p->doubt, sizeof p->doubt, sl_str_c(doubt ? doubt : ""));
}

static const struct sl_conn_ops ops = {.input = on_answer, .closed = on_end};

static void open_pair(struct pair *p, const struct sl_tls_client_opts *o, const char *name)
{
	struct sl_conn_source from;
	char err[256];

	p->cert = test_cert("a.example");
	p->server.echo = true;
	sl_assert(tls_context_new(&(struct tls_opts){.certs = &p->cert, .n_certs = 1}, &p->ctx, err,
				  sizeof err) == 0);
	open_app_tls(&p->server, p->ctx);
	sl_assert(sl_tls_client_new(o, &p->client, err, sizeof err) == 0);
	from = (struct sl_conn_source){.fd = connect_app(&p->server),
				       .remote = p->server.t.listeners[0].pub.local,
				       .tls = p->client,
				       .tls_name = name};
	sl_assert(sl_conn_adopt(&p->server.t.worker, &from, &ops, p, &p->conn) == 0);
}

static void close_pair(struct pair *p)
{
	test_net_close(&p->server.t);
	sl_tls_client_free(p->client);
	tls_context_free(p->ctx);
	test_cert_free(&p->cert);
}

TEST(what_was_written_first_arrives_when_the_certificate_is_good)
{
	struct pair p = {0};

	open_pair(&p, &(struct sl_tls_client_opts){.unchecked = true}, "a.example");
	CHECK_INT(sl_conn_write(p.conn, "hello", 5), 0);
	NET_UNTIL(&p.server.t, strcmp(p.got, "hello") == 0);
	CHECK(sl_conn_is_tls(p.conn));
	CHECK(strcmp(p.server.hello_name, "a.example") == 0); /* SNI */
	sl_conn_close(p.conn, SL_CLOSE_OURS);
	NET_UNTIL(&p.server.t, p.n_closed == 1 && p.server.n_closed == 1);
	close_pair(&p);
}

/* A second connection, for which the server's own certificate is the authority */
static void try_checked(struct pair *p, const char *name)
{
	struct sl_tls_client_opts o = {0};
	struct sl_tls_client *checked;
	struct sl_conn_source from;
	char err[256];

	open_pair(p, &(struct sl_tls_client_opts){.unchecked = true}, "a.example");
	o.authorities = p->cert.cert;
	sl_assert(sl_tls_client_new(&o, &checked, err, sizeof err) == 0);
	sl_conn_close(p->conn, SL_CLOSE_OURS);
	NET_UNTIL(&p->server.t, p->n_closed == 1);
	sl_tls_client_free(p->client);
	p->client = checked;
	p->n_closed = 0;
	p->got[0] = 0;
	from = (struct sl_conn_source){
		.fd = connect_app(&p->server), .tls = checked, .tls_name = name};
	sl_assert(sl_conn_adopt(&p->server.t.worker, &from, &ops, p, &p->conn) == 0);
	CHECK_INT(sl_conn_write(p->conn, "secret", 6), 0);
}

TEST(a_certificate_of_a_trusted_authority_for_the_name_is_good)
{
	struct pair p = {0};

	try_checked(&p, "a.example");
	NET_UNTIL(&p.server.t, strcmp(p.got, "secret") == 0);
	CHECK_INT(p.n_closed, 0);
	close_pair(&p);
}

TEST(one_for_another_name_gets_nothing)
{
	struct pair p = {0};

	try_checked(&p, "b.example");
	NET_UNTIL(&p.server.t, p.n_closed == 1);
	CHECK_INT(p.why, SL_CLOSE_TLS);
	CHECK(strstr(p.doubt, "mismatch"));
	CHECK_INT(p.server.n_bytes, 0);
	close_pair(&p);
}

TEST(one_that_nobody_known_has_signed_gets_nothing)
{
	struct tls_cert other = test_cert("a.example");
	struct pair p = {0};

	open_pair(&p, &(struct sl_tls_client_opts){.authorities = other.cert}, "a.example");
	CHECK_INT(sl_conn_write(p.conn, "secret", 6), 0);
	NET_UNTIL(&p.server.t, p.n_closed == 1);
	CHECK_INT(p.why, SL_CLOSE_TLS);
	CHECK(p.doubt[0]);
	CHECK_INT(p.server.n_bytes, 0);
	close_pair(&p);
	test_cert_free(&other);
}

TEST(what_is_no_certificate_is_told_at_the_beginning)
{
	struct tls_cert cert = test_cert("a.example");
	struct sl_tls_client *c;
	char err[256] = "";

	CHECK_INT(sl_tls_client_new(
			  &(struct sl_tls_client_opts){.authorities = SL_STR_INIT("nonsense")}, &c,
			  err, sizeof err),
		  -SL_ECONF);
	CHECK(strstr(err, "authorities"));
	CHECK_INT(sl_tls_client_new(&(struct sl_tls_client_opts){.cert = cert.cert,
								 .key = SL_STR_INIT("no key")},
				    &c, err, sizeof err),
		  -SL_ECONF);
	CHECK(strstr(err, "our key"));
	CHECK_INT(
		sl_tls_client_new(&(struct sl_tls_client_opts){.cert = cert.cert, .key = cert.key},
				  &c, err, sizeof err),
		0);
	sl_tls_client_free(c);
	test_cert_free(&cert);
}

TEST_MAIN()
