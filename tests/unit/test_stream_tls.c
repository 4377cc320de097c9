/*
 * tests/unit/test_stream_tls.c: connections that the core decrypts: the handshake, preread on what
 * was decrypted, both directions, the end.
 */
#include "lib/test.h"

#include "lib/stream_app.h"
#include "lib/tls_client.h"

static SSL_CTX *server_ctx(void)
{
	struct tls_cert cert = test_cert("a.example");
	const struct tls_opts o = {.certs = &cert, .n_certs = 1};
	SSL_CTX *ctx = NULL;
	char err[256];

	sl_assert(tls_context_new(&o, &ctx, err, sizeof err) == 0);
	test_cert_free(&cert);
	return ctx;
}

struct tls_app {
	struct app a;
	SSL_CTX *server, *client;
	SSL *ssl;
	int fd;
};

static void open_tls(struct tls_app *t, const char *alpn)
{
	t->server = server_ctx();
	t->client = SSL_CTX_new(TLS_client_method());
	open_app_tls(&t->a, t->server);
	t->fd = connect_app(&t->a);
	t->ssl = test_tls_client(t->client, t->fd, "a.example", alpn);
}

static void close_tls(struct tls_app *t)
{
	SSL_free(t->ssl);
	close(t->fd);
	test_net_close(&t->a.t);
	SSL_CTX_free(t->client);
	tls_context_free(t->server);
}

static bool shake(struct tls_app *t)
{
	for (unsigned i = 0; i < 200 && !SSL_is_init_finished(t->ssl); i++) {
		int rc = SSL_do_handshake(t->ssl);

		if (rc != 1 && SSL_get_error(t->ssl, rc) == SSL_ERROR_SSL)
			return false;
		test_tick(&t->a.t);
	}
	return SSL_is_init_finished(t->ssl);
}

TEST(a_hello_that_nobody_steals_is_answered_by_the_core)
{
	struct tls_app t = {.a.echo = true};
	char text[16];

	open_tls(&t, "\x09stun.turn");
	CHECK(shake(&t));
	CHECK(t.a.hello.complete);
	CHECK(strcmp(t.a.hello_name, "a.example") == 0);
	CHECK_INT(SSL_write(t.ssl, "turn", 4), 4);
	NET_UNTIL(&t.a.t, t.a.n_bytes == 4);
	CHECK(t.a.peek_was_tls);
	CHECK(strcmp(t.a.peeked, "turn") == 0);
	settle(&t.a);
	CHECK_INT(SSL_read(t.ssl, text, sizeof text), 4);
	CHECK_INT(test_count(&t.a.t, NET_tls_handshakes), 1);
	SSL_shutdown(t.ssl);
	NET_UNTIL(&t.a.t, t.a.n_closed == 1);
	CHECK_INT(t.a.why, SL_CLOSE_PEER);
	close_tls(&t);
}

TEST(decrypted_bytes_may_be_asked_for_piece_by_piece)
{
	struct tls_app t = {.a.want = 8};

	open_tls(&t, NULL);
	CHECK(shake(&t));
	t.a.n_preread = 0;
	CHECK_INT(SSL_write(t.ssl, "1234", 4), 4);
	NET_UNTIL(&t.a.t, t.a.n_preread == 1);
	settle(&t.a);
	CHECK_INT(t.a.n_preread, 1);
	CHECK_INT(SSL_write(t.ssl, "5678", 4), 4);
	NET_UNTIL(&t.a.t, t.a.n_bytes == 8);
	close_tls(&t);
}

TEST(a_hello_in_small_pieces_is_waited_for)
{
	struct app a = {0};
	static uint8_t bytes[4096];
	SSL_CTX *server = server_ctx(), *client = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(client);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int fd, n;

	SSL_set_bio(ssl, in, out);
	SSL_connect(ssl);
	n = BIO_read(out, bytes, sizeof bytes);
	open_app_tls(&a, server);
	fd = connect_app(&a);
	for (int i = 0; i < n; i += 50) {
		int len = n - i < 50 ? n - i : 50;

		CHECK_INT(send(fd, bytes + i, (size_t)len, 0), len);
		NET_UNTIL(&a.t, a.last_peek >= (size_t)(i + len));
	}
	settle(&a);
	CHECK(recv(fd, bytes, sizeof bytes, 0) > 500); /* the server's flight */
	close(fd);
	test_net_close(&a.t);
	SSL_free(ssl);
	SSL_CTX_free(client);
	tls_context_free(server);
}

TEST(a_megabyte_goes_both_ways_through_tls)
{
	enum { TOTAL = 1 << 20 };
	static char block[16384], back[65536];
	struct tls_app t = {.a.echo = true, .a.ops.max_output = 4 << 20};
	size_t sent = 0, got = 0;

	open_tls(&t, NULL);
	CHECK(shake(&t));
	for (unsigned turns = 0; got < TOTAL && turns < 100000; turns++) {
		int n = sent < TOTAL ? SSL_write(t.ssl, block, sizeof block) : 0;

		sent += n > 0 ? (size_t)n : 0;
		n = SSL_read(t.ssl, back, sizeof back);
		got += n > 0 ? (size_t)n : 0;
		test_tick(&t.a.t);
	}
	CHECK_INT(got, TOTAL);
	CHECK_INT(t.a.n_bytes, TOTAL);
	close_tls(&t);
}

TEST(a_close_says_goodbye_in_tls)
{
	struct tls_app t = {.a.echo = true, .a.close_in_input = true};
	char text[16];

	open_tls(&t, NULL);
	CHECK(shake(&t));
	CHECK_INT(SSL_write(t.ssl, "bye", 3), 3);
	NET_UNTIL(&t.a.t, t.a.n_inputs == 1);
	settle(&t.a);
	CHECK_INT(SSL_read(t.ssl, text, sizeof text), 3);
	CHECK_INT(SSL_read(t.ssl, text, sizeof text), 0);
	CHECK_INT(SSL_get_shutdown(t.ssl), SSL_RECEIVED_SHUTDOWN);
	close_tls(&t);
}

TEST(a_failed_handshake_is_counted_and_its_alert_arrives)
{
	struct tls_app t = {0};

	open_tls(&t, "\x06webrtc");
	CHECK(!shake(&t));
	CHECK_INT(test_count(&t.a.t, NET_tls_failures), 1);
	CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
	ERR_clear_error();
	settle(&t.a);
	CHECK_INT(net_n_conns(t.a.t.net), 0);
	close_tls(&t);
}

TEST(garbage_after_a_hello_harms_nobody)
{
	struct tls_app t = {0};
	char junk[1000];

	memset(junk, 0x5a, sizeof junk);
	open_tls(&t, NULL);
	SSL_do_handshake(t.ssl);
	CHECK(send(t.fd, junk, sizeof junk, 0) > 0);
	NET_UNTIL(&t.a.t, test_count(&t.a.t, NET_tls_failures) == 1);
	settle(&t.a);
	CHECK_INT(net_n_conns(t.a.t.net), 0);
	close_tls(&t);
}

TEST(a_handshake_that_stops_is_closed_in_time)
{
	struct tls_app t = {0};

	open_tls(&t, NULL);
	SSL_do_handshake(t.ssl);
	NET_UNTIL(&t.a.t, t.a.n_preread == 1);
	settle(&t.a);
	CHECK_INT(net_n_conns(t.a.t.net), 1);
	pass_ms(&t.a, 60000);
	CHECK_INT(net_n_conns(t.a.t.net), 0);
	CHECK_INT(test_count(&t.a.t, NET_preread_timeouts), 1);
	close_tls(&t);
}

TEST_MAIN()
