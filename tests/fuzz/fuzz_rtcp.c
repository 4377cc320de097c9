/*
 * Fuzz target: RTCP compounds. Every reader stays within its block, whatever the counts say, and a
 * NACK that was read is written and read again.
 */
#include <sluice/rtcp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_reports(const struct sl_rtcp_block *b)
{
	struct sl_rtcp_report r;
	struct sl_rtcp_sr sr;
	uint32_t ssrc, lrr, dlrr;
	uint64_t ntp;

	(void)!sl_rtcp_read_sr(b, &sr);
	for (unsigned i = 0; i < 33; i++) {
		if (sl_rtcp_read_report(b, i, &r) == 0)
			sl_assert(r.lost >= -0x800000 && r.lost <= 0x7fffff);
		(void)!sl_rtcp_read_bye(b, i, &ssrc);
	}
	(void)!sl_rtcp_read_xr_rrtr(b, &ssrc, &ntp);
	(void)!sl_rtcp_read_xr_dlrr(b, 0, &lrr, &dlrr);
}

static void read_feedback(const struct sl_rtcp_block *b)
{
	static uint16_t seqs[300000], again[300000];
	static uint8_t copy[1 << 20];
	uint32_t sender, media;
	struct sl_rtcp_writer w;
	struct sl_rtcp_block c = {0};
	unsigned n;
	uint64_t bps;
	uint8_t seq;

	(void)!sl_rtcp_read_feedback(b, &sender, &media);
	(void)!sl_rtcp_read_remb(b, &bps);
	for (unsigned i = 0; i < 20; i++) {
		(void)!sl_rtcp_read_fir(b, i, &media, &seq);
		(void)!sl_rtcp_read_tmmb(b, i, &media, &bps);
	}
	n = sl_rtcp_read_nack(b, seqs, SL_ARRAY_LEN(seqs));
	sl_rtcp_begin(&w, copy, sizeof copy);
	sl_rtcp_put_nack(&w, 1, 2, seqs, n);
	if (n == 0 || sl_rtcp_end(&w) < 0)
		return;
	sl_assert(sl_rtcp_check(copy, w.len) == 0 && sl_rtcp_next(copy, w.len, &c));
	sl_assert(sl_rtcp_read_nack(&c, again, SL_ARRAY_LEN(again)) <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_rtcp_block b = {0};

	if (sl_rtcp_check(data, size) < 0)
		return 0;
	while (sl_rtcp_next(data, size, &b)) {
		sl_assert(b.len >= 4 && b.data >= data && b.data + b.len <= data + size);
		read_reports(&b);
		read_feedback(&b);
	}
	return 0;
}
