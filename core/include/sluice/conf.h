/*
 * sluice/conf.h: directive tables. A directive is data: parsing, range checks, defaults,
 * inheritance, error messages, the reference manual and the JSON Schema all come from its row.
 *
 *     struct loud_conf { uint64_t window; };
 *     static const struct sl_directive directives[] = {
 *             SL_DIR(struct loud_conf, window, SL_T_MSEC, SL_S_MAIN | SL_S_SERVICE,
 *                    .dflt = "300ms", .min = 20, .max = 5000, .doc = "Averaging window."),
 *             SL_DIRS_END};
 *
 * The loader fills the conf struct; module code reads plain members. An unset directive takes its
 * value from the enclosing scope (service, listen < main), else .dflt, else zero.
 */
#ifndef SLUICE_CONF_H
#define SLUICE_CONF_H

#include <sluice/addr.h>
#include <sluice/pool.h>

/* Type of a directive, what YAML it takes, and the C member it fills. */
enum sl_conf_type {
	SL_T_BOOL,   /* true|false|yes|no|on|off           bool */
	SL_T_INT,    /* 42                                  int64_t, within min..max */
	SL_T_SIZE,   /* 64k, 2MiB, 1g (powers of 1024)      uint64_t bytes */
	SL_T_MSEC,   /* 300ms, 5s, 10m, 2h, 1d; bare: s     uint64_t ms */
	SL_T_STR,    /* text                                struct sl_str (NUL behind it) */
	SL_T_SECRET, /* text, masked in every dump          struct sl_str */
	SL_T_PATH,   /* file name, relative to the prefix   struct sl_str, absolute */
	SL_T_ENUM,   /* one of .names                       int32_t, its index */
	SL_T_REGEX,  /* PCRE2 pattern                       struct sl_regex * */
	SL_T_ADDR,   /* 192.0.2.1, [2001:db8::1]:3478       struct sl_addr */
	SL_T_CIDR,   /* 10.0.0.0/8                          struct sl_cidr */
	SL_T_PORTS,  /* 40000-49999, 3478                   struct sl_ports */
	SL_T_RECORD, /* a mapping with .fields              the record's struct, embedded */
};

struct sl_ports {
	uint16_t lo, hi; /* inclusive */
};

/* A directive with .list = true fills one of these; items is an array of the type's C form. A
 * single value is a list of one. */
struct sl_list {
	void *items; /* owned by the configuration */
	size_t n;
};
#define SL_LIST_AT(list, type, i) (&((type *)(list).items)[i])

enum sl_scope {
	SL_S_MAIN = 1,
	SL_S_LISTEN = 2,
	SL_S_SERVICE = 4,
	SL_S_RECORD = 8 /* a field of a record */
};

struct sl_directive {
	const char *name; /* NULL ends the table */
	uint8_t type;	  /* enum sl_conf_type */
	uint8_t scopes;	  /* where it may stand: enum sl_scope */
	bool list, required;
	uint32_t offset, bytes; /* of the member; the loader checks bytes against the type */
	const char *dflt; /* as it would stand in YAML; lists: "[a, b]"; NULL: zero, empty, or the
			     record's own defaults */
	int64_t min,
		max; /* numbers: inclusive when max > min; strings and lists: length or count */
	const char *const *names;	   /* SL_T_ENUM: NULL-terminated */
	const struct sl_directive *fields; /* SL_T_RECORD */
	uint32_t record_bytes;		   /* SL_T_RECORD in a list: size of one item */
	const char *doc;		   /* a sentence or more, for operators */
};

#define SL_DIR(strct, member, type_, scopes_, ...)                                                 \
	{                                                                                          \
		.name = #member, .type = (type_), .scopes = (scopes_),                             \
		.offset = offsetof(strct, member), .bytes = sizeof(((strct *)0)->member),          \
		__VA_ARGS__                                                                        \
	}
#define SL_FIELD(strct, member, type_, ...) SL_DIR(strct, member, type_, SL_S_RECORD, __VA_ARGS__)
#define SL_DIRS_END                                                                                \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* Handed to a module's check(): report what a table cannot say. Places are found from the
 * directive's path. */
struct sl_conf;
/* path below the block: "secrets[2]" or "" */
SL_API void sl_conf_error(struct sl_conf *c, const char *path, const char *fmt, ...)
	SL_PRINTF(3, 4);
SL_API void sl_conf_warn(struct sl_conf *c, const char *path, const char *fmt, ...) SL_PRINTF(3, 4);
/* Lives as long as the configuration */
SL_API struct sl_pool *sl_conf_pool(struct sl_conf *c);
/* The block stands in a listener or a service, over the main one */
SL_API bool sl_conf_is_below(const struct sl_conf *c);
/* Written by the operator, not a default */
SL_API bool sl_conf_is_set(const struct sl_conf *c, const char *path);

#endif
