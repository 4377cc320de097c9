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
	if (rc == 0)
		rc = fd_write_all(fd, command, strlen(command));
	if (rc < 0) {
		fprintf(stderr,
			"sluice: no answer at %s: %m; is it running with this prefix (-p)?\n",
			path);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

/* Prints what comes; the last line says how it went. */
static int print_answer(int fd)
{
	char text[4096], last[8] = "";
	size_t n;

	for (;;) {
		ssize_t got = recv(fd, text, sizeof text, 0);

		if (got <= 0)
			break;
		n = (size_t)got;
		if (n >= 6 && memcmp(text + n - 6, "error\n", 6) == 0)
			snprintf(last, sizeof last, "error");
		else if (n >= 3 && memcmp(text + n - 3, "ok\n", 3) == 0)
			snprintf(last, sizeof last, "ok");
		n -= strcmp(last, "error") == 0 ? 6 : strcmp(last, "ok") == 0 ? 3 : 0;
		if (fd_write_all(STDERR_FILENO, text, n) < 0)
			break;
	}
	return strcmp(last, "ok") != 0;
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
