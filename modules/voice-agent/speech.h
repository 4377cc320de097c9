/*
 * voice-agent/speech.h: what an agent has said and nobody has heard yet: sound, and marks in it.
 * Sans-I/O.
 */
#ifndef VOICE_AGENT_SPEECH_H
#define VOICE_AGENT_SPEECH_H

#include <sluice/str.h>

enum { SPEECH_MARK_MAX = 64, SPEECH_MARKS_MAX = 256 };

struct speech_piece;
struct speech {
	struct speech_piece *first, **tail;
	size_t held, max; /* bytes of sound */
	unsigned n_marks;
};

void speech_init(struct speech *s, size_t max);
void speech_free(struct speech *s);
/* Copied. -SL_EFULL: more than is kept; -SL_ENOMEM */
SL_MUST_CHECK int speech_put(struct speech *s, struct sl_str sound);
/* A name at this place, 1 .. SPEECH_MARK_MAX bytes. -SL_EINVAL; -SL_EFULL; -SL_ENOMEM */
SL_MUST_CHECK int speech_mark(struct speech *s, struct sl_str name);
/* Up to n bytes, up to the next mark; returns how many. */
size_t speech_take(struct speech *s, uint8_t *dst, size_t n);
/* What was put in at once, if it is next; 0: it is not, or has no room in cap and is gone. */
size_t speech_take_piece(struct speech *s, uint8_t *dst, size_t cap);
/* A mark that all sound before is taken of, with NUL behind; false: none */
bool speech_reached(struct speech *s, char ret_name[SPEECH_MARK_MAX + 1]);
/* Forgets the sound; the marks are reached now. Returns how many bytes. */
size_t speech_clear(struct speech *s);

#endif
