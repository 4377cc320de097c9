/*
 * Fuzz target: any bytes as a session description. What is taken is within its bounds, all its
 * views lie within the text, and every look-up ends. A section of plain RTP that is written
 * again says the same.
 */
#include <sluice/sdp_plain.h>

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

static void check_again(const struct sl_plain *p, struct sl_str text)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error error;
	struct sl_sdp sdp;
	struct sl_plain q;

	sl_assert(pool);
	sl_assert(sl_sdp_parse(&sdp, pool, text, &error) == 0);
	sl_assert(sl_plain_read(&q, &sdp, 0) == 0);
	sl_assert(q.kind == p->kind && q.mux == p->mux && q.n_keys == p->n_keys);
	sl_assert(q.rejected == p->rejected);
	sl_assert(q.n_formats == p->n_formats && q.rtp.port == (q.rejected ? 0 : p->rtp.port));
	sl_assert(q.ptime_ms == p->ptime_ms);
	for (unsigned i = 0; i < q.n_formats; i++)
		sl_assert(sl_sdp_same_codec(&q.formats[i], &p->formats[i]) ||
			  !sl_sdp_same_codec(&p->formats[i], &p->formats[i]));
	for (unsigned i = 0; i < q.n_keys; i++)
		sl_assert(memcmp(&q.keys[i], &p->keys[i], sizeof q.keys[i]) == 0);
	sl_pool_destroy(pool);
}

static void try_plain(const struct sl_sdp *s, unsigned i)
{
	struct sl_sdp_format both[SL_PLAIN_MAX_FORMATS];
	struct sl_plain p;
	struct sl_buf b;

	if (sl_plain_read(&p, s, i) < 0)
		return;
	sl_assert(sl_plain_agree(both, &p, p.formats, p.n_formats) <= p.n_formats);
	sl_buf_init(&b, 0);
	sl_sdp_begin(&b, 1, 1, NULL);
	sl_plain_write(&b, &p);
	sl_assert(sl_buf_ok(&b) == 0);
	/* A description may double in size by what everybody assumes and we say. */
	if (p.n_formats > 0 && b.len <= SL_SDP_MAX_BYTES)
		check_again(&p, sl_buf_view(&b));
	sl_buf_free(&b);
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
		for (unsigned i = 0; i < sdp.n_media; i++) {
			try_section(&sdp, &sdp.media[i], text);
			try_plain(&sdp, i);
		}
	sl_pool_destroy(pool);
	return 0;
}
