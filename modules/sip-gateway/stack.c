/*
 * sip-gateway/stack.c: the stack's life, its users, and the messages of workers and of other
 * processes: to whom each goes. What is SIP among them is incoming.c's.
 */
#include "event.h"
#include "text.h"

#include <stdlib.h>

enum { LATE_REFUSED_MS = 1000 };

/* ---- out */

void stack_put_here(struct stack *s, struct sl_buf *b, const struct sip_flow *flow)
{
	struct sl_addr here = flow->local;
	char text[SL_ADDR_STRLEN];

	if (s->conf->advertise.family == flow->remote.family && s->conf->advertise.family) {
		uint16_t port = here.port;

		here = s->conf->advertise;
		if (here.port == 0)
			here.port = port;
	}
	if (here.family == 0) {
		sl_buf_str(b, SL_STR("sluice.invalid")); /* a WebSocket's: nobody looks it up */
		return;
	}
	sl_buf_str(b, sl_str_c(sl_addr_format(text, &here)));
}

int stack_send(struct stack *s, const struct sip_flow *flow, struct sl_str message)
{
	sl_buf_reset(&s->out);
	wire_put_flow(&s->out, flow);
	sl_buf_str(&s->out, message);
	if (sl_buf_ok(&s->out) < 0)
		return -SL_ELIMIT;
	return s->io->tell(s->io->arg, flow->worker, WIRE_SEND, &s->out);
}

/* ---- in */

/* Messages that have waited tell that this process has more to do than it can: calls that are up
 * come first. */
static void look_whether_late(struct stack *s, uint64_t sent_ms)
{
	uint64_t now = stack_now(s);

	if (now < sent_ms + s->conf->max_delay)
		return;
	if (now >= s->late_until_ms)
		sl_log(SL_LOG_WARN, "sip-gateway",
		       "signalling is %llu ms late; new calls are refused for a moment",
		       (unsigned long long)(now - sent_ms));
	s->late_until_ms = now + LATE_REFUSED_MS;
}

static void on_received(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	uint64_t sent_ms = sl_read_u64(&r);
	struct sip_flow flow;
	struct sl_str raw;

	wire_get_flow(&r, &flow);
	if (r.failed)
		return;
	look_whether_late(s, sent_ms);
	raw = (struct sl_str){(const char *)r.p, (size_t)(r.end - r.p)};
	incoming_message(s, &flow, raw);
}

static void on_flow_gone(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sip_flow flow;

	wire_get_flow(&r, &flow);
	if (r.failed)
		return;
	tie_ended(&s->ties, tie_to_conn(&flow));
	tie_ended(&s->ties, tie_to_remote(&flow));
}

/* Of a process of before */
static void take(struct stack *s, struct sl_str data,
		 void (*fn)(struct stack *s, struct sl_reader *r, uint64_t ago_ms))
{
	struct sl_reader r = sl_reader(data.p, data.len);

	fn(s, &r, 0);
}

void stack_input(struct stack *s, uint32_t from, uint16_t type, struct sl_str data)
{
	switch (type) {
	case WIRE_RECEIVED:
		on_received(s, data);
		break;
	case WIRE_FLOW_GONE:
		on_flow_gone(s, data);
		break;
	case WIRE_LEG_REPLY:
		calls_reply(s, data);
		break;
	case WIRE_LEG_EVENT:
		calls_leg_event(s, data);
		break;
	case WIRE_SIGNAL:
		browsers_signal(s, data);
		break;
	case WIRE_PEER_LEFT:
		browsers_left(s, data);
		break;
	case WIRE_WORKER_GONE:
		if (data.len == 4)
			stack_worker_gone(s, sl_get32(data.p));
		break;
	case WIRE_WORKER_UP:
		if (data.len == 4)
			calls_worker_up(s, sl_get32(data.p));
		break;
	case WIRE_KEPT:
		stack_kept(s, data);
		break;
	case WIRE_KEPT_SPARE:
		stack_kept_spare(s, data);
		break;
	case WIRE_CALL:
		stack_given(s, data);
		break;
	case WIRE_ASK_CALL:
		move_asked(s, from, data);
		break;
	case WIRE_CALL_ASKED:
		move_answered(s, data);
		break;
	case WIRE_BINDING:
		bindings_import(s, data);
		break;
	case WIRE_TRUNK:
		trunks_import(s, data);
		break;
	case WIRE_WATCH:
		take(s, data, watch_take);
		break;
	case WIRE_MAILBOX:
		take(s, data, mailbox_take);
		break;
	case WIRE_PUBLICATION:
		take(s, data, publication_take);
		break;
	case WIRE_FOLLOW:
		follows_import(s, data);
		break;
	case WIRE_BROWSER:
		browsers_import(s, data);
		break;
	default:
		break;
	}
}

/* ---- users */

static bool user_has_name(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(SL_CONTAINER(n, struct user, node)->conf->name,
			 *(const struct sl_str *)key);
}

struct user *stack_user(const struct stack *s, struct sl_str name)
{
	struct sl_hnode *n =
		sl_htab_find(&s->users, sl_hash(name.p, name.len), user_has_name, &name);

	return n ? SL_CONTAINER(n, struct user, node) : NULL;
}

static int open_users(struct stack *s)
{
	const struct sl_list *list = &s->conf->users;

	s->all_users = calloc(list->n + 1, sizeof *s->all_users);
	if (!s->all_users)
		return -SL_ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		struct user *u = &s->all_users[i];
		int rc;

		u->conf = SL_LIST_AT(*list, struct user_conf, i);
		rc = sl_htab_insert(&s->users, &u->node,
				    sl_hash(u->conf->name.p, u->conf->name.len));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- life */

int stack_new(const struct sip_conf *conf, const struct stack_io *io, const struct sl_meter *m,
	      uint32_t owner, const uint8_t node_key[32], struct stack **ret_stack)
{
	struct stack *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return -SL_ENOMEM;
	s->conf = conf;
	s->io = io;
	s->m = m;
	s->owner = owner;
	sl_buf_init(&s->out, 64 * 1024);
	browsers_begin(s);
	rc = nonces_open(&s->nonces, node_key, owner);
	if (rc == 0)
		rc = open_users(s);
	if (rc == 0)
		rc = trunks_open(s);
	if (rc < 0) {
		stack_free(s);
		return rc;
	}
	*ret_stack = s;
	return 0;
}

uint64_t stack_run(struct stack *s, uint64_t now_ms)
{
	if (s->begun_ms == 0)
		s->begun_ms = now_ms;
	return alarms_run(&s->alarms, now_ms);
}

bool stack_is_idle(const struct stack *s)
{
	return s->n_calls == 0 && s->n_unfinished == 0;
}

void stack_drain(struct stack *s, uint32_t successor)
{
	s->draining = true;
	if (!successor)
		return;
	trunks_export(s, successor);
	bindings_export(s, successor);
	browsers_export(s, successor);
	follows_export(s, successor);
	publications_export(s, successor);
	mailboxes_export(s, successor);
	watches_export(s, successor);
}

void stack_worker_gone(struct stack *s, uint32_t worker)
{
	tie_worker_ended(&s->ties, worker);
	calls_worker_gone(s, worker);
}

static void free_transactions(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->strans)))
		strans_free(SL_CONTAINER(n, struct strans, node));
	while ((n = sl_htab_first(&s->ctrans)))
		ctrans_free(SL_CONTAINER(n, struct ctrans, node));
}

static void free_user(struct stack *s, struct user *u)
{
	while (u->bindings)
		binding_free(u->bindings);
	while (u->said)
		publication_free(u->said);
	mailbox_free(s, u);
}

void stack_free(struct stack *s)
{
	if (!s)
		return;
	calls_end_all(s);
	move_free(s);
	browsers_end(s);
	texts_free(s);
	watches_free(s);
	follows_free(s);
	browsers_free(s);
	accounts_free(s);
	free_transactions(s);
	for (size_t i = 0; s->all_users && i < s->conf->users.n; i++)
		free_user(s, &s->all_users[i]);
	trunks_close(s);
	sl_htab_free(&s->strans);
	sl_htab_free(&s->ctrans);
	sl_htab_free(&s->dialogs);
	sl_htab_free(&s->legs);
	sl_htab_free(&s->users);
	sl_htab_free(&s->ties);
	sl_htab_free(&s->browsers);
	free(s->all_users);
	alarms_free(&s->alarms);
	sl_buf_free(&s->out);
	nonces_close(&s->nonces);
	free(s);
}
