/*
 * tests/unit/test_check.c: a wrong directive table is refused before anybody's configuration is
 * read by it.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

struct box {
	int64_t number;
	struct sl_str text;
	struct sl_list list;
	bool flag;
};

static bool faults(const struct sl_directive *table, const char *want)
{
	struct conf_block b = {"box", table, sizeof(struct box)};
	char err[256] = "";
	int rc = conf_table_check(&b, err, sizeof err);

	if (rc < 0 && strcmp(err, want) == 0)
		return true;
	printf("# got %d, %s\n", rc, err);
	return false;
}

#define AT(member)                                                                                 \
	.offset = offsetof(struct box, member), .bytes = sizeof(((struct box *)0)->member)
#define ROW(...) ((const struct sl_directive[]){{__VA_ARGS__}, SL_DIRS_END})

TEST(the_tables_of_the_tests_are_right)
{
	char err[256] = "";

	CHECK_INT(conf_table_check(&lock, err, sizeof err), 0);
	CHECK_INT(conf_table_check(&(struct conf_block){"none", NULL, 0}, err, sizeof err), 0);
}

TEST(a_member_must_fit_its_type)
{
	CHECK(faults(
		ROW(.name = "flag", AT(flag), .type = SL_T_INT, .scopes = SL_S_MAIN, .doc = "D."),
		"box: directive \"flag\" fills a member of 1 bytes, but its type has 8"));
	CHECK(faults(ROW(.name = "text", .offset = 0, .bytes = 8, .type = SL_T_STR,
			 .scopes = SL_S_MAIN, .list = true, .doc = "D."),
		     "box: directive \"text\" fills a member of 8 bytes, but its type has 16"));
	CHECK(faults(ROW(.name = "number", .offset = sizeof(struct box), .bytes = 8,
			 .type = SL_T_INT, .scopes = SL_S_MAIN, .doc = "D."),
		     "box: directive \"number\" lies outside of its struct of 48 bytes"));
}

TEST(a_row_must_say_what_it_is)
{
	CHECK(faults(
		ROW(.name = "number", AT(number), .type = 99, .scopes = SL_S_MAIN, .doc = "D."),
		"box: directive \"number\" has an unknown type"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = 0, .doc = "D."),
		     "box: directive \"number\" has no scope, or one that does not fit its table"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = SL_S_RECORD,
			 .doc = "D."),
		     "box: directive \"number\" has no scope, or one that does not fit its table"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN,
			 .doc = "No stop"),
		     "box: directive \"number\" has no sentence of documentation that ends with a "
		     "full stop"));
	CHECK(faults(ROW(.name = "Big Number", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN,
			 .doc = "D."),
		     "box: directive \"Big Number\" has a name that is not of lower case letters, "
		     "digits, '_' and '-'"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN,
			 .doc = "D.", .dflt = "1", .required = true),
		     "box: directive \"number\" is required and has a default"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_ENUM, .scopes = SL_S_MAIN,
			 .doc = "D."),
		     "box: directive \"number\" is a word without names"));
	CHECK(faults(ROW(.name = "list", AT(list), .type = SL_T_RECORD, .scopes = SL_S_MAIN,
			 .list = true, .doc = "D."),
		     "box: directive \"list\" is a mapping without fields or size"));
}

TEST(a_required_directive_of_several_scopes_must_tell_unset_from_zero)
{
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT,
			 .scopes = SL_S_MAIN | SL_S_SERVICE, .required = true, .max = 9,
			 .doc = "D."),
		     "box: directive \"number\" is required in several scopes: its range must "
		     "exclude 0"));
	CHECK(faults(ROW(.name = "flag", AT(flag), .type = SL_T_BOOL,
			 .scopes = SL_S_MAIN | SL_S_SERVICE, .required = true, .doc = "D."),
		     "box: directive \"flag\" is required in several scopes: give it a default "
		     "instead"));
}

TEST(a_default_must_parse_and_lie_in_its_range)
{
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN,
			 .doc = "D.", .dflt = "10", .max = 9),
		     "default of number:1:1: box.number: 10 is not in 0..9"));
	CHECK(faults(ROW(.name = "number", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN,
			 .doc = "D.", .dflt = "\"]"),
		     "default of number:1:3: found unexpected end of stream"));
	CHECK(faults(ROW(.name = "text", AT(text), .type = SL_T_STR, .scopes = SL_S_MAIN,
			 .doc = "D.", .dflt = "[a]"),
		     "default of text:1:1: box.text: wants text, not a list (D.)"));
}

TEST(names_and_members_stand_once)
{
	static const struct sl_directive twice[] = {
		SL_DIR(struct box, number, SL_T_INT, SL_S_MAIN, .doc = "D."),
		SL_DIR(struct box, number, SL_T_INT, SL_S_MAIN, .doc = "D."), SL_DIRS_END};
	static const struct sl_directive shared[] = {
		SL_DIR(struct box, number, SL_T_INT, SL_S_MAIN, .doc = "D."),
		{.name = "other", AT(number), .type = SL_T_INT, .scopes = SL_S_MAIN, .doc = "D."},
		SL_DIRS_END};

	CHECK(faults(twice, "box: directive \"number\" stands twice in its table"));
	CHECK(faults(shared, "box: directive \"other\" shares its member with \"number\""));
}

static const struct sl_directive wrong_field[] = {
	SL_FIELD(struct box, number, SL_T_INT, .dflt = "x", .doc = "D."), SL_DIRS_END};

TEST(fields_of_records_are_checked_too)
{
	CHECK(faults(ROW(.name = "list", AT(list), .type = SL_T_RECORD, .scopes = SL_S_MAIN,
			 .list = true, .fields = wrong_field, .record_bytes = sizeof(struct box),
			 .doc = "D."),
		     "default of number:1:1: list.number: \"x\" is not a whole number"));
	CHECK(faults(ROW(.name = "list", AT(list), .type = SL_T_RECORD, .scopes = SL_S_MAIN,
			 .list = true, .fields = wrong_field, .record_bytes = 4, .doc = "D."),
		     "box: directive \"number\" lies outside of its struct of 4 bytes"));
}

TEST_MAIN()
