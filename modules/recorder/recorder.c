/*
 * recorder.c: what is said in rooms, kept: the descriptor of the module with two halves.
 */
#include "recorder.h"

#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
const struct sl_metric recorder_metrics[] = {
#define X(n, k, h, ...) {.name = #n, .kind = k, .help = h, __VA_ARGS__},
	RECORDER_METERS(X)
#undef X
		SL_METRICS_END};

static const char *const needs[] = {"sfu", NULL};

SL_MODULE(recorder, .name = "recorder", .version = "1.0",
	  .summary = "Records rooms: without transcoding, in files that survive any crash",
	  .flags = SL_M_AUX, .needs = needs, .directives = recorder_directives,
	  .conf_size = sizeof(struct recorder_conf), .check = recorder_check, .hooks = tap_hooks,
	  .metrics = recorder_metrics, .worker_start = tap_start, .worker_drain = tap_drain,
	  .worker_stop = tap_stop, .aux_start = writer_start, .aux_drain = writer_drain,
	  .aux_stop = writer_stop, .tools = recorder_tools);
