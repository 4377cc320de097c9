/*
 * signaling-ws/limits.c: token bucket, names, and the patterns of room claims.
 *
 * Nothing here knows a connection or a clock. The bucket counts in thousandths, so that slow rates
 * fill evenly; the pattern match backtracks to the last star only, which is enough for '*' alone
 * and bounds the work to pattern * text.
 */
#include "limits.h"

#define MILLI 1000u
#define FILL_MAX_MS 3600000u /* keeps rate * time in 64 bits, and an hour fills any bucket */

void bucket_fill(struct bucket *b, uint32_t burst, uint64_t now_ms)
{
	b->milli = burst * MILLI;
	b->at_ms = now_ms;
}

bool bucket_take(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
	uint64_t milli;

	if (passed_ms > FILL_MAX_MS)
		passed_ms = FILL_MAX_MS;
	milli = b->milli + passed_ms * rate;
	if (milli > (uint64_t)burst * MILLI)
		milli = (uint64_t)burst * MILLI;
	b->at_ms = now_ms;
	b->milli = (uint32_t)milli;
	if (b->milli < MILLI)
		return false;
	b->milli -= MILLI;
	return true;
}

bool name_is_fair(struct sl_str name, size_t max)
{
	if (name.len > max || !sl_str_is_utf8(name))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = (uint8_t)name.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* U+0080..U+009F: C2 80..9F */
		if (c == 0xc2 && i + 1 < name.len && (uint8_t)name.p[i + 1] < 0xa0)
			return false;
	}
	return true;
}

bool glob_match(struct sl_str pattern, struct sl_str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.len && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

bool glob_match_any(struct sl_str patterns, struct sl_str text)
{
	while (patterns.len > 0)
		if (glob_match(sl_str_split(&patterns, '\n'), text))
			return true;
	return false;
}
