/*
 * test_fd.c: whole reads and writes, and descriptors that travel.
 */
#include "../lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

TEST(close_sets_minus_one_and_keeps_errno)
{
	int fd = open("/dev/null", O_RDONLY), n = fd_count(), none = -1;

	errno = EDOM;
	fd_close(&fd);
	fd_close(&none);
	CHECK_INT(fd, -1);
	CHECK_INT(errno, EDOM);
	CHECK_INT(fd_count(), n - 1);
}

static int opened_and_kept(void)
{
	FD_AUTO int fd = open("/dev/null", O_RDONLY);

	return fd_steal(&fd);
}

TEST(auto_descriptors_close_unless_stolen)
{
	int n = fd_count(), fd;

	{
		FD_AUTO int gone = open("/dev/null", O_RDONLY);

		CHECK_INT(fd_count(), n + 1);
		(void)gone;
	}
	CHECK_INT(fd_count(), n);
	fd = opened_and_kept();
	CHECK_INT(fd_count(), n + 1);
	fd_close(&fd);
}

TEST(flags_are_set)
{
	FD_AUTO int fd = open("/dev/null", O_RDONLY);

	CHECK_INT(fd_set_cloexec(fd, true), 0);
	CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CHECK_INT(fd_set_cloexec(fd, false), 0);
	CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	CHECK_INT(fd_set_nonblock(fd), 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_INT(fd_set_nonblock(-1), -SL_ESYS);
	CHECK_INT(fd_set_cloexec(-1, true), -SL_ESYS);
}

/* More than a pipe holds, so that both sides work in pieces. */
TEST(long_data_passes_a_pipe_whole)
{
	enum { BYTES = 300000 };
	uint8_t *data = calloc(2, BYTES), *back = data + BYTES;
	int ends[2], status;
	size_t len = 0;
	pid_t pid;

	CHECK(data && pipe(ends) == 0);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fd_write_all(ends[1], data, BYTES) == 0 ? 0 : 1);
	fd_close(&ends[1]);
	CHECK_INT(fd_read_all(ends[0], back, BYTES, &len), 0);
	CHECK_INT(len, BYTES);
	CHECK_MEM(back, data, BYTES);
	CHECK_INT(fd_read_all(ends[0], back, 1, &len), 0);
	CHECK_INT(len, 0);
	fd_close(&ends[0]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	free(data);
}

TEST(would_block_is_told_apart_from_failure)
{
	int ends[2];
	size_t len;
	char c;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK_INT(fd_read_all(ends[0], &c, 1, &len), -SL_EAGAIN);
	CHECK_INT(fd_read_all(ends[1], &c, 1, &len), -SL_ESYS);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	CHECK_INT(fd_write_all(-1, &c, 1), -SL_ESYS);
}

static int write_file(char *path, const char *text, size_t n)
{
	FD_AUTO int fd = mkstemp(path);

	return fd < 0 ? -1 : fd_write_all(fd, text, n);
}

TEST(slurp_takes_a_file_up_to_the_limit)
{
	char path[] = "/tmp/test_fd.XXXXXX", *text = NULL;
	size_t len = 0;

	CHECK_INT(write_file(path, "hello\0you", 9), 0);
	CHECK_INT(fd_slurp(path, 9, &text, &len), 0);
	CHECK_INT(len, 9);
	CHECK_MEM(text, "hello\0you", 10);
	free(text);
	text = NULL;
	CHECK_INT(fd_slurp(path, 8, &text, &len), -SL_ELIMIT);
	CHECK(text == NULL);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(fd_slurp(path, 8, &text, &len), -SL_ESYS);
	CHECK_INT(errno, ENOENT);
	CHECK_INT(fd_slurp("/tmp", 8, &text, &len), -SL_ESYS);
}

TEST(slurp_takes_files_whose_size_is_unknown)
{
	char *text;
	size_t len;

	CHECK_INT(fd_slurp("/proc/self/status", 1 << 20, &text, &len), 0);
	CHECK(len > 100 && text[len] == '\0');
	free(text);
	CHECK_INT(fd_slurp("/dev/null", 0, &text, &len), 0);
	CHECK_INT(len, 0);
	free(text);
	CHECK_INT(fd_slurp("/dev/zero", 100000, &text, &len), -SL_ELIMIT);
}

TEST(descriptors_travel_with_a_message)
{
	static const int types[] = {SOCK_SEQPACKET, SOCK_STREAM};

	for (size_t t = 0; t < SL_ARRAY_LEN(types); t++) {
		int pair[2], ends[2], got[4], n_before = fd_count();
		unsigned n = 0;
		char msg[16], c = 0;
		size_t len = 0;

		CHECK(socketpair(AF_UNIX, types[t], 0, pair) == 0 && pipe(ends) == 0);
		CHECK_INT(fd_send_with(pair[0], "take", 4, ends, 2), 0);
		CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 4, &n), 0);
		CHECK_STR(((struct sl_str){msg, len}), "take");
		CHECK_INT(n, 2);
		CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
		CHECK_INT(fd_write_all(got[1], "x", 1), 0);
		CHECK(read(ends[0], &c, 1) == 1 && c == 'x');
		CHECK_INT(fd_send_with(pair[1], "none", 4, NULL, 0), 0);
		CHECK_INT(fd_recv_with(pair[0], msg, sizeof msg, &len, got + 2, 0, &n), 0);
		CHECK_INT(n, 0);
		for (unsigned i = 0; i < 2; i++) {
			fd_close(&pair[i]);
			fd_close(&ends[i]);
			fd_close(&got[i]);
		}
		CHECK_INT(fd_count(), n_before);
	}
}

TEST(the_most_descriptors_are_64)
{
	int pair[2], fds[65], got[64], n_before;
	unsigned n = 0;
	char msg[4];
	size_t len;

	CHECK_INT(sock_pair_seqpacket(pair), 0);
	for (unsigned i = 0; i < 65; i++)
		fds[i] = pair[0];
	CHECK_INT(fd_send_with(pair[0], "a", 1, fds, 65), -SL_EINVAL);
	CHECK_INT(fd_send_with(pair[0], "", 0, fds, 1), -SL_EINVAL);
	n_before = fd_count();
	CHECK_INT(fd_send_with(pair[0], "a", 1, fds, 64), 0);
	CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 64, &n), 0);
	CHECK_INT(n, 64);
	CHECK_INT(fd_count(), n_before + 64);
	for (unsigned i = 0; i < n; i++)
		fd_close(&got[i]);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

TEST(what_does_not_fit_is_refused_and_leaks_nothing)
{
	int pair[2], got[2], n_before;
	unsigned n = 77;
	char msg[4];
	size_t len = 77;

	CHECK_INT(sock_pair_seqpacket(pair), 0);
	n_before = fd_count();
	CHECK_INT(fd_send_with(pair[0], "a", 1, (int[]){0, 1, 2}, 3), 0);
	CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 2, &n), -SL_EFULL);
	CHECK_INT(fd_send_with(pair[0], "abcdefgh", 8, (int[]){0}, 1), 0);
	CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 2, &n), -SL_EFULL);
	CHECK_INT(fd_count(), n_before);
	CHECK_INT(len, 77);
	CHECK_INT(n, 77);
	CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 2, &n), -SL_EAGAIN);
	fd_close(&pair[0]);
	CHECK_INT(fd_recv_with(pair[1], msg, sizeof msg, &len, got, 2, &n), -SL_ECLOSED);
	CHECK_INT(fd_send_with(pair[1], "a", 1, NULL, 0), -SL_ESYS);
	CHECK_INT(errno, EPIPE);
	fd_close(&pair[1]);
}

TEST_MAIN()
