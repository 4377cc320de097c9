/*
 * tests/unit/test_steer.c: the steering program in the kernel, with sockets for several slots on
 * one address; and the socket that listener_socket makes. Without the right to load programs the
 * first part is left out, as the product does it.
 */
#include "lib/test.h"

#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sluice/buf.h>
#include <sluice/stun.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_SLOTS 6
#define LISTENER 3

struct bed {
	struct steer *steer;
	struct sl_addr addr;
	int fds[N_SLOTS];
};

static bool usable(void)
{
	if (bpf_usable())
		return true;
	test_skip("no right to load eBPF programs here");
	return false;
}

static void open_bed(struct bed *b, const char *text)
{
	struct listener_spec spec = {.udp = true, .steering = STEER_EBPF};
	char err[512] = "";

	sl_assert(sl_addr_parse(&spec.addr, sl_str_c(text)) == 0);
	if (steer_new(N_SLOTS, 1000, &b->steer, err, sizeof err) < 0) {
		printf("# %s\n", err);
		abort();
	}
	for (unsigned i = 0; i < N_SLOTS; i++) {
		sl_assert(listener_socket(&spec, i, &b->fds[i], err, sizeof err) == 0);
		sl_assert(sock_local(b->fds[i], &b->addr) == 0);
		spec.addr = b->addr;
		sl_assert(steer_add_socket(b->steer, LISTENER, i, b->fds[i]) == 0);
	}
}

static void close_bed(struct bed *b)
{
	for (unsigned i = 0; i < N_SLOTS; i++)
		fd_close(&b->fds[i]);
	steer_free(b->steer);
}

static int client_of(const struct bed *b)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, &b->addr);
	int fd = socket(b->addr.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sl_assert(fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0);
	return fd;
}

/* Sends, and says which slot's socket got it; -1: none, or more than one. */
static int lands(const struct bed *b, int fd, const void *data, size_t len)
{
	uint8_t got[2048];
	int at = -1, n = 0;

	sl_assert(send(fd, data, len, 0) == (ssize_t)len);
	for (int i = 0; i < N_SLOTS; i++) {
		if (b->fds[i] < 0 || recv(b->fds[i], got, sizeof got, MSG_DONTWAIT) != (ssize_t)len)
			continue;
		at = i;
		n++;
	}
	return n == 1 ? at : -1;
}

static size_t check_for(uint8_t dst[256], const char *username, unsigned method, bool late)
{
	static const uint8_t txid[12] = "transaction";
	struct sl_stun_writer w;
	size_t len;

	sl_stun_begin(&w, dst, 256, SL_STUN_REQUEST, (uint16_t)method, txid);
	if (late) {
		sl_stun_put_u32(&w, SL_STUN_PRIORITY, 1);
		sl_stun_put_str(&w, SL_STUN_SOFTWARE, SL_STR("abc"));
	}
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(username));
	sl_assert(sl_stun_finish(&w, &len) == 0);
	return len;
}

TEST(new_senders_reach_the_current_slots_only_and_all_of_them)
{
	static const uint16_t first[] = {0, 1}, second[] = {3, 4, 5};
	unsigned hits[N_SLOTS] = {0};
	struct bed b;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, first, 2), 0);
	for (unsigned i = 0; i < 60; i++) {
		int fd = client_of(&b), slot = lands(&b, fd, "hello", 5);

		CHECK(slot == 0 || slot == 1);
		CHECK_INT(lands(&b, fd, "again", 5), slot);
		hits[slot]++;
		close(fd);
	}
	CHECK(hits[0] > 0 && hits[1] > 0);
	CHECK_INT(steer_set_current(b.steer, second, 3), 0);
	for (unsigned i = 0; i < 60; i++) {
		int fd = client_of(&b), slot = lands(&b, fd, "hello", 5);

		CHECK(slot >= 3);
		hits[slot]++;
		close(fd);
	}
	CHECK(hits[3] > 0 && hits[4] > 0 && hits[5] > 0);
	close_bed(&b);
}

static void learned_flows(const char *addr)
{
	static const uint16_t first[] = {0}, second[] = {1};
	struct bed b;
	int fds[20];

	open_bed(&b, addr);
	CHECK_INT(steer_set_current(b.steer, first, 1), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct sl_addr mine;

		fds[i] = client_of(&b);
		CHECK_INT(sock_local(fds[i], &mine), 0);
		CHECK_INT(lands(&b, fds[i], "hello", 5), 0);
		CHECK_INT(steer_flow_add(steer_flow_map(b.steer), LISTENER, &mine, 2 + i % 3), 0);
	}
	CHECK_INT(steer_set_current(b.steer, second, 1), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct sl_addr mine;

		CHECK_INT(sock_local(fds[i], &mine), 0);
		CHECK_INT(lands(&b, fds[i], "media", 5), 2 + i % 3);
		CHECK_INT(steer_flow_del(steer_flow_map(b.steer), LISTENER, &mine), 0);
		CHECK_INT(lands(&b, fds[i], "media", 5), 1);
		close(fds[i]);
	}
	close_bed(&b);
}

TEST(a_learned_flow_stays_where_it_is_over_a_reload)
{
	if (usable())
		learned_flows("127.0.0.1:0");
}

TEST(the_same_over_ipv6)
{
	if (usable())
		learned_flows("[::1]:0");
}

TEST(a_flow_of_another_listener_is_another_flow)
{
	static const uint16_t current[] = {0};
	struct sl_addr mine;
	struct bed b;
	int fd;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, current, 1), 0);
	fd = client_of(&b);
	CHECK_INT(sock_local(fd, &mine), 0);
	CHECK_INT(steer_flow_add(steer_flow_map(b.steer), LISTENER + 1, &mine, 5), 0);
	CHECK_INT(lands(&b, fd, "hello", 5), 0);
	close(fd);
	close_bed(&b);
}

TEST(a_check_goes_where_its_ufrag_says_even_against_a_flow)
{
	static const struct {
		const char *username;
		unsigned method;
		int slot;
	} cases[] = {
		{"AEabcd:peer", SL_STUN_BINDING, 4},  {"ADxy:peer", SL_STUN_BINDING, 3},
		{"AE", SL_STUN_BINDING, 4},	      {"A", SL_STUN_BINDING, 1}, /* too short */
		{"-Exx:y", SL_STUN_BINDING, 1},					 /* not base64 */
		{"//xx:y", SL_STUN_BINDING, 1},	      /* slot 4095: none */
		{"AEabcd:peer", SL_TURN_ALLOCATE, 1}, /* not a check */
	};
	static const uint16_t current[] = {0};
	struct sl_addr mine;
	struct bed b;
	int fd;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, current, 1), 0);
	fd = client_of(&b);
	CHECK_INT(sock_local(fd, &mine), 0);
	CHECK_INT(steer_flow_add(steer_flow_map(b.steer), LISTENER, &mine, 1), 0);
	for (unsigned i = 0; i < SL_ARRAY_LEN(cases) * 2; i++) {
		unsigned k = i / 2;
		uint8_t msg[256];
		size_t len = check_for(msg, cases[k].username, cases[k].method, i % 2);

		CHECK_INT(lands(&b, fd, msg, len), cases[k].slot);
	}
	close(fd);
	close_bed(&b);
}

TEST(broken_datagrams_get_somewhere_and_hurt_nobody)
{
	static const uint16_t current[] = {2};
	uint8_t msg[256];
	struct bed b;
	size_t len;
	int fd;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, current, 1), 0);
	fd = client_of(&b);
	len = check_for(msg, "AEabcd:peer", SL_STUN_BINDING, false);
	for (size_t cut = 0; cut < len; cut++) {
		int slot = lands(&b, fd, msg, cut);

		CHECK(cut == 0 || slot == 2 || slot == 4);
	}
	sl_put16(msg + 20, 0x7777); /* an attribute that goes far beyond the end */
	sl_put16(msg + 22, 0xffff);
	CHECK_INT(lands(&b, fd, msg, len), 2);
	close(fd);
	close_bed(&b);
}

TEST(a_slot_that_has_left_is_passed_over)
{
	static const uint16_t current[] = {2};
	struct sl_addr mine;
	struct bed b;
	int fd;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, current, 1), 0);
	fd = client_of(&b);
	CHECK_INT(sock_local(fd, &mine), 0);
	CHECK_INT(steer_flow_add(steer_flow_map(b.steer), LISTENER, &mine, 5), 0);
	CHECK_INT(lands(&b, fd, "x", 1), 5);
	CHECK_INT(steer_remove_socket(b.steer, LISTENER, 5), 0);
	CHECK_INT(lands(&b, fd, "x", 1), 2);
	fd_close(&b.fds[2]); /* without a word: the kernel takes it out itself */
	CHECK(lands(&b, fd, "x", 1) >= 0);
	close(fd);
	close_bed(&b);
}

TEST(a_new_master_takes_over_from_the_descriptors)
{
	static const uint16_t before[] = {0}, after[] = {4};
	struct listener_spec spec = {.udp = true, .steering = STEER_EBPF};
	struct steer *s = NULL;
	char err[256];
	int fds[8], fd;
	unsigned n = 0;
	struct bed b;

	if (!usable())
		return;
	open_bed(&b, "127.0.0.1:0");
	CHECK_INT(steer_set_current(b.steer, before, 1), 0);
	CHECK_INT(steer_export(b.steer, fds, 2, &n), -SL_EFULL);
	CHECK_INT(steer_export(b.steer, fds, SL_ARRAY_LEN(fds), &n), 0);
	CHECK_INT(n, 3);
	for (unsigned i = 0; i < n; i++)
		fds[i] = dup(fds[i]);
	steer_free(b.steer);
	CHECK_INT(steer_import(fds, n, N_SLOTS, &s), 0);
	b.steer = s;
	fd = client_of(&b);
	CHECK_INT(lands(&b, fd, "x", 1), 0);
	fd_close(&b.fds[4]);
	spec.addr = b.addr;
	CHECK_INT(listener_socket(&spec, 4, &b.fds[4], err, sizeof err), 0);
	CHECK_INT(steer_add_socket(b.steer, LISTENER, 4, b.fds[4]), 0);
	CHECK_INT(steer_set_current(b.steer, after, 1), 0);
	CHECK_INT(lands(&b, fd, "x", 1), 4);
	CHECK_INT(steer_remove_listener(b.steer, LISTENER), 0);
	CHECK_INT(steer_remove_listener(b.steer, LISTENER), -SL_ENOENT);
	close(fd);
	close_bed(&b);
}

/* ---- listener_socket */

TEST(with_ports_each_slot_has_its_own)
{
	struct listener_spec spec = {.udp = true, .steering = STEER_PORTS};
	struct sl_addr a, b;
	char err[256];
	int fds[2] = {-1, -1};

	CHECK_INT(sl_addr_parse(&spec.addr, SL_STR("127.0.0.1:47310")), 0);
	CHECK_INT(listener_socket(&spec, 0, &fds[0], err, sizeof err), 0);
	CHECK_INT(listener_socket(&spec, 1, &fds[1], err, sizeof err), 0);
	CHECK_INT(sock_local(fds[0], &a), 0);
	CHECK_INT(sock_local(fds[1], &b), 0);
	CHECK_INT(b.port, a.port + 1);
	spec.addr.port = 65530;
	CHECK_INT(listener_socket(&spec, 6, &fds[0], err, sizeof err), -SL_EINVAL);
	CHECK(strstr(err, "beyond 65535"));
	close(fds[0]);
	close(fds[1]);
}

TEST(what_cannot_be_bound_is_explained)
{
	struct listener_spec spec = {.udp = false, .backlog = 5};
	char err[256];
	int fd = -1, again = -1;

	CHECK_INT(sl_addr_parse(&spec.addr, SL_STR("127.0.0.1:0")), 0);
	CHECK_INT(listener_socket(&spec, 0, &fd, err, sizeof err), 0);
	CHECK_INT(sock_local(fd, &spec.addr), 0);
	CHECK_INT(listener_socket(&spec, 0, &again, err, sizeof err), -SL_ESYS);
	CHECK(strstr(err, "cannot listen on tcp 127.0.0.1:") == err);
	CHECK(strstr(err, "another program"));
	CHECK_INT(errno, EADDRINUSE);
	CHECK_INT(sl_addr_parse(&spec.addr, SL_STR("192.0.2.1:80")), 0);
	CHECK_INT(listener_socket(&spec, 0, &again, err, sizeof err), -SL_ESYS);
	CHECK(strstr(err, "no interface has this address"));
	close(fd);
}

/* ---- the committed bytes */

TEST(the_committed_program_is_what_its_source_compiles_to)
{
	const char *src = getenv("SLUICE_SRC");
	char command[512];
	int status;

	snprintf(command, sizeof command, "'%s/auto/bpf-bytes' --check >&2", src ? src : ".");
	status = system(command);
	if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)
		test_skip("no clang-14 here");
	else
		CHECK_INT(status, 0);
}

TEST_MAIN()
