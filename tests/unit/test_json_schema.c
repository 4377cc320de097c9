/*
 * tests/unit/test_json_schema.c: tables as JSON Schema.
 */
#include <sluice/json.h>
#include "lib/conf_table.h"
#include "lib/test.h"

static json_t *schema(enum sl_scope scope)
{
	struct sl_buf out;
	char err[128];
	json_t *json;

	sl_buf_init(&out, 0);
	conf_schema_json(&out, &lock, scope);
	json = sl_json_parse(sl_buf_view(&out), 64, err, sizeof err);
	if (!json)
		printf("# %s in %.*s\n", err, SL_FMT(sl_buf_view(&out)));
	sl_buf_free(&out);
	return json;
}

/* The keywords of one directive, without its description. */
static bool says(const json_t *schema, const char *name, const char *want)
{
	json_t *row = json_object_get(json_object_get(schema, "properties"), name);
	char *text;
	bool same;

	json_object_del(row, "description");
	text = json_dumps(row, JSON_COMPACT);
	same = text && strcmp(text, want) == 0;
	if (!same)
		printf("# %s is %s\n", name, text ? text : "missing");
	free(text);
	return same;
}

TEST(each_type_has_its_keywords)
{
	json_t *s = schema(SL_S_MAIN);

	CHECK(s != NULL);
	CHECK(says(s, "fast",
		   "{\"default\":false,\"enum\":[true,false,\"true\",\"false\",\"yes\",\"no\","
		   "\"on\",\"off\"]}"));
	CHECK(says(s, "port",
		   "{\"default\":3478,\"type\":[\"integer\",\"string\"],\"pattern\":\"^-?[0-9]+$\","
		   "\"minimum\":1,"
		   "\"maximum\":65535}"));
	CHECK(says(s, "buffer",
		   "{\"default\":\"64k\",\"type\":[\"integer\",\"string\"],\"pattern\":"
		   "\"^[0-9]+([kKmMgGtT]([iI]?[bB])?)?$\",\"minimum\":4096,\"maximum\":1048576}"));
	CHECK(says(s, "window",
		   "{\"default\":\"300ms\",\"type\":[\"integer\",\"string\"],\"pattern\":"
		   "\"^[0-9]+([mM][sS]|[sSmMhHdD])?$\",\"minimum\":1,\"maximum\":5}"));
	CHECK(says(s, "realm",
		   "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"],\"minLength\":1,"
		   "\"maxLength\":20}"));
	CHECK(says(s, "steering",
		   "{\"default\":\"ports\",\"enum\":[\"auto\",\"ebpf\",\"ports\",\"forward\"]}"));
	CHECK(says(s, "bind",
		   "{\"default\":\"[::]:3478\",\"type\":[\"string\",\"number\",\"boolean\","
		   "\"null\"]}"));
	CHECK(says(s, "allow",
		   "{\"default\":[\"10.0.0.0/8\",\"::1/"
		   "128\"],\"anyOf\":[{\"type\":[\"string\",\"number\","
		   "\"boolean\",\"null\"]},{\"type\":\"array\",\"items\":{\"type\":[\"string\","
		   "\"number\","
		   "\"boolean\",\"null\"]}}]}"));
	json_decref(s);
}

TEST(records_nest_and_tell_what_they_require)
{
	json_t *s = schema(SL_S_MAIN), *tls, *users;

	CHECK(s != NULL);
	tls = json_object_get(json_object_get(s, "properties"), "tls");
	CHECK_INT(json_array_size(json_object_get(tls, "required")), 2);
	CHECK(json_object_get(tls, "additionalProperties") == json_false());
	CHECK(says(tls, "tickets",
		   "{\"default\":true,\"enum\":[true,false,\"true\",\"false\",\"yes\",\"no\","
		   "\"on\",\"off\"]}"));
	users = json_object_get(json_object_get(s, "properties"), "users");
	users = json_object_get(json_array_get(json_object_get(users, "anyOf"), 1), "items");
	CHECK(says(users, "password",
		   "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"],\"minLength\":1,"
		   "\"maxLength\":64,\"writeOnly\":true}"));
	json_decref(s);
}

TEST(a_scope_has_only_its_directives)
{
	json_t *s = schema(SL_S_LISTEN);

	CHECK(s != NULL);
	CHECK_INT(json_object_size(json_object_get(s, "properties")), 4);
	CHECK(json_object_get(json_object_get(s, "properties"), "only_listen") != NULL);
	json_decref(s);
}

TEST(a_word_that_an_editor_reads_otherwise_is_allowed_both_ways)
{
	static const char *const names[] = {"auto", "1.2", "off", "9x", NULL};
	static const struct sl_directive table[] = {{.name = "word",
						     .type = SL_T_ENUM,
						     .scopes = SL_S_MAIN,
						     .bytes = 4,
						     .names = names,
						     .doc = "W."},
						    SL_DIRS_END};
	struct sl_buf out;

	sl_buf_init(&out, 0);
	CHECK_INT(conf_schema_members(&out, &(struct conf_block){"w", table, 4}, SL_S_MAIN), 1);
	CHECK_STR(sl_buf_view(&out),
		  "\"word\":{\"description\":\"W.\",\"enum\":[\"auto\",\"1.2\",1.2,\"off\",false,"
		  "\"9x\"]}");
	sl_buf_free(&out);
}

TEST(members_alone_may_be_joined_with_others)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	sl_buf_str(&out, SL_STR("{"));
	CHECK_INT(conf_schema_members(&out, &lock, SL_S_LISTEN), 4);
	CHECK_INT(conf_schema_members(&out, &(struct conf_block){"none", NULL, 0}, SL_S_MAIN), 0);
	sl_buf_str(&out, SL_STR(",\"x\":{}}"));
	CHECK(sl_str_starts(sl_buf_view(&out),
			    SL_STR("{\"port\":{\"description\":\"Port.\",\"default\":3478,")));
	sl_buf_free(&out);
}

TEST_MAIN()
