/*
 * http/resource.h: names of static files: paths, media types and entity tags. Pure.
 */
#ifndef HTTP_RESOURCE_H
#define HTTP_RESOURCE_H

#include <sluice/str.h>

/*
 * The file below a root that a decoded URL path names: without the leading '/', and with `index`
 * behind a trailing '/'. -SL_EDENIED: a segment begins with '.', or there is a control character or
 * a backslash; -SL_ELIMIT: does not fit.
 */
int resource_name(char *dst, size_t cap, struct sl_str url_path, struct sl_str index);
const char *resource_type(struct sl_str name);
/* Whether an If-None-Match value (RFC 9110 section 13.1.2) names this tag; weak comparison. */
bool resource_tag_matches(struct sl_str if_none_match, struct sl_str tag);

#endif
