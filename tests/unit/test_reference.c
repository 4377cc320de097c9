/*
 * tests/unit/test_reference.c: tables as Markdown.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

TEST(each_directive_has_a_row)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	conf_reference_md(&out, &lock);
	CHECK(sl_str_starts(sl_buf_view(&out),
			    SL_STR("| Directive | Takes | Default | Where | Meaning |\n"
				   "|---|---|---|---|---|\n"
				   "| `fast` | boolean | `false` | main | Speed. |\n")));
	CHECK(buf_has(&out, "| `port` | number, 1 to 65535 | `3478` | main, listen | Port. |\n"));
	CHECK(buf_has(&out, "| `buffer` | size, 4k to 1m | `64k` | main, service | Buffer. |\n"));
	CHECK(buf_has(&out, "| `realm` | text, 2 to 20 bytes |  | main, service | Realm. |\n"));
	CHECK(buf_has(&out, "| `steering` | `auto`, `ebpf`, `ports`, `forward` | `ports` |"));
	CHECK(buf_has(&out, "| `allow` | list of: network | `10.0.0.0/8, ::1/128` |"));
	CHECK(buf_has(&out,
		      "| `secrets` | list of: secret, 1 to 2 of them |  | main | Secrets. |\n"));
	CHECK(buf_has(&out, "| `users[].name` | text | *required* |  | User name. |\n"));
	CHECK(buf_has(&out, "| `tls.tickets` | boolean | `true` |  | Session tickets. |\n"));
	sl_buf_free(&out);
}

struct bar {
	struct sl_str text, empty;
	struct sl_list none;
};
static const struct sl_directive bar_table[] = {
	SL_DIR(struct bar, text, SL_T_STR, SL_S_MAIN, .dflt = "\"a|b\"",
	       .doc = "This | that.\nAnd more."),
	SL_DIR(struct bar, empty, SL_T_STR, SL_S_MAIN, .dflt = "\"\"", .doc = "Nothing."),
	SL_DIR(struct bar, none, SL_T_STR, SL_S_MAIN, .list = true, .dflt = "[]", .doc = "None."),
	SL_DIRS_END};

TEST(a_cell_cannot_break_its_row)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	conf_reference_md(&out, &(struct conf_block){"bar", bar_table, sizeof(struct bar)});
	CHECK(buf_has(&out, "| `text` | text | `a\\|b` | main | This \\| that. And more. |\n"));
	CHECK(buf_has(&out, "| `empty` | text | `\"\"` | main | Nothing. |\n"));
	CHECK(buf_has(&out, "| `none` | list of: text | `[]` | main | None. |\n"));
	sl_buf_free(&out);
}

TEST(each_type_is_explained)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	conf_reference_intro_md(&out);
	CHECK(buf_has(
		&out,
		"| duration | `300ms`, `5s`, `10m`, `2h`, `1d`; a bare number counts seconds |\n"));
	CHECK(buf_has(&out, "| mapping | a mapping with the directives listed below it |\n"));
	CHECK(!buf_has(&out, "(null)"));
	sl_buf_free(&out);
}

TEST_MAIN()
