/*
 * Binding from the client's side: what requests carry, which answers are taken, what they say.
 */
#include <sluice/buf.h>
#include "lib/test.h"
#include "proto/stun_query.h"

static const uint8_t txid[12] = "abcdefghijkl";
static uint8_t text[256];

static struct sl_addr at(const char *t)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(t)) == 0);
	return a;
}

static struct sl_stun_msg written(const struct stun_query *q)
{
	struct sl_stun_msg msg;

	sl_assert(sl_stun_parse(&msg, text, stun_query_write(q, text)) == 0);
	return msg;
}

TEST(a_plain_request_is_a_header)
{
	struct stun_query q = {0};

	memcpy(q.txid, txid, sizeof txid);
	CHECK_INT(stun_query_write(&q, text), SL_STUN_HEADER);
	CHECK_MEM(text + 8, txid, 12);
}

TEST(wishes_are_attributes)
{
	const struct stun_query q = {
		.change_address = true, .change_port = true, .response_port = 0x1234};
	struct sl_stun_msg msg = written(&q);
	struct sl_stun_attr a;
	uint32_t flags = 0;

	CHECK(sl_stun_find(&msg, SL_STUN_CHANGE_REQUEST, &a));
	CHECK_INT(sl_stun_get_u32(&a, &flags), 0);
	CHECK_INT(flags, 6);
	CHECK(sl_stun_find(&msg, SL_STUN_RESPONSE_PORT, &a));
	CHECK_INT(a.len, 2);
	CHECK_INT(sl_get16(a.data), 0x1234);
}

TEST(an_answer_says_four_addresses)
{
	const struct sl_addr mapped = at("192.0.2.1:1"), origin = at("192.0.2.2:2"),
			     other = at("192.0.2.3:3");
	struct stun_report r;
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
	sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &mapped);
	sl_stun_put_addr(&w, SL_STUN_RESPONSE_ORIGIN, &origin);
	sl_stun_put_addr(&w, SL_STUN_OTHER_ADDRESS, &other);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, txid, &r), 0);
	CHECK(sl_addr_eq(&r.mapped, &mapped));
	CHECK(sl_addr_eq(&r.origin, &origin));
	CHECK(sl_addr_eq(&r.other, &other));
	CHECK_INT(r.plain.family, 0);
	CHECK_INT(r.error, 0);
}

TEST(an_old_server_knows_the_plain_form_only)
{
	const struct sl_addr mapped = at("192.0.2.1:1");
	struct stun_report r;
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
	sl_stun_put_addr(&w, SL_STUN_MAPPED_ADDRESS, &mapped);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, txid, &r), 0);
	CHECK(sl_addr_eq(&r.mapped, &mapped));
}

TEST(errors_are_reports_too)
{
	struct stun_report r;
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, SL_STUN_ERROR, SL_STUN_BINDING, txid);
	sl_stun_put_error(&w, 420, SL_STR_NULL);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, txid, &r), 0);
	CHECK_INT(r.error, 420);
}

TEST(what_is_not_the_answer_is_not_taken)
{
	const struct sl_addr mapped = at("192.0.2.1:1");
	static const uint8_t foreign[12];
	struct stun_report r;
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, txid, &r), -SL_ENOENT);
	sl_stun_begin(&w, text, sizeof text, SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, txid, &r), -SL_EPARSE);
	sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &mapped);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(stun_report_read(text, len, foreign, &r), -SL_ENOENT);
	for (size_t n = 0; n < len; n++)
		CHECK_INT(stun_report_read(text, n, txid, &r), -SL_ENOENT);
}

TEST_MAIN()
