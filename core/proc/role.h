/*
 * proc/role.h: what checker and worker share: reading the handoff, and the input of the
 * configuration.
 */
#ifndef PROC_ROLE_H
#define PROC_ROLE_H

#include "proc/handoff.h"
#include "proc/tool.h"
#include "session/setup.h"

#define ROLE_MAX_OVERRIDES 128

/* The process was started with --child: reads descriptor 3 and runs its role. */
int role_main(void);
/* Fills the overrides and module paths of an input; the arrays belong to the caller and must
 * outlive it. */
void role_input(const struct handoff *h, struct setup_input *in,
		const char *overrides[ROLE_MAX_OVERRIDES], const char *paths[TOOL_MAX_PATHS]);
/* setup_load with the checks that need files, and the problems printed to standard error. */
int check_setup(struct sl_pool *pool, const struct setup_input *in, struct setup **ret_setup);

/* Sorted, to standard error; nothing when there are none */
void print_problems(struct setup *s);
/* What runs where, for the terminal; cut at cap. */
void banner_write(const struct setup *s, const char *file, char *dst, size_t cap);

#endif
