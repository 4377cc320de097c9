/*
 * A stream over a network that loses, delays, reorders and duplicates, with retransmissions on
 * request: over 20 seeds every packet arrives once, what is counted agrees with what was done, and
 * questions are not asked more often than needed.
 */
#include "lib/test.h"
#include "proto/rtp_recv.h"

#define MS UINT64_C(1000000)

enum { PACKETS = 20000, ONE_WAY_MS = 30, SLOTS = 1 << 16, SEEDS = 20 };

struct flight {
	uint64_t at_ns;
	uint16_t seq;
	bool retransmission;
};

struct world {
	struct rtp_recv *recv;
	uint64_t now_ns, chance;
	unsigned loss_permille;
	struct flight flights[SLOTS]; /* in no order */
	unsigned n_flights;
	uint16_t first;
	uint32_t times[PACKETS]; /* delivered */
	unsigned n_sent, n_lost, n_duplicated, n_asked, n_delivered;
};

static struct world w;

static unsigned pick(unsigned n)
{
	w.chance = w.chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w.chance >> 33) % n;
}

static void launch(uint16_t seq, bool retransmission)
{
	uint64_t delay = ONE_WAY_MS * MS + pick(10) * MS;

	sl_assert(w.n_flights < SLOTS);
	if (pick(100) == 0)
		delay += pick(40) * MS;
	w.flights[w.n_flights++] = (struct flight){w.now_ns + delay, seq, retransmission};
}

static void send(uint16_t seq, bool retransmission)
{
	if (pick(1000) < w.loss_permille) {
		w.n_lost += !retransmission;
		return;
	}
	launch(seq, retransmission);
	if (pick(200) == 0) {
		launch(seq, retransmission);
		w.n_duplicated++;
	}
}

static void arrive(const struct flight *f)
{
	struct sl_rtp rtp = {.seq = f->seq, .len = 1000, .ts = (uint32_t)(uint16_t)(f->seq - w.first) * 90};
	enum rtp_recv_verdict verdict;
	uint64_t seq;

	verdict = rtp_recv_packet(w.recv, &rtp, f->retransmission, w.now_ns, &seq);
	if (verdict == RTP_NEW) {
		w.times[seq - 65536 - w.first]++;
		w.n_delivered++;
	} else {
		sl_assert(verdict == RTP_DUPLICATE);
	}
}

static void land(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w.n_flights; i++) {
		if (w.flights[i].at_ns <= w.now_ns)
			arrive(&w.flights[i]);
		else
			w.flights[kept++] = w.flights[i];
	}
	w.n_flights = kept;
}

/* The question travels, too: the answer leaves a way later, here by being delayed twice. */
static void ask(void)
{
	uint16_t seqs[64];
	bool gave_up;
	unsigned n = rtp_recv_nacks(w.recv, w.now_ns, 2 * ONE_WAY_MS * 1000 + 10000, seqs, 64, &gave_up);

	w.n_asked += n;
	for (unsigned i = 0; i < n; i++) {
		if (pick(1000) < w.loss_permille)
			continue;
		w.now_ns += ONE_WAY_MS * MS;
		send(seqs[i], true);
		w.now_ns -= ONE_WAY_MS * MS;
	}
	sl_assert(!gave_up);
}

static void run(uint64_t seed)
{
	w = (struct world){.chance = seed, .now_ns = 1000 * MS, .loss_permille = 10 + 10 * (unsigned)(seed % 10)};
	w.first = (uint16_t)(65536 - pick(3000));
	sl_assert(rtp_recv_new(&w.recv, 1, 90000, true) == 0);
	launch(w.first, false); /* what it overtakes would not be missed */
	w.flights[0].at_ns = w.now_ns;
	for (unsigned i = 1; i < PACKETS + 2000; i++) {
		w.now_ns += MS;
		if (i < PACKETS - 1)
			send((uint16_t)(w.first + i), false);
		else if (i == PACKETS - 1)
			launch((uint16_t)(w.first + i), false); /* the last one shows what is missing */
		land();
		if (w.now_ns >= rtp_recv_next_ns(w.recv))
			ask();
	}
}

TEST(everything_arrives_once_over_20_seeds)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct rtp_recv_stats s;

		run(seed);
		for (unsigned i = 0; i < PACKETS; i++)
			if (w.times[i] != 1)
				TEST_FAIL("seed %u: packet %u arrived %u times", (unsigned)seed, i, w.times[i]);
		rtp_recv_get_stats(w.recv, &s);
		CHECK_INT(s.packets, PACKETS);
		CHECK_INT(s.jumps, 0);
		/* a late one that was asked for may arrive as its own retransmission */
		CHECK(s.lost >= w.n_lost && s.lost <= w.n_lost + PACKETS / 50);
		CHECK_INT(s.lost, s.recovered);
		/* each try succeeds with (1 - loss) squared; late packets are asked for in vain */
		CHECK(w.n_asked >= w.n_lost && w.n_asked < w.n_lost * 14 / 10 + PACKETS / 50);
		rtp_recv_free(w.recv);
	}
}

TEST_MAIN()
