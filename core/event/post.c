/*
 * event/post.c: work that runs once at the end of the tick.
 *
 * Two circular lists: what was posted, and what the running end of a tick has still to do. A post
 * made by a post lands on the first and waits for the next tick, so that posts cannot starve
 * descriptors; a cancel takes it out of whichever list it is in.
 */
#include "event/loop_impl.h"

static void list_init(struct sl_post *head)
{
	head->prev = head->next = head;
}

static bool list_empty(const struct sl_post *head)
{
	return head->next == head;
}

static void list_append(struct sl_post *head, struct sl_post *p)
{
	p->prev = head->prev;
	p->next = head;
	head->prev->next = p;
	head->prev = p;
}

static void list_remove(struct sl_post *p)
{
	p->prev->next = p->next;
	p->next->prev = p->prev;
	p->prev = p->next = NULL;
}

/* Moves all of from behind the empty list to. */
static void list_move(struct sl_post *to, struct sl_post *from)
{
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

void sl_post(struct sl_loop *l, struct sl_post *p)
{
	if (!p->next)
		list_append(&l->posts, p);
}

void sl_post_cancel(struct sl_loop *l, struct sl_post *p)
{
	(void)l; /* the neighbours say which list it is in */
	if (p->next)
		list_remove(p);
}

void posts_init(struct sl_loop *l)
{
	list_init(&l->posts);
	list_init(&l->running);
}

bool posts_pending(const struct sl_loop *l)
{
	return !list_empty(&l->posts);
}

void posts_run(struct sl_loop *l)
{
	list_move(&l->running, &l->posts);
	while (!list_empty(&l->running)) {
		struct sl_post *p = l->running.next;

		list_remove(p);
		p->fn(p);
	}
}
