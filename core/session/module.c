/*
 * session/module.c: finding, checking and ordering modules.
 *
 * A module is refused before anything but its fixed head is read when magic, ABI or features
 * differ; the message names both sides and the first difference. Its tables are verified too, so
 * that a wrong row is the author's error at load time and not the operator's later. Symbols are
 * bound now (RTLD_NOW): a missing one is told here, with its name.
 */
#include "session/registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
#include "config/config.h"

#define MAX_MODULES 64

int registry_new(struct sl_pool *pool, struct registry **ret_registry)
{
	struct registry *r = sl_pool_alloc(pool, sizeof *r);

	if (!r)
		return -SL_ENOMEM;
	r->pool = pool;
	r->modules = sl_pool_array(pool, MAX_MODULES, sizeof *r->modules);
	r->start_order = sl_pool_array(pool, MAX_MODULES, sizeof *r->start_order);
	if (!r->modules || !r->start_order)
		return -SL_ENOMEM;
	*ret_registry = r;
	return 0;
}

/* Both feature strings are lists of tokens; says which is the first that only one side has. */
static void explain_features(const char *theirs, char *err, size_t cap)
{
	struct sl_str a = SL_STR(SL_FEATURES), b = sl_str_c(theirs), ta, tb;

	do {
		ta = sl_str_split(&a, ' ');
		tb = sl_str_split(&b, ' ');
	} while (sl_str_eq(ta, tb) && ta.len > 0);
	snprintf(err, cap,
		 "built for \"%s\", this binary is \"%s\" (first difference: \"%.*s\" against "
		 "\"%.*s\"); rebuild it "
		 "against the installed headers",
		 theirs, SL_FEATURES, SL_FMT(tb), SL_FMT(ta));
}

static int check_head(const struct sl_module *m, char *err, size_t cap)
{
	if (m->magic != SL_MODULE_MAGIC) {
		snprintf(err, cap, "its sl_module_entry is not a Sluice module (magic %08x)",
			 m->magic);
		return -SL_EABI;
	}
	if (m->abi_major != SL_ABI_MAJOR || m->abi_minor > SL_ABI_MINOR) {
		snprintf(err, cap,
			 "made for module ABI %u.%u, this binary offers %u.%u; rebuild it against "
			 "the installed headers",
			 m->abi_major, m->abi_minor, SL_ABI_MAJOR, SL_ABI_MINOR);
		return -SL_EABI;
	}
	if (m->size < offsetof(struct sl_module, name) || !m->features) {
		snprintf(err, cap, "its descriptor is %u bytes, too short for one", m->size);
		return -SL_EABI;
	}
	if (strcmp(m->features, SL_FEATURES) != 0) {
		explain_features(m->features, err, cap);
		return -SL_EABI;
	}
	return 0;
}

static int check_tables(const struct sl_module *m, char *err, size_t cap)
{
	struct conf_block block = {m->name, m->directives, m->conf_size};

	if (!m->name || !m->name[0]) {
		snprintf(err, cap, "its descriptor has no name");
		return -SL_EABI;
	}
	if (m->directives && conf_table_check(&block, err, cap) < 0)
		return -SL_EABI;
	for (const struct sl_hook *h = m->hooks; h && h->phase != SL_N_PHASES; h++) {
		if (h->phase > SL_N_PHASES || !h->fn.dgram) {
			snprintf(err, cap, "hook %td has an unknown phase or no function",
				 h - m->hooks);
			return -SL_EABI;
		}
	}
	return 0;
}

static int add(struct registry *r, const struct sl_module *m, void *handle, const char *origin,
	       char *err, size_t cap)
{
	struct module *slot = &r->modules[r->n_modules];
	size_t size;

	if (check_head(m, err, cap) < 0)
		return -SL_EABI;
	size = m->size < sizeof slot->def ? m->size : sizeof slot->def;
	memset(slot, 0, sizeof *slot);
	memcpy(&slot->def, m, size);
	if (check_tables(&slot->def, err, cap) < 0)
		return -SL_EABI;
	slot->handle = handle;
	slot->origin = sl_pool_cstr(r->pool, sl_str_c(origin));
	r->n_modules++;
	return 0;
}

static const struct sl_module *find_static(struct sl_str name)
{
	for (unsigned i = 0; sl_static_modules[i]; i++)
		if (sl_str_eq(sl_str_c(sl_static_modules[i]->name), name))
			return sl_static_modules[i];
	return NULL;
}

int registry_load_file(struct registry *r, const char *file, char *err, size_t err_cap)
{
	const struct sl_module *m;
	void *handle;
	char why[512];
	int n = snprintf(err, err_cap, "%s: ", file);

	if (r->n_modules == MAX_MODULES) {
		snprintf(err + n, err_cap - (size_t)n, "more than %d modules", MAX_MODULES);
		return -SL_EFULL;
	}
	handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(err, err_cap, "%s", dlerror()); /* begins with the file name itself */
		return -SL_EABI;
	}
	m = dlsym(handle, "sl_module_entry");
	if (!m)
		snprintf(why, sizeof why,
			 "has no symbol sl_module_entry; use SL_MODULE() in one of its files");
	if (!m || add(r, m, handle, file, why, sizeof why) < 0) {
		snprintf(err + n, err_cap - (size_t)n, "%s", why);
		dlclose(handle);
		return -SL_EABI;
	}
	return 0;
}

int registry_load(struct registry *r, struct sl_str name, const struct sl_str *paths,
		  unsigned n_paths, char *err, size_t err_cap)
{
	const struct sl_module *m = find_static(name);
	char file[512];
	struct module *loaded;

	if (m)
		return add(r, m, NULL, "linked in", err, err_cap);
	for (unsigned i = 0; i < n_paths; i++) {
		snprintf(file, sizeof file, "%.*s/%.*s.so", SL_FMT(paths[i]), SL_FMT(name));
		if (access(file, F_OK) < 0)
			continue;
		if (registry_load_file(r, file, err, err_cap) < 0)
			return -SL_EABI;
		loaded = &r->modules[r->n_modules - 1];
		if (sl_str_eq(sl_str_c(loaded->def.name), name))
			return 0;
		snprintf(err, err_cap, "%s holds a module called \"%s\"", file, loaded->def.name);
		r->n_modules--;
		return -SL_EABI;
	}
	snprintf(err, err_cap, "no module of this name is linked in, nor is %.*s.so in %.*s%s",
		 SL_FMT(name), SL_FMT(n_paths ? paths[0] : SL_STR("(no module_path)")),
		 n_paths > 1 ? " or the other module_path entries" : "");
	return -SL_ENOENT;
}

int registry_index(const struct registry *r, const char *name)
{
	for (unsigned i = 0; i < r->n_modules; i++)
		if (strcmp(r->modules[i].def.name, name) == 0)
			return (int)i;
	return -SL_ENOENT;
}

struct module *registry_find(const struct registry *r, const char *name)
{
	int i = registry_index(r, name);

	return i < 0 ? NULL : &r->modules[i];
}

/* Are all needs of module i among the first n of start_order? Names the first that is not loaded at
 * all. */
static bool needs_met(const struct registry *r, unsigned i, unsigned n, const char **ret_missing)
{
	for (const char *const *need = r->modules[i].def.needs; need && *need; need++) {
		int index = registry_index(r, *need);
		bool placed = false;

		if (index < 0)
			*ret_missing = *need;
		for (unsigned k = 0; k < n && !placed; k++)
			placed = (int)r->start_order[k] == index;
		if (!placed)
			return false;
	}
	return true;
}

int registry_order(struct registry *r, char *err, size_t err_cap)
{
	bool done[MAX_MODULES] = {false};
	const char *missing = NULL;

	for (unsigned n = 0; n < r->n_modules;) {
		unsigned before = n, stuck = 0;

		for (unsigned i = 0; i < r->n_modules; i++) {
			if (done[i])
				continue;
			if (needs_met(r, i, n, &missing)) {
				r->start_order[n++] = i;
				done[i] = true;
			} else {
				stuck = i;
			}
			if (missing) {
				snprintf(err, err_cap,
					 "\"%s\" needs the module \"%s\"; add it to modules",
					 r->modules[i].def.name, missing);
				return -SL_ENOENT;
			}
		}
		if (n == before) {
			snprintf(err, err_cap, "\"%s\" and what it needs need each other",
				 r->modules[stuck].def.name);
			return -SL_EINVAL;
		}
	}
	return 0;
}
