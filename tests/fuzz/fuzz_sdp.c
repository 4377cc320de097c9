/*
 * Fuzz target: any bytes as a session description. What is taken is within its bounds, all its
 * views lie within the text, and every look-up ends.
 */
#include <sluice/sdp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_within(struct sl_str part, struct sl_str all)
{
	sl_assert(part.len == 0 || (part.p >= all.p && part.p + part.len <= all.p + all.len));
}

static void try_section(const struct sl_sdp *s, const struct sl_sdp_media *m, struct sl_str text)
{
	struct sl_sdp_format formats[SL_SDP_MAX_FORMATS];
	unsigned n = sl_sdp_formats(m, formats);
	struct sl_str v, name;

	sl_assert(m->n_formats >= 1 && m->n_formats <= SL_SDP_MAX_FORMATS);
	sl_assert(n <= m->n_formats);
	sl_assert(sl_sdp_get_direction(s, m) <= SL_SDP_SENDRECV);
	for (unsigned i = 0; i < m->n_attrs; i++) {
		is_within(m->attrs[i].name, text);
		is_within(m->attrs[i].value, text);
	}
	for (unsigned i = 0; i < n; i++) {
		is_within(formats[i].params, text);
		while (sl_sdp_param_next(&formats[i].params, &name, &v)) {
			is_within(name, text);
			is_within(v, text);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str text = {(const char *)data, size};
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error error;
	struct sl_sdp sdp;
	int err;

	sl_assert(pool);
	err = sl_sdp_parse(&sdp, pool, text, &error);
	if (err < 0)
		sl_assert(error.text[0] != '\0');
	else
		for (unsigned i = 0; i < sdp.n_media; i++)
			try_section(&sdp, &sdp.media[i], text);
	sl_pool_destroy(pool);
	return 0;
}
