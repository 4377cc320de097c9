/*
 * proc/role.c: a child's first steps: which role, with which handoff.
 */
#include "proc/role.h"

#include <stdio.h>
#include <string.h>
#include "os/os.h"

int role_main(void)
{
	const struct handoff *h;
	size_t bytes;
	void *p;

	if (shmem_map(HANDOFF_FD, false, &p, &bytes) < 0) {
		fprintf(stderr, "sluice: --child is for the master only\n");
		return 1;
	}
	h = p;
	if (bytes < sizeof *h || h->magic != HANDOFF_MAGIC || h->bytes != sizeof *h) {
		fprintf(stderr, "sluice: this binary is not the one the master runs; use `sluice "
				"-s upgrade`\n");
		return 1;
	}
	return h->role == ROLE_CHECKER ? checker_main(h) : worker_main(h);
}

void role_input(const struct handoff *h, struct setup_input *in,
		const char *overrides[ROLE_MAX_OVERRIDES], const char *paths[TOOL_MAX_PATHS])
{
	const char *at = h->overrides;

	in->overrides = overrides;
	for (in->n_overrides = 0; *at && in->n_overrides < ROLE_MAX_OVERRIDES; at += strlen(at) + 1)
		overrides[in->n_overrides++] = at;
	in->module_paths = paths;
	in->n_module_paths = tool_module_paths(paths);
}
