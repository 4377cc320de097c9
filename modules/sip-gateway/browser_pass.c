/*
 * sip-gateway/browser_pass.c: clients without SIP over a reload: they go on at the process that
 * follows, but for their calls, which stay where they are.
 *
 * The old process tells who there is and which calls it keeps. A message may be here sooner than
 * that; so in the first moments what unknown clients say is kept until they are told of, or the
 * moments are over.
 */
#include "browsers.h"

#include <stdlib.h>

enum { MAX_ELSEWHERE = 64, MAX_PARKED = 4096, PARK_MS = 300 };

struct parked {
	struct parked *next;
	uint64_t peer;
	size_t len;
	char data[];
};

/* ---- what has come too early */

static void hear_parked(struct stack *s, struct parked *all, uint64_t peer)
{
	while (all) {
		struct parked *p = all;

		all = p->next;
		if (peer == 0 || p->peer == peer)
			browsers_hear(s, (struct sl_str){p->data, p->len});
		free(p);
	}
}

/* Those of one client, in order; all: peer 0 */
static struct parked *take_parked(struct stack *s, uint64_t peer)
{
	struct parked **at = &s->parked, *first = NULL, **tail = &first;

	while (*at) {
		struct parked *p = *at;

		if (peer && p->peer != peer) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		p->next = NULL;
		*tail = p;
		tail = &p->next;
		s->n_parked--;
	}
	return first;
}

void browsers_unpark(struct stack *s, uint64_t peer)
{
	hear_parked(s, take_parked(s, peer), peer);
}

static void on_unpark(struct alarm *a)
{
	browsers_unpark(a->arg, 0);
}

static bool park(struct stack *s, uint64_t peer, struct sl_str data)
{
	struct parked *p, **at = &s->parked;

	if (s->n_parked == MAX_PARKED)
		return false;
	p = malloc(sizeof *p + data.len);
	if (!p)
		return false;
	if (!s->parked && alarm_set(&s->alarms, &s->unpark, PARK_MS) < 0) {
		free(p);
		return false;
	}
	*p = (struct parked){.peer = peer, .len = data.len};
	memcpy(p->data, data.p, data.len);
	while (*at)
		at = &(*at)->next;
	*at = p;
	s->n_parked++;
	return true;
}

/* Before it is told of */
static bool is_early(const struct stack *s, uint64_t peer)
{
	return stack_now(s) - s->begun_ms < PARK_MS && !browser_find(s, peer);
}

void browsers_signal(struct stack *s, struct sl_str data)
{
	struct wire_signal w;

	if (wire_get_signal(data, &w) < 0)
		return;
	if (is_early(s, w.peer) && park(s, w.peer, data))
		return;
	browsers_hear(s, data);
}

void browsers_begin(struct stack *s)
{
	s->unpark = (struct alarm){.fn = on_unpark, .arg = s};
}

void browsers_end(struct stack *s)
{
	alarm_cancel(&s->alarms, &s->unpark);
	while (s->parked) {
		struct parked *p = s->parked;

		s->parked = p->next;
		free(p);
	}
}

/* ---- from process to process */

static void put_call(struct sl_buf *b, uint32_t owner, const char *call, uint32_t *n)
{
	if (*n == MAX_ELSEWHERE)
		return;
	sl_buf_u32(b, owner);
	sl_buf_lstr(b, sl_str_c(call));
	++*n;
}

static uint32_t put_calls(const struct stack *s, const struct browser *b, struct sl_buf *out)
{
	uint32_t n = 0;

	for (const struct elsewhere *e = b->calls; e; e = e->next)
		put_call(out, e->owner, e->call, &n);
	for (const struct call *c = s->first_call; c; c = c->next)
		for (const struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == b->peer &&
			    p->state != PARTY_ENDED)
				put_call(out, s->owner, p->tag, &n);
	return n;
}

static void export_one(struct stack *s, uint32_t to, struct browser *b)
{
	struct sl_buf calls, *out = &s->out;
	uint32_t n;

	sl_buf_init(&calls, 8192);
	n = put_calls(s, b, &calls);
	sl_buf_reset(out);
	wire_put_signal(out, &(struct wire_signal){.peer = b->peer,
						   .worker = b->worker,
						   .name = sl_str_c(b->name)});
	sl_buf_lstr(out, b->user ? b->user->conf->name : SL_STR_NULL);
	sl_buf_u32(out, n);
	sl_buf_str(out, sl_buf_view(&calls));
	sl_buf_u8(out, b->account != NULL);
	if (b->account)
		account_export(b->account, out);
	if (sl_buf_ok(&calls) < 0 || sl_buf_ok(out) < 0 ||
	    s->io->tell(s->io->arg, to, WIRE_BROWSER, out) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a browser could not be handed over");
	sl_buf_free(&calls);
}

void browsers_export(struct stack *s, uint32_t to)
{
	struct sl_htab *all = &s->browsers;

	for (struct sl_hnode *n = sl_htab_first(all); n; n = sl_htab_next(all, n))
		export_one(s, to, SL_CONTAINER(n, struct browser, node));
}

static void take_calls(struct browser *b, struct sl_reader *r)
{
	uint32_t n = sl_read_u32(r);

	for (uint32_t i = 0; i < n && i < MAX_ELSEWHERE && !r->failed; i++) {
		struct elsewhere *e = calloc(1, sizeof *e);
		uint32_t owner = sl_read_u32(r);
		struct sl_str call = sl_read_lstr(r);

		if (!e)
			continue; /* what is said of this call is answered by 481 */
		e->owner = owner;
		(void)sl_str_copy(e->call, sizeof e->call, call);
		e->next = b->calls;
		b->calls = e;
	}
}

/* What it has said here already is newer. */
void browsers_import(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct wire_signal w;
	struct browser *b;
	struct user *u;

	wire_read_signal(&r, &w);
	b = r.failed ? NULL : browser_find(s, w.peer);
	if (!b && !r.failed)
		b = browser_find_or_make(s, &w);
	if (!b)
		return;
	u = stack_user(s, sl_read_lstr(&r));
	if (!b->user)
		browser_belongs(b, u);
	take_calls(b, &r);
	if (sl_read_u8(&r) && !b->account && !r.failed)
		b->account = account_import(s, b->peer, &r);
	browsers_unpark(s, w.peer);
}
