/*
 * Fuzz target: what comes to a line's ports, from its party and from strangers. First byte: plain
 * or keyed, and which feedback was not agreed on; then records of who, which port, milliseconds, length, bytes. Nobody but the described
 * address or its host is ever the place that media goes to, once it has been heard.
 */
#include <sluice/clock.h>
#include <sluice/line.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_line *make(struct sl_addr from[3])
{
	const struct sl_line_opts o = {.ssrc = 7, .cname = SL_STR("fuzz")};
	struct sl_line_remote r = {0};
	struct sl_line *l;

	for (unsigned i = 0; i < 3; i++)
		from[i] =
			(struct sl_addr){.family = 4, .port = 4000, .ip = {192, 0, 2, (uint8_t)i}};
	r.rtp = r.rtcp = from[0];
	sl_assert(sl_line_new(&l, &o) == 0);
	sl_line_set_remote(l, &r);
	sl_line_set_format(l, 0, 8000);
	sl_line_set_format(l, 111, 48000);
	return l;
}

static void set_keys(struct sl_line *l)
{
	struct sl_sdes local, remote;

	sl_assert(sl_sdes_draw(&local, 1, SL_SRTP_AES128_CM_SHA1_80) == 0);
	sl_assert(sl_sdes_draw(&remote, 1, SL_SRTP_AES128_CM_SHA1_80) == 0);
	sl_assert(sl_line_set_keys(l, &local, &remote) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_reader r = sl_reader(data, size);
	struct sl_addr from[3];
	struct sl_line *l = make(from);
	uint64_t now_ns = SL_NS_PER_S;
	uint8_t packet[256 + 64], out[SL_LINE_RTCP_MAX];
	bool heard = false, gave_up;
	unsigned first = sl_read_u8(&r);

	if (first & 1)
		set_keys(l);
	sl_line_set_feedback(l, ~first >> 1 & 31);
	for (unsigned i = 0; i < 200 && r.p < r.end; i++) {
		unsigned who = sl_read_u8(&r);
		struct sl_line_in in;
		struct sl_str bytes;

		now_ns += sl_read_u8(&r) * SL_NS_PER_MS;
		bytes = sl_read_bytes(&r, sl_read_u8(&r));
		if (bytes.len > 0)
			memcpy(packet, bytes.p, bytes.len);
		if (sl_line_receive(l, &in, packet, bytes.len, &from[who % 3], who & 64, now_ns) ==
		    SL_LINE_RTP) {
			sl_assert(in.rtp.payload_at + (size_t)in.rtp.payload_len <= bytes.len);
			heard |= who % 3 == 0;
		}
		sl_assert(in.n_missed <= SL_LINE_MISSED);
		sl_assert(sl_line_ask_again(l, now_ns, out, &gave_up) >= 0);
		if (in.limited) /* by REMB, which has no answer, or by TMMBR */
			sl_assert(sl_line_notify_limit(l, now_ns, out) != 0);
		sl_assert(!heard || sl_addr_same_ip(sl_line_rtp_to(l), &from[0]) || who % 3 != 0);
	}
	sl_assert(sl_line_report(l, now_ns, true, out) > 0);
	sl_line_free(l);
	return 0;
}
