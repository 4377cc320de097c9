/*
 * proto/sdp_plain.c: sections of plain RTP: what they say, what both can, and how ours are written.
 *
 * Lenient in what old telephones say (hold by address, keys beside RTP/AVP), exact in what we say:
 * every format has its rtpmap, every section its address.
 */
#include <sluice/sdp_plain.h>

#include <sluice/crypto.h>

#define LINE_END "\r\n"

static const struct sl_str protos[] = {
	SL_STR_INIT("RTP/AVP"),	  SL_STR_INIT("RTP/AVPF"),	   SL_STR_INIT("RTP/SAVP"),
	SL_STR_INIT("RTP/SAVPF"), SL_STR_INIT("UDP/TLS/RTP/SAVP"), SL_STR_INIT("UDP/TLS/RTP/SAVPF"),
};

static bool is_rtp(struct sl_str proto)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(protos); i++)
		if (sl_str_eq(protos[i], proto))
			return true;
	return false;
}

static int read_kind(struct sl_plain *p, const struct sl_sdp_media *m)
{
	if (!is_rtp(m->proto))
		return -SL_EUNSUPP;
	if (sl_str_eq(m->type, SL_STR("audio")))
		p->kind = SL_MEDIA_AUDIO;
	else if (sl_str_eq(m->type, SL_STR("video")))
		p->kind = SL_MEDIA_VIDEO;
	else
		return -SL_EUNSUPP;
	p->proto = m->proto;
	return 0;
}

/* "53020", or "53020 IN IP4 192.0.2.4" (RFC 3605) */
static void read_rtcp(struct sl_plain *p, struct sl_str value)
{
	struct sl_str port_text = sl_str_split(&value, ' ');
	struct sl_addr other;
	uint64_t port;

	if (sl_str_u64(port_text, &port) < 0 || port == 0 || port > UINT16_MAX)
		return;
	p->rtcp.port = (uint16_t)port;
	(void)sl_str_split(&value, ' '); /* IN */
	(void)sl_str_split(&value, ' '); /* IP4 or IP6 */
	if (value.len > 0 && sl_addr_parse(&other, value) == 0 && other.port == 0) {
		p->rtcp = other;
		p->rtcp.port = (uint16_t)port;
	}
}

static bool is_unspecified(const struct sl_addr *a)
{
	struct sl_addr none = {.family = a->family};

	return a->family && sl_addr_same_ip(a, &none);
}

static void read_addresses(struct sl_plain *p, const struct sl_sdp *sdp, unsigned i)
{
	const struct sl_sdp_media *m = &sdp->media[i];
	struct sl_str v;

	p->rtp = p->rtcp = m->connection;
	p->rtp.port = p->rtcp.port = m->port; /* also where a name stands for the address */
	p->rejected = m->port == 0;
	p->mux = sl_sdp_attr(sdp, m, "rtcp-mux", &v);
	p->direction = sl_sdp_get_direction(sdp, m);
	if (m->port > 0 && m->port < UINT16_MAX)
		p->rtcp.port++;
	if (sl_sdp_attr(sdp, m, "rtcp", &v))
		read_rtcp(p, v);
	/* With ICE such an address says nothing yet. */
	if (is_unspecified(&p->rtp) && !sl_sdp_attr_or_session(sdp, m, "ice-ufrag", &v))
		p->direction = (enum sl_sdp_direction)(p->direction & SL_SDP_SENDONLY);
}

static unsigned read_ms(const struct sl_sdp *sdp, const struct sl_sdp_media *m, const char *name)
{
	struct sl_str v;
	uint64_t n;

	if (!sl_sdp_attr(sdp, m, name, &v) || sl_str_u64(sl_str_trim(v), &n) < 0 || n > UINT16_MAX)
		return 0;
	return (unsigned)n;
}

static void read_formats(struct sl_plain *p, const struct sl_sdp_media *m)
{
	struct sl_sdp_format all[SL_SDP_MAX_FORMATS];
	unsigned n = sl_sdp_formats(m, all);

	for (unsigned i = 0; i < n && p->n_formats < SL_PLAIN_MAX_FORMATS; i++)
		if (all[i].clock_hz)
			p->formats[p->n_formats++] = all[i];
}

static void read_keys(struct sl_plain *p, const struct sl_sdp_media *m)
{
	for (unsigned i = 0; i < m->n_attrs && p->n_keys < SL_PLAIN_MAX_KEYS; i++)
		if (sl_str_eq(m->attrs[i].name, SL_STR("crypto")) &&
		    sl_sdes_parse(&p->keys[p->n_keys], sl_str_trim(m->attrs[i].value)) == 0)
			p->n_keys++;
}

/* "* nack pli" or "97 ccm fir": one of its formats is all that it will send */
static void read_feedback(struct sl_plain *p, const struct sl_sdp_media *m)
{
	for (unsigned i = 0; i < m->n_attrs; i++) {
		struct sl_str v = sl_str_trim(m->attrs[i].value);

		if (!sl_str_eq(m->attrs[i].name, SL_STR("rtcp-fb")))
			continue;
		(void)sl_str_split(&v, ' '); /* the format */
		v = sl_str_trim(v);
		if (sl_str_eq(v, SL_STR("nack")))
			p->feedback |= SL_PLAIN_NACK;
		else if (sl_str_eq(v, SL_STR("nack pli")))
			p->feedback |= SL_PLAIN_PLI;
		else if (sl_str_starts(v, SL_STR("ccm fir")))
			p->feedback |= SL_PLAIN_FIR;
		else if (sl_str_starts(v, SL_STR("ccm tmmbr")))
			p->feedback |= SL_PLAIN_TMMBR;
		else if (sl_str_eq(v, SL_STR("goog-remb")))
			p->feedback |= SL_PLAIN_REMB;
	}
}

int sl_plain_read(struct sl_plain *ret_section, const struct sl_sdp *sdp, unsigned i)
{
	const struct sl_sdp_media *m = &sdp->media[i];
	struct sl_plain p = {.limit_bps = m->limit_bps ? m->limit_bps : sdp->limit_bps};
	int err = read_kind(&p, m);

	if (err < 0)
		return err;
	read_addresses(&p, sdp, i);
	read_formats(&p, m);
	read_keys(&p, m);
	read_feedback(&p, m);
	p.ptime_ms = read_ms(sdp, m, "ptime");
	p.maxptime_ms = read_ms(sdp, m, "maxptime");
	(void)sl_sdp_attr_or_session(sdp, m, "fingerprint", &p.fingerprint); /* none: empty */
	(void)sl_sdp_attr_or_session(sdp, m, "setup", &p.setup);
	*ret_section = p;
	sl_wipe(p.keys, sizeof p.keys);
	return 0;
}

static bool says_savp(struct sl_str proto)
{
	struct sl_str last = proto;

	while (proto.p)
		last = sl_str_split(&proto, '/');
	return sl_str_starts(last, SL_STR("SAVP"));
}

bool sl_plain_is_secure(const struct sl_plain *section)
{
	return says_savp(section->proto) || section->n_keys > 0;
}

/* No codec, but something that goes with one of the same clock */
static bool is_extra(const struct sl_sdp_format *f)
{
	enum sl_codec_id id = sl_codec_by_name(f->name);

	return id == SL_CODEC_DTMF || id == SL_CODEC_CN;
}

static bool has_clock(const struct sl_sdp_format *formats, unsigned n, uint32_t clock_hz)
{
	for (unsigned i = 0; i < n; i++)
		if (formats[i].clock_hz == clock_hz && !is_extra(&formats[i]))
			return true;
	return false;
}

static bool has_same(const struct sl_sdp_format *formats, unsigned n, const struct sl_sdp_format *f)
{
	for (unsigned i = 0; i < n; i++)
		if (sl_sdp_same_codec(&formats[i], f))
			return true;
	return false;
}

unsigned sl_plain_agree(struct sl_sdp_format ret_formats[SL_PLAIN_MAX_FORMATS],
			const struct sl_plain *theirs, const struct sl_sdp_format *own,
			unsigned n_own)
{
	struct sl_sdp_format both[SL_PLAIN_MAX_FORMATS];
	unsigned n = 0, kept = 0;

	for (unsigned i = 0; i < theirs->n_formats; i++) {
		const struct sl_sdp_format *f = &theirs->formats[i];

		if (has_same(own, n_own, f) && !has_same(both, n, f))
			both[n++] = *f;
	}
	for (unsigned i = 0; i < n; i++)
		if (has_clock(both, n, both[i].clock_hz))
			ret_formats[kept++] = both[i];
	return kept;
}

static void put_format(struct sl_buf *b, const struct sl_sdp_format *f)
{
	sl_buf_printf(b, "a=rtpmap:%u %.*s/%u", f->pt, SL_FMT(f->name), f->clock_hz);
	if (f->channels > 1)
		sl_buf_printf(b, "/%u", f->channels);
	sl_buf_str(b, SL_STR(LINE_END));
	if (f->params.len > 0)
		sl_buf_printf(b, "a=fmtp:%u %.*s" LINE_END, f->pt, SL_FMT(f->params));
}

static void put_security(struct sl_buf *b, const struct sl_plain *p)
{
	char text[SL_SDES_STRLEN];

	for (unsigned i = 0; i < p->n_keys; i++) {
		sl_sdes_format(text, &p->keys[i]);
		sl_buf_printf(b, "a=crypto:%s" LINE_END, text);
	}
	sl_wipe(text, sizeof text);
	if (p->fingerprint.len > 0)
		sl_buf_printf(b, "a=fingerprint:%.*s" LINE_END, SL_FMT(p->fingerprint));
	if (p->setup.len > 0)
		sl_buf_printf(b, "a=setup:%.*s" LINE_END, SL_FMT(p->setup));
}

static void put_feedback(struct sl_buf *b, const struct sl_plain *p)
{
	if (p->feedback & SL_PLAIN_NACK)
		sl_sdp_put(b, "rtcp-fb:* nack");
	if (p->feedback & SL_PLAIN_PLI)
		sl_sdp_put(b, "rtcp-fb:* nack pli");
	if (p->feedback & SL_PLAIN_FIR)
		sl_sdp_put(b, "rtcp-fb:* ccm fir");
	if (p->feedback & SL_PLAIN_TMMBR)
		sl_sdp_put(b, "rtcp-fb:* ccm tmmbr");
	if (p->feedback & SL_PLAIN_REMB)
		sl_sdp_put(b, "rtcp-fb:* goog-remb");
}

/* Said only where it is not what everybody assumes (RFC 3605 section 2.1). */
static void put_rtcp(struct sl_buf *b, const struct sl_plain *p)
{
	char ip[SL_ADDR_STRLEN];

	if (p->mux)
		sl_sdp_put(b, "rtcp-mux");
	if (!p->rtcp.family ||
	    (p->rtcp.port == p->rtp.port + 1 && sl_addr_same_ip(&p->rtp, &p->rtcp)))
		return;
	if (sl_addr_same_ip(&p->rtp, &p->rtcp))
		sl_sdp_putf(b, "rtcp", "%u", p->rtcp.port);
	else
		sl_sdp_putf(b, "rtcp", "%u IN IP%d %s", p->rtcp.port, p->rtcp.family,
			    sl_addr_format_ip(ip, &p->rtcp));
}

static void put_limit(struct sl_buf *b, uint64_t bps)
{
	if (bps > 0)
		sl_buf_printf(b, "b=AS:%llu" LINE_END "b=TIAS:%llu" LINE_END,
			      (unsigned long long)((bps + 999) / 1000), (unsigned long long)bps);
}

void sl_plain_write(struct sl_buf *b, const struct sl_plain *section)
{
	const struct sl_plain *p = section;
	struct sl_str type = p->kind == SL_MEDIA_AUDIO ? SL_STR("audio") : SL_STR("video");

	sl_sdp_begin_media(b, type, p->rejected || p->n_formats == 0 ? 0 : p->rtp.port, p->proto);
	for (unsigned i = 0; i < p->n_formats; i++)
		sl_sdp_put_format(b, p->formats[i].pt);
	if (p->n_formats == 0)
		sl_sdp_put_format(b, 0);
	sl_sdp_end_media(b, &p->rtp);
	put_limit(b, p->limit_bps);
	put_security(b, p);
	for (unsigned i = 0; i < p->n_formats; i++)
		put_format(b, &p->formats[i]);
	put_feedback(b, p);
	if (p->ptime_ms)
		sl_sdp_putf(b, "ptime", "%u", p->ptime_ms);
	if (p->maxptime_ms)
		sl_sdp_putf(b, "maxptime", "%u", p->maxptime_ms);
	sl_sdp_put(b, sl_sdp_direction_name(p->direction));
	put_rtcp(b, p);
}

void sl_plain_reject(struct sl_buf *b, const struct sl_sdp_media *offered)
{
	sl_sdp_begin_media(b, offered->type, 0, offered->proto);
	sl_buf_printf(b, " %.*s" LINE_END, SL_FMT(offered->formats[0]));
}
