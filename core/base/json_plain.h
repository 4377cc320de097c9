/*
 * base/json_plain.h: the quick way for JSON that is nothing special.
 */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <sluice/json.h>

/* As sl_json_parse. NULL says nothing about the text but that it has to be read the long way. */
struct json_t *json_read_plain(struct sl_str text, size_t max_depth);

#endif
