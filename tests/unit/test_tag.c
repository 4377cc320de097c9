/*
 * tests/unit/test_tag.c: values from the environment and from files, and what is said when they are
 * not there.
 */
#include <sys/stat.h>
#include <unistd.h>
#include "lib/conf_table.h"
#include "lib/test.h"

static char folder[] = "/tmp/sluice-test-tag-XXXXXX";

static struct run parse(const char *text)
{
	struct run p = {.pool = sl_pool_new(0)};

	p.errors = conf_errors_new(p.pool);
	sl_buf_init(&p.said, 0);
	p.root = conf_yaml_parse(p.pool, p.errors, sl_pool_printf(p.pool, "%s/t.yaml", folder),
				 sl_str_c(text));
	conf_errors_print(p.errors, &p.said);
	return p;
}

static void write_file(const char *name, const char *text, size_t len)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0)
		abort();
}

/* The errors of one line of text, without the folder's name. */
static bool says(const char *text, const char *want)
{
	struct run p = parse(text);
	bool same = buf_has(&p.said, want) && p.root && p.root->child->bad;

	if (!same)
		printf("# got %.*s\n", SL_FMT(sl_buf_view(&p.said)));
	end(&p);
	return same;
}

struct value_case {
	const char *text, *want;
};

TEST(the_environment_gives_values)
{
	static const struct value_case cases[] = {
		{"a: !env SL_TEST_TAG", "from outside"},
		{"a: !env SL_TEST_TAG:-other", "from outside"},
		{"a: !env SL_TEST_EMPTY", ""},
		{"a: !env SL_TEST_EMPTY:-other", "other"},
		{"a: !env SL_TEST_UNSET:-other", "other"},
		{"a: !env 'SL_TEST_UNSET:-x: y'", "x: y"},
		{"a: !env SL_TEST_UNSET:-", ""},
	};

	setenv("SL_TEST_TAG", "from outside", 1);
	setenv("SL_TEST_EMPTY", "", 1);
	unsetenv("SL_TEST_UNSET");
	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct run p = parse(cases[i].text);

		CHECK_STR(sl_buf_view(&p.said), "");
		CHECK_STR(p.root->child->value, cases[i].want);
		CHECK(p.root->child->secret && p.root->child->quoted && !p.root->child->bad);
		end(&p);
	}
}

TEST(an_alias_of_a_tagged_value_is_the_same_value)
{
	struct run p = parse("a: &a !env SL_TEST_TAG\nb: *a\n");

	CHECK_STR(sl_buf_view(&p.said), "");
	CHECK_STR(p.root->child->next->value, "from outside");
	CHECK(p.root->child->next->secret);
	end(&p);
}

TEST(files_give_values_without_their_last_newline)
{
	static const struct value_case cases[] = {
		{"a: !file plain", "secret"}, {"a: !file newline", "secret"},
		{"a: !file crlf", "secret"},  {"a: !file two", "secret\n"},
		{"a: !file empty", ""},
	};

	write_file("plain", "secret", 6);
	write_file("newline", "secret\n", 7);
	write_file("crlf", "secret\r\n", 8);
	write_file("two", "secret\n\n", 8);
	write_file("empty", "", 0);
	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct run p = parse(cases[i].text);

		CHECK_STR(sl_buf_view(&p.said), "");
		CHECK_STR(p.root->child->value, cases[i].want);
		CHECK(p.root->child->secret);
		end(&p);
	}
}

TEST(an_absolute_path_is_taken_as_it_is)
{
	char text[256];
	struct run p;

	(void)snprintf(text, sizeof text, "a: !file %s/plain", folder);
	p = parse(text);
	CHECK_STR(p.root->child->value, "secret");
	end(&p);
}

TEST(what_is_not_there_is_named)
{
	CHECK(says("a: !env SL_TEST_UNSET", "t.yaml:1:4: a: the environment variable SL_TEST_UNSET "
					    "is not set; start with SL_TEST_UNSET=..., "
					    "or write \"!env SL_TEST_UNSET:-default\"\n"));
	CHECK(says("a: !env 9 lives",
		   "t.yaml:1:4: a: \"9 lives\" is not the name of an environment variable\n"));
	CHECK(says("a: !env ''",
		   "t.yaml:1:4: a: \"\" is not the name of an environment variable\n"));
	CHECK(says("a: !file /nowhere/at/all",
		   "t.yaml:1:4: a: cannot read /nowhere/at/all: No such file or directory\n"));
	CHECK(says("a: !file /", "t.yaml:1:4: a: cannot read /: not a regular file\n"));
	CHECK(says("a: !file ''", "t.yaml:1:4: a: cannot read "));
	CHECK(says("a: !file /dev/zero",
		   "t.yaml:1:4: a: cannot read /dev/zero: not a regular file\n"));
}

TEST(a_file_that_is_no_short_text_is_refused)
{
	char *large = calloc(1, (64 << 10) + 1);

	memset(large, 'x', (64 << 10) + 1);
	write_file("large", large, (64 << 10) + 1);
	write_file("nul", "a\0b", 3);
	write_file("latin1", "caf\xe9", 4);
	free(large);
	CHECK(says("a: !file nul", "t.yaml:1:4: a: the value of \"nul\" is not UTF-8 text\n"));
	CHECK(says("a: !file latin1",
		   "t.yaml:1:4: a: the value of \"latin1\" is not UTF-8 text\n"));
	CHECK(says("a: !file large", "t.yaml:1:4: a: cannot read "));
}

static void remove_folder(void)
{
	static const char *const names[] = {"plain", "newline", "crlf", "two",
					    "empty", "large",	"nul",	"latin1"};
	char path[256];

	for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
}

int main(int argc, char **argv)
{
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = test_run(argc, argv);
	remove_folder();
	return failed;
}
