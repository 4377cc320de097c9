/*
 * session/channel.c: channels between the same modules of different processes, over the inbox.
 *
 * A channel is known by the hash of its name, so that generations with other module lists
 * understand each other. When a ring is full the message waits in one backlog per process, and so
 * does every later one, whatever its receiver: the order in which this process sent is kept, and
 * with it causality. The backlog is bounded; a receiver that died is skipped.
 */
#include <stdlib.h>
#include <sluice/bus.h>
#include <sluice/trace.h>
#include "session/registry.h"

#define BACKLOG_MAX ((size_t)8 << 20)
#define RETRY_MS 2
#define MAX_WORKERS 256

struct pending {
	struct pending *next;
	uint32_t to, channel;
	uint16_t type;
	size_t len;
	uint8_t data[];
};

struct sl_channel {
	struct sl_channel *next;
	struct sl_worker *w;
	const char *name;
	uint32_t id;
	sl_channel_fn *fn;
	void *arg;
};

/* One per process, made with the first channel. */
static struct backlog {
	struct sl_worker *w;
	struct pending *first, **tail;
	size_t bytes;
	struct sl_timer retry;
} backlog;

/* FNV-1a: a fixed hash of trusted names that all processes agree on. */
static uint32_t channel_id(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h == NET_CHANNEL ? h + 1 : h;
}

static void flush_backlog(struct sl_timer *t)
{
	struct backlog *b = t->arg;

	while (b->first) {
		struct pending *p = b->first;
		struct iovec iov = {p->data, p->len};
		int rc = SL_OK;

		if (shm_owner_alive(b->w->shm, p->to))
			rc = inbox_send(b->w->inbox, p->to, p->channel, p->type, &iov, 1);
		if (rc == -SL_EFULL) {
			sl_timer_set(b->w->loop, &b->retry, RETRY_MS);
			return;
		}
		b->first = p->next;
		b->bytes -= sizeof *p + p->len;
		free(p);
	}
	b->tail = &b->first;
}

static int defer(const struct sl_channel *c, uint32_t to, uint16_t type, const struct iovec *iov,
		 unsigned n_iov, size_t len)
{
	struct pending *p;
	size_t at = 0;

	if (backlog.bytes + sizeof *p + len > BACKLOG_MAX) {
		sl_trace(0, SL_TRACE_INBOX_FULL, owner_slot(to), len);
		return -SL_EFULL;
	}
	p = malloc(sizeof *p + len);
	if (!p)
		return -SL_ENOMEM;
	*p = (struct pending){.to = to, .channel = c->id, .type = type, .len = len};
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(p->data + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	*backlog.tail = p;
	backlog.tail = &p->next;
	backlog.bytes += sizeof *p + len;
	if (!sl_timer_pending(&backlog.retry))
		sl_timer_set(c->w->loop, &backlog.retry, RETRY_MS);
	return 0;
}

int sl_channel_open(struct sl_worker *w, const char *name, sl_channel_fn *fn, void *arg,
		    struct sl_channel **ret_channel)
{
	struct registry *r = w->registry;
	struct sl_channel *c;

	for (c = r->channels; c; c = c->next)
		if (c->id == channel_id(name))
			return -SL_EEXIST;
	c = sl_pool_alloc(r->pool, sizeof *c);
	if (!c)
		return -SL_ENOMEM;
	*c = (struct sl_channel){.next = r->channels,
				 .w = w,
				 .name = name,
				 .id = channel_id(name),
				 .fn = fn,
				 .arg = arg};
	if (!backlog.w)
		backlog = (struct backlog){.w = w,
					   .tail = &backlog.first,
					   .retry = {.fn = flush_backlog, .arg = &backlog}};
	r->channels = c;
	*ret_channel = c;
	return 0;
}

void sl_channel_close(struct sl_channel *c)
{
	if (c)
		c->fn = NULL; /* the id stays taken until the process ends */
}

int sl_channel_send(struct sl_channel *c, uint32_t to_owner, uint16_t type, const struct iovec *iov,
		    unsigned n_iov)
{
	size_t len = 0;
	int rc;

	for (unsigned i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	if (len > INBOX_MAX_MESSAGE)
		return -SL_ELIMIT;
	if (!shm_owner_alive(c->w->shm, to_owner))
		return -SL_ENOENT;
	if (backlog.first)
		return defer(c, to_owner, type, iov, n_iov, len);
	rc = inbox_send(c->w->inbox, to_owner, c->id, type, iov, n_iov);
	return rc == -SL_EFULL ? defer(c, to_owner, type, iov, n_iov, len) : rc;
}

unsigned sl_worker_list(const struct sl_worker *w, uint32_t *ret_owners, unsigned max)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < shm_sizes(w->shm)->n_slots && n < max; slot++) {
		const struct worker_slot *s = shm_worker(w->shm, slot);
		uint32_t state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

		/* A starting one listens already: what it is told now is what it does not have to
		 * ask for later. */
		if (s->kind == 0 && state >= WORKER_STARTING && state <= WORKER_DRAINING)
			ret_owners[n++] = shm_owner(w->shm, slot);
	}
	return n;
}

unsigned sl_worker_current(const struct sl_worker *w, uint32_t *ret_owners, unsigned max)
{
	uint16_t slots[MAX_WORKERS];
	unsigned n = shm_current_slots(w->shm, slots, max < MAX_WORKERS ? max : MAX_WORKERS);

	for (unsigned i = 0; i < n; i++)
		ret_owners[i] = shm_owner(w->shm, slots[i]);
	return n;
}

uint32_t sl_aux_owner(const struct sl_worker *w, const char *module)
{
	uint32_t generation = shm_generation(w->shm);

	for (unsigned slot = 0; slot < shm_sizes(w->shm)->n_slots; slot++) {
		const struct worker_slot *s = shm_worker(w->shm, slot);

		if (s->kind == 1 && s->generation == generation &&
		    __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == WORKER_SERVING &&
		    strncmp(s->name, module, sizeof s->name) == 0)
			return shm_owner(w->shm, slot);
	}
	return 0;
}

int sl_channel_broadcast(struct sl_channel *c, uint16_t type, const struct iovec *iov,
			 unsigned n_iov)
{
	uint32_t owners[MAX_WORKERS];
	unsigned n = sl_worker_list(c->w, owners, MAX_WORKERS);
	int reached = 0;

	for (unsigned i = 0; i < n; i++)
		if (owners[i] != sl_worker_owner(c->w))
			reached += sl_channel_send(c, owners[i], type, iov, n_iov) == 0;
	return reached;
}

void channels_inbox(struct sl_worker *w, const struct inbox_msg *msg)
{
	const struct sl_channel_msg m = {msg->from, msg->type, {(const char *)msg->data, msg->len}};

	/* A crash bumps the epoch at once: what the dead one said last must not bring it back. One
	 * that left in order is heard out. */
	if (shm_owner(w->shm, owner_slot(msg->from)) != msg->from)
		return;
	for (struct sl_channel *c = w->registry->channels; c; c = c->next) {
		if (c->id == msg->channel && c->fn) {
			c->fn(c->arg, &m);
			return;
		}
	}
}

void channels_close(struct registry *r)
{
	if (backlog.w)
		sl_timer_cancel(backlog.w->loop, &backlog.retry);
	for (struct pending *p = backlog.first, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	backlog = (struct backlog){0};
	r->channels = NULL;
}
