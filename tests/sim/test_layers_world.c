/*
 * A subscriber's stream over random targets, key frames on request, loss, late repairs and
 * reordering: synthetic VP8 simulcast, VP9 with spatial layers, and AV1 by dependency descriptor.
 * Every frame names those it refers to, so that a model decoder can tell whether what goes out can
 * be decoded, and a model receiver whether its numbers are without gaps.
 */
#include <sluice/layers.h>
#include "lib/test.h"

#define MS UINT64_C(1000000)

enum { SEEDS = 20, PICTURES = 1500, MAX_ENC = 3, MAX_FRAMES = PICTURES * 9, MAX_PACKETS = 4, OUT_MAX = 65536 };

enum kind { VP8_SIMULCAST, VP9_SVC, AV1_SVC, VP9_FLEXIBLE };

struct frame { /* of one spatial layer */
	uint8_t encoding, spatial, temporal, n_packets, n_refs;
	bool key, sync, joins, refreshes, tainted;
	unsigned refs[3];
	unsigned n_arrived, n_out;
	uint16_t picture, number;
	uint8_t tl0;
	uint32_t ts;
	bool bits_sent[MAX_PACKETS];
};

struct flight {
	uint64_t at;
	unsigned frame, packet;
	uint16_t seq;
	uint8_t encoding;
	bool last;
};

struct sent { /* what went out under one number */
	bool used, filler, marker;
	unsigned frame;
	uint32_t ts;
	uint16_t picture, number;
	uint8_t tl0;
};

static struct world {
	uint64_t chance, now;
	enum kind kind;
	bool lossy;
	unsigned n_enc, n_spatial;
	struct frame frames[MAX_FRAMES];
	unsigned n_frames;
	struct flight flights[4096];
	unsigned n_flights, n_lost;
	uint16_t seq[MAX_ENC];
	struct sl_unwrap unwrap[MAX_ENC];
	uint32_t ts_base[MAX_ENC];
	uint8_t tl0[MAX_ENC];
	uint16_t number[MAX_ENC], picture_base[MAX_ENC];
	unsigned last[MAX_ENC][4][3]; /* newest frame of each layer + 1 */
	bool want_key[MAX_ENC];
	unsigned n_keys;
	struct sl_codec_state *state[MAX_ENC];
	struct sl_layers *layers;
	struct sl_layers_target target;
	struct sent out[OUT_MAX]; /* by number from the first */
	uint16_t first_out;
	bool any_out;
	unsigned n_out, highest_out, n_fillers, n_switches;
	uint8_t current;
} w;

static unsigned pick_below(unsigned n)
{
	w.chance = w.chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w.chance >> 33) % n;
}

/* ---- the publisher */

static const uint8_t pattern[4] = {0, 2, 1, 2};

/* Bits of a descriptor under construction */
struct bit_writer {
	uint8_t p[200];
	unsigned n;
};

static void put(struct bit_writer *b, unsigned n, uint32_t v)
{
	for (; n > 0; n--, b->n++)
		b->p[b->n / 8] |= (uint8_t)((v >> (n - 1) & 1) << (7 - b->n % 8));
}

/* Decode target spatial * 3 + temporal. One may switch where neither the frame nor those after it
 * refer to what came before in the layers that are joined. */
static unsigned dti(const struct frame *f, unsigned target)
{
	unsigned s = target / 3, t = target % 3;

	if (f->spatial > s || f->temporal > t)
		return SL_DTI_NOT_PRESENT;
	if (f->key || (f->spatial == s && (f->joins || (f->temporal == 0 && t == 0))))
		return SL_DTI_SWITCH;
	return f->temporal == 2 ? SL_DTI_DISCARDABLE : SL_DTI_REQUIRED;
}

static void put_structure(struct bit_writer *b)
{
	unsigned n_targets = w.n_spatial * 3;

	put(b, 6, 0);
	put(b, 5, n_targets - 1);
	for (unsigned i = 0; i < n_targets; i++) /* one template for each layer */
		put(b, 2, i + 1 == n_targets ? 3 : i % 3 == 2 ? 2 : 1);
	for (unsigned i = 0; i < n_targets; i++)
		for (unsigned k = 0; k < n_targets; k++)
			put(b, 2, i / 3 <= k / 3 && i % 3 <= k % 3 ? SL_DTI_REQUIRED : 0);
	for (unsigned i = 0; i < n_targets; i++)
		put(b, 1, 0);
	put(b, n_targets == 9 ? 3 : n_targets == 6 ? 2 : 2, 0); /* no chains: ns(n + 1) of zero */
	put(b, 1, 0);
}

static size_t descriptor(struct bit_writer *b, const struct frame *f, bool first, bool last)
{
	bool structure = f->key && f->spatial == 0 && first;

	*b = (struct bit_writer){{0}, 0};
	put(b, 1, first);
	put(b, 1, last);
	put(b, 6, f->spatial * 3u + f->temporal);
	put(b, 16, f->number);
	put(b, 5, structure << 4 | 6); /* own targets, own references */
	if (structure)
		put_structure(b);
	for (unsigned i = 0; i < w.n_spatial * 3; i++)
		put(b, 2, dti(f, i));
	for (unsigned i = 0; i < f->n_refs; i++) {
		put(b, 2, 2);
		put(b, 8, (uint16_t)(f->number - w.frames[f->refs[i]].number) - 1u);
	}
	put(b, 2, 0);
	return (b->n + 7) / 8;
}

static size_t vp8_head(uint8_t *p, const struct frame *f, bool first)
{
	p[0] = (uint8_t)(0x80 | (first ? 0x10 : 0));
	p[1] = 0xe0;
	sl_put16(p + 2, 0x8000 | f->picture);
	p[4] = f->tl0;
	p[5] = (uint8_t)(f->temporal << 6 | f->sync << 5);
	p[6] = !f->key; /* of the frame itself */
	return 7;
}

static size_t vp9_head(uint8_t *p, const struct frame *f, bool first, bool last)
{
	bool structure = f->key && first && f->spatial == 0;

	p[0] = (uint8_t)(0xa0 | (f->key ? 0 : 0x40) | (first ? 8 : 0) | (last ? 4 : 0) | (structure ? 2 : 0));
	sl_put16(p + 1, 0x8000 | f->picture);
	p[3] = (uint8_t)(f->temporal << 5 | f->sync << 4 | f->spatial << 1 | (f->spatial > 0));
	p[4] = f->tl0;
	p[5] = 0x40; /* three layers, no sizes */
	return structure ? 6 : 5;
}

/* Every picture that the frame refers to in its own layer */
static size_t flexible_head(uint8_t *p, const struct frame *f, bool first, bool last)
{
	unsigned n = f->spatial > 0; /* the reference to the layer below comes first */
	size_t at = 4;

	(void)vp9_head(p, f, first, last);
	p[0] = (uint8_t)(0xb0 | (f->n_refs > n ? 0x40 : 0) | (first ? 8 : 0) | (last ? 4 : 0));
	p[3] &= 0xef; /* no switching points are marked */
	for (; n < f->n_refs; n++)
		p[at++] = (uint8_t)(((f->picture - w.frames[f->refs[n]].picture) & 0x7f) << 1 | (n + 1u < f->n_refs));
	if (f->key && first && f->spatial == 0) {
		p[0] |= 2;
		p[at++] = 0x40; /* three layers, no sizes */
	}
	return at;
}

static void launch(unsigned frame, unsigned packet, bool last, uint16_t seq)
{
	const struct frame *f = &w.frames[frame];
	uint64_t delay = pick_below(20) == 0 ? pick_below(12) * MS : 0;

	if (w.lossy && pick_below(100) < 3) {
		w.n_lost++;
		if (pick_below(10) < 3)
			return;
		delay = (60 + pick_below(60)) * MS; /* repaired */
	}
	sl_assert(w.n_flights < SL_ARRAY_LEN(w.flights));
	w.flights[w.n_flights++] = (struct flight){w.now + delay, frame, packet, seq, f->encoding, last};
}

static void add_ref(struct frame *f, unsigned newest)
{
	if (newest > 0)
		f->refs[f->n_refs++] = newest - 1;
}

static void refer(struct frame *f, bool sync)
{
	unsigned (*last)[3] = w.last[f->encoding];

	if (f->spatial > 0)
		add_ref(f, last[f->spatial - 1][f->temporal]); /* of this picture */
	if (f->key || (w.kind == VP9_FLEXIBLE && f->spatial > 0 && f->refreshes))
		return;
	f->sync = sync && f->temporal > 0;
	for (int t = f->temporal; t >= 0; t--) {
		if (f->sync && t > 0)
			continue; /* refers to the base alone */
		if (last[f->spatial][t]) {
			add_ref(f, last[f->spatial][t]);
			if (t == 0 || f->sync || f->n_refs == SL_ARRAY_LEN(f->refs))
				return;
		}
	}
}

static void make_frame(unsigned e, unsigned spatial, unsigned temporal, bool key, unsigned i)
{
	unsigned id = w.n_frames++;
	struct frame *f = &w.frames[id];

	sl_assert(id < MAX_FRAMES);
	*f = (struct frame){.encoding = (uint8_t)e, .spatial = (uint8_t)spatial, .temporal = (uint8_t)temporal, .key = key,
			    .refreshes = i % 24 == 0, .joins = !key && (i % 8 == 1 || i % 8 == 2),
			    .n_packets = (uint8_t)(1 + pick_below(MAX_PACKETS)), .picture = (uint16_t)(w.picture_base[e] + i) & 0x7fff,
			    .number = w.number[e]++, .tl0 = w.tl0[e],
			    .ts = w.ts_base[e] + (uint32_t)(w.now / MS * 90)};
	refer(f, i % 8 >= 1 && i % 8 <= 3);
	w.last[e][spatial][temporal] = id + 1;
	if (key)
		for (unsigned t = 1; t < 3; t++)
			w.last[e][spatial][t] = 0;
	for (unsigned i = 0; i < f->n_packets; i++)
		launch(id, i, i + 1u == f->n_packets && spatial + 1 == w.n_spatial, w.seq[e]++);
}

static void make_picture(unsigned e, unsigned i)
{
	bool key = i == 0 || w.want_key[e];
	unsigned temporal = key ? 0 : pattern[i % 4];

	if (key) {
		w.want_key[e] = false;
		w.n_keys++;
	}
	w.tl0[e] += temporal == 0;
	for (unsigned s = 0; s < w.n_spatial; s++)
		make_frame(e, s, temporal, key, i);
}

/* ---- what goes out */

static void note(const struct sl_rtp_out *out, const struct flight *f)
{
	struct sent *s;
	unsigned at;

	if (!w.any_out)
		w.first_out = out->seq;
	w.any_out = true;
	at = (uint16_t)(out->seq - w.first_out);
	s = &w.out[at];
	sl_assert(!s->used);
	*s = (struct sent){.used = true, .filler = !out->src, .marker = out->marker, .frame = f->frame, .ts = out->ts};
	w.highest_out = at > w.highest_out ? at : w.highest_out;
	w.n_out++;
	w.n_fillers += !out->src;
	if (!out->src)
		return;
	w.frames[f->frame].n_out++;
	if (w.kind == VP8_SIMULCAST) {
		sl_assert(out->cut == 6 && out->patch_len == 6);
		s->picture = sl_get16(out->patch + 2) & 0x7fff;
		s->tl0 = out->patch[4];
	} else if (w.kind == VP9_FLEXIBLE) {
		sl_assert(out->cut == 4 && out->patch_len == 4);
		s->picture = sl_get16(out->patch + 1) & 0x7fff;
	} else if (w.kind == VP9_SVC) {
		sl_assert(out->cut == 5 && out->patch_len == 5);
		s->picture = sl_get16(out->patch + 1) & 0x7fff;
		s->tl0 = out->patch[4];
	} else {
		uint8_t dd[SL_RTP_MAX_DD];

		sl_assert(sl_rtp_out_dd(out, dd) > 3 && out->dd_rewrite);
		s->number = sl_get16(dd + 1);
	}
}

static size_t make_packet(uint8_t *p, const struct flight *fl)
{
	const struct frame *f = &w.frames[fl->frame];
	bool first = fl->packet == 0, last = fl->packet + 1u == f->n_packets;
	struct bit_writer b;
	struct sl_rtp_ext_writer x;
	size_t at = 12;

	memset(p, 0, 12);
	p[0] = 0x80;
	p[1] = fl->last ? 0xe0 : 0x60;
	sl_put16(p + 2, fl->seq);
	sl_put32(p + 4, f->ts);
	if (w.kind == AV1_SVC) {
		size_t n = descriptor(&b, f, first, last);
		int bytes;

		p[0] = 0x90;
		sl_rtp_ext_begin(&x, p + 12, 300);
		sl_rtp_ext_put(&x, 1, b.p, n);
		bytes = sl_rtp_ext_end(&x);
		sl_assert(bytes > 0);
		at += (size_t)bytes;
		memcpy(p + at, "\x10\xff\xff", 3); /* encrypted, for all one knows */
		return at + 3;
	}
	if (w.kind == VP8_SIMULCAST)
		at += vp8_head(p + at, f, first);
	else if (w.kind == VP9_SVC)
		at += vp9_head(p + at, f, first, last);
	else
		at += flexible_head(p + at, f, first, last);
	p[at] = 0xff;
	return at + 1;
}

static void arrive(const struct flight *fl)
{
	struct sl_layers_packet p = {.encoding = fl->encoding, .now_ns = w.now,
				     .codec = w.kind == VP8_SIMULCAST ? SL_CODEC_VP8 : w.kind == AV1_SVC ? SL_CODEC_AV1 : SL_CODEC_VP9};
	const struct sl_rtp_ext_map map = {{[SL_RTP_EXT_DEPENDENCY_DESCRIPTOR] = 1}};
	struct sl_frame_info info;
	struct sl_rtp rtp = {0};
	struct sl_rtp_out out;
	uint8_t bytes[600];

	sl_assert(sl_rtp_parse(&rtp, bytes, make_packet(bytes, fl)) == 0);
	sl_rtp_ext_index(&rtp, &map);
	sl_assert(sl_codec_inspect(w.state[fl->encoding], p.codec, &rtp, &info) == 0);
	w.frames[fl->frame].n_arrived++;
	p.rtp = &rtp;
	p.info = &info;
	p.seq = sl_unwrap16(&w.unwrap[fl->encoding], rtp.seq);
	switch (sl_layers_take(w.layers, &p, &out)) {
	case SL_OK:
	case SL_DONE:
		note(&out, fl);
		break;
	}
}

static void land(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w.n_flights; i++)
		if (w.flights[i].at > w.now)
			w.flights[kept++] = w.flights[i];
		else
			arrive(&w.flights[i]);
	w.n_flights = kept;
}

static void change_target(void)
{
	w.target = (struct sl_layers_target){.paused = pick_below(10) == 0, .encoding = (uint8_t)pick_below(w.n_enc),
					     .spatial = (uint8_t)pick_below(w.n_spatial), .temporal = (uint8_t)pick_below(3)};
	sl_layers_set_target(w.layers, &w.target);
}

static void report_clocks(void)
{
	for (unsigned e = 0; e < w.n_enc; e++) {
		struct sl_rtc_clock c = {.ntp = (w.now / MS << 32) / 1000, .ts = w.ts_base[e] + (uint32_t)(w.now / MS * 90)};

		sl_layers_clock(w.layers, e, &c);
	}
}

static void run(enum kind kind, bool lossy, uint64_t seed)
{
	struct sl_layers_target now;
	unsigned e;

	memset(&w, 0, sizeof w);
	w.chance = seed * 7919 + kind;
	w.kind = kind;
	w.lossy = lossy;
	w.now = 1000 * MS;
	w.n_enc = kind == VP8_SIMULCAST ? 3 : 1;
	w.n_spatial = kind == VP8_SIMULCAST ? 1 : 3;
	sl_assert(sl_layers_new(&w.layers, 90000) == 0);
	for (e = 0; e < w.n_enc; e++) {
		w.seq[e] = (uint16_t)(65000 + pick_below(1000));
		w.ts_base[e] = w.chance >> 20;
		w.number[e] = (uint16_t)(65000 + pick_below(1000));
		w.picture_base[e] = (uint16_t)(32000 + pick_below(1500));
		sl_assert(sl_codec_state_new(&w.state[e]) == 0);
	}
	change_target();
	for (unsigned i = 0; i < PICTURES; i++) {
		for (e = 0; e < w.n_enc; e++)
			make_picture(e, i);
		for (unsigned step = 0; step < 3; step++, w.now += 11 * MS)
			land();
		if (i % 30 == 10)
			report_clocks();
		if (pick_below(25) == 0)
			change_target();
		if (sl_layers_wants_key(w.layers, &e) && i % 5 == 0)
			w.want_key[e] = true;
		sl_layers_current(w.layers, &now);
		w.n_switches += now.encoding != w.current;
		w.current = now.encoding;
	}
	for (unsigned step = 0; step < 20; step++, w.now += 11 * MS)
		land();
}

static void stop(void)
{
	for (unsigned e = 0; e < w.n_enc; e++)
		sl_codec_state_free(w.state[e]);
	sl_layers_free(w.layers);
}

/* ---- verdicts: NULL or what is wrong */

static const char *numbers(void)
{
	unsigned gaps = w.highest_out + 1 - w.n_out;

	if (!w.lossy && gaps > 0)
		return "numbers have gaps though nothing was lost";
	return gaps > w.n_lost ? "numbers have more gaps than packets were lost" : NULL;
}

/* What has been overtaken by the end of its run stays incomplete; a key frame follows it. */
static bool ends_a_run(unsigned frame)
{
	unsigned at = w.highest_out + 1;

	while (at > 0 && (!w.out[at - 1].used || w.out[at - 1].frame != frame))
		at--;
	while (at <= w.highest_out && (!w.out[at].used || w.out[at].filler))
		at++;
	return at > w.highest_out || w.frames[w.out[at].frame].key;
}

static const char *order(void)
{
	const struct sent *before = NULL;

	for (unsigned i = 0; i <= w.highest_out; i++) {
		const struct sent *s = &w.out[i];

		if (!s->used || s->filler)
			continue;
		if (before && sl_ts_after(before->ts, s->ts))
			return "timestamps go back";
		if (before && s->ts == before->ts && w.frames[s->frame].ts != w.frames[before->frame].ts)
			return "two pictures share a timestamp";
		if (!w.lossy && before && before->marker != (before->ts != s->ts) && !ends_a_run(before->frame))
			return "a marker is not where a picture ends";
		before = s;
	}
	return NULL;
}

/* A frame is tainted when packets of it never came (in time), or of one it refers to. */
static const char *decodable(void)
{
	for (unsigned i = 0; i < w.n_frames; i++) {
		struct frame *f = &w.frames[i];

		f->tainted = f->n_arrived < f->n_packets || (w.lossy && f->n_out > 0 && f->n_out < f->n_packets);
		if (f->n_out == 0)
			continue;
		for (unsigned k = 0; k < f->n_refs; k++) {
			const struct frame *r = &w.frames[f->refs[k]];

			f->tainted = f->tainted || r->tainted;
			if (r->n_out == 0 && !r->tainted)
				return "a frame went out without one that it refers to";
		}
		if (!w.lossy && f->n_out != f->n_packets && !ends_a_run(i))
			return "a frame went out in part";
	}
	return NULL;
}

static const char *ids(void)
{
	const struct sent *before = NULL;

	for (unsigned i = 0; i <= w.highest_out; i++) {
		const struct sent *s = &w.out[i];
		bool other;

		if (!s->used || s->filler)
			continue;
		other = before && s->ts != before->ts;
		if (before && !other && (s->picture != before->picture || s->tl0 != before->tl0))
			return "ids change within a picture";
		if (w.kind == VP8_SIMULCAST && other && !w.lossy && s->picture != ((before->picture + 1) & 0x7fff))
			return "picture ids are not continuous";
		if ((w.kind == VP9_SVC || w.kind == VP9_FLEXIBLE) && other && !w.lossy && (uint16_t)((s->picture - before->picture) & 0x7fff) > 8)
			return "picture ids jump";
		if (w.kind != AV1_SVC && w.kind != VP9_FLEXIBLE && other && !w.lossy &&
		    s->tl0 != (uint8_t)(before->tl0 + (w.frames[s->frame].temporal == 0)))
			return "tl0 does not count base layer pictures";
		if (w.kind == AV1_SVC && before && !w.lossy && s->frame != before->frame &&
		    !sl_seq_after(s->number, before->number))
			return "frame numbers go back";
		before = s;
	}
	return NULL;
}

static void check(enum kind kind, bool lossy)
{
	unsigned frames = 0, fillers = 0, switches = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const char *wrong;

		run(kind, lossy, seed);
		wrong = decodable();
		wrong = wrong ? wrong : numbers();
		wrong = wrong ? wrong : order();
		wrong = wrong ? wrong : ids();
		for (unsigned i = 0; i < w.n_frames; i++)
			frames += w.frames[i].n_out > 0;
		fillers += w.n_fillers;
		switches += w.n_switches;
		stop();
		if (wrong)
			TEST_FAIL("seed %u: %s", (unsigned)seed, wrong);
		CHECK(w.n_out > 500);
	}
	printf("# %u frames, %u switches of encoding, %u numbers filled, last run: %u keys\n", frames, switches, fillers,
	       w.n_keys);
}

TEST(vp8_simulcast_is_one_stream)
{
	check(VP8_SIMULCAST, false);
}

TEST(vp8_simulcast_is_one_stream_under_loss)
{
	check(VP8_SIMULCAST, true);
}

TEST(vp9_spatial_layers_are_one_stream)
{
	check(VP9_SVC, false);
}

TEST(vp9_spatial_layers_are_one_stream_under_loss)
{
	check(VP9_SVC, true);
}

TEST(flexible_vp9_is_one_stream_by_its_references)
{
	check(VP9_FLEXIBLE, false);
}

TEST(flexible_vp9_is_one_stream_by_its_references_under_loss)
{
	check(VP9_FLEXIBLE, true);
}

TEST(av1_layers_are_one_stream_by_descriptor_alone)
{
	check(AV1_SVC, false);
}

TEST(av1_layers_are_one_stream_by_descriptor_alone_under_loss)
{
	check(AV1_SVC, true);
}

TEST_MAIN()
