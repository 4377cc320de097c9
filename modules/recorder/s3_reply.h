/*
 * recorder/s3_reply.h: what S3 and its like answer, read: texts of XML elements, tags, dates. Pure.
 */
#ifndef RECORDER_S3_REPLY_H
#define RECORDER_S3_REPLY_H

#include <sluice/str.h>

/* The text of the first element of this name, entities undone, cut to cap - 1. false: there is none,
 * or it is not only text */
bool s3_element(struct sl_str xml, struct sl_str name, char *dst, size_t cap);
/* An entity tag without quotes and without "W/"; cut to cap - 1 */
void s3_tag(struct sl_str header, char *dst, size_t cap);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) in seconds since 1970. -SL_EPARSE */
SL_MUST_CHECK int s3_date(struct sl_str text, int64_t *ret_s);

#endif
