/*
 * proto/sdp_rtp.c: what an m-line's numbers mean: rtpmap, fmtp, and the payload types that RFC 3551
 * has fixed, which telephones still use without saying so.
 *
 * One walk over the attributes fills all formats: an offer may be long, and must not cost its
 * length times its formats.
 */
#include <sluice/sdp.h>

#include <stdio.h>

enum { N_PTS = 128 };

/* RFC 3551 section 6, what anybody still sends. G722 runs at 16 kHz and says 8 (section 4.5.2). */
static const struct {
	uint8_t pt, channels;
	uint32_t clock_hz;
	struct sl_str name;
} fixed[] = {
	{0, 1, 8000, SL_STR_INIT("PCMU")},   {3, 1, 8000, SL_STR_INIT("GSM")},
	{4, 1, 8000, SL_STR_INIT("G723")},   {8, 1, 8000, SL_STR_INIT("PCMA")},
	{9, 1, 8000, SL_STR_INIT("G722")},   {10, 2, 44100, SL_STR_INIT("L16")},
	{11, 1, 44100, SL_STR_INIT("L16")},  {13, 1, 8000, SL_STR_INIT("CN")},
	{15, 1, 8000, SL_STR_INIT("G728")},  {18, 1, 8000, SL_STR_INIT("G729")},
	{26, 1, 90000, SL_STR_INIT("JPEG")}, {31, 1, 90000, SL_STR_INIT("H261")},
	{34, 1, 90000, SL_STR_INIT("H263")},
};

static int read_pt(struct sl_str s)
{
	uint64_t pt;

	return sl_str_u64(s, &pt) == 0 && pt < N_PTS ? (int)pt : -1;
}

static void fill_fixed(struct sl_sdp_format *f)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(fixed); i++) {
		if (fixed[i].pt != f->pt)
			continue;
		f->name = fixed[i].name;
		f->clock_hz = fixed[i].clock_hz;
		f->channels = fixed[i].channels;
	}
}

/* "opus/48000/2"; what is malformed counts as not said. */
static void fill_rtpmap(struct sl_sdp_format *f, struct sl_str value)
{
	struct sl_str name = sl_str_split(&value, '/'), clock = sl_str_split(&value, '/');
	uint64_t clock_hz, channels = 1;

	if (f->name.len > 0 || name.len == 0 || sl_str_u64(clock, &clock_hz) < 0)
		return;
	if (clock_hz == 0 || clock_hz > UINT32_MAX)
		return;
	if (value.p && (sl_str_u64(value, &channels) < 0 || channels < 1 || channels > UINT8_MAX))
		return;
	f->name = name;
	f->clock_hz = (uint32_t)clock_hz;
	f->channels = (uint8_t)channels;
}

static void fill_from(struct sl_sdp_format *const by_pt[N_PTS], const struct sl_sdp_attr *a)
{
	bool map = sl_str_eq(a->name, SL_STR("rtpmap"));
	struct sl_str value = a->value;
	int pt;

	if (!map && !sl_str_eq(a->name, SL_STR("fmtp")))
		return;
	pt = read_pt(sl_str_split(&value, ' '));
	if (pt < 0 || !by_pt[pt])
		return;
	value = sl_str_trim(value);
	if (map)
		fill_rtpmap(by_pt[pt], value);
	else if (by_pt[pt]->params.len == 0)
		by_pt[pt]->params = value;
}

unsigned sl_sdp_formats(const struct sl_sdp_media *m,
			struct sl_sdp_format ret_formats[SL_SDP_MAX_FORMATS])
{
	struct sl_sdp_format *by_pt[N_PTS] = {0};
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_formats; i++) {
		int pt = read_pt(m->formats[i]);

		if (pt < 0 || by_pt[pt])
			continue;
		ret_formats[n] = (struct sl_sdp_format){.pt = (uint8_t)pt, .channels = 1};
		by_pt[pt] = &ret_formats[n++];
	}
	for (unsigned i = 0; i < m->n_attrs; i++)
		fill_from(by_pt, &m->attrs[i]);
	for (unsigned i = 0; i < n; i++)
		if (ret_formats[i].clock_hz == 0)
			fill_fixed(&ret_formats[i]);
	return n;
}

bool sl_sdp_param_next(struct sl_str *params, struct sl_str *ret_name, struct sl_str *ret_value)
{
	while (params->p) {
		struct sl_str value = sl_str_trim(sl_str_split(params, ';'));
		struct sl_str name = sl_str_trim(sl_str_split(&value, '='));

		if (name.len == 0)
			continue;
		*ret_name = name;
		*ret_value = value.p ? sl_str_trim(value) : value;
		return true;
	}
	return false;
}

bool sl_sdp_param(struct sl_str params, const char *name, struct sl_str *ret_value)
{
	struct sl_str this, value;

	while (sl_sdp_param_next(&params, &this, &value)) {
		if (!sl_str_eq_nocase(this, sl_str_c(name)))
			continue;
		*ret_value = value;
		return true;
	}
	return false;
}

/* Without a bitrate Chromium takes 12 kbit/s for 8 kHz, which is heard. */
struct sl_str sl_sdp_opus_limit(char dst[SL_SDP_OPUS_LIMIT], uint32_t hz)
{
	(void)snprintf(dst, SL_SDP_OPUS_LIMIT, "maxplaybackrate=%u;maxaveragebitrate=32000", hz);
	return sl_str_c(dst);
}
