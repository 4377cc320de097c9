/*
 * Fuzz target: a file that a crash left. First byte: its kind. What plays of it lies within it;
 * what hides its empty streams changes bytes that are there, and a second time none.
 */
#include "modules/recorder/container.h"
#include "modules/recorder/empty.h"

#include <stdlib.h>
#include <string.h>

#include <sluice/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	uint8_t *p;
	size_t len;
	unsigned n_changed;
};

static void on_patch(void *arg, uint64_t at, const uint8_t *bytes, size_t len)
{
	struct file *f = arg;

	sl_assert(at <= f->len && len <= f->len - at);
	f->n_changed += memcmp(f->p + at, bytes, len) != 0;
	memcpy(f->p + at, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct container *c = &containers[size > 0 ? data[0] % N_CONTAINERS : 0];
	struct file f = {.len = size > 1 ? size - 1 : 0};
	uint64_t hidden;

	f.p = malloc(f.len + 1);
	sl_assert(f.p);
	if (f.len > 0)
		memcpy(f.p, data + 1, f.len);
	f.len = c->good_length(f.p, f.len);
	sl_assert(f.len <= size);
	hidden = empty_hide(c, f.p, f.len, on_patch, &f);
	f.n_changed = 0;
	sl_assert(empty_hide(c, f.p, f.len, on_patch, &f) == hidden);
	sl_assert(f.n_changed == 0);
	free(f.p);
	return 0;
}
