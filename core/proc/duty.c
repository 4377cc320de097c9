/*
 * proc/duty.c: what a worker does besides serving: heartbeat, obeying the master, draining and
 * leaving.
 *
 * Draining takes no new work and leaves when nothing is up or time is over. The master's death is
 * no reason to stop.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sluice/bus.h>
#include <sluice/trace.h>
#include "event/inbox.h"
#include "event/loop.h"
#include "os/log.h"
#include "os/os.h"
#include "proc/worker.h"
#include "session/registry.h"

#define LEAVE_CHECK_MS 20

const struct sl_metric process_metrics[] = {
#define X(kind_, name_, help_) {.name = #name_, .unit = "", .help = help_, .kind = SL_M_##kind_},
	PROCESS_METERS(X)
#undef X
		SL_METRICS_END,
};

static void drain_modules(struct worker *w)
{
	struct registry *r = w->setup->registry;

	for (unsigned i = 0; i < r->n_modules; i++)
		if (r->modules[i].started && r->modules[i].def.worker_drain)
			r->modules[i].def.worker_drain(r->modules[i].ctx);
}

/* ---- heartbeat */

static struct worker_slot *slot_of(const struct worker *w)
{
	return shm_worker(w->pub.shm, w->pub.slot);
}

/* Totals kept elsewhere in this process, as counters that outlive it: what is new since the last
 * look is added. */
static void count_new(struct worker *w)
{
	struct log_counts log;
	uint64_t now[PROCESS_N_METERS] = {[PROCESS_bugs] = sl_bugs_total(),
					  [PROCESS_inbox_stale] = inbox_dropped(w->pub.inbox)};

	log_counts(&log);
	now[PROCESS_log_lines] = log.lines;
	now[PROCESS_log_suppressed] = log.suppressed;
	now[PROCESS_log_lost] = log.lost;
	for (unsigned i = PROCESS_bugs; i < PROCESS_N_METERS; i++) {
		sl_count_n(&w->process_meters[i], now[i] - w->counted[i]);
		w->counted[i] = now[i];
	}
}

/* Long enough that who looks now and then sees what has been. */
static void tell_longest(struct worker *w)
{
	uint64_t longest = 0;

	w->longest_ns[w->n_beats++ % WORKER_TICKS_KEPT] = loop_take_longest_ns(w->pub.loop);
	for (unsigned i = 0; i < WORKER_TICKS_KEPT; i++)
		if (w->longest_ns[i] > longest)
			longest = w->longest_ns[i];
	sl_gauge_set(&w->process_meters[PROCESS_longest_tick_us], (int64_t)(longest / 1000));
}

static void beat(struct sl_timer *t)
{
	struct worker *w = t->arg;
	struct worker_slot *s = slot_of(w);
	uint64_t now = sl_loop_ns(w->pub.loop), busy = loop_busy_ns(w->pub.loop);

	__atomic_store_n(&s->heartbeat_ms, now / SL_NS_PER_MS, __ATOMIC_RELAXED);
	__atomic_store_n(&s->n_sessions, w->setup->registry->n_local, __ATOMIC_RELAXED);
	__atomic_store_n(&s->cpu_ns, sl_clock_cpu_ns(), __ATOMIC_RELAXED);
	if (now > w->beat_before_ns)
		__atomic_store_n(
			&s->load_permille,
			(uint32_t)((busy - w->busy_before_ns) * 1000 / (now - w->beat_before_ns)),
			__ATOMIC_RELAXED);
	count_new(w);
	tell_longest(w);
	if (!w->pub.draining)
		net_look(w->pub.net);
	w->busy_before_ns = busy;
	w->beat_before_ns = now;
	sl_timer_set(w->pub.loop, t, WORKER_HEARTBEAT_MS);
}

void worker_set_state(struct worker *w, enum worker_state state)
{
	__atomic_store_n(&slot_of(w)->state, state, __ATOMIC_RELEASE);
}

/* ---- leaving */

static bool is_empty(const struct worker *w)
{
	return w->setup->registry->n_local == 0 && net_n_conns(w->pub.net) == 0 &&
	       w->pub.n_holds == 0;
}

/* An aux process speaks through workers: those of a node that ends stay until it has nothing more
 * to say. Of a generation that is followed by another, the successors do that. */
static bool is_needed_by_aux(const struct worker *w)
{
	struct shm *s = w->pub.shm;

	if (w->pub.aux || w->pub.generation != shm_generation(s))
		return false;
	for (unsigned slot = 0; slot < shm_sizes(s)->n_slots; slot++) {
		const struct worker_slot *a = shm_worker(s, slot);
		uint32_t state = __atomic_load_n(&a->state, __ATOMIC_ACQUIRE);

		if (a->kind == 1 && a->generation == w->pub.generation &&
		    (state == WORKER_SERVING || state == WORKER_DRAINING))
			return true;
	}
	return false;
}

/* What others have sent while they took this process for one that stays is read first, and may be a
 * reason to stay. */
static void check_empty(struct sl_timer *t)
{
	struct worker *w = t->arg;

	if (is_empty(w))
		inbox_read(w->pub.inbox);
	if (is_empty(w) && !is_needed_by_aux(w))
		loop_stop(w->pub.loop);
	else
		sl_timer_set(w->pub.loop, t, LEAVE_CHECK_MS);
}

/* Time is over: everybody is asked to go elsewhere, and after drain_spread this process goes. */
static void drain_over(struct sl_timer *t)
{
	struct worker *w = t->arg;

	if (w->evicted) {
		loop_stop(w->pub.loop);
		return;
	}
	w->evicted = true;
	sl_log(SL_LOG_NOTICE, "core",
	       "drain_timeout is over with %u sessions up; they are asked to leave",
	       w->setup->registry->n_local);
	sessions_evict_all(&w->pub, "drain");
	sl_timer_set(w->pub.loop, t, w->setup->core->drain_spread);
}

static void drain(struct worker *w)
{
	const struct sl_bus_event ev = {
		.kind = SL_EV_DRAIN, .name = "worker.drain", .owner = sl_worker_owner(&w->pub)};

	if (w->pub.draining)
		return;
	w->pub.draining = true;
	worker_set_state(w, WORKER_DRAINING);
	sl_trace(0, SL_TRACE_WORKER_DRAIN, w->pub.generation, 0);
	net_drain(w->pub.net);
	drain_modules(w);
	sl_bus_publish(&w->pub, &ev);
	sl_timer_set(w->pub.loop, &w->drain_limit, w->setup->core->drain_timeout);
	sl_timer_set(w->pub.loop, &w->leave_check, 0);
}

/* ---- the master's messages */

static void publish_owner(struct worker *w, enum sl_event_kind kind, const char *name,
			  uint32_t owner)
{
	const struct sl_bus_event ev = {.kind = kind, .name = name, .owner = owner};

	sl_bus_publish(&w->pub, &ev);
}

/* What a worker that left in order has sent is in the inbox already; it is read in this tick or the
 * next, so its end is told after that. */
static void announce_gone(struct sl_post *p)
{
	struct worker *w = p->arg;

	if (!w->gone_second_look) {
		w->gone_second_look = true;
		sl_post(w->pub.loop, p);
		return;
	}
	w->gone_second_look = false;
	while (w->gone) {
		struct gone *g = w->gone;

		w->gone = g->next;
		publish_owner(w, SL_EV_WORKER_GONE, "worker.gone", g->owner);
		free(g);
	}
}

static void note_gone(struct worker *w, uint32_t owner)
{
	struct gone *g = malloc(sizeof *g);

	if (!g) {
		publish_owner(w, SL_EV_WORKER_GONE, "worker.gone", owner);
		return;
	}
	*g = (struct gone){owner, w->gone};
	w->gone = g;
	sl_post(w->pub.loop, &w->announce_gone);
}

static void note_lost_session(struct worker *w, const struct ctl *msg)
{
	const struct sl_bus_event ev = {.kind = SL_EV_SESSION_LOST,
					.name = "session.lost",
					.owner = msg->owner,
					.sid = msg->sid,
					.session_kind = (uint8_t)msg->kind,
					.room = msg->room};

	sl_bus_publish(&w->pub, &ev);
}

static void obey(struct worker *w, const struct ctl *msg, int fd)
{
	switch (msg->type) {
	case CTL_DRAIN:
	case CTL_QUIT:
		drain(w);
		break;
	case CTL_STOP:
		loop_stop(w->pub.loop);
		break;
	case CTL_REOPEN:
		if (fd >= 0)
			(void)dup2(fd, STDERR_FILENO); /* keeps the old log when it fails */
		break;
	case CTL_WORKER_UP:
		publish_owner(w, SL_EV_WORKER_UP, "worker.up", msg->owner);
		break;
	case CTL_WORKER_GONE:
		note_gone(w, msg->owner);
		break;
	case CTL_SESSION_LOST:
		note_lost_session(w, msg);
		break;
	case CTL_KICK:
		(void)sessions_evict(&w->pub, msg->sid, "kick"); /* another worker's, mostly */
		break;
	}
}

static void on_master(struct sl_event *ev, unsigned ready)
{
	struct worker *w = ev->arg;
	struct ctl_ask msg;
	unsigned n_fds = 0;
	size_t len = 0;
	int fd = -1, rc;

	(void)ready;
	rc = fd_recv_with(ev->fd, &msg, sizeof msg, &len, &fd, 1, &n_fds);
	if (rc == -SL_EAGAIN || rc == -SL_EFULL) /* full: a longer one, of another version */
		return;
	if (rc < 0) {
		sl_log(SL_LOG_ALERT, "core", "the master is gone; this worker goes on serving");
		sl_event_del(w->pub.loop, ev);
		(void)signal(SIGTERM, SIG_DFL); /* nobody else can end it in order now */
		return;
	}
	if (len > sizeof msg.head && n_fds && msg.head.type == CTL_ASK) {
		((char *)&msg)[len - 1] = 0;
		answer_begin(w, msg.words, fd);
		return;
	}
	if (len == sizeof msg.head)
		obey(w, &msg.head, n_fds ? fd : -1);
	if (n_fds)
		close(fd);
}

int duty_begin(struct worker *w)
{
	w->on_master = (struct sl_event){.fd = w->h->fd_master, .fn = on_master, .arg = w};
	w->heartbeat = (struct sl_timer){.fn = beat, .arg = w};
	w->leave_check = (struct sl_timer){.fn = check_empty, .arg = w};
	w->drain_limit = (struct sl_timer){.fn = drain_over, .arg = w};
	w->announce_gone = (struct sl_post){.fn = announce_gone, .arg = w};
	sl_count(&w->process_meters[PROCESS_starts]);
	(void)fd_set_nonblock(w->h->fd_master); /* a blocking one only delays */
	sl_timer_set(w->pub.loop, &w->heartbeat, 0);
	return sl_event_add(w->pub.loop, &w->on_master, SL_READ);
}

void duty_end(struct worker *w)
{
	answers_close(w);
	sl_post_cancel(w->pub.loop, &w->announce_gone);
	while (w->gone) {
		struct gone *g = w->gone;

		w->gone = g->next;
		free(g);
	}
	sl_event_del(w->pub.loop, &w->on_master);
	sl_timer_cancel(w->pub.loop, &w->heartbeat);
	sl_timer_cancel(w->pub.loop, &w->leave_check);
	sl_timer_cancel(w->pub.loop, &w->drain_limit);
}
