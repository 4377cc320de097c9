/*
 * recorder/api.h: recordings over HTTP, for who has a token with the grant `recorder` or `admin`:
 * the list, one recording, its files, and control. Lives in the workers.
 */
#ifndef RECORDER_API_H
#define RECORDER_API_H

#include "recorder.h"

struct api;
/* Without the module http on this node, or without a path, there is none: *ret_api is NULL, and 0
 * returned. */
int api_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
	     struct api **ret_api);
void api_close(struct api *a); /* accepts NULL */
/* MSG_ANSWER */
void api_answered(struct api *a, struct sl_reader *r);
/* The writer has died with its answers. */
void api_lost(struct api *a, uint32_t owner);

#endif
