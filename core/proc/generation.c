/*
 * proc/generation.c: from a request to reload to a generation that serves, or to a refusal that
 * changes nothing.
 *
 *     check (a child parses, loads, validates) -> sockets -> workers start -> all serve -> switch
 * -> the old ones drain
 *
 * Each arrow is an event; nothing sleeps. Until the switch the old generation is untouched; a
 * failure before it kills only what is new. The switch is one write to the steering map and one to
 * the shared segment.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sluice/log.h>
#include "os/os.h"
#include "proc/master.h"

#define MAX_REPORT ((size_t)1 << 20)
#define MAX_PLAN ((size_t)16 << 20)

static struct control_client *asked_by(struct master *m)
{
	return m->check.client;
}

static struct generation *starting(struct master *m)
{
	return m->generations && m->generations->state == GEN_STARTING ? m->generations : NULL;
}

/* A signal that came while something was under way is obeyed once nothing is: a generation that was
 * given up is under way until the last of its processes has gone. */
static void reload_if_asked(struct master *m)
{
	if (!m->reload_again || m->check.active || starting(m) || m->stopping)
		return;
	m->reload_again = false;
	generation_reload(m, NULL);
}

/* The one end of every reload, good or bad: who asked is told, once. He may have left meanwhile
 * (control.c forgets him then), and a signal has nobody to tell. */
static void answer(struct master *m, bool ok, const char *text)
{
	struct control_client *client = asked_by(m);

	m->check.client = NULL;
	if (client) {
		control_say(client, sl_str_c(text));
		control_done(client, ok);
	}
	if (!ok && m->n_generations <= 1 && !generation_current(m)) { /* the very first start */
		m->exit_status = 1;
		master_stop(m, false);
	}
	reload_if_asked(m);
}

static void refuse(struct master *m, const char *sentence)
{
	char text[256];

	sl_log(SL_LOG_ERROR, "master", "%s", sentence);
	snprintf(text, sizeof text, "%s\n", sentence);
	answer(m, false, text);
}

struct generation *generation_current(struct master *m)
{
	for (struct generation *g = m->generations; g; g = g->next)
		if (g->state == GEN_CURRENT)
			return g;
	return NULL;
}

/* ---- the switch */

static void drain(struct master *m, struct generation *g)
{
	g->state = GEN_DRAINING;
	for (unsigned i = 0; i < m->n_slots; i++) {
		if (m->slots[i].gen != g)
			continue;
		child_tell(&m->slots[i], CTL_DRAIN);
		sockets_let_go(m, i);
	}
	/* Those that were waiting to be started again; if all were, g goes with the last of them.
	 */
	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].gen == g && m->slots[i].pid == 0)
			child_forget(&m->slots[i]);
}

static void drain_others(struct master *m, const struct generation *fresh)
{
	for (struct generation *g = m->generations, *next; g; g = next) {
		next = g->next;
		if (g != fresh && g->state == GEN_CURRENT)
			drain(m, g);
	}
}

/* The steering map first: should it fail, nothing has changed yet. Between it and the segment new
 * flows reach workers that serve already, since all of them have said READY. */
static void switch_to(struct generation *g, struct master *m)
{
	char text[96];

	if (sockets_switch(m, g) < 0) {
		generation_failed(g, "the steering map cannot be written");
		return;
	}
	sl_timer_cancel(m->loop, &g->start_timer);
	shm_set_generation(m->shm, g->number);
	g->state = GEN_CURRENT;
	drain_others(m, g);
	sockets_retire(m);
	master_use_plan(m, g->plan);
	sl_log(SL_LOG_NOTICE, "master", "generation %u serves with %u workers", g->number,
	       g->plan->n_workers);
	if (!m->announced) {
		m->announced = true;
		(void)fd_write_all(
			STDOUT_FILENO, g->plan->banner,
			strlen(g->plan->banner)); /* a closed terminal is no reason to stop */
	}
	snprintf(text, sizeof text, "generation %u serves with %u workers\n", g->number,
		 g->plan->n_workers);
	answer(m, true, text);
}

void generation_ready(struct generation *g)
{
	if (++g->n_ready == g->n_children && g->state == GEN_STARTING && !g->failed)
		switch_to(g, g->m);
}

/* ---- start */

/* Its children are only killed here; it goes when the last of them has been seen to end. */
void generation_failed(struct generation *g, const char *why)
{
	struct master *m = g->m;
	char text[256];

	if (g->failed)
		return;
	g->failed = true;
	sl_timer_cancel(m->loop, &g->start_timer);
	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].gen == g)
			child_kill(&m->slots[i]);
	snprintf(text, sizeof text, "generation %u was given up: %s; see the log%s\n", g->number,
		 why, generation_current(m) ? "; the running one goes on" : "");
	sl_log(SL_LOG_ERROR, "master", "%.*s", (int)strlen(text) - 1, text);
	answer(m, false, text);
}

static void start_timed_out(struct sl_timer *t)
{
	generation_failed(t->arg, "it did not serve within start_timeout");
}

static void free_generation(struct generation *g)
{
	fd_close(&g->fd_text);
	free(g->plan);
	free(g);
}

static void remove_generation(struct generation *g)
{
	struct generation **at = &g->m->generations;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free_generation(g);
}

void generation_child_left(struct generation *g)
{
	struct master *m = g->m;

	if (--g->n_children > 0)
		return;
	sl_timer_cancel(m->loop, &g->start_timer);
	remove_generation(g);
	sockets_retire(m);
	master_offload_retire(m);
	reload_if_asked(m);
}

static int free_slots(const struct master *m, unsigned *ret_slots, unsigned want)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_slots && n < want; i++)
		if (!m->slots[i].gen)
			ret_slots[n++] = i;
	return n == want ? 0 : -SL_EFULL;
}

/* Counted before anything can fail: what has a slot is freed with it. */
static void take_slot(struct generation *g, unsigned slot, unsigned index)
{
	g->n_children++;
	g->m->slots[slot].gen = g;
	g->m->slots[slot].worker_index = index;
}

static int start_workers(struct generation *g, char *err, size_t cap)
{
	struct master *m = g->m;
	unsigned slots[MAX_SLOTS], n = g->plan->n_workers + g->plan->n_aux;

	if (free_slots(m, slots, n) < 0) {
		snprintf(err, cap,
			 "no %u free slots: older generations still have sessions on them; wait, "
			 "or lower drain_timeout",
			 n);
		return -SL_EFULL;
	}
	for (unsigned i = 0; i < n; i++) {
		take_slot(g, slots[i], i);
		if (!child_is_aux(&m->slots[slots[i]]) &&
		    sockets_for_slot(m, g, slots[i], err, cap) < 0)
			return -SL_ESYS;
	}
	for (unsigned i = 0; i < n; i++) {
		if (child_spawn(m, g, slots[i], i) < 0) {
			snprintf(err, cap, "cannot start %s: %m", m->opts.binary);
			return -SL_ESYS;
		}
	}
	return 0;
}

/* What start_workers left behind when it failed half-way: slots without a process. */
static void release_unstarted(struct generation *g)
{
	struct master *m = g->m;

	for (unsigned i = 0; i < m->n_slots; i++) {
		if (m->slots[i].gen != g || m->slots[i].pid > 0)
			continue;
		sockets_release_slot(m, i);
		m->slots[i].gen = NULL;
		g->n_children--;
	}
	if (g->n_children == 0)
		remove_generation(g);
}

static void start(struct master *m, struct plan *plan, int fd_text)
{
	struct generation *g = calloc(1, sizeof *g);
	char err[512] = "out of memory";

	if (!g) {
		free(plan);
		close(fd_text);
		refuse(m, "out of memory for a new generation");
		return;
	}
	*g = (struct generation){.next = m->generations,
				 .m = m,
				 .number = ++m->n_generations,
				 .state = GEN_STARTING,
				 .plan = plan,
				 .fd_text = fd_text};
	g->start_timer = (struct sl_timer){.fn = start_timed_out, .arg = g};
	m->generations = g;
	if (m->n_slots == 0 && master_make_segments(m, plan) < 0) {
		generation_failed(g, "cannot make the shared segments");
		remove_generation(g);
		reload_if_asked(m);
		return;
	}
	if (master_offload_prepare(m, g->plan, err, sizeof err) < 0 ||
	    sockets_prepare(m, g, err, sizeof err) < 0 || start_workers(g, err, sizeof err) < 0) {
		generation_failed(g, err);
		release_unstarted(g);
		sockets_retire(m);
		reload_if_asked(m);
		return;
	}
	sl_timer_set(m->loop, &g->start_timer, plan->start_timeout_ms);
}

/* ---- check */

static void copy_report(struct master *m, int fd, bool refused)
{
	char *text;
	size_t len;

	if (lseek(fd, 0, SEEK_SET) < 0 || !(text = malloc(MAX_REPORT)))
		return;
	if (fd_read_all(fd, text, MAX_REPORT, &len) == 0 && len > 0) {
		(void)fd_write_all(STDERR_FILENO, text, len); /* nowhere else to complain */
		if (asked_by(m))
			control_say(asked_by(m), (struct sl_str){text, len});
	}
	if (refused && generation_current(m))
		sl_log(SL_LOG_ERROR, "master",
		       "the configuration was refused; generation %u goes on",
		       generation_current(m)->number);
	free(text);
}

static int read_plan(int fd, struct plan **ret_plan, int *ret_text)
{
	size_t len, bytes = sizeof **ret_plan + MAX_PLAN;
	char *all = malloc(bytes);
	struct plan *plan = (struct plan *)all;
	int rc = all && lseek(fd, 0, SEEK_SET) == 0 ? fd_read_all(fd, all, bytes, &len) : -SL_ESYS;

	if (rc == 0 && (len < sizeof *plan || plan->magic != HANDOFF_MAGIC ||
			plan->bytes != sizeof *plan || plan->text_len != len - sizeof *plan ||
			plan->n_listeners > MAX_LISTENERS || plan->n_workers < 1))
		rc = -SL_EABI;
	if (rc == 0)
		rc = shmem_create_text("configuration", all + sizeof *plan, plan->text_len,
				       ret_text);
	if (rc == 0)
		*ret_plan = realloc(plan,
				    sizeof *plan); /* shrinks: cannot fail in a way that matters */
	if (rc == 0 && !*ret_plan)
		*ret_plan = plan;
	if (rc < 0)
		free(all);
	return rc;
}

/* Its reasons are in the report; a checker that crashed had none to give. */
static void answer_refused(struct master *m, int status)
{
	char text[96];

	if (!WIFSIGNALED(status)) {
		answer(m, false, "");
		return;
	}
	snprintf(text, sizeof text, "the checker was killed by signal %d", WTERMSIG(status));
	refuse(m, text);
}

static void check_done(struct sl_event *ev, unsigned ready)
{
	struct master *m = ev->arg;
	struct check *k = &m->check;
	struct plan *plan = NULL;
	int status = 0, fd_text = -1, rc;
	bool ok;

	(void)ready;
	if (waitpid(k->pid, &status, WNOHANG) == 0)
		return;
	sl_event_del(m->loop, &k->on_exit);
	fd_close(&k->pidfd);
	ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	copy_report(m, k->fd_err, !ok);
	fd_close(&k->fd_err);
	k->active = false;
	if (m->stopping) {
		answer(m, false, "stopping\n");
	} else if (!ok) {
		answer_refused(m, status);
	} else if ((rc = read_plan(k->fd_out, &plan, &fd_text)) == -SL_EABI) {
		refuse(m, "the binary was replaced by another version; use `sluice -s upgrade`");
	} else if (rc < 0) {
		refuse(m, "cannot read the checker's plan");
	} else {
		start(m, plan, fd_text);
	}
	fd_close(&k->fd_out);
	master_leave_if_done(m);
}

static int spawn_checker(struct master *m)
{
	struct check *k = &m->check;
	struct handoff *h = calloc(1, sizeof *h);
	char *argv[] = {(char *)"sluice: checker", (char *)"--child", NULL};
	int fd FD_AUTO = -1;
	int fds[2], rc = -SL_ENOMEM;

	if (!h)
		return rc;
	*h = (struct handoff){.magic = HANDOFF_MAGIC,
			      .bytes = sizeof *h,
			      .role = ROLE_CHECKER,
			      .fd_out = HANDOFF_FD + 1};
	memcpy(h->prefix, m->opts.prefix, sizeof h->prefix);
	memcpy(h->file, m->opts.file, sizeof h->file);
	memcpy(h->overrides, m->opts.overrides, sizeof h->overrides);
	rc = shmem_create_text("handoff", h, sizeof *h, &fd);
	free(h);
	if (rc < 0)
		return rc;
	fds[0] = fd;
	fds[1] = k->fd_out;
	return proc_spawn(&(struct proc_spawn){.path = m->opts.binary,
					       .argv = argv,
					       .fds = fds,
					       .n_fds = 2,
					       .stdout_fd = -1,
					       .stderr_fd = k->fd_err},
			  &k->pid, &k->pidfd);
}

static int begin_check(struct master *m)
{
	struct check *k = &m->check;

	k->fd_out = memfd_create("plan", MFD_CLOEXEC);
	k->fd_err = memfd_create("report", MFD_CLOEXEC);
	if (k->fd_out < 0 || k->fd_err < 0 || spawn_checker(m) < 0)
		return -SL_ESYS;
	k->on_exit = (struct sl_event){.fd = k->pidfd, .fn = check_done, .arg = m};
	if (sl_event_add(m->loop, &k->on_exit, SL_READ) == 0)
		return 0;
	if (kill(k->pid, SIGKILL) == 0)
		(void)waitpid(k->pid, NULL, 0); /* at once: it was killed */
	fd_close(&k->pidfd);
	return -SL_ESYS;
}

void generation_reload(struct master *m, struct control_client *client)
{
	if (m->check.active || starting(m)) {
		if (client) {
			control_say(client, SL_STR("a reload is under way\n"));
			control_done(client, false);
		} else {
			m->reload_again = true;
		}
		return;
	}
	m->check = (struct check){
		.pidfd = -1, .fd_out = -1, .fd_err = -1, .client = client, .active = true};
	if (begin_check(m) == 0)
		return;
	sl_log(SL_LOG_ERROR, "master", "cannot start the checker %s: %m", m->opts.binary);
	fd_close(&m->check.fd_out);
	fd_close(&m->check.fd_err);
	m->check.active = false;
	answer(m, false, "cannot start the checker\n");
}
