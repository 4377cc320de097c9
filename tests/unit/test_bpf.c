/*
 * test_bpf.c: maps, the verifier's word, and a program that chooses the socket of a group. Where
 * the system forbids programs, only that it says so.
 */
#include "../lib/test.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "os/os.h"

TEST(an_lru_map_sets_gets_and_deletes)
{
	uint32_t key = 7, value = 42, got = 0;
	FD_AUTO int map = -1;

	if (!bpf_usable())
		return;
	CHECK_INT(bpf_map_new(BPF_KIND_LRU_HASH, 4, 4, 128, "flows", &map), 0);
	CHECK_INT(bpf_map_get(map, &key, &got), -SL_ENOENT);
	CHECK_INT(bpf_map_set(map, &key, &value), 0);
	CHECK_INT(bpf_map_get(map, &key, &got), 0);
	CHECK_INT(got, 42);
	CHECK_INT(bpf_map_del(map, &key), 0);
	CHECK_INT(bpf_map_del(map, &key), -SL_ENOENT);
	CHECK_INT(bpf_map_set(-1, &key, &value), -SL_ESYS);
}

TEST(a_hash_takes_a_key_once_and_is_walked_in_some_order)
{
	uint32_t key = 7, other = 9, value = 42, next = 0;
	FD_AUTO int map = -1;

	if (!bpf_usable())
		return;
	CHECK_INT(bpf_map_new(BPF_KIND_HASH, 4, 4, 2, "rules", &map), 0);
	CHECK_INT(bpf_map_next(map, NULL, &next), -SL_ENOENT);
	CHECK_INT(bpf_map_add(map, &key, &value), 0);
	CHECK_INT(bpf_map_add(map, &key, &value), -SL_EEXIST);
	CHECK_INT(bpf_map_next(map, NULL, &next), 0);
	CHECK_INT(next, 7);
	CHECK_INT(bpf_map_next(map, &next, &next), -SL_ENOENT);
	CHECK_INT(bpf_map_add(map, &other, &value), 0);
	other++;
	CHECK_INT(bpf_map_add(map, &other, &value), -SL_EFULL);
}

TEST(a_mapped_array_is_seen_in_memory)
{
	uint32_t key = 3;
	uint64_t value = 0, *memory;
	FD_AUTO int map = -1;
	void *p;

	if (!bpf_usable())
		return;
	CHECK_INT(bpf_map_new(BPF_KIND_MAPPED_ARRAY, 4, 8, 512, "states", &map), 0);
	CHECK_INT(bpf_map_memory(map, 512 * 8, &p), 0);
	memory = p;
	memory[3] = 77;
	CHECK_INT(bpf_map_get(map, &key, &value), 0);
	CHECK_INT(value, 77);
	munmap(p, 512 * 8);
	CHECK_INT(bpf_map_memory(-1, 4096, &p), -SL_ESYS);
}

TEST(impossible_maps_are_refused)
{
	int map = -7;

	CHECK_INT(bpf_map_new(BPF_KIND_ARRAY, 99, 4, 1, "bad", &map), -SL_ESYS);
	CHECK_INT(map, -7);
}

TEST(the_verifier_says_why_it_refuses)
{
	/* r0 is returned without ever being written */
	static const struct bpf_insn bad[] = {{.code = BPF_JMP | BPF_EXIT}};
	char err[200] = "", small[12] = "";
	int prog = -7, n = fd_count();

	if (!bpf_usable())
		return;
	CHECK_INT(bpf_load(BPF_KIND_REUSEPORT, bad, 1, "bad", &prog, err, sizeof err), -SL_ESYS);
	CHECK(strstr(err, "R0"));
	CHECK_INT(bpf_load(BPF_KIND_REUSEPORT, bad, 1, "bad", &prog, small, sizeof small),
		  -SL_ESYS);
	CHECK_INT(strlen(small), sizeof small - 1);
	CHECK_INT(prog, -7);
	CHECK_INT(fd_count(), n);
}

/* return sk_select_reuseport(ctx, &sockets, &{1}, 0) == 0 ? SK_PASS : SK_DROP */
static int load_chooser(int sockets, int *ret_prog, char *err, size_t err_cap)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ST | BPF_W | BPF_MEM, .dst_reg = BPF_REG_10, .off = -4, .imm = 1},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = sockets},
		{.code = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_select_reuseport},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 2, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_DROP},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_load(BPF_KIND_REUSEPORT, insns, SL_ARRAY_LEN(insns), "chooser", ret_prog, err,
			err_cap);
}

static int send_to(const struct sl_addr *to, unsigned n)
{
	struct sl_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, to);

	while (n-- > 0) {
		FD_AUTO int fd = -1;

		if (sock_udp(&any, &(struct sock_opts){0}, &fd) < 0 ||
		    sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len) != 1)
			return -1;
	}
	return 0;
}

static unsigned received(int fd)
{
	unsigned n = 0;
	char c;

	while (recv(fd, &c, 1, MSG_DONTWAIT) == 1)
		n++;
	return n;
}

TEST(a_program_chooses_the_socket_of_each_flow)
{
	struct sl_addr a = {.family = 4, .ip = {127, 0, 0, 1}};
	struct sock_opts o = {.reuseport = true};
	FD_AUTO int first = -1, second = -1, sockets = -1, prog = -1;
	uint32_t key = 1;
	uint64_t value;
	char err[500];

	if (!bpf_usable())
		return;
	CHECK_INT(sock_udp(&a, &o, &first), 0);
	CHECK_INT(sock_local(first, &a), 0);
	CHECK_INT(sock_udp(&a, &o, &second), 0);
	CHECK_INT(bpf_map_new(BPF_KIND_SOCKARRAY, 4, 8, 4, "sockets", &sockets), 0);
	value = (uint64_t)second;
	CHECK_INT(bpf_map_set(sockets, &key, &value), 0);
	if (load_chooser(sockets, &prog, err, sizeof err) < 0)
		TEST_FAIL("%s", err);
	CHECK_INT(sock_attach_reuseport(first, prog), 0);
	CHECK_INT(send_to(&a, 50), 0);
	CHECK_INT(received(first), 0);
	CHECK_INT(received(second), 50);
	CHECK_INT(sock_attach_reuseport(-1, prog), -SL_ESYS);
}

TEST_MAIN()
