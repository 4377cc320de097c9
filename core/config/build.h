/*
 * config/build.h: puts the events of a YAML parser together to a tree; private to yaml.c and
 * build.c.
 */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include <sluice/hash.h>
#include "config/tree.h"

/* What an event brings along. All strings are borrowed. */
struct build_item {
	struct conf_place at;
	struct sl_str anchor, tag; /* empty: none */
	struct sl_str value;	   /* of a scalar; the name of an alias */
	bool quoted;
};

/* A collection that is still open. */
struct build_level {
	struct conf_node *node;
	struct conf_node **tail;
	struct conf_node *merges, **merges_tail; /* values of "<<" */
	bool have_key, merge, drop; /* of the value to come; drop: after a duplicate key */
	struct sl_str key;
	struct conf_place key_at;
};

struct build {
	struct sl_pool *pool;
	struct conf_errors *errors;
	const char *file;
	struct conf_node *root; /* NULL: no document yet */
	struct build_level levels[CONF_MAX_DEPTH];
	unsigned depth, n_nodes;
	struct sl_htab names; /* keys and anchors so far */
};

/* 0, or an error that was reported and ends the document. */
int build_scalar(struct build *b, const struct build_item *item);
int build_open(struct build *b, enum conf_node_kind kind, const struct build_item *item);
int build_close(struct build *b);
int build_alias(struct build *b, const struct build_item *item);
/* Frees what is not the pool's */
void build_end(struct build *b);

/* Reports at the path that is being built, and returns -SL_EPARSE. */
int build_refuse(struct build *b, const struct conf_place *at, const char *fmt, ...)
	SL_PRINTF(3, 4);

#endif
