/*
 * sluice/worker.h: the process a module's code runs in.
 *
 * A bag of pointers, one per layer; filled before any worker_start and constant afterwards, but for
 * the members that name their writer. Modules read the plain members and hand the struct on; each
 * layer uses its own pointer.
 */
#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

#include <sluice/log.h>
#include <sluice/loop.h>
#include <sluice/str.h>

struct shm;
struct inbox;
struct net;
struct registry;
struct rtc_host;

struct sl_worker {
	uint32_t size;	      /* of this struct in the running binary */
	uint16_t slot, epoch; /* owner = slot << 16 | epoch */
	uint32_t generation;
	uint16_t n_workers;    /* of this generation */
	uint16_t worker_index; /* 0 .. n_workers - 1; an aux process: n_workers */
	bool aux;	       /* an aux process, not a worker */
	bool draining;	       /* W: core; a newer generation runs */
	const char *prefix;    /* absolute, ends without '/' */
	struct sl_loop *loop;
	struct shm *shm;
	struct inbox *inbox;
	struct net *net;
	struct registry *registry;
	const uint8_t *node_key; /* 32 random bytes, the same in all processes of this node over
				    reloads and crashes; secret */
	struct rtc_host *rtc; /* NULL: no WebRTC here */
	uint32_t n_holds; /* W: modules, in place: work in flight that a draining worker finishes
			     before it leaves */
};

static inline uint32_t sl_worker_owner(const struct sl_worker *w)
{
	return (uint32_t)w->slot << 16 | w->epoch;
}

#endif
