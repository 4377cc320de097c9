/*
 * proc/tool_module.c: commands that modules bring: found among the modules next to this binary or
 * installed, then among those that the configuration names from elsewhere.
 *
 * Modules are loaded for their tables; the one whose command it is runs.
 */
#include "proc/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tool_run {
	const struct tool_opts *opts;
	struct setup *setup; /* of the configuration; NULL: not asked for yet, or refused */
	bool asked;
};

static const struct sl_tool *find(const struct registry *r, const char *word)
{
	for (unsigned i = 0; i < r->n_modules; i++)
		for (const struct sl_tool *t = r->modules[i].def.tools; t && t->name; t++)
			if (strcmp(t->name, word) == 0)
				return t;
	return NULL;
}

/* Only the text and the tables: whether certificates and directories are there is for serving. */
static int load_conf(struct tool_run *run, struct sl_pool *pool)
{
	const char *paths[TOOL_MAX_PATHS];
	struct setup_input in = {.prefix = run->opts->prefix,
				 .overrides = run->opts->overrides,
				 .n_overrides = run->opts->n_overrides,
				 .module_paths = paths};
	char *text;
	int rc;

	if (run->asked)
		return run->setup ? 0 : -SL_ECONF;
	run->asked = true;
	if (tool_config_text(run->opts->prefix, run->opts->file, &in.file, &text, &in.text.len) < 0)
		return -SL_ESYS;
	in.text.p = text;
	in.n_module_paths = tool_module_paths(paths);
	rc = setup_load(pool, &in, &run->setup);
	free(text);
	if (run->setup)
		print_problems(run->setup);
	if (rc < 0)
		run->setup = NULL;
	return rc;
}

const void *sl_tool_conf(const struct sl_tool_env *env, const char *module)
{
	struct tool_run *run = env->opaque;
	const struct module *m;

	if (load_conf(run, env->pool) < 0)
		return NULL;
	m = registry_find(run->setup->registry, module);
	return m ? m->conf : NULL;
}

int sl_tool_ask(const struct sl_tool_env *env, const char *module, struct sl_str words,
		struct sl_buf *answer)
{
	const struct tool_run *run = env->opaque;
	char line[256];
	int n = snprintf(line, sizeof line, "ask %s %.*s\n", module, SL_FMT(words));

	if (n < 0 || n >= (int)sizeof line || memchr(words.p, '\n', words.len)) {
		fprintf(stderr, "sluice: too much is asked of %s at once\n", module);
		return -SL_EINVAL;
	}
	return tool_ask(run->opts, line, answer);
}

void tool_print_module_usage(void)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct registry *r;

	if (pool && tool_load_all(pool, &r) == 0)
		for (unsigned i = 0; i < r->n_modules; i++)
			for (const struct sl_tool *t = r->modules[i].def.tools; t && t->name; t++)
				fputs(t->usage, stdout);
	sl_pool_destroy(pool);
}

static int run_found(struct sl_tool_env *env, int argc, char **argv)
{
	struct tool_run *run = env->opaque;
	const struct sl_tool *t = NULL;
	struct registry *r;

	if (tool_load_all(env->pool, &r) == 0)
		t = find(r, argv[0]);
	if (!t && load_conf(run, env->pool) == 0)
		t = find(run->setup->registry, argv[0]);
	if (t)
		return t->run(env, argc, argv);
	fprintf(stderr, "sluice: %s: neither a command nor one of a module here; see sluice -h\n",
		argv[0]);
	return 2;
}

int tool_of_module(const struct tool_opts *o, int argc, char **argv)
{
	struct tool_run run = {.opts = o};
	struct sl_tool_env env = {.size = sizeof env, .prefix = o->prefix, .opaque = &run};
	int status = 1;

	env.pool = sl_pool_new(0);
	if (env.pool)
		status = run_found(&env, argc, argv);
	else
		fprintf(stderr, "sluice: %s\n", sl_strerror(-SL_ENOMEM));
	sl_pool_destroy(env.pool);
	return status;
}
