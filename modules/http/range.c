/*
 * http/range.c: see range.h. Several ranges in one request are answered with everything: no player
 * asks so, and a list of a thousand overlapping ones is an old way to make servers work (RFC 9110
 * section 14.2).
 */
#include "range.h"

static const struct sl_str unit = SL_STR_INIT("bytes=");

static int read_suffix(struct sl_str length, uint64_t total, struct byte_range *ret_range)
{
	uint64_t n;

	if (sl_str_u64(length, &n) < 0)
		return -SL_ENOENT;
	if (n == 0 || total == 0)
		return -SL_ELIMIT;
	n = n < total ? n : total;
	*ret_range = (struct byte_range){total - n, n};
	return 0;
}

int range_read(struct sl_str header, uint64_t total, struct byte_range *ret_range)
{
	struct sl_str rest = sl_str_trim(header), first;
	uint64_t from, to = UINT64_MAX;

	if (rest.len < unit.len || !sl_str_eq_nocase((struct sl_str){rest.p, unit.len}, unit))
		return -SL_ENOENT;
	rest.p += unit.len;
	rest.len -= unit.len;
	if (memchr(rest.p, ',', rest.len) || !memchr(rest.p, '-', rest.len))
		return -SL_ENOENT;
	first = sl_str_trim(sl_str_split(&rest, '-'));
	rest = sl_str_trim(rest);
	if (first.len == 0)
		return read_suffix(rest, total, ret_range);
	if (sl_str_u64(first, &from) < 0 || (rest.len > 0 && sl_str_u64(rest, &to) < 0) ||
	    to < from)
		return -SL_ENOENT;
	if (from >= total)
		return -SL_ELIMIT;
	to = to < total ? to : total - 1;
	*ret_range = (struct byte_range){from, to - from + 1};
	return 0;
}
