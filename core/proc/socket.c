/*
 * proc/socket.c: listening sockets over generations.
 *
 * A listener keeps its index and its sockets while its protocol and address stay in the
 * configuration. UDP: one socket per slot, made when the slot is used; TCP: one for all, inherited
 * by every worker. What only older generations want stays open until they are gone.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sluice/log.h>
#include "proc/master.h"

int master_listener_fd(const struct master_listener *l, unsigned slot)
{
	return l->spec.udp ? l->udp_fds[slot] : l->tcp_fd;
}

bool plan_has(const struct plan *plan, const struct listener_spec *spec)
{
	for (unsigned i = 0; i < plan->n_listeners; i++)
		if (plan->listeners[i].udp == spec->udp &&
		    sl_addr_eq(&plan->listeners[i].addr, &spec->addr))
			return true;
	return false;
}

static struct master_listener *find(struct master *m, const struct listener_spec *spec)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++)
		if (m->listeners[i].used && m->listeners[i].spec.udp == spec->udp &&
		    sl_addr_eq(&m->listeners[i].spec.addr, &spec->addr))
			return &m->listeners[i];
	return NULL;
}

static struct master_listener *make(struct master *m, const struct listener_spec *spec)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		struct master_listener *l = &m->listeners[i];

		if (l->used)
			continue;
		*l = (struct master_listener){.used = true, .spec = *spec, .tcp_fd = -1};
		for (unsigned k = 0; k < MAX_SLOTS; k++)
			l->udp_fds[k] = -1;
		return l;
	}
	return NULL;
}

/* eBPF is tried once, when the first listener wants it. */
static void open_steering(struct master *m, const struct plan *plan)
{
	char err[256] = "";
	bool wanted = false;

	for (unsigned i = 0; i < plan->n_listeners; i++)
		wanted |= plan->listeners[i].udp && (plan->listeners[i].steering == STEER_AUTO ||
						     plan->listeners[i].steering == STEER_EBPF);
	if (!wanted || m->steer)
		return;
	if (steer_new(m->n_slots, (unsigned)plan->max_sessions, &m->steer, err, sizeof err) < 0)
		sl_log(SL_LOG_NOTICE, "master",
		       "steering by forwarding between workers, since eBPF cannot be used: %s",
		       err[0] ? err : "not permitted");
}

int sockets_prepare(struct master *m, struct generation *g, char *err, size_t err_cap)
{
	open_steering(m, g->plan);
	for (unsigned i = 0; i < g->plan->n_listeners; i++) {
		const struct listener_spec *spec = &g->plan->listeners[i];
		struct master_listener *l = find(m, spec);

		if (!l)
			l = make(m, spec);
		if (!l) {
			snprintf(err, err_cap,
				 "more than %d listening addresses, those of draining generations "
				 "included",
				 MAX_LISTENERS);
			return -SL_EFULL;
		}
		if (spec->udp && spec->steering == STEER_EBPF && !m->steer) {
			snprintf(err, err_cap,
				 "steering: ebpf is not possible here; use auto or forward, or "
				 "start as root");
			return -SL_EUNSUPP;
		}
		if (!spec->udp && l->tcp_fd < 0 &&
		    listener_socket(spec, 0, &l->tcp_fd, err, err_cap) < 0)
			return -SL_ESYS;
	}
	return 0;
}

static bool steered(const struct master *m, const struct master_listener *l)
{
	return m->steer && (l->spec.steering == STEER_AUTO || l->spec.steering == STEER_EBPF);
}

int sockets_for_slot(struct master *m, const struct generation *g, unsigned slot, char *err,
		     size_t err_cap)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		struct master_listener *l = &m->listeners[i];

		if (!l->used || !l->spec.udp || !plan_has(g->plan, &l->spec) ||
		    l->udp_fds[slot] >= 0)
			continue;
		if (listener_socket(&l->spec, slot, &l->udp_fds[slot], err, err_cap) < 0)
			return -SL_ESYS;
		if (steered(m, l) && steer_add_socket(m->steer, i, slot, l->udp_fds[slot]) < 0) {
			snprintf(err, err_cap,
				 "cannot attach the steering program to listener %u: %m", i);
			return -SL_ESYS;
		}
	}
	return 0;
}

void sockets_let_go(struct master *m, unsigned slot)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++)
		if (m->listeners[i].used && m->listeners[i].spec.udp &&
		    !steered(m, &m->listeners[i]))
			fd_close(&m->listeners[i].udp_fds[slot]);
}

void sockets_release_slot(struct master *m, unsigned slot)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		struct master_listener *l = &m->listeners[i];

		if (!l->used || l->udp_fds[slot] < 0)
			continue;
		if (steered(m, l))
			(void)steer_remove_socket(m->steer, i,
						  slot); /* it leaves with the socket in any case */
		fd_close(&l->udp_fds[slot]);
	}
}

int sockets_switch(struct master *m, const struct generation *g)
{
	uint16_t slots[MAX_SLOTS];
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_slots; i++)
		if (m->slots[i].gen == g && !child_is_aux(&m->slots[i]))
			slots[n++] = (uint16_t)i;
	if (!m->steer || steer_set_current(m->steer, slots, n) == 0)
		return 0;
	sl_log(SL_LOG_ERROR, "master", "cannot write the steering map: %m");
	return -SL_ESYS;
}

static bool wanted(const struct master *m, const struct master_listener *l)
{
	for (const struct generation *g = m->generations; g; g = g->next)
		if (!g->failed && plan_has(g->plan, &l->spec))
			return true;
	return false;
}

void sockets_retire(struct master *m)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		struct master_listener *l = &m->listeners[i];

		if (!l->used || wanted(m, l))
			continue;
		for (unsigned slot = 0; slot < m->n_slots; slot++)
			fd_close(&l->udp_fds[slot]);
		fd_close(&l->tcp_fd);
		if (steered(m, l))
			(void)steer_remove_listener(m->steer, i); /* its maps go with it */
		l->used = false;
	}
}
