/*
 * events.c: a module for the tests of turn-relay: writes the allocation events of the bus to the
 * log's descriptor, one line each, as a module for accounting would send them elsewhere.
 *
 * Built by the test against the public headers alone.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sluice/module.h>

static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	char line[4096];
	int n;

	(void)ctx;
	if (ev->kind != SL_EV_USER || strncmp(ev->name, "turn.", 5) != 0)
		return SL_OK;
	n = snprintf(line, sizeof line, "EVENT %s %.*s\n", ev->name, SL_FMT(ev->text));
	if (n < 0 || (size_t)n >= sizeof line || write(STDERR_FILENO, line, (size_t)n) != n)
		sl_log(SL_LOG_ALERT, "events", "an event could not be written");
	return SL_OK;
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	(void)conf;
	*ret_ctx = w;
	return 0;
}

static const struct sl_hook hooks[] = {SL_ON_EVENT(SL_NORMAL, on_event), SL_HOOKS_END};

SL_MODULE(events, .name = "events", .version = "1.0", .summary = "writes allocation events",
	  .hooks = hooks, .worker_start = worker_start);
