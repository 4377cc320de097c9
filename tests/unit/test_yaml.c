/*
 * tests/unit/test_yaml.c: text becomes a tree with places; anchors, merges and limits; what is not
 * YAML is told where.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

/* Text alone, without evaluation. */
static struct run parse_str(struct sl_str text)
{
	struct run p = {.pool = sl_pool_new(0)};

	p.errors = conf_errors_new(p.pool);
	sl_buf_init(&p.said, 0);
	p.root = conf_yaml_parse(p.pool, p.errors, "t.yaml", text);
	conf_errors_print(p.errors, &p.said);
	return p;
}

static struct run parse(const char *text)
{
	return parse_str(sl_str_c(text));
}

/* The tree as one line: {a:1,b:[x,y]}. Recurses along test data. */
static void show(struct sl_buf *out, const struct conf_node *n)
{
	static const char open[] = "?[{", close[] = "?]}";

	if (n->kind == CONF_SCALAR) {
		sl_buf_str(out, n->bad ? SL_STR("!") : n->value);
		return;
	}
	sl_buf_u8(out, (uint8_t)open[n->kind]);
	for (const struct conf_node *c = n->child; c; c = c->next) {
		if (n->kind == CONF_MAPPING)
			sl_buf_printf(out, "%.*s:", SL_FMT(c->key));
		show(out, c);
		sl_buf_str(out, c->next ? SL_STR(",") : SL_STR(""));
	}
	sl_buf_u8(out, (uint8_t)close[n->kind]);
}

static bool shows(const struct conf_node *root, const char *want)
{
	struct sl_buf out;
	bool same;

	sl_buf_init(&out, 0);
	if (root)
		show(&out, root);
	same = sl_str_eq(sl_buf_view(&out), sl_str_c(want));
	if (!same)
		printf("# got %.*s\n", SL_FMT(sl_buf_view(&out)));
	sl_buf_free(&out);
	return same;
}

struct tree_case {
	const char *text, *tree;
};

static const struct tree_case tree_cases[] = {
	{"", "{}"},
	{"# nothing\n", "{}"},
	{"---\n...\n", ""},
	{"a: 1\nb:\n  - x\n  - {c: d}\n", "{a:1,b:[x,{c:d}]}"},
	{"a: |\n  one\n  two\n", "{a:one\ntwo\n}"},
	{"\xef\xbb\xbf"
	 "a: 1",
	 "{a:1}"},
	{"a: &x [1, 2]\nb: *x\n", "{a:[1,2],b:[1,2]}"},
	{"a: &x 1\nb: &x 2\nc: *x\n", "{a:1,b:2,c:2}"},
	{"&k a: 1\nb: *k\n*k : 2\n", "!"},
	{"base: &b {x: 1, y: 2}\nnew:\n  <<: *b\n  y: 3\n", "{base:{x:1,y:2},new:{y:3,x:1}}"},
	{"new:\n  y: 3\n  <<: [{x: 1, y: 9}, {x: 8, z: 7}]\n", "{new:{y:3,x:1,z:7}}"},
	{"a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b}\n", "{a:{x:1},b:{y:2,x:1},c:{y:2,x:1}}"},
	{"'<<': 1\n", "{<<:1}"},
	{"a: ! text\n", "{a:text}"},
};

TEST(text_becomes_a_tree)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(tree_cases); i++) {
		struct run p = parse(tree_cases[i].text);

		if (strcmp(tree_cases[i].tree, "!") != 0) {
			CHECK_STR(sl_buf_view(&p.said), "");
			CHECK(shows(p.root, tree_cases[i].tree));
		} else {
			CHECK(conf_n_errors(p.errors) > 0);
		}
		end(&p);
	}
}

TEST(every_node_knows_its_place)
{
	struct run p = parse("a: 1\n\xc3\xa9\xc3\xa9: {b: [x,\n  y]}\n");
	const struct conf_node *e = p.root->child->next, *b = e->child;

	CHECK_INT(p.root->child->at.line, 1);
	CHECK_INT(p.root->child->at.column, 4);
	CHECK_INT(e->key_at.line, 2);
	CHECK_INT(e->key_at.column, 1);
	CHECK_INT(b->key_at.column, 6); /* columns count characters */
	CHECK_INT(b->child->next->at.line, 3);
	CHECK_INT(b->child->next->at.column, 3);
	CHECK_INT(b->n_children, 2);
	CHECK(!p.root->child->quoted);
	end(&p);
}

struct wrong_case {
	const char *text, *said;
};

static const struct wrong_case wrong_cases[] = {
	{"a: [1, 2\nb: 3\n",
	 "t.yaml:2:2: a[2]: did not find expected ',' or ']' while parsing a flow sequence "
	 "that began at line 1, column 4\n"},
	{"a: b: c\n", "t.yaml:1:5: mapping values are not allowed in this context\n"},
	{"a:\n\tb: 1\n", "t.yaml:2:1: a: a tab cannot indent YAML; use spaces\n"},
	{"a: 1\nb: x\xff\n", "t.yaml:2:5: invalid leading UTF-8 octet\n"},
	{"a: 1\n\xc3\xa9: \x01\n", "t.yaml:2:4: control characters are not allowed\n"},
	{"a: 1\nb: 2\na: 3\n", "t.yaml:3:1: a: duplicate key; the first is at line 1, column 1\n"},
	{"s: {a: 1,\n  a: {b: 1}}\n",
	 "t.yaml:2:3: s.a: duplicate key; the first is at line 1, column 5\n"},
	{"a: [x, *no]\n", "t.yaml:1:8: a[1]: alias *no has no anchor before it\n"},
	{"a: &a [*a]\n", "t.yaml:1:8: a[0]: alias *a stands inside of its own anchor\n"},
	{"a: {<<: 3}\n", "t.yaml:1:9: a: \"<<\" takes a mapping, or a list of mappings\n"},
	{"? [a]\n: b\n", "t.yaml:1:3: a key is a single word, not a list or mapping\n"},
	{"a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document begins; one file holds one\n"},
	{"a: \"x\\0y\"\n", "t.yaml:1:4: a: a NUL character has no place in a configuration\n"},
	{"a: !!int 3\n", "t.yaml:1:4: a: unknown tag \"tag:yaml.org,2002:int\"\n"},
	{"a: !evn X\n", "t.yaml:1:4: a: unknown tag \"!evn\"; did you mean \"!env\"?\n"},
	{"a: !env [x]\n", "t.yaml:1:4: a: a list or mapping takes no tag\n"},
};

TEST(what_is_wrong_is_told_with_its_place)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(wrong_cases); i++) {
		struct run p = parse(wrong_cases[i].text);
		struct sl_str said = sl_buf_view(&p.said);
		struct sl_str line = {said.p, strlen(wrong_cases[i].said)};

		CHECK(said.len > line.len);
		CHECK_STR(line, wrong_cases[i].said);
		CHECK_INT(conf_n_errors(p.errors), 1);
		end(&p);
	}
}

TEST(a_duplicate_or_a_bad_alias_does_not_stop_the_rest)
{
	struct run p = parse("a: 1\na: [2, {x: y}]\nb: *no\nc: 3\n");

	CHECK_INT(conf_n_errors(p.errors), 2);
	CHECK(shows(p.root, "{a:1,b:!,c:3}"));
	end(&p);
}

/* n times unit, as an owned text. */
static struct sl_str repeat(const char *unit, size_t n)
{
	size_t len = strlen(unit);
	char *p = malloc(n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(p + i * len, unit, len);
	return (struct sl_str){p, n * len};
}

TEST(depth_is_limited_to_64)
{
	struct sl_str open = repeat("[", 20000);
	struct run p = parse_str(open);

	CHECK(!p.root);
	CHECK(buf_has(&p.said, "t.yaml:1:65: [0][0]"));
	CHECK(buf_has(&p.said, "the document is deeper than 64 levels"));
	end(&p);
	p = parse_str((struct sl_str){open.p, 64}); /* as deep as may be, but never closed */
	CHECK(!buf_has(&p.said, "deeper"));
	end(&p);
	free((char *)open.p);
}

TEST(an_alias_cannot_pass_the_depth_limit)
{
	struct sl_buf text;
	struct run p;

	sl_buf_init(&text, 0);
	sl_buf_printf(&text, "a: &a "
			     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
			     "]]]]]]]]]]]]\n"
			     "b: [[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]]]\n");
	p = parse_str(sl_buf_view(&text));
	CHECK(buf_has(&p.said, "an alias makes the document deeper than 64 levels"));
	end(&p);
	sl_buf_free(&text);
}

TEST(aliases_cannot_multiply_without_end)
{
	struct run p = parse("a: &a [x,x,x,x,x,x,x,x,x,x]\n"
			     "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
			     "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
			     "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
			     "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
			     "f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n");

	CHECK(!p.root);
	CHECK(buf_has(&p.said, "more than 100000 keys and values"));
	end(&p);
}

TEST(size_and_number_of_values_are_limited)
{
	struct sl_str large = repeat("# 345678901234567890123456789012\n", 1 << 17);
	struct sl_str many = repeat("- 1\n", 100001);
	struct run p = parse_str(large);

	CHECK_STR(sl_buf_view(&p.said), "t.yaml:1:1: the text is larger than 4 MiB\n"
					"1 error; configuration not loaded\n");
	end(&p);
	p = parse_str(many);
	CHECK_STR(sl_buf_view(&p.said), "t.yaml:100000:3: [99999]: more than 100000 keys and values, aliases expanded\n"
					"1 error; configuration not loaded\n");
	end(&p);
	free((char *)large.p);
	free((char *)many.p);
}

/* Each key is looked up among all before it: this takes minutes when that is linear. */
TEST(many_keys_are_found_in_constant_time)
{
	struct sl_buf text;
	struct run p;

	sl_buf_init(&text, 0);
	for (unsigned i = 0; i < 49000; i++)
		sl_buf_printf(&text, "key-%u: &a%u\n", i, i);
	p = parse_str(sl_buf_view(&text));
	CHECK_STR(sl_buf_view(&p.said), "");
	CHECK_INT(p.root->n_children, 49000);
	end(&p);
	sl_buf_free(&text);
}

TEST_MAIN()
