/*
 * mixer/phone.c: a phone, from the moment it wants into a room: the PIN, its place, digits, the
 * end.
 *
 * What is asked of it is told by tones, and answered by digits; a PIN is over with its length, or
 * with #. In the room, * and 6 turn it silent, and on again; 8 and 9: record.c.
 */
#include "mixer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sluice/crypto.h>

enum {
	MAX_TRIES = 3,
	PATIENCE_MS = 30000, /* for a PIN */
	STAR_MS = 3000,
	ALONE_HZ = 8000,
};

/* ---- the end */

void phone_end(struct phone *p, enum sl_mixer_end end, const char *why)
{
	if (p->state == PHONE_OVER)
		return;
	p->state = PHONE_OVER;
	p->end = end;
	(void)snprintf(p->why, sizeof p->why, "%s", why);
	p->is_ending = true;
	p->next_ending = p->mixer->ending;
	p->mixer->ending = p;
	sl_post(p->mixer->w->loop, &p->mixer->settle);
}

void phones_told(struct mixer *m)
{
	struct phone *p;

	while ((p = m->ending)) {
		m->ending = p->next_ending;
		p->is_ending = false;
		if (p->handler->ended) /* p may be gone then */
			p->handler->ended(p->arg, p->end, p->why);
	}
}

/* ---- tones */

bool phone_tone(struct phone *p, int16_t *pcm, size_t n)
{
	if (p->prompt == PROMPT_NONE)
		return false;
	if (!sl_tone_make(&p->tone, pcm, n))
		p->prompt = PROMPT_NONE;
	return true;
}

void phone_prompt(struct phone *p, enum prompt prompt)
{
	struct mixer *m = p->mixer;

	p->prompt = prompt;
	tones_begin(&p->tone, prompt, p->room ? p->room->hz : ALONE_HZ);
	if (p->room) {
		room_wake(p->room);
		return;
	}
	if (p->is_prompting)
		return;
	p->is_prompting = true;
	p->next_prompting = m->prompting;
	m->prompting = p;
	mixer_tick_on(m);
}

static void stop_prompting(struct phone *p)
{
	struct phone **link = &p->mixer->prompting;

	if (!p->is_prompting)
		return;
	p->is_prompting = false;
	while (*link != p)
		link = &(*link)->next_prompting;
	*link = p->next_prompting;
}

void phone_tick_alone(struct phone *p)
{
	struct mixer *m = p->mixer;

	if (phone_tone(p, m->pcm, ALONE_HZ / 1000 * MIX_MS)) {
		choir_solo(p, m->pcm, ALONE_HZ);
		return;
	}
	p->solo.broken = true;
	stop_prompting(p);
	if (p->n_tries == MAX_TRIES)
		phone_end(p, SL_MIXER_REFUSED, "wrong PIN");
}

/* ---- into the room */

static void on_silenced(void *arg, bool silenced)
{
	struct phone *p = arg;

	if (p->silenced == silenced)
		return;
	p->silenced = silenced;
	if (p->room)
		loudest_remove(&p->room->loudest, &p->source.voice);
	phone_prompt(p, silenced ? PROMPT_MUTED : PROMPT_UNMUTED);
}

static void leave_room(struct phone *p)
{
	struct room *r = p->room;

	if (!r)
		return;
	choir_assign(p, &(struct sl_mixer_format){.codec = SL_CODEC_NONE});
	speak_close(p);
	picture_leave(p);
	p->room = NULL;
	room_remove(r, p);
	sl_gauge_add(&p->mixer->m[p->listens ? M_listeners : M_phones], -1);
}

static void on_ended(void *arg, const char *why)
{
	struct phone *p = arg;
	bool removed = strcmp(why, "kicked") == 0 || strcmp(why, "removed") == 0;

	p->member = NULL;
	leave_room(p);
	phone_end(p, removed ? SL_MIXER_REMOVED : SL_MIXER_LEFT, why);
}

static void on_picture(void *arg, const struct sl_room_picture *picture)
{
	picture_play(arg, picture);
}

static void on_key_frame(void *arg, struct sl_room_source *source)
{
	picture_ask(arg, source);
}

static const struct sl_room_handler member_handler = {.silenced = on_silenced,
						      .ended = on_ended,
						      .picture = on_picture,
						      .key_frame = on_key_frame};

static enum sl_mixer_end end_of(int rc)
{
	switch (rc) {
	case -SL_ELIMIT:
		return SL_MIXER_FULL;
	case -SL_EDENIED:
	case -SL_EINVAL:
		return SL_MIXER_NO_ROOM;
	default:
		return SL_MIXER_FAILED;
	}
}

static const char *sentence_of(enum sl_mixer_end end)
{
	switch (end) {
	case SL_MIXER_FULL:
		return "the room is full";
	case SL_MIXER_NO_ROOM:
		return "there is no such room";
	default:
		return "the room cannot be entered";
	}
}

static int become_member(struct phone *p)
{
	struct mixer *m = p->mixer;
	const struct sl_room_opts o = {.room = {p->wanted, p->wanted_len},
				       .name = sl_str_c(p->name),
				       .grants = SL_MAY_PUBLISH_AUDIO | SL_MAY_PUBLISH_VIDEO,
				       .handler = &member_handler,
				       .arg = p};
	int rc = m->rooms->join(m->rooms_self, &o, &p->member);

	if (rc < 0)
		return rc;
	p->peer = m->rooms->peer(p->member);
	return speak_open(p);
}

static void not_entered(struct phone *p, int rc)
{
	enum sl_mixer_end end = end_of(rc);

	mixer_count(p->mixer, M_refused);
	p->mixer->rooms->leave(p->member);
	p->member = NULL;
	leave_room(p);
	phone_end(p, end, sentence_of(end));
}

static void enter(struct phone *p)
{
	struct mixer *m = p->mixer;
	struct room *r = room_get(m, (struct sl_str){p->wanted, p->wanted_len}, p->rules);
	int rc = r ? 0 : -SL_ENOMEM;

	sl_timer_cancel(m->w->loop, &p->patience);
	stop_prompting(p);
	p->prompt = PROMPT_NONE;
	p->solo.broken = true;
	if (r) {
		p->state = PHONE_IN;
		p->room = r;
		room_add(r, p);
		sl_gauge_add(&m->m[p->listens ? M_listeners : M_phones], 1);
		choir_assign(p, &p->format);
		room_set_rate(r);
		rc = p->listens ? 0 : become_member(p);
	}
	if (rc < 0) {
		not_entered(p, rc);
		return;
	}
	if (!p->listens) {
		mixer_count(m, M_joined);
		picture_enter(p);
	}
	room_recount(r);
}

/* ---- digits */

static void on_patience(struct sl_timer *t)
{
	struct phone *p = t->arg;

	mixer_count(p->mixer, M_refused);
	phone_end(p, SL_MIXER_REFUSED, "no PIN was given");
}

static void ask_pin(struct phone *p)
{
	p->n_digits = 0;
	phone_prompt(p, PROMPT_PIN);
	sl_timer_set(p->mixer->w->loop, &p->patience, PATIENCE_MS);
}

static bool pin_is_right(const struct phone *p)
{
	struct sl_str pin = p->rules->pin;

	return p->n_digits == pin.len && sl_mem_eq(p->digits, pin.p, pin.len);
}

static void judge_pin(struct phone *p)
{
	if (pin_is_right(p)) {
		enter(p);
		return;
	}
	mixer_count(p->mixer, M_wrong_pins);
	p->n_digits = 0;
	if (++p->n_tries == MAX_TRIES) {
		sl_timer_cancel(p->mixer->w->loop, &p->patience);
		mixer_count(p->mixer, M_refused);
	}
	phone_prompt(p, PROMPT_WRONG); /* the third ends with it */
}

static void pin_digit(struct phone *p, char digit)
{
	if (p->n_tries == MAX_TRIES)
		return;
	sl_timer_set(p->mixer->w->loop, &p->patience, PATIENCE_MS);
	if (digit != '#' && p->n_digits < MAX_PIN)
		p->digits[p->n_digits++] = digit;
	if (digit == '#' || p->n_digits == p->rules->pin.len)
		judge_pin(p);
}

static void set_muted(struct phone *p, bool muted)
{
	p->muted = muted;
	if (p->track)
		p->mixer->rooms->set_muted(p->track, muted);
	if (muted)
		loudest_remove(&p->room->loudest, &p->source.voice);
	phone_prompt(p, muted ? PROMPT_MUTED : PROMPT_UNMUTED);
}

static void star_digit(struct phone *p, char digit)
{
	if (digit == '6')
		set_muted(p, !p->muted);
	else if (digit == '8' || digit == '9')
		record_digit(p, digit);
}

static void room_digit(struct phone *p, char digit)
{
	uint64_t now_ms = mixer_now_ms(p->mixer);

	if (digit == '*') {
		p->star_ms = now_ms;
		return;
	}
	if (p->star_ms && now_ms - p->star_ms < STAR_MS)
		star_digit(p, digit);
	p->star_ms = 0;
}

static void phone_digit(struct sl_mixer_phone *self, char digit)
{
	struct phone *p = (struct phone *)self;

	if (p->state == PHONE_ASKED)
		pin_digit(p, digit);
	else if (p->state == PHONE_IN && !p->listens)
		room_digit(p, digit);
}

/* ---- what it says and hears */

static unsigned rate_of(const struct phone *p, const struct sl_audio_packet *packet)
{
	unsigned hz = sl_audio_codec_hz(packet->codec, packet->clock_hz);

	if (packet->codec == SL_CODEC_CN && p->source.audio)
		return p->source.hz;
	return packet->codec == SL_CODEC_OPUS || hz == 0 ? p->room->hz : hz;
}

static void decode(struct phone *p, const struct sl_audio_packet *packet, uint64_t now_ns)
{
	struct source *s = &p->source;
	uint64_t now_ms = now_ns / SL_NS_PER_MS;
	int hint = source_hint(packet);

	s->heard_ms = now_ms;
	s->hinted = hint <= 0;
	if (s->hinted)
		(void)loudest_heard(&p->room->loudest, &s->voice, hint, now_ms);
	if ((s->hinted && !source_speaks(s, now_ms)) || !room_has_audience(p->room)) {
		source_skip(s);
		return;
	}
	source_put(s, rate_of(p, packet), packet, now_ns);
	room_wake(p->room);
}

static void phone_hear(struct sl_mixer_phone *self, const struct sl_audio_packet *packet,
		       uint64_t now_ns)
{
	struct phone *p = (struct phone *)self;

	if (p->state != PHONE_IN || p->listens)
		return;
	if (p->muted || p->silenced) {
		source_skip(&p->source);
		return;
	}
	if (packet->codec != SL_CODEC_CN)
		p->codec = packet->codec;
	decode(p, packet, now_ns);
	if (packet->codec == SL_CODEC_OPUS)
		speak_relay(p, packet);
}

static void phone_restart(struct sl_mixer_phone *self)
{
	source_restart(&((struct phone *)self)->source);
}

static void phone_set_format(struct sl_mixer_phone *self, const struct sl_mixer_format *f)
{
	struct phone *p = (struct phone *)self;

	if (p->format.codec == f->codec && p->format.clock_hz == f->clock_hz &&
	    p->format.ptime_ms == f->ptime_ms)
		return;
	p->format = *f;
	if (!p->room)
		return;
	choir_assign(p, f);
	room_set_rate(p->room);
}

static void phone_set_loss(struct sl_mixer_phone *self, unsigned percent)
{
	((struct phone *)self)->loss = percent;
}

/* ---- life */

/* What signalling takes as a name: no control characters, UTF-8, and not without end. */
static void keep_name(char dst[MAX_NAME + 1], struct sl_str name)
{
	size_t n = 0;

	for (size_t i = 0; i < name.len && n < MAX_NAME; i++)
		if ((unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7f)
			dst[n++] = name.p[i];
	while (n > 0 && !sl_str_is_utf8((struct sl_str){dst, n}))
		n--;
	dst[n] = '\0';
	if (n == 0)
		(void)sl_str_copy(dst, MAX_NAME + 1, SL_STR("phone"));
}

/* NULL: out of memory */
static struct phone *phone_new(struct mixer *m, const struct sl_mixer_opts *o)
{
	struct phone *p = calloc(1, sizeof *p + o->room.len + 1);

	if (!p)
		return NULL;
	p->mixer = m;
	p->handler = o->handler;
	p->arg = o->arg;
	p->source.mixer = m;
	p->source.level = SL_AUDIO_SILENT;
	p->own_at = -1;
	p->patience = (struct sl_timer){.fn = on_patience, .arg = p};
	p->rules = mixer_rules(m->conf, o->room);
	p->wanted_len = o->room.len;
	if (o->room.len > 0)
		memcpy(p->wanted, o->room.p, o->room.len);
	keep_name(p->name, o->name);
	p->next = m->phones;
	if (p->next)
		p->next->prev = p;
	m->phones = p;
	return p;
}

static int phone_join(void *self, const struct sl_mixer_opts *o, struct sl_mixer_phone **ret_phone)
{
	struct phone *p = phone_new(self, o);

	if (!p)
		return -SL_ENOMEM;
	*ret_phone = (struct sl_mixer_phone *)p;
	if (p->rules && p->rules->pin.len > 0)
		ask_pin(p);
	else
		enter(p);
	return 0;
}

static int phone_listen(void *self, const struct sl_mixer_opts *o,
			struct sl_mixer_phone **ret_phone)
{
	struct phone *p = phone_new(self, o);

	if (!p)
		return -SL_ENOMEM;
	p->listens = true;
	*ret_phone = (struct sl_mixer_phone *)p;
	enter(p);
	return 0;
}

static uint64_t phone_peer(const struct sl_mixer_phone *self)
{
	const struct phone *p = (const struct phone *)self;

	return p->member ? p->peer : 0;
}

static void not_to_be_told(struct phone *p)
{
	struct phone **link = &p->mixer->ending;

	if (!p->is_ending)
		return;
	p->is_ending = false;
	while (*link != p)
		link = &(*link)->next_ending;
	*link = p->next_ending;
}

/* Out of everything; what is left is the memory that its owner holds. */
static void let_go(struct phone *p)
{
	struct mixer *m = p->mixer;

	p->state = PHONE_OVER;
	sl_timer_cancel(m->w->loop, &p->patience);
	stop_prompting(p);
	not_to_be_told(p);
	m->rooms->leave(p->member);
	p->member = NULL;
	leave_room(p);
	stream_free(&p->solo);
	source_free(&p->source);
	if (p->prev)
		p->prev->next = p->next;
	else
		m->phones = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->mixer = NULL;
}

void phones_let_go(struct mixer *m)
{
	while (m->phones)
		let_go(m->phones);
}

static void phone_leave(struct sl_mixer_phone *self)
{
	struct phone *p = (struct phone *)self;

	if (!p)
		return;
	if (p->mixer)
		let_go(p);
	sl_wipe(p->digits, sizeof p->digits);
	picture_free(p);
	free(p);
}

const struct sl_mixer_iface phone_iface = {
	.join = phone_join,
	.leave = phone_leave,
	.set_format = phone_set_format,
	.hear = phone_hear,
	.restart = phone_restart,
	.digit = phone_digit,
	.set_loss = phone_set_loss,
	.listen = phone_listen,
	.say = phone_say,
	.watch = phone_watch,
	.ask_picture = phone_ask_picture,
	.show = phone_show,
	.cover = phone_cover,
	.cameras = phone_cameras,
	.peer = phone_peer,
	.clock = phone_clock,
	.delay_ms = phone_delay_ms,
};
