/*
 * tests/lib/mux_file.h: what a muxer writes (struct mux_opts.sink), as the file that it would be.
 */
#ifndef TESTS_LIB_MUX_FILE_H
#define TESTS_LIB_MUX_FILE_H

#include <sluice/str.h>
#include "lib/test.h"

static uint8_t file[1 << 20];
static size_t file_len; /* 0: begin anew */

/* A muxer may write again what is there: sizes that were not known before. */
static inline void on_bytes(void *arg, uint64_t at, struct sl_str bytes)
{
	(void)arg;
	sl_assert(at + bytes.len <= sizeof file);
	memcpy(file + at, bytes.p, bytes.len);
	if (at + bytes.len > file_len)
		file_len = at + bytes.len;
}

#endif
