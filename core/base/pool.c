/*
 * base/pool.c: arenas: memory is taken by moving a pointer and given back all at once.
 *
 * A pool is a chain of blocks; the pool itself stands at the start of the first one, so that a
 * small life costs one malloc. Blocks double up to BLOCK_MAX. What would waste much of a block gets
 * a block of its own, behind the current one, whose room stays in use. Under AddressSanitizer the
 * unused tail of a block is poisoned.
 */
#include <sluice/pool.h>

#include "base/asan.h"

#include <stdio.h>
#include <stdlib.h>

#define ALIGN 16
#define FIRST_BYTES 1024      /* when the caller does not say */
#define BLOCK_MIN 512	      /* later blocks, however small the first */
#define BLOCK_MAX (64 * 1024) /* below malloc's threshold for mmap: freed blocks are used again */

struct block {
	_Alignas(ALIGN) struct block *next;
	size_t used, cap; /* bytes behind this header */
};

struct cleanup {
	struct cleanup *next;
	sl_cleanup_fn *fn;
	void *arg;
};

struct sl_pool {
	struct block *current;	  /* newest block of the regular ones; heads the chain */
	struct cleanup *cleanups; /* newest first */
	size_t block_bytes;	  /* of the next regular block */
	size_t held_bytes;
};

_Static_assert(_Alignof(max_align_t) >= ALIGN, "calloc aligns blocks as pools promise");

static size_t align_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static uint8_t *block_data(struct block *b)
{
	return (uint8_t *)(b + 1);
}

/* Zeroed; cap is a multiple of ALIGN, small enough to add a header to. */
static struct block *block_new(size_t cap)
{
	struct block *b = calloc(1, sizeof *b + cap);

	if (!b)
		return NULL;
	b->cap = cap;
	asan_poison(block_data(b), cap);
	return b;
}

static void block_free(struct block *b)
{
	asan_unpoison(block_data(b), b->cap);
	free(b);
}

/* The caller has seen that it fits. calloc zeroed it, and nothing is ever given back. */
static void *block_take(struct block *b, size_t bytes)
{
	uint8_t *p = block_data(b) + b->used;

	b->used += bytes;
	asan_unpoison(p, bytes);
	return p;
}

struct sl_pool *sl_pool_new(size_t first_bytes)
{
	struct sl_pool *pool;
	struct block *b;

	if (first_bytes == 0)
		first_bytes = FIRST_BYTES;
	if (first_bytes > SIZE_MAX / 2)
		return NULL;
	b = block_new(align_up(first_bytes) + align_up(sizeof *pool));
	if (!b)
		return NULL;
	pool = block_take(b, align_up(sizeof *pool));
	pool->current = b;
	pool->block_bytes = align_up(first_bytes < BLOCK_MIN ? BLOCK_MIN : first_bytes);
	if (pool->block_bytes > BLOCK_MAX)
		pool->block_bytes = BLOCK_MAX;
	pool->held_bytes = sizeof *b + b->cap;
	return pool;
}

void sl_pool_destroy(struct sl_pool *pool)
{
	struct block *b;

	if (!pool)
		return;
	/* A clean-up may still allocate and register: the list is read anew each time. */
	while (pool->cleanups) {
		struct cleanup *c = pool->cleanups;

		pool->cleanups = c->next;
		c->fn(c->arg);
	}
	b = pool->current;
	while (b) {
		struct block *next = b->next;

		block_free(b);
		b = next;
	}
}

/* A block for one allocation stands behind the current one. */
static void *take_own_block(struct sl_pool *pool, size_t bytes)
{
	struct block *b = block_new(bytes);

	if (!b)
		return NULL;
	b->next = pool->current->next;
	pool->current->next = b;
	pool->held_bytes += sizeof *b + b->cap;
	return block_take(b, bytes);
}

/* What is left in the block before is lost: less than a quarter of the new one. */
static void *take_next_block(struct sl_pool *pool, size_t bytes)
{
	struct block *b = block_new(pool->block_bytes);

	if (!b)
		return NULL;
	b->next = pool->current;
	pool->current = b;
	pool->held_bytes += sizeof *b + b->cap;
	if (pool->block_bytes < BLOCK_MAX)
		pool->block_bytes *= 2;
	return block_take(b, bytes);
}

void *sl_pool_alloc(struct sl_pool *pool, size_t bytes)
{
	struct block *b = pool->current;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = align_up(bytes > 0 ? bytes : 1); /* even nothing has an address of its own */
	if (bytes <= b->cap - b->used)
		return block_take(b, bytes);
	if (bytes > pool->block_bytes / 4)
		return take_own_block(pool, bytes);
	return take_next_block(pool, bytes);
}

void *sl_pool_array(struct sl_pool *pool, size_t n, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(n, bytes, &total))
		return NULL;
	return sl_pool_alloc(pool, total);
}

char *sl_pool_cstr(struct sl_pool *pool, struct sl_str s)
{
	char *p = s.len < SIZE_MAX ? sl_pool_alloc(pool, s.len + 1) : NULL;

	/* The NUL behind is there: pool memory is zero. */
	if (p && s.len > 0)
		memcpy(p, s.p, s.len);
	return p;
}

struct sl_str sl_pool_str(struct sl_pool *pool, struct sl_str s)
{
	char *p = sl_pool_cstr(pool, s);

	return p ? (struct sl_str){p, s.len} : SL_STR_NULL;
}

char *sl_pool_printf(struct sl_pool *pool, const char *fmt, ...)
{
	va_list args;
	char *p;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return NULL;
	p = sl_pool_alloc(pool, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(args, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	return p;
}

/* The registration lives in the pool too, and so costs no free. */
int sl_pool_on_destroy(struct sl_pool *pool, sl_cleanup_fn *fn, void *arg)
{
	struct cleanup *c = sl_pool_alloc(pool, sizeof *c);

	if (!c)
		return -SL_ENOMEM;
	c->fn = fn;
	c->arg = arg;
	c->next = pool->cleanups;
	pool->cleanups = c;
	return 0;
}

size_t sl_pool_bytes(const struct sl_pool *pool)
{
	return pool->held_bytes;
}
