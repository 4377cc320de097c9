/*
 * net/steer.c: loads the steering program and keeps its maps.
 *
 * One flow map and one map of the current generation serve all listeners; each listener has its
 * sockets' array and its own copy of the program, in which these maps and its index stand as
 * constants. Only the master holds a struct steer; workers get the flow map's descriptor.
 * Everything a new master needs is in the maps: descriptors are all that is handed on.
 */
#include "net/listener.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "net/steer_map.h"
#include "net/steer_prog.h"

#define MAX_LISTENERS STEER_MAX_SLOTS

struct steer {
	int flows, current;
	unsigned n_slots;
	int sockets[MAX_LISTENERS]; /* -1: none */
};

/* ---- the program */

/* Such a load takes two instructions; the second holds the upper half. */
static bool is_mark(const struct bpf_insn *insn)
{
	return insn[0].code == (BPF_LD | BPF_IMM | BPF_DW) && insn[1].imm == STEER_MARK;
}

/* A map is named by descriptor in the first half, and the kernel wants the second to be zero. */
static void set_constant(struct bpf_insn *insn, const struct steer *s, unsigned listener)
{
	const int values[STEER_N_MARKS] = {
		[STEER_MARK_FLOWS] = s->flows,
		[STEER_MARK_CURRENT] = s->current,
		[STEER_MARK_SOCKETS] = s->sockets[listener],
		[STEER_MARK_LISTENER] = (int)listener,
	};
	unsigned mark = (unsigned)insn[0].imm;

	sl_assert(mark < STEER_N_MARKS);
	insn[0].src_reg = mark == STEER_MARK_LISTENER ? 0 : BPF_PSEUDO_MAP_FD;
	insn[0].imm = values[mark];
	insn[1].imm = 0;
}

/* A copy per listener: the verifier replaces descriptors by addresses in what it is given. */
static int load(const struct steer *s, unsigned listener, int *ret_prog, char *err, size_t err_cap)
{
	struct bpf_insn insns[SL_ARRAY_LEN(steer_prog)];

	memcpy(insns, steer_prog, sizeof insns);
	for (size_t i = 0; i + 1 < SL_ARRAY_LEN(insns); i++)
		if (is_mark(&insns[i]))
			set_constant(&insns[i], s, listener);
	return bpf_load(BPF_KIND_REUSEPORT, insns, SL_ARRAY_LEN(insns), "sluice_steer", ret_prog,
			err, err_cap);
}

/* ---- the maps */

static struct steer *new_steer(unsigned n_slots)
{
	struct steer *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	s->flows = s->current = -1;
	s->n_slots = n_slots;
	for (unsigned i = 0; i < MAX_LISTENERS; i++)
		s->sockets[i] = -1;
	return s;
}

/* Programs hold references to their maps: groups of sockets go on choosing without us. */
void steer_free(struct steer *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < MAX_LISTENERS; i++)
		fd_close(&s->sockets[i]);
	fd_close(&s->flows);
	fd_close(&s->current);
	free(s);
}

/* As many flows as sessions: the map forgets the least recently used beyond that. */
static int make_maps(struct steer *s, unsigned n_flows)
{
	if (bpf_map_new(BPF_KIND_LRU_HASH, sizeof(struct steer_flow), sizeof(uint32_t), n_flows,
			"sluice_flows", &s->flows) < 0)
		return -SL_ESYS;
	return bpf_map_new(BPF_KIND_ARRAY, sizeof(uint32_t), sizeof(struct steer_set), STEER_N_SETS,
			   "sluice_current", &s->current);
}

/* Made with the listener's first socket. */
static int make_sockets(struct steer *s, unsigned listener)
{
	if (s->sockets[listener] >= 0)
		return 0;
	return bpf_map_new(BPF_KIND_SOCKARRAY, sizeof(uint32_t), sizeof(uint64_t), s->n_slots,
			   "sluice_sockets", &s->sockets[listener]);
}

/* Loads once to see whether the kernel takes the program at all. */
static int try_load(struct steer *s, char *err, size_t err_cap)
{
	FD_AUTO int prog = -1;
	int rc = make_sockets(s, 0);

	if (rc < 0)
		snprintf(err, err_cap, "no socket array: %m");
	else
		rc = load(s, 0, &prog, err, err_cap);
	fd_close(&s->sockets[0]);
	return rc;
}

/*
 * Everything that can be missing is found out here, so that the caller falls back before anything
 * is bound.
 */
int steer_new(unsigned n_slots, unsigned n_flows, struct steer **ret_steer, char *err,
	      size_t err_cap)
{
	struct steer *s;
	int rc;

	if (htons(1) == 1 || n_slots == 0 || n_slots > STEER_MAX_SLOTS) {
		snprintf(err, err_cap,
			 "the program is made for little-endian processors and at most %d slots",
			 STEER_MAX_SLOTS);
		return -SL_EUNSUPP;
	}
	s = new_steer(n_slots);
	if (!s)
		return -SL_ENOMEM;
	rc = make_maps(s, n_flows > 0 ? n_flows : 1);
	if (rc < 0)
		snprintf(err, err_cap, "no maps: %m");
	else
		rc = try_load(s, err, err_cap);
	if (rc < 0) {
		steer_free(s);
		return rc;
	}
	*ret_steer = s;
	return 0;
}

/* Inherited by workers, which may write it without privileges. */
int steer_flow_map(const struct steer *s)
{
	return s->flows;
}

/* ---- sockets */

static int attach(struct steer *s, unsigned listener, int fd)
{
	FD_AUTO int prog = -1;
	char err[256];
	int rc = load(s, listener, &prog, err, sizeof err);

	return rc < 0 ? rc : sock_attach_reuseport(fd, prog);
}

/*
 * The program belongs to the group of sockets, not to one of them; attaching it again replaces it
 * by the same. So it is attached with each socket, and a group that had died out and come back has
 * it too.
 */
int steer_add_socket(struct steer *s, unsigned listener, unsigned slot, int fd)
{
	const uint32_t key = slot;
	const uint64_t value = (uint64_t)fd;
	int rc;

	if (listener >= MAX_LISTENERS || slot >= s->n_slots)
		return -SL_EINVAL;
	rc = make_sockets(s, listener);
	if (rc == 0)
		rc = attach(s, listener, fd);
	return rc < 0 ? rc : bpf_map_set(s->sockets[listener], &key, &value);
}

/* For order's sake: a socket leaves its array when its last descriptor is closed. */
int steer_remove_socket(struct steer *s, unsigned listener, unsigned slot)
{
	const uint32_t key = slot;

	if (listener >= MAX_LISTENERS || s->sockets[listener] < 0)
		return -SL_ENOENT;
	return bpf_map_del(s->sockets[listener], &key);
}

int steer_remove_listener(struct steer *s, unsigned listener)
{
	if (listener >= MAX_LISTENERS || s->sockets[listener] < 0)
		return -SL_ENOENT;
	fd_close(&s->sockets[listener]);
	return 0;
}

/* ---- the current generation */

/* One copy by the kernel; readers are kept apart by the two sets, not by this. */
static int write_set(const struct steer *s, uint32_t index, const struct steer_set *set)
{
	return bpf_map_set(s->current, &index, set);
}

/* The set that is not in force is written, then declared to be it. */
int steer_set_current(struct steer *s, const uint16_t *slots, unsigned n)
{
	const uint32_t active_index = STEER_ACTIVE;
	struct steer_set set = {.n = n}, active;
	uint32_t next;
	int rc;

	if (n > STEER_MAX_SLOTS)
		return -SL_EINVAL;
	rc = bpf_map_get(s->current, &active_index, &active);
	if (rc < 0)
		return rc;
	next = active.n == STEER_SET_A ? STEER_SET_B : STEER_SET_A;
	memcpy(set.slots, slots, n * sizeof *slots);
	rc = write_set(s, next, &set);
	if (rc < 0)
		return rc;
	active.n = next;
	return write_set(s, STEER_ACTIVE, &active);
}

/* ---- over a re-exec of the master: flow map, current map, then the arrays of the listeners noted
 * in the current map */

/* The descriptors stay ours; the caller makes them survive exec. */
int steer_export(const struct steer *s, int *ret_fds, unsigned max, unsigned *ret_n)
{
	struct steer_set listeners = {0};
	unsigned n = 0;
	int rc;

	if (max < 2)
		return -SL_EFULL;
	ret_fds[n++] = s->flows;
	ret_fds[n++] = s->current;
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		if (s->sockets[i] < 0)
			continue;
		if (n == max)
			return -SL_EFULL;
		ret_fds[n++] = s->sockets[i];
		listeners.slots[listeners.n++] = (uint16_t)i;
	}
	rc = write_set(s, STEER_LISTENERS, &listeners);
	if (rc == 0)
		*ret_n = n;
	return rc;
}

/* Takes the descriptors over. A count that does not match is another version's. */
int steer_import(const int *fds, unsigned n, unsigned n_slots, struct steer **ret_steer)
{
	const uint32_t index = STEER_LISTENERS;
	struct steer_set listeners;
	struct steer *s;

	if (n < 2 || n_slots == 0 || n_slots > STEER_MAX_SLOTS)
		return -SL_EINVAL;
	if (bpf_map_get(fds[1], &index, &listeners) < 0)
		return -SL_ESYS;
	if (listeners.n != n - 2)
		return -SL_EINVAL;
	s = new_steer(n_slots);
	if (!s)
		return -SL_ENOMEM;
	s->flows = fds[0];
	s->current = fds[1];
	for (unsigned i = 0; i < listeners.n; i++)
		s->sockets[listeners.slots[i] % MAX_LISTENERS] = fds[2 + i];
	*ret_steer = s;
	return 0;
}

/* ---- flows */

/* As the program builds it from the packet. */
static struct steer_flow flow_key(unsigned listener, const struct sl_addr *remote)
{
	struct steer_flow key = {.listener = (uint16_t)listener,
				 .family = remote->family,
				 .port = htons(remote->port)};

	memcpy(key.ip, remote->ip, sizeof key.ip);
	return key;
}

int steer_flow_add(int flow_map, unsigned listener, const struct sl_addr *remote, unsigned slot)
{
	const struct steer_flow key = flow_key(listener, remote);
	const uint32_t value = slot;

	return bpf_map_set(flow_map, &key, &value);
}

int steer_flow_del(int flow_map, unsigned listener, const struct sl_addr *remote)
{
	const struct steer_flow key = flow_key(listener, remote);

	return bpf_map_del(flow_map, &key);
}
