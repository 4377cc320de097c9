/*
 * net/offload_kernel.c: the master's side of relaying by the kernel: the program, its maps, and
 * where it is attached.
 *
 * Everything lives as long as its descriptors: when the master ends, however it ends, links are
 * gone and interfaces are as they were. A rule is believed only while the epoch map says that its
 * owner lives; so the rules of a crashed worker end with one write, and are then swept at leisure.
 */
#include "net/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net/offload_prog.h"
#include "os/os.h"

struct offload_link {
	unsigned ifindex;
	int fd;
};

struct offload_kernel {
	enum sl_offload_mode mode;
	unsigned n_rules, n_links;
	int rules, states, epochs, prog;
	struct offload_state *memory; /* of states */
	struct offload_link links[OFFLOAD_MAX_LINKS];
};

static size_t states_bytes(const struct offload_kernel *k)
{
	return (size_t)k->n_rules * sizeof *k->memory;
}

void offload_free(struct offload_kernel *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < k->n_links; i++)
		fd_close(&k->links[i].fd);
	if (k->memory)
		shmem_unmap(k->memory, states_bytes(k));
	fd_close(&k->rules);
	fd_close(&k->states);
	fd_close(&k->epochs);
	fd_close(&k->prog);
	free(k);
}

/* ---- the program */

static void set_constants(struct bpf_insn *insns, size_t n, const int maps[OFFLOAD_N_MARKS])
{
	for (size_t i = 0; i + 1 < n; i++) {
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW) ||
		    insns[i + 1].imm != OFFLOAD_MARK)
			continue;
		sl_assert((unsigned)insns[i].imm < OFFLOAD_N_MARKS);
		insns[i].src_reg = BPF_PSEUDO_MAP_FD;
		insns[i].imm = maps[insns[i].imm];
		insns[i + 1].imm = 0;
	}
}

static int load(struct offload_kernel *k, int scratch, char *err, size_t err_cap)
{
	const int maps[OFFLOAD_N_MARKS] = {
		[OFFLOAD_MARK_RULES] = k->rules,
		[OFFLOAD_MARK_STATES] = k->states,
		[OFFLOAD_MARK_EPOCHS] = k->epochs,
		[OFFLOAD_MARK_SCRATCH] = scratch,
	};
	struct bpf_insn insns[SL_ARRAY_LEN(offload_prog)];

	memcpy(insns, offload_prog, sizeof insns);
	set_constants(insns, SL_ARRAY_LEN(insns), maps);
	return bpf_load(BPF_KIND_TC, insns, SL_ARRAY_LEN(insns), "sluice_offload", &k->prog, err,
			err_cap);
}

/* ---- the maps */

static int make_maps(struct offload_kernel *k, unsigned n_slots)
{
	if (bpf_map_new(BPF_KIND_HASH, sizeof(struct offload_key), sizeof(struct offload_rule),
			k->n_rules, "sluice_rules", &k->rules) < 0 ||
	    bpf_map_new(BPF_KIND_MAPPED_ARRAY, sizeof(uint32_t), sizeof(struct offload_state),
			k->n_rules, "sluice_states", &k->states) < 0)
		return -SL_ESYS;
	return bpf_map_new(BPF_KIND_ARRAY, sizeof(uint32_t), sizeof(uint32_t), n_slots,
			   "sluice_epochs", &k->epochs);
}

static int map_states(struct offload_kernel *k)
{
	void *p;

	if (bpf_map_memory(k->states, states_bytes(k), &p) < 0)
		return -SL_ESYS;
	k->memory = p;
	return 0;
}

static struct offload_kernel *new_kernel(enum sl_offload_mode mode, unsigned n_rules)
{
	struct offload_kernel *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->mode = mode;
	k->n_rules = n_rules;
	k->rules = k->states = k->epochs = k->prog = -1;
	return k;
}

static int build(struct offload_kernel *k, unsigned n_slots, char *err, size_t err_cap)
{
	FD_AUTO int scratch = -1; /* the program keeps it */

	if (make_maps(k, n_slots) < 0 || map_states(k) < 0 ||
	    bpf_map_new(BPF_KIND_CPU_ARRAY, sizeof(uint32_t), OFFLOAD_SCRATCH_BYTES, 1,
			"sluice_scratch", &scratch) < 0) {
		snprintf(err, err_cap, "no maps: %m");
		return -SL_ESYS;
	}
	return load(k, scratch, err, err_cap);
}

int offload_new(enum sl_offload_mode mode, unsigned n_slots, unsigned n_rules,
		struct offload_kernel **ret_kernel, char *err, size_t err_cap)
{
	struct offload_kernel *k;
	int rc;

	if (n_rules < 64)
		n_rules = 64;
	k = new_kernel(mode, n_rules < OFFLOAD_MAX_RULES ? n_rules : OFFLOAD_MAX_RULES);
	if (!k)
		return -SL_ENOMEM;
	rc = build(k, n_slots, err, err_cap);
	if (rc < 0) {
		offload_free(k);
		return rc;
	}
	*ret_kernel = k;
	return 0;
}

enum sl_offload_mode offload_mode(const struct offload_kernel *k)
{
	return k->mode;
}

int offload_rules_fd(const struct offload_kernel *k)
{
	return k->rules;
}

int offload_states_fd(const struct offload_kernel *k)
{
	return k->states;
}

unsigned offload_n_rules(const struct offload_kernel *k)
{
	return k->n_rules;
}

/* ---- interfaces */

static int add_link(struct offload_kernel *k, unsigned ifindex, int fd)
{
	if (k->n_links == OFFLOAD_MAX_LINKS)
		return -SL_EFULL;
	k->links[k->n_links++] = (struct offload_link){ifindex, fd};
	return 0;
}

/* A number names one interface for as long as the machine runs; links of those that are gone are
 * the kernel's dead weight of some bytes. */
int offload_attach(struct offload_kernel *k, unsigned ifindex, char *err, size_t err_cap)
{
	char name[16];
	int fd;

	for (unsigned i = 0; i < k->n_links; i++)
		if (k->links[i].ifindex == ifindex)
			return 0;
	if (k->n_links == OFFLOAD_MAX_LINKS) {
		snprintf(err, err_cap, "the program is on %d interfaces already",
			 OFFLOAD_MAX_LINKS);
		return -SL_EFULL;
	}
	if (bpf_attach_ingress(ifindex, k->prog, &fd) < 0) {
		snprintf(err, err_cap,
			 "the program cannot be attached to %s: %m; Linux 6.6 or newer and "
			 "CAP_NET_ADMIN are needed",
			 route_ifname(ifindex, name));
		return -SL_ESYS;
	}
	return add_link(k, ifindex, fd);
}

/* ---- who lives */

void offload_set_epoch(struct offload_kernel *k, unsigned slot, uint16_t epoch)
{
	const uint32_t key = slot, value = epoch;

	(void)bpf_map_set(k->epochs, &key, &value); /* an array takes every index it has */
}

static unsigned free_states(struct offload_kernel *k, uint32_t owner)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_rules; i++) {
		uint32_t mine = owner;

		n += __atomic_compare_exchange_n(&k->memory[i].owner, &mine, 0, false,
						 __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	}
	return n;
}

static bool is_of(const struct offload_kernel *k, const struct offload_key *key, uint32_t owner)
{
	struct offload_rule rule;

	return bpf_map_get(k->rules, key, &rule) == 0 && rule.owner == owner;
}

/* Bounded, since others may add rules all the while: what a walk misses relays nothing, for its
 * owner is dead. */
unsigned offload_sweep(struct offload_kernel *k, uint32_t owner)
{
	struct offload_key at, next;
	unsigned left = k->n_rules, n;
	bool more;

	for (n = 0; n < k->n_rules && k->memory[n].owner != owner; n++)
		;
	if (n == k->n_rules)
		return 0;
	more = bpf_map_next(k->rules, NULL, &next) == 0;
	while (more && left-- > 0) {
		at = next;
		more = bpf_map_next(k->rules, &at, &next) == 0;
		if (is_of(k, &at, owner))
			(void)bpf_map_del(k->rules, &at); /* gone already is as good */
	}
	return free_states(k, owner);
}

/* ---- over a re-exec of the master */

unsigned offload_export(const struct offload_kernel *k, int ret_fds[OFFLOAD_MAX_FDS],
			unsigned ret_ifindexes[OFFLOAD_MAX_LINKS])
{
	const int fds[] = {k->rules, k->states, k->epochs, k->prog};
	unsigned n = SL_ARRAY_LEN(fds);

	memcpy(ret_fds, fds, sizeof fds);
	for (unsigned i = 0; i < k->n_links; i++) {
		ret_ifindexes[i] = k->links[i].ifindex;
		ret_fds[n++] = k->links[i].fd;
	}
	return n;
}

/* Takes the descriptors over. */
int offload_import(enum sl_offload_mode mode, unsigned n_rules, const int *fds,
		   const unsigned *ifindexes, unsigned n, struct offload_kernel **ret_kernel)
{
	struct offload_kernel *k;

	if (n < 4 || n > OFFLOAD_MAX_FDS || n_rules == 0 || n_rules > OFFLOAD_MAX_RULES)
		return -SL_EINVAL;
	k = new_kernel(mode, n_rules);
	if (!k)
		return -SL_ENOMEM;
	k->rules = fds[0];
	k->states = fds[1];
	k->epochs = fds[2];
	k->prog = fds[3];
	for (unsigned i = 4; i < n; i++)
		k->links[k->n_links++] = (struct offload_link){ifindexes[i - 4], fds[i]};
	if (map_states(k) < 0) {
		offload_free(k);
		return -SL_ESYS;
	}
	*ret_kernel = k;
	return 0;
}
