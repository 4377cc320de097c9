/*
 * sluice/pool.h: arenas. Everything of one life is allocated from one pool and freed by one call.
 *
 * A pool is not thread-safe and belongs to one worker. Memory from it is zeroed and aligned to 16.
 */
#ifndef SLUICE_POOL_H
#define SLUICE_POOL_H

#include <stdarg.h>
#include <sluice/str.h>

struct sl_pool;
typedef void sl_cleanup_fn(void *arg);

/* first_bytes: size of the first block, 0 for a default. NULL when out of memory. */
SL_API struct sl_pool *sl_pool_new(size_t first_bytes);
/* Runs the clean-ups, last registered first, then frees all. Accepts NULL. */
SL_API void sl_pool_destroy(struct sl_pool *pool);

/* Zeroed; NULL when out of memory */
SL_API void *sl_pool_alloc(struct sl_pool *pool, size_t bytes);
/* Overflow-checked */
SL_API void *sl_pool_array(struct sl_pool *pool, size_t n, size_t bytes);
/* Copy with a NUL behind; p NULL when out of memory */
SL_API struct sl_str sl_pool_str(struct sl_pool *pool, struct sl_str s);
/* The same as a C string; NULL when out of memory */
SL_API char *sl_pool_cstr(struct sl_pool *pool, struct sl_str s);
/* NULL when out of memory */
SL_API char *sl_pool_printf(struct sl_pool *pool, const char *fmt, ...) SL_PRINTF(2, 3);
/* fn runs when the pool is destroyed, while its memory is still there. -SL_ENOMEM */
SL_API SL_MUST_CHECK int sl_pool_on_destroy(struct sl_pool *pool, sl_cleanup_fn *fn, void *arg);
/* Held from the system */
SL_API size_t sl_pool_bytes(const struct sl_pool *pool);

/* A slab of equal objects with a free list; constant time; memory is kept until the slab is
 * destroyed. */
struct sl_slab;
/* Objects per block: what is taken from the system at a time. NULL when out of memory */
SL_API struct sl_slab *sl_slab_new(size_t object_bytes, unsigned per_block);
/* Accepts NULL */
SL_API void sl_slab_destroy(struct sl_slab *slab);
/* Zeroed; NULL when out of memory */
SL_API void *sl_slab_get(struct sl_slab *slab);
/* object: of this slab, not NULL; not to be used any more */
SL_API void sl_slab_put(struct sl_slab *slab, void *object);
/* Objects that were got and not put back */
SL_API size_t sl_slab_live(const struct sl_slab *slab);

#endif
