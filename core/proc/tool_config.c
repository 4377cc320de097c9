/*
 * proc/tool_config.c: commands about the configuration and modules: -t, -T, --schema, --reference,
 * -M; and where texts and modules are found.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/os.h"
#include "proc/role.h"
#include "sluice_config.h"

#define MAX_CONFIG ((size_t)4 << 20)

unsigned tool_module_paths(const char *ret_paths[TOOL_MAX_PATHS])
{
	static char beside[MAX_PATH + 16];
	char exe[MAX_PATH], *slash;
	unsigned n = 0;

	if (proc_self_exe(exe, sizeof exe) == 0 && (slash = strrchr(exe, '/'))) {
		*slash = '\0';
		snprintf(beside, sizeof beside, "%s/modules", exe);
		if (access(beside, X_OK) == 0)
			ret_paths[n++] = beside;
	}
	ret_paths[n++] = SL_MODULE_DIR;
	return n;
}

static int defaults(const char **ret_name, char **ret_text, size_t *ret_len)
{
	*ret_text = strdup(default_config);
	*ret_len = strlen(default_config);
	*ret_name = "(built-in defaults)";
	return *ret_text ? 0 : -SL_ENOMEM;
}

int tool_config_text(const char *prefix, const char *file, const char **ret_name, char **ret_text,
		     size_t *ret_len)
{
	static char found[MAX_PATH + 16];
	const char *candidates[2] = {found,
				     strcmp(prefix, SL_DEFAULT_PREFIX) == 0 ? SL_CONF_FILE : found};

	snprintf(found, sizeof found, "%s/sluice.yaml", prefix);
	for (unsigned i = 0; !file[0] && i < SL_ARRAY_LEN(candidates); i++)
		if (access(candidates[i], F_OK) == 0)
			file = candidates[i];
	if (!file[0])
		return defaults(ret_name, ret_text, ret_len);
	if (fd_slurp(file, MAX_CONFIG, ret_text, ret_len) < 0) {
		fprintf(stderr, "sluice: cannot read the configuration %s: %m\n", file);
		return -SL_ESYS;
	}
	*ret_name = file;
	return 0;
}

/* ---- -t, -T */

static int check(const struct tool_opts *o, struct sl_pool *pool, struct setup **ret_setup)
{
	const char *paths[TOOL_MAX_PATHS];
	struct setup_input in = {.prefix = o->prefix,
				 .overrides = o->overrides,
				 .n_overrides = o->n_overrides,
				 .module_paths = paths};
	char *text;
	int rc;

	if (tool_config_text(o->prefix, o->file, &in.file, &text, &in.text.len) < 0)
		return -SL_ESYS;
	in.text.p = text;
	in.n_module_paths = tool_module_paths(paths);
	rc = check_setup(pool, &in, ret_setup);
	free(text);
	if (rc == 0)
		fprintf(stderr, "sluice: %s: configuration is good\n", in.file);
	return rc;
}

static int print(struct sl_buf *out)
{
	int failed = sl_buf_ok(out) < 0 || fd_write_all(STDOUT_FILENO, out->p, out->len) < 0;

	sl_buf_free(out);
	return failed;
}

int tool_test(const struct tool_opts *o, bool dump)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct setup *s;
	struct sl_buf out;
	int status = !pool || check(o, pool, &s) < 0;

	if (!pool)
		fprintf(stderr, "sluice: %s\n", sl_strerror(-SL_ENOMEM));
	if (!status && dump) {
		sl_buf_init(&out, 0);
		setup_dump(s, &out);
		status = print(&out);
	}
	sl_pool_destroy(pool);
	return status;
}

/* ---- what the tables say: over all modules that can be found, without a configuration */

static void load_found(struct registry *r, const char *dir)
{
	struct dirent **names;
	char file[MAX_PATH + 300], err[640];
	int n = scandir(dir, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name);

		snprintf(file, sizeof file, "%s/%s", dir, names[i]->d_name);
		if (len > 3 && strcmp(names[i]->d_name + len - 3, ".so") == 0 &&
		    registry_load_file(r, file, err, sizeof err) < 0)
			fprintf(stderr, "sluice: %s\n", err);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int tool_load_all(struct sl_pool *pool, struct registry **ret_registry)
{
	const char *paths[TOOL_MAX_PATHS];
	struct registry *r;
	char err[640];

	if (registry_new(pool, &r) < 0)
		return -SL_ENOMEM;
	for (unsigned i = 0; sl_static_modules[i]; i++)
		if (registry_load(r, sl_str_c(sl_static_modules[i]->name), NULL, 0, err,
				  sizeof err) < 0)
			fprintf(stderr, "sluice: %s\n", err);
	if (r->n_modules == 0 && tool_module_paths(paths) > 0)
		load_found(r, paths[0]);
	*ret_registry = r;
	return 0;
}

static int print_tables(void (*write)(const struct setup *s, struct sl_buf *out))
{
	struct setup s = {.pool = sl_pool_new(0)};
	struct sl_buf out;
	int status = 1;

	if (s.pool && tool_load_all(s.pool, &s.registry) == 0) {
		sl_buf_init(&out, 0);
		write(&s, &out);
		status = print(&out);
	}
	sl_pool_destroy(s.pool);
	return status;
}

int tool_schema(const struct tool_opts *o)
{
	(void)o;
	return print_tables(setup_schema);
}

int tool_reference(const struct tool_opts *o)
{
	(void)o;
	return print_tables(setup_reference);
}

/* ---- -M: a module's tables, without running its code */

static void print_module(const struct module *m, struct sl_buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	const struct sl_module *d = &m->def;
	struct conf_block block = {d->name, d->directives, d->conf_size};

	sl_buf_printf(out, "# %s %s\n\n%s\n\nABI %u.%u, features \"%s\", build %s\n", d->name,
		      d->version ? d->version : "", d->summary ? d->summary : "", d->abi_major,
		      d->abi_minor, d->features, d->build_id ? d->build_id : "unknown");
	for (const char *const *need = d->needs; need && *need; need++)
		sl_buf_printf(out, "needs %s\n", *need);
	sl_buf_printf(out, "\n## Directives\n\n");
	if (d->directives)
		conf_reference_md(out, &block);
	sl_buf_printf(out, "\n## Hooks\n\n");
	for (const struct sl_hook *h = d->hooks; h && h->phase != SL_N_PHASES; h++)
		sl_buf_printf(out, "- %s, priority %d\n", sl_phase_name(h->phase), h->priority);
	sl_buf_printf(out, "\n## Counters\n\n");
	for (const struct sl_metric *c = d->metrics; c && c->name; c++)
		sl_buf_printf(out, "- `%s` (%s): %s\n", c->name, kinds[c->kind], c->help);
}

int tool_module(const char *file)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct registry *r;
	struct sl_buf out;
	char err[640] = "out of memory";
	int status = 1;

	if (pool && registry_new(pool, &r) == 0 &&
	    registry_load_file(r, file, err, sizeof err) == 0) {
		sl_buf_init(&out, 0);
		print_module(&r->modules[0], &out);
		status = print(&out);
	} else {
		fprintf(stderr, "sluice: %s\n", err);
	}
	sl_pool_destroy(pool);
	return status;
}
