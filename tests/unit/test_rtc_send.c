/*
 * What goes to a peer beside media: padding of a probe, and where it may not go; and who is in a mix.
 *
 * The connection is made by hand: keys, a flow over loopback, and one section of video.
 */
#include "lib/test.h"
#include "lib/net.h"
#include "session/rtc_impl.h"

#include <sluice/packet.h>

enum { PT = 96, RTX_PT = 97, SSRC = 0x1111, RTX_SSRC = 0x2222, PROBE_BYTES = 3000 };

struct peer { /* of a connection, which is `rtc` */
	struct test_net net;
	struct rtc_host host;
	uint64_t words[RTC_N_METERS];
	struct sl_meter meters[RTC_N_METERS];
	struct sl_session session;
	struct sl_session_stats stats;
	struct rtc_path path;
	struct jsep_codec codec;
	struct jsep_media j;
	struct sl_rtc_media media, *sections[1];
	struct sl_rtc rtc;
	struct srtp_in *in; /* opens what the connection seals */
	int fd;		    /* where it arrives */
};

static int no_packet(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	(void)arg;
	(void)f;
	(void)p;
	return SL_OK;
}

static void open_way(struct peer *p)
{
	struct net_listener *l = test_net_listen(&p->net, true, "127.0.0.1:0");
	struct sl_addr remote;

	test_net_open(&p->net);
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	sl_assert(p->fd >= 0);
	sl_assert(bind(p->fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		       sizeof(struct sockaddr_in)) == 0);
	sl_assert(sock_local(p->fd, &remote) == 0);
	sl_assert(sl_flow_open(sl_listener_udp(&p->net.worker, &l->pub), &remote, NULL, no_packet, NULL, &p->path.flow) == 0);
}

static void open_keys(struct peer *p)
{
	static const struct srtp_key key = {{1}, {2}};

	sl_assert(srtp_out_new(&p->rtc.out, SL_SRTP_AEAD_AES_128_GCM, &key) == 0);
	sl_assert(srtp_in_new(&p->in, SL_SRTP_AEAD_AES_128_GCM, &key) == 0);
}

static void open_section(struct peer *p)
{
	p->codec = (struct jsep_codec){
		.id = SL_CODEC_VP8, .pt = PT, .rtx_pt = RTX_PT, .clock_hz = 90000};
	p->j = (struct jsep_media){.kind = SL_MEDIA_VIDEO,
				   .codecs = &p->codec,
				   .n_codecs = 1,
				   .ours = {SSRC, RTX_SSRC},
				   .ext_out.id[SL_RTP_EXT_TWCC] = 3};
	p->media = (struct sl_rtc_media){
		.c = &p->rtc, .j = &p->j, .ours = true, .out.packets = 1};
	p->sections[0] = &p->media;
	p->rtc.media = p->sections;
	p->rtc.n_media = 1;
}

/* In the middle of a cluster, all of which is due now */
static void open_peer(struct peer *p)
{
	static const struct sl_rtc_handler none;
	const struct bwe_opts o = {0};

	memset(p, 0, sizeof *p);
	open_way(p);
	for (unsigned i = 0; i < RTC_N_METERS; i++)
		p->meters[i].word = &p->words[i];
	p->host = (struct rtc_host){.w = &p->net.worker, .meters = p->meters};
	p->session.stats = &p->stats;
	p->rtc.host = &p->host;
	p->rtc.session = &p->session;
	p->rtc.handler = &none;
	p->rtc.selected = &p->path;
	p->rtc.wanted_bps = UINT64_MAX;
	open_keys(p);
	open_section(p);
	sl_assert(bwe_new(&p->rtc.bwe, &o, rtc_now_ns(&p->rtc)) == 0);
	pacer_init(&p->rtc.pacer, 1000000, RTC_PACER_MS, rtc_now_ns(&p->rtc));
	p->rtc.probe = 77;
	p->rtc.probe_left = PROBE_BYTES;
	p->rtc.probe_bps = UINT64_MAX / 2;
}

static void close_peer(struct peer *p)
{
	bwe_free(p->rtc.bwe);
	srtp_out_free(p->rtc.out);
	srtp_in_free(p->in);
	sl_flow_close(p->path.flow);
	test_net_close(&p->net);
	close(p->fd);
}

/* Whatever has arrived; all of it has to be padding that disturbs no decoder. */
static unsigned count_padding(struct peer *p)
{
	uint8_t data[SL_PACKET_MAX];
	struct sl_rtp rtp;
	unsigned n = 0;
	ssize_t got;

	sl_assert(loop_tick(p->net.worker.loop, 0) == 0); /* sends what waits */
	while ((got = recv(p->fd, data, sizeof data, 0)) > 0) {
		size_t len = (size_t)got;

		sl_assert(srtp_open_rtp(p->in, data, &len) == 0);
		sl_assert(sl_rtp_parse(&rtp, data, len) == 0);
		sl_assert(rtp.ssrc == RTX_SSRC && rtp.pt == RTX_PT && rtp.payload_len == 0);
		n++;
	}
	return n;
}

TEST(a_probe_is_padding_where_retransmissions_go)
{
	struct peer p;

	open_peer(&p);
	rtc_send_tick(&p.rtc);
	CHECK_INT(p.rtc.probe, 0);
	CHECK(count_padding(&p) >= PROBE_BYTES / 400);
	close_peer(&p);
}

TEST(a_probe_ends_when_its_section_goes_in_the_middle_of_it)
{
	struct peer p;

	open_peer(&p);
	p.rtc.n_media = 0;
	rtc_send_tick(&p.rtc);
	CHECK_INT(p.rtc.probe, 0);
	CHECK_INT(p.rtc.probe_left, 0);
	CHECK_INT(count_padding(&p), 0);
	close_peer(&p);
}

TEST(nothing_is_probed_before_a_stream_has_begun)
{
	struct peer p;

	open_peer(&p);
	p.media.out.packets = 0;
	rtc_send_tick(&p.rtc);
	CHECK_INT(p.rtc.probe, 0);
	CHECK_INT(count_padding(&p), 0);
	close_peer(&p);
}

/* From a mixer: two sources, and how loud each is (RFC 6465), under ids of its own */
TEST(who_is_in_a_mix_is_said_on)
{
	static const uint8_t packet[] = {0x92, 96, 0, 7, 0, 0, 0, 9, 0, 0, 0x33, 0x33,
					 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x51, 20, 40, 0,
					 'o', 'p', 'u', 's'};
	const struct sl_rtp_ext_map theirs = {.id[SL_RTP_EXT_CSRC_AUDIO_LEVEL] = 5};
	const struct sl_rtp_ext_map ours = {.id[SL_RTP_EXT_CSRC_AUDIO_LEVEL] = 9};
	struct sl_rtp src, got;
	uint8_t data[SL_PACKET_MAX];
	size_t len;
	ssize_t n;
	struct peer p;

	open_peer(&p);
	p.rtc.probe = 0;
	p.j.kind = SL_MEDIA_AUDIO;
	p.j.ext_out = ours;
	sl_assert(sl_rtp_parse(&src, packet, sizeof packet) == 0);
	sl_rtp_ext_index(&src, &theirs);
	CHECK_INT(sl_rtc_send(&p.media, &(struct sl_rtp_out){.src = &src, .seq = 1, .ts = 9, .pt = PT}), 0);
	sl_assert(loop_tick(p.net.worker.loop, 0) == 0);
	n = recv(p.fd, data, sizeof data, 0);
	sl_assert(n > 0);
	len = (size_t)n;
	sl_assert(srtp_open_rtp(p.in, data, &len) == 0);
	sl_assert(sl_rtp_parse(&got, data, len) == 0);
	CHECK_INT(got.n_csrcs, 2);
	CHECK_MEM(got.data + SL_RTP_HEADER, packet + SL_RTP_HEADER, 8);
	sl_rtp_ext_index(&got, &ours);
	CHECK(sl_str_eq(sl_rtp_ext_value(&got, SL_RTP_EXT_CSRC_AUDIO_LEVEL), SL_STR("\x14\x28")));
	CHECK(sl_str_eq((struct sl_str){(const char *)sl_rtp_payload(&got), got.payload_len}, SL_STR("opus")));
	close_peer(&p);
}

TEST_MAIN()
