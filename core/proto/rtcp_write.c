/*
 * proto/rtcp_write.c: the writer of RTCP compounds.
 *
 * Every put reserves its whole packet first; one that does not fit, or that cannot be said (more
 * items than a count holds), writes nothing and marks the writer as failed, so that a compound is
 * either whole or refused by sl_rtcp_end. Which packets belong together, and in which order
 * (RFC 3550 section 6.1: a report first), is the caller's to know.
 */
#include <sluice/rtcp.h>

enum { HEADER = 4, FEEDBACK = 12, MAX_COUNT = 31, REPORT_BYTES = 24 };

void sl_rtcp_begin(struct sl_rtcp_writer *w, void *dst, size_t cap)
{
	*w = (struct sl_rtcp_writer){.p = dst, .cap = cap};
}

int sl_rtcp_end(const struct sl_rtcp_writer *w)
{
	return w->failed ? -SL_EFULL : (int)w->len;
}

/* Room for a packet of so many bytes, a multiple of four, its header written; NULL: none */
static uint8_t *packet(struct sl_rtcp_writer *w, enum sl_rtcp_type type, unsigned count,
		       size_t bytes)
{
	uint8_t *p = w->p + w->len;

	if (w->failed || w->cap - w->len < bytes || bytes / 4 > UINT16_MAX) {
		w->failed = true;
		return NULL;
	}
	p[0] = (uint8_t)(0x80 | count);
	p[1] = (uint8_t)type;
	sl_put16(p + 2, (uint16_t)(bytes / 4 - 1));
	w->len += bytes;
	return p;
}

static uint8_t *feedback(struct sl_rtcp_writer *w, enum sl_rtcp_type type, unsigned fmt,
			 const uint32_t sender_and_media[2], size_t item_bytes)
{
	uint8_t *p = packet(w, type, fmt, FEEDBACK + item_bytes);

	if (!p)
		return NULL;
	sl_put32(p + 4, sender_and_media[0]);
	sl_put32(p + 8, sender_and_media[1]);
	return p + FEEDBACK;
}

/* Loss is 24 bits with a sign and saturates (RFC 3550 appendix A.3). */
static uint32_t clamp24(int32_t lost)
{
	int32_t v = lost > 0x7fffff ? 0x7fffff : lost < -0x800000 ? -0x800000 : lost;

	return (uint32_t)v & 0xffffff;
}

static void write_report(uint8_t *p, const struct sl_rtcp_report *r)
{
	sl_put32(p, r->ssrc);
	sl_put32(p + 4, (uint32_t)r->fraction_lost << 24 | clamp24(r->lost));
	sl_put32(p + 8, r->highest_seq);
	sl_put32(p + 12, r->jitter);
	sl_put32(p + 16, r->lsr);
	sl_put32(p + 20, r->dlsr);
}

static void write_sender_info(uint8_t *p, const struct sl_rtcp_sr *sr)
{
	sl_put64(p, sr->ntp);
	sl_put32(p + 8, sr->ts);
	sl_put32(p + 12, sr->packets);
	sl_put32(p + 16, sr->bytes);
}

void sl_rtcp_put_report(struct sl_rtcp_writer *w, uint32_t ssrc, const struct sl_rtcp_sr *sr,
			const struct sl_rtcp_report *reports, unsigned n_reports)
{
	size_t at = sr ? 28 : 8;
	uint8_t *p;

	if (n_reports > MAX_COUNT) {
		w->failed = true;
		return;
	}
	p = packet(w, sr ? SL_RTCP_SR : SL_RTCP_RR, n_reports,
		   at + (size_t)n_reports * REPORT_BYTES);
	if (!p)
		return;
	sl_put32(p + 4, ssrc);
	if (sr)
		write_sender_info(p + 8, sr);
	for (unsigned i = 0; i < n_reports; i++)
		write_report(p + at + (size_t)i * REPORT_BYTES, &reports[i]);
}

/* One chunk with one item, ended by at least one zero and filled to a word (section 6.5). */
void sl_rtcp_put_cname(struct sl_rtcp_writer *w, uint32_t ssrc, struct sl_str cname)
{
	size_t len = cname.len < 255 ? cname.len : 255;
	size_t bytes = (HEADER + 4 + 2 + len + 1 + 3) & ~(size_t)3;
	uint8_t *p = packet(w, SL_RTCP_SDES, 1, bytes);

	if (!p)
		return;
	sl_put32(p + 4, ssrc);
	memset(p + 8, 0, bytes - 8);
	p[8] = 1; /* CNAME */
	p[9] = (uint8_t)len;
	if (len > 0)
		memcpy(p + 10, cname.p, len);
}

void sl_rtcp_put_bye(struct sl_rtcp_writer *w, const uint32_t *ssrcs, unsigned n)
{
	uint8_t *p;

	if (n > MAX_COUNT) {
		w->failed = true;
		return;
	}
	p = packet(w, SL_RTCP_BYE, n, HEADER + 4 * (size_t)n);
	for (unsigned i = 0; p && i < n; i++)
		sl_put32(p + HEADER + 4 * (size_t)i, ssrcs[i]);
}

/* ---- feedback */

/* How many of the numbers one item says: the first, and those of the 16 after it. */
static unsigned nack_item(const uint16_t *seqs, unsigned n, uint16_t *ret_blp)
{
	unsigned taken = 1;
	uint16_t blp = 0;

	for (; taken < n; taken++) {
		uint16_t distance = (uint16_t)(seqs[taken] - seqs[0]);

		if (distance > 16)
			break;
		if (distance > 0) /* 0: said twice */
			blp |= (uint16_t)(1u << (distance - 1));
	}
	*ret_blp = blp;
	return taken;
}

static unsigned nack_items(const uint16_t *seqs, unsigned n)
{
	unsigned items = 0;
	uint16_t blp;

	for (unsigned i = 0; i < n; items++)
		i += nack_item(seqs + i, n - i, &blp);
	return items;
}

void sl_rtcp_put_nack(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media,
		      const uint16_t *seqs, unsigned n)
{
	size_t bytes = 4 * (size_t)nack_items(seqs, n);
	uint8_t *p;

	if (n == 0)
		return;
	p = feedback(w, SL_RTCP_RTPFB, SL_RTCP_NACK, (uint32_t[]){sender, media}, bytes);
	for (unsigned i = 0; p && i < n; p += 4) {
		uint16_t blp;

		sl_put16(p, seqs[i]);
		i += nack_item(seqs + i, n - i, &blp);
		sl_put16(p + 2, blp);
	}
}

void sl_rtcp_put_pli(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media)
{
	(void)feedback(w, SL_RTCP_PSFB, SL_RTCP_PLI, (uint32_t[]){sender, media}, 0);
}

/* The stream stands in the item; the header's media field is zero (RFC 5104 section 4.3.1.2). */
void sl_rtcp_put_fir(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media, uint8_t seq)
{
	uint8_t *p = feedback(w, SL_RTCP_PSFB, SL_RTCP_FIR, (uint32_t[]){sender, 0}, 8);

	if (!p)
		return;
	sl_put32(p, media);
	sl_put32(p + 4, (uint32_t)seq << 24);
}

/* Rounded down to the bits of a mantissa: a promise not to be exceeded. */
static uint32_t rate_word(uint64_t bps, unsigned mantissa_bits)
{
	unsigned exponent = 0;

	while (bps >> exponent >> mantissa_bits)
		exponent++;
	return exponent << mantissa_bits | (uint32_t)(bps >> exponent);
}

void sl_rtcp_put_tmmb(struct sl_rtcp_writer *w, unsigned fmt, uint32_t sender, uint32_t ssrc,
		      uint64_t bps, unsigned overhead)
{
	bool empty = fmt == SL_RTCP_TMMBN && ssrc == 0;
	uint8_t *p = feedback(w, SL_RTCP_RTPFB, fmt, (uint32_t[]){sender, 0}, empty ? 0 : 8);

	if (!p || empty)
		return;
	sl_put32(p, ssrc);
	sl_put32(p + 4, rate_word(bps, 17) << 9 | (overhead & 0x1ff));
}

void sl_rtcp_put_remb(struct sl_rtcp_writer *w, uint32_t sender, uint64_t bps,
		      const uint32_t *ssrcs, unsigned n)
{
	uint8_t *p;

	if (n > 255) {
		w->failed = true;
		return;
	}
	p = feedback(w, SL_RTCP_PSFB, SL_RTCP_AFB, (uint32_t[]){sender, 0}, 8 + 4 * (size_t)n);
	if (!p)
		return;
	memcpy(p, "REMB", 4);
	sl_put32(p + 4, (uint32_t)n << 24 | rate_word(bps, 18));
	for (unsigned i = 0; i < n; i++)
		sl_put32(p + 8 + 4 * (size_t)i, ssrcs[i]);
}

/* ---- extended reports (RFC 3611) */

void sl_rtcp_put_xr_rrtr(struct sl_rtcp_writer *w, uint32_t ssrc, uint64_t ntp)
{
	uint8_t *p = packet(w, SL_RTCP_XR, 0, 20);

	if (!p)
		return;
	sl_put32(p + 4, ssrc);
	sl_put32(p + 8, UINT32_C(4) << 24 | 2); /* block type 4, two words */
	sl_put64(p + 12, ntp);
}

void sl_rtcp_put_xr_dlrr(struct sl_rtcp_writer *w, uint32_t ssrc, const struct sl_rtcp_dlrr *items,
			 unsigned n)
{
	uint8_t *p = packet(w, SL_RTCP_XR, 0, 12 + 12 * (size_t)n);

	if (!p)
		return;
	sl_put32(p + 4, ssrc);
	sl_put32(p + 8, UINT32_C(5) << 24 | 3 * n); /* block type 5 */
	for (unsigned i = 0; i < n; i++) {
		sl_put32(p + 12 + 12 * (size_t)i, items[i].ssrc);
		sl_put32(p + 16 + 12 * (size_t)i, items[i].lrr);
		sl_put32(p + 20 + 12 * (size_t)i, items[i].dlrr);
	}
}

void sl_rtcp_put_raw(struct sl_rtcp_writer *w, const void *packet_, size_t len)
{
	if (w->failed || len % 4 != 0 || w->cap - w->len < len) {
		w->failed = true;
		return;
	}
	memcpy(w->p + w->len, packet_, len);
	w->len += len;
}
