/*
 * session/setup.h: a whole configuration, evaluated: the core's own directives, the modules' and
 * the listeners.
 *
 * Built by the checker, by every worker from the same sealed text, and by tools. What the core's
 * directives mean stands in setup.c's tables and nowhere else.
 */
#ifndef SESSION_SETUP_H
#define SESSION_SETUP_H

#include "config/config.h"
#include "net/listener.h"
#include "session/registry.h"
#include "session/rtc_host.h"

enum { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_block {
	int32_t level, format;
	struct sl_str file; /* empty: standard error */
};

struct handshake_block {
	int64_t in_flight, rate, source_rate;
};

struct core_block {		 /* main scope of the core */
	struct sl_str processes; /* "auto" or a number */
	struct sl_list modules, module_path;
	struct sl_str user, group, pid, control;
	struct log_block log;
	struct webrtc_block webrtc;
	struct handshake_block handshakes;
	int64_t max_sessions, max_limits, max_descriptors, max_packets;
	uint64_t drain_timeout, drain_spread, start_timeout;
	int32_t gro;
	bool gso, io_uring, cpu_affinity;
};

struct cert_block {
	struct sl_str cert, key;
};

struct tls_block {
	struct sl_str cert, key;
	struct sl_list sni; /* of cert_block */
	int32_t min_version;
	bool only; /* nothing plain */
};

struct listen_block { /* one item of `listen` */
	struct sl_str name;
	struct sl_list udp, tcp; /* addresses as written: "*:3478" */
	int32_t steering;
	struct tls_block tls;
	struct sl_list proxy_from; /* of sl_cidr */
	int64_t backlog, max_connections;
	uint64_t preread_timeout, buffer;
};

/* One listening address; several may come from one item of `listen`. */
struct setup_listener {
	const char *name;
	const struct listen_block *block;
	struct listener_spec spec;
	void **confs; /* listen-scope conf by module index, NULL where the module is not active */
};

struct setup_service {
	const char *name;
	struct sl_str pattern;
	struct sl_regex *match;
	void **confs;
};

struct setup {
	struct sl_pool *pool;
	struct conf_errors *errors;
	struct core_block *core;
	struct registry *registry;
	struct setup_listener *listeners;
	unsigned n_listeners;
	struct setup_service *services;
	unsigned n_services;
	unsigned n_workers;
	enum sl_offload_mode offload; /* what modules want */
	const char *prefix;
};

#define SETUP_MAX_LISTENERS 256

struct setup_input {
	const char *prefix; /* absolute */
	const char *file;   /* for messages */
	struct sl_str text;
	const char *const *overrides; /* -g, in order */
	unsigned n_overrides;
	const char *const *module_paths; /* searched after the operator's module_path */
	unsigned n_module_paths;
};

/* Everything is in pool. Problems are in (*ret_setup)->errors; the result is -SL_ECONF when there
 * are errors, and *ret_setup is set even then. */
int setup_load(struct sl_pool *pool, const struct setup_input *in, struct setup **ret_setup);
/* Certificates of a listener, for TLS or, over UDP, DTLS; "auto" finds or makes the development certificate under the prefix.
 * err: a sentence. NULL *ret_ctx: no TLS. */
int setup_tls(const struct setup *s, const struct setup_listener *l, const uint8_t ticket_key[80],
	      struct ssl_ctx_st **ret_ctx, char *err, size_t err_cap);
/* The core's tables, for the reference, the schema and the dump. */
extern const struct conf_block setup_core_block, setup_listen_block, setup_service_block;
/* Effective configuration as YAML */
void setup_dump(const struct setup *s, struct sl_buf *out);
/* JSON Schema of the whole file */
void setup_schema(const struct setup *s, struct sl_buf *out);
/* Markdown */
void setup_reference(const struct setup *s, struct sl_buf *out);

#endif
