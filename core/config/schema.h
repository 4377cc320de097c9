/*
 * config/schema.h: what the documents about tables need from evaluation.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

/* A conf struct of nothing but defaults, paths left relative; NULL: out of memory. */
const void *schema_defaults(struct sl_pool *pool, const struct conf_block *b);
/* "main, service" */
const char *schema_scope_names(uint8_t scopes, char dst[64]);

#endif
