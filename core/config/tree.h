/*
 * config/tree.h: what the files of config/ share about the tree, beside config.h.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "config/config.h"

/*
 * Deepest nesting of a document, aliases expanded. Functions that walk the tree may therefore
 * recurse: at most this deep.
 */
enum { CONF_MAX_DEPTH = 64 };

struct conf_node *conf_node_new(struct sl_pool *pool, enum conf_node_kind kind,
				const struct conf_place *at);
/* A plain scalar with nothing in it, as in "stun:". */
bool conf_node_is_empty(const struct conf_node *node);
/* An empty mapping; NULL: out of memory. */
struct conf_node *conf_node_empty_mapping(struct sl_pool *pool, const char *file);

/*
 * Walks "a.b[2].c" down from node. Returns the last node that is there, and in *ret_rest what of
 * the path is missing
 * ("" when nothing is). A single value counts as a list of one.
 */
struct conf_node *conf_node_walk(struct conf_node *node, struct sl_str path,
				 struct sl_str *ret_rest);

/*
 * tag.c: replaces the scalar by what "!env NAME" or "!file PATH" names. Reports, and marks the node
 * bad, when it cannot.
 */
void conf_tag_resolve(struct sl_pool *pool, struct conf_errors *e, struct conf_node *node,
		      struct sl_str tag, const char *path);

#endif
