/*
 * base/wheel.c: the timer wheel. Exact to the millisecond, never early.
 *
 * A node stands on the level of the highest byte in which its time differs from now, in the slot
 * which that byte names. So, on each level, all nodes lie ahead of now; whatever is on a lower
 * level is due before anything on a higher one; and when now reaches a slot above level 0, its
 * nodes move down ("spill"). That is why the next turn is found by one look at each level's bitmap,
 * and why moving the time costs by the nodes passed, not by the milliseconds.
 *
 * Level 3 is a ring: times up to 49 days ahead wrap around in it. Farther ones wait in its farthest
 * slot and are placed anew when that comes round. Overdue nodes stand in now's own slot of level 0.
 */
#include "base/wheel.h"

#define LEVELS 4
#define SLOTS 256
#define TOP (LEVELS - 1)

static void list_init(struct wheel_node *head)
{
	head->prev = head->next = head;
}

static bool list_empty(const struct wheel_node *head)
{
	return head->next == head;
}

/* At the end: order of setting is order of firing. */
static void list_append(struct wheel_node *head, struct wheel_node *n)
{
	n->prev = head->prev;
	n->next = head;
	n->prev->next = n;
	head->prev = n;
}

static void list_remove(struct wheel_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

/* All of from goes behind to's last, in order. */
static void list_move(struct wheel_node *to, struct wheel_node *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* The bit of a slot is set exactly when its list is not empty. */
static void bit_set(struct wheel *w, unsigned level, unsigned slot)
{
	w->busy[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

static void bit_clear(struct wheel *w, unsigned level, unsigned slot)
{
	w->busy[level][slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* First busy slot from `from` on; SLOTS: none. */
static unsigned bit_find(const uint64_t busy[SLOTS / 64], unsigned from)
{
	for (unsigned i = from / 64; i < SLOTS / 64; i++) {
		uint64_t bits = busy[i];

		if (i == from / 64)
			bits &= ~UINT64_C(0) << from % 64;
		if (bits)
			return i * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return SLOTS;
}

/* A byte of the time is the slot on its level. */
static unsigned slot_of(uint64_t ms, unsigned level)
{
	return (unsigned)(ms >> 8 * level) & (SLOTS - 1);
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	*w = (struct wheel){.now_ms = now_ms};
	for (unsigned level = 0; level < LEVELS; level++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			list_init(&w->slots[level][slot]);
}

/* The highest byte that differs; all bytes from the top level's on count as one. */
static unsigned level_of(uint64_t at_ms, uint64_t now_ms)
{
	uint64_t differ = at_ms ^ now_ms;
	unsigned level = differ ? (63 - (unsigned)__builtin_clzll(differ)) / 8 : 0;

	return level < TOP ? level : TOP;
}

static void place(struct wheel *w, struct wheel_node *n)
{
	uint64_t at_ms = n->at_ms, top_turn = w->now_ms >> 8 * TOP;
	unsigned level, slot;

	if (at_ms < w->now_ms)
		at_ms = w->now_ms;
	/* Beyond the ring of the top level: as far as it reaches. n->at_ms keeps the real time. */
	if ((at_ms >> 8 * TOP) - top_turn >= SLOTS)
		at_ms = (top_turn + SLOTS - 1) << 8 * TOP;
	level = level_of(at_ms, w->now_ms);
	slot = slot_of(at_ms, level);
	list_append(&w->slots[level][slot], n);
	bit_set(w, level, slot);
}

void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms)
{
	wheel_del(w, n);
	n->at_ms = at_ms;
	place(w, n);
	w->n_pending++;
}

/*
 * A list's head is its only node outside of timers: when a removal leaves it alone, it tells the
 * slot.
 */
static void clear_if_slot(struct wheel *w, const struct wheel_node *head)
{
	uintptr_t offset = (uintptr_t)head - (uintptr_t)w->slots;
	size_t i = offset / sizeof *head;

	if (offset < sizeof w->slots)
		bit_clear(w, (unsigned)(i / SLOTS), (unsigned)(i % SLOTS));
}

void wheel_del(struct wheel *w, struct wheel_node *n)
{
	struct wheel_node *next = n->next;

	if (!next)
		return;
	list_remove(n);
	w->n_pending--;
	if (list_empty(next))
		clear_if_slot(w, next);
}

/* The next turn: level and slot, and the time at which it begins. False: the wheel is empty. */
static bool next_turn(const struct wheel *w, unsigned *ret_level, uint64_t *ret_ms)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned now_slot = slot_of(w->now_ms, level);
		unsigned slot = bit_find(w->busy[level], now_slot);
		uint64_t round_ms = UINT64_C(1) << 8 * (level + 1);
		uint64_t base_ms = w->now_ms & ~(round_ms - 1);

		/*
		 * Only the top level goes on from its beginning: lower ones hold this round only. /
		 */
		if (slot == SLOTS && level == TOP) {
			slot = bit_find(w->busy[level], 0);
			base_ms += round_ms;
		}
		if (slot == SLOTS)
			continue;
		*ret_level = level;
		*ret_ms = base_ms + ((uint64_t)slot << 8 * level);
		return true;
	}
	return false;
}

uint64_t wheel_next_ms(const struct wheel *w)
{
	unsigned level;
	uint64_t ms;

	return next_turn(w, &level, &ms) ? ms : UINT64_MAX;
}

/* The slot at which now stands on this level, emptied onto `to`. */
static void take_slot(struct wheel *w, unsigned level, struct wheel_node *to)
{
	unsigned slot = slot_of(w->now_ms, level);

	list_move(to, &w->slots[level][slot]);
	bit_clear(w, level, slot);
}

/* Each node of the slot that now has reached goes where it stands seen from now, in order. */
static void spill(struct wheel *w, unsigned level)
{
	struct wheel_node list;

	list_init(&list);
	take_slot(w, level, &list);
	while (!list_empty(&list)) {
		struct wheel_node *n = list.next;

		list_remove(n);
		place(w, n);
	}
}

/*
 * First all due nodes are taken out in order, then they are called: a callback finds the wheel at
 * now_ms, and what it adds for now or earlier waits for the next advance, so that a timer of 0 ms
 * cannot hold the loop.
 */
void wheel_advance(struct wheel *w, uint64_t now_ms, wheel_fn *fn, void *arg)
{
	struct wheel_node due;
	unsigned level;
	uint64_t ms;

	list_init(&due);
	while (next_turn(w, &level, &ms) && ms <= now_ms) {
		w->now_ms = ms;
		if (level > 0)
			spill(w, level);
		else
			take_slot(w, 0, &due);
	}
	if (now_ms > w->now_ms)
		w->now_ms = now_ms;
	while (!list_empty(&due)) {
		struct wheel_node *n = due.next;

		list_remove(n);
		w->n_pending--;
		fn(n, arg);
	}
}
