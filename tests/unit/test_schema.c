/*
 * tests/unit/test_schema.c: what the operator wrote becomes structs, and what is wrong becomes
 * exact sentences.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

TEST(defaults_fill_what_nobody_set)
{
	struct run r = run("");
	struct lock_conf *c = r.conf;

	CHECK_STR(sl_buf_view(&r.said), "");
	CHECK(!c->fast);
	CHECK_INT(c->port, 3478);
	CHECK_INT(c->level, 0);
	CHECK_INT(c->buffer, 65536);
	CHECK_INT(c->window, 300);
	CHECK(!c->realm.p);
	CHECK_STR(c->dir, "/srv/rec");
	CHECK_INT(c->steering, 2);
	CHECK(!c->match);
	CHECK_INT(c->bind.family, 6);
	CHECK_INT(c->bind.port, 3478);
	CHECK_INT(c->ports.lo, 40000);
	CHECK_INT(c->ports.hi, 49999);
	CHECK_INT(c->allow.n, 2);
	CHECK_INT(SL_LIST_AT(c->allow, struct sl_cidr, 0)->bits, 8);
	CHECK_INT(c->secrets.n, 0);
	CHECK_INT(c->users.n, 0);
	CHECK(c->tls.tickets);
	CHECK(!c->tls.cert.p);
	end(&r);
}

TEST(written_values_get_their_type_from_the_table)
{
	struct run r = run("fast: on\n"
			   "port: 0443\n"
			   "level: -3\n"
			   "buffer: 8KiB\n"
			   "window: 2\n"
			   "realm: 1.50\n"
			   "dir: /var/rec\n"
			   "steering: ebpf\n"
			   "match: '^room-[a-z]+$'\n"
			   "bind: 192.0.2.1:53\n"
			   "ports: 2000 - 2100\n"
			   "allow: [192.0.2.0/24, '2001:db8::/32']\n"
			   "secrets: no\n"
			   "origins: [a, 'b c', ~]\n"
			   "tls: {cert: c.pem, key: k.pem, tickets: false}\n");
	struct lock_conf *c = r.conf;

	CHECK_STR(sl_buf_view(&r.said), "");
	CHECK(c->fast);
	CHECK_INT(c->port, 443);
	CHECK_INT(c->level, -3);
	CHECK_INT(c->buffer, 8192);
	CHECK_INT(c->window, 2000);
	CHECK_STR(c->realm, "1.50");
	CHECK_STR(c->dir, "/var/rec");
	CHECK_INT(c->steering, 1);
	CHECK(sl_regex_match(c->match, SL_STR("room-a")));
	CHECK_INT(c->bind.family, 4);
	CHECK_INT(c->bind.port, 53);
	CHECK_INT(c->ports.lo, 2000);
	CHECK_INT(c->ports.hi, 2100);
	CHECK_INT(c->allow.n, 2);
	CHECK_INT(c->secrets.n, 1);
	CHECK_STR(*SL_LIST_AT(c->secrets, struct sl_str, 0), "no");
	CHECK_STR(*SL_LIST_AT(c->origins, struct sl_str, 2), "~");
	CHECK_STR(c->tls.cert, "/srv/c.pem");
	CHECK(!c->tls.tickets);
	end(&r);
}

TEST(a_list_of_mappings_fills_records_with_their_own_defaults)
{
	struct run r = run("users:\n"
			   "  - {name: ann, password: secret, quota: 1m}\n"
			   "  - name: null\n"
			   "    password: word\n");
	struct user *ann = SL_LIST_AT(r.conf->users, struct user, 0);
	struct user *other = SL_LIST_AT(r.conf->users, struct user, 1);

	CHECK_STR(sl_buf_view(&r.said), "");
	CHECK_INT(r.conf->users.n, 2);
	CHECK_STR(ann->name, "ann");
	CHECK_INT(ann->quota, 1 << 20);
	CHECK_STR(other->name, "null");
	CHECK_INT(other->quota, 65536);
	end(&r);
}

struct number_case {
	const char *text;
	int64_t want;
};

TEST(sizes_count_in_powers_of_1024)
{
	static const struct number_case cases[] = {
		{"buffer: 4096", 4096},	  {"buffer: 4k", 4096},	     {"buffer: 5K", 5120},
		{"buffer: 6kb", 6144},	  {"buffer: 7KiB", 7168},    {"buffer: 1m", 1 << 20},
		{"buffer: 1MB", 1 << 20}, {"buffer: 1mib", 1 << 20},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct run r = run(cases[i].text);

		CHECK_STR(sl_buf_view(&r.said), "");
		CHECK_INT(r.conf->buffer, cases[i].want);
		end(&r);
	}
}

TEST(durations_count_in_milliseconds_and_bare_numbers_in_seconds)
{
	static const struct number_case cases[] = {
		{"window: 20ms", 20},  {"window: 5", 5000},   {"window: 5s", 5000},
		{"idle: 10m", 600000}, {"idle: 2h", 7200000}, {"idle: 1D", 86400000},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct run r = run(cases[i].text);
		bool window = cases[i].text[0] == 'w';

		CHECK_STR(sl_buf_view(&r.said), "");
		CHECK_INT(window ? r.conf->window : r.conf->idle, cases[i].want);
		end(&r);
	}
}

/* One wrong line each: its place and sentence. */
struct wrong_case {
	const char *text, *line;
};

static const struct wrong_case wrong_cases[] = {
	{"fast: maybe", "t.yaml:1:7: fast: \"maybe\" is not true or false"},
	{"port: 70000", "t.yaml:1:7: port: 70000 is not in 1..65535"},
	{"port: 0x10", "t.yaml:1:7: port: \"0x10\" is not a whole number"},
	{"level: 9223372036854775808",
	 "t.yaml:1:8: level: \"9223372036854775808\" is not a whole number"},
	{"buffer: 2k", "t.yaml:1:9: buffer: 2k is not in 4k..1m"},
	{"buffer: 4x", "t.yaml:1:9: buffer: \"4x\" is not a size such as 64k, 2MiB or 1g"},
	{"buffer: 9999999999999g", "t.yaml:1:9: buffer: \"9999999999999g\" is too large"},
	{"buffer: -1", "t.yaml:1:9: buffer: \"-1\" is not a size such as 64k, 2MiB or 1g"},
	{"window: 5 sec",
	 "t.yaml:1:9: window: \"5 sec\" is not a duration such as 300ms, 5s, 10m, 2h or 1d"},
	{"window: 10ms", "t.yaml:1:9: window: 10ms is not in 20ms..5s"},
	{"realm: x", "t.yaml:1:8: realm: its length 1 is not in 2..20 bytes"},
	{"dir: ''", "t.yaml:1:6: dir: a file name cannot be empty"},
	{"steering: autoo", "t.yaml:1:11: steering: \"autoo\" is not one of auto, ebpf, ports, "
			    "forward; did you mean \"auto\"?"},
	{"steering: bird",
	 "t.yaml:1:11: steering: \"bird\" is not one of auto, ebpf, ports, forward"},
	{"match: '['", "t.yaml:1:8: match: missing terminating ] for character class at offset 1"},
	{"bind: nowhere",
	 "t.yaml:1:7: bind: \"nowhere\" is not an address such as 192.0.2.1 or [2001:db8::1]:3478"},
	{"ports: 5001-5000", "t.yaml:1:8: ports: 5001-5000 ends before it begins"},
	{"ports: 80-5000", "t.yaml:1:8: ports: 80-5000 is not in 1024..65535"},
	{"ports: 2000-",
	 "t.yaml:1:8: ports: \"2000-\" is not a port, or a range such as 40000-49999"},
	{"allow: [10.0.0.1/8]", "t.yaml:1:9: allow[0]: \"10.0.0.1/8\" is not a network such as "
				"10.0.0.0/8, without host bits"},
	{"secrets: []", "t.yaml:1:10: secrets: has 0 items; 1..2 are allowed"},
	{"secrest: 1", "t.yaml:1:1: secrest: unknown directive; did you mean \"secrets\"?"},
	{"zebra: 1", "t.yaml:1:1: zebra: unknown directive"},
	{"port:", "t.yaml:1:6: port: has no value; wants a whole number (Port.)"},
	{"realm: [a]", "t.yaml:1:8: realm: wants text, not a list (Realm.)"},
	{"origins: {a: b}", "t.yaml:1:10: origins: wants text, not a mapping (Origins.)"},
	{"tls: x", "t.yaml:1:6: tls: wants a mapping, not a single value (Certificate.)"},
	{"tls: {cert: a}", "t.yaml:1:1: tls: needs \"key\": a file name (Private key, PEM.)"},
	{"users: [x]", "t.yaml:1:9: users[0]: wants a mapping, not a single value (Users.)"},
	{"users: [{name: bob, password: abc}]",
	 "t.yaml:1:31: users[0].password: its length 3 is not in 4..64 bytes"},
	{"users: [{nam: bob, name: b, password: word}]",
	 "t.yaml:1:10: users[0].nam: unknown directive; did you mean \"name\"?"},
	{"only_listen: 1", "t.yaml:1:1: only_listen: has no place here, but in: listen, service"},
	{"[a]", "t.yaml:1:1: wants directives, \"name: value\", not a list"},
	{"\"re\\aalm\": 1", "t.yaml:1:1: re\\x07alm: unknown directive; did you mean \"realm\"?"},
};

TEST(a_wrong_value_is_told_with_place_path_and_sentence)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(wrong_cases); i++) {
		struct run r = run(wrong_cases[i].text);
		struct sl_str said = sl_buf_view(&r.said), line = sl_str_split(&said, '\n');

		CHECK_STR(line, wrong_cases[i].line);
		CHECK_STR(said, "1 error; configuration not loaded\n");
		end(&r);
	}
}

TEST(all_errors_are_told_at_once_in_the_order_of_their_places)
{
	struct run r = run("zebra: 1\n"
			   "port: 0\n"
			   "realm: [a]\n"
			   "fast: 3\n");

	CHECK_STR(sl_buf_view(&r.said), "t.yaml:1:1: zebra: unknown directive\n"
					"t.yaml:2:7: port: 0 is not in 1..65535\n"
					"t.yaml:3:8: realm: wants text, not a list (Realm.)\n"
					"t.yaml:4:7: fast: \"3\" is not true or false\n"
					"4 errors; configuration not loaded\n");
	CHECK_INT(r.conf->port, 3478);
	end(&r);
}

TEST(a_wrong_item_leaves_the_whole_list_at_its_default)
{
	struct run r = run("allow: [192.0.2.0/24, x]");

	CHECK_INT(conf_n_errors(r.errors), 1);
	CHECK_INT(r.conf->allow.n, 2);
	CHECK_INT(SL_LIST_AT(r.conf->allow, struct sl_cidr, 0)->bits, 8);
	end(&r);
}

TEST(a_service_inherits_what_it_does_not_set)
{
	struct run m = run("window: 1s\nrealm: main\nbuffer: 4k\ntls: {cert: c, key: k}\n");
	struct run s = run_in("realm: inner\n", SL_S_SERVICE, m.conf, "services.meet.lock");

	CHECK_STR(sl_buf_view(&s.said), "");
	CHECK_INT(s.conf->window, 1000);
	CHECK_STR(s.conf->realm, "inner");
	CHECK_STR(s.conf->tls.cert, "/srv/c");
	CHECK_STR(m.conf->realm, "main");
	end(&s);
	end(&m);
}

TEST(a_wrong_value_in_a_service_falls_back_to_the_inherited_one)
{
	struct run m = run("window: 1s\n");
	struct run s = run_in("window: 9s\n", SL_S_SERVICE, m.conf, "services.meet.lock");

	CHECK_STR(sl_buf_view(&s.said),
		  "t.yaml:1:9: services.meet.lock.window: 9s is not in 20ms..5s\n"
		  "1 error; configuration not loaded\n");
	CHECK_INT(s.conf->window, 1000);
	end(&s);
	end(&m);
}

struct must {
	struct sl_str name;
	int64_t weight;
};
static const struct sl_directive must_table[] = {
	SL_DIR(struct must, name, SL_T_STR, SL_S_MAIN | SL_S_SERVICE, .required = true,
	       .doc = "Name."),
	SL_DIR(struct must, weight, SL_T_INT, SL_S_MAIN | SL_S_SERVICE, .required = true, .min = 1,
	       .max = 9, .doc = "Weight."),
	SL_DIRS_END};
static const struct conf_block must = {"must", must_table, sizeof(struct must)};

TEST(a_required_directive_may_be_inherited_but_must_be_somewhere)
{
	struct run r = run("");
	struct conf_node *given =
		conf_yaml_parse(r.pool, r.errors, "m.yaml", SL_STR("must: {name: x}"));
	struct conf_node *empty = conf_yaml_parse(r.pool, r.errors, "m.yaml", SL_STR("must:"));
	void *base;

	(void)conf_evaluate(&r.ev, &must, SL_S_MAIN, NULL, NULL, "must", NULL);
	CHECK_INT(conf_n_errors(r.errors), 0); /* not written at all: not in use */
	base = conf_evaluate(&r.ev, &must, SL_S_MAIN, given->child, NULL, "must", NULL);
	CHECK_INT(conf_n_errors(r.errors), 1); /* weight */
	(void)conf_evaluate(&r.ev, &must, SL_S_SERVICE, empty->child, base, "s.must", NULL);
	CHECK_INT(conf_n_errors(r.errors), 2); /* weight again, name is inherited */
	conf_errors_print(r.errors, &r.said);
	CHECK_STR(sl_buf_view(&r.said),
		  "m.yaml:1:1: must: needs \"weight\": a whole number (Weight.)\n"
		  "m.yaml:1:1: s.must: needs \"weight\": a whole number (Weight.)\n"
		  "2 errors; configuration not loaded\n");
	end(&r);
}

TEST(keys_of_others_are_not_unknown_and_are_suggested)
{
	static const char *const also[] = {"turn-relay", "metrics", NULL};
	struct run r = run("");
	struct conf_node *root = conf_yaml_parse(
		r.pool, r.errors, "t.yaml", SL_STR("metrics: {a: b}\nturn-realy: {}\nrecorder:\n"));

	(void)conf_evaluate(&r.ev, &lock, SL_S_MAIN, root, NULL, "", also);
	conf_unknown_key(&r.ev, root->child, "modules", also, "module");
	conf_errors_print(r.errors, &r.said);
	CHECK_STR(sl_buf_view(&r.said),
		  "t.yaml:1:1: modules.metrics: unknown module; did you mean \"metrics\"?\n"
		  "t.yaml:2:1: turn-realy: unknown directive; did you mean \"turn-relay\"?\n"
		  "t.yaml:3:1: recorder: unknown directive; a module's block needs its name in "
		  "\"modules\"\n"
		  "3 errors; configuration not loaded\n");
	end(&r);
}

TEST(a_block_without_directives_may_be_written_empty)
{
	struct run r = run("lock:\n");
	void *conf = conf_evaluate(&r.ev, &lock, SL_S_MAIN, r.root->child, NULL, "lock", NULL);

	CHECK(conf != NULL);
	CHECK_INT(conf_n_errors(r.errors), 1); /* "lock" itself, in the run above */
	end(&r);
}

TEST(evaluation_marks_what_it_has_read)
{
	struct run r = run("realm: ab\nzebra: 1\n");

	CHECK(conf_yaml_get(r.root, "realm")->used);
	CHECK(!conf_yaml_get(r.root, "zebra")->used);
	end(&r);
}

TEST_MAIN()
