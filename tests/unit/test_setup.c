/*
 * test_setup.c: a whole configuration becomes listeners and services, or all of its errors.
 */
#include "../lib/test.h"
#include "session/setup.h"

#include <sluice/regex.h>

struct loaded {
	struct sl_pool *pool;
	struct setup *s;
	int rc;
	struct sl_buf said;
};

static void load_with(struct loaded *l, const char *text, const char *const *overrides, unsigned n)
{
	const struct setup_input in = {.prefix = "/tmp",
				       .file = "x.yaml",
				       .text = sl_str_c(text),
				       .overrides = overrides,
				       .n_overrides = n};

	*l = (struct loaded){.pool = sl_pool_new(0)};
	sl_buf_init(&l->said, 0);
	l->rc = setup_load(l->pool, &in, &l->s);
	conf_errors_print(l->s->errors, &l->said);
	sl_buf_u8(&l->said, '\0');
}

static void load(struct loaded *l, const char *text)
{
	load_with(l, text, NULL, 0);
}

static void unload(struct loaded *l)
{
	sl_buf_free(&l->said);
	sl_pool_destroy(l->pool);
}

static bool says(const struct loaded *l, const char *words)
{
	return strstr((const char *)l->said.p, words) != NULL;
}

TEST(addresses_become_listeners_with_names)
{
	char text[SL_ADDR_STRLEN];
	struct loaded l;

	load(&l,
	     "processes: 3\n"
	     "listen:\n"
	     "  - {name: a, udp: [\"127.0.0.1:1000\", \"[::1]:1001\"], tcp: \"127.0.0.1:1000\"}\n"
	     "  - {udp: \"127.0.0.1:1002\", steering: forward}\n");
	CHECK_INT(l.rc, 0);
	CHECK_INT(l.s->n_workers, 3);
	CHECK_INT(l.s->n_listeners, 4);
	CHECK_STR(sl_str_c(l.s->listeners[1].name), "a");
	CHECK_STR(sl_str_c(sl_addr_format(text, &l.s->listeners[1].spec.addr)), "[::1]:1001");
	CHECK(l.s->listeners[0].spec.udp && !l.s->listeners[2].spec.udp);
	CHECK_STR(sl_str_c(l.s->listeners[3].name), "udp-1002");
	CHECK_INT(l.s->listeners[3].spec.steering, STEER_FORWARD);
	unload(&l);
}

TEST(a_star_stands_for_every_address_of_the_host)
{
	bool loopback = false;
	struct loaded l;

	load(&l, "listen: [{udp: \"*:1000\"}]");
	CHECK_INT(l.rc, 0);
	CHECK(l.s->n_listeners >= 1);
	for (unsigned i = 0; i < l.s->n_listeners; i++) {
		const struct sl_addr *a = &l.s->listeners[i].spec.addr;

		CHECK_INT(a->port, 1000);
		CHECK(sl_addr_classify(a) != SL_ADDR_UNSPECIFIED);
		loopback |= sl_addr_classify(a) == SL_ADDR_LOOPBACK;
	}
	CHECK(loopback);
	unload(&l);
}

TEST(services_keep_their_pattern)
{
	struct loaded l;

	load(&l, "listen: [{udp: \"127.0.0.1:1\"}]\n"
		 "services: {meet: {match: \"^room-[a-z]+$\"}, rest: {match: .*}}\n");
	CHECK_INT(l.rc, 0);
	CHECK_INT(l.s->n_services, 2);
	CHECK_STR(sl_str_c(l.s->services[0].name), "meet");
	CHECK(sl_regex_match(l.s->services[0].match, SL_STR("room-a")));
	CHECK(!sl_regex_match(l.s->services[0].match, SL_STR("room-1")));
	unload(&l);
}

TEST(overrides_are_part_of_the_configuration)
{
	static const char *const overrides[] = {"processes: 7", "log.level: debug"};
	struct loaded l;

	load_with(&l, "processes: 2\nlisten: [{udp: \"127.0.0.1:1\"}]\n", overrides, 2);
	CHECK_INT(l.rc, 0);
	CHECK_INT(l.s->n_workers, 7);
	CHECK_INT(l.s->core->log.level, SL_LOG_DEBUG);
	unload(&l);
}

TEST(wrong_configurations_are_told_with_place_and_reason)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"processes: 2\n", "a list of listeners is needed"},
		{"listen: 5\n", "x.yaml:1:"},
		{"listen: [5]\n", "is not a mapping"},
		{"listen: [{name: a}]\n", "has neither udp nor tcp"},
		{"listen: [{udp: here}]\n", "is not ADDRESS:PORT"},
		{"listen: [{udp: \"127.0.0.1:0\"}]\n", "is not ADDRESS:PORT"},
		{"listen: [{udp: \"*:70000\"}]\n", "not in 1..65535"},
		{"listen: [{udp: \"*:\"}]\n", "not in 1..65535"},
		{"listen: [{name: a, udp: \"127.0.0.1:1\"}, {udp: \"127.0.0.1:1\"}]\n",
		 "is taken by listener \"a\" already"},
		{"listen: [{tcp: \"127.0.0.1:1\", tls: {cert: x.pem}}]\n", "tls.key"},
		{"listen: [{udp: \"127.0.0.1:1\", stearing: auto}]\n", "did you mean \"steering\""},
		{"processes: many\nlisten: [{udp: \"127.0.0.1:1\"}]\n",
		 "neither auto nor a number"},
		{"processes: 33\nlisten: [{udp: \"127.0.0.1:1\"}]\n", "neither auto nor a number"},
		{"modules: [odd]\nlisten: [{udp: \"127.0.0.1:1\"}]\n", "x.yaml:1:11: modules[0]"},
		{"modules: [odd, odd]\nlisten: [{udp: \"127.0.0.1:1\"}]\n", "in the list already"},
		{"listen: [{udp: \"127.0.0.1:1\"}]\nservices: {a: {}}\n", "match"},
		{"listen: [{udp: \"127.0.0.1:1\"}]\nservices: 5\n", "is not a mapping"},
		{"listen: [{udp: \"127.0.0.1:1\"}]\nservices: {a: {match: \"(\"}}\n", "x.yaml:2:"},
		{"listen: [\n", "x.yaml:"},
		{"", "x.yaml"},
	};
	struct loaded l;

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		load(&l, cases[i].text);
		if (l.rc != -SL_ECONF || !says(&l, cases[i].words))
			TEST_FAIL("%s gave %d:\n# %s", cases[i].text, l.rc, (const char *)l.said.p);
		unload(&l);
	}
}

TEST(all_errors_come_at_once)
{
	struct loaded l;

	load(&l, "processes: 0\nnonsense: 1\nmodules: [odd]\nlisten: [{udp: x}, {tcp: y}]\n");
	CHECK_INT(l.rc, -SL_ECONF);
	CHECK_INT(conf_n_errors(l.s->errors), 5);
	CHECK(says(&l, "5 errors; configuration not loaded"));
	unload(&l);
}

TEST(more_listeners_than_there_is_room_for_are_refused)
{
	struct sl_buf text;
	struct loaded l;

	sl_buf_init(&text, 0);
	sl_buf_printf(&text, "listen:\n");
	for (unsigned i = 0; i <= SETUP_MAX_LISTENERS; i++)
		sl_buf_printf(&text, "  - {udp: \"127.0.0.1:%u\"}\n", 1000 + i);
	sl_buf_u8(&text, '\0');
	load(&l, (const char *)text.p);
	CHECK_INT(l.rc, -SL_ECONF);
	CHECK(says(&l, "more than 256 listening addresses"));
	CHECK_INT(l.s->n_listeners, SETUP_MAX_LISTENERS);
	unload(&l);
	sl_buf_free(&text);
}

TEST(what_is_dumped_reads_back_the_same)
{
	struct loaded first, second;
	struct sl_buf dump, again;

	sl_buf_init(&dump, 0);
	sl_buf_init(&again, 0);
	load(&first, "processes: 2\nlisten: [{name: a, udp: \"127.0.0.1:1\", backlog: 7}]\n"
		     "services: {meet: {match: \"^a$\"}}\n");
	setup_dump(first.s, &dump);
	sl_buf_u8(&dump, '\0');
	load(&second, (const char *)dump.p);
	CHECK_INT(second.rc, 0);
	setup_dump(second.s, &again);
	CHECK_STR(sl_buf_view(&again), (const char *)dump.p);
	unload(&first);
	unload(&second);
	sl_buf_free(&dump);
	sl_buf_free(&again);
}

TEST_MAIN()
