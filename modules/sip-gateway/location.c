/*
 * sip-gateway/location.c: where users can be reached: contacts with the flow that they registered
 * over.
 *
 * A binding is one allocation, its texts behind it. All of it that can fail is done before anybody
 * knows it, so that several come and go as one. It ends with its time, with its connection, or when
 * its user says so. When a newer process takes over, bindings go there one by one.
 */
#include "stack.h"

#include <stdlib.h>

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
	tie_cut(&b->stack->ties, &b->way);
	alarm_cancel(&b->stack->alarms, &b->expiry);
	free(b);
}

static void on_expiry(struct alarm *a)
{
	binding_free(a->arg);
}

static void on_way_gone(struct tie *way)
{
	binding_free(SL_CONTAINER(way, struct binding, way));
}

/* A device with several flows has one contact on all of them (RFC 5626 section 4.2). */
bool binding_is_same(const struct binding_text *a, const struct binding_text *b)
{
	if (a->instance.len > 0 && b->instance.len > 0)
		return sl_str_eq(a->instance, b->instance);
	return sl_str_eq(a->contact, b->contact);
}

static struct binding_text text_of(const struct binding *b)
{
	return (struct binding_text){.contact = b->contact, .instance = b->instance};
}

struct binding *binding_find(const struct user *u, const struct binding_text *t)
{
	for (struct binding *b = u->bindings; b; b = b->next) {
		const struct binding_text have = text_of(b);

		if (binding_is_same(&have, t))
			return b;
	}
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

int binding_new(struct stack *s, struct user *u, const struct binding_opts *o,
		struct binding **ret_binding)
{
	struct binding *b = make(&o->text);
	int rc;

	if (!b)
		return -SL_ENOMEM;
	b->stack = s;
	b->user = u;
	b->flow = *o->flow;
	b->way.fn = on_way_gone;
	b->cseq = o->cseq;
	b->expires_ms = stack_now(s) + o->life_ms;
	b->expiry = (struct alarm){.fn = on_expiry, .arg = b};
	rc = alarm_set(&s->alarms, &b->expiry, o->life_ms);
	if (rc < 0) {
		free(b);
		return rc;
	}
	*ret_binding = b;
	return 0;
}

void binding_drop(struct binding *b)
{
	if (!b)
		return;
	alarm_cancel(&b->stack->alarms, &b->expiry);
	free(b);
}

void binding_enter(struct binding *b)
{
	const struct binding_text text = text_of(b);
	struct binding *old = binding_find(b->user, &text);

	if (!b->user->bindings)
		user_changed(b->user, CHANGED_PRESENCE);
	b->next = b->user->bindings;
	b->user->bindings = b;
	b->user->n_bindings++;
	b->stack->n_bindings++;
	sl_gauge_add(&b->stack->m[M_BINDINGS], 1);
	tie_set(&b->stack->ties, &b->way, tie_to_conn(&b->flow));
	binding_free(old);
	binding_keep(b);
}

bool bindings_have_room(const struct stack *s, const struct user *u, unsigned n)
{
	return u->n_bindings + (int64_t)n <= u->conf->max_contacts &&
	       s->n_bindings + (int64_t)n <= s->conf->max_bindings;
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
	struct binding_opts o = {.cseq = cseq, .life_ms = life - ago_ms};
	struct sip_flow flow;
	struct binding *b;

	wire_get_flow(r, &flow);
	o.flow = &flow;
	o.text.contact = sl_read_lstr(r);
	o.text.call_id = sl_read_lstr(r);
	o.text.path = sl_read_lstr(r);
	o.text.instance = sl_read_lstr(r);
	o.text.agent = sl_read_lstr(r);
	if (r->failed || !u || life <= ago_ms || binding_find(u, &o.text))
		return; /* what is here already is newer */
	if (bindings_have_room(s, u, 1) && binding_new(s, u, &o, &b) == 0)
		binding_enter(b);
	else
		sl_log(SL_LOG_WARN, "sip-gateway", "a registration of %.*s could not be taken over",
		       SL_FMT(u->conf->name));
}
