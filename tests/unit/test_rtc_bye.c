/*
 * Streams that their sender ends: which encodings that ends, when they go on, and what is told.
 */
#include "lib/test.h"
#include "event/loop.h"
#include "session/rtc_impl.h"

enum { N_STREAMS = 4, FIRST = 100 /* SSRC */ };

struct peer {
	struct sl_worker worker;
	struct rtc_host host;
	uint64_t now_ns, words[RTC_N_METERS];
	struct sl_meter meters[RTC_N_METERS];
	struct sl_rtc_media media;
	struct rtc_stream all[N_STREAMS], *streams[N_STREAMS];
	struct sl_rtc rtc;
	unsigned ended, resumed; /* encodings, each told once */
};

static void on_ended(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct peer *p = arg;

	sl_assert(m == &p->media && !(p->ended >> encoding & 1));
	p->ended |= 1u << encoding;
}

static void on_resumed(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct peer *p = arg;

	sl_assert(m == &p->media && !(p->resumed >> encoding & 1));
	p->resumed |= 1u << encoding;
}

static uint64_t now(void *arg)
{
	const struct peer *p = arg;

	return p->now_ns;
}

/* Two encodings of one SSRC each, the retransmissions of the first, and a second SSRC of the second. */
static void open_peer(struct peer *p)
{
	static const struct sl_rtc_handler handler = {.ended = on_ended, .resumed = on_resumed};
	static const uint8_t encodings[N_STREAMS] = {0, 1, 0, 1};

	*p = (struct peer){.now_ns = SL_NS_PER_S};
	sl_assert(loop_new(&p->worker.loop) == 0);
	loop_fake_clock(p->worker.loop, now, p);
	for (unsigned i = 0; i < RTC_N_METERS; i++)
		p->meters[i].word = &p->words[i];
	p->host = (struct rtc_host){.w = &p->worker, .meters = p->meters};
	p->media.c = &p->rtc;
	p->rtc = (struct sl_rtc){.host = &p->host, .handler = &handler, .arg = p};
	p->rtc.streams = p->streams;
	p->rtc.n_streams = N_STREAMS;
	for (unsigned i = 0; i < N_STREAMS; i++) {
		p->all[i] = (struct rtc_stream){.ssrc = FIRST + i,
						.encoding = encodings[i],
						.rtx = i == 2,
						.media = &p->media};
		p->streams[i] = &p->all[i];
	}
}

static void pass(struct peer *p, unsigned ms)
{
	p->now_ns += ms * SL_NS_PER_MS;
	sl_assert(loop_tick(p->worker.loop, 0) == 0);
}

static void say_bye(struct peer *p, const uint32_t *ssrcs, unsigned n)
{
	struct sl_rtcp_block b = {0};
	struct sl_rtcp_writer w;
	uint8_t wire[200];

	sl_rtcp_begin(&w, wire, sizeof wire);
	sl_rtcp_put_bye(&w, ssrcs, n);
	sl_assert(sl_rtcp_next(wire, (size_t)sl_rtcp_end(&w), &b));
	rtc_bye_take(&p->rtc, &b);
}

TEST(an_encoding_ends_with_the_last_stream_that_brings_it)
{
	struct peer p;

	open_peer(&p);
	say_bye(&p, (uint32_t[]){FIRST + 1, FIRST + 2, 9999}, 3);
	CHECK_INT(p.ended, 0); /* another SSRC goes on; retransmissions are no encoding */
	say_bye(&p, (uint32_t[]){FIRST + 3}, 1);
	CHECK_INT(p.ended, 2);
	CHECK(!sl_rtc_media_is_over(&p.media));
	say_bye(&p, (uint32_t[]){FIRST, FIRST + 3}, 2);
	CHECK_INT(p.ended, 3);
	CHECK(sl_rtc_media_is_over(&p.media));
	CHECK_INT(p.words[RTC_byes], 4); /* said again is not counted again */
	loop_free(p.worker.loop);
}

TEST(what_left_before_a_goodbye_does_not_take_it_back)
{
	struct peer p;

	open_peer(&p);
	say_bye(&p, (uint32_t[]){FIRST}, 1);
	pass(&p, RTC_GOODBYE_MS - 1);
	rtc_bye_packet(&p.rtc, &p.all[0]);
	rtc_bye_packet(&p.rtc, &p.all[2]); /* retransmissions never do */
	CHECK_INT(p.resumed, 0);
	CHECK(p.all[0].over);
	pass(&p, 1);
	rtc_bye_packet(&p.rtc, &p.all[2]);
	CHECK_INT(p.resumed, 0);
	rtc_bye_packet(&p.rtc, &p.all[0]);
	CHECK_INT(p.resumed, 1);
	CHECK(!p.all[0].over && !sl_rtc_media_is_over(&p.media));
	loop_free(p.worker.loop);
}

TEST(another_ssrc_of_an_encoding_that_ended_goes_on_with_it_at_once)
{
	struct peer p;

	open_peer(&p);
	p.rtc.n_streams = 3;
	say_bye(&p, (uint32_t[]){FIRST + 1}, 1);
	CHECK_INT(p.ended, 2);
	p.rtc.n_streams = N_STREAMS;
	rtc_bye_packet(&p.rtc, &p.all[3]);
	CHECK_INT(p.resumed, 2);
	CHECK(p.all[1].over);
	loop_free(p.worker.loop);
}

TEST_MAIN()
