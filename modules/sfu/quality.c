/*
 * sfu/quality.c: how good a participant's line is.
 *
 * Two questions, and the worse answer counts: how does it sound and look (E-model, ITU-T G.107, of
 * loss and delay), and how much of what should go through does. Loss counts as a multiple of itself
 * since it is that of all packets: speech alone would bear more of it than a picture does.
 *
 * Words change with hysteresis: for the worse after two looks, for the better after three, and only
 * clearly beyond the limit. What was told is not told again for a while unless the word changes.
 */
#include "quality.h"

#include <sluice/line.h>

enum {
	EXCELLENT_FROM = 80,
	GOOD_FROM = 50,
	CLEARLY = 4,	      /* beyond a limit */
	WORSE_AFTER = 2,      /* looks */
	BETTER_AFTER = 3,
	WARM_LOOKS = 3,	      /* of a way that has begun say little */
	SHORT_LOOKS = 6,      /* estimates and encodings take so long to rise */
	LOSS_WEIGHT_TENTHS = 25,
	MIN_PACKETS = 10,     /* of one look, for its loss to mean something */
	WORD_PAUSE_MS = 2000, /* between two changes */
	SCORE_PAUSE_MS = 10000,
	SCORE_STEP = 10,
	CODEC_MS = 20,	      /* between microphone and network */
};

const char *quality_name(unsigned word)
{
	static const char *const names[N_QUALITY_WORDS] = {
		[QUALITY_UNKNOWN] = "unknown", [QUALITY_LOST] = "lost",
		[QUALITY_POOR] = "poor",       [QUALITY_GOOD] = "good",
		[QUALITY_EXCELLENT] = "excellent",
	};

	return names[word < N_QUALITY_WORDS ? word : QUALITY_UNKNOWN];
}

/* ---- one way */

/* Of the packets since the look before; what was late and has come since lowers the sum. */
static double loss_since(const struct quality_meter *m, const struct quality_sample *s)
{
	double lost = s->lost_packets > m->lost_packets
			      ? (double)(s->lost_packets - m->lost_packets)
			      : 0;
	double share = lost / (double)(s->packets - m->packets);

	return share > 1 ? 1 : share;
}

/* A few packets say nothing, they wait for more; sums fall when a stream ends. */
static void take_loss(struct quality_meter *m, const struct quality_sample *s)
{
	bool follows = m->begun && s->packets >= m->packets;
	double now;

	if (follows && s->packets - m->packets < MIN_PACKETS)
		return;
	if (follows) {
		now = loss_since(m, s);
		m->loss += (now - m->loss) * (now > m->loss ? 0.5 : 0.35);
	}
	m->packets = s->packets;
	m->lost_packets = s->lost_packets;
	m->begun = true;
}

static uint16_t clamp16(uint64_t v)
{
	return v > UINT16_MAX ? UINT16_MAX : (uint16_t)v;
}

static uint32_t kbps(uint64_t bps)
{
	return bps / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(bps / 1000);
}

/* MOS 1 to 4.41, as 0 to 100 */
static double sounds(const struct quality_way *w)
{
	unsigned loss = (unsigned)w->loss_permille * LOSS_WEIGHT_TENTHS / 10;
	unsigned delay_ms = CODEC_MS + w->rtt_ms / 2u + 2u * w->jitter_ms;
	double best = sl_mos_estimate(SL_CODEC_OPUS, 0, CODEC_MS);

	return (sl_mos_estimate(SL_CODEC_OPUS, loss, delay_ms) - 100.0) * QUALITY_BEST /
	       (best - 100.0);
}

/* All of it 100, half 60, a fifth 30 */
static double carries(const struct quality_way *w)
{
	double share = w->wanted_kbps ? (double)w->got_kbps / w->wanted_kbps : 1;

	if (share >= 0.9)
		return QUALITY_BEST;
	if (share >= 0.5)
		return 60 + 100 * (share - 0.5);
	if (share >= 0.2)
		return 30 + 100 * (share - 0.2);
	return 10 + 100 * share;
}

static void read_way(const struct quality_meter *m, const struct quality_sample *s,
		     struct quality_way *ret)
{
	*ret = (struct quality_way){
		.known = m->n_looks > WARM_LOOKS,
		.loss_permille = clamp16((uint64_t)(1000 * m->loss + 0.5)),
		.jitter_ms = clamp16(s->jitter_us / 1000),
		.rtt_ms = clamp16(s->rtt_us / 1000),
		.wanted_kbps = kbps(s->wanted_bps),
		.got_kbps = kbps(s->got_bps),
	};
}

/* 100 where there is nothing to judge */
static double judge(struct quality_meter *m, const struct quality_sample *s,
		    struct quality_way *ret)
{
	double score, share;

	if (!s->there) {
		*m = (struct quality_meter){0};
		*ret = (struct quality_way){0};
		return QUALITY_BEST;
	}
	take_loss(m, s);
	m->n_looks += m->n_looks <= WARM_LOOKS;
	read_way(m, s, ret);
	score = sounds(ret);
	share = carries(ret);
	m->n_short = share < QUALITY_BEST ? m->n_short + 1 : 0;
	return m->n_short > SHORT_LOOKS && share < score ? share : score;
}

/* ---- both */

static enum quality_word word_of(double score)
{
	return score >= EXCELLENT_FROM ? QUALITY_EXCELLENT
	       : score >= GOOD_FROM    ? QUALITY_GOOD
				       : QUALITY_POOR;
}

static void smooth(struct quality *q, double now)
{
	q->score += q->judged ? (now - q->score) * (now < q->score ? 0.6 : 0.3) : now - q->score;
	q->judged = true;
}

static enum quality_word settle(struct quality *q)
{
	enum quality_word better = word_of(q->score - CLEARLY), worse = word_of(q->score + CLEARLY);

	if (q->word <= QUALITY_LOST)
		return word_of(q->score);
	q->n_better = better > q->word ? q->n_better + 1 : 0;
	q->n_worse = worse < q->word ? q->n_worse + 1 : 0;
	if (q->n_worse >= WORSE_AFTER)
		return worse;
	return q->n_better >= BETTER_AFTER ? better : q->word;
}

static bool is_new(const struct quality *q, const struct quality_news *n, uint64_t now_ms)
{
	int moved = n->score - q->told.score;

	if (q->told.word == QUALITY_UNKNOWN || n->word == QUALITY_LOST)
		return n->word != q->told.word;
	if (n->word != q->told.word)
		return now_ms - q->told_ms >= WORD_PAUSE_MS;
	return (moved >= SCORE_STEP || moved <= -SCORE_STEP) &&
	       now_ms - q->told_ms >= SCORE_PAUSE_MS;
}

static bool tell(struct quality *q, const struct quality_news *n, uint64_t now_ms)
{
	if (!is_new(q, n, now_ms))
		return false;
	q->told = *n;
	q->told_ms = now_ms;
	return true;
}

/* What comes after it is judged anew. */
static bool look_at_lost(struct quality *q, uint64_t now_ms)
{
	const struct quality_news n = {.word = QUALITY_LOST};
	struct quality_news told = q->told;

	*q = (struct quality){.word = QUALITY_LOST, .told = told, .told_ms = q->told_ms};
	return tell(q, &n, now_ms);
}

bool quality_look(struct quality *q, const struct quality_sample *up,
		  const struct quality_sample *down, uint64_t now_ms)
{
	struct quality_news n;
	double from, to;

	if (up->lost || down->lost)
		return look_at_lost(q, now_ms);
	from = judge(&q->up, up, &n.up);
	to = judge(&q->down, down, &n.down);
	if (!n.up.known && !n.down.known)
		return false;
	smooth(q, from < to ? from : to);
	n.score = (uint8_t)(q->score + 0.5);
	n.word = settle(q);
	if (n.word != q->word)
		q->n_better = q->n_worse = 0;
	q->word = n.word;
	return tell(q, &n, now_ms);
}
