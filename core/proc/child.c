/*
 * proc/child.c: the master's workers: starting them, talking to them, burying them.
 *
 * A child gets exactly the descriptors named in its handoff. Its end is seen by pidfd; one that was
 * not told to leave has crashed: its slot's epoch moves on, which makes everything it owned visibly
 * dead, the table is swept, the others are told, and the same slot is started again with the same
 * sockets: at once, or with growing pauses when it dies before it has served.
 *
 * A crash makes a message of every session it took, for every other child, while a channel has room
 * for less than 300 of them: what does not fit waits here in its order, since a child that missed
 * "drain" would never leave.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sluice/clock.h>
#include <sluice/log.h>
#include "event/inbox.h"
#include "os/os.h"
#include "proc/master.h"

#define RESTART_MAX_MS 1000

static void on_exit_event(struct sl_event *ev, unsigned ready);
static void on_message(struct sl_event *ev, unsigned ready);

/* Aux processes stand behind the workers of their generation. */
bool child_is_aux(const struct child *c)
{
	return c->worker_index >= c->gen->plan->n_workers;
}

const char *child_name(const struct child *c)
{
	return child_is_aux(c) ? c->gen->plan->aux[c->worker_index - c->gen->plan->n_workers]
			       : "worker";
}

/* ---- handoff */

struct fd_list {
	int fds[MAX_SLOTS + MAX_LISTENERS + 32];
	unsigned n;
};

/* Returns the number that the descriptor has in the child. */
static int32_t give(struct fd_list *list, int fd)
{
	if (fd < 0)
		return -1;
	list->fds[list->n] = fd;
	return HANDOFF_FD + (int32_t)list->n++;
}

static void give_listeners(const struct master *m, const struct generation *g, unsigned slot,
			   struct handoff *h, struct fd_list *list)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		const struct master_listener *l = &m->listeners[i];
		int fd = l->used && plan_has(g->plan, &l->spec) ? master_listener_fd(l, slot) : -1;

		if (fd >= 0)
			h->listeners[h->n_listeners++] =
				(struct handoff_listener){l->spec, (uint16_t)i, give(list, fd)};
	}
}

/* A generation that is configured to relay in user space does, whatever another one does. */
static void give_offload(const struct master *m, const struct child *c, struct handoff *h,
			 struct fd_list *list)
{
	h->fd_offload_rules = h->fd_offload_states = -1;
	if (!m->offload || c->gen->plan->offload == SL_OFFLOAD_OFF || child_is_aux(c))
		return;
	h->fd_offload_rules = give(list, offload_rules_fd(m->offload));
	h->fd_offload_states = give(list, offload_states_fd(m->offload));
	h->n_offload_rules = offload_n_rules(m->offload);
}

static void fill_handoff(const struct master *m, const struct child *c, int chan, struct handoff *h,
			 struct fd_list *list)
{
	h->magic = HANDOFF_MAGIC;
	h->bytes = sizeof *h;
	h->role = child_is_aux(c) ? ROLE_AUX : ROLE_WORKER;
	h->generation = c->gen->number;
	h->slot = (uint16_t)c->slot;
	h->epoch = shm_worker(m->shm, c->slot)->epoch;
	h->worker_index = (uint16_t)c->worker_index;
	h->n_workers = (uint16_t)c->gen->plan->n_workers;
	h->n_slots = (uint16_t)m->n_slots;
	h->ring_bytes = RING_BYTES;
	h->fd_text = give(list, c->gen->fd_text);
	h->fd_out = -1;
	h->fd_master = give(list, chan);
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		h->fd_segments[i] = give(list, m->fd_segments[i]);
	h->fd_inbox = give(list, m->fd_inbox);
	for (unsigned i = 0; i < m->n_slots; i++)
		h->fd_wake[i] = give(list, m->fd_wake[i]);
	h->fd_flows = m->steer ? give(list, steer_flow_map(m->steer)) : -1;
	give_offload(m, c, h, list);
	memcpy(h->node_key, m->node_key, sizeof h->node_key);
	memcpy(h->ticket_key, m->ticket_key, sizeof h->ticket_key);
	(void)sl_str_copy(h->prefix, sizeof h->prefix, sl_str_c(m->opts.prefix));
	(void)sl_str_copy(h->file, sizeof h->file, sl_str_c(c->gen->plan->file));
	memcpy(h->overrides, m->opts.overrides, sizeof h->overrides);
	if (child_is_aux(c))
		(void)sl_str_copy(h->aux, sizeof h->aux, sl_str_c(child_name(c)));
	else
		give_listeners(m, c->gen, c->slot, h, list);
}

/* ---- start */

/* From here on everything that the slot's process owned is dead. 0 is never an epoch: owner word 0
 * means nobody. */
static void next_epoch(struct worker_slot *s)
{
	uint16_t epoch = (uint16_t)(s->epoch + 1);

	__atomic_store_n(&s->epoch, epoch ? epoch : 1, __ATOMIC_RELEASE);
}

static void mark_started(struct child *c)
{
	struct worker_slot *s = shm_worker(c->m->shm, c->slot);

	s->pid = 0;
	s->kind = child_is_aux(c);
	s->generation = c->gen->number;
	s->started_ms = sl_clock_ns() / SL_NS_PER_MS;
	s->heartbeat_ms = s->started_ms;
	(void)sl_str_copy(s->name, sizeof s->name, sl_str_c(child_name(c)));
	next_epoch(s);
	master_offload_alive(c->m, c->slot, s->epoch);
	__atomic_store_n(&s->state, WORKER_STARTING, __ATOMIC_RELEASE);
	c->started_ms = s->started_ms;
}

static int exec_worker(struct child *c, int chan)
{
	struct handoff *h = calloc(1, sizeof *h);
	struct fd_list list = {.n = 1}; /* 0: the handoff itself */
	char title[64];
	char *argv[] = {title, "--child", NULL};
	int fd FD_AUTO = -1;
	int rc = -SL_ENOMEM;

	if (!h)
		return rc;
	snprintf(title, sizeof title, "sluice: %s %u (generation %u)", child_name(c),
		 c->worker_index, c->gen->number);
	fill_handoff(c->m, c, chan, h, &list);
	rc = shmem_create_text("handoff", h, sizeof *h, &fd);
	explicit_bzero(h, sizeof *h);
	free(h);
	if (rc < 0)
		return rc;
	list.fds[0] = fd;
	return proc_spawn(&(struct proc_spawn){.path = c->m->opts.binary,
					       .argv = argv,
					       .fds = list.fds,
					       .n_fds = list.n,
					       .stdout_fd = -1,
					       .stderr_fd = -1},
			  &c->pid, &c->pidfd);
}

static int watch(struct child *c)
{
	c->on_exit = (struct sl_event){.fd = c->pidfd, .fn = on_exit_event, .arg = c};
	c->on_message = (struct sl_event){.fd = c->chan, .fn = on_message, .arg = c};
	if (sl_event_add(c->m->loop, &c->on_exit, SL_READ) < 0)
		return -SL_ESYS;
	return c->chan < 0 ? 0 : sl_event_add(c->m->loop, &c->on_message, SL_READ);
}

static void close_child(struct child *c)
{
	sl_event_del(c->m->loop, &c->on_exit);
	sl_event_del(c->m->loop, &c->on_message);
	fd_close(&c->pidfd);
	fd_close(&c->chan);
	sl_buf_free(&c->untold);
	c->pid = 0;
}

/* A process that does not run, or that nobody would see ending: its slot must not look alive. */
static void give_up(struct child *c)
{
	if (c->pid > 0 && kill(c->pid, SIGKILL) == 0)
		(void)waitpid(c->pid, NULL, 0); /* at once: it was killed */
	close_child(c);
	__atomic_store_n(&shm_worker(c->m->shm, c->slot)->state, WORKER_GONE, __ATOMIC_RELEASE);
}

/* The slot looks alive (STARTING, with a new epoch) before the process exists, since others may
 * speak to it from its first moment; give_up takes that back. */
int child_spawn(struct master *m, struct generation *g, unsigned slot, unsigned worker_index)
{
	struct child *c = &m->slots[slot];
	int pair[2], rc;

	c->gen = g;
	c->worker_index = worker_index;
	c->ready = c->leaving = false;
	c->pidfd = c->chan = -1;
	if (sock_pair_seqpacket(pair) < 0)
		return -SL_ESYS;
	mark_started(c);
	rc = exec_worker(c, pair[1]);
	close(pair[1]);
	c->chan = pair[0];
	if (rc == 0) {
		(void)fd_set_nonblock(c->chan); /* a full channel must not stop the master */
		shm_worker(m->shm, slot)->pid = (uint32_t)c->pid;
		rc = watch(c);
	}
	if (rc < 0)
		give_up(c);
	return rc;
}

/* ---- messages */

/* False: there is no room now. A child that has closed its end is dying, and needs no more words.
 */
static bool send_one(const struct child *c, const void *msg)
{
	return send(c->chan, msg, sizeof(struct ctl), MSG_NOSIGNAL) >= 0 || errno == EPIPE ||
	       errno == ECONNRESET;
}

static void tell(struct child *c, const struct ctl *msg)
{
	if (c->chan < 0 || (c->untold.len == 0 && send_one(c, msg)))
		return;
	if (c->untold.len == 0)
		sl_buf_reset(&c->untold); /* memory that was short once may be there again */
	sl_buf_add(&c->untold, msg, sizeof *msg);
	if (sl_buf_ok(&c->untold) < 0 ||
	    sl_event_set(c->m->loop, &c->on_message, SL_READ | SL_WRITE) < 0)
		sl_log(SL_LOG_WARN, "master", "worker %u does not read its channel", c->slot);
}

/* Until the channel is full again, or nothing is left. */
static void tell_rest(struct child *c)
{
	size_t told = 0;

	while (told < c->untold.len && send_one(c, c->untold.p + told))
		told += sizeof(struct ctl);
	sl_buf_drop(&c->untold, told);
	if (c->untold.len > 0)
		return;
	sl_buf_free(&c->untold);
	if (sl_event_set(c->m->loop, &c->on_message, SL_READ) < 0)
		sl_log(SL_LOG_ALERT, "master", "cannot watch worker %u: %m", c->slot);
}

bool children_untold(const struct master *m)
{
	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].untold.len > 0)
			return true;
	return false;
}

void child_tell(struct child *c, enum ctl_type type)
{
	if (type == CTL_DRAIN || type == CTL_QUIT || type == CTL_STOP)
		c->leaving = true;
	tell(c, &(struct ctl){.type = type});
}

int child_ask(struct child *c, struct sl_str words, int fd)
{
	struct ctl_ask msg = {.head.type = CTL_ASK};
	size_t len = sl_str_copy(msg.words, sizeof msg.words, words);

	if (c->chan < 0 || len >= sizeof msg.words)
		return -SL_ESYS;
	return fd_send_with(c->chan, &msg, offsetof(struct ctl_ask, words) + len + 1, &fd, 1);
}

void children_broadcast(struct master *m, const struct ctl *msg, const struct child *except)
{
	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].gen && &m->slots[i] != except)
			tell(&m->slots[i], msg);
}

static void on_message(struct sl_event *ev, unsigned ready)
{
	struct child *c = ev->arg;
	struct ctl msg;
	ssize_t n;

	if (ready & SL_WRITE)
		tell_rest(c);
	n = recv(c->chan, &msg, sizeof msg, MSG_DONTWAIT);
	if (n <= 0) { /* its end is told by the pidfd */
		if (n == 0 || errno != EAGAIN)
			sl_event_del(c->m->loop, ev);
		return;
	}
	if (n == sizeof msg && msg.type == CTL_OFFLOAD)
		master_offload_attach(c->m, msg.arg);
	if (n == sizeof msg && msg.type == CTL_READY && !c->ready) {
		c->ready = true;
		children_broadcast(c->m,
				   &(struct ctl){.type = CTL_WORKER_UP,
						 .owner = shm_owner(c->m->shm, c->slot)},
				   c);
		generation_ready(c->gen);
	}
}

void child_kill(struct child *c)
{
	c->leaving = true;
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

unsigned children_alive(const struct master *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_slots; i++)
		n += m->slots[i].gen && m->slots[i].pid > 0;
	return n;
}

/* ---- the end */

static void tell_lost_session(void *arg, const struct session_entry *e)
{
	struct child *dead = arg;
	struct ctl msg = {
		.type = CTL_SESSION_LOST, .owner = e->owner, .kind = e->kind, .room = e->room};

	memcpy(msg.sid, e->sid, sizeof msg.sid);
	children_broadcast(dead->m, &msg, dead);
}

static void describe_end(const struct child *c, int status)
{
	if (WIFSIGNALED(status))
		sl_log(SL_LOG_WARN, "master", "worker %u (pid %d) was killed by signal %d", c->slot,
		       (int)c->pid, WTERMSIG(status));
	else
		sl_log(SL_LOG_WARN, "master", "worker %u (pid %d) ended with status %d", c->slot,
		       (int)c->pid, WEXITSTATUS(status));
}

void child_forget(struct child *c)
{
	struct generation *g = c->gen;

	sl_timer_cancel(c->m->loop, &c->restart);
	__atomic_store_n(&shm_worker(c->m->shm, c->slot)->state, WORKER_FREE, __ATOMIC_RELEASE);
	sockets_release_slot(c->m, c->slot);
	c->gen = NULL;
	c->n_crashes = 0;
	generation_child_left(g);
}

static void restart_now(struct sl_timer *t)
{
	struct child *c = t->arg;

	if (c->m->stopping) {
		child_forget(c);
		return;
	}
	if (child_spawn(c->m, c->gen, c->slot, c->worker_index) < 0) {
		sl_log(SL_LOG_ALERT, "master", "cannot start worker %u again: %m; trying in %d ms",
		       c->slot, RESTART_MAX_MS);
		sl_timer_set(c->m->loop, t, RESTART_MAX_MS);
	}
}

static void restart(struct child *c)
{
	uint64_t pause = 0;

	c->n_crashes = c->ready ? 0 : c->n_crashes + 1;
	if (c->n_crashes > 1)
		pause = c->n_crashes > 5 ? RESTART_MAX_MS : (uint64_t)50 << (c->n_crashes - 1);
	c->restart.fn = restart_now;
	c->restart.arg = c;
	sl_timer_set(c->m->loop, &c->restart, pause);
}

void child_adopt(struct child *c)
{
	if (c->pid <= 0)
		restart(c);
	else if (watch(c) < 0)
		sl_log(SL_LOG_ALERT, "master", "cannot watch worker %d: %m", (int)c->pid);
}

/* The epoch first: from that store on all that the process owned is dead to everybody, and the
 * sweep behind it may take as long as it takes. */
static void crashed(struct child *c, uint32_t owner)
{
	struct worker_slot *s = shm_worker(c->m->shm, c->slot);
	unsigned n;

	next_epoch(s);
	__atomic_store_n(&s->state, WORKER_GONE, __ATOMIC_RELEASE);
	children_broadcast(c->m, &(struct ctl){.type = CTL_WORKER_GONE, .owner = owner, .arg = 1},
			   c);
	n = shm_sweep(c->m->shm, owner, tell_lost_session, c);
	if (n)
		sl_log(SL_LOG_WARN, "master",
		       "%u sessions were lost with worker %u; their clients are told to restart", n,
		       c->slot);
	if (c->gen->state == GEN_STARTING)
		generation_failed(c->gen, "a worker ended while starting");
	if (c->gen->state == GEN_CURRENT && !c->m->stopping)
		restart(c);
	else
		child_forget(c);
}

/* Told to go, or killed by us, however it ended. Its epoch stays, so that what it said last is
 * heard out (channels_inbox); its slot is dead by its state. */
static void left(struct child *c, uint32_t owner)
{
	unsigned n;

	__atomic_store_n(&shm_worker(c->m->shm, c->slot)->state, WORKER_GONE, __ATOMIC_RELEASE);
	children_broadcast(c->m, &(struct ctl){.type = CTL_WORKER_GONE, .owner = owner}, c);
	n = shm_sweep(c->m->shm, owner, tell_lost_session, c);
	if (n && !c->m->stopping)
		sl_log(SL_LOG_NOTICE, "master", "%u sessions ended with worker %u", n, c->slot);
	child_forget(c);
}

static void on_exit_event(struct sl_event *ev, unsigned ready)
{
	struct child *c = ev->arg;
	uint32_t owner = shm_owner(c->m->shm, c->slot);
	int status = 0;
	bool orderly;

	(void)ready;
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return;
	orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!orderly || !c->leaving)
		describe_end(c, status);
	close_child(c);
	master_offload_dead(c->m, owner);
	if (c->leaving)
		left(c, owner);
	else
		crashed(c, owner);
	master_leave_if_done(c->m);
}
