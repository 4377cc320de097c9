/*
 * sip-gateway/leg.c: a leg's life, and the worker's clocks.
 *
 * A leg that is closed is taken down when the tick ends: it may be closed by a callback that its
 * own packet has caused.
 */
#include "conf.h"
#include "leg_impl.h"

#include <stdlib.h>
#include <sluice/crypto.h>
#include <sluice/module.h>

enum {
	BUSY_PERMILLE = 700,
	IDLE_PERMILLE = 450,
	MOST_EFFORT = 5, /* of `auto` */
	MANY_LATE = 10,	 /* ticks of a second that came too late: others have the CPU */
};

const struct sl_directive legs_fields[] = {
	SL_FIELD(struct legs_conf, addresses, SL_T_ADDR, .list = true, .max = 2,
		 .doc = "Addresses of this host where media of telephones arrives, at most one of "
			"each family, without port. Without one there are no legs of plain RTP."),
	SL_FIELD(struct legs_conf, advertise, SL_T_ADDR, .list = true, .max = 2,
		 .doc = "What descriptions say instead, where a NAT stands in between; one for "
			"each family."),
	SL_FIELD(struct legs_conf, ports, SL_T_PORTS, .dflt = "20000-29999",
		 .doc = "UDP ports for media; a call leg needs two."),
	SL_FIELD(struct legs_conf, dscp, SL_T_INT, .dflt = "46", .min = 0, .max = 63,
		 .doc = "Mark of outgoing media (RFC 4594: 46 is expedited forwarding)."),
	SL_FIELD(struct legs_conf, video_dscp, SL_T_INT, .dflt = "34", .min = 0, .max = 63,
		 .doc = "The same of video (RFC 4594: 34 is AF41)."),
	SL_FIELD(struct legs_conf, video_kbps, SL_T_INT, .dflt = "1500", .min = 0, .max = 100000,
		 .doc = "What is sent to a telephone that does not say how much video it takes "
			"(b=AS, b=TIAS), in kbit/s. 0: no limit."),
	SL_FIELD(struct legs_conf, complexity, SL_T_STR, .dflt = "auto",
		 .doc = "Effort of Opus encoders where packets are lost, 0 to 10; auto: 5, "
			"and less under load, when it comes to the worst without redundancy."),
	SL_FIELD(struct legs_conf, delay_max, SL_T_MSEC, .dflt = "200ms", .min = 20, .max = 400,
		 .doc = "How far the jitter buffer may grow where speech is decoded."),
	SL_DIRS_END};

static const char *const state_names[] = {"new", "agreed", "connected", "silent", "failed"};

const char *leg_state_name(unsigned state)
{
	return state < SL_ARRAY_LEN(state_names) ? state_names[state] : "?";
}

uint64_t leg_now_ns(const struct leg *l)
{
	return sl_loop_ns(l->all->w->loop);
}

const struct leg_handler *leg_handler_of(const struct leg *l)
{
	static const struct leg_handler none;

	return l->closed || !l->o.handler ? &none : l->o.handler;
}

void leg_tell_state(struct leg *l, enum leg_state state, const char *why)
{
	if (l->state == state)
		return;
	l->state = state;
	if (leg_handler_of(l)->state)
		leg_handler_of(l)->state(l->o.arg, l, state, why);
}

/* ---- the fast clock */

static void arm_tick(struct legs *all)
{
	struct sl_loop *loop = all->w->loop;

	sl_timer_set(loop, &all->tick, sl_pace_wait_ms(&all->pace, sl_loop_ns(loop)));
}

void leg_tick_on(struct leg *l)
{
	struct legs *all = l->all;

	if (l->ticking || l->closed)
		return;
	l->ticking = true;
	l->tick_prev = NULL;
	l->tick_next = all->ticking[l->phase];
	if (l->tick_next)
		l->tick_next->tick_prev = l;
	all->ticking[l->phase] = l;
	if (all->n_ticking++ > 0)
		return;
	sl_pace_begin(&all->pace, TICK_MS, sl_loop_ns(all->w->loop));
	arm_tick(all);
}

static void tick_off(struct leg *l)
{
	if (!l->ticking)
		return;
	l->ticking = false;
	if (l->tick_prev)
		l->tick_prev->tick_next = l->tick_next;
	else
		l->all->ticking[l->phase] = l->tick_next;
	if (l->tick_next)
		l->tick_next->tick_prev = l->tick_prev;
	if (--l->all->n_ticking == 0)
		sl_timer_cancel(l->all->w->loop, &l->all->tick);
}

static void run_phase(struct legs *all)
{
	struct leg *l = all->ticking[all->n_ticks++ % N_PHASES], *next;

	for (; l; l = next) {
		next = l->tick_next;
		if (leg_is_made(l))
			leg_make(l, all->pace.due_ns);
		else
			tick_off(l);
	}
}

/* One step at a time, also when more is to be made up for: the loop reads between. */
static void on_tick(struct sl_timer *t)
{
	struct legs *all = t->arg;
	uint64_t now = sl_loop_ns(all->w->loop), left_out;

	all->n_late += sl_pace_is_late(&all->pace, now);
	left_out = sl_pace_skip(&all->pace, now);
	if (left_out > 0 && all->m) /* not there where another module has legs */
		sl_count_n(&all->m[M_MEDIA_LEFT_OUT], left_out);
	if (all->n_ticking > 0 && sl_pace_is_due(&all->pace, now)) {
		run_phase(all);
		sl_pace_step(&all->pace);
	}
	if (all->n_ticking > 0)
		arm_tick(all);
}

/* ---- the slow clock */

static void check_silence(struct leg *l)
{
	uint64_t since = l->heard_ns > l->agreed_ns ? l->heard_ns : l->agreed_ns;
	uint64_t quiet_ns = leg_now_ns(l) - since;

	if (l->o.silence_ms == 0 || !(l->direction & SL_SDP_RECVONLY) ||
	    (l->state != LEG_AGREED && l->state != LEG_CONNECTED))
		return;
	if (quiet_ns > (uint64_t)l->o.silence_ms * SL_NS_PER_MS)
		leg_tell_state(l, LEG_SILENT, "nothing is heard");
}

/* Speech first, beauty second: under load encoders make less effort, be it ours or that of others
 * on the same core. */
static void adapt_effort(struct legs *all)
{
	uint64_t cpu = sl_clock_cpu_ns();
	uint64_t permille = (cpu - all->cpu_ns) / (SL_NS_PER_S / 1000);
	bool late = all->n_late > MANY_LATE;

	all->cpu_ns = cpu;
	all->n_late = 0;
	if (!all->adaptive)
		return;
	if ((permille > BUSY_PERMILLE || late) && all->complexity > 0)
		all->complexity--;
	else if (permille < IDLE_PERMILLE && !late && all->complexity < all->max_complexity)
		all->complexity++;
}

static void on_second(struct sl_timer *t)
{
	struct legs *all = t->arg;
	struct leg *l, *next;

	all->n_seconds++;
	adapt_effort(all);
	for (l = all->first; l; l = next) {
		next = l->next;
		if (l->closed) /* by what the one before has told */
			continue;
		leg_hear_time(l);
		leg_adapt(l);
		leg_room_second(l);
		leg_track_second(l);
		leg_copy_second(l);
		leg_video_second(l);
		leg_sync_second(l);
		if (l->line && (all->n_seconds + l->phase) % REPORT_S == 0)
			leg_port_report(l, false);
		check_silence(l);
	}
	if (all->n > 0)
		sl_timer_set(all->w->loop, t, 1000);
}

/* ---- all of a worker */

static void free_leg(struct leg *l)
{
	sl_rtc_close(l->rtc, "closed");
	leg_port_close(l);
	sl_line_free(l->line);
	sl_audio_source_free(l->source);
	sl_dtmf_ear_free(l->ear);
	sl_resampler_free(l->ear_rate);
	sl_audio_sink_free(l->sink);
	sl_audio_decoder_free(l->ear_decoder);
	leg_keys_wipe(&l->keys);
	leg_video_free(l);
	free(l);
}

static void on_bury(struct sl_post *p)
{
	struct legs *all = p->arg;
	struct leg *l;

	while ((l = all->dying)) {
		all->dying = l->next;
		free_leg(l);
	}
}

/* A wildcard cannot be told to anybody. */
static bool is_told(const struct legs_conf *conf, const struct sl_addr *a)
{
	if (sl_addr_classify(a) != SL_ADDR_UNSPECIFIED)
		return true;
	for (size_t i = 0; i < conf->advertise.n; i++)
		if (SL_LIST_AT(conf->advertise, struct sl_addr, i)->family == a->family)
			return true;
	return false;
}

static bool read_complexity(struct sl_str text, bool *ret_auto, unsigned *ret_value)
{
	uint64_t n = MOST_EFFORT;

	*ret_auto = sl_str_eq(text, SL_STR("auto"));
	if (!*ret_auto && (sl_str_u64(text, &n) < 0 || n > 10))
		return false;
	*ret_value = (unsigned)n;
	return true;
}

bool legs_complexity_is_good(struct sl_str text)
{
	unsigned value;
	bool adaptive;

	return read_complexity(text, &adaptive, &value);
}

void legs_set_music(struct legs *all, const struct sound *music)
{
	all->music = music;
}

int legs_open(struct sl_worker *w, const struct legs_conf *conf, struct legs **ret_legs)
{
	struct legs *all;

	for (size_t i = 0; i < conf->addresses.n; i++)
		if (!is_told(conf, SL_LIST_AT(conf->addresses, struct sl_addr, i)))
			return -SL_EINVAL;
	all = calloc(1, sizeof *all);
	if (!all)
		return -SL_ENOMEM;
	all->w = w;
	all->m = sl_worker_meters(w, "sip-gateway");
	all->conf = conf;
	(void)read_complexity(conf->complexity, &all->adaptive, &all->max_complexity); /* checked */
	all->complexity = all->max_complexity;
	all->cpu_ns = sl_clock_cpu_ns();
	all->tick = (struct sl_timer){.fn = on_tick, .arg = all};
	all->second = (struct sl_timer){.fn = on_second, .arg = all};
	all->bury = (struct sl_post){.fn = on_bury, .arg = all};
	*ret_legs = all;
	return 0;
}

void legs_close(struct legs *all)
{
	if (!all)
		return;
	while (all->first)
		leg_close(all->first, "the worker stops");
	sl_post_cancel(all->w->loop, &all->bury);
	on_bury(&all->bury);
	sl_timer_cancel(all->w->loop, &all->tick);
	sl_timer_cancel(all->w->loop, &all->second);
	free(all);
}

/* ---- a leg */

static int open_line(struct leg *l)
{
	struct sl_line_opts o = {0};
	char cname[24];
	uint8_t random[12];

	if (sl_random(random, sizeof random) < 0)
		return -SL_ESYS;
	sl_hex_encode(cname, random, 8);
	o.ssrc = sl_get32(random + 8);
	o.cname = sl_str_c(cname);
	l->sdp_id = sl_get64(random) >> 2; /* fits the 63 bits that some read */
	return sl_line_new(&l->line, &o);
}

/* Numbers begin in the lower half, so that SRTP's roll-over counter is never in doubt (RFC 3711
 * section 3.3.1). */
static int draw_out(struct leg *l)
{
	uint8_t random[8];

	if (sl_random(random, sizeof random) < 0)
		return -SL_ESYS;
	l->out.next_seq = sl_get16(random) & 0x3fff;
	l->out.ts = sl_get32(random + 2);
	return 0;
}

int leg_open(struct legs *all, const struct leg_opts *o, struct leg **ret_leg)
{
	struct leg *l;
	int err;

	if (o->profile != LEG_WEBRTC && all->conf->addresses.n == 0)
		return -SL_EUNSUPP;
	l = calloc(1, sizeof *l);
	if (!l)
		return -SL_ENOMEM;
	l->all = all;
	l->o = *o;
	(void)sl_str_copy(l->room, sizeof l->room, o->room);
	(void)sl_str_copy(l->name, sizeof l->name, o->peer);
	l->o.room = sl_str_c(l->room);
	l->o.peer = sl_str_c(l->name);
	l->wanted = SL_SDP_SENDRECV;
	l->video_at = MAX_SECTIONS;
	l->phase = (uint8_t)(all->next_phase++ % N_PHASES);
	err = draw_out(l);
	if (err == 0 && o->profile != LEG_WEBRTC)
		err = open_line(l);
	if (err < 0) {
		free_leg(l);
		return err;
	}
	l->next = all->first;
	if (l->next)
		l->next->prev = l;
	all->first = l;
	if (all->n++ == 0)
		sl_timer_set(all->w->loop, &all->second, 1000);
	*ret_leg = l;
	return 0;
}

static void unlink_leg(struct leg *l)
{
	if (l->prev)
		l->prev->next = l->next;
	else
		l->all->first = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->all->n--;
}

void leg_close(struct leg *l, const char *why)
{
	if (!l || l->closed)
		return;
	(void)why; /* for the session of a WebRTC leg, which is closed when the tick ends */
	leg_unbridge(l);
	leg_copy_end(l);
	leg_track_end(l);
	leg_video_end(l);
	if (l->line && l->agreed_ns)
		leg_port_report(l, true);
	tick_off(l);
	unlink_leg(l);
	l->closed = true;
	l->prev = NULL;
	l->next = l->all->dying;
	l->all->dying = l;
	sl_post(l->all->w->loop, &l->all->bury);
}

/* ---- descriptions */

int leg_offer(struct leg *l, bool restart, struct sl_buf *ret_sdp)
{
	return l->o.profile == LEG_WEBRTC ? leg_rtc_offer(l, restart, ret_sdp)
					  : leg_plain_offer(l, ret_sdp);
}

static int agreed(struct leg *l, int rc)
{
	if (rc < 0)
		return rc;
	if (l->agreed_ns == 0)
		l->agreed_ns = leg_now_ns(l);
	if (l->state == LEG_NEW)
		l->state = LEG_AGREED; /* the caller knows */
	leg_room_format(l);
	leg_video_room_sync(l);
	leg_video_sync(l);
	if (l->peer && l->peer != l)
		leg_heard_sync(l->peer);
	if (leg_is_made(l))
		leg_tick_on(l);
	return 0;
}

int leg_accept(struct leg *l, struct sl_str answer, char *ret_err)
{
	return agreed(l, l->o.profile == LEG_WEBRTC ? leg_rtc_accept(l, answer, ret_err)
						    : leg_plain_accept(l, answer, ret_err));
}

int leg_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp, char *ret_err)
{
	return agreed(l, l->o.profile == LEG_WEBRTC ? leg_rtc_answer(l, offer, ret_sdp, ret_err)
						    : leg_plain_answer(l, offer, ret_sdp, ret_err));
}

void leg_set_origin(struct leg *l, uint64_t session, uint64_t version)
{
	l->sdp_id = session;
	l->sdp_version = version;
}

void leg_rollback(struct leg *l)
{
	l->offer_open = false;
	if (l->agreed_ns == 0) { /* what follows begins anew: no place is taken */
		l->n_sections = l->audio_at = 0;
		l->video_at = MAX_SECTIONS;
	}
	if (l->rtc)
		sl_rtc_rollback(l->rtc);
}

int leg_candidate(struct leg *l, struct sl_str candidate)
{
	return l->rtc ? sl_rtc_candidate(l->rtc, candidate) : -SL_EUNSUPP;
}

void leg_set_direction(struct leg *l, enum sl_sdp_direction direction)
{
	l->wanted = direction;
	if (l->media)
		sl_rtc_set_direction(l->media, direction);
}

bool leg_is_agreed(const struct leg *l)
{
	return l->agreed_ns != 0;
}

bool leg_is_held(const struct leg *l)
{
	return l->agreed_ns && !(l->theirs & SL_SDP_RECVONLY);
}

unsigned leg_codecs(const struct leg *l, enum sl_codec_id ret_codecs[LEG_MAX_CODECS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->out_formats.n && n < LEG_MAX_CODECS; i++) {
		const struct leg_format *f = &l->out_formats.list[i];

		if (sl_audio_codec_hz(f->codec, f->clock_hz) > 0)
			ret_codecs[n++] = f->codec;
	}
	return n;
}

void leg_set_codecs(struct leg *l, const enum sl_codec_id *codecs, unsigned n)
{
	l->o.n_codecs = n < LEG_MAX_CODECS ? n : LEG_MAX_CODECS;
	memcpy(l->o.codecs, codecs, l->o.n_codecs * sizeof *codecs);
}

/* ---- where it goes */

static void let_go(struct leg *l)
{
	l->peer = NULL;
	l->transcodes = false;
	leg_room_leave(l);
	leg_stop_playing(l);
	leg_drop_source(l);
}

void leg_unbridge(struct leg *l)
{
	struct leg *peer = l->peer;

	let_go(l);
	if (peer && peer != l && peer->peer == l)
		let_go(peer);
}

int leg_bridge(struct leg *a, struct leg *b)
{
	if (a == b || a->all != b->all || a->closed || b->closed)
		return -SL_EINVAL;
	if (a->peer == b && b->peer == a)
		return 0;
	leg_unbridge(a);
	leg_unbridge(b);
	a->peer = b;
	b->peer = a;
	if (leg_wants_ear(a))
		leg_tick_on(b);
	if (leg_wants_ear(b))
		leg_tick_on(a);
	leg_video_ask(a);
	leg_video_ask(b);
	leg_heard_sync(a);
	leg_heard_sync(b);
	return 0;
}

int leg_echo(struct leg *l)
{
	leg_unbridge(l);
	l->peer = l;
	leg_video_ask(l);
	leg_heard_sync(l);
	return 0;
}
