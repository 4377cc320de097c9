/*
 * shm/metrics.c: counters that outlive their process and explain themselves.
 *
 * Each slot has an area of two halves. A process that starts lays its rows out in the half that
 * is not in use, takes the values of counters and histograms of the same name over, and switches
 * halves by one store. kill -9 before that store leaves the old layout with the old values; so
 * totals never go back, and no reader meets a half-made layout. Counters that the new process
 * does not know (a module that was taken out) go along as retired rows while there is room, for
 * the same reason.
 *
 * A half: head, rows, words (on cache lines of their own), then bounds and texts. Offsets, not
 * pointers; a reader checks each, because it must survive whatever a broken process wrote.
 */
#include "shm/shm_impl.h"

#include <stdlib.h>

#define HALF_HEAD SHM_LINE

struct metric_area { /* one cache line before the halves of a slot */
	/* 0: never used; its lowest bit names the half in use. W: the slot's process, at start */
	uint64_t n_layouts;
};

struct row { /* offsets from the start of the half */
	uint32_t module, name, unit, help;
	uint32_t bounds, words;
	uint16_t n_words;
	uint8_t kind, reserved;
};

struct half {
	uint8_t *p;
	size_t bytes;
};

/* A row to be laid out, whether from a module's table or from the former layout. */
struct source {
	const char *module, *name, *unit, *help;
	uint8_t kind;
	const uint64_t *bounds;
	unsigned n_words;
};

struct layout {
	struct half half;
	const struct metric_table *tables;
	unsigned n_tables;
	struct metric_view *old; /* owned: rows of the former layout */
	unsigned n_old;
	bool keep_retired;
	uint32_t rows, words, end; /* where the next of each goes; texts and bounds at end */
	unsigned n_rows;
};

static size_t half_bytes(const struct shm_sizes *z)
{
	return shm_align(z->metric_bytes);
}

size_t metrics_bytes(const struct shm_sizes *z)
{
	return z->n_slots * (SHM_LINE + 2 * half_bytes(z));
}

void metrics_bind(struct shm *s, uint8_t *body)
{
	s->metrics = body;
}

static struct metric_area *area_of(const struct shm *s, unsigned slot)
{
	size_t stride = SHM_LINE + 2 * half_bytes(&s->sizes);

	return (struct metric_area *)(void *)(s->metrics + slot * stride);
}

static struct half half_of(const struct shm *s, unsigned slot, uint64_t n_layouts)
{
	size_t bytes = half_bytes(&s->sizes);
	uint8_t *first = (uint8_t *)area_of(s, slot) + SHM_LINE;

	return (struct half){.p = first + (n_layouts & 1) * bytes, .bytes = bytes};
}

static uint32_t *n_rows_of(const struct half *h)
{
	return (uint32_t *)(void *)h->p;
}

/* ---- reading */

/* The last byte of a half is never written, so that every text ends. */
static const char *text_at(const struct half *h, uint32_t at)
{
	return at < h->bytes ? (const char *)h->p + at : "";
}

static const uint64_t *words_at(const struct half *h, uint32_t at, unsigned n)
{
	if (at % sizeof(uint64_t) != 0 || at > h->bytes || n > (h->bytes - at) / sizeof(uint64_t))
		return NULL;
	return (const uint64_t *)(const void *)(h->p + at);
}

/* A number that cannot be is no number: better an empty page than one of garbage. */
static unsigned count_rows(const struct half *h)
{
	unsigned n = __atomic_load_n(n_rows_of(h), __ATOMIC_RELAXED);

	return n <= (h->bytes - HALF_HEAD) / sizeof(struct row) ? n : 0;
}

/* False for a row that leads out of its half. The view borrows from the segment. */
static bool view_row(const struct half *h, unsigned i, struct metric_view *ret)
{
	const struct row *r = (const struct row *)(const void *)(h->p + HALF_HEAD) + i;
	const uint64_t *words = words_at(h, r->words, r->n_words);
	bool histogram = r->kind == SL_M_HISTOGRAM;

	if (!words || r->n_words < (histogram ? 2 : 1))
		return false;
	*ret = (struct metric_view){
		.module = text_at(h, r->module),
		.name = text_at(h, r->name),
		.unit = text_at(h, r->unit),
		.help = text_at(h, r->help),
		.kind = r->kind,
		.bounds = histogram ? words_at(h, r->bounds, r->n_words - 1u) : NULL,
		.n_words = r->n_words,
		.words = words,
	};
	return !histogram || ret->bounds;
}

void shm_metrics_each(const struct shm *s, unsigned slot, metric_fn *fn, void *arg)
{
	bool alive = shm_owner_alive(s, shm_owner(s, slot));
	uint64_t n_layouts;
	struct half h;

	if (slot >= s->sizes.n_slots)
		return;
	n_layouts = __atomic_load_n(&area_of(s, slot)->n_layouts, __ATOMIC_ACQUIRE);
	if (n_layouts == 0)
		return;
	h = half_of(s, slot, n_layouts);
	for (unsigned i = 0; i < count_rows(&h); i++) {
		struct metric_view v;

		/* What a dead process had of something, nobody has now. */
		if (view_row(&h, i, &v) && (alive || v.kind != SL_M_GAUGE))
			fn(arg, slot, &v);
	}
}

/* ---- laying out */

static unsigned count_bounds(const uint64_t *bounds)
{
	unsigned n = 0;

	while (bounds && bounds[n])
		n++;
	return n;
}

static struct source new_row(const char *module, const struct sl_metric *m)
{
	return (struct source){
		.module = module,
		.name = m->name,
		.unit = m->unit ? m->unit : "",
		.help = m->help,
		.kind = m->kind,
		.bounds = m->bounds,
		.n_words = m->kind == SL_M_HISTOGRAM ? count_bounds(m->bounds) + 2 : 1,
	};
}

static struct source retired_row(const struct metric_view *v)
{
	return (struct source){
		.module = v->module,
		.name = v->name,
		.unit = v->unit,
		.help = v->help,
		.kind = v->kind,
		.bounds = v->bounds,
		.n_words = v->n_words,
	};
}

static bool same_name(const char *module, const char *name, const struct metric_view *v)
{
	return strcmp(module, v->module) == 0 && strcmp(name, v->name) == 0;
}

/* Whether the values of an old row mean the same in this one. */
static bool same_meaning(const struct source *src, const struct metric_view *v)
{
	if (src->kind != v->kind || src->n_words != v->n_words)
		return false;
	return src->kind != SL_M_HISTOGRAM ||
	       memcmp(src->bounds, v->bounds, (src->n_words - 1) * sizeof *src->bounds) == 0;
}

static bool is_new(const struct layout *l, const struct metric_view *v)
{
	for (unsigned i = 0; i < l->n_tables; i++)
		for (const struct sl_metric *m = l->tables[i].metrics; m->name; m++)
			if (same_name(l->tables[i].module, m->name, v))
				return true;
	return false;
}

/* Appends bytes behind everything else; 0 when they do not fit (no offset is 0). */
static uint32_t append(struct layout *l, const void *src, size_t n)
{
	uint32_t at = l->end;

	if (n >= l->half.bytes - at)
		return 0;
	memcpy(l->half.p + at, src, n);
	l->end += (uint32_t)n;
	return at;
}

static uint32_t append_text(struct layout *l, const char *text)
{
	return append(l, text, strlen(text) + 1);
}

static uint32_t append_bounds(struct layout *l, const struct source *src)
{
	l->end = (l->end + 7) & ~UINT32_C(7);
	if (l->end >= l->half.bytes)
		return 0;
	return append(l, src->bounds, (src->n_words - 1) * sizeof *src->bounds);
}

/* Takes the values over from the former row of the same name, if it counted the same thing. */
static void inherit(const struct layout *l, const struct source *src, uint64_t *words)
{
	for (unsigned i = 0; i < l->n_old; i++) {
		const struct metric_view *v = &l->old[i];

		if (!same_name(src->module, src->name, v))
			continue;
		if (same_meaning(src, v) && src->kind != SL_M_GAUGE)
			memcpy(words, v->words, src->n_words * sizeof *words);
		return;
	}
}

/* Rows and words were measured, so only texts and bounds can run out of room. */
static int add_row(struct layout *l, const struct source *src)
{
	struct row *r = (struct row *)(void *)(l->half.p + l->rows);
	uint64_t *words = (uint64_t *)(void *)(l->half.p + l->words);

	r->module = append_text(l, src->module);
	r->name = append_text(l, src->name);
	r->unit = append_text(l, src->unit);
	r->help = append_text(l, src->help);
	r->bounds = src->kind == SL_M_HISTOGRAM ? append_bounds(l, src) : l->words;
	if (!r->module || !r->name || !r->unit || !r->help || !r->bounds)
		return -SL_EFULL;
	r->words = l->words;
	r->n_words = (uint16_t)src->n_words;
	r->kind = src->kind;
	inherit(l, src, words);
	l->rows += sizeof *r;
	l->words += src->n_words * sizeof *words;
	l->n_rows++;
	return 0;
}

typedef int source_fn(struct layout *l, const struct source *src);

/* The rows of the tables in their order, then those that only the former layout has. */
static int each_source(struct layout *l, source_fn *fn)
{
	int ret = 0;

	for (unsigned i = 0; i < l->n_tables; i++) {
		const struct sl_metric *m = l->tables[i].metrics;

		for (; m->name && ret == 0; m++) {
			struct source src = new_row(l->tables[i].module, m);

			ret = fn(l, &src);
		}
	}
	for (unsigned i = 0; l->keep_retired && i < l->n_old && ret == 0; i++) {
		struct source src = retired_row(&l->old[i]);

		if (src.kind != SL_M_GAUGE && !is_new(l, &l->old[i]))
			ret = fn(l, &src);
	}
	return ret;
}

static int measure(struct layout *l, const struct source *src)
{
	l->rows += sizeof(struct row);
	l->words += src->n_words * sizeof(uint64_t);
	return src->n_words <= UINT16_MAX && l->rows + l->words < l->half.bytes ? 0 : -SL_EFULL;
}

/*
 * Twice over all rows: first to know where the words begin, so that they lie together and away
 * from what never changes, then to write.
 */
static int lay_out(struct layout *l)
{
	size_t words_at, end;
	int ret;

	l->rows = l->words = l->n_rows = 0;
	ret = each_source(l, measure);
	if (ret < 0)
		return ret;
	words_at = shm_align(HALF_HEAD + l->rows);
	end = shm_align(words_at + l->words);
	if (end >= l->half.bytes)
		return -SL_EFULL;
	memset(l->half.p, 0, l->half.bytes);
	l->rows = HALF_HEAD;
	l->words = (uint32_t)words_at;
	l->end = (uint32_t)end;
	ret = each_source(l, add_row);
	if (ret < 0)
		return ret;
	*n_rows_of(&l->half) = l->n_rows;
	return 0;
}

/* Only after success: the rows of the tables are the first, in the order of the tables. */
static void fill_meters(const struct layout *l)
{
	const struct row *r = (const struct row *)(const void *)(l->half.p + HALF_HEAD);

	for (unsigned i = 0; i < l->n_tables; i++) {
		struct sl_meter *meter = l->tables[i].ret_meters;

		for (const struct sl_metric *m = l->tables[i].metrics; m->name; m++, r++)
			*meter++ = (struct sl_meter){
				.word = (uint64_t *)(void *)(l->half.p + r->words),
				.bounds = m->bounds,
			};
	}
}

/* Once, since every new row looks through all of them. */
static int collect_old(struct layout *l, const struct half *old)
{
	unsigned n = count_rows(old);

	l->old = calloc(n + 1, sizeof *l->old);
	if (!l->old)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < n; i++)
		l->n_old += view_row(old, i, &l->old[l->n_old]);
	return 0;
}

int shm_metrics_open(struct shm *s, unsigned slot, const struct metric_table *tables, unsigned n)
{
	struct layout l = {.tables = tables, .n_tables = n, .keep_retired = true};
	struct metric_area *area;
	struct half old;
	int ret;

	if (slot >= s->sizes.n_slots || !s->writable)
		return -SL_EINVAL;
	area = area_of(s, slot);
	old = half_of(s, slot, area->n_layouts);
	l.half = half_of(s, slot, area->n_layouts + 1);
	ret = collect_old(&l, &old);
	if (ret < 0)
		return ret;
	ret = lay_out(&l);
	if (ret == -SL_EFULL) {
		/* What runs comes before what once ran. */
		l.keep_retired = false;
		ret = lay_out(&l);
	}
	if (ret == 0) {
		fill_meters(&l);
		__atomic_store_n(&area->n_layouts, area->n_layouts + 1, __ATOMIC_RELEASE);
	}
	free(l.old);
	return ret;
}

void sl_histogram_add(const struct sl_meter *m, uint64_t value)
{
	unsigned n = 0, bucket;

	while (m->bounds[n] && value > m->bounds[n])
		n++;
	bucket = n;
	while (m->bounds[n])
		n++;
	__atomic_store_n(&m->word[bucket], m->word[bucket] + 1, __ATOMIC_RELAXED);
	/* word[n] is the bucket without a bound, the sum stands behind it. */
	__atomic_store_n(&m->word[n + 1], m->word[n + 1] + value, __ATOMIC_RELAXED);
}
