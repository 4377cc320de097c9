/*
 * tests/unit/test_dump.c: the effective configuration as YAML, which reads back to the same.
 */
#include "lib/conf_table.h"
#include "lib/test.h"

static struct sl_buf dumped(const struct run *r, enum sl_scope scope, unsigned indent)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	conf_dump(&out, &lock, scope, r->conf, indent);
	return out;
}

TEST(the_dump_shows_what_is_in_effect)
{
	struct run r = run("realm: \"a b\"\n"
			   "level: -3\n"
			   "match: '^a$'\n"
			   "secrets: [one, two]\n"
			   "users: [{name: ann, password: longer, quota: 3k}]\n"
			   "tls: {cert: c.pem, key: k.pem}\n");
	struct sl_buf out = dumped(&r, SL_S_MAIN, 2);

	CHECK_STR(sl_buf_view(&out), "  fast: false\n"
				     "  port: 3478\n"
				     "  level: -3\n"
				     "  buffer: 64k\n"
				     "  window: 300ms\n"
				     "  idle: 0\n"
				     "  realm: \"a b\"\n"
				     "  dir: /srv/rec\n"
				     "  steering: ports\n"
				     "  match: \"^a$\"\n"
				     "  bind: \"[::]:3478\"\n"
				     "  ports: 40000-49999\n"
				     "  allow: [10.0.0.0/8, \"::1/128\"]\n"
				     "  secrets: [\"***\", \"***\"]\n"
				     "  users:\n"
				     "    - name: ann\n"
				     "      password: \"****\"\n"
				     "      quota: 3k\n"
				     "  origins: []\n"
				     "  tls:\n"
				     "    cert: /srv/c.pem\n"
				     "    key: /srv/k.pem\n"
				     "    tickets: true\n");
	sl_buf_free(&out);
	end(&r);
}

TEST(what_cannot_stand_in_a_scope_is_not_shown_there)
{
	struct run r = run("");
	struct sl_buf out = dumped(&r, SL_S_LISTEN, 0);

	CHECK_STR(sl_buf_view(&out), "port: 3478\nonly_listen: 0\nsteering: ports\n");
	sl_buf_free(&out);
	end(&r);
}

/* Dumps, reads that, dumps again. */
static bool reads_back(const char *text)
{
	struct run first = run(text), second;
	struct sl_buf a = dumped(&first, SL_S_MAIN, 0), b;
	bool same;

	sl_buf_u8(&a, '\0');
	second = run((const char *)a.p);
	b = dumped(&second, SL_S_MAIN, 0);
	sl_buf_u8(&b, '\0');
	same = first.said.len == 0 && second.said.len == 0 &&
	       sl_str_eq(sl_buf_view(&a), sl_buf_view(&b));
	if (!same)
		printf("# %.*s%.*s%s---\n%s\n", SL_FMT(sl_buf_view(&first.said)),
		       SL_FMT(sl_buf_view(&second.said)), a.p, b.p);
	sl_buf_free(&a);
	sl_buf_free(&b);
	end(&first);
	end(&second);
	return same;
}

TEST(a_dump_reads_back_to_the_same)
{
	static const char *const texts[] = {
		"",
		"fast: on\nport: 1\nbuffer: 4097\nwindow: 1001ms\nidle: 90m\nlevel: "
		"-9223372036854775808",
		"idle: 36h\nbuffer: 1m\nsteering: auto\nbind: 192.0.2.1\nports: 2000",
		"realm: 'a: b'\norigins: ['', \"x\\ty\\nz\", '\"q\"', 'back\\slash', '- a', '[', "
		"'null', '007', ' s ']",
		"origins: [\"\\u2028\", \"\\u0085\", \"\\ufeff\", \"\\x7f\", \"\\U0001f600\", "
		"\"\xc3\xa9\", '...', '---']",
		"allow: []\norigins: one",
		"users: [{name: '#', password: '****', quota: 0}, {name: b, password: word}]",
		"tls: {cert: /c, key: '/k e y', tickets: off}",
		"match: '^(a|b)\\d{2}$'",
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(texts); i++)
		CHECK(reads_back(texts[i]));
}

TEST_MAIN()
