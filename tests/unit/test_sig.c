/*
 * test_sig.c: signals are read, not handled.
 */
#include "../lib/test.h"

#include <signal.h>
#include <unistd.h>

#include "os/os.h"

TEST(blocked_signals_are_read_one_by_one)
{
	FD_AUTO int fd = -1;

	CHECK_INT(sig_block_and_open((int[]){SIGHUP, SIGUSR1}, 2, &fd), 0);
	CHECK_INT(sig_read(fd), 0);
	CHECK_INT(kill(getpid(), SIGHUP), 0);
	CHECK_INT(kill(getpid(), SIGUSR1), 0);
	CHECK_INT(sig_read(fd) + sig_read(fd), SIGHUP + SIGUSR1);
	CHECK_INT(sig_read(fd), 0);
}

TEST(a_number_that_is_no_signal_is_refused)
{
	int fd = -7;

	CHECK_INT(sig_block_and_open((int[]){9999}, 1, &fd), -SL_EINVAL);
	CHECK_INT(fd, -7);
	CHECK_INT(sig_read(-1), 0);
}

TEST_MAIN()
