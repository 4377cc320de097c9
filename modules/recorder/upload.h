/*
 * recorder/upload.h: recordings on their way to storage, all of them: threads that work off what the
 * writer tells of and what an earlier process has left.
 */
#ifndef RECORDER_UPLOAD_H
#define RECORDER_UPLOAD_H

#include "recorder.h"

struct upload;
/* dir: of all recordings. *ret_upload NULL when nothing is configured. */
SL_MUST_CHECK int upload_start(const struct upload_conf *conf, const char *dir,
			       struct upload **ret_upload);
/* Gives up what is under way; it is gone on with at the next start. Accepts NULL */
void upload_stop(struct upload *u);
/* The recording has a finished file more, or is over. Accepts NULL */
void upload_touch(struct upload *u, const char *dir);

enum upload_news { UPLOAD_DONE, UPLOAD_FAILED };
struct upload_told {
	enum upload_news news;
	char dir[1024], room[130], why[400];
};
/* Of the loop: counters, and what has happened since, one after the other; false: nothing more */
void upload_count(struct upload *u, const struct sl_meter *m);
bool upload_take(struct upload *u, struct upload_told *ret_told);
/* There is nothing of it here only. */
bool upload_is_done(const char *dir);

#endif
