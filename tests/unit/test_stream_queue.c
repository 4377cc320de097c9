/*
 * tests/unit/test_stream_queue.c: a client that does not read: which messages wait for it, which
 * go, and that what it reads in the end is whole and in order. Plain and over TLS.
 *
 * A message of these tests: kind ('m' may be lost, 'c' may not), three bytes of length, a number,
 * and its last byte repeated to the end.
 */
#include "lib/test.h"

#include "lib/stream_app.h"
#include "lib/tls_client.h"

enum { HEADER = 8, QUEUE = 100000, MEDIA = 1000, TOO_MANY = 4000 };

struct reader {
	SSL *ssl; /* NULL: plain */
	int fd;
	uint8_t held[2000000];
	size_t len;
	unsigned n_media, n_control;
	uint32_t first_media, last_media;
	bool broken;
};

static size_t frame(void *arg, const uint8_t *data, size_t len, bool *ret_media)
{
	size_t n = (size_t)data[1] << 16 | sl_get16(data + 2);

	(void)arg;
	sl_assert((data[0] == 'm' || data[0] == 'c') && n >= HEADER && n <= len);
	*ret_media = data[0] == 'm';
	return n;
}

static int put(struct app *a, char kind, uint32_t number, size_t len)
{
	static uint8_t message[70000];

	message[0] = (uint8_t)kind;
	message[1] = (uint8_t)(len >> 16);
	sl_put16(message + 2, (uint16_t)len);
	sl_put32(message + 4, number);
	memset(message + HEADER, (int)(number & 0xff), len - HEADER);
	return sl_conn_write(a->conn, message, len);
}

/* Every message as it comes: its bytes, and whether the order holds within its kind. */
static void read_message(struct reader *r, const uint8_t *p, size_t len)
{
	uint32_t number = sl_get32(p + 4);

	for (size_t i = HEADER; i < len; i++)
		r->broken |= p[i] != (uint8_t)number;
	if (p[0] == 'c') {
		r->broken |= number != r->n_control++;
		return;
	}
	r->broken |= r->n_media > 0 && number <= r->last_media;
	if (r->n_media++ == 0)
		r->first_media = number;
	r->last_media = number;
}

static void read_all_there_is(struct reader *r)
{
	size_t at = 0, n;
	bool media;

	for (;;) {
		int got = r->ssl ? SSL_read(r->ssl, r->held + r->len, 65536)
				 : (int)recv(r->fd, r->held + r->len, 65536, MSG_DONTWAIT);

		if (got <= 0)
			break;
		r->len += (size_t)got;
		sl_assert(r->len < sizeof r->held - 65536);
	}
	for (; r->len - at >= HEADER; at += n) {
		n = (size_t)r->held[at + 1] << 16 | sl_get16(r->held + at + 2);
		if (n > r->len - at)
			break;
		(void)frame(NULL, r->held + at, n, &media);
		read_message(r, r->held + at, n);
	}
	memmove(r->held, r->held + at, r->len - at);
	r->len -= at;
}

static void flood(struct app *a, struct reader *r)
{
	unsigned n_dropped = 0, n_control = 0;

	for (uint32_t i = 0; i < TOO_MANY; i++) {
		int rc = put(a, 'm', i, MEDIA + i % 7);

		CHECK(rc >= 0);
		n_dropped += (unsigned)rc;
		if (i % 100 == 0) {
			rc = put(a, 'c', n_control++, 100 + i % 13);
			CHECK(rc >= 0);
			n_dropped += (unsigned)rc;
		}
		CHECK(sl_conn_queued(a->conn) <= QUEUE);
		if (i % 50 == 0)
			test_tick(&a->t);
	}
	CHECK(n_dropped > TOO_MANY / 2);
	CHECK_INT(test_count(&a->t, NET_stream_dropped), n_dropped);
	for (unsigned turn = 0; turn < 2000 && r->n_media + n_dropped < TOO_MANY; turn++) {
		read_all_there_is(r);
		test_tick(&a->t);
	}
	CHECK(!r->broken);
	CHECK_INT(r->n_media, TOO_MANY - n_dropped);
	CHECK_INT(r->n_control, n_control);
	CHECK_INT(r->last_media, TOO_MANY - 1);
	CHECK_INT(r->len, 0);
}

static struct reader reader;

static void open_reader(struct app *a, SSL_CTX *tls)
{
	memset(&reader, 0, sizeof reader);
	a->ops.max_output = QUEUE;
	a->ops.frame = frame;
	open_app_tls(a, tls);
	reader.fd = connect_app(a);
}

TEST(the_oldest_media_goes_and_control_stays)
{
	struct app a = {0};

	open_reader(&a, NULL);
	say(reader.fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	flood(&a, &reader);
	close(reader.fd);
	test_net_close(&a.t);
}

TEST(the_same_over_tls_whose_sealed_records_stay)
{
	struct tls_cert cert = test_cert("a.example");
	const struct tls_opts o = {.certs = &cert, .n_certs = 1};
	SSL_CTX *server = NULL, *client = SSL_CTX_new(TLS_client_method());
	struct app a = {0};
	char err[256];

	CHECK_INT(tls_context_new(&o, &server, err, sizeof err), 0);
	open_reader(&a, server);
	reader.ssl = test_tls_client(client, reader.fd, NULL, NULL);
	for (unsigned i = 0; i < 200 && !SSL_is_init_finished(reader.ssl); i++) {
		(void)SSL_do_handshake(reader.ssl);
		test_tick(&a.t);
	}
	CHECK_INT(SSL_write(reader.ssl, "x", 1), 1);
	NET_UNTIL(&a.t, a.conn != NULL);
	flood(&a, &reader);
	SSL_free(reader.ssl);
	close(reader.fd);
	test_net_close(&a.t);
	SSL_CTX_free(client);
	tls_context_free(server);
	test_cert_free(&cert);
}

TEST(when_control_alone_fills_the_queue_the_writer_is_told)
{
	struct app a = {0};
	int rc = 0;

	open_reader(&a, NULL);
	say(reader.fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	for (uint32_t i = 0; rc == 0 && i < 100000; i++)
		rc = put(&a, 'c', i, 1000);
	CHECK_INT(rc, -SL_EFULL);
	CHECK_INT(put(&a, 'm', 0, 1000), -SL_EFULL); /* what is new may not displace it, either */
	CHECK_INT(put(&a, 'm', 0, 65000), -SL_EFULL);
	CHECK(sl_conn_queued(a.conn) <= QUEUE);
	close(reader.fd);
	test_net_close(&a.t);
}

/* The loop serves others while one does not read. */
TEST(a_slow_client_delays_nobody)
{
	struct app a = {.echo = false};
	char text[8];
	int other;

	open_reader(&a, NULL);
	a.ops.closed = NULL; /* of two, this app knows one */
	say(reader.fd, "x");
	NET_UNTIL(&a.t, a.conn != NULL);
	for (uint32_t i = 0; i < TOO_MANY; i++)
		CHECK(put(&a, 'm', i, MEDIA) >= 0);
	a.echo = true;
	other = connect_app(&a);
	say(other, "quick");
	settle(&a);
	CHECK_INT(recv(other, text, sizeof text, MSG_DONTWAIT), 5);
	close(other);
	close(reader.fd);
	test_net_close(&a.t);
}

TEST_MAIN()
