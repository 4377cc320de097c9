/*
 * proc/master.c: the life of the master: segments, signals, stopping.
 *
 * Everything is an event: signals come by signalfd, children's ends by pidfd, commands by the
 * control socket. The master stays small and privileged; what it knows of the configuration is the
 * plan that the checker wrote.
 */
#include "proc/master.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include <sluice/log.h>
#include "event/inbox.h"
#include "os/log.h"
#include "os/os.h"

#define KILL_AFTER_MS 5000
#define WATCH_MS 1000
#define HUNG_MS 30000
#define METRIC_BYTES ((size_t)64 << 10)
#define N_TRACE 4096

/* ---- segments */

/* Room for many generations at once: sessions may keep old workers for long while reloads go on. */
static unsigned slots_for(unsigned n_workers)
{
	unsigned n = n_workers * 8;

	return n < 64 ? 64 : n > 128 && n_workers <= 32 ? 128 : n;
}

int master_make_segments(struct master *m, const struct plan *plan)
{
	struct shm_sizes sizes = {
		.n_slots = slots_for(plan->n_workers),
		.n_sessions = (unsigned)plan->max_sessions,
		.n_limits = (unsigned)plan->max_limits,
		.metric_bytes = METRIC_BYTES,
		.n_trace = N_TRACE,
	};

	if (shm_create(&sizes, m->fd_segments) < 0 || shm_attach(m->fd_segments, true, &m->shm) < 0)
		return -SL_ESYS;
	if (shmem_create("inbox", inbox_segment_bytes(sizes.n_slots, RING_BYTES), &m->fd_inbox) < 0)
		return -SL_ESYS;
	for (unsigned i = 0; i < sizes.n_slots; i++)
		if (sock_eventfd(&m->fd_wake[i]) < 0)
			return -SL_ESYS;
	m->n_slots = sizes.n_slots;
	return 0;
}

/* ---- what a plan says about the master itself */

static void open_log(struct master *m)
{
	int fd;

	if (!m->log_file[0])
		return;
	fd = open(m->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		sl_log(SL_LOG_ERROR, "master", "cannot open the log %s: %m", m->log_file);
		return;
	}
	(void)dup2(fd, STDERR_FILENO); /* the log is always descriptor 2, here and in children */
	close(fd);
}

/* After an upgrade the name and the number are the same, and the file stays as it is. */
static void write_pid(struct master *m, const char *path)
{
	if (strcmp(m->pid_file, path) == 0)
		return;
	if (m->pid_file[0])
		(void)unlink(m->pid_file); /* the name changed by a reload */
	(void)sl_str_copy(m->pid_file, sizeof m->pid_file, sl_str_c(path));
	if (path[0] && proc_write_pidfile(path, getpid()) < 0)
		sl_log(SL_LOG_ERROR, "master", "cannot write the pid file %s: %m", path);
}

void master_use_plan(struct master *m, const struct plan *plan)
{
	struct log_conf log = {.level = (enum sl_log_level)plan->log_level,
			       .format = plan->log_json ? LOG_JSON : LOG_LOGFMT,
			       .fd = STDERR_FILENO,
			       .slot = -1};

	if (strcmp(m->log_file, plan->log_file) != 0) {
		memcpy(m->log_file, plan->log_file, sizeof m->log_file);
		open_log(m);
	}
	if (log_init(&log) < 0)
		sl_log(SL_LOG_ERROR, "master", "the log settings were not taken");
	write_pid(m, plan->pid);
	if (strcmp(m->control_path, plan->control) == 0)
		return;
	control_close(m, true);
	if (control_open(m, plan->control, -1) < 0)
		sl_log(SL_LOG_ERROR, "master",
		       "cannot open the control socket %s: %m; signals work without it",
		       plan->control);
}

void master_reopen_log(struct master *m)
{
	const struct ctl msg = {.type = CTL_REOPEN};

	open_log(m);
	for (unsigned i = 0; i < m->n_slots; i++) {
		const int fd = STDERR_FILENO;

		if (m->slots[i].gen && m->slots[i].chan >= 0 &&
		    fd_send_with(m->slots[i].chan, &msg, sizeof msg, &fd, 1) < 0)
			sl_log(SL_LOG_WARN, "master", "worker %u was not told of the new log: %m",
			       i);
	}
}

/* ---- stopping */

void master_leave_if_done(struct master *m)
{
	if (m->stopping && !m->check.active && children_alive(m) == 0)
		loop_stop(m->loop);
}

static void kill_all(struct sl_timer *t)
{
	struct master *m = t->arg;

	for (unsigned i = 0; i < m->n_slots; i++) {
		if (!m->slots[i].gen || m->slots[i].pid <= 0)
			continue;
		sl_log(SL_LOG_WARN, "master", "worker %u does not stop; it is killed", i);
		child_kill(&m->slots[i]);
	}
}

/* Graceful: as long as sessions last, each worker by its own drain_timeout; else KILL_AFTER_MS. A
 * second, harder call overtakes the first. */
void master_stop(struct master *m, bool graceful)
{
	if (m->check.active && m->check.pid > 0)
		(void)kill(m->check.pid, SIGKILL); /* its end is an event like any other */
	m->stopping = true;
	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].gen && m->slots[i].pid > 0)
			child_tell(&m->slots[i], graceful ? CTL_QUIT : CTL_STOP);
	m->kill_timer.fn = kill_all;
	m->kill_timer.arg = m;
	if (!graceful)
		sl_timer_set(m->loop, &m->kill_timer, KILL_AFTER_MS);
	master_leave_if_done(m);
}

/* ---- signals and the watch */

static void on_signal(struct sl_event *ev, unsigned ready)
{
	struct master *m = ev->arg;
	int sig;

	(void)ready;
	while ((sig = sig_read(ev->fd)) != 0) {
		switch (sig) {
		case SIGHUP:
			generation_reload(m, NULL);
			break;
		case SIGQUIT:
			master_stop(m, true);
			break;
		case SIGTERM:
		case SIGINT:
			master_stop(m, false);
			break;
		case SIGUSR1:
			master_reopen_log(m);
			break;
		case SIGUSR2:
			upgrade_exec(m);
			break;
		}
	}
}

/* A worker that serves but whose loop has stood still is worse than a dead one: make it one. */
static void watch(struct sl_timer *t)
{
	struct master *m = t->arg;
	uint64_t now = sl_clock_ns() / SL_NS_PER_MS;

	for (unsigned i = 0; i < m->n_slots; i++) {
		struct child *c = &m->slots[i];
		uint64_t beat = c->gen && c->ready
					? __atomic_load_n(&shm_worker(m->shm, i)->heartbeat_ms,
							  __ATOMIC_RELAXED)
					: now;

		if (now <= beat + HUNG_MS || c->pid <= 0)
			continue;
		sl_log(SL_LOG_ALERT, "master",
		       "worker %u (pid %d) has not moved for %d s; it is aborted", i, (int)c->pid,
		       HUNG_MS / 1000);
		(void)kill(c->pid, SIGABRT);
	}
	sl_timer_set(m->loop, t, WATCH_MS);
}

static int open_signals(struct master *m)
{
	static const int signals[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	if (sig_block_and_open(signals, SL_ARRAY_LEN(signals), &fd) < 0)
		return -SL_ESYS;
	m->on_signal = (struct sl_event){.fd = fd, .fn = on_signal, .arg = m};
	return sl_event_add(m->loop, &m->on_signal, SL_READ);
}

/* ---- start and end */

static struct master *master_new(const struct master_opts *opts)
{
	struct master *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->opts = *opts;
	m->fd_inbox = -1;
	for (unsigned i = 0; i < MAX_SLOTS; i++) {
		m->fd_wake[i] = -1;
		m->slots[i] = (struct child){.m = m, .slot = i, .pidfd = -1, .chan = -1};
		sl_buf_init(&m->slots[i].untold, MAX_UNTOLD_BYTES);
	}
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		m->fd_segments[i] = -1;
	m->watch_timer = (struct sl_timer){.fn = watch, .arg = m};
	return m;
}

static void master_free(struct master *m)
{
	control_close(m, true);
	if (m->pid_file[0])
		(void)unlink(m->pid_file); /* best effort: the process ends */
	for (unsigned i = 0; i < MAX_SLOTS; i++)
		sl_buf_free(&m->slots[i].untold);
	for (struct generation *g = m->generations, *next; g; g = next) {
		next = g->next;
		fd_close(&g->fd_text);
		free(g->plan);
		free(g);
	}
	offload_free(m->offload);
	steer_free(m->steer);
	shm_detach(m->shm);
	loop_free(m->loop);
	explicit_bzero(m, sizeof *m);
	free(m);
}

static int begin(struct master *m, int resume_fd)
{
	const struct log_conf log = {
		.level = SL_LOG_NOTICE, .format = LOG_LOGFMT, .fd = STDERR_FILENO, .slot = -1};

	if (log_init(&log) < 0 || loop_new(&m->loop) < 0 || open_signals(m) < 0)
		return -SL_ESYS;
	if (resume_fd >= 0 && upgrade_resume(m, resume_fd) < 0)
		return -SL_ESYS;
	if (resume_fd < 0 && (sl_random(m->node_key, sizeof m->node_key) < 0 ||
			      sl_random(m->ticket_key, sizeof m->ticket_key) < 0))
		return -SL_ESYS;
	sl_timer_set(m->loop, &m->watch_timer, WATCH_MS);
	generation_reload(m, NULL);
	return 0;
}

int master_main(const struct master_opts *opts, int resume_fd)
{
	struct master *m = master_new(opts);
	int status = 1;

	if (!m || begin(m, resume_fd) < 0) {
		fprintf(stderr, "sluice: cannot start: %m\n");
		return 1;
	}
	if (m->exit_status == 0 && loop_run(m->loop) == 0)
		status = m->exit_status;
	master_free(m);
	return status;
}
