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
#include "net/offload_xdp_prog.h"
#include "os/os.h"

struct offload_link {
	unsigned ifindex;
	int tc, xdp; /* xdp -1: none */
};

struct offload_kernel {
	enum sl_offload_mode mode;
	unsigned n_rules, n_links;
	int rules, states, epochs, tc, xdp; /* xdp -1: not wanted */
	struct offload_state *memory;	    /* of states */
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
	for (unsigned i = 0; i < k->n_links; i++) {
		fd_close(&k->links[i].tc);
		fd_close(&k->links[i].xdp);
	}
	if (k->memory)
		shmem_unmap(k->memory, states_bytes(k));
	fd_close(&k->rules);
	fd_close(&k->states);
	fd_close(&k->epochs);
	fd_close(&k->tc);
	fd_close(&k->xdp);
	free(k);
}

/* Where a sentence for the operator goes. */
struct report {
	char *text;
	size_t cap;
};

/* ---- the programs */

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

/* A copy: the kernel replaces descriptors by addresses in what it is given. */
static int load_one(enum bpf_prog_kind kind, const struct bpf_insn *prog, size_t n,
		    const int maps[OFFLOAD_N_MARKS], int *ret_fd, struct report *err)
{
	struct bpf_insn *insns = malloc(n * sizeof *insns);
	int rc;

	if (!insns)
		return -SL_ENOMEM;
	memcpy(insns, prog, n * sizeof *insns);
	set_constants(insns, n, maps);
	rc = bpf_load(kind, insns, (unsigned)n, "sluice_offload", ret_fd, err->text, err->cap);
	free(insns);
	return rc;
}

static int load(struct offload_kernel *k, int scratch, struct report *err)
{
	const int maps[OFFLOAD_N_MARKS] = {
		[OFFLOAD_MARK_RULES] = k->rules,
		[OFFLOAD_MARK_STATES] = k->states,
		[OFFLOAD_MARK_EPOCHS] = k->epochs,
		[OFFLOAD_MARK_SCRATCH] = scratch,
	};
	int rc = load_one(BPF_KIND_TC, offload_prog, SL_ARRAY_LEN(offload_prog), maps, &k->tc, err);

	if (rc < 0 || k->mode != SL_OFFLOAD_XDP)
		return rc;
	return load_one(BPF_KIND_XDP, offload_xdp_prog, SL_ARRAY_LEN(offload_xdp_prog), maps,
			&k->xdp, err);
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
	k->rules = k->states = k->epochs = k->tc = k->xdp = -1;
	return k;
}

static int build(struct offload_kernel *k, unsigned n_slots, struct report *err)
{
	FD_AUTO int scratch = -1; /* the program keeps it */

	if (make_maps(k, n_slots) < 0 || map_states(k) < 0 ||
	    bpf_map_new(BPF_KIND_CPU_ARRAY, sizeof(uint32_t), OFFLOAD_SCRATCH_BYTES, 1,
			"sluice_scratch", &scratch) < 0) {
		snprintf(err->text, err->cap, "no maps: %m");
		return -SL_ESYS;
	}
	return load(k, scratch, err);
}

int offload_new(enum sl_offload_mode mode, unsigned n_slots, unsigned n_rules,
		struct offload_kernel **ret_kernel, char *err, size_t err_cap)
{
	struct report report = {err, err_cap};
	struct offload_kernel *k;
	int rc;

	if (n_rules < 64)
		n_rules = 64;
	k = new_kernel(mode, n_rules < OFFLOAD_MAX_RULES ? n_rules : OFFLOAD_MAX_RULES);
	if (!k)
		return -SL_ENOMEM;
	rc = build(k, n_slots, &report);
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

static bool is_attached(const struct offload_kernel *k, unsigned ifindex)
{
	for (unsigned i = 0; i < k->n_links; i++)
		if (k->links[i].ifindex == ifindex)
			return true;
	return false;
}

/* Not in the driver of a veth: what that sends back by itself is lost where the other end has not
 * been prepared. Without it the program at the ingress does all of the work. */
static int attach_xdp(const struct offload_kernel *k, unsigned ifindex)
{
	int fd = -1;

	if (k->xdp < 0)
		return -1;
	if (!route_is_veth(ifindex) && bpf_attach_xdp(ifindex, k->xdp, false, &fd) == 0)
		return fd;
	return bpf_attach_xdp(ifindex, k->xdp, true, &fd) == 0 ? fd : -1;
}

/* A number names one interface for as long as the machine runs; links of those that are gone are
 * the kernel's dead weight of some bytes. */
int offload_attach(struct offload_kernel *k, unsigned ifindex, char *err, size_t err_cap)
{
	char name[16];
	int fd;

	if (is_attached(k, ifindex))
		return 0;
	if (k->n_links == OFFLOAD_MAX_LINKS) {
		snprintf(err, err_cap, "the program is on %d interfaces already",
			 OFFLOAD_MAX_LINKS);
		return -SL_EFULL;
	}
	if (bpf_attach_ingress(ifindex, k->tc, &fd) < 0) {
		snprintf(err, err_cap,
			 "the program cannot be attached to %s: %m; Linux 6.6 or newer and "
			 "CAP_NET_ADMIN are needed",
			 route_ifname(ifindex, name));
		return -SL_ESYS;
	}
	k->links[k->n_links++] = (struct offload_link){ifindex, fd, attach_xdp(k, ifindex)};
	return 0;
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
	const int fds[OFFLOAD_OWN_FDS] = {k->rules, k->states, k->epochs, k->tc, k->xdp};
	unsigned n = OFFLOAD_OWN_FDS;

	memcpy(ret_fds, fds, sizeof fds);
	for (unsigned i = 0; i < k->n_links; i++) {
		ret_ifindexes[i] = k->links[i].ifindex;
		ret_fds[n++] = k->links[i].tc;
		ret_fds[n++] = k->links[i].xdp;
	}
	return n;
}

/* Takes the descriptors over. */
int offload_import(enum sl_offload_mode mode, unsigned n_rules, const int *fds,
		   const unsigned *ifindexes, unsigned n, struct offload_kernel **ret_kernel)
{
	struct offload_kernel *k;

	if (n < OFFLOAD_OWN_FDS || n > OFFLOAD_MAX_FDS || n_rules == 0 ||
	    n_rules > OFFLOAD_MAX_RULES)
		return -SL_EINVAL;
	k = new_kernel(mode, n_rules);
	if (!k)
		return -SL_ENOMEM;
	k->rules = fds[0];
	k->states = fds[1];
	k->epochs = fds[2];
	k->tc = fds[3];
	k->xdp = fds[4];
	for (unsigned i = OFFLOAD_OWN_FDS; i + 1 < n; i += 2, k->n_links++)
		k->links[k->n_links] =
			(struct offload_link){ifindexes[k->n_links], fds[i], fds[i + 1]};
	if (map_states(k) < 0) {
		offload_free(k);
		return -SL_ESYS;
	}
	*ret_kernel = k;
	return 0;
}
