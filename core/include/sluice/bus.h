/*
 * sluice/bus.h: how modules speak without knowing each other: events, channels between processes,
 * named interfaces.
 */
#ifndef SLUICE_BUS_H
#define SLUICE_BUS_H

#include <sys/uio.h>
#include <sluice/session.h>

/* ---- events: local, synchronous, to all EVENT hooks and subscribers of this process */
enum sl_event_kind {
	SL_EV_WORKER_UP,    /* owner: a process began to serve */
	SL_EV_WORKER_GONE,  /* owner: it left, in order or by a crash; nothing more comes from it */
	SL_EV_SESSION_LOST, /* owner, sid, kind, room (hash): its process died */
	SL_EV_SESSION_OPEN, /* sid, kind */
	SL_EV_SESSION_CLOSE, /* sid, kind, why */
	SL_EV_DRAIN,	     /* this process drains */
	SL_EV_USER = 64,     /* modules' own, by name */
};
struct sl_bus_event {
	uint32_t kind;	  /* enum sl_event_kind */
	const char *name; /* "turn.allocated"; dotted, module first */
	uint32_t owner;
	const uint8_t *sid; /* NULL: none */
	uint8_t session_kind;
	uint64_t room;
	struct sl_str text; /* why, or the event's JSON */
};
/* Calls every EVENT hook of this process now; ev lives for the call. SL_DONE of one ends it */
SL_API void sl_bus_publish(struct sl_worker *w, const struct sl_bus_event *ev);
/* Has this process an EVENT hook at all? Who writes a text for each event asks first. */
SL_API bool sl_bus_is_heard(const struct sl_worker *w);

/* ---- channels: messages to the same module in other processes of the node, of any generation, in
 * causal order */
struct sl_channel;
struct sl_channel_msg {
	uint32_t from; /* owner word of the sender */
	uint16_t type; /* the channel's own */
	struct sl_str data;
};
typedef void sl_channel_fn(void *arg, const struct sl_channel_msg *m);
/* name: static, the same in all processes. In worker_start. fn is called from the loop.
 * -SL_EEXIST: it is open in this process */
SL_API SL_MUST_CHECK int sl_channel_open(struct sl_worker *w, const char *name, sl_channel_fn *fn,
					 void *arg, struct sl_channel **ret_channel);
/* Accepts NULL. fn is not called again; the name stays taken until the process ends */
SL_API void sl_channel_close(struct sl_channel *c);
/* What finds the ring full is kept (bounded: 8 MiB) and sent in order later. -SL_EFULL beyond;
 * -SL_ENOENT: that process is gone. At most 65 536 bytes. */
SL_API SL_MUST_CHECK int sl_channel_send(struct sl_channel *c, uint32_t to_owner, uint16_t type,
					 const struct iovec *iov, unsigned n_iov);
/* To every live worker but this one: starting, serving or draining. Returns how many were reached.
 */
SL_API int sl_channel_broadcast(struct sl_channel *c, uint16_t type, const struct iovec *iov,
				unsigned n_iov);
/* Owners of the live workers (starting, serving or draining, all generations, this one included);
 * returns their number. */
SL_API unsigned sl_worker_list(const struct sl_worker *w, uint32_t *ret_owners, unsigned max);

/* Owners of the workers that new work goes to: serving, of the current generation. */
SL_API unsigned sl_worker_current(const struct sl_worker *w, uint32_t *ret_owners, unsigned max);

/* The process of a module with SL_M_AUX that new work goes to, for sl_channel_send; 0 while there
 * is none. */
SL_API uint32_t sl_aux_owner(const struct sl_worker *w, const char *module);

/*
 * ---- descriptors, from process to process of the node. Who can use one names the place where he
 * waits, in a message of a channel; who has it sends it there, with some bytes that say what it is.
 */
struct sl_pass;
struct sl_pass_place {
	uint8_t name_len;
	char name[15];
	uint8_t key[16]; /* only who was told the place can send there */
};
#define SL_PASS_MAX 2048 /* bytes beside a descriptor */
/* fd: the receiver's now */
typedef void sl_pass_fn(void *arg, struct sl_str data, int fd);
/* A place where descriptors of others arrive. -SL_ENOMEM, -SL_ESYS */
SL_API SL_MUST_CHECK int sl_pass_open(struct sl_worker *w, sl_pass_fn *fn, void *arg,
				      struct sl_pass **ret_pass);
/* Accepts NULL */
SL_API void sl_pass_close(struct sl_pass *p);
/* What to tell those who may send there; borrowed from p */
SL_API const struct sl_pass_place *sl_pass_place(const struct sl_pass *p);
/* fd leaves the caller in any case. To a place that is busy it goes later. -SL_ENOENT: nobody is
 * there; -SL_EFULL: too many wait. */
SL_API SL_MUST_CHECK int sl_pass_send(struct sl_pass *p, const struct sl_pass_place *to,
				      const void *data, size_t len, int fd);

/* ---- named interfaces: a versioned const table that one module offers to others of the same
 * process */
SL_API SL_MUST_CHECK int sl_iface_provide(struct sl_worker *w, const char *name, unsigned version,
					  const void *table, void *self);
/* NULL when no module offers it. Ask in worker_start, after naming the module in `needs` (or live
 * without it). */
SL_API const void *sl_iface_get(const struct sl_worker *w, const char *name, unsigned version,
				void **ret_self);

#endif
