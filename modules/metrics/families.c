/*
 * metrics/families.c: gathers the counters of all slots so that those of one name stand together.
 *
 * OpenMetrics wants all samples of a family in one run, while shared memory has them by slot, and
 * slots of different generations may have different modules. Everything is copied: a worker that
 * starts may lay its area out anew meanwhile.
 */
#include <stdlib.h>
#include "metrics.h"

void samples_init(struct samples *s)
{
	*s = (struct samples){.pool = sl_pool_new(65536)};
	s->failed = !s->pool;
}

void samples_free(struct samples *s)
{
	free(s->items);
	sl_pool_destroy(s->pool);
}

static struct sample *append(struct samples *s)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct sample *items = reallocarray(s->items, cap, sizeof *items);

		if (!items)
			return NULL;
		s->items = items;
		s->cap = cap;
	}
	return &s->items[s->n];
}

static const char *keep_text(struct samples *s, const char *text)
{
	const char *copy = sl_pool_cstr(s->pool, sl_str_c(text));

	s->failed |= !copy;
	return copy;
}

/* Each word is read once, so that the buckets of a histogram agree with its count. */
static const uint64_t *keep_words(struct samples *s, const uint64_t *words, unsigned n)
{
	uint64_t *copy = sl_pool_array(s->pool, n, sizeof *copy);

	s->failed |= !copy;
	for (unsigned i = 0; copy && i < n; i++)
		copy[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
	return copy;
}

void samples_add(void *arg, const struct sl_stats_metric *m)
{
	struct samples *s = arg;
	struct sample *one = s->failed ? NULL : append(s);

	if (!one) {
		s->failed = true;
		return;
	}
	*one = (struct sample){
		.module = keep_text(s, m->module),
		.name = keep_text(s, m->name),
		.unit = keep_text(s, m->unit),
		.help = keep_text(s, m->help),
		.slot = m->slot,
		.kind = m->kind,
		.n_words = m->n_words,
		.words = keep_words(s, m->words, m->n_words),
		.bounds = m->bounds ? keep_words(s, m->bounds, m->n_words - 2) : NULL,
	};
	s->n++;
}

static int compare(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int order = strcmp(x->module, y->module);

	if (order == 0)
		order = strcmp(x->name, y->name);
	return order ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

void samples_sort(struct samples *s)
{
	if (!s->failed && s->n > 0)
		qsort(s->items, s->n, sizeof *s->items, compare);
}

static bool same_family(const struct sample *a, const struct sample *b)
{
	return strcmp(a->module, b->module) == 0 && strcmp(a->name, b->name) == 0;
}

size_t samples_family_end(const struct samples *s, size_t i)
{
	size_t end = i + 1;

	while (end < s->n && same_family(&s->items[i], &s->items[end]))
		end++;
	return end;
}
