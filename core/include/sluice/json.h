/*
 * sluice/json.h: JSON from the network: bounded, strict, as jansson values. The one seam of
 * jansson's parser.
 *
 * Values are read and built with jansson itself; what is parsed here is refused when it nests too
 * deep or names a key twice. The size is limited by who reads it from the wire.
 */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include <jansson.h>
#include <sluice/buf.h>

/*
 * One object or array (RFC 8259); max_depth 1 permits no nesting. NULL: refused, and err (which may
 * be NULL) has the reason as a sentence. The caller owns the reference: json_decref().
 */
SL_API struct json_t *sl_json_parse(struct sl_str text, size_t max_depth, char *err,
				    size_t err_cap);
/* A string member, borrowed from obj, with NUL behind; p NULL when absent, not a string, or obj is
 * no object. */
SL_API struct sl_str sl_json_get_str(const struct json_t *obj, const char *key);
/* Appends compact text; what cannot be written sets b->failed. */
SL_API void sl_json_dump(const struct json_t *json, struct sl_buf *b);

#endif
