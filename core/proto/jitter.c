/*
 * proto/jitter.c: the jitter buffer of <sluice/jitter.h>.
 *
 * A packet's *lag* is how much later it came than the fastest packet of the last seconds would
 * have, by the sender's clock. A histogram of lags that forgets gives the target: what 985 of
 * 1000 packets need. What a packet is *delayed* when it is played is known exactly, as the distance
 * from the fastest way, so that the sender's clock, which runs a little faster or slower than ours,
 * shows as a delay that grows or shrinks, and is answered by the same shortening and lengthening.
 *
 * Waiting, losing and being silent are told apart by numbers alone: a gap of sequence numbers is
 * loss, a gap of time without one is a pause, and an empty buffer is not known yet.
 */
#include <sluice/jitter.h>

#include <sluice/clock.h>
#include <sluice/rtp.h>

#include <stdlib.h>

enum {
	BINS = 80,
	BIN_MS = 5,
	QUANTILE_PERMILLE = 985,
	FORGET_SHIFT = 8, /* weight of a packet: 1/256 of all; some five seconds */
	FULL = 1 << 20,
	BASE_WINDOW_MS = 2000, /* half of the time for which the fastest packet counts */
	DEFAULT_MAX_MS = 200,
	SLACK_MS = 5, /* over the target and a pull before speech is shortened */
	DEFAULT_PULL_MS = 20,
	UNDER_MS = 4,
	IDLE_MS = 400, /* nothing came for so long: the next packet begins anew */
	JUMP_S = 3,    /* of timestamps, from one packet to another */
	JUMP_SEQ = 500,
	MISSING_MAX = 25, /* packets in a row that are made up for; after more it goes on at once */
};

struct slot {
	struct sl_jitter_packet p;
	uint64_t seq;
	bool used;
	bool empty; /* a number that was taken by what is not played */
};

struct sl_jitter {
	struct sl_jitter_opts o;
	struct slot slots[SL_JITTER_SLOTS];
	unsigned waiting;
	void *played; /* given out by the last get, released by the next */

	struct sl_unwrap seqs, tss;
	bool begun;   /* next_* hold */
	bool holding; /* begun, but the first packet is kept until the target has passed */
	uint64_t next_seq, next_ts;
	uint64_t newest_seq, newest_ts;
	uint64_t hold_until_ns, heard_ns;
	uint32_t frame;	 /* duration of a packet as seen between neighbours; 0: not known */
	uint64_t waited; /* bridged over since the last packet; of the clock */

	int64_t base[2]; /* the least transit of this window and the one before, ns */
	bool base_set[2];
	uint64_t base_turn_ns;
	uint32_t bins[BINS]; /* sum to about FULL */
	uint32_t target_ms, delay_ms;
	struct sl_jitter_stats stats;
};

int sl_jitter_new(struct sl_jitter **ret_jitter, const struct sl_jitter_opts *o)
{
	struct sl_jitter *j;

	if (o->clock_hz == 0 || o->max_ms > BINS * BIN_MS)
		return -SL_EINVAL;
	j = calloc(1, sizeof *j);
	if (!j)
		return -SL_ENOMEM;
	j->o = *o;
	j->o.max_ms = o->max_ms ? o->max_ms : DEFAULT_MAX_MS;
	j->o.pull_ms = o->pull_ms ? o->pull_ms : DEFAULT_PULL_MS;
	j->bins[1] = FULL; /* 5 to 10 ms, until better is known */
	j->target_ms = 2 * BIN_MS;
	*ret_jitter = j;
	return 0;
}

static void release(struct sl_jitter *j, void *packet)
{
	if (packet)
		j->o.release(j->o.arg, packet);
}

static void drop_all(struct sl_jitter *j)
{
	for (unsigned i = 0; i < SL_JITTER_SLOTS; i++) {
		if (j->slots[i].used)
			release(j, j->slots[i].p.packet);
		j->slots[i].used = false;
	}
	j->waiting = 0;
}

static void forget_played(struct sl_jitter *j)
{
	release(j, j->played);
	j->played = NULL;
}

void sl_jitter_free(struct sl_jitter *j)
{
	if (!j)
		return;
	drop_all(j);
	forget_played(j);
	free(j);
}

void sl_jitter_restart(struct sl_jitter *j, uint32_t clock_hz)
{
	drop_all(j);
	if (clock_hz != j->o.clock_hz) {
		j->o.clock_hz = clock_hz;
		j->frame = 0;
	}
	j->begun = j->holding = false;
	j->seqs = j->tss = (struct sl_unwrap){0};
	j->waited = 0;
	j->base_set[0] = j->base_set[1] = false;
}

/* ---- what the network does */

static uint64_t ns_of(const struct sl_jitter *j, uint64_t units)
{
	return units / j->o.clock_hz * SL_NS_PER_S +
	       units % j->o.clock_hz * SL_NS_PER_S / j->o.clock_hz;
}

static int64_t base_of(const struct sl_jitter *j)
{
	if (!j->base_set[1] || (j->base_set[0] && j->base[0] < j->base[1]))
		return j->base[0];
	return j->base[1];
}

/* How late it is by the fastest way, when it is taken out; ns. */
static int64_t delay_of(const struct sl_jitter *j, uint64_t ts, uint64_t now_ns)
{
	return (int64_t)(now_ns - ns_of(j, ts)) - base_of(j);
}

static void learn_base(struct sl_jitter *j, int64_t transit, uint64_t now_ns)
{
	if (j->base_set[0] && now_ns - j->base_turn_ns > BASE_WINDOW_MS * SL_NS_PER_MS) {
		j->base[1] = j->base[0];
		j->base_set[1] = true;
		j->base_set[0] = false;
	}
	if (!j->base_set[0]) {
		j->base_turn_ns = now_ns;
		j->base[0] = transit;
		j->base_set[0] = true;
	} else if (transit < j->base[0]) {
		j->base[0] = transit;
	}
}

static uint32_t quantile_ms(const struct sl_jitter *j)
{
	uint64_t all = 0, sum = 0;
	unsigned i;

	for (i = 0; i < BINS; i++)
		all += j->bins[i];
	for (i = 0; i < BINS - 1; i++) {
		sum += j->bins[i];
		if (sum * 1000 >= all * QUANTILE_PERMILLE)
			break;
	}
	return (i + 1) * BIN_MS;
}

static void learn_lag(struct sl_jitter *j, uint64_t lag_ns)
{
	uint64_t bin = lag_ns / (BIN_MS * SL_NS_PER_MS);

	for (unsigned i = 0; i < BINS; i++)
		j->bins[i] -= j->bins[i] >> FORGET_SHIFT;
	j->bins[bin < BINS ? bin : BINS - 1] += FULL >> FORGET_SHIFT;
	j->target_ms = quantile_ms(j);
	if (j->target_ms > j->o.max_ms)
		j->target_ms = j->o.max_ms;
}

/* What was lost before a packet that has something of it comes with that packet, a frame late. */
static void learn(struct sl_jitter *j, uint64_t ts, bool brings_lost, uint64_t now_ns)
{
	int64_t transit = (int64_t)(now_ns - ns_of(j, ts));
	uint64_t lag;

	learn_base(j, transit, now_ns);
	lag = (uint64_t)(transit - base_of(j));
	if (brings_lost)
		learn_lag(j, lag + ns_of(j, j->frame));
	learn_lag(j, lag);
}

/* ---- in */

static struct slot *slot_of(struct sl_jitter *j, uint64_t seq)
{
	struct slot *s = &j->slots[seq % SL_JITTER_SLOTS];

	return s->used && s->seq == seq ? s : NULL;
}

static bool is_jump(const struct sl_jitter *j, uint64_t seq, uint64_t ts)
{
	uint64_t limit = (uint64_t)JUMP_S * j->o.clock_hz;
	int64_t by = (int64_t)(ts - j->newest_ts), seqs = (int64_t)(seq - j->newest_seq);

	if (seqs > JUMP_SEQ || seqs < -JUMP_SEQ || by < -(int64_t)limit)
		return true;
	/* A pause of minutes keeps the numbers in step and is none. */
	return by > (int64_t)limit && seqs > 1 && (uint64_t)by / (uint64_t)seqs > limit;
}

static void learn_frame(struct sl_jitter *j, uint64_t seq, uint64_t ts)
{
	const struct slot *before = slot_of(j, seq - 1);
	uint64_t by;

	if (!before && !(seq == j->next_seq + 1 && j->newest_seq == seq - 1))
		return;
	by = ts - (before ? before->p.ts : (uint32_t)j->newest_ts);
	by = (uint32_t)by;
	if (by > 0 && by <= j->o.clock_hz / 8)
		j->frame = (uint32_t)by;
}

static void store(struct sl_jitter *j, const struct sl_jitter_packet *p, uint64_t seq)
{
	struct slot *s = &j->slots[seq % SL_JITTER_SLOTS];

	if (s->used) { /* the buffer is as long as it can be: the oldest goes */
		release(j, s->p.packet);
		j->stats.dropped += !s->empty;
		j->waiting--;
	}
	*s = (struct slot){.p = *p, .seq = seq, .used = true};
	j->waiting++;
}

static void begin(struct sl_jitter *j, uint64_t seq, uint64_t ts, uint64_t now_ns)
{
	j->begun = j->holding = true;
	j->next_seq = seq;
	j->next_ts = ts;
	j->newest_seq = seq;
	j->newest_ts = ts;
	j->waited = 0;
	j->hold_until_ns = now_ns + j->target_ms * SL_NS_PER_MS;
}

static enum sl_jitter_verdict refuse(struct sl_jitter *j, void *packet, uint64_t *count,
				     enum sl_jitter_verdict verdict)
{
	release(j, packet);
	++*count;
	return verdict;
}

/* Nothing is here, and nothing came for long. What is taken out may be of a moment before the last
 * packet came. */
static bool is_idle(const struct sl_jitter *j, uint64_t now_ns)
{
	return j->waiting == 0 && now_ns > j->heard_ns &&
	       now_ns - j->heard_ns > IDLE_MS * SL_NS_PER_MS;
}

/* A talker came back after a pause: the delay may be chosen anew. */
static bool is_after_idle(const struct sl_jitter *j, uint64_t seq, uint64_t now_ns)
{
	return j->begun && seq >= j->next_seq && is_idle(j, now_ns);
}

enum sl_jitter_verdict sl_jitter_put(struct sl_jitter *j, const struct sl_jitter_packet *p,
				     uint64_t now_ns)
{
	uint64_t seq = sl_unwrap16(&j->seqs, p->seq), ts = sl_unwrap32(&j->tss, p->ts);
	enum sl_jitter_verdict verdict = SL_JITTER_TAKEN;

	if (j->begun && is_jump(j, seq, ts)) {
		sl_jitter_restart(j, j->o.clock_hz);
		j->stats.restarts++;
		seq = sl_unwrap16(&j->seqs, p->seq);
		ts = sl_unwrap32(&j->tss, p->ts);
		verdict = SL_JITTER_RESTARTED;
	}
	if (slot_of(j, seq))
		return refuse(j, p->packet, &j->stats.duplicates, SL_JITTER_DUPLICATE);
	if (!j->begun || (!p->untimed && is_after_idle(j, seq, now_ns)))
		begin(j, seq, ts, now_ns);
	if (!p->untimed || !j->base_set[0])
		learn(j, ts, p->redundant && seq > j->newest_seq + 1, now_ns);
	if (seq < j->next_seq && !(j->holding && seq + SL_JITTER_SLOTS > j->newest_seq))
		return refuse(j, p->packet, &j->stats.late, SL_JITTER_LATE);
	if (seq < j->next_seq) { /* came second, but is the first */
		j->next_seq = seq;
		j->next_ts = ts;
	}
	learn_frame(j, seq, ts);
	store(j, p, seq);
	j->heard_ns = now_ns;
	if (seq > j->newest_seq) {
		j->newest_seq = seq;
		j->newest_ts = ts;
	}
	return verdict;
}

void sl_jitter_note(struct sl_jitter *j, uint16_t seq)
{
	struct sl_jitter_packet nothing = {.ts = (uint32_t)j->newest_ts, .seq = seq};
	uint64_t whole;

	if (!j->begun)
		return;
	whole = sl_unwrap16(&j->seqs, seq);
	if (whole < j->next_seq || whole - j->next_seq > JUMP_SEQ || slot_of(j, whole))
		return;
	store(j, &nothing, whole);
	slot_of(j, whole)->empty = true;
	if (whole > j->newest_seq)
		j->newest_seq = whole;
}

/* ---- out */

struct when { /* a piece is taken out, and heard so much later */
	uint64_t now_ns, pending_ns;
};

static void take_out(struct sl_jitter *j, struct slot *s)
{
	s->used = false;
	j->waiting--;
	j->next_seq = s->seq + 1;
}

static struct slot *oldest(struct sl_jitter *j)
{
	for (uint64_t seq = j->next_seq; j->waiting > 0 && seq <= j->newest_seq; seq++) {
		struct slot *s = slot_of(j, seq);

		if (s)
			return s;
	}
	return NULL;
}

static uint64_t ts_of(const struct sl_jitter *j, const struct slot *s)
{
	return j->next_ts + (uint64_t)(int64_t)(int32_t)(s->p.ts - (uint32_t)j->next_ts);
}

/*
 * The packet has to be there when it is taken out, up to a whole pull before it is heard; what it
 * had to spare then is what counts. Pulls are as long as packets, or nearly, so that it may be a
 * pull more than the target without there being any choice.
 */
static int adjust_for(struct sl_jitter *j, uint64_t ts, uint64_t now_ns, uint64_t pending_ns)
{
	int64_t spare_ns = delay_of(j, ts, now_ns);
	int64_t spare_ms = spare_ns / (int64_t)SL_NS_PER_MS;
	int64_t delay_ms = (spare_ns + (int64_t)pending_ns) / (int64_t)SL_NS_PER_MS;

	j->delay_ms = delay_ms > 0 ? (uint32_t)delay_ms : 0;
	if (spare_ms > (int64_t)(j->target_ms + j->o.pull_ms + SLACK_MS))
		return -1;
	return spare_ms + UNDER_MS < (int64_t)j->target_ms ? 1 : 0;
}

static void play(struct sl_jitter *j, struct slot *s, const struct when *when,
		 struct sl_jitter_out *out)
{
	uint64_t ts = ts_of(j, s);

	out->what = SL_JITTER_PLAY;
	out->packet = s->p;
	out->adjust = adjust_for(j, ts, when->now_ns, when->pending_ns);
	j->played = s->p.packet;
	take_out(j, s);
	j->next_ts = ts + j->frame;
	j->waited = 0;
	j->stats.played++;
}

/* One missing packet; what was bridged over in its place counts for it. */
static void lose(struct sl_jitter *j, const struct slot *head, struct sl_jitter_out *out)
{
	uint64_t missing = head->seq - j->next_seq;
	uint64_t gap = ts_of(j, head) - j->next_ts;
	uint64_t each = gap / missing;

	if (missing > MISSING_MAX) {
		j->stats.lost += missing - 1;
		j->next_seq = head->seq - 1;
		j->next_ts = ts_of(j, head) - j->frame;
		each = j->frame;
		missing = 1;
	}
	j->stats.lost++;
	j->next_seq++;
	if (each == 0 || gap > (uint64_t)j->o.clock_hz * JUMP_S)
		each = j->frame;
	j->next_ts += each;
	out->what = SL_JITTER_LOST;
	out->packet = (struct sl_jitter_packet){.codec = head->p.codec};
	if (missing == 1)
		out->packet.payload = head->p.payload;
	out->duration = (uint32_t)(each > j->waited ? each - j->waited : 0);
	j->waited -= each > j->waited ? j->waited : each;
}

/* The next packet is there, but its time has not come: a pause. */
static bool is_pause(const struct sl_jitter *j, uint64_t ts)
{
	return j->frame > 0 && ts > j->next_ts + j->frame / 2;
}

static void pause_until(struct sl_jitter *j, uint64_t ts, const struct when *when,
			struct sl_jitter_out *out)
{
	/* When it should be heard: at the target over the fastest way. */
	int64_t due = base_of(j) + (int64_t)ns_of(j, ts) + (int64_t)(j->target_ms * SL_NS_PER_MS);
	int64_t left_ns = due - (int64_t)(when->now_ns + when->pending_ns);

	out->what = SL_JITTER_SILENCE;
	if (left_ns <= 0) {
		j->next_ts = ts;
		out->duration = 0;
		return;
	}
	out->duration = (uint32_t)((uint64_t)left_ns * j->o.clock_hz / SL_NS_PER_S);
	if (out->duration > j->frame)
		out->duration = j->frame;
	if (out->duration == 0)
		j->next_ts = ts;
}

/* More waits than any network needs, and the head is late by as much. Who makes up for a stall of
 * its own takes out what was due then, with all that came meanwhile behind it: nothing is late. */
static bool is_too_much(const struct sl_jitter *j, const struct slot *head, const struct when *when)
{
	const uint32_t most_ms = j->o.max_ms + SLACK_MS;
	const uint64_t ts = ts_of(j, head);

	return j->newest_ts > ts + (uint64_t)most_ms * j->o.clock_hz / 1000 &&
	       delay_of(j, ts, when->now_ns) > (int64_t)(most_ms * SL_NS_PER_MS);
}

/* After a stall that ended in a burst the oldest go. */
static struct slot *trim(struct sl_jitter *j, const struct when *when)
{
	struct slot *head = oldest(j);

	while (head && j->waiting > 1 && (head->empty || is_too_much(j, head, when))) {
		if (!head->empty) {
			j->stats.dropped++;
			j->next_ts = ts_of(j, head) + j->frame;
		} else if (head->seq != j->next_seq) {
			break; /* what is missing before it comes first */
		}
		release(j, head->p.packet);
		take_out(j, head);
		head = oldest(j);
	}
	return head;
}

static void get_next(struct sl_jitter *j, const struct when *when, struct sl_jitter_out *out)
{
	struct slot *head = trim(j, when);

	if (head && head->empty && head->seq == j->next_seq) {
		take_out(j, head);
		head = NULL;
	}
	if (!head) {
		out->what = SL_JITTER_WAIT;
		out->packet.codec = 0;
		return;
	}
	if (head->seq != j->next_seq) {
		lose(j, head, out);
		return;
	}
	if (is_pause(j, ts_of(j, head)))
		pause_until(j, ts_of(j, head), when, out);
	if (out->what != SL_JITTER_SILENCE || out->duration == 0)
		play(j, head, when, out);
}

void sl_jitter_get(struct sl_jitter *j, uint64_t now_ns, uint64_t pending_ns,
		   struct sl_jitter_out *ret_out)
{
	const struct when when = {now_ns, pending_ns};

	forget_played(j);
	*ret_out = (struct sl_jitter_out){.what = SL_JITTER_PLAY};
	if (j->holding && now_ns >= j->hold_until_ns)
		j->holding = false;
	if (!j->begun || j->holding || is_idle(j, now_ns)) {
		*ret_out = (struct sl_jitter_out){.what = SL_JITTER_SILENCE};
		return;
	}
	get_next(j, &when, ret_out);
}

void sl_jitter_waited(struct sl_jitter *j, uint32_t duration)
{
	j->waited += duration;
}

void sl_jitter_get_stats(const struct sl_jitter *j, struct sl_jitter_stats *ret_stats)
{
	*ret_stats = j->stats;
	ret_stats->target_ms = j->target_ms;
	ret_stats->delay_ms = j->delay_ms;
	ret_stats->waiting = j->waiting;
}
