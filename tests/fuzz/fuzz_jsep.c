/*
 * Fuzz target: any text as a peer's offer, and as its answer to an offer of ours.
 *
 * Whatever is taken, our answer has the offer's sections in its order with their mids, accepts no
 * section that the offer refuses, and is read by our own parser; the same offer is taken again, an
 * offer of ours may follow, and a rollback leaves what was there. What is refused changes nothing.
 */
#include "proto/rtc_caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jsep_transport local = {
	.ufrag = "fuzz", .password = "0123456789012345678901", .fingerprint = "sha-256 AA:BB"};

static struct jsep *engine(void)
{
	struct jsep *j;

	sl_assert(jsep_new(&j, &rtc_caps) == 0);
	return j;
}

static void check_media(const struct jsep_media *m)
{
	sl_assert(m->n_codecs <= JSEP_MAX_CODECS && m->n_rids <= JSEP_MAX_RIDS);
	sl_assert(m->n_theirs <= JSEP_MAX_RIDS && m->direction <= JSEP_SENDRECV);
	sl_assert(!m->rejected || m->direction == JSEP_INACTIVE);
	sl_assert(m->rejected || m->kind == SL_MEDIA_DATA || m->n_codecs > 0);
	for (unsigned i = 0; i < m->n_codecs; i++) {
		sl_assert(m->codecs[i].pt < 128 && m->codecs[i].rtx_pt < 128);
		for (unsigned k = 0; k < i; k++)
			sl_assert(m->codecs[k].pt != m->codecs[i].pt);
	}
}

static void check_pair(const struct sl_sdp *offer, const struct sl_sdp *answer)
{
	struct sl_str mid, theirs, none;

	sl_assert(offer->n_media == answer->n_media);
	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sl_sdp_media *o = &offer->media[i], *a = &answer->media[i];

		sl_assert(sl_str_eq(o->type, a->type) && sl_str_eq(o->proto, a->proto));
		sl_assert(a->port == 0 || o->port != 0 ||
			  sl_sdp_attr(offer, o, "bundle-only", &none));
		if (sl_sdp_attr(offer, o, "mid", &theirs))
			sl_assert(sl_sdp_attr(answer, a, "mid", &mid) && sl_str_eq(mid, theirs));
	}
}

static void check_answer(struct jsep *j, struct sl_str offer, struct sl_str answer)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error e;
	struct sl_sdp o, a;

	sl_assert(pool);
	sl_assert(sl_sdp_parse(&o, pool, offer, &e) == 0);
	sl_assert(sl_sdp_parse(&a, pool, answer, &e) == 0);
	check_pair(&o, &a);
	sl_assert(jsep_count(j) >= a.n_media);
	for (unsigned i = 0; i < a.n_media; i++) {
		check_media(jsep_at(j, i));
		sl_assert(jsep_at(j, i)->rejected == (a.media[i].port == 0));
	}
	sl_pool_destroy(pool);
}

/* A caller with moods: what it wants, prefers and refuses follows from the text. */
struct mood {
	struct jsep *j;
	uint32_t bits;
};

static enum jsep_direction want(void *ctx, struct jsep_media *m)
{
	struct mood *mood = ctx;
	uint32_t bits = mood->bits = mood->bits * 1664525 + 1013904223;
	const struct jsep_codec *list = m->kind == SL_MEDIA_AUDIO ? rtc_caps.audio : rtc_caps.video;

	sl_assert(!m->rejected && !m->user);
	m->user = mood;
	m->ours = (struct jsep_ssrc){bits, bits >> 8};
	if (bits >> 28 == 0)
		jsep_stop(mood->j, m);
	if (bits >> 30 == 1)
		sl_assert(jsep_prefer(mood->j, m, list + (bits >> 16 & 3), 2) == 0);
	return (enum jsep_direction)(bits >> 20 & 3);
}

/* What happens between and after negotiations */
static void change_mind(struct mood *mood)
{
	for (unsigned i = 0; i < jsep_count(mood->j); i++) {
		uint32_t bits = mood->bits = mood->bits * 1664525 + 1013904223;
		struct jsep_media *m = jsep_at(mood->j, i);

		m->wanted = bits >> 20 & 3;
		if (bits >> 29 == 0)
			jsep_stop(mood->j, m);
	}
}

static bool answer_it(struct jsep *j, struct sl_str offer, struct mood *mood)
{
	struct sl_sdp_error e;
	struct jsep_transport remote;
	struct sl_buf b;
	int err = jsep_remote_offer(j, offer, mood ? want : NULL, mood, &remote, &e);

	if (err < 0) {
		sl_assert(jsep_get_state(j) == JSEP_STABLE && e.text[0]);
		return false;
	}
	sl_buf_init(&b, 0);
	sl_assert(jsep_answer(j, &local, &b) == 0);
	check_answer(j, offer, sl_buf_view(&b));
	sl_buf_free(&b);
	return true;
}

/* An offer of ours to another engine of ours, which has heard nothing of what was before. */
static void offer_again(struct jsep *j)
{
	struct sl_sdp_error e;
	struct jsep_transport remote;
	struct jsep *other = engine();
	struct jsep_media *m;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	if (jsep_add(j, SL_MEDIA_VIDEO, JSEP_SEND, &m) == 0)
		m->ours.media = 1;
	sl_assert(jsep_offer(j, &local, &b) == 0);
	if (b.len <= SL_SDP_MAX_BYTES)
		sl_assert(jsep_remote_offer(other, sl_buf_view(&b), NULL, NULL, &remote, &e) == 0);
	jsep_rollback(j);
	sl_buf_free(&b);
	jsep_free(other);
}

static void try_offer(struct sl_str text)
{
	struct sl_sdp_error e;
	struct jsep_transport remote;
	struct jsep *j = engine();
	unsigned n;

	if (answer_it(j, text, NULL)) {
		n = jsep_count(j);
		offer_again(j);
		sl_assert(jsep_remote_offer(j, text, NULL, NULL, &remote, &e) == 0);
		jsep_rollback(j);
		sl_assert(answer_it(j, text, NULL));
		sl_assert(jsep_count(j) == n + (n < SL_SDP_MAX_MEDIA));
	}
	jsep_free(j);
}

/* The same offer again and again, with offers of ours between that are taken back. */
static void try_moods(struct sl_str text)
{
	struct jsep *j = engine();
	struct mood mood = {.j = j, .bits = (uint32_t)text.len};

	for (size_t i = 0; i < text.len; i++)
		mood.bits = mood.bits * 31 + (uint8_t)text.p[i];
	for (int i = 0; i < 3 && answer_it(j, text, &mood); i++) {
		change_mind(&mood);
		offer_again(j);
		change_mind(&mood);
	}
	jsep_free(j);
}

static void try_answer(struct sl_str text)
{
	struct sl_sdp_error e;
	struct jsep_transport remote;
	struct jsep *j = engine();
	struct jsep_media *m;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_assert(jsep_add(j, SL_MEDIA_AUDIO, JSEP_SEND, &m) == 0);
	sl_assert(jsep_add(j, SL_MEDIA_VIDEO, JSEP_SENDRECV, &m) == 0);
	sl_assert(jsep_add(j, SL_MEDIA_DATA, JSEP_SENDRECV, &m) == 0);
	sl_assert(jsep_offer(j, &local, &b) == 0);
	if (jsep_remote_answer(j, text, &remote, &e) < 0)
		sl_assert(jsep_get_state(j) == JSEP_HAVE_LOCAL_OFFER && e.text[0]);
	else
		offer_again(j);
	for (unsigned i = 0; i < 3; i++)
		check_media(jsep_at(j, i));
	sl_buf_free(&b);
	jsep_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str text = {(const char *)data, size};

	try_offer(text);
	try_moods(text);
	try_answer(text);
	return 0;
}
