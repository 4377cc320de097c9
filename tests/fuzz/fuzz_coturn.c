/*
 * tests/fuzz/fuzz_coturn.c: any text as a configuration of coturn. What comes out is YAML that our own reader takes, with our
 * blocks and no others; texts of the file stand in it as they are, or not at all; no control character reaches a terminal.
 */
#include "lib/coturn.h"

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(const struct sl_buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		sl_assert(b->p[i] == '\n' || (b->p[i] >= 0x20 && b->p[i] != 0x7f));
	sl_assert(sl_str_is_utf8(sl_buf_view(b)));
}

static void check_blocks(const struct conf_node *root)
{
	static const char *const ours[] = {"processes", "modules", "user", "group",   "pid",
					   "log",	"listen",  "stun", "metrics", "turn-relay"};

	for (const struct conf_node *n = root->child; n; n = n->next) {
		bool known = false;

		for (size_t i = 0; i < SL_ARRAY_LEN(ours); i++)
			known |= sl_str_eq(n->key, sl_str_c(ours[i]));
		sl_assert(known);
	}
}

/* The realm, and each secret in turn. */
static void check_texts(const struct coturn_file *f, const struct conf_node *root)
{
	const struct conf_node *relay = conf_yaml_get(root, "turn-relay"), *realm, *secrets;
	const struct coturn_line *line = NULL;

	realm = relay ? conf_yaml_get(relay, "realm") : NULL;
	secrets = relay ? conf_yaml_get(relay, "secrets") : NULL;
	if (realm)
		sl_assert(sl_str_eq(realm->value, coturn_last(f, "realm")->value));
	for (const struct conf_node *n = secrets ? secrets->child : NULL; n; n = n->next) {
		do
			line = coturn_next(f, "static-auth-secret", line);
		while (line && !sl_str_eq(line->value, n->value));
		sl_assert(line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imported i = imported((struct sl_str){(const char *)data, size});
	struct conf_errors *errors = conf_errors_new(i.pool);
	const struct conf_node *root = conf_yaml_parse(i.pool, errors, "made.yaml", sl_buf_view(&i.yaml));

	sl_assert(sl_buf_ok(&i.yaml) == 0 && sl_buf_ok(&i.report) == 0);
	sl_assert(root && conf_n_errors(errors) == 0 && conf_n_warnings(errors) == 0);
	check_clean(&i.yaml);
	check_clean(&i.report);
	check_blocks(root);
	check_texts(&i.file, root);
	imported_free(&i);
	return 0;
}
