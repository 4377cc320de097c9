/*
 * mixer/mixer.c: directives, the clock, life.
 *
 * One clock for all rooms of a worker in which somebody is heard, every 20 ms; without such a room
 * it stands still. What is told to others' code while a room is at work would come at the wrong
 * moment, so it waits for the end of the loop's tick.
 */
#include "mixer.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	MOST_EFFORT = 5, /* of `auto` */
	BUSY_PERMILLE = 700,
	IDLE_PERMILLE = 450,
	ADAPT_TICKS = 50,
	MANY_LATE = 5, /* of those */
};

static const struct sl_directive room_fields[] = {
	SL_FIELD(struct room_conf, match, SL_T_REGEX, .required = true,
		 .doc = "Pattern that the room's name has to match; the first that does counts."),
	SL_FIELD(struct room_conf, pin, SL_T_SECRET, .max = MAX_PIN,
		 .doc = "Digits that a phone has to enter first, within three tries. Unset: none. "
			"Browsers are let in by their tokens, not by this."),
	SL_FIELD(struct room_conf, tones, SL_T_BOOL, .dflt = "on",
		 .doc = "Phones hear a tone when somebody comes or leaves."),
	SL_FIELD(struct room_conf, record, SL_T_BOOL, .dflt = "off",
		 .doc = "Phones may have the recorder begin and end by *9, and pause by *8."),
	SL_DIRS_END,
};

static const struct sl_directive directives[] = {
	SL_DIR(struct mixer_conf, loudest, SL_T_INT, SL_S_MAIN, .dflt = "6", .min = 1,
	       .max = MAX_LOUDEST,
	       .doc = "So many voices of a room are mixed, the loudest of those who speak."),
	SL_DIR(struct mixer_conf, complexity, SL_T_STR, SL_S_MAIN, .dflt = "auto",
	       .doc = "Effort of Opus encoders where packets are lost, 0 to 10; auto: 5, and "
		      "less under load."),
	SL_DIR(struct mixer_conf, delay_max, SL_T_MSEC, SL_S_MAIN, .dflt = "200ms", .min = 20,
	       .max = 400, .doc = "How far the jitter buffer of a voice may grow."),
	SL_DIR(struct mixer_conf, rooms, SL_T_RECORD, SL_S_MAIN, .list = true, .max = 1024,
	       .fields = room_fields, .record_bytes = sizeof(struct room_conf),
	       .doc = "What holds for phones in certain rooms. In others there are tones and no "
		      "PIN."),
	SL_DIRS_END,
};

static const struct sl_metric metrics[] = {
#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
#define X(n, k, h) {.name = #n, .kind = k, .help = h},
	MIXER_METERS(X)
#undef X
		SL_METRICS_END};

const struct room_conf *mixer_rules(const struct mixer_conf *c, struct sl_str room)
{
	for (size_t i = 0; i < c->rooms.n; i++) {
		const struct room_conf *r = SL_LIST_AT(c->rooms, struct room_conf, i);

		if (sl_regex_match(r->match, room))
			return r;
	}
	return NULL;
}

/* ---- the clock */

uintptr_t mixer_new_feed(struct mixer *m)
{
	if (++m->last_feed < 2) /* these are others' */
		m->last_feed = 2;
	return m->last_feed;
}

static void arm(struct mixer *m)
{
	struct sl_loop *loop = m->w->loop;

	sl_timer_set(loop, &m->tick, sl_pace_wait_ms(&m->pace, sl_loop_ns(loop)));
}

void mixer_tick_on(struct mixer *m)
{
	if (sl_timer_pending(&m->tick))
		return;
	sl_pace_begin(&m->pace, MIX_MS, sl_loop_ns(m->w->loop));
	arm(m);
}

bool mixer_is_stalled(const struct mixer *m, uint64_t now_ns)
{
	return sl_timer_pending(&m->tick) && sl_pace_is_stalled(&m->pace, now_ns);
}

/* Speech first, beauty second: under load encoders make less effort, be it ours or that of others
 * on the same core. */
static void adapt_effort(struct mixer *m)
{
	uint64_t now = sl_loop_ns(m->w->loop), cpu = sl_clock_cpu_ns();
	uint64_t wall = now - m->cpu_since_ns, used = cpu - m->cpu_ns;
	uint64_t permille = wall ? used * 1000 / wall : 0;
	bool late = m->n_late > MANY_LATE;

	m->n_late = 0;
	m->cpu_ns = cpu;
	m->cpu_since_ns = now;
	if (!m->adaptive)
		return;
	if ((permille > BUSY_PERMILLE || late) && m->complexity > 0)
		m->complexity--;
	else if (permille < IDLE_PERMILLE && !late && m->complexity < m->max_complexity)
		m->complexity++;
}

static void adapt_encoders(const struct mixer *m)
{
	for (const struct room *r = m->ticking; r; r = r->tick_next) {
		for (struct choir *c = r->choirs; c; c = c->next)
			stream_adapt(&c->stream, m->complexity, c->loss);
		for (struct phone *p = r->phones; p; p = p->next_in_room) {
			stream_adapt(&p->solo, m->complexity, p->loss);
			stream_adapt(&p->voice, m->complexity, 0);
		}
	}
}

static void run(struct mixer *m)
{
	struct room *next;
	struct phone *next_phone;

	for (struct room *r = m->ticking; r; r = next) {
		next = r->tick_next;
		room_tick(r, m->pace.due_ns);
	}
	for (struct phone *p = m->prompting; p; p = next_phone) {
		next_phone = p->next_prompting;
		phone_tick_alone(p);
	}
	if (++m->n_ticks % ADAPT_TICKS == 0) {
		adapt_effort(m);
		adapt_encoders(m);
	}
}

/* One at a time, also when more is to be made up for: the loop has its turn between. */
static void on_tick(struct sl_timer *t)
{
	struct mixer *m = t->arg;
	uint64_t now = sl_loop_ns(m->w->loop);

	mixer_count(m, M_wakeups);
	m->n_late += sl_pace_is_late(&m->pace, now);
	sl_count_n(&m->m[M_left_out_ms], sl_pace_skip(&m->pace, now));
	if ((m->ticking || m->prompting) && sl_pace_is_due(&m->pace, now)) {
		run(m);
		sl_pace_step(&m->pace);
	}
	if (m->ticking || m->prompting)
		arm(m);
}

static void on_settle(struct sl_post *p)
{
	struct mixer *m = p->arg;

	phones_told(m);
	rooms_settle(m);
}

/* ---- signalling */

static void on_joined(void *arg, const struct sl_signal_peer *peer)
{
	room_joined(arg, peer);
}

static void on_left(void *arg, const struct sl_signal_peer *peer, const char *reason)
{
	(void)reason;
	room_left(arg, peer);
}

static void on_delivered(void *arg, const struct sl_signal_peer *peer, struct sl_str json)
{
	chat_heard(arg, peer->id, json);
}

static const struct sl_signal_handler signal_handler = {
	.joined = on_joined, .left = on_left, .delivered = on_delivered};

/* ---- life */

static bool read_complexity(struct sl_str text, bool *ret_auto, unsigned *ret_value)
{
	uint64_t n = MOST_EFFORT;

	*ret_auto = sl_str_eq(text, SL_STR("auto"));
	if (!*ret_auto && (sl_str_u64(text, &n) < 0 || n > 10))
		return false;
	*ret_value = (unsigned)n;
	return true;
}

static bool is_digits(struct sl_str pin)
{
	for (size_t i = 0; i < pin.len; i++)
		if (pin.p[i] < '0' || pin.p[i] > '9')
			return false;
	return true;
}

static int check(struct sl_conf *c, void *conf_)
{
	const struct mixer_conf *conf = conf_;
	unsigned value;
	bool adaptive;

	if (!read_complexity(conf->complexity, &adaptive, &value))
		sl_conf_error(c, "complexity", "is neither auto nor a number in 0..10");
	for (size_t i = 0; i < conf->rooms.n; i++) {
		char path[] = "rooms[....].pin";

		if (is_digits(SL_LIST_AT(conf->rooms, struct room_conf, i)->pin))
			continue;
		(void)snprintf(path, sizeof path, "rooms[%u].pin", (unsigned)i % 10000);
		sl_conf_error(c, path, "a PIN is of the digits 0 to 9");
	}
	return 0;
}

static void worker_stop(void *ctx)
{
	struct mixer *m = ctx;

	phones_let_go(m);
	sl_timer_cancel(m->w->loop, &m->tick);
	sl_post_cancel(m->w->loop, &m->settle);
	rooms_free(m);
	m->signal->unlisten(m->signal_self, m);
	free(m);
}

static int listen_to_rooms(struct mixer *m)
{
	static const char *const types[] = {NULL};

	m->rooms = sl_iface_get(m->w, SL_ROOM_IFACE, 1, &m->rooms_self);
	m->signal = sl_iface_get(m->w, SL_SIGNAL_IFACE, 1, &m->signal_self);
	if (!m->rooms || !m->signal)
		return -SL_ENOENT;
	return m->signal->listen(m->signal_self, types, SL_STR("{}"), &signal_handler, m);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct mixer *m = calloc(1, sizeof *m);
	int rc;

	if (!m)
		return -SL_ENOMEM;
	m->w = w;
	m->conf = conf;
	m->m = sl_worker_meters(w, "mixer");
	m->cpu_ns = sl_clock_cpu_ns();
	m->cpu_since_ns = sl_loop_ns(w->loop);
	m->tick = (struct sl_timer){.fn = on_tick, .arg = m};
	m->settle = (struct sl_post){.fn = on_settle, .arg = m};
	(void)read_complexity(m->conf->complexity, &m->adaptive, &m->max_complexity); /* checked */
	m->complexity = m->max_complexity;
	rc = listen_to_rooms(m);
	if (rc == 0)
		rc = sl_iface_provide(w, SL_MIXER_IFACE, 1, &phone_iface, m);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "mixer", "cannot start: %s", sl_strerror(rc));
		free(m);
		return rc;
	}
	*ret_ctx = m;
	return 0;
}

static const char *const needs[] = {"signaling-ws", "sfu", NULL};

SL_MODULE(mixer, .name = "mixer", .version = "1.0",
	  .summary = "phones in rooms: everybody else in one audio stream", .needs = needs,
	  .directives = directives, .conf_size = sizeof(struct mixer_conf), .metrics = metrics,
	  .check = check, .worker_start = worker_start, .worker_stop = worker_stop);
