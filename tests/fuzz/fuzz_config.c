/*
 * tests/fuzz/fuzz_config.c: any text as a configuration, and as a -g override behind its first NUL.
 *
 * Parsed, overridden, evaluated by a table with every type, as the main block and as a service that
 * inherits. Whatever is accepted must dump to a text that is accepted and dumps to the same again.
 */
#include "lib/conf_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate(struct run *r, struct sl_str text, struct sl_str override)
{
	r->pool = sl_pool_new(0);
	r->errors = conf_errors_new(r->pool);
	r->ev = (struct conf_eval){.pool = r->pool, .errors = r->errors, .prefix = "/srv"};
	sl_buf_init(&r->said, 0);
	r->root = conf_yaml_parse(r->pool, r->errors, "fuzz.yaml", text);
	if (r->root && override.p)
		(void)conf_yaml_override(r->pool, r->errors, r->root, 1, override); /* reported */
	r->conf = conf_evaluate(&r->ev, &lock, SL_S_MAIN, r->root, NULL, "", NULL);
}

static void evaluate_service(struct run *r)
{
	(void)conf_evaluate(&r->ev, &lock, SL_S_SERVICE, r->root, r->conf, "service", NULL);
	conf_errors_print(r->errors, &r->said);
	sl_assert(conf_n_errors(r->errors) == 0 || r->said.len > 0);
}

static struct sl_buf dump(const struct run *r)
{
	struct sl_buf out;

	sl_buf_init(&out, 0);
	conf_dump(&out, &lock, SL_S_MAIN, r->conf, 0);
	sl_assert(!sl_buf_ok(&out));
	return out;
}

static void read_back(const struct run *r)
{
	struct sl_buf first = dump(r), second;
	struct run again;

	evaluate(&again, sl_buf_view(&first), SL_STR_NULL);
	sl_assert(conf_n_errors(again.errors) == 0);
	second = dump(&again);
	sl_assert(sl_str_eq(sl_buf_view(&first), sl_buf_view(&second)));
	sl_buf_free(&first);
	sl_buf_free(&second);
	end(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str override = {(const char *)data, size}, text = sl_str_split(&override, '\0');
	struct run r;

	evaluate(&r, text, override);
	if (conf_n_errors(r.errors) == 0)
		read_back(&r);
	evaluate_service(&r);
	end(&r);
	return 0;
}
