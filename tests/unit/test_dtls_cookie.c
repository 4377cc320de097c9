/*
 * tests/unit/test_dtls_cookie.c: sources without session: who is asked for proof, what is proof,
 * and what it leads to.
 */
#include "lib/test.h"

#include "lib/dtls_pair.h"

#include "net/tls.h"

#include <sluice/crypto.h>

static const uint8_t cookie_key[32] = "a key of the node";

struct server {
	struct ssl_ctx_st *tls;
	struct sl_dtls_ctx *ctx;
	struct dtls_pair p; /* the passive end's session is made when its client is proven */
	struct sl_addr client;
	uint8_t reply[SL_DTLS_VERIFY_BYTES];
	size_t reply_len;
};

static struct ssl_ctx_st *server_tls(void)
{
	struct sl_str name = SL_STR("turn.example");
	struct sl_buf cert, key;
	struct tls_cert pem;
	const struct tls_opts o = {.certs = &pem, .n_certs = 1, .dtls = true};
	struct ssl_ctx_st *tls = NULL;
	char err[256];

	sl_buf_init(&cert, 0);
	sl_buf_init(&key, 0);
	sl_assert(tls_make_dev_cert(&name, 1, &cert, &key) == 0);
	pem = (struct tls_cert){sl_buf_view(&cert), sl_buf_view(&key)};
	sl_assert(tls_context_new(&o, &tls, err, sizeof err) == 0);
	sl_buf_free(&cert);
	sl_buf_free(&key);
	return tls;
}

static void open_server(struct server *v)
{
	struct sl_dtls_opts o = {.role = SL_DTLS_ACTIVE, .io = &pair_io};

	memset(v, 0, sizeof *v);
	v->tls = server_tls();
	sl_assert(sl_dtls_ctx_new_server(v->tls, cookie_key, &v->ctx) == 0);
	sl_assert(sl_addr_parse(&v->client, SL_STR("192.0.2.7:4000")) == 0);
	v->p.now_ms = 100000;
	for (unsigned i = 0; i < 2; i++) {
		v->p.ends[i].pair = &v->p;
		v->p.ends[i].me = i;
	}
	sl_assert(sl_dtls_ctx_new(SL_DTLS_DATA, &v->p.ends[ACTIVE].ctx) == 0);
	o.arg = &v->p.ends[ACTIVE];
	sl_assert(sl_dtls_new(v->p.ends[ACTIVE].ctx, &o, v->p.now_ms, &v->p.ends[ACTIVE].s) == 0);
	sl_dtls_start(v->p.ends[ACTIVE].s, v->p.now_ms);
}

static void close_server(struct server *v)
{
	pair_close(&v->p);
	sl_dtls_ctx_free(v->ctx);
	tls_context_free(v->tls);
}

static int listen_at(struct server *v, const struct dtls_wire *w, const struct sl_addr *from,
		     uint64_t now_ms)
{
	return sl_dtls_listen(v->ctx, w->data, w->len, from, now_ms, v->reply, &v->reply_len);
}

static int listen_to(struct server *v, const struct dtls_wire *w)
{
	return listen_at(v, w, &v->client, v->p.now_ms);
}

/* The client's hello, now with the cookie that its first one brought. */
static struct dtls_wire hello_with_cookie(struct server *v)
{
	struct dtls_wire first = v->p.wire[0];

	sl_assert(v->p.n_wire == 1);
	v->p.n_wire = 0;
	sl_assert(listen_to(v, &first) == SL_AGAIN);
	sl_assert(sl_dtls_input(v->p.ends[ACTIVE].s, v->reply, v->reply_len, v->p.now_ms) ==
		  SL_DTLS_SHAKING);
	sl_assert(v->p.n_wire == 1);
	v->p.n_wire = 0;
	return v->p.wire[0];
}

static int begin(struct server *v, const struct dtls_wire *hello)
{
	const struct sl_dtls_opts o = {.role = SL_DTLS_PASSIVE,
				       .proven = true,
				       .io = &pair_io,
				       .arg = &v->p.ends[PASSIVE]};
	struct dtls_end *e = &v->p.ends[PASSIVE];
	int rc = sl_dtls_new(v->ctx, &o, v->p.now_ms, &e->s);

	return rc < 0 ? rc : (int)sl_dtls_input(e->s, hello->data, hello->len, v->p.now_ms);
}

TEST(a_client_proves_its_address_and_then_shakes_hands)
{
	static struct server v;
	struct dtls_wire hello;

	open_server(&v);
	hello = hello_with_cookie(&v);
	CHECK_INT(listen_to(&v, &hello), SL_DONE);
	CHECK_INT(begin(&v, &hello), SL_DTLS_SHAKING);
	pair_shake(&v.p);
	CHECK(pair_is_open(&v.p));
	CHECK_INT(sl_dtls_write(v.p.ends[ACTIVE].s, "allocate", 8), 0);
	pair_settle(&v.p);
	CHECK_INT(v.p.ends[PASSIVE].text_len, 8);
	CHECK_INT(sl_dtls_counters(v.ctx)->cookies_sent, 1);
	CHECK_INT(sl_dtls_counters(v.ctx)->handshakes, 1);
	close_server(&v);
}

TEST(the_answer_to_a_stranger_is_shorter_than_its_question)
{
	static struct server v;

	open_server(&v);
	CHECK(v.p.wire[0].len > SL_DTLS_VERIFY_BYTES);
	CHECK_INT(listen_to(&v, &v.p.wire[0]), SL_AGAIN);
	CHECK_INT(v.reply_len, SL_DTLS_VERIFY_BYTES);
	v.p.wire[0].len = SL_DTLS_VERIFY_BYTES - 1; /* cut behind the cookie */
	CHECK_INT(listen_to(&v, &v.p.wire[0]), SL_DROP);
	close_server(&v);
}

TEST(a_cookie_is_good_for_its_address_and_for_a_minute)
{
	static struct server v;
	struct sl_addr other;
	struct dtls_wire hello;

	open_server(&v);
	hello = hello_with_cookie(&v);
	other = v.client;
	other.port++;
	CHECK_INT(listen_at(&v, &hello, &other, v.p.now_ms), SL_AGAIN);
	CHECK_INT(listen_at(&v, &hello, &v.client, v.p.now_ms + 15000), SL_DONE);
	CHECK_INT(listen_at(&v, &hello, &v.client, v.p.now_ms + 60000), SL_AGAIN);
	hello.data[13 + 12 + 2 + 32 + 2] ^= 1; /* the cookie's first byte */
	CHECK_INT(listen_at(&v, &hello, &v.client, v.p.now_ms), SL_AGAIN);
	CHECK_INT(sl_dtls_counters(v.ctx)->cookies_refused, 3);
	close_server(&v);
}

TEST(any_process_of_the_node_accepts_the_cookie)
{
	static struct server v;
	struct sl_dtls_ctx *sibling;
	struct dtls_wire hello;

	open_server(&v);
	hello = hello_with_cookie(&v);
	CHECK_INT(sl_dtls_ctx_new_server(v.tls, cookie_key, &sibling), 0);
	CHECK_INT(sl_dtls_listen(sibling, hello.data, hello.len, &v.client, v.p.now_ms, v.reply,
				 &v.reply_len),
		  SL_DONE);
	sl_dtls_ctx_free(sibling);
	close_server(&v);
}

TEST(what_is_no_first_hello_gets_no_answer)
{
	static struct server v;
	struct dtls_wire w;

	open_server(&v);
	for (unsigned at = 0; at < 22; at++) {
		bool matters = at == 0 || at == 1 || at == 3 || at == 4 || at == 13 || at >= 19;

		w = v.p.wire[0];
		w.data[at] ^= 0x40;
		if (listen_to(&v, &w) != (matters ? SL_DROP : SL_AGAIN))
			TEST_FAIL("byte %u", at);
	}
	for (size_t len = 0; len < 60; len++) {
		w = v.p.wire[0];
		w.len = len;
		CHECK_INT(listen_to(&v, &w), SL_DROP);
	}
	close_server(&v);
}

TEST(a_proven_hello_that_is_no_hello_further_down_ends_its_session)
{
	static struct server v;
	struct dtls_wire hello;

	open_server(&v);
	hello = hello_with_cookie(&v);
	hello.len = 100; /* record and message say more */
	CHECK_INT(listen_to(&v, &hello), SL_DONE);
	CHECK_INT(begin(&v, &hello), SL_DTLS_FAILED);
	CHECK_INT(sl_dtls_counters(v.ctx)->failures, 1);
	close_server(&v);
}

TEST(a_client_that_has_forgotten_its_session_may_begin_anew)
{
	static struct server v;
	struct dtls_wire hello, again;

	open_server(&v);
	hello = hello_with_cookie(&v);
	CHECK_INT(begin(&v, &hello), SL_DTLS_SHAKING);
	pair_shake(&v.p);
	CHECK(pair_is_open(&v.p));
	CHECK(!sl_dtls_restarts(v.p.ends[PASSIVE].s, hello.data, hello.len));
	again = hello;
	again.data[13 + 12 + 2] ^= 1; /* another random */
	CHECK(sl_dtls_restarts(v.p.ends[PASSIVE].s, again.data, again.len));
	CHECK(!sl_dtls_restarts(v.p.ends[PASSIVE].s, again.data, 20));
	close_server(&v);
}

TEST_MAIN()
