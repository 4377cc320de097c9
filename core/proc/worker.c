/*
 * proc/worker.c: one worker: from handoff to serving, and the end.
 *
 * Start: adopt descriptors, segments and inbox; evaluate the sealed configuration and read keys
 * while still privileged; drop privileges; start modules in the order of their needs; build the
 * phase chains; begin to read; say READY. The end undoes it in reverse.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sluice/crypto.h>
#include <sluice/trace.h>
#include "event/inbox.h"
#include "event/loop.h"
#include "net/net.h"
#include "net/tls.h"
#include "os/log.h"
#include "os/os.h"
#include "proc/role.h"
#include "proc/worker.h"
#include "session/registry.h"

/* ---- start: layers from below */

static void on_bug(const char *cond, const char *file, int line, bool fatal)
{
	sl_trace(0, SL_TRACE_BUG, (uint64_t)line, 0);
	if (fatal)
		sl_log(SL_LOG_CRIT, "core", "assertion failed: %s at %s:%d", cond, file, line);
	else
		sl_log(SL_LOG_CRIT, "core", "check failed: %s at %s:%d; please report this", cond,
		       file, line);
}

static int attach_segments(struct worker *w)
{
	const struct handoff *h = w->h;
	size_t bytes;
	void *inbox;

	if (shm_attach(h->fd_segments, true, &w->pub.shm) < 0)
		return -SL_ESYS;
	if (shmem_map(h->fd_inbox, true, &inbox, &bytes) < 0)
		return -SL_ESYS;
	shm_trace_open(w->pub.shm, h->slot);
	return inbox_open(&w->pub.inbox, inbox, bytes, h->n_slots, h->ring_bytes, h->fd_wake,
			  sl_worker_owner(&w->pub));
}

static void on_inbox(void *arg, const struct inbox_msg *msg)
{
	struct worker *w = arg;

	if (msg->channel == NET_CHANNEL)
		net_inbox(w->pub.net, msg);
	else
		channels_inbox(&w->pub, msg);
}

static int begin_layers(struct worker *w)
{
	const struct handoff *h = w->h;
	uint8_t seed[16];

	w->pub = (struct sl_worker){
		.size = sizeof w->pub,
		.slot = h->slot,
		.epoch = h->epoch,
		.generation = h->generation,
		.n_workers = h->n_workers,
		.worker_index = h->worker_index,
		.aux = h->role == ROLE_AUX,
		.prefix = h->prefix,
		.node_key = h->node_key,
	};
	if (sl_random(seed, sizeof seed) < 0 || loop_new(&w->pub.loop) < 0)
		return -SL_ESYS;
	sl_hash_seed(seed);
	return attach_segments(w);
}

/* ---- configuration */

/* The checker has told the warnings; what is wrong only here (a file that has gone since) is told
 * here. */
static int read_setup(struct worker *w)
{
	struct setup_input in = {.prefix = w->h->prefix, .file = w->h->file};
	const char *overrides[ROLE_MAX_OVERRIDES], *paths[TOOL_MAX_PATHS];
	struct sl_pool *pool = sl_pool_new(0);
	size_t bytes;
	void *text;
	int rc;

	if (!pool || shmem_map(w->h->fd_text, false, &text, &bytes) < 0)
		return -SL_ESYS;
	in.text = (struct sl_str){text, bytes};
	role_input(w->h, &in, overrides, paths);
	rc = setup_load(pool, &in, &w->setup);
	if (rc < 0 && w->setup)
		print_problems(w->setup);
	shmem_unmap(text, bytes);
	return rc;
}

static void begin_log(const struct worker *w)
{
	const struct log_block *l = &w->setup->core->log;
	const struct log_conf conf = {.level = (enum sl_log_level)l->level,
				      .format =
					      l->format == LOG_FORMAT_JSON ? LOG_JSON : LOG_LOGFMT,
				      .fd = STDERR_FILENO,
				      .slot = w->pub.slot,
				      .generation = w->pub.generation};

	if (log_init(&conf) < 0)
		sl_log(SL_LOG_ERROR, "core", "the log settings were not taken");
}

enum { N_CORE_TABLES = 3 };

static unsigned n_metrics(const struct sl_metric *m)
{
	unsigned n = 0;

	while (m && m[n].name)
		n++;
	return n;
}

/* The core's own tables first, then one per module. */
static int open_metrics(struct worker *w)
{
	struct registry *r = w->setup->registry;
	struct sl_pool *pool = w->setup->pool;
	struct metric_table *tables =
		sl_pool_array(pool, r->n_modules + N_CORE_TABLES, sizeof *tables);

	w->core_meters = sl_pool_array(pool, n_metrics(net_metrics) + 1, sizeof *w->core_meters);
	w->rtc_meters = sl_pool_array(pool, n_metrics(rtc_metrics) + 1, sizeof *w->rtc_meters);
	if (!tables || !w->core_meters || !w->rtc_meters)
		return -SL_ENOMEM;
	tables[0] = (struct metric_table){"process", process_metrics, w->process_meters};
	tables[1] = (struct metric_table){"core", net_metrics, w->core_meters};
	tables[2] = (struct metric_table){"webrtc", rtc_metrics, w->rtc_meters};
	for (unsigned i = 0; i < r->n_modules; i++) {
		struct module *m = &r->modules[i];
		static const struct sl_metric none[] = {SL_METRICS_END};

		m->meters = sl_pool_array(pool, n_metrics(m->def.metrics) + 1, sizeof *m->meters);
		if (!m->meters)
			return -SL_ENOMEM;
		tables[i + N_CORE_TABLES] = (struct metric_table){
			m->def.name, m->def.metrics ? m->def.metrics : none, m->meters};
	}
	return shm_metrics_open(w->pub.shm, w->pub.slot, tables, r->n_modules + N_CORE_TABLES);
}

/* ---- listeners: the configuration's, on the master's descriptors */

static const struct handoff_listener *find_socket(const struct handoff *h,
						  const struct listener_spec *spec)
{
	for (unsigned i = 0; i < h->n_listeners; i++)
		if (h->listeners[i].spec.udp == spec->udp &&
		    sl_addr_eq(&h->listeners[i].spec.addr, &spec->addr))
			return &h->listeners[i];
	return NULL;
}

static int fill_listener(struct worker *w, const struct setup_listener *sl,
			 const struct handoff_listener *hl, struct net_listener *nl)
{
	char err[512];

	*nl = (struct net_listener){
		.pub = {.name = sl->name,
			.index = hl->index,
			.udp = sl->spec.udp,
			.local = sl->spec.addr,
			.confs = sl->confs},
		.fd = hl->fd,
		.wildcard = sl_addr_classify(&sl->spec.addr) == SL_ADDR_UNSPECIFIED,
		.flow_map = sl->spec.steering == STEER_AUTO || sl->spec.steering == STEER_EBPF
				    ? w->h->fd_flows
				    : -1,
		.preread_timeout_ms = sl->block->preread_timeout,
		.balancers = sl->block->proxy_from.items,
		.n_balancers = (unsigned)sl->block->proxy_from.n,
		.tls_only = sl->block->tls.only,
		.max_conns = (unsigned)sl->block->max_connections,
	};
	if (setup_tls(w->setup, sl, w->h->ticket_key, &nl->pub.tls, err, sizeof err) == 0)
		return 0;
	sl_log(SL_LOG_ERROR, "core", "listener %s: %s", sl->name, err);
	return -SL_ECONF;
}

/* Attaching a program takes privileges, which the master has kept. A lost message costs speed. */
static void ask_for_interface(void *arg, unsigned ifindex)
{
	const struct worker *w = arg;
	const struct ctl ask = {.type = CTL_OFFLOAD, .arg = ifindex};

	(void)!send(w->h->fd_master, &ask, sizeof ask, MSG_NOSIGNAL);
}

static int open_net(struct worker *w)
{
	struct setup *s = w->setup;
	struct net_conf conf = {
		.max_packets = (unsigned)s->core->max_packets,
		.gso = s->core->gso,
		.gro = (enum net_gro)s->core->gro,
		.io_uring = s->core->io_uring,
		.handshakes = {.in_flight = (unsigned)s->core->handshakes.in_flight,
			       .per_second = (unsigned)s->core->handshakes.rate,
			       .per_source = (unsigned)s->core->handshakes.source_rate},
		.offload = {.n_rules = w->h->n_offload_rules,
			    .fd_rules = w->h->fd_offload_rules,
			    .fd_states = w->h->fd_offload_states,
			    .attach = ask_for_interface,
			    .arg = w},
		.meters = w->core_meters};

	w->listeners = sl_pool_array(s->pool, s->n_listeners + 1, sizeof *w->listeners);
	if (!w->listeners)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < s->n_listeners; i++) {
		const struct handoff_listener *hl = find_socket(w->h, &s->listeners[i].spec);

		if (!hl) /* an address that appeared between check and start */
			continue;
		if (fill_listener(w, &s->listeners[i], hl, &w->listeners[w->n_listeners]) < 0)
			return -SL_ECONF;
		w->n_listeners++;
	}
	conf.listeners = w->listeners;
	conf.n_listeners = w->n_listeners;
	return net_open(&w->pub, &conf, &w->pub.net);
}

static int open_rtc(struct worker *w)
{
	int rc;

	if (w->pub.aux)
		return 0;
	rc = rtc_host_open(&w->pub, &w->setup->core->webrtc, w->rtc_meters, &w->pub.rtc);
	if (rc < 0)
		return rc;
	net_on_check(w->pub.net, rtc_host_check, w->pub.rtc);
	net_on_stray(w->pub.net, rtc_host_stray, w->pub.rtc);
	net_on_conn_check(w->pub.net, rtc_tcp_check, w->pub.rtc);
	return 0;
}

static int drop_privileges(const struct worker *w)
{
	const struct core_block *core = w->setup->core;

	if (geteuid() != 0)
		return proc_drop_privileges(NULL, NULL, false);
	if (proc_drop_privileges(core->user.p, core->group.len ? core->group.p : NULL, false) == 0)
		return 0;
	sl_log(SL_LOG_ERROR, "core",
	       "cannot become user \"%s\": %m; name an existing one in user:", core->user.p);
	return -SL_ESYS;
}

static void set_limits(const struct worker *w)
{
	uint64_t want = (uint64_t)w->setup->core->max_descriptors, got = 0;

	if (proc_set_nofile(want ? want : UINT64_MAX, &got) < 0 || (want && got < want))
		sl_log(SL_LOG_WARN, "core",
		       "%llu open files are allowed, max_descriptors asks for %llu; raise the hard "
		       "limit",
		       (unsigned long long)got, (unsigned long long)want);
	if (w->setup->core->cpu_affinity &&
	    proc_pin_cpu(w->pub.worker_index % proc_cpu_count()) < 0)
		sl_log(SL_LOG_WARN, "core", "cannot pin this worker to a CPU: %m");
}

/* ---- modules */

/* A module with SL_M_AUX is alone in its process; workers have its other half, if it has two. */
static bool runs_here(const struct worker *w, const struct module *m)
{
	if (w->pub.aux)
		return strcmp(m->def.name, w->h->aux) == 0;
	return !(m->def.flags & SL_M_AUX) || m->def.aux_start;
}

/* In the module's own process its descriptor becomes that of the half which lives there. */
static void take_half(const struct worker *w, struct sl_module *def)
{
	if (!w->pub.aux || !def->aux_start)
		return;
	def->worker_start = def->aux_start;
	def->worker_drain = def->aux_drain;
	def->worker_stop = def->aux_stop;
	def->hooks = NULL;
}

static int start_modules(struct worker *w)
{
	struct registry *r = w->setup->registry;

	for (unsigned i = 0; i < r->n_modules; i++) {
		struct module *m = &r->modules[r->start_order[i]];

		if (!runs_here(w, m))
			continue;
		take_half(w, &m->def);
		if (m->def.worker_start && m->def.worker_start(&w->pub, m->conf, &m->ctx) < 0) {
			sl_log(SL_LOG_ERROR, "core", "module %s did not start", m->def.name);
			return -SL_ECONF;
		}
		m->started = true;
	}
	return 0;
}

static void stop_modules(struct worker *w)
{
	struct registry *r = w->setup->registry;

	for (unsigned i = r->n_modules; i-- > 0;) {
		struct module *m = &r->modules[r->start_order[i]];

		if (m->started && m->def.worker_stop)
			m->def.worker_stop(m->ctx);
		m->started = false;
		hooks_forget(r, w->listeners, w->n_listeners, m->ctx);
	}
}

/* ---- life */

static int start(struct worker *w)
{
	if (begin_layers(w) < 0) {
		sl_log(SL_LOG_ERROR, "core", "cannot attach to the master's segments: %m");
		return -SL_ESYS;
	}
	if (read_setup(w) < 0)
		return -SL_ECONF;
	begin_log(w);
	w->pub.registry = w->setup->registry;
	set_limits(w);
	if (open_metrics(w) < 0 || open_net(w) < 0 || open_rtc(w) < 0 || drop_privileges(w) < 0)
		return -SL_ESYS;
	if (inbox_listen(w->pub.inbox, w->pub.loop, on_inbox, w) < 0 || start_modules(w) < 0)
		return -SL_ESYS;
	if (hooks_build(w->setup->registry, w->listeners, w->n_listeners) < 0)
		return -SL_ENOMEM;
	return net_start(w->pub.net);
}

static int serve(struct worker *w)
{
	const struct ctl ready = {.type = CTL_READY};

	if (duty_begin(w) < 0)
		return -SL_ESYS;
	worker_set_state(w, WORKER_SERVING);
	sl_trace(0, SL_TRACE_WORKER_START, w->pub.generation, (uint64_t)getpid());
	if (send(w->h->fd_master, &ready, sizeof ready, MSG_NOSIGNAL) != sizeof ready)
		return -SL_ESYS;
	return loop_run(w->pub.loop);
}

static void leave(struct worker *w)
{
	sl_trace(0, SL_TRACE_WORKER_STOP, w->setup->registry->n_local, 0);
	stop_modules(w);
	duty_end(w);
	rtc_host_close(w->pub.rtc);
	net_close(w->pub.net);
	channels_close(w->setup->registry);
	for (unsigned i = 0; i < w->n_listeners; i++)
		tls_context_free(w->listeners[i].pub.tls);
	inbox_close(w->pub.inbox);
	shm_trace_close();
	shm_detach(w->pub.shm);
	loop_free(w->pub.loop);
	sl_pool_destroy(w->setup->pool);
}

/* A terminal's ^C and a service manager's SIGTERM go to the whole group; the master decides what
 * becomes of workers. */
static void ignore_what_the_master_obeys(void)
{
	static const int signals[] = {SIGPIPE, SIGINT, SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

	for (unsigned i = 0; i < SL_ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
}

int worker_main(const struct handoff *h)
{
	struct worker *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return 1;
	w->h = h;
	ignore_what_the_master_obeys();
	sl_bug_hook(on_bug);
	if (start(w) < 0)
		_exit(1); /* half-started: the kernel takes it all back */
	rc = serve(w);
	leave(w);
	free(w);
	return rc < 0;
}
