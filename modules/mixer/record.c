/*
 * mixer/record.c: recordings that a phone begins and ends by digits, where its room permits it: *9
 * begins and ends, *8 pauses and goes on. What comes of it everybody in the room is told by the
 * recorder; the phone hears at once whether it was understood.
 */
#include "mixer.h"

#include <sluice/record.h>

static bool verb_of(char digit, enum sl_record_state state, enum sl_record_verb *ret_verb)
{
	if (digit == '9')
		*ret_verb = state == SL_RECORD_OFF ? SL_RECORD_START : SL_RECORD_STOP;
	else
		*ret_verb = state == SL_RECORD_ON ? SL_RECORD_PAUSE : SL_RECORD_RESUME;
	return digit == '9' || state != SL_RECORD_OFF;
}

static int tell(const struct phone *p, char digit)
{
	const struct sl_str room = {p->wanted, p->wanted_len};
	const struct sl_record_iface *recorder;
	enum sl_record_verb verb;
	void *self;

	recorder = sl_iface_get(p->mixer->w, SL_RECORD_IFACE, 1, &self);
	if (!recorder || !verb_of(digit, recorder->state(self, room), &verb))
		return -SL_EDENIED;
	return recorder->tell(self, room, verb, sl_str_c(p->name));
}

void record_digit(struct phone *p, char digit)
{
	if (p->rules && p->rules->record)
		phone_prompt(p, tell(p, digit) == 0 ? PROMPT_UNDERSTOOD : PROMPT_WRONG);
}
