/*
 * mixer/tones.c: what is told by tones, without words: up is in and heard, down is out and mute.
 */
#include "mixer.h"

enum { TONE_DBOV = -20 };

static const struct sl_tone_step entry[] = {{{587, 0}, 90}, {{880, 0}, 140}, {{0, 0}, 0}};
static const struct sl_tone_step left[] = {{{880, 0}, 90}, {{587, 0}, 140}, {{0, 0}, 0}};
static const struct sl_tone_step pin[] = {{{0, 0}, 400},   {{784, 0}, 120}, {{0, 0}, 80},
					  {{784, 0}, 120}, {{0, 0}, 80},    {{784, 0}, 120},
					  {{0, 0}, 0}};
static const struct sl_tone_step wrong[] = {
	{{330, 0}, 250}, {{0, 0}, 60}, {{262, 0}, 400}, {{0, 0}, 0}};
static const struct sl_tone_step muted[] = {{{660, 0}, 80}, {{440, 0}, 160}, {{0, 0}, 0}};
static const struct sl_tone_step unmuted[] = {{{440, 0}, 80}, {{660, 0}, 160}, {{0, 0}, 0}};

static const struct sl_tone_step understood[] = {{{660, 0}, 300}, {{0, 0}, 0}};

static const struct sl_tone_step *const steps[N_PROMPTS] = {
	[PROMPT_ENTRY] = entry,		  [PROMPT_EXIT] = left,	  [PROMPT_PIN] = pin,
	[PROMPT_WRONG] = wrong,		  [PROMPT_MUTED] = muted, [PROMPT_UNMUTED] = unmuted,
	[PROMPT_UNDERSTOOD] = understood,
};

void tones_begin(struct sl_tone *t, enum prompt prompt, unsigned hz)
{
	sl_tone_begin(t, steps[prompt], true, hz, TONE_DBOV);
}
