/*
 * session/rtc_turns.c: DTLS handshakes take turns, so that media goes on while many join at once.
 *
 * A step of a handshake (a key agreed upon, a signature made or checked) takes 100 to 500 us, as
 * much as a hundred packets, and a batch may hold dozens. So a tick spends no more than TICK_US on
 * them: what is over waits, in order, for the next ticks, between which media is read and sent.
 * What waits longer than its peer is patient is repeated; the queue is bounded for that.
 * Connections that are secured already, and the first step of a tick, never wait.
 */
#include "session/rtc_impl.h"

#include <sluice/clock.h>
#include <sluice/pool.h>

enum { TICK_US = 2000, MAX_WAITING = 2048 };

struct turn {
	struct turn *next;
	struct sl_rtc *c;
	struct sl_packet *packet; /* referenced */
};

int rtc_turns_open(struct rtc_host *h)
{
	h->turns.slab = sl_slab_new(sizeof(struct turn), 64);
	h->turns.end = (struct sl_post){.fn = rtc_turns_go_on, .arg = h};
	return h->turns.slab ? 0 : -SL_ENOMEM;
}

static void drop(struct rtc_host *h, struct turn *t)
{
	h->turns.n--;
	sl_packet_unref(t->packet);
	sl_slab_put(h->turns.slab, t);
}

static struct turn *pop(struct rtc_turns *q)
{
	struct turn *t = q->first;

	q->first = t->next;
	if (!q->first)
		q->last = NULL;
	return t;
}

void rtc_turns_close(struct rtc_host *h)
{
	sl_post_cancel(h->w->loop, &h->turns.end);
	while (h->turns.first)
		drop(h, pop(&h->turns));
	sl_slab_destroy(h->turns.slab);
	h->turns.slab = NULL;
}

void rtc_turns_forget(struct sl_rtc *c)
{
	struct rtc_turns *q = &c->host->turns;
	struct turn *t = q->first;

	q->first = q->last = NULL;
	while (t) {
		struct turn *next = t->next;

		t->next = NULL;
		if (t->c == c) {
			drop(c->host, t);
		} else {
			if (q->last)
				q->last->next = t;
			else
				q->first = t;
			q->last = t;
		}
		t = next;
	}
}

/* The clock of the loop stands still within a tick. */
static void step(struct sl_rtc *c, struct sl_packet *p)
{
	uint64_t begin = sl_clock_ns();

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
	if (q->last)
		q->last->next = t;
	else
		q->first = t;
	q->last = t;
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
	if (q->first || q->used_us >= TICK_US)
		wait(c, p);
	else
		step(c, p);
}

/* Runs at the end of a tick, and again at the next one's where something still waits. */
void rtc_turns_go_on(struct sl_post *post)
{
	struct rtc_host *h = post->arg;

	while (h->turns.first && h->turns.used_us < TICK_US) {
		struct turn *t = pop(&h->turns);

		if (!t->c->closing)
			step(t->c, t->packet);
		drop(h, t);
	}
	h->turns.used_us = 0;
	if (h->turns.first)
		sl_post(h->w->loop, &h->turns.end);
}
