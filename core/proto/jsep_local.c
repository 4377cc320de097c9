/*
 * proto/jsep_local.c: descriptions of ours (RFC 8829 sections 5.2 and 5.3): which place, mid,
 * payload types and extension ids a section has.
 *
 * Within a BUNDLE group a payload type or extension id means one thing (RFC 8843
 * sections 9.2, 9.4). So what is in use already is used again, else what the caller's table says if
 * that is free, else any free number.
 */
#include "proto/jsep_impl.h"

#include <stdio.h>

enum {
	N_PTS = 128,
	FIRST_EXT = 1,
	LAST_EXT = 14, /* of the one-byte form */
};

struct numbers {
	const struct jsep *j;
	const struct jsep_codec *by_pt[N_PTS]; /* NULL: free, or rtx_for says for which */
	uint8_t rtx_for[N_PTS];		       /* pt + 1 */
	bool exact; /* the codecs are the caller's wish to the letter: other parameters, other
		       number */
};

static void count_codecs(struct numbers *n, const struct section *s)
{
	for (unsigned i = 0; i < s->m.n_codecs; i++) {
		const struct jsep_codec *c = &s->m.codecs[i];

		n->by_pt[c->pt] = c;
		if (c->rtx_pt)
			n->rtx_for[c->rtx_pt] = (uint8_t)(c->pt + 1);
	}
}

static struct numbers numbers_in_use(const struct jsep *j)
{
	struct numbers n = {.j = j};

	for (unsigned i = 0; i < j->n_placed; i++)
		if (!j->sections[i]->m.rejected)
			count_codecs(&n, j->sections[i]);
	return n;
}

static bool is_free(const struct numbers *n, unsigned pt)
{
	return pt < N_PTS && !n->by_pt[pt] && !n->rtx_for[pt];
}

/* The dynamic range, and when that is full what RFC 7742-minded browsers use too; 64 to 95 would
 * look like RTCP (RFC 5761 section 4). 0: all are taken */
static uint8_t find_free(const struct numbers *n, uint8_t wish)
{
	if (wish && is_free(n, wish))
		return wish;
	for (unsigned pt = 127; pt >= 96; pt--)
		if (is_free(n, pt))
			return (uint8_t)pt;
	for (unsigned pt = 63; pt >= 35; pt--)
		if (is_free(n, pt))
			return (uint8_t)pt;
	return 0;
}

static const struct jsep_codec *find_in_use(const struct numbers *n, const struct jsep_codec *c)
{
	for (unsigned pt = 0; pt < N_PTS; pt++) {
		const struct jsep_codec *used = n->by_pt[pt];

		if (used && codec_is_same(used, c) &&
		    (!n->exact || strcmp(used->params, c->params) == 0))
			return used;
	}
	return NULL;
}

static uint8_t find_rtx_in_use(const struct numbers *n, uint8_t pt)
{
	for (unsigned rtx = 0; rtx < N_PTS; rtx++)
		if (n->rtx_for[rtx] == pt + 1)
			return (uint8_t)rtx;
	return 0;
}

/* false: no number left */
static bool number(struct numbers *n, struct jsep_codec *c)
{
	const struct jsep_codec *used = find_in_use(n, c);

	if (used)
		c->pt = used->pt;
	else if (c->pt || c->id != SL_CODEC_PCMU) /* whose number is 0 */
		c->pt = find_free(n, c->pt);
	if (c->pt == 0 && c->id != SL_CODEC_PCMU)
		return false;
	if (used)
		memcpy(c->params, used->params, sizeof c->params);
	else
		n->by_pt[c->pt] = c;
	if (c->rtx_pt) {
		uint8_t rtx = find_rtx_in_use(n, c->pt);

		c->rtx_pt = rtx ? rtx : find_free(n, c->rtx_pt);
		if (c->rtx_pt)
			n->rtx_for[c->rtx_pt] = (uint8_t)(c->pt + 1);
	}
	return true;
}

static uint8_t opus_pt(const struct jsep_codec *codecs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (codecs[i].id == SL_CODEC_OPUS)
			return codecs[i].pt;
	return 0;
}

/* Two generations, as browsers send it. Where there is no Opus, red goes. */
static unsigned number_red(struct numbers *n, struct jsep_codec *codecs, unsigned count)
{
	uint8_t opus = opus_pt(codecs, count);
	unsigned kept = 0;

	n->exact = true; /* red of another Opus is another red */
	for (unsigned i = 0; i < count; i++) {
		struct jsep_codec *c = &codecs[i];

		if (c->id != SL_CODEC_RED)
			continue;
		snprintf(c->params, sizeof c->params, "%u/%u", opus, opus);
		if (!opus || !number(n, c))
			c->id = SL_CODEC_NONE;
	}
	for (unsigned i = 0; i < count; i++)
		if (codecs[i].id != SL_CODEC_NONE)
			codecs[kept++] = codecs[i];
	return kept;
}

static bool has_pt(const struct jsep_codec *codecs, unsigned n, uint8_t pt)
{
	for (unsigned i = 0; i < n; i++)
		if (codecs[i].id != SL_CODEC_RED && codecs[i].pt == pt)
			return true;
	return false;
}

static int choose_codecs(const struct jsep *j, struct section *s)
{
	bool audio = s->m.kind == SL_MEDIA_AUDIO;
	const struct jsep_codec *from = audio ? j->caps->audio : j->caps->video;
	unsigned n_from = audio ? j->caps->n_audio : j->caps->n_video, n = 0;
	struct numbers numbers = numbers_in_use(j);
	struct jsep_codec codecs[JSEP_MAX_CODECS];

	if (s->prefs) {
		from = s->prefs;
		n_from = s->n_prefs;
		numbers.exact = true;
	}
	for (unsigned i = 0; i < n_from && n < JSEP_MAX_CODECS; i++) {
		codecs[n] = from[i];
		/* It bounds one stream, and what we send has one estimate for all: REMB, or none */
		codecs[n].feedback &= (uint8_t)~JSEP_FB_TMMBR;
		if (codecs[n].id == SL_CODEC_RED ||
		    (number(&numbers, &codecs[n]) && !has_pt(codecs, n, codecs[n].pt)))
			n++;
	}
	n = number_red(&numbers, codecs, n);
	return section_set_codecs(s, codecs, n);
}

static uint8_t ext_id_in_use(const struct jsep *j, unsigned ext)
{
	for (unsigned i = 0; i < j->n_placed; i++) {
		const struct jsep_media *m = &j->sections[i]->m;

		if (!m->rejected && (m->ext.id[ext] || m->ext_out.id[ext]))
			return m->ext.id[ext] ? m->ext.id[ext] : m->ext_out.id[ext];
	}
	return 0;
}

static bool has_id(const struct jsep_media *m, unsigned ext, uint8_t id)
{
	return m->ext.id[ext] == id || m->ext_out.id[ext] == id;
}

/* Whether some section calls an extension so, other than this one (SL_N_RTP_EXT: whichever): a peer
 * may number each section by itself. */
static bool is_id_taken(const struct jsep *j, uint8_t id, unsigned but)
{
	for (unsigned i = 0; i < j->n_placed; i++)
		for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++)
			if (ext != but && !j->sections[i]->m.rejected &&
			    has_id(&j->sections[i]->m, ext, id))
				return true;
	return false;
}

/* A free id that the peer knows as `heard`; 0: none */
static uint8_t find_free_id(const struct jsep *j, uint8_t heard)
{
	for (uint8_t id = FIRST_EXT; id <= LAST_EXT; id++)
		if (j->heard[id] == heard && !is_id_taken(j, id, SL_N_RTP_EXT))
			return id;
	return 0;
}

/* What the peer says, else one that never meant anything. Rather none than a clash, for which
 * browsers refuse the description; but sections cannot be told apart without a mid. */
static uint8_t choose_ext_id(const struct jsep *j, unsigned ext)
{
	uint8_t id = ext_id_in_use(j, ext);

	if (!id || is_id_taken(j, id, ext))
		id = find_free_id(j, (uint8_t)(ext + 1));
	if (!id)
		id = find_free_id(j, 0);
	if (!id && ext == SL_RTP_EXT_MID)
		id = find_free_id(j, JSEP_FOREIGN);
	return id;
}

static void choose_ext(struct jsep *j, struct section *s)
{
	bool audio = s->m.kind == SL_MEDIA_AUDIO;
	const uint8_t *list = audio ? j->caps->audio_ext : j->caps->video_ext;
	unsigned n = audio ? j->caps->n_audio_ext : j->caps->n_video_ext;

	memset(&s->m.ext, 0, sizeof s->m.ext);
	memset(&s->m.ext_out, 0, sizeof s->m.ext_out);
	for (unsigned i = 0; i < n; i++) {
		uint8_t id = choose_ext_id(j, list[i]);

		s->m.ext.id[list[i]] = s->m.ext_out.id[list[i]] = id;
		if (id)
			j->heard[id] = (uint8_t)(list[i] + 1);
	}
	s->m.ext_mixed = true;
}

static bool has_mid(const struct jsep *j, const char *mid)
{
	for (unsigned i = 0; i < j->n_placed; i++)
		if (strcmp(j->sections[i]->m.mid, mid) == 0)
			return true;
	return false;
}

/* Short, since packets carry it. A mid is never used for another section (RFC 8829 section 5.2.2).
 */
static void choose_mid(struct jsep *j, struct section *s)
{
	char mid[sizeof s->m.mid];

	do
		snprintf(mid, sizeof mid, "%u", j->next_mid++);
	while (has_mid(j, mid));
	memcpy(s->m.mid, mid, sizeof mid);
}

/* Where a rejected section of media stood, or behind all. */
static unsigned find_place(const struct jsep *j, const struct section *s)
{
	for (unsigned i = 0; i < j->n_placed && s->m.kind != SL_MEDIA_DATA; i++) {
		const struct section *old = j->sections[i];

		if (old->m.rejected && !old->fresh && old->m.kind != SL_MEDIA_DATA)
			return i;
	}
	return j->n_placed;
}

/* s is the first of those that wait. */
static void give_place(struct jsep *j, struct section *s)
{
	unsigned i = find_place(j, s), at = j->n_placed;

	s->placed = s->fresh = true;
	if (i == j->n_placed) {
		j->n_placed++;
		return;
	}
	s->before = j->sections[i];
	j->sections[i] = s;
	j->n--;
	memmove(j->sections + at, j->sections + at + 1, (j->n - at) * sizeof *j->sections);
}

/* The first that waits for a place becomes the first behind those that have one; false: none waits.
 */
static bool bring_next(struct jsep *j)
{
	for (unsigned i = j->n_placed; i < j->n; i++) {
		struct section *s = j->sections[i];

		if (s->placed || s->stopped)
			continue;
		j->sections[i] = j->sections[j->n_placed];
		j->sections[j->n_placed] = s;
		return true;
	}
	return false;
}

static int prepare_fresh(struct jsep *j, struct section *s)
{
	int err = 0;

	if (s->m.kind != SL_MEDIA_DATA) {
		s->m.rtcp_rsize = s->m.rtcp_xr = true;
		choose_ext(j, s);
		err = choose_codecs(j, s);
		s->m.rejected = s->m.n_codecs == 0; /* no number was left for any */
	}
	s->simulcast = s->m.n_rids > 1;
	return err;
}

static int prepare(struct jsep *j, struct section *s)
{
	int err = 0;

	if (s->fresh) {
		err = prepare_fresh(j, s);
	} else {
		s->before = section_clone(s);
		if (!s->before)
			return -SL_ENOMEM;
		s->m.rejected |= s->stopped && jsep_can_do_without(j, s);
		if (s->prefs_new && !s->m.rejected && s->m.kind != SL_MEDIA_DATA)
			err = choose_codecs(j, s);
	}
	s->prefs_new = false;
	s->may = JSEP_SENDRECV;
	s->said = s->m.wanted;
	s->told = section_hash(s);
	return err;
}

static int prepare_all(struct jsep *j)
{
	int err = 0;

	j->n_placed_before = j->n_placed;
	while (bring_next(j))
		give_place(j, j->sections[j->n_placed]);
	for (unsigned i = 0; i < j->n_placed && err == 0; i++)
		err = prepare(j, j->sections[i]);
	for (unsigned i = 0; i < j->n_placed; i++)
		if (j->sections[i]->m.mid[0] == '\0')
			choose_mid(j, j->sections[i]);
	return err;
}

/* The session's number: any that others do not have; the same for its whole life. */
static void begin_version(struct jsep *j, const struct jsep_transport *local)
{
	if (j->id == 0)
		j->id = sl_hash(local->ufrag, strlen(local->ufrag)) >> 2 | 1;
	j->version++;
}

int jsep_offer(struct jsep *j, const struct jsep_transport *local, struct sl_buf *b)
{
	struct writing w = {.j = j, .local = local, .b = b};
	int err;

	if (j->state != JSEP_STABLE)
		return -SL_EAGAIN;
	begin_version(j, local);
	j->state = JSEP_HAVE_LOCAL_OFFER;
	err = prepare_all(j);
	w.setup = local->setup[0] ? local->setup : "actpass";
	if (err == 0)
		err = jsep_write(&w);
	if (err < 0)
		jsep_rollback(j);
	return err;
}

/* RFC 8842 section 5.3 */
static const char *answering(const char *theirs, const char *wish)
{
	if (strcmp(theirs, "active") == 0)
		return "passive";
	if (strcmp(theirs, "passive") == 0)
		return "active";
	return strcmp(wish, "active") == 0 ? "active" : "passive";
}

int jsep_answer(struct jsep *j, const struct jsep_transport *local, struct sl_buf *b)
{
	struct writing w = {.j = j, .local = local, .b = b};
	int err;

	if (j->state != JSEP_HAVE_REMOTE_OFFER)
		return -SL_EAGAIN;
	begin_version(j, local);
	w.setup = answering(j->their_setup, local->setup);
	for (unsigned i = 0; i < j->n_placed; i++) {
		struct section *s = j->sections[i];

		/* wanted may have changed since the offer came. */
		s->said = s->m.rejected ? JSEP_INACTIVE : s->m.wanted & s->may;
		s->m.direction = s->said;
	}
	err = jsep_write(&w);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < j->n_placed; i++) {
		struct section *s = j->sections[i];

		s->told = section_hash(s);
		s->prefs_new = false;
	}
	jsep_settle(j);
	return 0;
}
