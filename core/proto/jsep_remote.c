/*
 * proto/jsep_remote.c: descriptions of the peer (RFC 8829 sections 5.8 to 5.11).
 *
 * All is worked out beside the state, and only when nothing can fail any more put in its place, so
 * that a bad description changes nothing.
 */
#include "proto/jsep_impl.h"

#include <stdlib.h>

struct incoming {
	struct jsep *j;
	struct sl_pool *pool;
	struct sl_sdp sdp;
	struct sl_sdp_error *error;
	struct section **staged; /* one for each m-line */
	struct sl_str *mids;
	bool *in_group;
	unsigned *order; /* sections as the BUNDLE group lists them */
	unsigned n_order;
	bool has_group;
	uint8_t ids[UINT8_MAX + 1]; /* header extensions of the group: extension + 1 by id */
	struct jsep_transport transport;
	jsep_want_fn *want;
	void *ctx;
};

static void find_in_group(struct incoming *in, struct sl_str mid)
{
	for (unsigned i = 0; i < in->sdp.n_media; i++) {
		if (mid.len == 0 || !sl_str_eq(in->mids[i], mid) || in->in_group[i])
			continue;
		in->in_group[i] = true;
		in->order[in->n_order++] = i;
		return;
	}
}

/* The first "BUNDLE a b c"; a word too many costs a look at every section, so that they are
 * counted. */
static void read_group(struct incoming *in)
{
	unsigned left = SL_SDP_MAX_MEDIA;

	for (unsigned i = 0; i < in->sdp.n_attrs && !in->has_group; i++) {
		const struct sl_sdp_attr *a = &in->sdp.attrs[i];
		struct sl_str words = a->value;

		if (!sl_str_eq(a->name, SL_STR("group")) ||
		    !sl_str_eq(sl_str_split(&words, ' '), SL_STR("BUNDLE")))
			continue;
		in->has_group = true;
		while (words.p && left-- > 0)
			find_in_group(in, sl_str_split(&words, ' '));
	}
}

/* What may stand between blanks in anybody's description */
static bool is_name(struct sl_str s)
{
	if (s.len == 0 || s.len > JSEP_MAX_MID)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static int read_mids(struct incoming *in)
{
	for (unsigned i = 0; i < in->sdp.n_media; i++) {
		const struct sl_sdp_media *m = &in->sdp.media[i];

		if (!sl_sdp_attr(&in->sdp, m, "mid", &in->mids[i]))
			continue;
		if (!is_name(in->mids[i]))
			return jsep_refuse(in->error, m->line, "a=mid has not 1 to %d characters",
					   JSEP_MAX_MID);
		for (unsigned k = 0; k < i; k++)
			if (sl_str_eq(in->mids[k], in->mids[i]))
				return jsep_refuse(in->error, m->line,
						   "two sections have the mid \"%.*s\"",
						   SL_FMT(in->mids[i]));
	}
	return 0;
}

static int open_description(struct incoming *in, struct sl_str text)
{
	struct sl_str own;
	unsigned n;
	int err;

	*in->error = (struct sl_sdp_error){0};
	in->pool = sl_pool_new(0);
	if (!in->pool)
		return -SL_ENOMEM;
	if (text.len > SL_SDP_MAX_BYTES)
		own = text; /* refused, and not worth a copy */
	else
		own = sl_pool_str(in->pool, text);
	if (!own.p)
		return -SL_ENOMEM;
	err = sl_sdp_parse(&in->sdp, in->pool, own, in->error);
	if (err < 0)
		return err;
	n = in->sdp.n_media;
	in->staged = sl_pool_array(in->pool, n, sizeof *in->staged);
	in->mids = sl_pool_array(in->pool, n, sizeof *in->mids);
	in->in_group = sl_pool_array(in->pool, n, sizeof *in->in_group);
	in->order = sl_pool_array(in->pool, n, sizeof *in->order);
	if (!in->staged || !in->mids || !in->in_group || !in->order)
		return -SL_ENOMEM;
	err = read_mids(in);
	if (err == 0)
		read_group(in);
	return err;
}

static void drop(struct incoming *in)
{
	for (unsigned i = 0; in->staged && i < in->sdp.n_media; i++) {
		struct section *s = in->staged[i];

		if (s && !s->fresh)
			s->prefs = NULL; /* lent */
		section_free(s);
	}
	sl_pool_destroy(in->pool);
}

static bool is_accepted(const struct incoming *in, unsigned i)
{
	return !in->staged[i]->m.rejected;
}

/* One transport: without a group there is room for one section. */
static bool shares_transport(const struct incoming *in, unsigned i)
{
	if (in->has_group)
		return in->in_group[i];
	for (unsigned k = 0; k < i; k++)
		if (is_accepted(in, k))
			return false;
	return true;
}

static bool other_data(const struct incoming *in, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (in->staged[k]->m.kind == SL_MEDIA_DATA && is_accepted(in, k))
			return true;
	return false;
}

static bool is_acceptable(const struct incoming *in, unsigned i, const struct seen *seen)
{
	if (seen->off || !seen->usable || !shares_transport(in, i))
		return false;
	if (seen->kind == SL_MEDIA_DATA)
		return in->j->caps->data && seen->sctp_port && !other_data(in, i);
	return seen->mux;
}

/* What the section is, whether accepted or not; a type or protocol longer than any known is none
 * that an answer could repeat. */
static int describe(struct incoming *in, struct section *s, unsigned i, const struct seen *seen)
{
	const struct sl_sdp_media *m = seen->view;

	if (m->type.len > JSEP_MAX_TYPE || m->proto.len > JSEP_MAX_PROTO)
		return jsep_refuse(in->error, m->line,
				   "m= has a type or protocol that nobody knows");
	sl_str_copy(s->type, sizeof s->type, m->type);
	sl_str_copy(s->proto, sizeof s->proto, m->proto);
	if (in->mids[i].p)
		sl_str_copy(s->m.mid, sizeof s->m.mid, in->mids[i]);
	s->m.kind = seen->kind;
	s->old_sctp = seen->old_sctp;
	s->placed = true;
	return 0;
}

/* The section that stands there already may change its mind, not its nature (RFC 3264 section 8).
 */
static int check_same(struct incoming *in, unsigned i, const struct section *old)
{
	const struct sl_sdp_media *m = &in->sdp.media[i];

	if (old->m.rejected)
		return 0;
	if (old->m.mid[0] && in->mids[i].p && !sl_str_eq(in->mids[i], sl_str_c(old->m.mid)))
		return jsep_refuse(in->error, m->line, "section %u was \"%s\" and is \"%.*s\" now",
				   i, old->m.mid, SL_FMT(in->mids[i]));
	if (!sl_str_eq(m->type, sl_str_c(old->type)))
		return jsep_refuse(in->error, m->line, "section %u was %s and is %.*s now", i,
				   old->type, SL_FMT(m->type));
	return 0;
}

static int stage(struct incoming *in, unsigned i, const struct section *old)
{
	struct section *s = in->staged[i] = section_new();

	if (!s)
		return -SL_ENOMEM;
	s->fresh = !old;
	if (!old)
		return 0;
	section_inherit(s, old);
	memcpy(s->m.mid, old->m.mid, sizeof s->m.mid);
	s->before = section_clone(old);
	return s->before ? 0 : -SL_ENOMEM;
}

static void narrow(struct section *s, enum sl_sdp_direction theirs)
{
	s->may = (uint8_t)sl_sdp_turn(theirs);
	s->m.direction = s->m.rejected ? JSEP_INACTIVE : s->m.wanted & s->may;
}

/* Also after the caller has said what it prefers. */
static int agree(struct incoming *in, unsigned i, const struct seen *seen)
{
	struct section *s = in->staged[i];
	int err;

	s->m.rejected = s->stopped || !is_acceptable(in, i, seen);
	if (s->m.rejected) {
		if (s->stopped && seen->kind == SL_MEDIA_DATA)
			in->transport.sctp_port = 0;
		narrow(s, seen->direction);
		return 0;
	}
	err = jsep_agree(in->j, s, seen, in->ids);
	if (err < 0)
		return err;
	s->m.rejected = seen->kind != SL_MEDIA_DATA && s->m.n_codecs == 0;
	if (seen->kind == SL_MEDIA_DATA) {
		in->transport.sctp_port = seen->sctp_port;
		in->transport.max_message = seen->max_message;
		s->m.wanted = JSEP_SENDRECV;
	}
	narrow(s, seen->direction);
	return 0;
}

/* Also when the offer comes to nothing: it is a hint for ours. */
static void remember_extensions(struct jsep *j, const struct seen *seen)
{
	for (unsigned id = 0; id <= UINT8_MAX; id++)
		if (seen->ext_by_id[id])
			j->heard[id] = seen->ext_by_id[id];
}

static int stage_offered(struct incoming *in, unsigned i)
{
	struct section *old = i < in->j->n_placed ? in->j->sections[i] : NULL;
	struct seen seen;
	int err;

	jsep_read_section(&seen, &in->sdp, i);
	if (old && old->m.rejected && !seen.off)
		old = NULL; /* its place is used anew */
	err = old ? check_same(in, i, old) : 0;
	if (err == 0)
		err = stage(in, i, old);
	if (err == 0)
		err = describe(in, in->staged[i], i, &seen);
	if (err < 0)
		return err;
	remember_extensions(in->j, &seen);
	in->staged[i]->m.wanted = old ? old->m.wanted : JSEP_RECV;
	return agree(in, i, &seen);
}

static int ask(struct incoming *in, unsigned i)
{
	struct section *s = in->staged[i];
	struct seen seen;

	if (!s->fresh || s->m.rejected || !in->want)
		return 0;
	s->m.wanted = in->want(in->ctx, &s->m);
	if (s->stopped)
		s->m.wanted = JSEP_INACTIVE;
	jsep_read_section(&seen, &in->sdp, i);
	return agree(in, i, &seen);
}

/* The section whose parameters are the transport's: the first accepted one of the group that has
 * any (RFC 8843 section 7.3.1); a bundle-only one may have none. Negative: none is accepted. */
static int find_tagged(const struct incoming *in)
{
	int first = -1;

	for (unsigned k = 0; k < in->n_order; k++) {
		unsigned i = in->order[k];

		if (!is_accepted(in, i))
			continue;
		if (jsep_has_ufrag(&in->sdp, i))
			return (int)i;
		if (first < 0)
			first = (int)i;
	}
	for (unsigned i = 0; !in->has_group && i < in->sdp.n_media; i++)
		if (is_accepted(in, i))
			return (int)i;
	return first;
}

static int read_transport(struct incoming *in)
{
	int tagged = find_tagged(in);

	if (tagged < 0)
		return 0;
	return jsep_read_transport(&in->transport, &in->sdp, (unsigned)tagged, in->error);
}

static int work_out_offer(struct incoming *in)
{
	unsigned n = in->sdp.n_media;
	int err = 0;

	if (n < in->j->n_placed)
		return jsep_refuse(in->error, 0, "the offer has %u sections, the session has %u", n,
				   in->j->n_placed);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = stage_offered(in, i);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = ask(in, i);
	if (err == 0)
		err = read_transport(in);
	return err < 0 ? err : jsep_reserve(in->j, in->j->n + n);
}

/* Nothing fails from here on. */
static void place(struct jsep *j, unsigned i, struct section *s)
{
	struct section *old = i < j->n_placed ? j->sections[i] : NULL, *before = s->before;

	if (old && !s->fresh) {
		section_adopt(old, s);
		old->before = before;
		return;
	}
	s->before = old;
	if (!old) {
		memmove(j->sections + i + 1, j->sections + i, (j->n - i) * sizeof *j->sections);
		j->n++;
		j->n_placed++;
	}
	j->sections[i] = s;
}

static void commit_offer(struct incoming *in)
{
	struct jsep *j = in->j;

	j->n_placed_before = j->n_placed;
	for (unsigned i = 0; i < in->sdp.n_media; i++)
		place(j, i, in->staged[i]);
	j->offer_pool = in->pool;
	j->offer = in->sdp;
	j->their_group = in->has_group;
	j->group = in->order;
	j->n_group = in->n_order;
	memcpy(j->their_setup, in->transport.setup, sizeof j->their_setup);
	j->state = JSEP_HAVE_REMOTE_OFFER;
}

int jsep_remote_offer(struct jsep *j, struct sl_str text, jsep_want_fn *want, void *ctx,
		      struct jsep_transport *ret_remote, struct sl_sdp_error *ret_error)
{
	struct incoming in = {.j = j, .error = ret_error, .want = want, .ctx = ctx};
	int err;

	if (j->state != JSEP_STABLE)
		return -SL_EAGAIN;
	err = open_description(&in, text);
	if (err == 0)
		err = work_out_offer(&in);
	if (err < 0) {
		drop(&in);
		return err;
	}
	commit_offer(&in);
	*ret_remote = in.transport;
	return 0;
}

/* ---- the answer to an offer of ours */

static int check_answered(struct incoming *in, unsigned i, const struct seen *seen)
{
	const struct section *s = in->j->sections[i];
	const struct sl_sdp_media *m = seen->view;

	if (in->mids[i].p && !sl_str_eq(in->mids[i], sl_str_c(s->m.mid)))
		return jsep_refuse(in->error, m->line, "section %u is \"%s\" in the offer", i,
				   s->m.mid);
	if (!sl_str_eq(m->type, sl_str_c(s->type)))
		return jsep_refuse(in->error, m->line, "section %u is %s in the offer", i, s->type);
	if (seen->off)
		return 0;
	if (s->m.rejected)
		return jsep_refuse(in->error, m->line, "section %u has port 0 in the offer", i);
	if (!seen->usable)
		return jsep_refuse(in->error, m->line, "section %u has another protocol", i);
	if (seen->kind == SL_MEDIA_DATA && !seen->sctp_port)
		return jsep_refuse(in->error, m->line, "section %u has no a=sctp-port", i);
	if (seen->kind != SL_MEDIA_DATA && !seen->mux)
		return jsep_refuse(in->error, m->line, "section %u has no a=rtcp-mux", i);
	if (!shares_transport(in, i))
		return jsep_refuse(in->error, m->line, "section %u is not in the BUNDLE group", i);
	return 0;
}

static int take_answered(struct incoming *in, struct section *s, unsigned i,
			 const struct seen *seen)
{
	int err;

	s->m.rejected = seen->off;
	s->m.direction = JSEP_INACTIVE;
	if (seen->off)
		return 0;
	err = jsep_agree_answer(s, seen);
	if (err < 0)
		return err;
	if (seen->kind != SL_MEDIA_DATA && s->m.n_codecs == 0)
		return jsep_refuse(in->error, seen->view->line,
				   "section %u has no format of the offer", i);
	s->m.direction = s->said & (uint8_t)sl_sdp_turn(seen->direction);
	if (seen->kind == SL_MEDIA_DATA) {
		in->transport.sctp_port = seen->sctp_port;
		in->transport.max_message = seen->max_message;
	}
	return 0;
}

static int stage_answered(struct incoming *in, unsigned i)
{
	struct seen seen;
	int err;

	jsep_read_section(&seen, &in->sdp, i);
	err = check_answered(in, i, &seen);
	if (err < 0)
		return err;
	in->staged[i] = section_clone(in->j->sections[i]);
	if (!in->staged[i])
		return -SL_ENOMEM;
	return take_answered(in, in->staged[i], i, &seen);
}

static int work_out_answer(struct incoming *in)
{
	unsigned n = in->sdp.n_media;
	int err = 0;

	if (n != in->j->n_placed)
		return jsep_refuse(in->error, 0, "the answer has %u sections, the offer has %u", n,
				   in->j->n_placed);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = stage_answered(in, i);
	if (err == 0)
		err = read_transport(in);
	if (err == 0 && strcmp(in->transport.setup, "actpass") == 0)
		return jsep_refuse(in->error, 0, "an answer's a=setup is active or passive");
	return err;
}

int jsep_remote_answer(struct jsep *j, struct sl_str text, struct jsep_transport *ret_remote,
		       struct sl_sdp_error *ret_error)
{
	struct incoming in = {.j = j, .error = ret_error};
	int err;

	if (j->state != JSEP_HAVE_LOCAL_OFFER)
		return -SL_EAGAIN;
	err = open_description(&in, text);
	if (err == 0)
		err = work_out_answer(&in);
	if (err < 0) {
		drop(&in);
		return err;
	}
	for (unsigned i = 0; i < j->n_placed; i++)
		section_adopt(j->sections[i], in.staged[i]);
	sl_pool_destroy(in.pool);
	jsep_settle(j);
	*ret_remote = in.transport;
	return 0;
}
