/*
 * metrics: the node's counters as an OpenMetrics page, and two pages for load balancers.
 *
 * Any worker answers for the whole node, since counters and process states are in shared memory.
 * The pages are made anew for each request and keep nothing.
 */
#include <stdlib.h>
#include "metrics.h"

#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define MAX_WORKERS 512
#define NO_STORE SL_STR("Cache-Control: no-store\r\n")

static const struct sl_directive directives[] = {
	SL_DIR(struct metrics_conf, path, SL_T_STR, SL_S_MAIN, .dflt = "/metrics", .min = 1,
	       .max = 255, .doc = "Path of the OpenMetrics page."),
	SL_DIR(struct metrics_conf, health_path, SL_T_STR, SL_S_MAIN, .dflt = "/healthz", .min = 1,
	       .max = 255,
	       .doc = "Path that answers 200 while the worker that got the request runs."),
	SL_DIR(struct metrics_conf, ready_path, SL_T_STR, SL_S_MAIN, .dflt = "/readyz", .min = 1,
	       .max = 255,
	       .doc = "Path that answers 200 while the whole current generation serves, else 503, "
		      "with the reason as JSON."),
	SL_DIR(struct metrics_conf, allow, SL_T_CIDR, SL_S_MAIN, .list = true, .dflt = "[]",
	       .max = 256,
	       .doc = "Who may read the OpenMetrics page; empty: everybody who reaches the port."),
	SL_DIR(struct metrics_conf, per_worker, SL_T_BOOL, SL_S_MAIN, .dflt = "yes",
	       .doc = "One series per process slot; no: sums over all slots."),
	SL_DIRS_END,
};

enum { M_SCRAPES, M_DENIED };

static const struct sl_metric metrics[] = {
	SL_COUNTER(scrapes, "OpenMetrics pages made."),
	SL_COUNTER(denied,
		   "Requests for the OpenMetrics page from addresses that may not read it."),
	SL_METRICS_END,
};

static const char *const needs[] = {"http", NULL};

static bool allowed(const struct metrics_conf *conf, const struct sl_addr *from)
{
	for (size_t i = 0; i < conf->allow.n; i++)
		if (sl_cidr_has(SL_LIST_AT(conf->allow, struct sl_cidr, i), from))
			return true;
	return conf->allow.n == 0;
}

static int write_samples(const struct metrics *m, struct sl_buf *out)
{
	struct samples samples;
	bool failed;

	samples_init(&samples);
	sl_stats_metrics(m->w, samples_add, &samples);
	samples_sort(&samples);
	failed = samples.failed;
	if (!failed)
		om_samples(out, &samples, m->conf->per_worker);
	samples_free(&samples);
	return failed ? -SL_ENOMEM : 0;
}

static struct node_state look(const struct metrics *m, struct sl_stats_worker *workers)
{
	return (struct node_state){
		.workers = workers,
		.n = sl_stats_workers(m->w, workers, MAX_WORKERS),
		.generation = sl_stats_generation(m->w),
		.now_ms = sl_loop_ms(m->w->loop),
	};
}

static int write_page(const struct metrics *m, struct sl_buf *out)
{
	struct sl_stats_worker *workers = calloc(MAX_WORKERS, sizeof *workers);
	uint32_t counts[SL_N_KINDS];
	struct node_state node;

	if (!workers || write_samples(m, out) < 0) {
		free(workers);
		return -SL_ENOMEM;
	}
	node = look(m, workers);
	om_workers(out, &node);
	sl_stats_sessions(m->w, counts);
	om_sessions(out, counts);
	sl_buf_str(out, SL_STR("# EOF\n"));
	free(workers);
	return sl_buf_ok(out);
}

/* A respond that fails has no client any more, so its result is not looked at. */
static void on_metrics(void *arg, struct sl_http_req *r)
{
	struct metrics *m = arg;
	struct sl_buf page;

	if (!allowed(m->conf, m->http->remote(r))) {
		sl_count(&m->m[M_DENIED]);
		(void)m->http->respond(r, 403, "text/plain", SL_STR_NULL, SL_STR("not for you\n"));
		return;
	}
	sl_count(&m->m[M_SCRAPES]);
	sl_buf_init(&page, 0);
	if (write_page(m, &page) < 0)
		(void)m->http->respond(r, 503, "text/plain", SL_STR_NULL,
				       SL_STR("out of memory\n"));
	else
		(void)m->http->respond(r, 200, CONTENT_TYPE, NO_STORE, sl_buf_view(&page));
	sl_buf_free(&page);
}

static void on_health(void *arg, struct sl_http_req *r)
{
	struct metrics *m = arg;

	(void)m->http->respond(r, 200, "text/plain", NO_STORE, SL_STR("ok\n"));
}

static void on_ready(void *arg, struct sl_http_req *r)
{
	struct metrics *m = arg;
	struct sl_stats_worker *workers = calloc(MAX_WORKERS, sizeof *workers);
	struct node_state node;
	struct sl_buf json;
	char sentence[96];
	bool ready;

	if (!workers) {
		(void)m->http->respond(r, 503, "text/plain", NO_STORE, SL_STR("out of memory\n"));
		return;
	}
	node = look(m, workers);
	ready = health_is_ready(&node, sentence, sizeof sentence);
	sl_buf_init(&json, 0);
	health_json(&json, &node, ready, sl_str_c(sentence));
	(void)m->http->respond(r, ready ? 200 : 503, "application/json", NO_STORE,
			       sl_buf_view(&json));
	sl_buf_free(&json);
	free(workers);
}

static int add_routes(struct metrics *m, void *http_self)
{
	const struct {
		struct sl_str path;
		sl_http_fn *fn;
	} routes[] = {{m->conf->path, on_metrics},
		      {m->conf->health_path, on_health},
		      {m->conf->ready_path, on_ready}};

	for (size_t i = 0; i < SL_ARRAY_LEN(routes); i++) {
		int rc = m->http->route(http_self, "GET", routes[i].path.p, routes[i].fn, m);

		if (rc < 0) {
			sl_log(SL_LOG_ERROR, "metrics", "the path %.*s: %s", SL_FMT(routes[i].path),
			       sl_strerror(rc));
			return rc;
		}
	}
	return 0;
}

static int check(struct sl_conf *c, void *conf)
{
	const struct metrics_conf *mc = conf;
	const struct {
		const char *name;
		struct sl_str path;
	} paths[] = {{"path", mc->path},
		     {"health_path", mc->health_path},
		     {"ready_path", mc->ready_path}};

	for (size_t i = 0; i < SL_ARRAY_LEN(paths); i++) {
		if (paths[i].path.len == 0 || paths[i].path.p[0] != '/')
			sl_conf_error(c, paths[i].name, "\"%.*s\" does not begin with /",
				      SL_FMT(paths[i].path));
		for (size_t j = 0; j < i; j++)
			if (sl_str_eq(paths[i].path, paths[j].path))
				sl_conf_error(c, paths[i].name, "\"%.*s\" is the %s, too",
					      SL_FMT(paths[i].path), paths[j].name);
	}
	return 0;
}

static void worker_stop(void *ctx)
{
	free(ctx);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct metrics *m = calloc(1, sizeof *m);
	void *http_self;
	int rc;

	if (!m)
		return -SL_ENOMEM;
	*m = (struct metrics){.w = w, .conf = conf, .m = sl_worker_meters(w, "metrics")};
	m->http = sl_iface_get(w, "http", 1, &http_self);
	if (!m->http) {
		sl_log(SL_LOG_ERROR, "metrics", "the module http does not run here");
		free(m);
		return -SL_ENOENT;
	}
	rc = add_routes(m, http_self);
	if (rc < 0) {
		free(m);
		return rc;
	}
	*ret_ctx = m;
	return 0;
}

SL_MODULE(metrics, .name = "metrics", .version = "1.0",
	  .summary = "OpenMetrics page and health checks", .needs = needs, .directives = directives,
	  .conf_size = sizeof(struct metrics_conf), .metrics = metrics, .check = check,
	  .worker_start = worker_start, .worker_stop = worker_stop);
