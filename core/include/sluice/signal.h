/*
 * sluice/signal.h: the rooms of signalling, for modules that take part in them:
 * sl_iface_get(w, SL_SIGNAL_IFACE, 1, &self).
 *
 * A peer is a client in a room, connected to some worker of the node; it may resume at another one.
 * Every worker knows every peer. What a client says is heard at the worker that has its socket; what
 * is sent to a peer finds it wherever it is, is numbered, kept until acknowledged, and comes in the
 * order in which this worker sent it.
 */
#ifndef SLUICE_SIGNAL_H
#define SLUICE_SIGNAL_H

#include <sluice/json.h>
#include <sluice/worker.h>

#define SL_SIGNAL_IFACE "signal"

/* What a peer's token permits it in a room whose media this node carries. */
enum sl_signal_grant {
	SL_MAY_PUBLISH_AUDIO = 1,
	SL_MAY_PUBLISH_VIDEO = 2,
	SL_MAY_PUBLISH_SCREEN = 4,
	SL_MAY_SUBSCRIBE = 8,
	SL_MAY_DATA = 16,
	SL_MAY_ADMIN = 32,  /* mute, remove and move others; close the room */
	SL_IS_HIDDEN = 64,  /* others are not told of it */
	SL_IS_RECORDER = 128,
};

struct sl_signal_peer { /* borrowed for the call */
	uint64_t id;
	struct sl_str room, name;
	uint32_t grants; /* of a peer that is here; else 0 */
	/* Its token's claim `phone`, an object as text; empty: none, or it is not here */
	struct sl_str phone;
	const struct sl_addr *remote; /* where its socket comes from; NULL: it has none here */
	bool here;	 /* this worker has it */
};

struct sl_signal_handler {
	/* Somebody has entered a room, or left; on every worker. */
	void (*joined)(void *arg, const struct sl_signal_peer *p);
	void (*left)(void *arg, const struct sl_signal_peer *p, const char *reason);
	/* Members for the peer's `welcome`, each with a comma before; p is here. */
	void (*welcome)(void *arg, const struct sl_signal_peer *p, struct sl_buf *members);
	/* A message of one of the types; on the worker that has the peer. The id in it has been
	 * acknowledged when the result is 0; a negative result is answered by an error with the
	 * sentence. */
	int (*message)(void *arg, const struct sl_signal_peer *p, struct sl_str type,
		       const json_t *msg, const char **ret_sentence);
	/* What others say (`message`) to a peer that a module has brought: the whole object, with
	 * `from`; on that peer's worker. From within signalling: nobody is ended or moved here. */
	void (*delivered)(void *arg, const struct sl_signal_peer *p, struct sl_str json);
};

struct sl_signal_entry {
	struct sl_str room, name;
	uint32_t grants; /* enum sl_signal_grant */
};

struct sl_signal_iface {
	/* types: NULL-terminated, const; each is one module's. hello: members that `hello` shall
	 * carry so that clients know what this node does, as the text of a JSON object.
	 * -SL_EEXIST: another module has one of the types; -SL_EFULL: eight modules listen, or say
	 * too much. */
	int (*listen)(void *self, const char *const *types, struct sl_str hello,
		      const struct sl_signal_handler *h, void *arg);
	/* One JSON object. -SL_ENOENT: no such peer (any more) */
	int (*send)(void *self, uint64_t peer, struct sl_str json);
	/* false: no such peer */
	bool (*find)(void *self, uint64_t peer, struct sl_signal_peer *ret_peer);
	/* Each peer of a room, on whatever worker. */
	void (*each)(void *self, struct sl_str room,
		     void (*fn)(void *arg, const struct sl_signal_peer *p), void *arg);
	/* Out of its room; reason is what the others are told ("kicked"). */
	int (*end)(void *self, uint64_t peer, const char *reason);
	/* A peer that a module brings: somebody in the room who has no client here (a phone). Nothing
	 * is delivered to it; `left` tells when others end it. Names and limits are as for clients:
	 * -SL_EINVAL, -SL_ELIMIT: the room is full, -SL_EFULL. */
	int (*enter)(void *self, const struct sl_signal_entry *e, uint64_t *ret_peer);
	/* It leaves. -SL_ENOENT: it is not one of this worker's. */
	int (*leave)(void *self, uint64_t peer);
	/* Who has listened with arg hears nothing any more: when a module stops, before arg goes. */
	void (*unlisten)(void *self, const void *arg);
	/* Out of its room ("moved") with one JSON object as the last that it is told; its socket
	 * stays, so that it can join another room. -SL_ENOENT: no such peer; -SL_EUNSUPP: a module
	 * brought it, which only `end` ends; seen where it is, elsewhere nothing happens. */
	int (*move)(void *self, uint64_t peer, struct sl_str word);
};

#endif
