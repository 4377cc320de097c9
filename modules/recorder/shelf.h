/*
 * recorder/shelf.h: recordings as HTTP clients ask for them: a page of the list, one of them, a
 * file. Reads disks, and so runs in a thread (work.h); knows nothing of HTTP.
 */
#ifndef RECORDER_SHELF_H
#define RECORDER_SHELF_H

#include <sluice/json.h>

/* LOOKS: manifests that are read for one page, at most */
enum { SHELF_PATH = 1024, SHELF_ID = 40, SHELF_MAX_PAGE = 200, SHELF_MAX_LOOKS = 1000 };

struct shelf_query {
	struct sl_str room;  /* p NULL: of all rooms */
	struct sl_str after; /* id of the last one that was seen; p NULL: from the newest on */
	unsigned limit;
	bool (*may)(void *arg, struct sl_str room);
	void *arg;
};
/* {"recordings":[...],"next":id or null}, newest first. Not all of a page need be for who asks:
 * next goes on behind what was looked at, also where nothing was found. */
void shelf_list(const char *dir, const struct shelf_query *q, struct sl_buf *json);

/* In its room, and that may be seen; manifest may be NULL, which is not */
bool shelf_is_wanted(const struct shelf_query *q, const json_t *manifest);

/* An id that can be one; what else is asked for is not looked for. */
bool shelf_is_id(struct sl_str id);
/* -SL_ENOENT: there is none, or its room is not one of those that may be seen */
SL_MUST_CHECK int shelf_find(const char *dir, struct sl_str id, const struct shelf_query *q,
			     char ret_path[SHELF_PATH]);
/* {"manifest":…,"running":…,"segments":[…],"notes":[…]}. -SL_ENOENT, -SL_EPARSE */
SL_MUST_CHECK int shelf_describe(const char *path, struct sl_buf *json);

struct shelf_file {
	int fd; /* the caller's */
	uint64_t len;
	char tag[64]; /* entity tag, quoted */
	const char *type;
	bool grows; /* it is written to at the moment */
};
/* -SL_ENOENT: no such file, or not one of those that are told of */
SL_MUST_CHECK int shelf_open(const char *path, struct sl_str name, struct shelf_file *ret_file);
/* A playlist whose URIs carry the token on, since players set no headers. -SL_ENOENT */
SL_MUST_CHECK int shelf_playlist(const char *path, struct sl_str name, struct sl_str token,
				 struct sl_buf *text);
bool shelf_is_playlist(struct sl_str name);
/* Storage has it, whether or not it is here, too. */
bool shelf_is_uploaded(const char *path, struct sl_str name);
/* By its suffix */
const char *shelf_type(struct sl_str name);
/* manifest.json, the caller's reference; NULL: there is none that can be read */
json_t *shelf_manifest(const char *path);
/* With all its files; it is out of the list at once. 0 or errno */
SL_MUST_CHECK int shelf_remove(const char *path);

#endif
