/*
 * base/slab.c: equal objects in blocks, with a free list.
 *
 * Taking and giving back are constant time and touch one object. Blocks stay until the slab goes.
 * The free list is last in, first out, so that the warmest object is used next; under
 * AddressSanitizer a free object is poisoned.
 */
#include <sluice/pool.h>

#include "base/asan.h"

#include <stdlib.h>

#define ALIGN 16

struct slab_block {
	_Alignas(ALIGN) struct slab_block *next;
};

/* A free object's first bytes; any object has room for it, as sizes are multiples of ALIGN. */
struct free_object {
	struct free_object *next;
};

struct sl_slab {
	struct slab_block *blocks;
	struct free_object *free; /* objects given back */
	uint8_t *fresh;		  /* objects of the newest block never used so far */
	unsigned n_fresh, per_block;
	size_t object_bytes, n_live;
};

struct sl_slab *sl_slab_new(size_t object_bytes, unsigned per_block)
{
	struct sl_slab *slab;
	size_t total;

	if (object_bytes == 0 || per_block == 0 || object_bytes > SIZE_MAX / 2)
		return NULL;
	object_bytes = (object_bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (__builtin_mul_overflow(object_bytes, per_block, &total) || total > SIZE_MAX / 2)
		return NULL;
	slab = calloc(1, sizeof *slab);
	if (!slab)
		return NULL;
	slab->object_bytes = object_bytes;
	slab->per_block = per_block;
	return slab;
}

void sl_slab_destroy(struct sl_slab *slab)
{
	struct slab_block *b;

	if (!slab)
		return;
	b = slab->blocks;
	while (b) {
		struct slab_block *next = b->next;

		asan_unpoison(b + 1, slab->object_bytes * slab->per_block);
		free(b);
		b = next;
	}
	free(slab);
}

static int add_block(struct sl_slab *slab)
{
	size_t bytes = slab->object_bytes * slab->per_block;
	struct slab_block *b = calloc(1, sizeof *b + bytes);

	if (!b)
		return -SL_ENOMEM;
	b->next = slab->blocks;
	slab->blocks = b;
	slab->fresh = (uint8_t *)(b + 1);
	slab->n_fresh = slab->per_block;
	asan_poison(slab->fresh, bytes);
	return 0;
}

/* Zeroed now rather than when it was put: only objects that are used again pay for it. */
static void *take_free(struct sl_slab *slab)
{
	struct free_object *o = slab->free;

	asan_unpoison(o, slab->object_bytes);
	slab->free = o->next;
	return memset(o, 0, slab->object_bytes);
}

/* Zero since its block was allocated. */
static void *take_fresh(struct sl_slab *slab)
{
	void *o = slab->fresh;

	slab->fresh += slab->object_bytes;
	slab->n_fresh--;
	asan_unpoison(o, slab->object_bytes);
	return o;
}

void *sl_slab_get(struct sl_slab *slab)
{
	void *o;

	if (!slab->free && slab->n_fresh == 0 && add_block(slab) < 0)
		return NULL;
	o = slab->free ? take_free(slab) : take_fresh(slab);
	slab->n_live++;
	return o;
}

void sl_slab_put(struct sl_slab *slab, void *object)
{
	struct free_object *o = object;

	sl_assert(slab->n_live > 0);
	o->next = slab->free;
	slab->free = o;
	slab->n_live--;
	asan_poison(o, slab->object_bytes);
}

size_t sl_slab_live(const struct sl_slab *slab)
{
	return slab->n_live;
}
