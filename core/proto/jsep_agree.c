/*
 * proto/jsep_agree.c: what both sides can: codecs, header extensions, feedback and streams of a
 * section, from what the peer says and what we have.
 *
 * Of an offer we take each codec of ours once, under the peer's number, in the peer's order (it is
 * the one who chose among its own), or in the order that the caller prefers. Of an answer we take
 * what stands in our offer under the same number.
 */
#include "proto/jsep_impl.h"

static uint8_t feedback_for(const struct seen *seen, uint8_t pt)
{
	return seen->feedback[pt] | seen->feedback_all;
}

static struct sl_str apt_of(const struct sl_sdp_format *f)
{
	struct sl_str apt = SL_STR_NULL;

	if (sl_str_eq_nocase(f->name, SL_STR("rtx")))
		(void)sl_sdp_param(f->params, "apt",
				   &apt); /* none: no retransmission of anything */
	return apt;
}

/* The format that retransmits pt; 0: none */
static uint8_t find_rtx(const struct seen *seen, uint8_t pt)
{
	for (unsigned i = 0; i < seen->n_formats; i++) {
		uint64_t apt;

		if (sl_str_u64(apt_of(&seen->formats[i]), &apt) == 0 && apt == pt)
			return seen->formats[i].pt;
	}
	return 0;
}

static const struct jsep_codec *find_pt(const struct jsep_codec *codecs, unsigned n, uint64_t pt)
{
	for (unsigned i = 0; i < n; i++)
		if (codecs[i].pt == pt)
			return &codecs[i];
	return NULL;
}

/* What is agreed about a format that matches a codec of ours. */
static struct jsep_codec meet(const struct jsep_codec *own, const struct seen *seen,
			      const struct sl_sdp_format *f)
{
	struct jsep_codec c = *own;

	c.pt = f->pt;
	c.rtx_pt = own->rtx_pt ? find_rtx(seen, f->pt) : 0;
	c.feedback = own->feedback & feedback_for(seen, f->pt);
	codec_set_params(&c, f->params);
	return c;
}

/* red (RFC 2198) names the formats that it holds: "111/111". Ours holds Opus only. */
static bool holds_opus(const struct jsep_codec *codecs, unsigned n, const struct jsep_codec *red)
{
	struct sl_str list = sl_str_c(red->params), first = sl_str_split(&list, '/');
	const struct jsep_codec *c;
	uint64_t pt;

	if (sl_str_u64(first, &pt) < 0)
		return false;
	c = find_pt(codecs, n, pt);
	return c && c->id == SL_CODEC_OPUS;
}

static unsigned drop_empty_red(struct jsep_codec *codecs, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (codecs[i].id != SL_CODEC_RED || holds_opus(codecs, n, &codecs[i]))
			codecs[kept++] = codecs[i];
	return kept;
}

struct list {
	const struct jsep_codec *own;
	unsigned n_own;
	struct jsep_codec got[JSEP_MAX_CODECS];
	unsigned n;
	uint64_t used; /* own codecs that have been met */
};

static void try_pair(struct list *l, unsigned k, const struct seen *seen,
		     const struct sl_sdp_format *f)
{
	uint64_t bit = UINT64_C(1) << (k & 63);

	if (l->n == JSEP_MAX_CODECS || l->used & bit || !codec_matches(&l->own[k], f))
		return;
	if (find_pt(l->got, l->n, f->pt))
		return;
	l->used |= bit;
	l->got[l->n++] = meet(&l->own[k], seen, f);
}

static void meet_in_their_order(struct list *l, const struct seen *seen)
{
	for (unsigned i = 0; i < seen->n_formats; i++)
		for (unsigned k = 0; k < l->n_own; k++)
			try_pair(l, k, seen, &seen->formats[i]);
}

static void meet_in_our_order(struct list *l, const struct seen *seen)
{
	for (unsigned k = 0; k < l->n_own; k++)
		for (unsigned i = 0; i < seen->n_formats; i++)
			try_pair(l, k, seen, &seen->formats[i]);
}

static int agree_codecs(struct jsep *j, struct section *s, const struct seen *seen)
{
	bool audio = seen->kind == SL_MEDIA_AUDIO;
	struct list l = {.own = audio ? j->caps->audio : j->caps->video,
			 .n_own = audio ? j->caps->n_audio : j->caps->n_video};

	if (s->prefs) {
		l.own = s->prefs;
		l.n_own = s->n_prefs;
		meet_in_our_order(&l, seen);
	} else {
		meet_in_their_order(&l, seen);
	}
	l.n = drop_empty_red(l.got, l.n);
	return section_set_codecs(s, l.got, l.n);
}

static bool is_listed(const uint8_t *list, unsigned n, unsigned ext)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == ext)
			return true;
	return false;
}

/* direction: as the peer says it */
static void take_ext(struct section *s, unsigned ext, uint8_t id, uint8_t direction)
{
	if (direction & SL_SDP_SENDONLY)
		s->m.ext.id[ext] = id;
	if (direction & SL_SDP_RECVONLY)
		s->m.ext_out.id[ext] = id;
}

/* 15 is no id of the one-byte form, and more need the two-byte form. */
static bool is_id(uint8_t id, bool mixed)
{
	return id < 15 || (id > 15 && mixed);
}

/* The first extension that calls itself so has the id. */
static bool take_id(uint8_t ids[UINT8_MAX + 1], unsigned ext, uint8_t id)
{
	if (ids[id] && ids[id] != ext + 1)
		return false;
	ids[id] = (uint8_t)(ext + 1);
	return true;
}

/*
 * An id means one thing in all of a group (RFC 9143 section 9.4), but there are clients that number
 * each section by itself. What comes is read by the numbers of its section, which are known once
 * its stream is; what goes out keeps to the rule, since nobody knows how such a client reads.
 *
 * group: extension + 1 by id, of all sections of the description so far.
 */
static void agree_ext(struct jsep *j, struct section *s, const struct seen *seen,
		      uint8_t group[UINT8_MAX + 1])
{
	uint8_t own_ids[UINT8_MAX + 1] = {0};
	bool audio = seen->kind == SL_MEDIA_AUDIO;
	const uint8_t *own = audio ? j->caps->audio_ext : j->caps->video_ext;
	unsigned n_own = audio ? j->caps->n_audio_ext : j->caps->n_video_ext;

	s->m.ext_mixed = seen->mixed;
	memset(&s->m.ext, 0, sizeof s->m.ext);
	memset(&s->m.ext_out, 0, sizeof s->m.ext_out);
	for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++) {
		uint8_t id = seen->ext[ext], direction = seen->ext_direction[ext];

		if (!id || !is_listed(own, n_own, ext) || !is_id(id, seen->mixed) ||
		    !take_id(own_ids, ext, id))
			continue;
		if (!take_id(group, ext, id))
			direction &= SL_SDP_SENDONLY;
		take_ext(s, ext, id, direction);
	}
}

static const struct seen_rid *find_rid(const struct seen *seen, struct sl_str id)
{
	for (unsigned i = 0; i < seen->n_rids; i++)
		if (seen->rids[i].sends && sl_str_eq(seen->rids[i].id, id))
			return &seen->rids[i];
	return NULL;
}

/* A rid may be tied to formats; when none of them is agreed, nothing will come under it. */
static bool has_format(const struct section *s, const struct seen_rid *rid)
{
	struct sl_str list;

	if (!sl_sdp_param(rid->rest, "pt", &list))
		return true;
	while (list.p) {
		uint64_t pt;

		if (sl_str_u64(sl_str_split(&list, ','), &pt) == 0 &&
		    find_pt(s->codecs, s->m.n_codecs, pt))
			return true;
	}
	return false;
}

static void take_rid(struct section *s, const struct seen *seen, struct sl_str id, bool paused)
{
	const struct seen_rid *rid = find_rid(seen, id);
	unsigned n = s->m.n_rids;

	if (!rid || n == JSEP_MAX_RIDS || !has_format(s, rid))
		return;
	for (unsigned i = 0; i < n; i++)
		if (sl_str_eq(sl_str_c(s->m.rids[i]), id))
			return;
	sl_str_copy(s->m.rids[n], sizeof s->m.rids[n], id);
	s->m.rid_paused[n] = paused;
	s->m.n_rids++;
}

/* "~b,c": the first alternative that is of use */
static void take_alternatives(struct section *s, const struct seen *seen, struct sl_str list)
{
	unsigned before = s->m.n_rids;

	while (list.p && s->m.n_rids == before) {
		struct sl_str id = sl_str_split(&list, ',');
		bool paused = id.len > 0 && id.p[0] == '~';

		if (paused)
			id = (struct sl_str){id.p + 1, id.len - 1};
		take_rid(s, seen, id, paused);
	}
}

static void agree_rids(struct section *s, const struct seen *seen)
{
	struct sl_str list = seen->simulcast;

	s->m.n_rids = s->m.n_theirs = 0;
	s->simulcast = seen->has_simulcast;
	if (!s->m.ext.id[SL_RTP_EXT_RID])
		return; /* packets would not say which they are */
	while (list.p)
		take_alternatives(s, seen, sl_str_split(&list, ';'));
	if (seen->has_simulcast)
		return;
	for (unsigned i = 0; i < seen->n_rids; i++)
		take_rid(s, seen, seen->rids[i].id, false);
}

static uint32_t rtx_of(const struct seen *seen, uint32_t ssrc)
{
	for (unsigned i = 0; i < seen->n_pairs; i++)
		if (seen->pairs[i].media == ssrc)
			return seen->pairs[i].rtx;
	return 0;
}

static void agree_ssrcs(struct section *s, const struct seen *seen)
{
	uint32_t first = seen->n_pairs > 0 ? seen->pairs[0].media : seen->first_ssrc;

	s->m.n_theirs = 0;
	for (unsigned i = 0; i < seen->n_sim; i++)
		s->m.theirs[s->m.n_theirs++] =
			(struct jsep_ssrc){seen->sim[i], rtx_of(seen, seen->sim[i])};
	if (seen->n_sim == 0 && first)
		s->m.theirs[s->m.n_theirs++] = (struct jsep_ssrc){first, rtx_of(seen, first)};
}

/* What holds for offers and answers alike. */
static void agree_streams(struct section *s, const struct seen *seen)
{
	s->m.rtcp_rsize = seen->rsize;
	s->m.rtcp_xr = seen->xr;
	s->m.their_limit_bps = seen->view->limit_bps;
	sl_str_copy(s->m.their_stream, sizeof s->m.their_stream, seen->stream);
	sl_str_copy(s->m.their_track, sizeof s->m.their_track, seen->track);
	agree_rids(s, seen);
	if (s->m.n_rids == 0)
		agree_ssrcs(s, seen);
}

int jsep_agree(struct jsep *j, struct section *s, const struct seen *seen,
	       uint8_t ids[UINT8_MAX + 1])
{
	int err;

	if (seen->kind == SL_MEDIA_DATA)
		return 0;
	err = agree_codecs(j, s, seen);
	if (err < 0)
		return err;
	agree_ext(j, s, seen, ids);
	agree_streams(s, seen);
	return 0;
}

/* The parameters stay ours: the numbers must mean the same in all of the group, and the next
 * section is offered under them too. */
static int answer_codecs(struct section *s, const struct seen *seen)
{
	struct list l = {0};

	for (unsigned i = 0; i < seen->n_formats && l.n < JSEP_MAX_CODECS; i++) {
		const struct sl_sdp_format *f = &seen->formats[i];
		const struct jsep_codec *own = find_pt(s->codecs, s->m.n_codecs, f->pt);

		if (!own || !codec_matches(own, f))
			continue;
		l.got[l.n] = meet(own, seen, f);
		memcpy(l.got[l.n].params, own->params, sizeof own->params);
		if (l.got[l.n].rtx_pt != own->rtx_pt)
			l.got[l.n].rtx_pt = 0;
		l.n++;
	}
	l.n = drop_empty_red(l.got, l.n);
	return section_set_codecs(s, l.got, l.n);
}

int jsep_agree_answer(struct section *s, const struct seen *seen)
{
	struct sl_rtp_ext_map in = s->m.ext, out = s->m.ext_out;
	int err;

	if (seen->kind == SL_MEDIA_DATA)
		return 0;
	err = answer_codecs(s, seen);
	if (err < 0)
		return err;
	memset(&s->m.ext, 0, sizeof s->m.ext);
	memset(&s->m.ext_out, 0, sizeof s->m.ext_out);
	for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++)
		if (seen->ext[ext] &&
		    (seen->ext[ext] == in.id[ext] || seen->ext[ext] == out.id[ext]))
			take_ext(s, ext, seen->ext[ext], seen->ext_direction[ext]);
	s->m.ext_mixed = seen->mixed;
	agree_streams(s, seen);
	return 0;
}
