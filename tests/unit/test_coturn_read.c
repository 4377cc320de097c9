/*
 * tests/unit/test_coturn_read.c: lines of a coturn configuration, read as coturn reads them.
 */
#include "../lib/test.h"

#include "lib/coturn.h"

static struct coturn_file file;
static struct sl_pool *pool;
static struct sl_buf said;

/* What was said until the next call. */
static void read_text(const char *text, size_t len)
{
	if (pool) {
		sl_buf_free(&said);
		sl_pool_destroy(pool);
	}
	pool = sl_pool_new(0);
	sl_buf_init(&said, 0);
	coturn_file_init(&file, pool, "t.conf", "/etc");
	coturn_read(&file, (struct sl_str){text, len});
	coturn_report(&file, &said);
}

#define READ(text) read_text(text, sizeof text - 1)

static struct sl_str value(const char *name)
{
	const struct coturn_line *line = coturn_last(&file, name);

	return line ? line->value : SL_STR("(none)");
}

TEST(a_value_stands_behind_blanks_or_equals_signs)
{
	static const char *const forms[] = {"realm=x y", "realm x y", "realm = x y", "  realm\tx y  ", "realm == x y\r\n",
					    "realm=\"x y\"", "realm \"x y\"  ", "\n\nrealm=\"x y\n"};

	for (size_t i = 0; i < SL_ARRAY_LEN(forms); i++) {
		read_text(forms[i], strlen(forms[i]));
		CHECK_STR(value("realm"), "x y");
		CHECK_INT(said.len, 0);
	}
}

TEST(comments_and_empty_lines_say_nothing)
{
	READ("# realm=a\n\n   \t\n  #realm=b\n");
	CHECK_INT(file.n_lines, 0);
	CHECK_INT(said.len, 0);
}

TEST(of_repeated_lines_the_last_counts)
{
	READ("realm=a\nuser=x:1\nrealm=b\nuser=y:2\n");
	CHECK_STR(value("realm"), "b");
	CHECK_STR(coturn_next(&file, "user", NULL)->value, "x:1");
	CHECK_STR(coturn_next(&file, "user", coturn_next(&file, "user", NULL))->value, "y:2");
	CHECK(!coturn_next(&file, "user", coturn_last(&file, "user")));
	CHECK_INT(coturn_last(&file, "user")->number, 4);
}

TEST(two_names_of_one_option_are_one)
{
	READ("userdb=/a\ndb=/b\nprod\n");
	CHECK_STR(value("userdb"), "/b");
	CHECK(coturn_is_on(&file, "no-software-attribute"));
}

TEST(a_flag_has_the_words_of_coturn)
{
	static const struct {
		const char *line;
		bool on;
	} rows[] = {{"mobility", true},	    {"mobility=1", true},   {"mobility=yes", true}, {"mobility=true", true},
		    {"mobility=on", true},  {"mobility=t", true},   {"mobility=0", false},  {"mobility=no", false},
		    {"mobility=off", false}, {"mobility=F", false}, {"mobility=Nothing", false}};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		read_text(rows[i].line, strlen(rows[i].line));
		CHECK_INT(coturn_is_on(&file, "mobility"), rows[i].on);
		CHECK_INT(said.len, 0);
	}
	READ("mobility # for phones\n");
	CHECK_INT(file.n_lines, 0);
	CHECK_STR(sl_buf_view(&said),
		  "t.conf:1: mobility: not carried over: is neither yes nor no, and coturn does not start with it\n");
}

TEST(a_switch_is_on_whatever_it_says)
{
	READ("use-auth-secret=no\n");
	CHECK(coturn_is_on(&file, "use-auth-secret"));
	CHECK_STR(sl_buf_view(&said), "t.conf:1: use-auth-secret: nearly: is on: coturn does not look at its value\n");
}

TEST(numbers_end_where_their_digits_do)
{
	READ("user-quota=12 # each\n");
	CHECK_INT(coturn_number(&file, "user-quota", -1), 12);
	CHECK_STR(sl_buf_view(&said),
		  "t.conf:1: user-quota: nearly: coturn reads 12 of it, and not what stands behind\n");
	READ("user-quota=twelve\nmax-port=-1\nmin-port\nmax-bps=99999999999999999999\n");
	CHECK_INT(file.n_lines, 0);
	CHECK_INT(coturn_n_remarks(&file, COTURN_LOST), 4);
	READ("stale-nonce\nmax-allocate-lifetime=\n");
	CHECK_INT(file.n_lines, 0);
	CHECK_INT(said.len, 0);
}

TEST(no_value_is_told_where_one_is_needed)
{
	READ("realm\nstatic-auth-secret=\nuser=\"\"\n");
	CHECK_INT(file.n_lines, 0);
	CHECK_INT(coturn_n_remarks(&file, COTURN_LOST), 3);
}

TEST(an_unknown_name_is_told_with_what_it_may_be)
{
	static const struct {
		const char *line, *said;
	} rows[] = {
		{"listning-port=1", "t.conf:1: \"listning-port\" is not an option of coturn's files, which skips this line; did you mean "
				    "\"listening-port\"?\n"},
		{"p=1", "t.conf:1: \"p\" is not an option of coturn's files, which skips this line; did you mean \"listening-port\"?\n"},
		{"--db=x", "t.conf:1: \"--db\" is not an option of coturn's files, which skips this line; did you mean \"db\"? (in a file, "
			   "without dashes)\n"},
		{"-v", "t.conf:1: \"-v\" is not an option of coturn's files, which skips this line; did you mean \"verbose\"? (in a file, "
		       "without dashes)\n"},
		{"=x", "t.conf:1: \"\" is not an option of coturn's files, which skips this line\n"},
		{"wholly-unlike-anything", "t.conf:1: \"wholly-unlike-anything\" is not an option of coturn's files, which skips this line\n"},
		{"\x1b[2J\xe2\x80\xa8x: \xff", "t.conf:1: \"\\u001b[2J\\u2028x:\" is not an option of coturn's files, which skips this line\n"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		read_text(rows[i].line, strlen(rows[i].line));
		CHECK_STR(sl_buf_view(&said), rows[i].said);
	}
}

TEST(what_looks_like_a_comment_is_told_to_be_none)
{
	READ("realm=example.org # ours\n");
	CHECK_STR(value("realm"), "example.org # ours");
	CHECK_INT(coturn_n_remarks(&file, COTURN_NEAR), 1);
	READ("static-auth-secret=a#b\nrealm=x;\n");
	CHECK_STR(value("static-auth-secret"), "a#b");
	CHECK_STR(sl_buf_view(&said), "t.conf:2: realm: nearly: the semicolon belongs to the value\n");
}

TEST(lines_that_coturn_would_cut_are_left_out)
{
	char line[1100] = "realm=";

	memset(line + 6, 'x', sizeof line - 6);
	read_text(line, 1022);
	CHECK_INT(file.n_lines, 1);
	read_text(line, 1023);
	CHECK_INT(file.n_lines, 0);
	CHECK_INT(coturn_n_remarks(&file, COTURN_LOST), 1);
	READ("realm=a\0b\n");
	CHECK_INT(file.n_lines, 0);
}

TEST(many_lines_fit)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	for (unsigned i = 0; i < 5000; i++)
		sl_buf_printf(&text, "user=u%u:p\nnonsense%u\n", i, i);
	read_text((const char *)text.p, text.len);
	CHECK_INT(file.n_lines, 5000);
	CHECK_INT(file.n_remarks, 5000);
	CHECK_STR(file.lines[4999].value, "u4999:p");
	CHECK_INT(file.remarks[4999].line, 10000);
	sl_buf_free(&text);
}

TEST(the_table_is_whole)
{
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++) {
		CHECK(o->note && o->note[0]);
		CHECK(o->fate < COTURN_N_FATES && o->block < COTURN_N_BLOCKS);
		CHECK(!o->form || (o->directives && !strchr(o->directives, ' ')));
		CHECK(o->form != COTURN_AS_NUMBER || o->max > o->min);
		CHECK(o->fate == COTURN_SAME || !o->form || o->fate == COTURN_NEAR);
		if (o->name && o->arg != COTURN_COMMAND)
			CHECK(coturn_option_find(sl_str_c(o->name)) == o);
		if (o->also)
			CHECK(coturn_option_find(sl_str_c(o->also)) == o);
	}
}

TEST_MAIN()
