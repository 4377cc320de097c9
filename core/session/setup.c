/*
 * session/setup.c: the core's directive tables, and the evaluation of a whole configuration file.
 *
 * Order: YAML, overrides, the core's block, modules (loaded so that their tables are known), then
 * every module's block in every scope, then what tables cannot say (check functions, addresses).
 * Goes on after errors, so that all are told at once. A module is active in the main scope when it
 * has a block there or has none anywhere; a block in a listener or a service activates it there.
 */
#include "session/setup.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const log_levels[] = {"alert",  "crit", "error", "warn",
					 "notice", "info", "debug", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
/* In the order of enum net_gro. */
static const char *const gro_names[] = {"off", "on", "auto", NULL};

/* In the order of enum steering. */
static const char *const steerings[] = {"auto", "ebpf", "ports", "forward", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};

static const struct sl_directive log_fields[] = {
	SL_FIELD(struct log_block, level, SL_T_ENUM, .names = log_levels, .dflt = "notice",
		 .doc = "Lines above this level are not written."),
	SL_FIELD(struct log_block, format, SL_T_ENUM, .names = log_formats, .dflt = "logfmt",
		 .doc = "One line per decision, as logfmt or as JSON."),
	SL_FIELD(struct log_block, file, SL_T_PATH,
		 .doc = "File to append to; opened again on `sluice -s reopen`. Unset: standard "
			"error."),
	SL_DIRS_END};

static const struct sl_directive handshake_fields[] = {
	SL_FIELD(struct handshake_block, in_flight, SL_T_INT, .dflt = "2000", .min = 0,
		 .max = 1000000, .doc = "Handshakes that may be under way at once. 0: no limit."),
	SL_FIELD(
		struct handshake_block, rate, SL_T_INT, .dflt = "300", .min = 0, .max = 100000,
		.doc = "Handshakes begun in a second; each is worth a hundred packets of CPU. TCP "
		       "clients beyond it wait their turn within preread_timeout, DTLS clients ask "
		       "again. 0: no limit."),
	SL_FIELD(struct handshake_block, source_rate, SL_T_INT, .dflt = "50", .min = 0,
		 .max = 100000,
		 .doc = "The same for one source (an IPv4 address or an IPv6 /64), and twice as "
			"many "
			"at once; what comes beyond it is refused. 0: no limit."),
	SL_DIRS_END};

static const struct sl_directive core_table[] = {
	SL_DIR(struct core_block, processes, SL_T_STR, SL_S_MAIN, .dflt = "auto",
	       .doc = "Workers: a number from 1 to 32, or `auto` for one per CPU."),
	SL_DIR(struct core_block, modules, SL_T_STR, SL_S_MAIN, .list = true,
	       .doc = "Modules to load. Their order here is their order within a phase."),
	SL_DIR(struct core_block, module_path, SL_T_PATH, SL_S_MAIN, .list = true,
	       .doc = "Directories to look for modules in, before the built-in ones."),
	SL_DIR(struct core_block, user, SL_T_STR, SL_S_MAIN, .dflt = "nobody",
	       .doc = "User that workers run as when the master is root."),
	SL_DIR(struct core_block, group, SL_T_STR, SL_S_MAIN,
	       .doc = "Group of the workers; unset: the user's."),
	SL_DIR(struct core_block, pid, SL_T_PATH, SL_S_MAIN, .dflt = "sluice.pid",
	       .doc = "File that holds the master's process id."),
	SL_DIR(struct core_block, control, SL_T_PATH, SL_S_MAIN, .dflt = "sluice.sock",
	       .doc = "Socket for `sluice -s`, `top`, `trace` and `sessions`."),
	SL_DIR(struct core_block, log, SL_T_RECORD, SL_S_MAIN, .fields = log_fields,
	       .doc = "The log."),
	SL_DIR(struct core_block, webrtc, SL_T_RECORD, SL_S_MAIN, .fields = rtc_directives,
	       .doc = "WebRTC connections that end at this node, for the modules that make them."),
	SL_DIR(struct core_block, handshakes, SL_T_RECORD, SL_S_MAIN, .fields = handshake_fields,
	       .doc = "What TLS and DTLS handshakes may take of a worker, so that a flood of them "
		      "does not delay media. Numbers are for each worker."),
	SL_DIR(struct core_block, max_sessions, SL_T_INT, SL_S_MAIN, .dflt = "65536", .min = 64,
	       .max = 4000000,
	       .doc = "Capacity of the shared session table; 256 bytes each. Fixed until the "
		      "master restarts."),
	SL_DIR(struct core_block, max_limits, SL_T_INT, SL_S_MAIN, .dflt = "65536", .min = 64,
	       .max = 4000000,
	       .doc = "Capacity of the shared table of per-user counts. Fixed until the master "
		      "restarts."),
	SL_DIR(struct core_block, max_descriptors, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = 4000000,
	       .doc = "Open files per worker; 0: as many as the hard limit allows."),
	SL_DIR(struct core_block, max_packets, SL_T_INT, SL_S_MAIN, .dflt = "16384", .min = 256,
	       .max = 1000000, .doc = "Packets of 2 KiB that a worker may hold at once."),
	SL_DIR(struct core_block, drain_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "1h", .min = 0,
	       .max = 604800000,
	       .doc = "How long sessions may stay on a worker of an old generation after a "
		      "reload."),
	SL_DIR(struct core_block, drain_spread, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 0,
	       .max = 3600000,
	       .doc = "Time after drain_timeout for clients to reconnect before the old worker "
		      "leaves."),
	SL_DIR(struct core_block, start_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 100,
	       .max = 600000,
	       .doc = "A new generation that does not serve by then is given up, and the old one "
		      "goes on."),
	SL_DIR(struct core_block, gso, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Join runs of equal packets to one address into segmented sends."),
	SL_DIR(struct core_block, gro, SL_T_ENUM, SL_S_MAIN, .names = gro_names, .dflt = "auto",
	       .doc = "Receive neighbouring datagrams of one sender as one. It gains with long "
		      "runs only: auto does so on listeners while they get such runs."),
	SL_DIR(struct core_block, io_uring, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Read and write the sockets of relays and calls together, by one system call, "
		      "where the kernel lets a worker; where it does not, each by its own."),
	SL_DIR(struct core_block, cpu_affinity, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Pin each worker to a CPU."),
	SL_DIRS_END};

static const struct sl_directive cert_fields[] = {
	SL_FIELD(struct cert_block, cert, SL_T_STR, .required = true,
		 .doc = "PEM file with the certificate and its chain."),
	SL_FIELD(struct cert_block, key, SL_T_STR, .required = true,
		 .doc = "PEM file with the private key."),
	SL_DIRS_END};

static const struct sl_directive tls_fields[] = {
	SL_FIELD(struct tls_block, cert, SL_T_STR,
		 .doc = "PEM file with the certificate and its chain, or `auto` for a self-signed "
			"one for development."),
	SL_FIELD(struct tls_block, key, SL_T_STR,
		 .doc = "PEM file with the private key; not needed with `cert: auto`."),
	SL_FIELD(
		struct tls_block, sni, SL_T_RECORD, .list = true, .fields = cert_fields,
		.record_bytes = sizeof(struct cert_block),
		.doc = "Further certificates, chosen by the server name that the client asks for."),
	SL_FIELD(struct tls_block, min_version, SL_T_ENUM, .names = tls_versions, .dflt = "\"1.2\"",
		 .doc = "Oldest TLS version accepted. DTLS is 1.2 here, so 1.3 turns it off."),
	SL_FIELD(struct tls_block, only, SL_T_BOOL, .dflt = "no",
		 .doc = "Close connections that do not begin with TLS, and drop datagrams that are "
			"not "
			"DTLS; no: plain clients are served as well. WebRTC's media needs plain "
			"datagrams."),
	SL_DIRS_END};

static const struct sl_directive listen_table[] = {
	SL_DIR(struct listen_block, name, SL_T_STR, SL_S_LISTEN,
	       .doc = "Name for logs and metrics; unset: protocol and port."),
	SL_DIR(struct listen_block, udp, SL_T_STR, SL_S_LISTEN, .list = true,
	       .doc = "UDP addresses: ADDRESS:PORT, or *:PORT for every address that the host has "
		      "when the configuration is loaded."),
	SL_DIR(struct listen_block, tcp, SL_T_STR, SL_S_LISTEN, .list = true,
	       .doc = "TCP addresses, written like `udp`."),
	SL_DIR(struct listen_block, steering, SL_T_ENUM, SL_S_LISTEN, .names = steerings,
	       .dflt = "auto",
	       .doc = "How a datagram reaches its worker: by an eBPF program, by a port per "
		      "worker, or forwarded between workers."),
	SL_DIR(struct listen_block, tls, SL_T_RECORD, SL_S_LISTEN, .fields = tls_fields,
	       .doc = "Certificates; TLS is then accepted on the TCP addresses, and DTLS on the "
		      "UDP "
		      "ones."),
	SL_DIR(struct listen_block, proxy_from, SL_T_CIDR, SL_S_LISTEN, .list = true, .max = 256,
	       .doc = "Balancers: a TCP connection from one of these must begin with a PROXY "
		      "header "
		      "(version 1 or 2), which says whose it is. From anywhere else such a header "
		      "is "
		      "never believed."),
	SL_DIR(struct listen_block, backlog, SL_T_INT, SL_S_LISTEN, .dflt = "4096", .min = 1,
	       .max = 65535, .doc = "Queue of connections not yet accepted."),
	SL_DIR(struct listen_block, max_connections, SL_T_INT, SL_S_LISTEN, .dflt = "100000",
	       .min = 1, .max = 4000000,
	       .doc = "Connections per worker that have not chosen a protocol or are the core's; "
		      "more are closed at once."),
	SL_DIR(struct listen_block, preread_timeout, SL_T_MSEC, SL_S_LISTEN, .dflt = "10s",
	       .min = 10, .max = 600000, .doc = "Time for a new connection to show what it is."),
	SL_DIR(struct listen_block, buffer, SL_T_SIZE, SL_S_LISTEN, .dflt = "4M", .min = 0,
	       .max = 1073741824,
	       .doc = "Socket buffers of the UDP addresses; 0: the system's default."),
	SL_DIRS_END};

const struct conf_block setup_core_block = {"sluice", core_table, sizeof(struct core_block)};
const struct conf_block setup_listen_block = {"listen", listen_table, sizeof(struct listen_block)};

struct building {
	struct setup *s;
	struct conf_eval eval;
	struct conf_node *root;
	const char **names; /* of modules and of the core's own mappings: never unknown keys */
};

static void report(struct building *b, const struct conf_node *at, const char *path,
		   const char *text)
{
	conf_report(b->s->errors, false, at ? &at->at : NULL, path, "%s", text);
}

static struct conf_block module_block(const struct module *m)
{
	return (struct conf_block){m->def.name, m->def.directives, m->def.conf_size};
}

/* ---- modules */

static struct conf_node *item(const struct conf_node *list, unsigned i)
{
	struct conf_node *n =
		list && list->kind == CONF_SEQUENCE ? list->child : (struct conf_node *)list;

	while (n && i-- > 0)
		n = n->next;
	return n;
}

static void load_modules(struct building *b, const struct setup_input *in)
{
	const struct core_block *core = b->s->core;
	const struct conf_node *list = conf_yaml_get(b->root, "modules");
	struct sl_str paths[32];
	unsigned n_paths = 0;
	char err[640], path[64];

	for (size_t i = 0; i < core->module_path.n && n_paths < SL_ARRAY_LEN(paths); i++)
		paths[n_paths++] = *SL_LIST_AT(core->module_path, struct sl_str, i);
	for (unsigned i = 0; i < in->n_module_paths && n_paths < SL_ARRAY_LEN(paths); i++)
		paths[n_paths++] = sl_str_c(in->module_paths[i]);
	for (size_t i = 0; i < core->modules.n; i++) {
		struct sl_str name = *SL_LIST_AT(core->modules, struct sl_str, i);

		snprintf(path, sizeof path, "modules[%zu]", i);
		for (size_t k = 0; k < i; k++)
			if (sl_str_eq(name, *SL_LIST_AT(core->modules, struct sl_str, k)))
				report(b, item(list, (unsigned)i), path,
				       "this module is in the list already");
		if (registry_load(b->s->registry, name, paths, n_paths, err, sizeof err) < 0)
			report(b, item(list, (unsigned)i), path, err);
	}
	if (conf_n_errors(b->s->errors) == 0 && registry_order(b->s->registry, err, sizeof err) < 0)
		report(b, list, "modules", err);
}

/* Keys of the main scope that are no directives of the core; modules that could not be loaded are
 * not unknown on top of that. */
static const char **known_names(struct sl_pool *pool, const struct sl_list *modules)
{
	static const char *const own[] = {"listen", "services"};
	const char **names = sl_pool_array(pool, modules->n + SL_ARRAY_LEN(own) + 1, sizeof *names);
	unsigned n = 0;

	for (unsigned i = 0; names && i < SL_ARRAY_LEN(own); i++)
		names[n++] = own[i];
	for (size_t i = 0; names && i < modules->n; i++)
		names[n++] = SL_LIST_AT(*modules, struct sl_str, i)->p;
	return names;
}

static bool has_block_below(const struct conf_node *list, const char *name)
{
	for (const struct conf_node *n = list ? list->child : NULL; n; n = n->next)
		if (n->kind == CONF_MAPPING && conf_yaml_get(n, name))
			return true;
	return false;
}

static bool active_in_main(const struct building *b, const char *name)
{
	return conf_yaml_get(b->root, name) ||
	       (!has_block_below(conf_yaml_get(b->root, "listen"), name) &&
		!has_block_below(conf_yaml_get(b->root, "services"), name));
}

/* A module's block for one scope; its check function runs only over values that are what its table
 * says. */
static void *evaluate_block(struct building *b, const struct module *m, enum sl_scope scope,
			    struct conf_node *node, const void *base, const char *path)
{
	struct conf_block block = module_block(m);
	unsigned errors_before = conf_n_errors(b->s->errors);
	void *conf = conf_evaluate(&b->eval, &block, scope, node, base, path, NULL);

	if (conf && m->def.check && conf_n_errors(b->s->errors) == errors_before)
		(void)m->def.check(conf_checker(&b->eval, &block, node, path), conf); /* reported */
	return conf;
}

/* The conf of every module for one listener or service: its block there over the main one. */
static void **scope_confs(struct building *b, struct conf_node *node, enum sl_scope scope,
			  const char *path)
{
	const struct registry *r = b->s->registry;
	void **confs = sl_pool_array(b->s->pool, r->n_modules + 1, sizeof *confs);
	char below[160];

	for (unsigned i = 0; confs && i < r->n_modules; i++) {
		const struct module *m = &r->modules[i];
		struct conf_node *own = conf_yaml_get(node, m->def.name);

		snprintf(below, sizeof below, "%s.%s", path, m->def.name);
		confs[i] = own	       ? evaluate_block(b, m, scope, own, m->conf, below)
			   : m->active ? m->conf
				       : NULL;
	}
	return confs;
}

static void evaluate_modules(struct building *b)
{
	struct registry *r = b->s->registry;

	for (unsigned i = 0; i < r->n_modules; i++) {
		struct module *m = &r->modules[i];
		struct conf_node *node = conf_yaml_get(b->root, m->def.name);

		m->active = active_in_main(b, m->def.name);
		m->conf = evaluate_block(b, m, SL_S_MAIN, node, NULL, m->def.name);
	}
}

/* ---- listeners */

struct expansion {
	struct building *b;
	const struct conf_node *node;
	const char *path;
	struct setup_listener proto; /* without address */
};

static void add_listener(struct expansion *x, const struct sl_addr *addr)
{
	struct setup *s = x->b->s;
	struct setup_listener *l;
	char text[SL_ADDR_STRLEN], msg[160];

	for (unsigned i = 0; i < s->n_listeners; i++) {
		if (s->listeners[i].spec.udp != x->proto.spec.udp ||
		    !sl_addr_eq(&s->listeners[i].spec.addr, addr))
			continue;
		snprintf(msg, sizeof msg, "%s %s is taken by listener \"%s\" already",
			 x->proto.spec.udp ? "UDP" : "TCP", sl_addr_format(text, addr),
			 s->listeners[i].name);
		report(x->b, x->node, x->path, msg);
		return;
	}
	if (s->n_listeners == SETUP_MAX_LISTENERS) {
		report(x->b, x->node, x->path, "more than 256 listening addresses");
		return;
	}
	l = &s->listeners[s->n_listeners++];
	*l = x->proto;
	l->spec.addr = *addr;
	if (!l->name)
		l->name = sl_pool_printf(s->pool, "%s-%u", l->spec.udp ? "udp" : "tcp", addr->port);
}

/* "*:PORT": one listener per address of the host, so that answers leave from where they were asked
 * without a look at each packet. */
static void expand_all(struct expansion *x, uint16_t port)
{
	struct sl_addr addrs[SETUP_MAX_LISTENERS];
	unsigned n = 0;

	if (sock_host_addrs(addrs, SL_ARRAY_LEN(addrs), &n) < 0 || n == 0) {
		report(x->b, x->node, x->path,
		       "cannot read the addresses of this host; write them out instead of *");
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (sl_addr_classify(&addrs[i]) == SL_ADDR_LINK_LOCAL)
			continue;
		addrs[i].port = port;
		add_listener(x, &addrs[i]);
	}
}

static void expand(struct expansion *x, struct sl_str text)
{
	struct sl_addr addr;
	uint64_t port;

	if (sl_str_starts(text, SL_STR("*:"))) {
		if (sl_str_u64((struct sl_str){text.p + 2, text.len - 2}, &port) < 0 || port < 1 ||
		    port > 65535)
			report(x->b, x->node, x->path, "the port behind *: is not in 1..65535");
		else
			expand_all(x, (uint16_t)port);
		return;
	}
	if (sl_addr_parse(&addr, text) < 0 || addr.port == 0) {
		report(x->b, x->node, x->path, "is not ADDRESS:PORT, [IPv6]:PORT or *:PORT");
		return;
	}
	add_listener(x, &addr);
}

static void expand_list(struct expansion *x, struct conf_node *node, const char *path, bool udp,
			const struct sl_list *list)
{
	const char *key = udp ? "udp" : "tcp";
	const struct conf_node *values = conf_yaml_get(node, key);

	x->proto.spec.udp = udp;
	for (size_t i = 0; i < list->n; i++) {
		x->node = item(values, (unsigned)i);
		x->path = sl_pool_printf(x->b->s->pool, "%s.%s", path, key);
		expand(x, *SL_LIST_AT(*list, struct sl_str, i));
	}
}

static void evaluate_listener(struct building *b, struct conf_node *node, const char *path)
{
	struct listen_block *l = conf_evaluate(&b->eval, &setup_listen_block, SL_S_LISTEN, node,
					       NULL, path, b->names);
	struct expansion x = {.b = b};

	if (!l)
		return;
	if (l->udp.n + l->tcp.n == 0)
		report(b, node, path,
		       "has neither udp nor tcp; write for instance udp: \"*:3478\"");
	if (l->tls.cert.len && !l->tls.key.len && !sl_str_eq(l->tls.cert, SL_STR("auto")))
		report(b, node, path, "tls.cert without tls.key");
	if (l->tls.only && !l->tls.cert.len)
		report(b, node, path, "tls.only without tls.cert");
	if (l->tls.only && l->udp.n > 0 && l->tls.min_version == 1)
		report(b, node, path,
		       "takes no datagram: tls.only wants DTLS, which is 1.2, and tls.min_version "
		       "is 1.3");
	x.proto = (struct setup_listener){
		.name = l->name.len ? l->name.p : NULL,
		.block = l,
		.spec = {.steering = (enum steering)l->steering,
			 .backlog = (int)l->backlog,
			 .buffer_bytes = (int)l->buffer},
		.confs = scope_confs(b, node, SL_S_LISTEN, path),
	};
	expand_list(&x, node, path, true, &l->udp);
	expand_list(&x, node, path, false, &l->tcp);
}

static void evaluate_listeners(struct building *b)
{
	struct conf_node *list = conf_yaml_get(b->root, "listen");
	char path[32];
	unsigned i = 0;

	b->s->listeners = sl_pool_array(b->s->pool, SETUP_MAX_LISTENERS, sizeof *b->s->listeners);
	if (!list || list->kind != CONF_SEQUENCE || !b->s->listeners) {
		report(b, list ? list : b->root, "listen",
		       "a list of listeners is needed, for instance [{udp: \"*:3478\"}]");
		return;
	}
	for (struct conf_node *n = list->child; n; n = n->next) {
		snprintf(path, sizeof path, "listen[%u]", i++);
		if (n->kind == CONF_MAPPING)
			evaluate_listener(b, n, path);
		else
			report(b, n, path, "is not a mapping like {udp: \"*:3478\"}");
	}
}

/* ---- services */

struct service_block {
	struct sl_regex *match;
};

static const struct sl_directive service_table[] = {
	SL_DIR(struct service_block, match, SL_T_REGEX, SL_S_SERVICE, .required = true,
	       .doc = "Rooms whose names match belong to this service."),
	SL_DIRS_END};
const struct conf_block setup_service_block = {"services", service_table,
					       sizeof(struct service_block)};

static void evaluate_services(struct building *b)
{
	struct conf_node *map = conf_yaml_get(b->root, "services");
	char path[160];

	if (!map)
		return;
	if (map->kind != CONF_MAPPING) {
		report(b, map, "services", "is not a mapping of name to service");
		return;
	}
	b->s->services = sl_pool_array(b->s->pool, map->n_children + 1, sizeof *b->s->services);
	for (struct conf_node *n = map->child; n && b->s->services; n = n->next) {
		struct setup_service *sv = &b->s->services[b->s->n_services++];
		const struct service_block *own;

		snprintf(path, sizeof path, "services.%.*s", SL_FMT(n->key));
		own = conf_evaluate(&b->eval, &setup_service_block, SL_S_SERVICE, n, NULL, path,
				    b->names);
		sv->name = n->key.p;
		sv->match = own ? own->match : NULL;
		sv->pattern =
			conf_yaml_get(n, "match") ? conf_yaml_get(n, "match")->value : SL_STR_NULL;
		sv->confs = scope_confs(b, n, SL_S_SERVICE, path);
	}
}

/* ---- the whole */

static void read_processes(struct building *b)
{
	uint64_t n;

	if (sl_str_eq(b->s->core->processes, SL_STR("auto"))) {
		int cpus = proc_cpu_count();

		b->s->n_workers = cpus < 1 ? 1 : cpus > 32 ? 32 : (unsigned)cpus;
	} else if (sl_str_u64(b->s->core->processes, &n) < 0 || n < 1 || n > 32) {
		report(b, conf_yaml_get(b->root, "processes"), "processes",
		       "is neither auto nor a number in 1..32");
	} else {
		b->s->n_workers = (unsigned)n;
	}
}

static int prepare(struct sl_pool *pool, const struct setup_input *in, struct building *b)
{
	struct setup *s = sl_pool_alloc(pool, sizeof *s);

	if (!s || registry_new(pool, &s->registry) < 0)
		return -SL_ENOMEM;
	s->pool = pool;
	s->prefix = in->prefix;
	s->errors = conf_errors_new(pool);
	if (!s->errors)
		return -SL_ENOMEM;
	*b = (struct building){.s = s,
			       .eval = {.pool = pool,
					.errors = s->errors,
					.prefix = in->prefix,
					.offload = &s->offload}};
	s->offload = SL_OFFLOAD_OFF;
	return 0;
}

static void read_core(struct building *b)
{
	static const char *const none[] = {NULL};
	struct conf_eval quiet = b->eval;

	/* Twice: modules must be known before an unknown key can be told from a module's block. The
	 * first reading's reports are not kept. */
	quiet.errors = conf_errors_new(b->s->pool);
	b->s->core = quiet.errors ? conf_evaluate(&quiet, &setup_core_block, SL_S_MAIN, b->root,
						  NULL, "", none)
				  : NULL;
}

int setup_load(struct sl_pool *pool, const struct setup_input *in, struct setup **ret_setup)
{
	struct building b;
	int rc = prepare(pool, in, &b);

	if (rc < 0)
		return rc;
	*ret_setup = b.s;
	b.root = conf_yaml_parse(pool, b.s->errors, in->file, in->text);
	if (!b.root)
		return -SL_ECONF;
	for (unsigned i = 0; i < in->n_overrides; i++)
		(void)conf_yaml_override(pool, b.s->errors, b.root, i + 1,
					 sl_str_c(in->overrides[i])); /* reported */
	read_core(&b);
	if (!b.s->core)
		return -SL_ENOMEM;
	load_modules(&b, in);
	b.names = known_names(pool, &b.s->core->modules);
	b.s->core = conf_evaluate(&b.eval, &setup_core_block, SL_S_MAIN, b.root, NULL, "", b.names);
	if (!b.names || !b.s->core)
		return -SL_ENOMEM;
	read_processes(&b);
	evaluate_modules(&b);
	evaluate_listeners(&b);
	evaluate_services(&b);
	return conf_n_errors(b.s->errors) ? -SL_ECONF : 0;
}
