/*
 * test_module.c: what may be loaded as a module, and in which order modules start.
 */
#include "../lib/test.h"
#include "../lib/process.h"

static char err[640];

static struct registry *new_registry(struct sl_pool **ret_pool)
{
	struct registry *r = NULL;

	*ret_pool = sl_pool_new(0);
	sl_assert(registry_new(*ret_pool, &r) == 0);
	err[0] = '\0';
	return r;
}

static void add(struct registry *r, const char *name, const char *const *needs)
{
	(void)test_module(r, &(struct sl_module){.name = name, .needs = needs});
}

static const char *name_at(const struct registry *r, unsigned i)
{
	return r->modules[r->start_order[i]].def.name;
}

TEST(what_is_needed_starts_first_and_else_the_order_stays)
{
	static const char *const needs_c[] = {"c", NULL}, *const needs_both[] = {"a", "d", NULL};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	add(r, "a", needs_c);
	add(r, "b", needs_both);
	add(r, "c", NULL);
	add(r, "d", NULL);
	CHECK_INT(registry_order(r, err, sizeof err), 0);
	CHECK_STR(sl_str_c(name_at(r, 0)), "c");
	CHECK_STR(sl_str_c(name_at(r, 1)), "d");
	CHECK_STR(sl_str_c(name_at(r, 2)), "a");
	CHECK_STR(sl_str_c(name_at(r, 3)), "b");
	sl_pool_destroy(pool);
}

TEST(a_circle_of_needs_is_named)
{
	static const char *const needs_a[] = {"a", NULL}, *const needs_b[] = {"b", NULL};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	add(r, "a", needs_b);
	add(r, "b", needs_a);
	CHECK(registry_order(r, err, sizeof err) < 0);
	CHECK(strstr(err, "\"a\"") || strstr(err, "\"b\""));
	sl_pool_destroy(pool);
}

TEST(a_module_that_needs_itself_is_a_circle_too)
{
	static const char *const needs_a[] = {"a", NULL};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	add(r, "a", needs_a);
	CHECK(registry_order(r, err, sizeof err) < 0);
	sl_pool_destroy(pool);
}

TEST(a_need_that_is_not_loaded_is_named_with_who_has_it)
{
	static const char *const needs[] = {"http", NULL};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	add(r, "signaling-ws", needs);
	CHECK(registry_order(r, err, sizeof err) < 0);
	CHECK(strstr(err, "\"signaling-ws\" needs the module \"http\"") != NULL);
	sl_pool_destroy(pool);
}

TEST(files_that_are_no_modules_are_refused_with_their_name)
{
	static const struct {
		const char *file, *word;
	} cases[] = {
		{"/nonexistent/odd.so", "/nonexistent/odd.so"},
		{"/dev/null", "/dev/null"},
		{"/proc/self/exe", "/proc/self/exe"},
		{"libm.so.6", "sl_module_entry"},
	};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		CHECK_INT(registry_load_file(r, cases[i].file, err, sizeof err), -SL_EABI);
		CHECK(strstr(err, cases[i].word) != NULL);
		CHECK_INT(r->n_modules, 0);
	}
	sl_pool_destroy(pool);
}

TEST(a_name_that_nobody_has_is_told_with_the_place_looked_at)
{
	const struct sl_str paths[] = {SL_STR("/nonexistent"), SL_STR("/neither")};
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	CHECK_INT(registry_load(r, SL_STR("odd"), paths, 2, err, sizeof err), -SL_ENOENT);
	CHECK(strstr(err, "odd.so") && strstr(err, "/nonexistent"));
	CHECK_INT(registry_load(r, SL_STR("odd"), NULL, 0, err, sizeof err), -SL_ENOENT);
	sl_pool_destroy(pool);
}

TEST(modules_are_found_by_name)
{
	struct sl_pool *pool;
	struct registry *r = new_registry(&pool);

	add(r, "a", NULL);
	add(r, "b", NULL);
	CHECK_INT(registry_index(r, "b"), 1);
	CHECK(registry_find(r, "a") == &r->modules[0]);
	CHECK_INT(registry_index(r, "c"), -SL_ENOENT);
	CHECK(registry_find(r, "") == NULL);
	sl_pool_destroy(pool);
}

TEST_MAIN()
