/*
 * import/coturn_ranges.c: lists of address ranges, out of which others can be cut.
 */
#include "import/coturn_impl.h"

#include <stdlib.h>
#include "base/addr.h"

static unsigned width_bytes(const struct sl_addr *a)
{
	return a->family == 4 ? 4 : 16;
}

/* The neighbour above; not called for the last address. */
static struct sl_addr above(struct sl_addr a)
{
	for (unsigned i = width_bytes(&a); i-- > 0;)
		if (++a.ip[i] != 0)
			break;
	return a;
}

/* The neighbour below; not called for the first address. */
static struct sl_addr below(struct sl_addr a)
{
	for (unsigned i = width_bytes(&a); i-- > 0;)
		if (a.ip[i]-- != 0)
			break;
	return a;
}

static int compare(const struct sl_addr *a, const struct sl_addr *b)
{
	return memcmp(a->ip, b->ip, sizeof a->ip);
}

int coturn_range_parse(struct coturn_range *ret_range, struct sl_str text)
{
	struct sl_str first = sl_str_split(&text, '-');
	struct coturn_range r;
	int rc = addr_parse_ip(&r.first, sl_str_trim(first));

	r.last = r.first;
	if (rc == 0 && text.p)
		rc = addr_parse_ip(&r.last, sl_str_trim(text));
	if (rc < 0 || r.first.scope || r.last.scope)
		return -SL_EPARSE;
	if (r.first.family != r.last.family)
		return -SL_EINVAL;
	if (compare(&r.first, &r.last) > 0)
		return -SL_ELIMIT;
	*ret_range = r;
	return 0;
}

struct coturn_range coturn_range_of(const struct sl_cidr *block)
{
	struct coturn_range r = {block->base, block->base};

	for (unsigned i = block->bits; i < 8 * width_bytes(&r.last); i++)
		r.last.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return r;
}

/* By family and first address. */
static int compare_ranges(const void *a, const void *b)
{
	const struct coturn_range *x = a, *y = b;

	if (x->first.family != y->first.family)
		return x->first.family < y->first.family ? -1 : 1;
	return compare(&x->first, &y->first);
}

void coturn_ranges_sort(struct coturn_ranges *rs)
{
	if (rs->n > 1)
		qsort(rs->items, rs->n, sizeof *rs->items, compare_ranges);
}

int coturn_ranges_init(struct coturn_ranges *rs, struct coturn_file *f)
{
	rs->f = f;
	rs->n = 0;
	rs->items = sl_pool_array(f->pool, COTURN_MAX_RANGES, sizeof *rs->items);
	f->failed |= !rs->items;
	return rs->items ? 0 : -SL_ENOMEM;
}

bool coturn_ranges_add(struct coturn_ranges *rs, const struct coturn_range *r)
{
	if (rs->n == COTURN_MAX_RANGES)
		return false;
	rs->items[rs->n++] = *r;
	return true;
}

bool coturn_ranges_remove(struct coturn_ranges *rs, const struct coturn_range *hole)
{
	size_t n = rs->n, kept = 0;
	bool fits = true;

	/* What is added on the way stands behind the first n, and has nothing of the hole. */
	for (size_t i = 0; i < n; i++) {
		struct coturn_range r = rs->items[i], upper;
		bool meet = r.first.family == hole->first.family &&
			    compare(&r.first, &hole->last) <= 0 &&
			    compare(&hole->first, &r.last) <= 0,
		     left = meet && compare(&r.first, &hole->first) < 0,
		     right = meet && compare(&hole->last, &r.last) < 0;

		if (right) {
			upper = (struct coturn_range){above(hole->last), r.last};
			fits &= coturn_ranges_add(rs, &upper);
		}
		if (left)
			r.last = below(hole->first);
		if (!meet || left)
			rs->items[kept++] = r;
	}
	memmove(rs->items + kept, rs->items + n, (rs->n - n) * sizeof *rs->items);
	rs->n -= n - kept;
	return fits;
}
