/*
 * tests/unit/test_errors.c: problems are sorted by place, counted, capped and safe to print.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

static struct run none(void)
{
	struct run r = {.pool = sl_pool_new(0)};

	r.errors = conf_errors_new(r.pool);
	sl_buf_init(&r.said, 0);
	return r;
}

static struct sl_str print(struct run *r)
{
	conf_errors_print(r->errors, &r->said);
	return sl_buf_view(&r->said);
}

TEST(no_problem_says_nothing)
{
	struct run r = none();

	CHECK_STR(print(&r), "");
	end(&r);
}

TEST(problems_come_in_the_order_of_file_line_and_column)
{
	struct run r = none();

	conf_report(r.errors, false, &(struct conf_place){"b.yaml", 1, 1}, "x", "five");
	conf_report(r.errors, false, &(struct conf_place){"a.yaml", 10, 2}, "x", "three");
	conf_report(r.errors, true, &(struct conf_place){"a.yaml", 10, 2}, "y.z", "four %d", 4);
	conf_report(r.errors, false, &(struct conf_place){"a.yaml", 9, 7}, "", "two");
	conf_report(r.errors, false, NULL, "x", "one");
	CHECK_STR(print(&r), "x: one\n"
			     "a.yaml:9:7: two\n"
			     "a.yaml:10:2: x: three\n"
			     "a.yaml:10:2: warning: y.z: four 4\n"
			     "b.yaml:1:1: x: five\n"
			     "4 errors, 1 warning; configuration not loaded\n");
	CHECK_INT(conf_n_errors(r.errors), 4);
	CHECK_INT(conf_n_warnings(r.errors), 1);
	end(&r);
}

TEST(warnings_alone_refuse_nothing)
{
	struct run r = none();

	conf_report(r.errors, true, NULL, "a", "odd");
	conf_report(r.errors, true, &(struct conf_place){"a.yaml", 0, 0}, "b", "odd");
	CHECK_STR(print(&r),
		  "warning: a: odd\na.yaml: warning: b: odd\n2 warnings; configuration valid\n");
	end(&r);
}

TEST(a_hundred_are_told_and_the_rest_is_counted)
{
	struct run r = none();

	for (unsigned i = 0; i < 150; i++)
		conf_report(r.errors, false, &(struct conf_place){"t", i + 1, 1}, "x", "bad");
	CHECK(buf_has(&r.said, "") == false);
	(void)print(&r);
	CHECK(buf_has(&r.said,
		      "t:100:1: x: bad\n... and 50 more\n150 errors; configuration not loaded\n"));
	CHECK(!buf_has(&r.said, "t:101:1"));
	end(&r);
}

TEST(what_a_terminal_obeys_is_escaped)
{
	struct run r = none();

	conf_report(r.errors, false, &(struct conf_place){"a\n.yaml", 1, 1}, "x\x1b[31m",
		    "say \"%s\"", "\x07\x7f");
	CHECK_STR(print(&r), "a\\x0a.yaml:1:1: x\\x1b[31m: say \"\\x07\\x7f\"\n"
			     "1 error; configuration not loaded\n");
	end(&r);
}

TEST(long_paths_and_sentences_are_cut)
{
	struct run r = none();
	char text[4000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	conf_report(r.errors, false, NULL, text, "%s", text);
	CHECK(print(&r).len < 1400);
	CHECK(buf_has(&r.said, "xxx...: xxx"));
	end(&r);
}

TEST_MAIN()
