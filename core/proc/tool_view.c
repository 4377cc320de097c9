/*
 * proc/tool_view.c: viewers of the shared segments: top, sessions, trace. Each prints a table, or
 * one JSON document with --json.
 *
 * They read what the workers write, without asking any worker anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/clock.h>
#include <sluice/session.h>
#include "os/os.h"
#include "proc/tool.h"

static const char *const states[] = {"free", "starting", "serving", "draining", "gone"};

static const char *state_name(uint32_t state)
{
	return state < SL_ARRAY_LEN(states) ? states[state] : "?";
}

static uint64_t now_ms(void)
{
	return sl_clock_ns() / SL_NS_PER_MS;
}

static int flush(struct sl_buf *out)
{
	int failed = sl_buf_ok(out) < 0 || fd_write_all(STDOUT_FILENO, out->p, out->len) < 0;

	sl_buf_free(out);
	return failed;
}

/* A comma before every item but the first. */
static const char *comma(bool *first)
{
	bool was = *first;

	*first = false;
	return was ? "" : ",";
}

/* ---- top */

struct metric_out {
	struct sl_buf *out;
	bool json, first;
};

static void one_metric(void *arg, unsigned slot, const struct metric_view *v)
{
	struct metric_out *m = arg;
	uint64_t value = __atomic_load_n(&v->words[0], __ATOMIC_RELAXED);

	(void)slot;
	if (v->kind == SL_M_HISTOGRAM) {
		value = 0;
		for (unsigned i = 0; i + 1 < v->n_words; i++)
			value += __atomic_load_n(&v->words[i], __ATOMIC_RELAXED);
	}
	if (m->json) {
		sl_buf_printf(m->out, "%s\"%s.%s\":%" PRIu64, comma(&m->first), v->module, v->name,
			      value);
	} else if (value) {
		sl_buf_printf(m->out, "      %-14s %-28s %" PRIu64 "\n", v->module, v->name, value);
	}
}

static void one_worker(struct shm *s, unsigned slot, bool json, bool *first, struct sl_buf *out)
{
	const struct worker_slot w = *shm_worker(s, slot);
	struct metric_out m = {out, json, true};

	if (w.state == WORKER_FREE || w.state == WORKER_GONE)
		return;
	if (json)
		sl_buf_printf(out,
			      "%s{\"slot\":%u,\"pid\":%u,\"epoch\":%u,\"generation\":%u,\"state\":"
			      "\"%s\",\"name\":\"%s\",\"load_permille\":%u,"
			      "\"sessions\":%u,\"cpu_ms\":%" PRIu64 ",\"heartbeat_age_ms\":%" PRIu64
			      ",\"counters\":{",
			      comma(first), slot, w.pid, w.epoch, w.generation, state_name(w.state),
			      w.name, w.load_permille, w.n_sessions, w.cpu_ns / SL_NS_PER_MS,
			      now_ms() - w.heartbeat_ms);
	else
		sl_buf_printf(out, "%4u  %-8u %-10u %-9s %5.1f%% %8u %10" PRIu64 "\n", slot, w.pid,
			      w.generation, state_name(w.state), w.load_permille / 10.0,
			      w.n_sessions, w.cpu_ns / SL_NS_PER_MS);
	shm_metrics_each(s, slot, one_metric, &m);
	if (json)
		sl_buf_printf(out, "}}");
}

static int print_top(struct shm *s, bool json)
{
	struct sl_buf out;
	bool first = true;

	sl_buf_init(&out, 0);
	if (json)
		sl_buf_printf(&out, "{\"generation\":%u,\"sessions\":%u,\"workers\":[",
			      shm_generation(s), shm_sessions_live(s));
	else
		sl_buf_printf(&out,
			      "generation %u, %u sessions\nslot  pid      generation state       "
			      "busy sessions     cpu ms\n",
			      shm_generation(s), shm_sessions_live(s));
	for (unsigned i = 0; i < shm_sizes(s)->n_slots; i++)
		one_worker(s, i, json, &first, &out);
	if (json)
		sl_buf_printf(&out, "]}\n");
	return flush(&out);
}

int tool_top(const struct tool_opts *o)
{
	struct shm *s;
	int failed;

	if (tool_attach(o, &s) < 0)
		return 1;
	do {
		if (!o->once && !o->json)
			printf("\033[H\033[J"); /* home, clear */
		fflush(stdout);
		failed = print_top(s, o->json);
		if (!o->once && !failed)
			(void)select(0, NULL, NULL, NULL,
				     &(struct timeval){
					     .tv_sec = 1}); /* a signal shortens it: harmless */
	} while (!o->once && !failed);
	shm_detach(s);
	return failed;
}

/* ---- sessions */

static void fact_words(struct sl_buf *out, const struct sl_session_fact *f)
{
	if (f->text[0])
		sl_buf_printf(out, " %s=%s", f->name, f->text);
	else
		sl_buf_printf(out, " %s=%" PRIu64, f->name, f->number);
}

static void one_session(const struct session_entry *e, bool json, bool *first, struct sl_buf *out)
{
	struct sl_session_fact facts[SL_SESSION_FACTS];
	char sid[SL_SID_STRLEN], remote[SL_ADDR_STRLEN] = "";
	unsigned n = sl_session_facts(e->kind, e->words, facts);
	uint64_t now = now_ms(), age = now - e->created_ms,
		 left = e->expires_ms > now ? e->expires_ms - now : 0;

	sl_sid_format(sid, e->sid);
	if (e->remote.family)
		sl_addr_format(remote, &e->remote);
	if (!json) {
		sl_buf_printf(out,
			      "%s %-9s %4u %-28s %-23s %7" PRIu64 "s %12" PRIu64 " %12" PRIu64
			      " %10" PRIu64 " %11" PRIu64,
			      sid, sl_session_kind_name(e->kind), owner_slot(e->owner), remote,
			      e->label, age / 1000, e->bytes_in, e->bytes_out, e->packets_in,
			      e->packets_out);
		for (unsigned i = 0; i < n; i++)
			fact_words(out, &facts[i]);
		sl_buf_printf(out, "\n");
		return;
	}
	sl_buf_printf(
		out, "%s{\"sid\":\"%s\",\"kind\":\"%s\",\"slot\":%u,\"remote\":\"%s\",\"label\":",
		comma(first), sid, sl_session_kind_name(e->kind), owner_slot(e->owner), remote);
	sl_buf_json(out, sl_str_c(e->label));
	sl_buf_printf(out,
		      ",\"age_ms\":%" PRIu64 ",\"expires_in_ms\":%" PRIu64 ",\"room\":\"%016" PRIx64
		      "\",\"packets_in\":%" PRIu64 ",\"bytes_in\":%" PRIu64
		      ",\"packets_out\":%" PRIu64 ",\"bytes_out\":%" PRIu64
		      ",\"lost\":%u,\"rtt_us\":%u",
		      age, left, e->room, e->packets_in, e->bytes_in, e->packets_out, e->bytes_out,
		      e->lost, e->rtt_us);
	for (unsigned i = 0; i < n; i++) {
		sl_buf_printf(out, ",");
		sl_session_fact_json(out, &facts[i]);
	}
	sl_buf_printf(out, "}");
}

int tool_sessions(const struct tool_opts *o)
{
	struct session_entry e;
	struct sl_buf out;
	struct shm *s;
	bool first = true;

	if (tool_attach(o, &s) < 0)
		return 1;
	sl_buf_init(&out, 0);
	sl_buf_printf(
		&out,
		o->json ? "{\"sessions\":["
			: "sid                              kind      slot remote                  "
			  "     label                        age     bytes in    bytes out "
			  "packets in packets out\n");
	for (unsigned i = 0; i < shm_sizes(s)->n_sessions; i++)
		if (shm_session_read(s, i, &e) == 0 &&
		    (!o->kind || strcmp(o->kind, sl_session_kind_name(e.kind)) == 0))
			one_session(&e, o->json, &first, &out);
	if (o->json)
		sl_buf_printf(&out, "]}\n");
	shm_detach(s);
	return flush(&out);
}

/* ---- trace */

/* The template with %a and %b filled in. */
static void trace_sentence(struct sl_buf *out, const struct trace_record *r)
{
	for (const char *p = shm_trace_text(r->event & 0xffff); *p; p++) {
		if (p[0] == '%' && (p[1] == 'a' || p[1] == 'b')) {
			sl_buf_printf(out, "%" PRIu64,
				      p[1] == 'a' ? r->a_b >> 32 : r->a_b & 0xffffffff);
			p++;
		} else {
			sl_buf_add(out, p, 1);
		}
	}
}

static void one_record(unsigned slot, const struct trace_record *r, bool json, bool *first,
		       struct sl_buf *out)
{
	if (json)
		sl_buf_printf(out,
			      "%s{\"time_ns\":%" PRIu64 ",\"slot\":%u,\"session\":\"%016" PRIx64
			      "\",\"event\":%u,\"a\":%" PRIu64 ",\"b\":%" PRIu64 ",\"text\":\"",
			      comma(first), r->time_ns, slot, r->session, r->event & 0xffff,
			      r->a_b >> 32, r->a_b & 0xffffffff);
	else
		sl_buf_printf(out, "%" PRIu64 ".%06" PRIu64 " %3u %016" PRIx64 " ",
			      r->time_ns / SL_NS_PER_S, r->time_ns % SL_NS_PER_S / 1000, slot,
			      r->session);
	trace_sentence(out, r);
	sl_buf_printf(out, json ? "\"}" : "\n");
}

int tool_trace(const struct tool_opts *o)
{
	struct trace_record *records;
	struct sl_buf out;
	struct shm *s;
	bool first = true;

	if (tool_attach(o, &s) < 0)
		return 1;
	records = calloc(o->max, sizeof *records);
	sl_buf_init(&out, 0);
	sl_buf_printf(&out, "%s", o->json ? "{\"records\":[" : "");
	for (unsigned slot = 0; records && slot < shm_sizes(s)->n_slots; slot++) {
		unsigned n = shm_trace_read(s, slot, records, o->max);

		for (unsigned i = 0; i < n; i++)
			one_record(slot, &records[i], o->json, &first, &out);
	}
	sl_buf_printf(&out, "%s", o->json ? "]}\n" : "");
	free(records);
	shm_detach(s);
	return flush(&out);
}
