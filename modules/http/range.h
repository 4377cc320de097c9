/*
 * http/range.h: which part of a representation a request asks for (RFC 9110 section 14). Pure.
 */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <sluice/str.h>

struct byte_range {
	uint64_t at, len;
};

/*
 * One range of bytes, cut to what there is: 0. -SL_ENOENT: no such header, another unit, several
 * ranges, or nonsense: then all of it is sent, as the RFC permits. -SL_ELIMIT: it begins behind the
 * end (416).
 */
SL_MUST_CHECK int range_read(struct sl_str header, uint64_t total, struct byte_range *ret_range);

#endif
