/*
 * tests/unit/test_checker.c: what a module's check() says stands at the place in the operator's
 * file.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

static const char document[] = "lock:\n"
			       "  realm: ab\n"
			       "  secrets: one\n"
			       "  users:\n"
			       "    - {name: ann, password: word}\n"
			       "    - {name: ann, password: word}\n";

static struct run checked(void)
{
	struct run r = {.pool = sl_pool_new(0)};

	r.errors = conf_errors_new(r.pool);
	r.ev = (struct conf_eval){.pool = r.pool, .errors = r.errors, .prefix = "/srv"};
	sl_buf_init(&r.said, 0);
	r.root = conf_yaml_parse(r.pool, r.errors, "t.yaml", sl_str_c(document));
	return r;
}

TEST(a_modules_sentence_gets_the_place_of_its_path)
{
	struct run r = checked();
	struct sl_conf *c = conf_checker(&r.ev, &lock, r.root->child, "lock");

	sl_conf_error(c, "users[1].name", "\"%s\" stands twice", "ann");
	sl_conf_error(c, "secrets[0]", "is too short");
	sl_conf_error(c, "users[7].name", "is not there");
	sl_conf_warn(c, "port", "is a default");
	sl_conf_error(c, "", "is wrong as a whole");
	conf_errors_print(r.errors, &r.said);
	CHECK_STR(sl_buf_view(&r.said), "t.yaml:1:1: warning: lock.port: is a default\n"
					"t.yaml:1:1: lock: is wrong as a whole\n"
					"t.yaml:3:12: lock.secrets[0]: is too short\n"
					"t.yaml:5:5: lock.users[7].name: is not there\n"
					"t.yaml:6:14: lock.users[1].name: \"ann\" stands twice\n"
					"4 errors, 1 warning; configuration not loaded\n");
	end(&r);
}

TEST(a_block_that_was_not_written_has_no_place)
{
	struct run r = checked();
	struct sl_conf *c = conf_checker(&r.ev, &lock, NULL, "lock");

	sl_conf_error(c, "realm", "is missing");
	conf_errors_print(r.errors, &r.said);
	CHECK_STR(sl_buf_view(&r.said),
		  "lock.realm: is missing\n1 error; configuration not loaded\n");
	CHECK(!sl_conf_is_set(c, "realm"));
	end(&r);
}

TEST(set_means_written_by_the_operator)
{
	struct run r = checked();
	struct sl_conf *c = conf_checker(&r.ev, &lock, r.root->child, "lock");

	CHECK(sl_conf_is_set(c, "realm"));
	CHECK(sl_conf_is_set(c, "users[1].password"));
	CHECK(!sl_conf_is_set(c, "users[1].quota"));
	CHECK(!sl_conf_is_set(c, "users[2]"));
	CHECK(!sl_conf_is_set(c, "port"));
	CHECK(sl_conf_pool(c) == r.pool);
	end(&r);
}

TEST_MAIN()
