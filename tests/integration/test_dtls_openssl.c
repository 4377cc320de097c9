/*
 * tests/integration/test_dtls_openssl.c: the active side of the engine against another
 * implementation's server: `openssl s_server` on loopback, with and without its cookies. (The
 * passive side meets `openssl s_client` in test_dtls.)
 */
#include "lib/test.h"

#include <sluice/clock.h>
#include <sluice/dtls.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tls_client.h"

enum { PATIENCE_MS = 20000 };

struct foreign {
	struct sl_dtls_ctx *ctx;
	struct sl_dtls *s;
	int fd;
	pid_t server;
	int says, hears; /* its standard input and output */
	char port[8], cert[64], key[64];
	char text[256];
	size_t len;
	char heard[4096];
	size_t n_heard;
};

static uint64_t now_ms(void)
{
	return sl_clock_ns() / SL_NS_PER_MS;
}

/* Nobody listens at first: that error is one of the network's. */
static void on_send(void *arg, const uint8_t *data, size_t len)
{
	struct foreign *f = arg;
	ssize_t n = send(f->fd, data, len, 0);

	sl_assert(n == (ssize_t)len || errno == ECONNREFUSED);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct foreign *f = arg;

	f->len = len < sizeof f->text ? len : sizeof f->text;
	memcpy(f->text, data, f->len);
}

static const struct sl_dtls_io io = {.send = on_send, .data = on_data};

static void write_file(const char *path, struct sl_str text)
{
	FILE *file = fopen(path, "w");

	sl_assert(file && fwrite(text.p, 1, text.len, file) == text.len);
	fclose(file);
}

static void make_files(struct foreign *f)
{
	struct tls_cert cert = test_cert("localhost");

	snprintf(f->cert, sizeof f->cert, "/tmp/dtls-openssl-%d.cert", getpid());
	snprintf(f->key, sizeof f->key, "/tmp/dtls-openssl-%d.key", getpid());
	write_file(f->cert, cert.cert);
	write_file(f->key, cert.key);
	test_cert_free(&cert);
}

/* A socket of ours, connected to a port that was free a moment ago. */
static void make_socket(struct foreign *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sl_assert(bind(probe, (struct sockaddr *)&a, len) == 0);
	sl_assert(getsockname(probe, (struct sockaddr *)&a, &len) == 0);
	close(probe);
	snprintf(f->port, sizeof f->port, "%u", ntohs(a.sin_port));
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sl_assert(connect(f->fd, (struct sockaddr *)&a, len) == 0);
}

/* It says what it reads, and shows what it hears. */
static void start_server(struct foreign *f, const char *more)
{
	int in[2], out[2];

	sl_assert(pipe(in) == 0 && pipe(out) == 0);
	f->server = fork();
	sl_assert(f->server >= 0);
	if (f->server == 0) {
		sl_assert(dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1 && dup2(out[1], 2) == 2);
		close(in[1]);
		close(out[0]);
		execlp("openssl", "openssl", "s_server", "-dtls1_2", "-4", "-accept", f->port,
		       "-cert", f->cert, "-key", f->key, "-quiet", more, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	f->says = in[1];
	f->hears = out[0];
	sl_assert(fcntl(f->hears, F_SETFL, O_NONBLOCK) == 0);
}

static void open_foreign(struct foreign *f, const char *more)
{
	const struct sl_dtls_opts o = {
		.role = SL_DTLS_ACTIVE, .io = &io, .arg = f, .retransmit_ms = 100};

	memset(f, 0, sizeof *f);
	make_files(f);
	make_socket(f);
	start_server(f, more);
	sl_assert(sl_dtls_ctx_new(SL_DTLS_DATA, &f->ctx) == 0);
	sl_assert(sl_dtls_new(f->ctx, &o, now_ms(), &f->s) == 0);
	sl_dtls_start(f->s, now_ms());
}

static void close_foreign(struct foreign *f)
{
	close(f->says);
	close(f->hears);
	kill(f->server, SIGTERM);
	(void)waitpid(f->server, NULL, 0);
	unlink(f->cert);
	unlink(f->key);
	sl_dtls_free(f->s);
	sl_dtls_ctx_free(f->ctx);
	close(f->fd);
}

/* One datagram or one time-out. */
static void turn(struct foreign *f)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	uint64_t now = now_ms(), due = sl_dtls_timeout_ms(f->s);
	uint64_t wait = due == UINT64_MAX ? 100 : due > now ? due - now : 0;
	uint8_t datagram[2048];
	ssize_t n = -1;

	if (poll(&p, 1, (int)(wait < 100 ? wait : 100)) > 0)
		n = recv(f->fd, datagram, sizeof datagram, MSG_DONTWAIT);
	if (n > 0)
		(void)sl_dtls_input(f->s, datagram, (size_t)n, now_ms());
	(void)sl_dtls_tick(f->s, now_ms());
}

#define UNTIL(f, cond)                                                                             \
	do {                                                                                       \
		uint64_t end_ = now_ms() + PATIENCE_MS;                                            \
		while (!(cond) && now_ms() < end_)                                                 \
			turn(f);                                                                   \
		if (!(cond))                                                                       \
			TEST_FAIL("still not: %s (%s)", #cond, sl_dtls_reason((f)->s));            \
	} while (0)

static bool heard(struct foreign *f, const char *text)
{
	ssize_t n = read(f->hears, f->heard + f->n_heard, sizeof f->heard - 1 - f->n_heard);

	f->n_heard += n > 0 ? (size_t)n : 0;
	return strstr(f->heard, text);
}

static void talk(struct foreign *f)
{
	UNTIL(f, sl_dtls_state(f->s) != SL_DTLS_SHAKING);
	CHECK_INT(sl_dtls_state(f->s), SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(f->s, "hello from us\n", 14), 0);
	UNTIL(f, heard(f, "hello from us"));
	CHECK_INT(write(f->says, "welcome\n", 8), 8);
	UNTIL(f, f->len > 0);
	CHECK(f->len == 8 && memcmp(f->text, "welcome\n", 8) == 0);
	sl_dtls_close(f->s);
}

TEST(a_foreign_server_shakes_hands_and_answers)
{
	static struct foreign f;

	open_foreign(&f, "-no_ticket");
	talk(&f);
	close_foreign(&f);
}

TEST(a_foreign_server_that_asks_for_proof_gets_it)
{
	static struct foreign f;

	open_foreign(&f, "-listen");
	talk(&f);
	close_foreign(&f);
}

TEST_MAIN()
