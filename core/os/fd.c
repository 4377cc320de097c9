/*
 * os/fd.c: descriptors: closing, flags, whole reads and writes, and passing them between processes.
 *
 * EINTR never comes out of here, EAGAIN comes out as -SL_EAGAIN. Received descriptors are
 * close-on-exec; a message that brings more of them than its reader wants is refused and they are
 * closed, so that none is ever lost.
 */
#include <sluice/clock.h>
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PASS_MAX 64 /* the kernel's own limit is 253 */

static int sys_error(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? -SL_EAGAIN : -SL_ESYS;
}

/*
 * After EINTR Linux has closed the descriptor all the same: trying again could close somebody
 * else's.
 */
void fd_close(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved_errno;
}

int fd_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -SL_ESYS : 0;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -SL_ESYS;
	return 0;
}

int fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return -SL_ESYS;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* without the directory itself */
}

int fd_read_all(int fd, void *dst, size_t n, size_t *ret_len)
{
	size_t len = 0;

	while (len < n) {
		ssize_t got = read(fd, (char *)dst + len, n - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return sys_error();
		if (got == 0)
			break;
		len += (size_t)got;
	}
	*ret_len = len;
	return 0;
}

bool fd_wait(int fd, short events, uint64_t deadline_ns)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		uint64_t now = sl_clock_ns();
		uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
		int n = poll(&p, 1, (int)((left + SL_NS_PER_MS - 1) / SL_NS_PER_MS));

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

int fd_write_all(int fd, const void *src, size_t n)
{
	size_t len = 0;

	while (len < n) {
		ssize_t put = write(fd, (const char *)src + len, n - len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return sys_error();
		len += (size_t)put;
	}
	return 0;
}

/*
 * One byte more than the size is asked for, so that the end of the file is seen without growing;
 * and one more is allocated, for the NUL. The size that stat tells is a hint only: files of /proc
 * and pipes have none.
 */
static int slurp(int fd, size_t max, char **ret_text, size_t *ret_len)
{
	struct stat st;
	size_t cap = 4096, len = 0, got;
	char *text = NULL, *bigger;
	int err;

	if (fstat(fd, &st) < 0)
		return -SL_ESYS;
	if (st.st_size > 0 && (uint64_t)st.st_size <= max)
		cap = (size_t)st.st_size + 1;
	for (;;) {
		bigger = realloc(text, cap + 1);
		err = -SL_ENOMEM;
		if (!bigger)
			goto out;
		text = bigger;
		err = fd_read_all(fd, text + len, cap - len, &got);
		if (err < 0)
			goto out;
		len += got;
		err = -SL_ELIMIT;
		if (len > max)
			goto out;
		if (len < cap)
			break;
		cap *= 2;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
out:
	free(text);
	return err;
}

int fd_slurp(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -SL_ESYS : slurp(fd, max, ret_text, ret_len);
}

/* A stream may take a message in parts; the descriptors went with its first byte. */
static int send_rest(int sock, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = send(sock, p, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return sys_error();
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int fd_send_with(int sock, const void *msg, size_t len, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)msg, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t put;

	/*
	 * On a stream descriptors need a byte to travel with; a message of nothing would look like
	 * the end.
	 */
	if (n_fds > PASS_MAX || len == 0)
		return -SL_EINVAL;
	if (n_fds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof *fds);
		control.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(n_fds * sizeof *fds),
		};
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof *fds);
	}
	do
		put = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0)
		return sys_error();
	return send_rest(sock, (const char *)msg + put, len - (size_t)put);
}

/* Gathers what the control messages bring, up to PASS_MAX; returns the number. */
static unsigned take_fds(struct msghdr *m, int got[PASS_MAX])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (bytes > (PASS_MAX - n) * sizeof *got)
			bytes = (PASS_MAX - n) * sizeof *got;
		memcpy(got + n, CMSG_DATA(c), bytes);
		n += (unsigned)(bytes / sizeof *got);
	}
	return n;
}

/* Room is made for PASS_MAX however few are wanted: what is not taken out could not be closed. */
int fd_recv_with(int sock, void *msg, size_t cap, size_t *ret_len, int *fds, unsigned max_fds,
		 unsigned *ret_n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = msg, .iov_len = cap};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	int got[PASS_MAX];
	unsigned n;
	ssize_t len;

	do
		len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return sys_error();
	n = take_fds(&m, got);
	if (n > max_fds || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		while (n > 0)
			fd_close(&got[--n]);
		return -SL_EFULL;
	}
	if (len == 0)
		return -SL_ECLOSED;
	if (n > 0)
		memcpy(fds, got, n * sizeof *got);
	*ret_len = (size_t)len;
	*ret_n_fds = n;
	return 0;
}
