/*
 * sip-gateway/location.c: where users can be reached: contacts with the flow that they registered
 * over.
 *
 * A binding is one allocation, its texts behind it. It ends with its time, with its connection, or
 * when its user says so. When a newer process takes over, bindings go there one by one.
 */
#include "stack.h"

#include <stdlib.h>

static uint64_t flow_hash(const struct sip_flow *f)
{
	return ((uint64_t)f->worker << 32 | f->conn) * UINT64_C(0x9e3779b97f4a7c15);
}

static void unlink_binding(struct binding *b)
{
	struct binding **at = &b->user->bindings;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	b->user->n_bindings--;
	b->stack->n_bindings--;
	sl_gauge_add(&b->stack->m[M_BINDINGS], -1);
}

void binding_free(struct binding *b)
{
	if (!b)
		return;
	unlink_binding(b);
	binding_forget(b);
	if (!b->user->bindings)
		user_changed(b->user, CHANGED_PRESENCE);
	if (b->on_flow)
		sl_htab_remove(&b->stack->flows, &b->by_flow);
	alarm_cancel(&b->stack->alarms, &b->expiry);
	free(b);
}

static void on_expiry(struct alarm *a)
{
	binding_free(a->arg);
}

/* A device with several flows has one contact on all of them (RFC 5626 section 4.2). */
static bool is_same(const struct binding *b, const struct binding_text *t)
{
	if (t->instance.len > 0 && b->instance.len > 0)
		return sl_str_eq(b->instance, t->instance);
	return sl_str_eq(b->contact, t->contact);
}

struct binding *binding_find(const struct user *u, const struct binding_text *t)
{
	for (struct binding *b = u->bindings; b; b = b->next)
		if (is_same(b, t))
			return b;
	return NULL;
}

/* "instance#flow" */
static struct sl_str device_of(const struct binding *b)
{
	const char *end = b->instance.len ? memrchr(b->instance.p, '#', b->instance.len) : NULL;

	return end ? (struct sl_str){b->instance.p, (size_t)(end - b->instance.p)} : SL_STR_NULL;
}

bool binding_is_spare(const struct binding *b)
{
	struct sl_str device = device_of(b);

	for (const struct binding *x = b->user->bindings; x != b && device.len > 0; x = x->next)
		if (sl_str_eq(device_of(x), device))
			return true;
	return false;
}

static struct sl_str keep(char **at, struct sl_str s)
{
	struct sl_str kept = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return kept;
}

static struct binding *make(const struct binding_text *t)
{
	size_t n = t->contact.len + t->call_id.len + t->path.len + t->instance.len + t->agent.len;
	struct binding *b = calloc(1, sizeof *b + n);
	char *at;

	if (!b)
		return NULL;
	at = b->text;
	b->contact = keep(&at, t->contact);
	b->call_id = keep(&at, t->call_id);
	b->path = keep(&at, t->path);
	b->instance = keep(&at, t->instance);
	b->agent = keep(&at, t->agent);
	return b;
}

static int link_binding(struct binding *b, uint64_t life_ms)
{
	struct stack *s = b->stack;
	int rc = alarm_set(&s->alarms, &b->expiry, life_ms);

	if (rc == 0 && b->flow.conn)
		rc = sl_htab_insert(&s->flows, &b->by_flow, flow_hash(&b->flow));
	if (rc < 0) {
		alarm_cancel(&s->alarms, &b->expiry);
		return rc;
	}
	b->on_flow = b->flow.conn != 0;
	if (!b->user->bindings)
		user_changed(b->user, CHANGED_PRESENCE);
	b->next = b->user->bindings;
	b->user->bindings = b;
	b->user->n_bindings++;
	s->n_bindings++;
	sl_gauge_add(&s->m[M_BINDINGS], 1);
	return 0;
}

int binding_set(struct stack *s, struct user *u, const struct binding_text *t,
		const struct sip_flow *flow, uint32_t cseq, uint64_t life_ms,
		struct binding **ret_binding)
{
	struct binding *old = binding_find(u, t), *b;
	int rc;

	if (!old &&
	    (u->n_bindings >= u->conf->max_contacts || s->n_bindings >= s->conf->max_bindings))
		return -SL_ELIMIT;
	b = make(t);
	if (!b)
		return -SL_ENOMEM;
	b->stack = s;
	b->user = u;
	b->flow = *flow;
	b->cseq = cseq;
	b->expires_ms = stack_now(s) + life_ms;
	b->expiry = (struct alarm){.fn = on_expiry, .arg = b};
	rc = link_binding(b, life_ms);
	if (rc < 0) {
		free(b);
		return rc;
	}
	binding_free(old);
	binding_keep(b);
	*ret_binding = b;
	return 0;
}

/* ---- flows that end */

static bool on_flow(const struct sl_hnode *n, const void *key)
{
	return sip_flow_same(&SL_CONTAINER(n, struct binding, by_flow)->flow, key);
}

void bindings_flow_gone(struct stack *s, const struct sip_flow *flow)
{
	struct sl_hnode *n;

	while ((n = sl_htab_find(&s->flows, flow_hash(flow), on_flow, flow)))
		binding_free(SL_CONTAINER(n, struct binding, by_flow));
}

void bindings_worker_gone(struct stack *s, uint32_t worker)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&s->flows); n; n = next) {
		struct binding *b = SL_CONTAINER(n, struct binding, by_flow);

		next = sl_htab_next(&s->flows, n);
		if (b->flow.worker == worker)
			binding_free(b);
	}
}

/* ---- from process to process */

void binding_put(const struct binding *b, struct sl_buf *out)
{
	uint64_t now = stack_now(b->stack);

	sl_buf_lstr(out, b->user->conf->name);
	sl_buf_u64(out, b->expires_ms > now ? b->expires_ms - now : 0);
	sl_buf_u32(out, b->cseq);
	wire_put_flow(out, &b->flow);
	sl_buf_lstr(out, b->contact);
	sl_buf_lstr(out, b->call_id);
	sl_buf_lstr(out, b->path);
	sl_buf_lstr(out, b->instance);
	sl_buf_lstr(out, b->agent);
}

/* From now on it is the other's to be remembered. */
static void export_one(struct stack *s, uint32_t to, struct binding *b)
{
	sl_buf_reset(&s->out);
	binding_put(b, &s->out);
	(void)s->io->tell(s->io->arg, to, WIRE_BINDING,
			  &s->out); /* lost: the phone registers again */
	binding_forget(b);
}

void bindings_export(struct stack *s, uint32_t to)
{
	for (size_t i = 0; i < s->conf->users.n; i++)
		for (struct binding *b = s->all_users[i].bindings; b; b = b->next)
			export_one(s, to, b);
}

void bindings_import(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);

	binding_take(s, &r, 0);
}

void binding_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms)
{
	struct user *u = stack_user(s, sl_read_lstr(r));
	uint64_t life = sl_read_u64(r);
	uint32_t cseq = sl_read_u32(r);
	struct binding_text t;
	struct sip_flow flow;
	struct binding *b;

	wire_get_flow(r, &flow);
	t.contact = sl_read_lstr(r);
	t.call_id = sl_read_lstr(r);
	t.path = sl_read_lstr(r);
	t.instance = sl_read_lstr(r);
	t.agent = sl_read_lstr(r);
	if (r->failed || !u || life <= ago_ms || binding_find(u, &t))
		return; /* what is here already is newer */
	if (binding_set(s, u, &t, &flow, cseq, life - ago_ms, &b) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a registration of %.*s could not be taken over",
		       SL_FMT(u->conf->name));
}
