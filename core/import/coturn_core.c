/*
 * import/coturn_core.c: the process: workers, modules, log, user; and the metrics page.
 */
#include "import/coturn_impl.h"

#include "config/quote.h"

enum { MAX_WORKERS = 32 };

static void write_processes(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *line = coturn_last(f, "relay-threads");
	int64_t n;

	if (!line)
		line = coturn_last(f, "cpus");
	if (!line)
		return;
	n = line->n < 1 ? 1 : line->n;
	if (n > MAX_WORKERS) {
		coturn_say(f, line, COTURN_NEAR, "more than %d workers there are not", MAX_WORKERS);
		n = MAX_WORKERS;
	}
	sl_buf_printf(out, "processes: %lld\n", (long long)n);
}

/* With both switches on coturn serves nothing; then it is stun-only here. */
static void write_modules(struct coturn_file *f, struct sl_buf *out)
{
	bool page = coturn_has_metrics(f), stun = true, turn = true;

	if (coturn_is_on(f, "stun-only"))
		turn = false;
	else if (coturn_is_on(f, "no-stun"))
		stun = false;
	sl_buf_printf(out, "modules: [%s%s%s%s%s]\n", page ? "http, " : "", stun ? "stun" : "",
		      stun && turn ? ", " : "", turn ? "turn-relay" : "", page ? ", metrics" : "");
}

/* ---- the log */

static const char *level_by_name(struct coturn_file *f, const struct coturn_line *line)
{
	static const char *const names[][2] = {
		{"debug", "debug"}, {"info", "info"}, {"warning", "warn"}, {"error", "error"}};

	for (size_t i = 0; i < SL_ARRAY_LEN(names); i++)
		if (sl_str_eq_nocase(line->value, sl_str_c(names[i][0])))
			return names[i][1];
	coturn_say(f, line, COTURN_LOST, "is none of debug, info, warning, error");
	return NULL;
}

static const char *level(struct coturn_file *f)
{
	const struct coturn_line *line = NULL;

	while ((line = coturn_next(f, "Verbose", line)))
		if (line->yes)
			return "debug";
	if (coturn_is_on(f, "verbose"))
		return "info";
	line = coturn_last(f, "log-min-level");
	return line ? level_by_name(f, line) : NULL;
}

static struct sl_str log_path(struct coturn_file *f, const struct coturn_line *line)
{
	if (!coturn_is_on(f, "simple-log"))
		coturn_say(f, line, COTURN_NEAR,
			   "the name is as it stands; coturn puts date and process id into it");
	return coturn_path(f, line);
}

static void write_log(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *file = coturn_last(f, "log-file");
	const char *least = level(f);
	struct sl_str path = SL_STR_NULL;

	if (file && coturn_has_effect(file) && !coturn_is_on(f, "syslog"))
		path = log_path(f, file);
	if (!least && path.len == 0)
		return;
	sl_buf_str(out, SL_STR("log:\n"));
	if (least)
		sl_buf_printf(out, "  level: %s\n", least);
	if (path.len == 0)
		return;
	sl_buf_str(out, SL_STR("  file: "));
	quote_yaml_text(out, path);
	sl_buf_u8(out, '\n');
}

void coturn_write_core(struct coturn_file *f, struct sl_buf *out)
{
	write_processes(f, out);
	write_modules(f, out);
	coturn_write_forms(f, COTURN_CORE, 0, out);
	write_log(f, out);
}

/* ---- metrics */

bool coturn_has_metrics(const struct coturn_file *f)
{
	return coturn_is_on(f, "prometheus") || coturn_is_on(f, "prometheus-tls");
}

void coturn_write_metrics(struct coturn_file *f, struct sl_buf *out)
{
	struct sl_buf body;

	if (!coturn_has_metrics(f))
		return;
	sl_buf_init(&body, 0);
	coturn_write_forms(f, COTURN_METRICS, 2, &body);
	if (body.len > 0)
		sl_buf_str(out, SL_STR("metrics:\n"));
	sl_buf_str(out, sl_buf_view(&body));
	out->failed |= body.failed;
	sl_buf_free(&body);
}
