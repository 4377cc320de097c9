/*
 * tests/lib/conf_table.h: a directive table with every type, for the tests of config/.
 */
#ifndef TESTS_LIB_CONF_TABLE_H
#define TESTS_LIB_CONF_TABLE_H

#include <sluice/regex.h>
#include "config/config.h"

struct user {
	struct sl_str name, password;
	uint64_t quota;
};
static const struct sl_directive user_fields[] = {
	SL_FIELD(struct user, name, SL_T_STR, .required = true, .doc = "User name."),
	SL_FIELD(struct user, password, SL_T_SECRET, .required = true, .min = 4, .max = 64,
		 .doc = "Password."),
	SL_FIELD(struct user, quota, SL_T_SIZE, .dflt = "64k", .doc = "Bytes per second."),
	SL_DIRS_END};

struct tls {
	struct sl_str cert, key;
	bool tickets;
};
static const struct sl_directive tls_fields[] = {
	SL_FIELD(struct tls, cert, SL_T_PATH, .required = true, .doc = "Certificate chain, PEM."),
	SL_FIELD(struct tls, key, SL_T_PATH, .required = true, .doc = "Private key, PEM."),
	SL_FIELD(struct tls, tickets, SL_T_BOOL, .dflt = "yes", .doc = "Session tickets."),
	SL_DIRS_END};

struct lock_conf {
	bool fast;
	int64_t port, level, only_listen;
	uint64_t buffer, window, idle;
	struct sl_str realm, dir;
	int32_t steering;
	struct sl_regex *match;
	struct sl_addr bind;
	struct sl_ports ports;
	struct sl_list allow, secrets, users, origins;
	struct tls tls;
};
static const char *const steering_names[] = {"auto", "ebpf", "ports", "forward", NULL};
static const struct sl_directive lock_table[] = {
	SL_DIR(struct lock_conf, fast, SL_T_BOOL, SL_S_MAIN, .dflt = "no", .doc = "Speed."),
	SL_DIR(struct lock_conf, port, SL_T_INT, SL_S_MAIN | SL_S_LISTEN, .dflt = "3478", .min = 1,
	       .max = 65535, .doc = "Port."),
	SL_DIR(struct lock_conf, level, SL_T_INT, SL_S_MAIN | SL_S_SERVICE, .doc = "Level."),
	SL_DIR(struct lock_conf, buffer, SL_T_SIZE, SL_S_MAIN | SL_S_SERVICE, .dflt = "64k",
	       .min = 4096, .max = 1 << 20, .doc = "Buffer."),
	SL_DIR(struct lock_conf, window, SL_T_MSEC, SL_S_MAIN | SL_S_SERVICE, .dflt = "300ms",
	       .min = 20, .max = 5000, .doc = "Averaging window."),
	SL_DIR(struct lock_conf, idle, SL_T_MSEC, SL_S_MAIN, .doc = "Idle time."),
	SL_DIR(struct lock_conf, only_listen, SL_T_INT, SL_S_LISTEN | SL_S_SERVICE,
	       .doc = "Elsewhere."),
	SL_DIR(struct lock_conf, realm, SL_T_STR, SL_S_MAIN | SL_S_SERVICE, .min = 2, .max = 20,
	       .doc = "Realm."),
	SL_DIR(struct lock_conf, dir, SL_T_PATH, SL_S_MAIN | SL_S_SERVICE, .dflt = "rec",
	       .doc = "Folder."),
	SL_DIR(struct lock_conf, steering, SL_T_ENUM, SL_S_MAIN | SL_S_LISTEN,
	       .names = steering_names, .dflt = "ports", .doc = "Steering."),
	SL_DIR(struct lock_conf, match, SL_T_REGEX, SL_S_MAIN | SL_S_SERVICE,
	       .doc = "Which rooms."),
	SL_DIR(struct lock_conf, bind, SL_T_ADDR, SL_S_MAIN, .dflt = "\"[::]:3478\"",
	       .doc = "Address."),
	SL_DIR(struct lock_conf, ports, SL_T_PORTS, SL_S_MAIN, .dflt = "40000-49999", .min = 1024,
	       .max = 65535, .doc = "Relay ports."),
	SL_DIR(struct lock_conf, allow, SL_T_CIDR, SL_S_MAIN | SL_S_SERVICE, .list = true,
	       .dflt = "[10.0.0.0/8, \"::1\"]", .doc = "Networks."),
	SL_DIR(struct lock_conf, secrets, SL_T_SECRET, SL_S_MAIN, .list = true, .min = 1, .max = 2,
	       .doc = "Secrets."),
	SL_DIR(struct lock_conf, users, SL_T_RECORD, SL_S_MAIN, .list = true, .fields = user_fields,
	       .record_bytes = sizeof(struct user), .doc = "Users."),
	SL_DIR(struct lock_conf, origins, SL_T_STR, SL_S_MAIN, .list = true, .doc = "Origins."),
	SL_DIR(struct lock_conf, tls, SL_T_RECORD, SL_S_MAIN | SL_S_LISTEN, .fields = tls_fields,
	       .doc = "Certificate."),
	SL_DIRS_END};
static const struct conf_block lock = {"lock", lock_table, sizeof(struct lock_conf)};

/* One evaluation of a text. */
struct run {
	struct sl_pool *pool;
	struct conf_errors *errors;
	struct conf_eval ev;
	struct conf_node *root;
	struct lock_conf *conf;
	struct sl_buf said; /* what conf_errors_print says */
};

static inline struct run run_in(const char *text, enum sl_scope scope, const void *base,
				const char *path)
{
	struct run r = {.pool = sl_pool_new(0)};

	r.errors = conf_errors_new(r.pool);
	r.ev = (struct conf_eval){.pool = r.pool, .errors = r.errors, .prefix = "/srv"};
	sl_buf_init(&r.said, 0);
	r.root = conf_yaml_parse(r.pool, r.errors, "t.yaml", sl_str_c(text));
	r.conf = conf_evaluate(&r.ev, &lock, scope, r.root, base, path, NULL);
	conf_errors_print(r.errors, &r.said);
	return r;
}

static inline struct run run(const char *text)
{
	return run_in(text, SL_S_MAIN, NULL, "");
}

static inline bool buf_has(const struct sl_buf *b, const char *text)
{
	return b->len && memmem(b->p, b->len, text, strlen(text));
}

static inline void end(struct run *r)
{
	sl_buf_free(&r->said);
	sl_pool_destroy(r->pool);
}

#endif
