/*
 * proc/upgrade.c: the master replaces its own binary and keeps everything that runs.
 *
 * All state that must live is written to a memfd, its descriptors lose close-on-exec, and the
 * process execs the new binary, which adopts them under the same numbers (children stay its
 * children) and then reloads, so that workers are of the new binary too. A failed exec leaves the
 * old master running. The saved form is checked by magic and size: an upgrade over a change of this
 * struct is refused before anything is touched, by asking the new binary for its number first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sluice/clock.h>
#include <sluice/log.h>
#include "os/os.h"
#include "proc/master.h"
#include "proc/tool.h"

enum { FORMAT_WAIT_MS = 2000 };

#define SAVED_MAGIC 0x534c5550u /* "SLUP" */
#define MAX_STEER_FDS (MAX_LISTENERS + 8)
#define MAX_GENERATIONS MAX_SLOTS /* each has a child at least */

struct saved_child {
	uint32_t generation; /* 0: slot free */
	int32_t pid, chan;
	uint32_t worker_index;
	uint8_t ready, leaving;
	uint64_t started_ms;
};

struct saved_generation {
	uint32_t number, state;
	int32_t fd_text;
	struct plan plan;
};

struct saved {
	uint32_t magic, bytes;
	uint32_t n_slots, n_generations, n_saved, n_steer, n_offload;
	int32_t fd_segments[SHM_SEGMENTS], fd_inbox, fd_wake[MAX_SLOTS], fd_control,
		fd_steer[MAX_STEER_FDS], fd_offload[OFFLOAD_MAX_FDS];
	uint32_t offload_mode, n_offload_rules, offload_ifindexes[OFFLOAD_MAX_LINKS];
	uint8_t node_key[32], ticket_key[80];
	char pid_file[MAX_PATH], control_path[MAX_PATH], log_file[MAX_PATH];
	char prefix[MAX_PATH], file[MAX_PATH], overrides[MAX_OVERRIDES];
	struct master_listener listeners[MAX_LISTENERS];
	struct saved_child children[MAX_SLOTS];
	/* struct saved_generation[n_saved] follows, newest first */
};

/* What two binaries must agree on; printed by `sluice --upgrade-format`. */
unsigned upgrade_format(void)
{
	return (unsigned)(sizeof(struct saved) * 31 + sizeof(struct saved_generation) * 17 +
			  sizeof(struct handoff));
}

/* ---- saving */

static void save_children(const struct master *m, struct saved *s)
{
	for (unsigned i = 0; i < m->n_slots; i++) {
		const struct child *c = &m->slots[i];

		if (c->gen)
			s->children[i] = (struct saved_child){c->gen->number,  c->pid,	 c->chan,
							      c->worker_index, c->ready, c->leaving,
							      c->started_ms};
	}
}

static void save_offload(const struct offload_kernel *k, struct saved *s)
{
	s->offload_mode = offload_mode(k);
	s->n_offload_rules = offload_n_rules(k);
	s->n_offload = offload_export(k, s->fd_offload, s->offload_ifindexes);
}

static int save(const struct master *m, struct saved *s)
{
	*s = (struct saved){.magic = SAVED_MAGIC,
			    .bytes = sizeof *s,
			    .n_slots = m->n_slots,
			    .n_generations = m->n_generations,
			    .fd_inbox = m->fd_inbox,
			    .fd_control = m->control_path[0] ? m->on_control.fd : -1};
	memcpy(s->fd_segments, m->fd_segments, sizeof s->fd_segments);
	memcpy(s->fd_wake, m->fd_wake, sizeof s->fd_wake);
	memcpy(s->node_key, m->node_key, sizeof s->node_key);
	memcpy(s->ticket_key, m->ticket_key, sizeof s->ticket_key);
	memcpy(s->pid_file, m->pid_file, sizeof s->pid_file);
	memcpy(s->control_path, m->control_path, sizeof s->control_path);
	memcpy(s->log_file, m->log_file, sizeof s->log_file);
	memcpy(s->prefix, m->opts.prefix, sizeof s->prefix);
	memcpy(s->file, m->opts.file, sizeof s->file);
	memcpy(s->overrides, m->opts.overrides, sizeof s->overrides);
	memcpy(s->listeners, m->listeners, sizeof s->listeners);
	save_children(m, s);
	for (const struct generation *g = m->generations; g; g = g->next)
		s->n_saved++;
	if (m->offload)
		save_offload(m->offload, s);
	return m->steer ? steer_export(m->steer, s->fd_steer, MAX_STEER_FDS, &s->n_steer) : 0;
}

static int write_state(const struct master *m, const struct saved *s, int *ret_fd)
{
	int fd = memfd_create("master", 0); /* inherited */
	int rc = fd < 0 ? -SL_ESYS : fd_write_all(fd, s, sizeof *s);

	for (const struct generation *g = m->generations; rc == 0 && g; g = g->next) {
		struct saved_generation *sg = calloc(1, sizeof *sg);

		if (!sg) {
			rc = -SL_ENOMEM;
			break;
		}
		*sg = (struct saved_generation){g->number, g->state, g->fd_text, *g->plan};
		rc = fd_write_all(fd, sg, sizeof *sg);
		free(sg);
	}
	if (rc < 0 && fd >= 0)
		close(fd);
	else
		*ret_fd = fd;
	return rc;
}

/* Every descriptor that the next master needs: kept over exec, or closed by it as before. */
static void keep_over_exec(const struct master *m, const struct saved *s, bool keep)
{
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		(void)fd_set_cloexec(s->fd_segments[i], !keep);
	(void)fd_set_cloexec(s->fd_inbox, !keep);
	for (unsigned i = 0; i < m->n_slots; i++) {
		(void)fd_set_cloexec(s->fd_wake[i], !keep);
		if (s->children[i].generation && s->children[i].chan >= 0)
			(void)fd_set_cloexec(s->children[i].chan, !keep);
	}
	for (unsigned i = 0; i < s->n_steer; i++)
		(void)fd_set_cloexec(s->fd_steer[i], !keep);
	for (unsigned i = 0; i < s->n_offload; i++)
		if (s->fd_offload[i] >= 0)
			(void)fd_set_cloexec(s->fd_offload[i], !keep);
	if (s->fd_control >= 0)
		(void)fd_set_cloexec(s->fd_control, !keep);
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		if (!s->listeners[i].used)
			continue;
		if (s->listeners[i].tcp_fd >= 0)
			(void)fd_set_cloexec(s->listeners[i].tcp_fd, !keep);
		for (unsigned k = 0; k < m->n_slots; k++)
			if (s->listeners[i].udp_fds[k] >= 0)
				(void)fd_set_cloexec(s->listeners[i].udp_fds[k], !keep);
	}
	for (const struct generation *g = m->generations; g; g = g->next)
		(void)fd_set_cloexec(g->fd_text, !keep);
}

/* What comes by fd until its other end is closed: 0 when that was within the deadline. */
static int read_until(int fd, char *text, size_t cap, uint64_t deadline_ns)
{
	size_t len = 0;

	while (len < cap && fd_wait(fd, POLLIN, deadline_ns)) {
		ssize_t n = read(fd, text + len, cap - len);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -SL_ESYS;
		len += n > 0 ? (size_t)n : 0;
	}
	return -SL_ETIMEOUT;
}

/* The number of the form that a binary keeps its state in; 0: it did not say within FORMAT_WAIT_MS.
 * Nobody knows what lies on the disk by that name, and the master has more to do than to wait. */
static unsigned long format_of(const char *binary)
{
	char *argv[] = {(char *)"sluice", (char *)"--upgrade-format", NULL};
	uint64_t deadline = sl_clock_ns() + FORMAT_WAIT_MS * SL_NS_PER_MS;
	int pipe_fds[2], pidfd = -1, status = 1, rc;
	char text[32] = "";
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return 0;
	rc = proc_spawn(
		&(struct proc_spawn){
			.path = binary, .argv = argv, .stdout_fd = pipe_fds[1], .stderr_fd = -1},
		&pid, &pidfd);
	close(pipe_fds[1]);
	if (rc == 0) {
		rc = read_until(pipe_fds[0], text, sizeof text - 1, deadline);
		if (rc < 0 || !fd_wait(pidfd, POLLIN, deadline))
			(void)kill(pid, SIGKILL); /* not waited for yet, so it is still the same */
		(void)waitpid(pid, &status, 0);
		fd_close(&pidfd);
	}
	close(pipe_fds[0]);
	return rc == 0 && status == 0 ? strtoul(text, NULL, 10) : 0;
}

/* A failure at any line leaves this master as it was: what it has written lies in a memfd, and the
 * flags of its descriptors are put back. */
static void exec_new(struct master *m, struct saved *s)
{
	char option[32];
	char *argv[] = {(char *)"sluice: master", option, NULL};
	int fd;

	if (save(m, s) < 0 || write_state(m, s, &fd) < 0) {
		sl_log(SL_LOG_ERROR, "master", "upgrade: cannot write the state: %m");
		return;
	}
	if (fd_set_cloexec(fd, false) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return;
	}
	snprintf(option, sizeof option, "--resume=%d", fd);
	keep_over_exec(m, s, true);
	execv(m->opts.binary, argv);
	sl_log(SL_LOG_ERROR, "master", "upgrade: cannot execute %s: %m; this master goes on",
	       m->opts.binary);
	keep_over_exec(m, s, false);
	close(fd);
}

void upgrade_exec(struct master *m)
{
	unsigned long format;
	struct saved *s;

	if (m->check.active || (m->generations && m->generations->state == GEN_STARTING) ||
	    m->stopping) {
		sl_log(SL_LOG_WARN, "master", "upgrade: not now, a reload or a stop is under way");
		return;
	}
	if (children_untold(m)) { /* for a moment after a crash, or longer if one hangs */
		sl_log(SL_LOG_WARN, "master",
		       "upgrade: not now, a worker is behind with what it is told");
		return;
	}
	format = format_of(m->opts.binary);
	if (format != upgrade_format()) {
		sl_log(SL_LOG_ERROR, "master",
		       format ? "upgrade: %s keeps its state in another form; stop this one and "
				"start the new one"
			      : "upgrade: %s does not answer --upgrade-format as a Sluice does; is "
				"it whole, and can it be executed here?",
		       m->opts.binary);
		return;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return;
	sl_log(SL_LOG_NOTICE, "master", "upgrade: executing %s", m->opts.binary);
	exec_new(m, s);
	explicit_bzero(s, sizeof *s);
	free(s);
}

/* ---- resuming */

static struct generation *find(struct master *m, uint32_t number)
{
	for (struct generation *g = m->generations; g; g = g->next)
		if (g->number == number)
			return g;
	return NULL;
}

static int resume_generations(struct master *m, int fd, unsigned n)
{
	struct generation **tail = &m->generations;

	for (unsigned i = 0; i < n && i < MAX_GENERATIONS; i++) {
		struct saved_generation *sg = calloc(1, sizeof *sg);
		struct generation *g = calloc(1, sizeof *g);
		size_t len = 0;

		if (sg && g)
			g->plan = malloc(sizeof *g->plan);
		if (!sg || !g || !g->plan || fd_read_all(fd, sg, sizeof *sg, &len) < 0 ||
		    len != sizeof *sg) {
			free(g);
			free(sg);
			return -SL_EPARSE;
		}
		g->m = m;
		g->number = sg->number;
		g->state = (enum generation_state)sg->state;
		g->fd_text = sg->fd_text;
		(void)fd_set_cloexec(g->fd_text, true);
		*g->plan = sg->plan;
		free(sg);
		*tail = g;
		tail = &g->next;
	}
	return 0;
}

/* One that has ended since the exec is a zombie of ours, which a pidfd can be had of: its end is
 * seen by the loop as any other. */
static void resume_child(struct master *m, unsigned slot, const struct saved_child *sc)
{
	struct child *c = &m->slots[slot];

	c->gen = find(m, sc->generation);
	if (!c->gen)
		return;
	c->pid = sc->pid;
	c->chan = sc->chan;
	c->pidfd = sc->pid > 0 ? (int)syscall(SYS_pidfd_open, sc->pid, 0) : -1;
	c->worker_index = sc->worker_index;
	c->ready = sc->ready;
	c->leaving = sc->leaving;
	c->started_ms = sc->started_ms;
	c->gen->n_children++;
	c->gen->n_ready += c->ready;
	child_adopt(c);
}

/* control_path is left out: control_open sets it, so that a socket that cannot be opened is no
 * socket to unlink. */
static void adopt_state(struct master *m, const struct saved *s)
{
	m->n_slots = s->n_slots;
	m->n_generations = s->n_generations;
	m->announced = true;
	memcpy(m->fd_segments, s->fd_segments, sizeof m->fd_segments);
	memcpy(m->fd_wake, s->fd_wake, sizeof m->fd_wake);
	m->fd_inbox = s->fd_inbox;
	memcpy(m->node_key, s->node_key, sizeof m->node_key);
	memcpy(m->ticket_key, s->ticket_key, sizeof m->ticket_key);
	memcpy(m->pid_file, s->pid_file, sizeof m->pid_file);
	memcpy(m->log_file, s->log_file, sizeof m->log_file);
	memcpy(m->opts.prefix, s->prefix, sizeof m->opts.prefix);
	memcpy(m->opts.file, s->file, sizeof m->opts.file);
	memcpy(m->opts.overrides, s->overrides, sizeof m->opts.overrides);
	memcpy(m->listeners, s->listeners, sizeof m->listeners);
}

static int resume_offload(struct master *m, const struct saved *s)
{
	return offload_import((enum sl_offload_mode)s->offload_mode, s->n_offload_rules,
			      s->fd_offload, s->offload_ifindexes, s->n_offload, &m->offload);
}

static int resume(struct master *m, int fd, struct saved *s)
{
	size_t len = 0;

	if (fd_read_all(fd, s, sizeof *s, &len) < 0 || len != sizeof *s ||
	    s->magic != SAVED_MAGIC || s->bytes != sizeof *s)
		return -SL_EPARSE;
	adopt_state(m, s);
	if (shm_attach(m->fd_segments, true, &m->shm) < 0 ||
	    resume_generations(m, fd, s->n_saved) < 0)
		return -SL_ESYS;
	if (s->n_steer && steer_import(s->fd_steer, s->n_steer, m->n_slots, &m->steer) < 0)
		return -SL_ESYS;
	if (s->n_offload && resume_offload(m, s) < 0)
		return -SL_ESYS;
	keep_over_exec(m, s, false);
	for (unsigned i = 0; i < m->n_slots; i++)
		if (s->children[i].generation)
			resume_child(m, i, &s->children[i]);
	return s->fd_control < 0 ? 0 : control_open(m, s->control_path, s->fd_control);
}

int upgrade_resume(struct master *m, int fd)
{
	struct saved *s = calloc(1, sizeof *s);
	int rc = s ? resume(m, fd, s) : -SL_ENOMEM;

	if (s)
		explicit_bzero(s, sizeof *s);
	free(s);
	close(fd);
	if (rc < 0)
		sl_log(SL_LOG_ALERT, "master",
		       "upgrade: the state of the previous master cannot be read; its workers go "
		       "on without a master");
	return rc;
}
