/*
 * signaling-ws/limits.h: small rules about what a client may say: how often, and with which names.
 * Pure.
 */
#ifndef SIGNALING_LIMITS_H
#define SIGNALING_LIMITS_H

#include <sluice/str.h>

/* A token bucket: `rate` tokens a second, at most `burst` at once. Times in ms of any one clock. */
struct bucket {
	uint64_t at_ms;
	uint32_t milli; /* tokens * 1000 */
};

void bucket_fill(struct bucket *b, uint32_t burst, uint64_t now_ms);
/* Takes one token; false: there is none. */
bool bucket_take(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ms);

/* Names go to other people's screens: valid UTF-8 without control characters, of at most max bytes.
 */
bool name_is_fair(struct sl_str name, size_t max);

/* Whether text matches a pattern in which '*' stands for any run of characters; no other is
 * special. */
bool glob_match(struct sl_str pattern, struct sl_str text);
/* Whether any of the patterns does, which stand one in a line. */
bool glob_match_any(struct sl_str patterns, struct sl_str text);

#endif
