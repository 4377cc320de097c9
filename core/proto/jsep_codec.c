/*
 * proto/jsep_codec.c: codecs as JSEP keeps them, which outlive the descriptions that named them.
 */
#include "proto/jsep_impl.h"

static struct sl_sdp_format format_of(const struct jsep_codec *c)
{
	return (struct sl_sdp_format){.channels = c->channels,
				      .clock_hz = c->clock_hz,
				      .name = sl_str_c(sl_codec_name(c->id)),
				      .params = sl_str_c(c->params)};
}

bool codec_matches(const struct jsep_codec *own, const struct sl_sdp_format *f)
{
	const struct sl_sdp_format o = format_of(own);

	return sl_sdp_same_codec(&o, f);
}

bool codec_is_same(const struct jsep_codec *a, const struct jsep_codec *b)
{
	const struct sl_sdp_format f = format_of(b);

	return codec_matches(a, &f);
}

/* sprop-...: what the peer happens to send; max-...: what it can decode. This node sends and
 * decodes nothing of its own, and must not promise or ask such things in the peer's place. */
static bool is_one_sided(struct sl_str name)
{
	return sl_str_starts(name, SL_STR("sprop-")) || sl_str_starts(name, SL_STR("max-"));
}

/* What is longer than anybody's is left out whole: half a parameter would be another one. */
void codec_set_params(struct jsep_codec *c, struct sl_str params)
{
	struct sl_str name, value;
	size_t at = 0;

	memset(c->params, 0, sizeof c->params);
	while (sl_sdp_param_next(&params, &name, &value)) {
		size_t need = name.len + (value.p ? 1 + value.len : 0) + (at > 0);

		if (is_one_sided(name) || need >= sizeof c->params - at)
			continue;
		if (at > 0)
			c->params[at++] = ';';
		at += sl_str_copy(c->params + at, sizeof c->params - at, name);
		if (!value.p)
			continue;
		c->params[at++] = '=';
		at += sl_str_copy(c->params + at, sizeof c->params - at, value);
	}
}
