/*
 * proto/jsep_read.c: what one section of a description says, in one walk over its attributes.
 *
 * Judges nothing but form: what is malformed counts as not said. Everything refers to the text.
 */
#include "proto/jsep_impl.h"

enum { MAX_RESTRICTIONS = 512 }; /* bytes, of one rid */

static uint32_t read_ssrc(struct sl_str s)
{
	uint64_t v;

	return sl_str_u64(s, &v) == 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static void read_mid(struct seen *seen, struct sl_str v)
{
	seen->mid = v;
}

static void read_bundle_only(struct seen *seen, struct sl_str v)
{
	(void)v;
	seen->off = false; /* RFC 8843 section 6: port 0 is not a refusal here */
}

static void read_mux(struct seen *seen, struct sl_str v)
{
	(void)v;
	seen->mux = true;
}

static void read_rsize(struct seen *seen, struct sl_str v)
{
	(void)v;
	seen->rsize = true;
}

/* "rcvr-rtt=all" and other reports, of no use here (RFC 3611 section 5.1) */
static void read_xr(struct seen *seen, struct sl_str v)
{
	while (v.p)
		seen->xr |= sl_str_eq(sl_str_split(&v, ' '), SL_STR("rcvr-rtt=all"));
}

static void read_mixed(struct seen *seen, struct sl_str v)
{
	(void)v;
	seen->mixed = true;
}

/* "stream track"; "-" stands for no stream. */
static void read_msid(struct seen *seen, struct sl_str v)
{
	struct sl_str stream = sl_str_split(&v, ' ');

	if (seen->stream.p)
		return;
	seen->stream = sl_str_eq(stream, SL_STR("-")) ? SL_STR("") : stream;
	seen->track = sl_str_trim(v);
}

static enum sl_sdp_direction read_direction(struct sl_str s)
{
	for (unsigned d = 0; d <= SL_SDP_SENDRECV; d++)
		if (sl_str_eq(s, sl_str_c(sl_sdp_direction_name(d))))
			return (enum sl_sdp_direction)d;
	return SL_SDP_SENDRECV;
}

/* "3/sendonly urn:...". Of duplicates the first counts; ids over 255 ask for one of ours
 * (RFC 8285 section 7) and are not worth it. */
static void read_extmap(struct seen *seen, struct sl_str v)
{
	struct sl_str number = sl_str_split(&v, ' '), uri = sl_str_split(&v, ' ');
	struct sl_str id_text = sl_str_split(&number, '/');
	unsigned ext = sl_rtp_ext_by_uri(uri);
	uint64_t id;

	if (sl_str_u64(id_text, &id) < 0 || id == 0 || id > UINT8_MAX)
		return;
	seen->ext_by_id[id] = ext < SL_N_RTP_EXT ? (uint8_t)(ext + 1) : JSEP_FOREIGN;
	if (ext >= SL_N_RTP_EXT || seen->ext[ext])
		return;
	seen->ext[ext] = (uint8_t)id;
	seen->ext_direction[ext] =
		number.p ? (uint8_t)read_direction(number) : (uint8_t)SL_SDP_SENDRECV;
}

static uint8_t feedback_of(struct sl_str text)
{
	static const struct {
		struct sl_str text;
		uint8_t bit;
	} table[] = {
		{SL_STR_INIT("nack"), JSEP_FB_NACK},
		{SL_STR_INIT("nack pli"), JSEP_FB_PLI},
		{SL_STR_INIT("ccm fir"), JSEP_FB_FIR},
		{SL_STR_INIT("ccm tmmbr"), JSEP_FB_TMMBR},
		{SL_STR_INIT("goog-remb"), JSEP_FB_REMB},
		{SL_STR_INIT("transport-cc"), JSEP_FB_TWCC},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(table); i++)
		if (sl_str_eq(table[i].text, text))
			return table[i].bit;
	return 0;
}

/* "96 nack pli", or "*" for all */
static void read_feedback(struct seen *seen, struct sl_str v)
{
	struct sl_str pt_text = sl_str_split(&v, ' ');
	uint8_t bit = feedback_of(sl_str_trim(v));
	uint64_t pt;

	if (sl_str_eq(pt_text, SL_STR("*")))
		seen->feedback_all |= bit;
	else if (sl_str_u64(pt_text, &pt) == 0 && pt < SL_ARRAY_LEN(seen->feedback))
		seen->feedback[pt] |= bit;
}

/* RFC 8851 section 10 */
static bool is_rid(struct sl_str s)
{
	static const char others[] = "-_";

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    c != others[0] && c != others[1])
			return false;
	}
	return s.len > 0 && s.len <= JSEP_MAX_MID;
}

/* "hi send pt=97,98;max-width=1280" (RFC 8851) */
static void read_rid(struct seen *seen, struct sl_str v)
{
	struct sl_str id = sl_str_split(&v, ' '), way = sl_str_split(&v, ' ');

	if (!is_rid(id) || v.len > MAX_RESTRICTIONS || seen->n_rids == JSEP_MAX_SEEN)
		return;
	seen->rids[seen->n_rids++] = (struct seen_rid){
		.id = id, .rest = sl_str_trim(v), .sends = sl_str_eq(way, SL_STR("send"))};
}

/* "send a;~b recv c" (RFC 8853): only what they send is of interest. */
static void read_simulcast(struct seen *seen, struct sl_str v)
{
	seen->has_simulcast = true;
	while (v.p) {
		struct sl_str way = sl_str_split(&v, ' '), list = sl_str_split(&v, ' ');

		if (sl_str_eq(way, SL_STR("send")))
			seen->simulcast = list;
	}
}

/* "1234 cname:x"; the first is the stream when no group says more. */
static void read_ssrc_line(struct seen *seen, struct sl_str v)
{
	uint32_t ssrc = read_ssrc(sl_str_split(&v, ' '));

	if (seen->first_ssrc == 0)
		seen->first_ssrc = ssrc;
}

static void read_pair(struct seen *seen, struct sl_str v)
{
	uint32_t media = read_ssrc(sl_str_split(&v, ' ')), rtx = read_ssrc(sl_str_split(&v, ' '));

	if (media && rtx && seen->n_pairs < JSEP_MAX_SEEN)
		seen->pairs[seen->n_pairs++] = (struct jsep_ssrc){media, rtx};
}

/* "FID media rtx", "SIM low mid high" (RFC 5576, and what browsers made of it before rids) */
static void read_ssrc_group(struct seen *seen, struct sl_str v)
{
	struct sl_str kind = sl_str_split(&v, ' ');

	if (sl_str_eq(kind, SL_STR("FID")))
		read_pair(seen, v);
	if (!sl_str_eq(kind, SL_STR("SIM")) || seen->n_sim > 0)
		return;
	while (v.p && seen->n_sim < JSEP_MAX_RIDS) {
		uint32_t ssrc = read_ssrc(sl_str_split(&v, ' '));

		if (ssrc)
			seen->sim[seen->n_sim++] = ssrc;
	}
}

static void read_sctp_port(struct seen *seen, struct sl_str v)
{
	uint64_t port;

	if (sl_str_u64(v, &port) == 0 && port <= UINT16_MAX)
		seen->sctp_port = (uint16_t)port;
}

/* "5000 webrtc-datachannel 1024", as it was before RFC 8841 */
static void read_sctpmap(struct seen *seen, struct sl_str v)
{
	read_sctp_port(seen, sl_str_split(&v, ' '));
	seen->old_sctp = true;
}

/* 0 is no limit (RFC 8841 section 6.1). */
static void read_max_message(struct seen *seen, struct sl_str v)
{
	uint64_t n;

	if (sl_str_u64(v, &n) == 0)
		seen->max_message = n == 0 || n > SIZE_MAX ? SIZE_MAX : (size_t)n;
}

static const struct {
	struct sl_str name;
	void (*read)(struct seen *seen, struct sl_str value);
} readers[] = {
	{SL_STR_INIT("rtcp-fb"), read_feedback},
	{SL_STR_INIT("ssrc"), read_ssrc_line},
	{SL_STR_INIT("extmap"), read_extmap},
	{SL_STR_INIT("mid"), read_mid},
	{SL_STR_INIT("bundle-only"), read_bundle_only},
	{SL_STR_INIT("rtcp-mux"), read_mux},
	{SL_STR_INIT("rtcp-rsize"), read_rsize},
	{SL_STR_INIT("rtcp-xr"), read_xr},
	{SL_STR_INIT("extmap-allow-mixed"), read_mixed},
	{SL_STR_INIT("msid"), read_msid},
	{SL_STR_INIT("rid"), read_rid},
	{SL_STR_INIT("simulcast"), read_simulcast},
	{SL_STR_INIT("ssrc-group"), read_ssrc_group},
	{SL_STR_INIT("sctp-port"), read_sctp_port},
	{SL_STR_INIT("sctpmap"), read_sctpmap},
	{SL_STR_INIT("max-message-size"), read_max_message},
};

static void read_attr(struct seen *seen, const struct sl_sdp_attr *a)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(readers); i++) {
		if (!sl_str_eq(readers[i].name, a->name))
			continue;
		readers[i].read(seen, sl_str_trim(a->value));
		return;
	}
}

/* Profiles that mean DTLS-SRTP when there is a fingerprint (RFC 8829 section 5.1.2). */
static bool is_rtp(struct sl_str proto)
{
	static const struct sl_str known[] = {
		SL_STR_INIT("UDP/TLS/RTP/SAVPF"),  SL_STR_INIT("UDP/TLS/RTP/SAVP"),
		SL_STR_INIT("TCP/DTLS/RTP/SAVPF"), SL_STR_INIT("TCP/DTLS/RTP/SAVP"),
		SL_STR_INIT("RTP/SAVPF"),	   SL_STR_INIT("RTP/SAVP"),
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(known); i++)
		if (sl_str_eq(known[i], proto))
			return true;
	return false;
}

static bool is_data(const struct sl_sdp_media *m)
{
	if (sl_str_eq(m->proto, SL_STR("DTLS/SCTP")))
		return true;
	return (sl_str_eq(m->proto, SL_STR("UDP/DTLS/SCTP")) ||
		sl_str_eq(m->proto, SL_STR("TCP/DTLS/SCTP"))) &&
	       sl_str_eq(m->formats[0], SL_STR("webrtc-datachannel"));
}

static void read_kind(struct seen *seen)
{
	const struct sl_sdp_media *m = seen->view;

	seen->kind = SL_MEDIA_DATA;
	if (sl_str_eq(m->type, SL_STR("application"))) {
		seen->usable = is_data(m);
		return;
	}
	if (sl_str_eq(m->type, SL_STR("audio")))
		seen->kind = SL_MEDIA_AUDIO;
	else if (sl_str_eq(m->type, SL_STR("video")))
		seen->kind = SL_MEDIA_VIDEO;
	else
		return;
	seen->usable = is_rtp(m->proto);
}

void jsep_read_section(struct seen *ret_seen, const struct sl_sdp *sdp, unsigned i)
{
	const struct sl_sdp_media *m = &sdp->media[i];
	struct sl_str none;

	*ret_seen = (struct seen){.view = m, .off = m->port == 0};
	ret_seen->max_message = 64 * 1024; /* what RFC 8841 means when nothing is said */
	ret_seen->mixed = sl_sdp_attr(sdp, NULL, "extmap-allow-mixed", &none);
	ret_seen->direction = sl_sdp_get_direction(sdp, m);
	read_kind(ret_seen);
	if (ret_seen->kind != SL_MEDIA_DATA)
		ret_seen->n_formats = sl_sdp_formats(m, ret_seen->formats);
	else if (sl_str_eq(m->proto, SL_STR("DTLS/SCTP")))
		read_sctp_port(ret_seen, m->formats[0]);
	for (unsigned k = 0; k < m->n_attrs; k++)
		read_attr(ret_seen, &m->attrs[k]);
}
