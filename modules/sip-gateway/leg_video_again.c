/*
 * sip-gateway/leg_video_again.c: video of a telephone that is lost on the way, where it has agreed
 * to generic NACKs (RFC 4585 section 6.2.1): what it sends is asked for again, what it is sent is
 * kept for a while and sent once more, the same packet under the same number.
 *
 * Packets are kept as they left, sealed, by reference, so that a repetition costs nothing but the
 * sending. Under other keys, or to another address, they would be nobody's: whoever agrees anew
 * begins with none.
 */
#include "leg_impl.h"

#include <stdlib.h>

enum {
	KEPT = 128, /* a second of 1 Mbit/s; a power of two */
	REPEAT_MS = 10, /* what was asked for twice in so short a time is sent once */
};

struct leg_video_history {
	struct {
		struct sl_packet *packet; /* referenced; NULL: none */
		uint16_t seq;
		uint64_t sent_ns;
	} kept[KEPT];
};

/* ---- what it has lost */

void leg_video_keep(struct leg *l, struct sl_packet *p, uint16_t seq)
{
	struct leg_video *v = l->video;
	struct leg_video_history *h;

	if (!(v->feedback & SL_PLAIN_NACK))
		return;
	if (!v->history)
		v->history = calloc(1, sizeof *v->history);
	h = v->history;
	if (!h)
		return;
	if (h->kept[seq % KEPT].packet)
		sl_packet_unref(h->kept[seq % KEPT].packet);
	sl_packet_ref(p);
	h->kept[seq % KEPT].packet = p;
	h->kept[seq % KEPT].seq = seq;
	h->kept[seq % KEPT].sent_ns = leg_now_ns(l);
}

static void repeat(struct leg *l, uint16_t seq)
{
	struct leg_video *v = l->video;
	uint64_t now = leg_now_ns(l);
	unsigned at = seq % KEPT;

	if (!v->history->kept[at].packet || v->history->kept[at].seq != seq ||
	    now - v->history->kept[at].sent_ns < REPEAT_MS * SL_NS_PER_MS)
		return;
	v->history->kept[at].sent_ns = now;
	v->n_repeated++;
	leg_port_send_video(l, v->history->kept[at].packet, false);
}

void leg_video_repeat(struct leg *l, const uint16_t *seqs, unsigned n)
{
	for (unsigned i = 0; l->video->history && i < n; i++)
		repeat(l, seqs[i]);
}

void leg_video_forget(struct leg_video *v)
{
	struct leg_video_history *h = v->history;

	v->history = NULL;
	for (unsigned i = 0; h && i < KEPT; i++)
		if (h->kept[i].packet)
			sl_packet_unref(h->kept[i].packet);
	free(h);
}

/* ---- what we have lost */

static void set_timer(struct leg *l)
{
	struct leg_video *v = l->video;
	uint64_t next = sl_line_next_ns(v->line), now = leg_now_ns(l);

	if (next == UINT64_MAX || sl_timer_pending(&v->again))
		return;
	sl_timer_set(l->all->w->loop, &v->again, next > now ? (next - now) / SL_NS_PER_MS + 1 : 0);
}

static void on_due(struct sl_timer *t)
{
	struct leg *l = t->arg;
	struct sl_packet *p;
	bool gave_up;
	int len;

	if (l->closed || !l->video->on)
		return;
	p = sl_packet_new(l->all->w);
	if (p) {
		len = sl_line_ask_again(l->video->line, leg_now_ns(l), p->data, &gave_up);
		if (len > 0) {
			p->len = (uint32_t)len;
			leg_port_send_video(l, p, true);
		}
		sl_packet_unref(p);
		if (gave_up)
			leg_video_ask(l);
	}
	set_timer(l);
}

void leg_video_miss(struct leg *l)
{
	l->video->again.fn = on_due;
	l->video->again.arg = l;
	set_timer(l);
}

void leg_video_miss_nothing(struct leg *l)
{
	if (l->video)
		sl_timer_cancel(l->all->w->loop, &l->video->again);
}
