/*
 * tests/unit/test_line.c: lines that talk to each other, and strangers who try to.
 */
#include "lib/test.h"

#include <sluice/clock.h>
#include <sluice/line.h>

static struct sl_addr here, there, nat, evil;
static uint64_t now_ns;
static uint16_t seq;

static struct sl_addr addr(const char *text)
{
	struct sl_addr a = {0};

	if (sl_addr_parse(&a, sl_str_c(text)) < 0)
		abort();
	return a;
}

static struct sl_line *open_line(uint32_t ssrc, const struct sl_addr *remote)
{
	const struct sl_line_opts o = {.ssrc = ssrc, .cname = SL_STR("x@y")};
	struct sl_line_remote r = {.rtp = *remote, .rtcp = *remote};
	struct sl_line *l;

	r.rtcp.port++;
	if (sl_line_new(&l, &o) < 0)
		abort();
	sl_line_set_remote(l, &r);
	sl_line_set_format(l, 8, 8000);
	return l;
}

static void begin(void)
{
	here = addr("192.0.2.1:4000");
	there = addr("192.0.2.2:5000");
	nat = addr("192.0.2.9:61000");
	evil = addr("203.0.113.6:7000");
	now_ns = 100 * SL_NS_PER_S;
	seq = 65530;
}

/* a packet of a's comes to b from an address */
static enum sl_line_verdict say(struct sl_line *a, struct sl_line *b, const struct sl_addr *from,
				struct sl_line_in *in)
{
	static uint8_t wire[400];
	static uint32_t ts;
	const struct sl_line_out out = {
		.seq = seq++, .pt = 8, .ts = ts += 160, .payload = SL_STR("hello")};
	int len = sl_line_send(a, &out, now_ns, wire);

	now_ns += 20 * SL_NS_PER_MS;
	return len < 0 ? SL_LINE_DROP
		       : sl_line_receive(b, in, wire, (size_t)len, from, false, now_ns);
}

/* a asks b for a key frame */
static bool ask(struct sl_line *a, struct sl_line *b, bool fir, bool again)
{
	static uint8_t wire[SL_LINE_RTCP_MAX];
	static int len;
	uint8_t copy[SL_LINE_RTCP_MAX];
	struct sl_addr from = here;
	struct sl_line_in in;

	from.port++;
	if (!again)
		len = sl_line_ask_key_frame(a, fir, now_ns, wire);
	if (len <= 0)
		return false;
	memcpy(copy, wire, (size_t)len);
	return sl_line_receive(b, &in, copy, (size_t)len, &from, true, now_ns) == SL_LINE_RTCP &&
	       in.key_frame;
}

/* With keys, what is sent is not what was drafted, and what is heard is. */
TEST(who_looks_on_sees_reports_plain_on_both_sides)
{
	uint8_t wire[SL_LINE_RTCP_MAX], draft[SL_LINE_RTCP_MAX];
	struct sl_sdes keys;
	struct sl_addr from;
	struct sl_line_in in;
	struct sl_line *a, *b;
	int n, len;

	begin();
	a = open_line(7, &there);
	b = open_line(8, &here);
	CHECK_INT(sl_sdes_draw(&keys, 1, SL_SRTP_AES128_CM_SHA1_80), 0);
	CHECK_INT(sl_line_set_keys(a, &keys, &keys), 0);
	CHECK_INT(sl_line_set_keys(b, &keys, &keys), 0);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	n = sl_line_draft_report(a, now_ns, false, wire);
	CHECK(n > 0);
	memcpy(draft, wire, (size_t)n);
	len = sl_line_seal_report(a, wire, (size_t)n);
	CHECK(len > n && memcmp(wire + 8, draft + 8, (size_t)n - 8) != 0);
	from = here;
	from.port++;
	CHECK_INT(sl_line_receive(b, &in, wire, (size_t)len, &from, true, now_ns), SL_LINE_RTCP);
	CHECK(sl_str_eq(in.rtcp, (struct sl_str){(const char *)draft, (size_t)n}));
	sl_line_free(a);
	sl_line_free(b);
}

TEST(key_frames_are_asked_for_and_a_repeated_fir_is_one_request)
{
	struct sl_line_stats stats;
	struct sl_line *a, *b;
	struct sl_line_in in;
	uint8_t wire[SL_LINE_RTCP_MAX];

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	CHECK_INT(sl_line_ask_key_frame(a, false, now_ns, wire), -SL_ENOENT);
	CHECK_INT(say(b, a, &there, &in), SL_LINE_RTP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK(ask(a, b, false, false));
	CHECK(ask(a, b, true, false));
	CHECK(!ask(a, b, true, true));
	CHECK(ask(a, b, true, false));
	sl_line_get_stats(b, &stats);
	CHECK_INT(stats.key_frames_asked_in, 3);
	sl_line_free(a);
	sl_line_free(b);
}

/* RTCP of a's that stands in wire comes to b */
static enum sl_line_verdict tell(struct sl_line *b, const struct sl_addr *from, uint8_t *wire,
				 int len, struct sl_line_in *in)
{
	struct sl_addr port = *from;

	port.port++;
	return len <= 0 ? SL_LINE_DROP
			: sl_line_receive(b, in, wire, (size_t)len, &port, true, now_ns);
}

TEST(what_is_missing_is_asked_for_until_it_comes_or_in_vain)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	uint8_t wire[SL_LINE_RTCP_MAX];
	bool gave_up;
	int len;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	sl_line_set_feedback(a, SL_PLAIN_NACK);
	sl_line_set_feedback(b, SL_PLAIN_NACK);
	CHECK_INT(say(b, a, &there, &in), SL_LINE_RTP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK(sl_line_next_ns(b) == UINT64_MAX);
	seq += 3;
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK_INT(sl_line_ask_again(b, now_ns, wire, &gave_up), 0); /* overtaken, perhaps */
	now_ns = sl_line_next_ns(b);
	len = sl_line_ask_again(b, now_ns, wire, &gave_up);
	CHECK_INT(tell(a, &there, wire, len, &in), SL_LINE_RTCP);
	CHECK_INT(in.n_missed, 3);
	CHECK_INT(in.missed[0], (uint16_t)(seq - 4));
	CHECK_INT(in.missed[2], (uint16_t)(seq - 2));
	for (unsigned i = 0; i < 20 && !gave_up; i++) {
		now_ns += SL_NS_PER_S;
		CHECK(sl_line_ask_again(b, now_ns, wire, &gave_up) >= 0);
	}
	CHECK(gave_up);
	CHECK(sl_line_next_ns(b) == UINT64_MAX);
	sl_line_free(a);
	sl_line_free(b);
}

TEST(what_was_not_agreed_on_is_neither_asked_nor_heard)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	uint8_t wire[SL_LINE_RTCP_MAX];
	bool gave_up;
	int len;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	CHECK_INT(sl_line_limit(b, 1000, now_ns, wire), -SL_EUNSUPP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	seq += 3;
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK(sl_line_next_ns(b) == UINT64_MAX);
	sl_line_set_feedback(b, SL_PLAIN_NACK | SL_PLAIN_TMMBR);
	CHECK(sl_line_next_ns(b) == UINT64_MAX); /* of what is heard from now on */
	seq += 3;
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	now_ns += SL_NS_PER_S;
	len = sl_line_ask_again(b, now_ns, wire, &gave_up);
	CHECK_INT(tell(a, &there, wire, len, &in), SL_LINE_RTCP);
	CHECK_INT(in.n_missed, 0);
	len = sl_line_limit(b, 100000, now_ns, wire);
	CHECK_INT(tell(a, &there, wire, len, &in), SL_LINE_RTCP);
	CHECK(!in.limited);
	CHECK_INT(sl_line_notify_limit(a, now_ns, wire), -SL_ENOENT);
	sl_line_free(a);
	sl_line_free(b);
}

TEST(a_limit_is_told_in_the_way_that_both_know_and_a_tmmbr_is_answered)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	uint8_t wire[SL_LINE_RTCP_MAX];
	int len;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	sl_line_set_feedback(a, SL_PLAIN_REMB | SL_PLAIN_TMMBR);
	sl_line_set_feedback(b, SL_PLAIN_REMB);
	CHECK_INT(sl_line_limit(b, 100000, now_ns, wire), -SL_ENOENT);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	len = sl_line_limit(b, 100000, now_ns, wire);
	CHECK_INT(tell(a, &there, wire, len, &in), SL_LINE_RTCP);
	CHECK(in.limited && in.limit_bps == 100000);
	CHECK_INT(sl_line_notify_limit(a, now_ns, wire), -SL_ENOENT); /* REMB has no answer */
	sl_line_set_feedback(b, SL_PLAIN_TMMBR);
	len = sl_line_limit(b, 65536, now_ns, wire);
	CHECK_INT(tell(a, &there, wire, len, &in), SL_LINE_RTCP);
	CHECK(in.limited && in.limit_bps == 65536);
	len = sl_line_notify_limit(a, now_ns, wire);
	CHECK(len > 0);
	CHECK_INT(sl_get32(wire + len - 8), 2); /* whoever bounds it */
	sl_line_free(a);
	sl_line_free(b);
}

TEST(a_packet_comes_as_it_was_sent)
{
	struct sl_line *a, *b;
	struct sl_line_in in;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK_INT(in.rtp.ssrc, 1);
	CHECK_INT(in.rtp.seq, 65530);
	CHECK_INT(in.rtp.payload_len, 5);
	CHECK(in.latched);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK_INT(in.rtp.seq, 4); /* over the end of the numbers */
	CHECK(!in.restarted && !in.latched);
	sl_line_free(a);
	sl_line_free(b);
}

TEST(behind_a_nat_packets_in_a_row_prove_the_source)
{
	struct sl_line *a, *b;
	struct sl_line_in in;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_INT(say(a, b, &nat, &in), SL_LINE_RTP);
		CHECK(sl_addr_eq(sl_line_rtp_to(b), &here));
	}
	CHECK_INT(say(a, b, &nat, &in), SL_LINE_RTP);
	CHECK(in.latched);
	CHECK(sl_addr_eq(sl_line_rtp_to(b), &nat));
	sl_line_free(a);
	sl_line_free(b);
}

TEST(a_third_address_does_not_take_over)
{
	struct sl_line *a, *b, *c;
	struct sl_line_in in;
	struct sl_line_stats stats;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	c = open_line(3, &there);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	for (unsigned i = 0; i < 300; i++) /* six seconds, in which a is silent */
		CHECK_INT(say(c, b, &evil, &in), SL_LINE_DROP);
	CHECK(sl_addr_eq(sl_line_rtp_to(b), &here));
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	sl_line_get_stats(b, &stats);
	CHECK_INT(stats.strangers, 300);
	CHECK_INT(stats.packets_in, 2);
	sl_line_free(a);
	sl_line_free(b);
	sl_line_free(c);
}

TEST(the_described_address_wins_over_who_came_first)
{
	struct sl_line *a, *b, *c;
	struct sl_line_in in;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	c = open_line(3, &there);
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(say(c, b, &evil, &in), SL_LINE_RTP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK_INT(say(c, b, &evil, &in), SL_LINE_DROP);
	CHECK(sl_addr_eq(sl_line_rtp_to(b), &here));
	sl_line_free(a);
	sl_line_free(b);
	sl_line_free(c);
}

TEST(a_nat_may_change_its_port_after_silence)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	struct sl_addr other;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	other = here;
	other.port = 4444;
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK_INT(say(a, b, &other, &in), SL_LINE_DROP);
	now_ns += 3 * SL_NS_PER_S;
	CHECK_INT(say(a, b, &other, &in), SL_LINE_RTP);
	CHECK(in.latched);
	CHECK(sl_addr_eq(sl_line_rtp_to(b), &other));
	sl_line_free(a);
	sl_line_free(b);
}

TEST(a_strict_line_hears_the_described_address_only)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	struct sl_line_remote r = {.strict = true};

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	r.rtp = here;
	sl_line_set_remote(b, &r);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(say(a, b, &nat, &in), SL_LINE_DROP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	sl_line_free(a);
	sl_line_free(b);
}

TEST(another_description_opens_the_lock)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	struct sl_line_remote r = {0};

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	r.rtp = nat;
	sl_line_set_remote(b, &r);
	CHECK(sl_addr_eq(sl_line_rtp_to(b), &nat));
	CHECK_INT(say(a, b, &nat, &in), SL_LINE_RTP);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_DROP);
	sl_line_free(a);
	sl_line_free(b);
}

TEST(what_is_no_agreed_format_is_dropped)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	struct sl_line_stats stats;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	sl_line_clear_formats(b);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_DROP);
	sl_line_get_stats(b, &stats);
	CHECK_INT(stats.malformed, 1);
	sl_line_free(a);
	sl_line_free(b);
}

static void key_lines(struct sl_line *a, struct sl_line *b, enum sl_srtp_profile profile)
{
	struct sl_sdes of_a, of_b;

	if (sl_sdes_draw(&of_a, 1, profile) < 0 || sl_sdes_draw(&of_b, 1, profile) < 0 ||
	    sl_line_set_keys(a, &of_a, &of_b) < 0 || sl_line_set_keys(b, &of_b, &of_a) < 0)
		abort();
}

TEST(with_keys_only_the_peer_is_heard_wherever_it_is)
{
	static const enum sl_srtp_profile profiles[] = {
		SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32, SL_SRTP_AEAD_AES_128_GCM,
		SL_SRTP_AEAD_AES_256_GCM};

	begin();
	for (unsigned i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct sl_line *a = open_line(1, &there), *b = open_line(2, &here);
		struct sl_line *c = open_line(3, &there);
		struct sl_line_in in;

		key_lines(a, b, profiles[i]);
		CHECK_INT(say(c, b, &here, &in), SL_LINE_DROP); /* not even from the address */
		CHECK_INT(say(a, b, &nat, &in), SL_LINE_RTP);
		CHECK(in.latched && memcmp(sl_rtp_payload(&in.rtp), "hello", 5) == 0);
		CHECK(sl_addr_eq(sl_line_rtp_to(b), &nat));
		CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP); /* it moved: authentic */
		CHECK(in.latched);
		sl_line_free(a);
		sl_line_free(b);
		sl_line_free(c);
	}
}

static void lose(struct sl_line *a)
{
	static uint8_t wire[400];
	const struct sl_line_out out = {.seq = seq++, .pt = 8, .payload = SL_STR("gone")};

	if (sl_line_send(a, &out, now_ns, wire) < 0)
		abort();
}

static int report(struct sl_line *a, struct sl_line *b, const struct sl_addr *from)
{
	uint8_t wire[SL_LINE_RTCP_MAX];
	struct sl_line_in in;
	int len = sl_line_report(a, now_ns, false, wire);

	now_ns += 30 * SL_NS_PER_MS; /* on the way */
	return len < 0 ? -1 : (int)sl_line_receive(b, &in, wire, (size_t)len, from, true, now_ns);
}

TEST(reports_tell_loss_and_round_trip)
{
	struct sl_line *a, *b;
	struct sl_line_in in;
	struct sl_line_stats stats;
	struct sl_addr rtcp;
	uint64_t ntp;
	uint32_t ts;

	begin();
	for (unsigned keyed = 0; keyed < 2; keyed++) {
		a = open_line(1, &there);
		b = open_line(2, &here);
		if (keyed)
			key_lines(a, b, SL_SRTP_AES128_CM_SHA1_80);
		rtcp = here;
		rtcp.port += 7;
		for (unsigned i = 0; i < 20; i++)
			if (i % 4 != 2) /* five are lost */
				CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
			else
				lose(a);
		CHECK_INT(report(a, b, &rtcp), SL_LINE_RTCP);
		CHECK(sl_addr_eq(sl_line_rtcp_to(b),
				 &rtcp)); /* answers go where reports come from */
		now_ns += 500 * SL_NS_PER_MS;
		CHECK_INT(report(b, a, &there), SL_LINE_RTCP);
		sl_line_get_stats(a, &stats);
		CHECK(stats.reported);
		CHECK_INT(stats.lost_out, 5);
		CHECK(stats.rtt_us > 59000 && stats.rtt_us < 61000);
		sl_line_clock(b, &ntp, &ts);
		CHECK(ntp != 0);
		CHECK_INT(report(a, b, &evil), keyed ? SL_LINE_RTCP : SL_LINE_DROP);
		sl_line_free(a);
		sl_line_free(b);
	}
}

TEST(another_ssrc_is_another_stream)
{
	struct sl_line *a, *b, *c;
	struct sl_line_in in;

	begin();
	a = open_line(1, &there);
	b = open_line(2, &here);
	c = open_line(3, &there);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK(in.restarted);
	CHECK_INT(say(a, b, &here, &in), SL_LINE_RTP);
	CHECK(!in.restarted);
	CHECK_INT(say(c, b, &here, &in), SL_LINE_RTP);
	CHECK(in.restarted);
	sl_line_free(a);
	sl_line_free(b);
	sl_line_free(c);
}

TEST(the_estimate_falls_with_loss_and_delay)
{
	CHECK(sl_mos_estimate(SL_CODEC_PCMA, 0, 30) >= 430);
	CHECK(sl_mos_estimate(SL_CODEC_PCMA, 50, 30) < 400);
	CHECK(sl_mos_estimate(SL_CODEC_OPUS, 50, 30) > sl_mos_estimate(SL_CODEC_PCMA, 50, 30));
	CHECK(sl_mos_estimate(SL_CODEC_PCMA, 0, 400) < 400);
	CHECK_INT(sl_mos_estimate(SL_CODEC_PCMA, 1000, 900), 100);
}

TEST_MAIN()
