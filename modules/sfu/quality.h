/*
 * sfu/quality.h: how good a participant's line is: a number, and a word for people. Pure.
 *
 * Told once a second what became of the packets each way, and what there was to carry; says when
 * others should hear of it: at changes, not at every wavering.
 */
#ifndef SFU_QUALITY_H
#define SFU_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

enum quality_word { /* spoken between workers: append only */
	QUALITY_UNKNOWN,
	QUALITY_LOST, /* nothing goes through */
	QUALITY_POOR,
	QUALITY_GOOD,
	QUALITY_EXCELLENT,
	N_QUALITY_WORDS
};

enum { QUALITY_LOOK_MS = 1000, QUALITY_BEST = 100 };

/* One way, as counted since it began. */
struct quality_sample {
	bool there; /* such a connection is open */
	bool lost;  /* it was connected; nothing is heard of the peer now */
	uint64_t packets, lost_packets; /* that were to arrive; that did not, at first */
	uint32_t jitter_us, rtt_us;
	uint64_t wanted_bps, got_bps; /* of media that there is or was; that goes through */
};

/* One way in the last seconds, as it is told. */
struct quality_way {
	bool known;
	uint16_t loss_permille, jitter_ms, rtt_ms;
	uint32_t wanted_kbps, got_kbps;
};

struct quality_news {
	enum quality_word word;
	uint8_t score; /* 0 to 100 */
	struct quality_way up, down; /* from the participant; to it */
};

struct quality_meter { /* of one way */
	uint64_t packets, lost_packets; /* of the sample before */
	double loss;			/* 0 to 1, smoothed */
	unsigned n_looks, n_short;	/* short: in a row with less than is wanted */
	bool begun;
};

/* Of one participant; zeroed at first. */
struct quality {
	struct quality_meter up, down;
	double score; /* smoothed */
	bool judged;
	uint8_t n_better, n_worse; /* looks in a row that speak for another word */
	enum quality_word word;
	uint64_t told_ms;
	struct quality_news told;
};

/* Every QUALITY_LOOK_MS; true: q->told is new. */
bool quality_look(struct quality *q, const struct quality_sample *up,
		  const struct quality_sample *down, uint64_t now_ms);
const char *quality_name(unsigned word);

#endif
