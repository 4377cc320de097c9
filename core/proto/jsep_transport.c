/*
 * proto/jsep_transport.c: the transport's parameters in a description: ICE (RFC 8839, 8840),
 * DTLS (RFC 8842, 8122) and SCTP (RFC 8841).
 *
 * Each may stand in the section or before all sections. What they are good for, ICE and DTLS judge;
 * here they must be there, and have room.
 */
#include "proto/jsep_impl.h"

bool jsep_has_ufrag(const struct sl_sdp *sdp, unsigned i)
{
	struct sl_str v;

	return sl_sdp_attr_or_session(sdp, &sdp->media[i], "ice-ufrag", &v);
}

static int read_text(char *dst, size_t cap, const struct sl_sdp *sdp, unsigned i, const char *name,
		     struct sl_sdp_error *e)
{
	const struct sl_sdp_media *m = &sdp->media[i];
	struct sl_str v;

	if (!sl_sdp_attr_or_session(sdp, m, name, &v) || v.len == 0)
		return jsep_refuse(e, m->line, "the section has no a=%s", name);
	if (v.len >= cap)
		return jsep_refuse(e, m->line, "a=%s is longer than %zu characters", name, cap - 1);
	sl_str_copy(dst, cap, v);
	return 0;
}

/* A hash that DTLS takes; the smaller number is chosen. 0: none */
static unsigned hash_rank(struct sl_str v)
{
	static const struct sl_str hashes[] = {SL_STR_INIT("sha-256"), SL_STR_INIT("sha-384"),
					       SL_STR_INIT("sha-512")};
	struct sl_str hash = sl_str_split(&v, ' ');

	for (unsigned i = 0; i < SL_ARRAY_LEN(hashes); i++)
		if (v.len > 0 && sl_str_eq_nocase(hashes[i], hash))
			return i + 1;
	return 0;
}

/* A list of one kind of attribute: the section's, or when it has none the session's. */
struct attrs {
	const struct sl_sdp_attr *p;
	unsigned n;
};

static struct attrs attrs_with(const struct sl_sdp *sdp, unsigned i, const char *name)
{
	struct sl_str v;

	if (sl_sdp_attr(sdp, &sdp->media[i], name, &v))
		return (struct attrs){sdp->media[i].attrs, sdp->media[i].n_attrs};
	return (struct attrs){sdp->attrs, sdp->n_attrs};
}

static int read_fingerprint(struct jsep_transport *t, const struct sl_sdp *sdp, unsigned i,
			    struct sl_sdp_error *e)
{
	struct attrs list = attrs_with(sdp, i, "fingerprint");
	unsigned best = 0, line = sdp->media[i].line;

	for (unsigned k = 0; k < list.n; k++) {
		const struct sl_sdp_attr *a = &list.p[k];
		unsigned rank = hash_rank(a->value);

		if (!sl_str_eq(a->name, SL_STR("fingerprint")) || !rank || (best && rank >= best))
			continue;
		if (a->value.len >= sizeof t->fingerprint)
			return jsep_refuse(e, a->line, "a=fingerprint is longer than any hash");
		sl_str_copy(t->fingerprint, sizeof t->fingerprint, a->value);
		best = rank;
	}
	if (!best)
		return jsep_refuse(e, line,
				   "the section has no a=fingerprint with SHA-256 or better");
	return 0;
}

static int read_setup(struct jsep_transport *t, const struct sl_sdp *sdp, unsigned i,
		      struct sl_sdp_error *e)
{
	static const struct sl_str known[] = {SL_STR_INIT("actpass"), SL_STR_INIT("active"),
					      SL_STR_INIT("passive")};
	int err = read_text(t->setup, sizeof t->setup, sdp, i, "setup", e);

	if (err < 0)
		return err;
	for (unsigned k = 0; k < SL_ARRAY_LEN(known); k++)
		if (sl_str_eq(known[k], sl_str_c(t->setup)))
			return 0;
	return jsep_refuse(e, sdp->media[i].line, "a=setup is not actpass, active or passive");
}

static void read_candidates(struct jsep_transport *t, const struct sl_sdp *sdp, unsigned i)
{
	struct attrs list = attrs_with(sdp, i, "candidate");

	for (unsigned k = 0; k < list.n && t->n_candidates < JSEP_MAX_CANDIDATES; k++) {
		const struct sl_sdp_attr *a = &list.p[k];

		if (!sl_str_eq(a->name, SL_STR("candidate")) ||
		    a->value.len >= sizeof t->candidates[0])
			continue;
		sl_str_copy(t->candidates[t->n_candidates++], sizeof t->candidates[0], a->value);
	}
}

static bool has_word(struct sl_str list, struct sl_str word)
{
	while (list.p)
		if (sl_str_eq(sl_str_split(&list, ' '), word))
			return true;
	return false;
}

int jsep_read_transport(struct jsep_transport *ret_t, const struct sl_sdp *sdp, unsigned i,
			struct sl_sdp_error *e)
{
	const struct sl_sdp_media *m = &sdp->media[i];
	struct sl_str v;
	int err;

	err = read_text(ret_t->ufrag, sizeof ret_t->ufrag, sdp, i, "ice-ufrag", e);
	if (err == 0)
		err = read_text(ret_t->password, sizeof ret_t->password, sdp, i, "ice-pwd", e);
	if (err == 0)
		err = read_fingerprint(ret_t, sdp, i, e);
	if (err == 0)
		err = read_setup(ret_t, sdp, i, e);
	if (err < 0)
		return err;
	ret_t->lite = sl_sdp_attr(sdp, NULL, "ice-lite", &v);
	ret_t->trickle =
		(sl_sdp_attr(sdp, m, "ice-options", &v) && has_word(v, SL_STR("trickle"))) ||
		(sl_sdp_attr(sdp, NULL, "ice-options", &v) && has_word(v, SL_STR("trickle")));
	ret_t->end_of_candidates = sl_sdp_attr_or_session(sdp, m, "end-of-candidates", &v);
	read_candidates(ret_t, sdp, i);
	return 0;
}

void jsep_write_transport(struct sl_buf *b, const struct jsep_transport *t, const char *setup)
{
	sl_sdp_putf(b, "ice-ufrag", "%s", t->ufrag);
	sl_sdp_putf(b, "ice-pwd", "%s", t->password);
	sl_sdp_putf(b, "fingerprint", "%s", t->fingerprint);
	sl_sdp_putf(b, "setup", "%s", setup);
}

void jsep_write_candidates(struct sl_buf *b, const struct jsep_transport *t)
{
	for (unsigned i = 0; i < t->n_candidates; i++)
		sl_sdp_putf(b, "candidate", "%s", t->candidates[i]);
	if (t->end_of_candidates)
		sl_sdp_put(b, "end-of-candidates");
}
