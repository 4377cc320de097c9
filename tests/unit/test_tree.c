/*
 * tests/unit/test_tree.c: "-g 'directive: value'" laid over a document.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

static const char document[] = "port: 1\n"
			       "realm: old\n"
			       "stun:\n"
			       "users:\n"
			       "  - {name: ann, password: word}\n"
			       "  - {name: bob, password: word}\n"
			       "services:\n"
			       "  meet: {drain: finish, match: x}\n"
			       "  a.b: {drain: finish}\n";

/* The document with one override. */
static struct run laid(const char *override, int *ret_rc)
{
	struct run r = {.pool = sl_pool_new(0)};

	r.errors = conf_errors_new(r.pool);
	sl_buf_init(&r.said, 0);
	r.root = conf_yaml_parse(r.pool, r.errors, "t.yaml", sl_str_c(document));
	*ret_rc = conf_yaml_override(r.pool, r.errors, r.root, 1, sl_str_c(override));
	conf_errors_print(r.errors, &r.said);
	return r;
}

static struct sl_str value_at(const struct conf_node *root, const char *const *keys)
{
	for (; *keys && root; keys++)
		root = conf_yaml_get(root, *keys);
	return root ? root->value : SL_STR("(nothing)");
}

struct over_case {
	const char *override, *keys[4], *value;
};

TEST(an_override_replaces_or_adds_what_its_path_names)
{
	static const struct over_case cases[] = {
		{"port: 2", {"port"}, "2"},
		{"port: 2", {"realm"}, "old"},
		{"fast: on", {"fast"}, "on"},
		{"services.meet.drain: migrate", {"services", "meet", "drain"}, "migrate"},
		{"services.meet.drain: migrate", {"services", "meet", "match"}, "x"},
		{"services: {meet: {drain: migrate}}", {"services", "meet", "drain"}, "migrate"},
		{"services: {meet: {drain: migrate}}", {"services", "meet", "match"}, "x"},
		{"services.a.b.drain: migrate", {"services", "a.b", "drain"}, "migrate"},
		{"services.new.drain: migrate", {"services", "new", "drain"}, "migrate"},
		{"a.b.c: {d: e}", {"a", "b", "c"}, ""},
		{"stun.software: no", {"stun", "software"}, "no"},
		{"port: [1, 2]", {"port"}, ""},
		{"{port: 5, realm: new}", {"realm"}, "new"},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		int rc;
		struct run r = laid(cases[i].override, &rc);

		CHECK_STR(sl_buf_view(&r.said), "");
		CHECK_INT(rc, 0);
		CHECK_STR(value_at(r.root, cases[i].keys), cases[i].value);
		end(&r);
	}
}

TEST(an_override_reaches_into_lists)
{
	int rc;
	struct run r = laid("users[1].name: eve", &rc);

	CHECK_INT(rc, 0);
	CHECK_STR(conf_yaml_get(conf_yaml_get(r.root, "users")->child->next, "name")->value, "eve");
	end(&r);
}

TEST(a_replaced_value_keeps_its_place_among_the_others)
{
	int rc;
	struct run r = laid("port: 2", &rc);

	CHECK_STR(r.root->child->key, "port");
	CHECK_STR(r.root->child->next->key, "realm");
	CHECK_STR(sl_str_c(r.root->child->at.file), "-g 1");
	CHECK_INT(r.root->child->at.column, 7);
	end(&r);
}

TEST(the_errors_of_an_override_are_placed_in_it)
{
	struct run r = {.pool = sl_pool_new(0)};

	r.errors = conf_errors_new(r.pool);
	r.ev = (struct conf_eval){.pool = r.pool, .errors = r.errors, .prefix = "/srv"};
	sl_buf_init(&r.said, 0);
	r.root = conf_yaml_parse(r.pool, r.errors, "t.yaml", SL_STR("port: x\n"));
	for (unsigned i = 1; i < 13; i++)
		CHECK_INT(conf_yaml_override(r.pool, r.errors, r.root, i, SL_STR("fast: maybe")),
			  0);
	CHECK_INT(conf_yaml_override(r.pool, r.errors, r.root, 2, SL_STR("zebra: 1")), 0);
	(void)conf_evaluate(&r.ev, &lock, SL_S_MAIN, r.root, NULL, "", NULL);
	conf_errors_print(r.errors, &r.said);
	CHECK_STR(sl_buf_view(&r.said), "-g 2:1:1: zebra: unknown directive\n"
					"-g 12:1:7: fast: \"maybe\" is not true or false\n"
					"t.yaml:1:7: port: \"x\" is not a whole number\n"
					"3 errors; configuration not loaded\n");
	end(&r);
}

struct wrong_case {
	const char *override, *line;
};

TEST(an_override_that_has_no_place_is_refused)
{
	static const struct wrong_case cases[] = {
		{"port", "-g 1:1:1: write 'directive: value', with a space after the colon\n"},
		{"port:2", "-g 1:1:1: write 'directive: value', with a space after the colon\n"},
		{"[a]", "-g 1:1:1: write 'directive: value', with a space after the colon\n"},
		{"a: [", "-g 1:2:1: a[0]: did not find expected node content\n"},
		{"port.x: 1", "-g 1:1:1: port.x: there is no such place in the configuration\n"},
		{"users[2].name: 1",
		 "-g 1:1:1: users[2].name: there is no such place in the configuration\n"},
		{"'': 1", "-g 1:1:1: there is no such place in the configuration\n"},
		{"a..b: 1", "-g 1:1:1: a..b: there is no such place in the configuration\n"},
		{"a[0]: 1", "-g 1:1:1: a[0]: there is no such place in the configuration\n"},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		int rc;
		struct run r = laid(cases[i].override, &rc);
		struct sl_str said = sl_buf_view(&r.said), want = sl_str_c(cases[i].line);

		CHECK(rc < 0);
		CHECK(sl_str_starts(said, want) || (printf("# %.*s", SL_FMT(said)), false));
		end(&r);
	}
}

TEST_MAIN()
