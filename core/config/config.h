/*
 * config/config.h: from YAML text to filled structs, by tables only.
 *
 * Knows YAML, directive tables and scopes; does not know what any directive means. The session
 * layer hands over the core's and the modules' tables; the checker and every worker run the same
 * evaluation over the same sealed text.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <sluice/buf.h>
#include <sluice/conf.h>
#include <sluice/offload.h>

/* ---- problems: collected, sorted by place, printed at once */
struct conf_errors;
struct conf_place { /* borrowed file name; line and column from 1 */
	const char *file;
	unsigned line, column;
};
struct conf_errors *conf_errors_new(struct sl_pool *pool);
void conf_report(struct conf_errors *e, bool warning, const struct conf_place *at, const char *path,
		 const char *fmt, ...) SL_PRINTF(5, 6);
unsigned conf_n_errors(const struct conf_errors *e);
unsigned conf_n_warnings(const struct conf_errors *e);
/* Sorted lines, then the summary */
void conf_errors_print(struct conf_errors *e, struct sl_buf *out);

/* ---- yaml.c: the tree */
enum conf_node_kind { CONF_SCALAR, CONF_SEQUENCE, CONF_MAPPING };
struct conf_node {
	uint8_t kind;
	bool quoted, secret; /* secret: came from !file or !env */
	bool bad; /* the parser has reported it: a default stands in, and nothing more is said about
		     it */
	struct conf_place at;
	struct sl_str key; /* in a mapping */
	struct conf_place key_at;
	struct sl_str value;		/* scalar */
	struct conf_node *child, *next; /* first child; next sibling */
	unsigned n_children;
	bool used; /* W: evaluation, to find unknown keys */
};
/* text: not needed afterwards. NULL root: errors were reported (or the document is empty: then an
 * empty mapping). */
struct conf_node *conf_yaml_parse(struct sl_pool *pool, struct conf_errors *e, const char *file,
				  struct sl_str text);
struct conf_node *conf_yaml_get(const struct conf_node *mapping, const char *key);
/* Merges the document "a.b: value" of -g number i over root. */
int conf_yaml_override(struct sl_pool *pool, struct conf_errors *e, struct conf_node *root,
		       unsigned i, struct sl_str text);

/* ---- schema.c: evaluation */
struct conf_block {	  /* a table that a mapping is read by */
	const char *name; /* "turn-relay"; for messages */
	const struct sl_directive *table;
	uint32_t size; /* bytes of its conf struct */
};
/* Verifies a table itself (types against member sizes, defaults that parse, doc strings); err: a
 * sentence. For the loader and tests. */
int conf_table_check(const struct conf_block *b, char *err, size_t err_cap);

struct conf_eval {
	struct sl_pool *pool;
	struct conf_errors *errors;
	const char *prefix;	       /* for SL_T_PATH */
	enum sl_offload_mode *offload; /* the strongest wish of the modules; NULL: not asked */
};
/*
 * Reads node (NULL: all defaults) by b->table for one scope into a new conf struct. base: the conf
 * of the enclosing scope of the same table, or NULL. path: dotted place of the node, for messages.
 * Keys listed in `also` (NULL-terminated names, may be NULL) belong to somebody else and are not
 * unknown. Errors are reported, and the struct is complete all the same (defaults where wrong).
 */
void *conf_evaluate(const struct conf_eval *ev, const struct conf_block *b, enum sl_scope scope,
		    struct conf_node *node, const void *base, const char *path,
		    const char *const *also);
/* Reports an unknown key with "did you mean" over candidates. */
void conf_unknown_key(const struct conf_eval *ev, const struct conf_node *node, const char *path,
		      const char *const *candidates, const char *what);

/* What check() of a module gets (struct sl_conf of <sluice/conf.h>). */
struct sl_conf *conf_checker(const struct conf_eval *ev, const struct conf_block *b,
			     struct conf_node *node, const char *path);

/* ---- dump.c: what the tables say, in three forms */
/* Effective YAML of what may stand in this scope, secrets masked; it parses to the same conf. */
void conf_dump(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope,
	       const void *conf, unsigned indent);
/* A JSON Schema object */
void conf_schema_json(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope);
/* Only the members of its "properties", for a block that other blocks stand in; returns how many
 * were written. */
unsigned conf_schema_members(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope);
/* A Markdown table */
void conf_reference_md(struct sl_buf *out, const struct conf_block *b);
/* How a file and each type is written */
void conf_reference_intro_md(struct sl_buf *out);

#endif
