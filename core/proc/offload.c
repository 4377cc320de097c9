/*
 * proc/offload.c: the master and what the kernel relays by itself (net/offload.h).
 *
 * The program is loaded when a configuration first wants it, attached to an interface when a worker
 * first has a rule for it, and unloaded when the last generation that wants it is gone. Rules
 * belong to processes: each start is told to the kernel, each end takes the rules of that process
 * with it.
 */
#include <stdio.h>
#include <sluice/log.h>
#include "proc/master.h"

/* Both directions of as many sessions as there can be. */
static unsigned rules_for(const struct plan *plan)
{
	return plan->max_sessions < OFFLOAD_MAX_RULES / 2 ? (unsigned)plan->max_sessions * 2
							  : OFFLOAD_MAX_RULES;
}

static void refuse_quietly(struct master *m, const char *why)
{
	if (!m->offload_refused)
		sl_log(SL_LOG_NOTICE, "master",
		       "packets are relayed in user space, since eBPF cannot be used: %s", why);
	m->offload_refused = true;
}

int master_offload_prepare(struct master *m, const struct plan *plan, char *err, size_t err_cap)
{
	const enum sl_offload_mode mode = (enum sl_offload_mode)plan->offload;
	char why[256] = "not permitted";

	if (mode == SL_OFFLOAD_OFF || m->offload)
		return 0;
	if (offload_new(mode, m->n_slots, rules_for(plan), &m->offload, why, sizeof why) == 0)
		return 0;
	if (mode == SL_OFFLOAD_AUTO) {
		refuse_quietly(m, why);
		return 0;
	}
	snprintf(err, err_cap,
		 "offload: %s is not possible here: %s; use auto or off, or start as root",
		 mode == SL_OFFLOAD_TC ? "tc" : "xdp", why);
	return -SL_EUNSUPP;
}

/* Told once for each interface: workers ask once, and a reload's workers are told the same. */
void master_offload_attach(struct master *m, unsigned ifindex)
{
	char err[256];

	if (m->offload && offload_attach(m->offload, ifindex, err, sizeof err) < 0)
		sl_log(SL_LOG_NOTICE, "master", "%s; what comes in there is relayed in user space",
		       err);
}

void master_offload_alive(struct master *m, unsigned slot, uint16_t epoch)
{
	if (m->offload)
		offload_set_epoch(m->offload, slot, epoch);
}

void master_offload_dead(struct master *m, uint32_t owner)
{
	if (!m->offload)
		return;
	offload_set_epoch(m->offload, owner >> 16, 0);
	(void)offload_sweep(m->offload, owner); /* an orderly end leaves none */
}

void master_offload_retire(struct master *m)
{
	for (const struct generation *g = m->generations; g; g = g->next)
		if (g->plan->offload != SL_OFFLOAD_OFF)
			return;
	offload_free(m->offload);
	m->offload = NULL;
}
