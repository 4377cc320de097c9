/*
 * session/rtc_turns.c: DTLS handshakes take turns, so that media goes on while many join at once.
 *
 * A step of a handshake (a key agreed upon, a signature made or checked) takes 100 to 500 us, as
 * much as a hundred packets, and a batch may hold dozens. So a tick spends no more than TICK_US on
 * them: what is over waits, in order, for the next ticks, between which media is read and sent.
 * What waits longer than its peer is patient is repeated; the queue is bounded for that.
 * Handshakes that have begun go before those that have not: so fewer are under way at once, each of
 * which takes 50 kB, and the first to come are not delayed by the last. Connections that are
 * secured already, and the first step of a tick, never wait. What handshakes leave behind in the
 * heap lies between what their connections keep, so it is given back now and then, in pieces that
 * take no longer than a turn.
 */
#include "session/rtc_impl.h"

#include <sluice/clock.h>
#include <sluice/pool.h>
#include "os/os.h"

enum {
	TICK_US = 2000,
	MAX_WAITING = 2048,
	GIVE_BACK = 32, /* what so many leave, 2 MB, is freed in 1 to 2 ms */
	WORTH_IT = 8,	/* so many may wait for that */
	QUIET_MS = 1000,
};

struct turn {
	struct turn *next;
	struct sl_rtc *c;
	struct sl_packet *packet; /* referenced */
};

/* arg: struct rtc_host */
static void give_back(struct sl_timer *t)
{
	struct rtc_host *h = t->arg;

	h->turns.n_over = 0;
	sl_timer_cancel(h->w->loop, t);
	memory_give_back();
}

int rtc_turns_open(struct rtc_host *h)
{
	h->turns.slab = sl_slab_new(sizeof(struct turn), 64);
	h->turns.quiet = (struct sl_timer){.fn = give_back, .arg = h};
	h->turns.end = (struct sl_post){.fn = rtc_turns_go_on, .arg = h};
	return h->turns.slab ? 0 : -SL_ENOMEM;
}

static void drop(struct rtc_host *h, struct turn *t)
{
	h->turns.n--;
	sl_packet_unref(t->packet);
	sl_slab_put(h->turns.slab, t);
}

static void push(struct rtc_turn_list *l, struct turn *t)
{
	t->next = NULL;
	if (l->last)
		l->last->next = t;
	else
		l->first = t;
	l->last = t;
}

/* NULL: empty */
static struct turn *pop(struct rtc_turn_list *l)
{
	struct turn *t = l->first;

	if (!t)
		return NULL;
	l->first = t->next;
	if (!l->first)
		l->last = NULL;
	return t;
}

static struct turn *pop_any(struct rtc_turns *q)
{
	struct turn *t = pop(&q->begun);

	return t ? t : pop(&q->fresh);
}

void rtc_turns_close(struct rtc_host *h)
{
	struct turn *t;

	sl_post_cancel(h->w->loop, &h->turns.end);
	sl_timer_cancel(h->w->loop, &h->turns.quiet);
	while ((t = pop_any(&h->turns)))
		drop(h, t);
	sl_slab_destroy(h->turns.slab);
	h->turns.slab = NULL;
}

static void forget(struct rtc_turn_list *l, const struct sl_rtc *c)
{
	struct rtc_turn_list all = *l;
	struct turn *t;

	*l = (struct rtc_turn_list){0};
	while ((t = pop(&all))) {
		if (t->c == c)
			drop(c->host, t);
		else
			push(l, t);
	}
}

void rtc_turns_forget(struct sl_rtc *c)
{
	forget(&c->host->turns.begun, c);
	forget(&c->host->turns.fresh, c);
}

/* The clock of the loop stands still within a tick. */
static void step(struct sl_rtc *c, struct sl_packet *p)
{
	uint64_t begin = sl_clock_ns();

	c->dtls_begun = true;
	rtc_path_dtls(c, p);
	c->host->turns.used_us += (sl_clock_ns() - begin) / 1000;
}

static void wait(struct sl_rtc *c, struct sl_packet *p)
{
	struct rtc_turns *q = &c->host->turns;
	struct turn *t = q->n < MAX_WAITING ? sl_slab_get(q->slab) : NULL;

	if (!t) {
		rtc_count(c, RTC_dtls_dropped);
		return;
	}
	sl_packet_ref(p);
	*t = (struct turn){.c = c, .packet = p};
	push(c->dtls_begun ? &q->begun : &q->fresh, t);
	q->n++;
	rtc_count(c, RTC_dtls_waited);
}

void rtc_turns_take(struct sl_rtc *c, struct sl_packet *p)
{
	struct rtc_turns *q = &c->host->turns;

	if (c->in || c->sctp) { /* secured */
		rtc_path_dtls(c, p);
		return;
	}
	sl_post(c->host->w->loop, &q->end); /* the share begins anew with the next tick */
	if (q->n > 0 || q->used_us >= TICK_US)
		wait(c, p);
	else
		step(c, p);
}

void rtc_turns_over(struct rtc_host *h)
{
	h->turns.n_over++;
	if (h->turns.n_over >= GIVE_BACK)
		give_back(&h->turns.quiet);
	else if (h->turns.n_over >= WORTH_IT)
		sl_timer_set(h->w->loop, &h->turns.quiet, QUIET_MS);
}

/* Runs at the end of a tick, and again at the next one's where something still waits. */
void rtc_turns_go_on(struct sl_post *post)
{
	struct rtc_host *h = post->arg;

	while (h->turns.n > 0 && h->turns.used_us < TICK_US) {
		struct turn *t = pop_any(&h->turns);

		if (!t->c->closing)
			step(t->c, t->packet);
		drop(h, t);
	}
	h->turns.used_us = 0;
	if (h->turns.n > 0)
		sl_post(h->w->loop, &h->turns.end);
}
