/*
 * webhooks: events as POST requests to whoever wants to know.
 *
 * This file is the module's face, and its half in workers: every event of the bus that somebody
 * wants goes to the module's process (courier.c).
 */
#include "webhooks.h"

#include <stdio.h>
#include <stdlib.h>

static const struct sl_directive hook_fields[] = {
	SL_FIELD(struct hook_conf, url, SL_T_STR, .required = true, .max = 2048,
		 .doc = "Where events are sent, http or https."),
	SL_FIELD(struct hook_conf, secret, SL_T_SECRET, .max = 512,
		 .doc = "Key of the signature, `whsec_…` or any text; use !file or !env. Unset: "
			"events "
			"are not signed."),
	SL_FIELD(struct hook_conf, events, SL_T_STR, .list = true, .dflt = "['*']", .max = 64,
		 .doc = "Names of events, or their beginnings and `*`: `recorder.*`."),
	SL_FIELD(struct hook_conf, timeout, SL_T_MSEC, .dflt = "10s", .min = 100, .max = 120000,
		 .doc = "How long a request may take."),
	SL_FIELD(struct hook_conf, ca, SL_T_PATH,
		 .doc = "Certificates of those who may have signed the receiver's, in PEM form; "
			"unset: "
			"the system's."),
	SL_DIRS_END,
};

#define C struct webhooks_conf
static const struct sl_directive directives[] = {
	SL_DIR(C, hooks, SL_T_RECORD, SL_S_MAIN, .list = true, .fields = hook_fields,
	       .record_bytes = sizeof(struct hook_conf), .max = 16, .doc = "Receivers."),
	SL_DIR(C, spool, SL_T_PATH, SL_S_MAIN, .dflt = "webhooks",
	       .doc = "Directory for events that wait; it must belong to the workers' user."),
	SL_DIR(C, queue, SL_T_INT, SL_S_MAIN, .dflt = "10000", .min = 1, .max = 1000000,
	       .doc = "Events that may wait for one receiver; more are given up."),
	SL_DIR(C, max_age, SL_T_MSEC, SL_S_MAIN, .dflt = "1d", .min = 1000,
	       .max = INT64_C(2592000000), .doc = "An event that fails is given up after so long."),
	SL_DIRS_END,
};

#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
static const struct sl_metric metrics[] = {
#define X(n, k, h) {.name = #n, .kind = k, .help = h},
	WEBHOOKS_METERS(X)
#undef X
		SL_METRICS_END};

static bool is_url(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] == 0x7f)
			return false;
	return sl_str_starts(s, SL_STR("http://")) || sl_str_starts(s, SL_STR("https://"));
}

static int check(struct sl_conf *c, void *conf)
{
	const struct webhooks_conf *wc = conf;
	char path[32];

	for (size_t i = 0; i < wc->hooks.n; i++) {
		const struct hook_conf *h = SL_LIST_AT(wc->hooks, struct hook_conf, i);

		(void)snprintf(path, sizeof path, "hooks[%zu].url", i);
		if (!is_url(h->url))
			sl_conf_error(c, path, "a URL like https://example.org/events is required");
		for (size_t k = 0; k < i; k++)
			if (sl_str_eq(h->url, SL_LIST_AT(wc->hooks, struct hook_conf, k)->url))
				sl_conf_error(c, path, "another hook has this URL");
	}
	return 0;
}

bool hook_wants(const struct hook_conf *h, struct sl_str event)
{
	for (size_t i = 0; i < h->events.n; i++) {
		struct sl_str one = *SL_LIST_AT(h->events, struct sl_str, i);

		if (one.len > 0 && one.p[one.len - 1] == '*') {
			one.len--;
			if (sl_str_starts(event, one))
				return true;
		} else if (sl_str_eq(event, one)) {
			return true;
		}
	}
	return false;
}

/* ---- the half in workers */

struct ear {
	const struct webhooks_conf *conf;
	const struct sl_meter *m;
	struct sl_webhooks *sender;
};

static bool is_wanted(const struct ear *e, struct sl_str name)
{
	for (size_t i = 0; i < e->conf->hooks.n; i++)
		if (hook_wants(SL_LIST_AT(e->conf->hooks, struct hook_conf, i), name))
			return true;
	return false;
}

/* What is about one session keeps its order, and what is about none keeps that of its name. */
static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	struct ear *e = ctx;
	char sid[33] = "";
	struct sl_webhook_event out = {.name = sl_str_c(ev->name), .json = ev->text};

	if (ev->kind != SL_EV_USER || ev->text.len == 0 || ev->text.p[0] != '{' ||
	    !is_wanted(e, out.name))
		return SL_OK;
	if (ev->sid)
		sl_hex_encode(sid, ev->sid, 16);
	out.key = ev->sid ? sl_str_c(sid) : out.name;
	if (!sl_webhooks_send(e->sender, &out))
		sl_count(&e->m[M_lost]);
	return SL_OK;
}

static const struct sl_hook hooks[] = {SL_ON_EVENT(SL_LATE, on_event), SL_HOOKS_END};

static void stop(void *ctx)
{
	struct ear *e = ctx;

	sl_webhooks_close(e->sender);
	free(e);
}

static int start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct ear *e = calloc(1, sizeof *e);
	int rc;

	if (!e)
		return -SL_ENOMEM;
	e->conf = conf;
	e->m = sl_worker_meters(w, SL_WEBHOOK_MODULE);
	rc = sl_webhooks_open(w, &e->sender);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "webhooks", "cannot start: %s", sl_strerror(rc));
		free(e);
		return rc;
	}
	*ret_ctx = e;
	return 0;
}

SL_MODULE(webhooks, .name = "webhooks", .version = "1.0",
	  .summary = "Sends events to HTTP servers, signed, until they have them",
	  .flags = SL_M_AUX, .directives = directives, .conf_size = sizeof(struct webhooks_conf),
	  .check = check, .hooks = hooks, .metrics = metrics, .worker_start = start,
	  .worker_stop = stop, .aux_start = courier_start, .aux_drain = courier_drain,
	  .aux_stop = courier_stop);
