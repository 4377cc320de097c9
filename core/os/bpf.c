/*
 * os/bpf.c: a small bpf(2) wrapper: maps, programs that choose a socket of a SO_REUSEPORT group,
 * and programs that see what comes in by an interface.
 *
 * Knows the system call, not what the programs do. Values are copied by the kernel; keys and values
 * must have the size with which the map was made. An unprivileged process may use a map whose
 * descriptor it was given.
 */
#include "os/os.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VERIFIER_LOG_BYTES (256 * 1024)

/* Needed by helpers that the kernel offers to GPL-compatible programs only; ours are under both. */
#define LICENSE "Dual BSD/GPL"

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/*
 * The kernel insists on zeros behind the members that a command knows, so all attributes begin as
 * all zeros.
 */
static int call(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, cmd, attr, sizeof *attr);

	if (result < 0)
		return errno == ENOENT ? -SL_ENOENT : -SL_ESYS;
	return (int)result;
}

/* Letters, digits and "_" are what older kernels accept in a name. */
static void set_name(char dst[BPF_OBJ_NAME_LEN], const char *name)
{
	sl_str_copy(dst, BPF_OBJ_NAME_LEN, sl_str_c(name));
}

int bpf_map_new(enum bpf_map_kind kind, unsigned key_bytes, unsigned value_bytes,
		unsigned max_entries, const char *name, int *ret_fd)
{
	static const enum bpf_map_type types[] = {
		[BPF_KIND_ARRAY] = BPF_MAP_TYPE_ARRAY,
		[BPF_KIND_LRU_HASH] = BPF_MAP_TYPE_LRU_HASH,
		[BPF_KIND_SOCKARRAY] = BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
		[BPF_KIND_HASH] = BPF_MAP_TYPE_HASH,
		[BPF_KIND_MAPPED_ARRAY] = BPF_MAP_TYPE_ARRAY,
		[BPF_KIND_CPU_ARRAY] = BPF_MAP_TYPE_PERCPU_ARRAY,
	};
	static const uint32_t flags[] = {
		[BPF_KIND_HASH] = BPF_F_NO_PREALLOC,
		[BPF_KIND_MAPPED_ARRAY] = BPF_F_MMAPABLE,
		[BPF_KIND_CPU_ARRAY] = 0,
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof attr);
	attr.map_type = types[kind];
	attr.key_size = key_bytes;
	attr.value_size = value_bytes;
	attr.max_entries = max_entries;
	attr.map_flags = flags[kind];
	set_name(attr.map_name, name);
	fd = call(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		return -SL_ESYS;
	*ret_fd = fd;
	return 0;
}

static int map_call(enum bpf_cmd cmd, int map, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.map_fd = (uint32_t)map;
	attr.key = address(key);
	attr.value = address(value);
	attr.flags = flags;
	return call(cmd, &attr);
}

int bpf_map_set(int map, const void *key, const void *value)
{
	return map_call(BPF_MAP_UPDATE_ELEM, map, key, value, BPF_ANY);
}

int bpf_map_add(int map, const void *key, const void *value)
{
	int rc = map_call(BPF_MAP_UPDATE_ELEM, map, key, value, BPF_NOEXIST);

	if (rc == -SL_ESYS && errno == EEXIST)
		return -SL_EEXIST;
	return rc == -SL_ESYS && errno == E2BIG ? -SL_EFULL : rc;
}

int bpf_map_get(int map, const void *key, void *ret_value)
{
	return map_call(BPF_MAP_LOOKUP_ELEM, map, key, ret_value, 0);
}

int bpf_map_del(int map, const void *key)
{
	return map_call(BPF_MAP_DELETE_ELEM, map, key, NULL, 0);
}

int bpf_map_next(int map, const void *key, void *ret_key)
{
	return map_call(BPF_MAP_GET_NEXT_KEY, map, key, ret_key, 0);
}

int bpf_map_memory(int map, size_t bytes, void **ret_p)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (p == MAP_FAILED)
		return -SL_ESYS;
	*ret_p = p;
	return 0;
}

/* The verdict stands at the end of the log. */
static void copy_tail(char *err, size_t err_cap, const char *log)
{
	struct sl_str s = sl_str_trim(sl_str_c(log));

	if (err_cap > 0 && s.len > err_cap - 1) {
		s.p += s.len - (err_cap - 1);
		s.len = err_cap - 1;
	}
	sl_str_copy(err, err_cap, s);
}

/* Loads once more, with a log, only to learn why: the log costs more than the verification. */
static void explain(union bpf_attr *attr, char *err, size_t err_cap)
{
	char *log = calloc(1, VERIFIER_LOG_BYTES);
	int fd;

	if (!log)
		return;
	attr->log_level = 1;
	attr->log_buf = address(log);
	attr->log_size = VERIFIER_LOG_BYTES - 1;
	fd = call(BPF_PROG_LOAD, attr);
	if (fd >= 0)
		close(fd);
	if (log[0] != '\0')
		copy_tail(err, err_cap, log);
	free(log);
}

int bpf_load(enum bpf_prog_kind kind, const struct bpf_insn *insns, unsigned n, const char *name,
	     int *ret_fd, char *err, size_t err_cap)
{
	static const enum bpf_prog_type types[] = {
		[BPF_KIND_REUSEPORT] = BPF_PROG_TYPE_SK_REUSEPORT,
		[BPF_KIND_TC] = BPF_PROG_TYPE_SCHED_CLS,
		[BPF_KIND_XDP] = BPF_PROG_TYPE_XDP,
	};
	union bpf_attr attr;
	int fd, saved_errno;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = types[kind];
	attr.insns = address(insns);
	attr.insn_cnt = n;
	attr.license = address(LICENSE);
	set_name(attr.prog_name, name);
	fd = call(BPF_PROG_LOAD, &attr);
	if (fd < 0) {
		saved_errno = errno;
		sl_str_copy(err, err_cap, sl_str_c(strerror(errno)));
		/* Without the right to load there is no verdict to ask for. */
		if (saved_errno != EPERM)
			explain(&attr, err, err_cap);
		errno = saved_errno;
		return -SL_ESYS;
	}
	*ret_fd = fd;
	return 0;
}

int sock_attach_reuseport(int sock, int prog)
{
	int result = setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof prog);

	return result < 0 ? -SL_ESYS : 0;
}

/* Debian 12 has the headers of an older kernel than this needs. */
#define TCX_INGRESS 46

static int attach(unsigned ifindex, int prog, uint32_t type, uint32_t flags, int *ret_link)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof attr);
	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = type;
	attr.link_create.flags = flags;
	fd = call(BPF_LINK_CREATE, &attr);
	if (fd < 0)
		return -SL_ESYS;
	*ret_link = fd;
	return 0;
}

int bpf_attach_ingress(unsigned ifindex, int prog, int *ret_link)
{
	return attach(ifindex, prog, TCX_INGRESS, 0, ret_link);
}

int bpf_attach_xdp(unsigned ifindex, int prog, bool generic, int *ret_link)
{
	return attach(ifindex, prog, BPF_XDP, generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
		      ret_link);
}

/* Tried, not guessed: sysctl, capabilities, seccomp and lockdown may each forbid it. */
bool bpf_usable(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	FD_AUTO int prog = -1, map = -1;
	char err[64];

	return bpf_load(BPF_KIND_REUSEPORT, pass, SL_ARRAY_LEN(pass), "probe", &prog, err,
			sizeof err) == 0 &&
	       bpf_map_new(BPF_KIND_SOCKARRAY, 4, 8, 1, "probe", &map) == 0;
}
