/*
 * sluice/tool.h: commands that a module adds to the command line: `sluice record list`.
 *
 * A command runs alone in its process, with the rights of who typed it; nothing of a worker is
 * there, but the module's own process can be asked. It may block, and talks by standard output and
 * standard error. The words and options after its name are its own.
 */
#ifndef SLUICE_TOOL_H
#define SLUICE_TOOL_H

#include <sluice/buf.h>
#include <sluice/pool.h>

struct sl_tool_env {
	uint32_t size;	      /* of this struct in the running binary */
	const char *prefix;   /* absolute; as -p says */
	struct sl_pool *pool; /* lives as long as the command */
	void *opaque;	      /* the core's */
};

struct sl_tool {
	const char *name;  /* the word behind `sluice`; NULL ends the table */
	const char *usage; /* whole lines for `sluice -h`, each beginning with seven blanks */
	/* argv[0] is the name. Returns the exit status: 0, 1 failed, 2 wrongly called. */
	int (*run)(const struct sl_tool_env *env, int argc, char **argv);
};

/* The main block of a module in the configuration that would be served (-c, -p, -g), checked as for
 * serving; its problems go to standard error. NULL: refused, or the module is not in it. Lives as
 * long as the command. */
SL_API const void *sl_tool_conf(const struct sl_tool_env *env, const char *module);

/* Puts words, at most 200 bytes in one line, to the process of a module with SL_M_AUX that serves
 * now under the prefix; its function `asked` answers. Adds the answer to *answer. A refusal goes to
 * standard error, as whatever kept it from being asked: -SL_EDENIED, -SL_ESYS. */
SL_API SL_MUST_CHECK int sl_tool_ask(const struct sl_tool_env *env, const char *module,
				     struct sl_str words, struct sl_buf *answer);

#endif
