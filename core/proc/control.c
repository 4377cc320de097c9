/*
 * proc/control.c: the control socket: one command line in, text out, the last line "ok" or "error".
 *
 * Commands: reload, quit, stop, reopen, upgrade, kick SID, segments (answers with read-only
 * descriptors of the shared segments), status, ask MODULE WORDS (goes to the module's own process,
 * which answers). Only root and the master's own user can connect
 * (mode 0600). A client that neither speaks nor reads is bounded: one small command, one buffer,
 * sixteen clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/log.h>
#include <sluice/session.h>
#include "os/os.h"
#include "proc/master.h"

#define MAX_CLIENTS 16
#define MAX_COMMAND 256

struct control_client {
	struct control_client *next;
	struct master *m;
	struct sl_event ev;
	struct sl_buf out;
	char line[MAX_COMMAND];
	size_t len;
	bool closing, waiting; /* waiting: the answer comes later */
};

static void free_client(struct control_client *c)
{
	struct control_client **at = &c->m->clients;

	if (c->m->check.client == c)
		c->m->check.client = NULL;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	sl_event_del(c->m->loop, &c->ev);
	close(c->ev.fd);
	sl_buf_free(&c->out);
	free(c);
}

/* May free the client: nobody touches it after this. */
static void flush(struct control_client *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->ev.fd, c->out.p, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			if (sl_event_set(c->m->loop, &c->ev, SL_WRITE) < 0)
				free_client(c);
			return;
		}
		if (n < 0) {
			free_client(c);
			return;
		}
		sl_buf_drop(&c->out, (size_t)n);
	}
	if (c->closing)
		free_client(c);
}

void control_say(struct control_client *c, struct sl_str text)
{
	sl_buf_str(&c->out, text);
}

void control_done(struct control_client *c, bool ok)
{
	sl_buf_str(&c->out, ok ? SL_STR("ok\n") : SL_STR("error\n"));
	c->closing = true;
	flush(c);
}

/* ---- commands */

/* Opened anew by /proc, since a duplicate of the master's descriptor could be mapped for writing.
 */
static void send_segments(struct control_client *c)
{
	int fds[SHM_SEGMENTS];
	char path[64];
	unsigned n = 0;
	bool ok;

	for (unsigned i = 0; i < SHM_SEGMENTS; i++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", c->m->fd_segments[i]);
		fds[n] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[n] < 0)
			break;
		n++;
	}
	ok = n == SHM_SEGMENTS && fd_send_with(c->ev.fd, "ok\n", 3, fds, n) == 0;
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	if (!ok)
		control_say(c, SL_STR("no segments to show\n"));
	if (ok)
		free_client(c);
	else
		control_done(c, false);
}

/* Answered before anything is closed: the owner may be busy, and the master does not wait. */
static void kick(struct control_client *c, struct sl_str arg)
{
	struct ctl msg = {.type = CTL_KICK};
	uint32_t index, owner;

	if (sl_sid_parse(msg.sid, sl_str_trim(arg)) < 0) {
		control_say(c, SL_STR("kick wants a session id of 32 hexadecimal digits, as "
				      "`sluice sessions` prints it\n"));
	} else if (shm_find_sid(c->m->shm, msg.sid, &index, &owner) < 0) {
		control_say(c, SL_STR("no such session\n"));
	} else {
		children_broadcast(c->m, &msg, NULL); /* only the owner knows it */
		control_done(c, true);
		return;
	}
	control_done(c, false);
}

static struct child *find_aux(struct master *m, struct sl_str module)
{
	for (unsigned i = 0; i < m->n_slots; i++) {
		struct child *c = &m->slots[i];

		if (c->gen && c->gen->state == GEN_CURRENT && c->ready && child_is_aux(c) &&
		    sl_str_eq(module, sl_str_c(child_name(c))))
			return c;
	}
	return NULL;
}

/* The client is that process's from now on. */
static void ask(struct control_client *c, struct sl_str arg)
{
	struct sl_str module = sl_str_trim(sl_str_split(&arg, ' '));
	struct child *to = find_aux(c->m, module);

	if (!to) {
		sl_buf_printf(&c->out,
			      "no process of %.*s serves; is it among the modules of the "
			      "configuration?\n",
			      SL_FMT(module));
	} else if (child_ask(to, sl_str_trim(arg), c->ev.fd) < 0) {
		sl_buf_printf(&c->out, "the process of %.*s cannot be asked: %s\n", SL_FMT(module),
			      strerror(errno));
	} else {
		free_client(c);
		return;
	}
	control_done(c, false);
}

static void status(struct control_client *c)
{
	static const char *const states[] = {"starting", "current", "draining"};

	for (const struct generation *g = c->m->generations; g; g = g->next)
		sl_buf_printf(&c->out, "generation %u %s workers %u\n", g->number, states[g->state],
			      g->n_children);
	control_done(c, true);
}

static void cmd_reload(struct control_client *c, struct sl_str arg)
{
	(void)arg;
	c->waiting = true;
	generation_reload(c->m, c);
}

static void cmd_quit(struct control_client *c, struct sl_str arg)
{
	struct master *m = c->m;

	(void)arg;
	control_done(c, true);
	master_stop(m, true);
}

static void cmd_stop(struct control_client *c, struct sl_str arg)
{
	struct master *m = c->m;

	(void)arg;
	control_done(c, true);
	master_stop(m, false);
}

static void cmd_reopen(struct control_client *c, struct sl_str arg)
{
	(void)arg;
	master_reopen_log(c->m);
	control_done(c, true);
}

static void cmd_upgrade(struct control_client *c, struct sl_str arg)
{
	struct master *m = c->m;

	(void)arg;
	control_say(c, SL_STR("upgrading; the new binary reloads at once\n"));
	control_done(c, true);
	upgrade_exec(m);
}

static void cmd_segments(struct control_client *c, struct sl_str arg)
{
	(void)arg;
	send_segments(c);
}

static void cmd_status(struct control_client *c, struct sl_str arg)
{
	(void)arg;
	status(c);
}

static const struct {
	const char *name;
	void (*fn)(struct control_client *c, struct sl_str arg);
} commands[] = {
	{"reload", cmd_reload}, {"quit", cmd_quit},	  {"stop", cmd_stop},
	{"reopen", cmd_reopen}, {"upgrade", cmd_upgrade}, {"segments", cmd_segments},
	{"kick", kick},		{"status", cmd_status},	  {"ask", ask},
};

static void run(struct control_client *c)
{
	struct sl_str rest = {c->line, c->len}, word = sl_str_split(&rest, ' ');

	word = sl_str_trim(word);
	for (unsigned i = 0; i < SL_ARRAY_LEN(commands); i++) {
		if (sl_str_eq(word, sl_str_c(commands[i].name))) {
			commands[i].fn(c, rest);
			return;
		}
	}
	control_say(c, SL_STR("unknown command; reload, quit, stop, reopen, upgrade, kick SID, "
			      "segments, status and ask MODULE are known\n"));
	control_done(c, false);
}

/* One command each. Who says more while his answer is awaited, or leaves, is forgotten; what he
 * asked for goes on. */
static void on_client(struct sl_event *ev, unsigned ready)
{
	struct control_client *c = ev->arg;
	ssize_t n;

	if (ready & SL_WRITE) {
		flush(c);
		return;
	}
	n = recv(ev->fd, c->line + c->len, sizeof c->line - 1 - c->len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || c->waiting) {
		free_client(c);
		return;
	}
	c->len += (size_t)n;
	if (memchr(c->line, '\n', c->len))
		run(c);
	else if (c->len == sizeof c->line - 1)
		free_client(c);
}

/* Out of descriptors, whoever waits would wake this loop for ever. The one in reserve takes him in,
 * to turn him away. */
static void turn_away(struct master *m, int listener)
{
	int fd;

	fd_close(&m->reserve_fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	fd_close(&fd);
	m->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sl_log(SL_LOG_WARN, "master", "control: turned away a client: %s", strerror(EMFILE));
}

static void on_accept(struct sl_event *ev, unsigned ready)
{
	struct master *m = ev->arg;
	struct control_client *c;
	unsigned n = 0;
	int fd = accept4(ev->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ready;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		turn_away(m, ev->fd);
	if (fd < 0)
		return;
	for (c = m->clients; c; c = c->next)
		n++;
	c = n < MAX_CLIENTS ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->m = m;
	c->ev = (struct sl_event){.fd = fd, .fn = on_client, .arg = c};
	sl_buf_init(&c->out, (size_t)4 << 20);
	c->next = m->clients;
	m->clients = c;
	if (sl_event_add(m->loop, &c->ev, SL_READ) < 0)
		free_client(c);
}

int control_open(struct master *m, const char *path, int inherited_fd)
{
	int fd = inherited_fd;

	if (fd < 0 && sock_unix_listen(path, 0600, &fd) < 0)
		return -SL_ESYS;
	m->on_control = (struct sl_event){.fd = fd, .fn = on_accept, .arg = m};
	m->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)sl_str_copy(m->control_path, sizeof m->control_path, sl_str_c(path));
	return sl_event_add(m->loop, &m->on_control, SL_READ);
}

void control_close(struct master *m, bool unlink_path)
{
	while (m->clients)
		free_client(m->clients);
	if (!m->control_path[0])
		return;
	sl_event_del(m->loop, &m->on_control);
	close(m->on_control.fd);
	fd_close(&m->reserve_fd);
	if (unlink_path)
		(void)unlink(m->control_path); /* may be gone already */
	m->control_path[0] = '\0';
}
