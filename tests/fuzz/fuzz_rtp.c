/*
 * Fuzz target: RTP headers and extensions. What is accepted lies within the packet, and a block
 * written anew from its extensions reads the same.
 */
#include <sluice/rtp.h>
#include <sluice/vla.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_rtp_ext_map map(void)
{
	struct sl_rtp_ext_map m;

	for (unsigned i = 0; i < SL_N_RTP_EXT; i++)
		m.id[i] = (uint8_t)(i + 1);
	return m;
}

static void rebuild(const struct sl_rtp *r)
{
	static uint8_t copy[70000];
	struct sl_rtp_ext_writer w;
	struct sl_rtp again = {0};
	int bytes;

	copy[0] = 0x90;
	sl_rtp_ext_begin(&w, copy + SL_RTP_HEADER, sizeof copy - SL_RTP_HEADER);
	for (unsigned id = 1; id < 256; id++) {
		struct sl_str v = sl_rtp_ext_find(r, id);

		if (v.p)
			sl_rtp_ext_put(&w, id, v.p, v.len);
	}
	bytes = sl_rtp_ext_end(&w);
	sl_assert(bytes >= 0);
	if (bytes == 0)
		return;
	sl_assert(sl_rtp_parse(&again, copy, SL_RTP_HEADER + (size_t)bytes) == 0);
	for (unsigned id = 1; id < 256; id++) {
		struct sl_str a = sl_rtp_ext_find(r, id), b = sl_rtp_ext_find(&again, id);

		sl_assert(!a.p == !b.p && sl_str_eq(a, b));
	}
}

/* Whatever is accepted names layers of its streams only. */
static void layers(struct sl_str value)
{
	struct sl_vla v;

	if (!value.p || sl_vla_read(value, &v) < 0)
		return;
	sl_assert(v.n_streams <= SL_VLA_STREAMS && (v.own < v.n_streams || v.n_streams == 0));
	for (unsigned i = v.n_streams; i < SL_VLA_STREAMS; i++)
		sl_assert(v.spatial[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_rtp_ext_map m = map();
	struct sl_rtp r = {0};

	if (sl_rtp_parse(&r, data, size) < 0)
		return 0;
	sl_assert(r.len == size && (size_t)r.payload_at + r.payload_len + r.padding == size);
	sl_rtp_ext_index(&r, &m);
	for (unsigned i = 0; i < SL_N_RTP_EXT; i++) {
		struct sl_str v = sl_rtp_ext_value(&r, i);

		sl_assert(sl_str_eq(v, sl_rtp_ext_find(&r, i + 1)));
		sl_assert(!v.p || ((const uint8_t *)v.p + v.len <= data + r.payload_at));
	}
	layers(sl_rtp_ext_value(&r, SL_RTP_EXT_VIDEO_LAYERS_ALLOCATION));
	layers((struct sl_str){(const char *)data + r.payload_at, r.payload_len});
	rebuild(&r);
	return 0;
}
