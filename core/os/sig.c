/*
 * os/sig.c: signals read from a descriptor, so that nothing ever runs in a signal handler.
 *
 * They stay blocked in this process for good; proc_spawn() unblocks them in children. Standard
 * signals do not queue: two of a kind that come before they are read are one.
 */
#include "os/os.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int sig_block_and_open(const int *signals, unsigned n, int *ret_fd)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned i = 0; i < n; i++)
		if (sigaddset(&set, signals[i]) < 0)
			return -SL_EINVAL;
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -SL_ESYS;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -SL_ESYS;
	*ret_fd = fd;
	return 0;
}

int sig_read(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
