/*
 * proc/tool_control.c: the client of the control socket: -s, kick, and the segments for the
 * viewers.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sluice/buf.h>
#include "os/os.h"
#include "proc/handoff.h"
#include "proc/tool.h"

static void socket_path(const struct tool_opts *o, char dst[MAX_PATH])
{
	if (o->control)
		snprintf(dst, MAX_PATH, "%s", o->control);
	else
		snprintf(dst, MAX_PATH, "%s/sluice.sock", o->prefix);
}

static int ask(const struct tool_opts *o, const char *command, int *ret_fd)
{
	char path[MAX_PATH];
	int fd, rc;

	socket_path(o, path);
	rc = sock_unix_connect(path, &fd);
	if (rc == 0 && send(fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
		close(fd);
		rc = -SL_ESYS;
	}
	if (rc < 0) {
		fprintf(stderr,
			"sluice: no answer at %s: %m; is it running with this prefix (-p)?\n",
			path);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static bool cut_end(struct sl_str *s, struct sl_str end)
{
	if (s->len < end.len || memcmp(s->p + s->len - end.len, end.p, end.len) != 0)
		return false;
	s->len -= end.len;
	return true;
}

static int refused(struct sl_str why, bool complete)
{
	(void)fd_write_all(STDERR_FILENO, why.p, why.len);
	if (!complete)
		fprintf(stderr, "sluice: the connection was closed before the answer was "
				"complete; see its log\n");
	return -SL_EDENIED;
}

/* The last line says how it went; what is before it is for the reader. */
static int judge(struct sl_buf *answer)
{
	struct sl_str text = sl_buf_view(answer);
	bool complete;

	if (cut_end(&text, SL_STR("ok\n"))) {
		answer->len = text.len;
		return 0;
	}
	complete = cut_end(&text, SL_STR("error\n"));
	return refused(text, complete);
}

static int read_answer(int fd, struct sl_buf *answer)
{
	char text[16384];
	ssize_t got;

	while ((got = recv(fd, text, sizeof text, 0)) > 0)
		sl_buf_add(answer, text, (size_t)got);
	return sl_buf_ok(answer) < 0 ? -SL_ENOMEM : judge(answer);
}

static int print_answer(int fd)
{
	struct sl_buf answer;
	int rc;

	sl_buf_init(&answer, 0);
	rc = read_answer(fd, &answer);
	if (rc == 0)
		rc = fd_write_all(STDERR_FILENO, answer.p, answer.len);
	sl_buf_free(&answer);
	return rc < 0;
}

int tool_ask(const struct tool_opts *o, const char *line, struct sl_buf *answer)
{
	int fd FD_AUTO = -1;

	return ask(o, line, &fd) < 0 ? -SL_ESYS : read_answer(fd, answer);
}

/* Without the socket (another user's, or lost): the signal that nginx users know, by the pid file.
 */
static int by_signal(const struct tool_opts *o, int sig)
{
	char path[MAX_PATH], *text;
	size_t len;
	long pid;

	snprintf(path, sizeof path, "%s/sluice.pid", o->prefix);
	if (fd_slurp(path, 64, &text, &len) < 0) {
		fprintf(stderr, "sluice: cannot read %s: %m\n", path);
		return 1;
	}
	pid = strtol(text, NULL, 10);
	free(text);
	if (pid <= 1 || kill((pid_t)pid, sig) < 0) {
		fprintf(stderr, "sluice: cannot signal process %ld: %m\n", pid);
		return 1;
	}
	return 0;
}

int tool_signal(const struct tool_opts *o, const char *command)
{
	static const struct {
		const char *name;
		int sig;
	} known[] = {{"reload", SIGHUP},  {"quit", SIGQUIT},	{"stop", SIGTERM},
		     {"reopen", SIGUSR1}, {"upgrade", SIGUSR2}, {"status", 0}};
	char line[64];
	int fd FD_AUTO = -1;

	for (unsigned i = 0; i < SL_ARRAY_LEN(known); i++) {
		if (strcmp(known[i].name, command) != 0)
			continue;
		snprintf(line, sizeof line, "%s\n", command);
		if (ask(o, line, &fd) == 0)
			return print_answer(fd);
		return known[i].sig ? by_signal(o, known[i].sig) : 1;
	}
	fprintf(stderr, "sluice: -s %s: reload, quit, stop, reopen, upgrade and status are known\n",
		command);
	return 1;
}

int tool_kick(const struct tool_opts *o, const char *sid)
{
	char line[128];
	int fd FD_AUTO = -1;

	snprintf(line, sizeof line, "kick %.100s\n", sid);
	return ask(o, line, &fd) < 0 ? 1 : print_answer(fd);
}

int tool_attach(const struct tool_opts *o, struct shm **ret_shm)
{
	int fds[SHM_SEGMENTS], fd FD_AUTO = -1, rc;
	unsigned n = 0;
	char text[64];
	size_t len = 0;

	if (ask(o, "segments\n", &fd) < 0)
		return -SL_ESYS;
	rc = fd_recv_with(fd, text, sizeof text, &len, fds, SHM_SEGMENTS, &n);
	if (rc == 0 && n == SHM_SEGMENTS)
		rc = shm_attach(fds, false, ret_shm);
	else
		rc = -SL_ESYS;
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	if (rc < 0)
		fprintf(stderr, "sluice: cannot see the shared segments: %s\n", sl_strerror(rc));
	return rc;
}
