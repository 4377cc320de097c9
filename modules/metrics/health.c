/*
 * metrics/health.c: is this node ready for new work?
 *
 * Ready means: every worker of the current generation serves, and its loop has turned lately.
 * Workers of older generations that drain do not matter. Pure: it is told who runs.
 */
#include <stdio.h>
#include "metrics.h"

#define HANGS_AFTER_MS 5000

/* Why this worker does not serve; NULL: it does. */
static const char *complaint(const struct sl_stats_worker *w, uint64_t now_ms)
{
	if (!w->serving)
		return w->state;
	return w->heartbeat_ms + HANGS_AFTER_MS < now_ms ? "hanging" : NULL;
}

bool health_is_ready(const struct node_state *node, char *sentence, size_t cap)
{
	unsigned serving = 0;

	for (unsigned i = 0; i < node->n; i++) {
		const struct sl_stats_worker *w = &node->workers[i];
		const char *why = complaint(w, node->now_ms);

		if (w->generation != node->generation || w->aux)
			continue;
		if (why) {
			snprintf(sentence, cap, "the worker in slot %u is %s", w->slot, why);
			return false;
		}
		serving++;
	}
	if (serving > 0)
		snprintf(sentence, cap, "%u workers serve", serving);
	else
		snprintf(sentence, cap, "no worker of the current generation runs");
	return serving > 0;
}

void health_json(struct sl_buf *out, const struct node_state *node, bool ready,
		 struct sl_str sentence)
{
	sl_buf_printf(out, "{\"ready\":%s,\"reason\":", ready ? "true" : "false");
	sl_buf_json(out, sentence);
	sl_buf_printf(out, ",\"generation\":%u,\"workers\":[", node->generation);
	for (unsigned i = 0; i < node->n; i++) {
		const struct sl_stats_worker *w = &node->workers[i];

		sl_buf_printf(out,
			      "%s{\"slot\":%u,\"generation\":%u,\"state\":\"%s\",\"sessions\":%u,"
			      "\"name\":",
			      i ? "," : "", w->slot, w->generation, w->state, w->n_sessions);
		sl_buf_json(out, sl_str_c(w->name));
		sl_buf_u8(out, '}');
	}
	sl_buf_str(out, SL_STR("]}\n"));
}
