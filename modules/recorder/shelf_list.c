/*
 * recorder/shelf_list.c: the list of recordings, page by page.
 *
 * The directory is the index: DIR/<room>/<id>, where ids begin with their time, so that names in
 * descending order are recordings from the newest on, and an id is the cursor. However many there
 * are, a page keeps no more names than it may look at manifests, and that is bounded too: who may
 * see one room of thousands gets pages with few in them, or none, and the cursor to go on from. A
 * page of one room looks into that room's directory alone.
 */
#include "shelf.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "manifest.h"

enum { MAX_NAMES = SHELF_MAX_LOOKS + 1 /* that tells of more */ };

struct name {
	char *room; /* directory; owned */
	char id[SHELF_ID];
};
struct names {
	const struct shelf_query *q;
	size_t n;
	struct name items[2 * MAX_NAMES]; /* the newest half is kept when they are full */
};

/* ---- what is there */

static int newest_first(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int by_id = strcmp(y->id, x->id);

	return by_id ? by_id : strcmp(x->room, y->room);
}

static void keep_newest(struct names *all, size_t n)
{
	if (all->n > 0)
		qsort(all->items, all->n, sizeof *all->items, newest_first);
	while (all->n > n)
		free(all->items[--all->n].room);
}

static void add_name(struct names *all, const char *room, const char *id)
{
	struct name *name;

	if (all->q->after.p && sl_str_cmp(sl_str_c(id), all->q->after) >= 0)
		return;
	if (all->n == SL_ARRAY_LEN(all->items))
		keep_newest(all, MAX_NAMES);
	name = &all->items[all->n];
	name->room = strdup(room);
	(void)sl_str_copy(name->id, SHELF_ID, sl_str_c(id));
	if (name->room)
		all->n++;
}

static void read_room(struct names *all, const char *dir, const char *room)
{
	char path[SHELF_PATH];
	DIR *d = snprintf(path, sizeof path, "%s/%s", dir, room) < (int)sizeof path ? opendir(path)
										    : NULL;

	for (struct dirent *e; d && (e = readdir(d));)
		if (shelf_is_id(sl_str_c(e->d_name)))
			add_name(all, room, e->d_name);
	if (d)
		closedir(d);
}

static void read_rooms(struct names *all, const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			read_room(all, dir, e->d_name);
	if (d)
		closedir(d);
}

static void read_names(struct names *all, const char *dir)
{
	char room[64]; /* as recording_start has it */

	if (all->q->room.p) {
		safe_name(room, sizeof room, all->q->room);
		read_room(all, dir, room);
	} else {
		read_rooms(all, dir);
	}
	keep_newest(all, MAX_NAMES);
}

/* ---- a page of it */

static bool is_open(const char *path)
{
	char name[SHELF_PATH + 40];

	(void)snprintf(name, sizeof name, "%s/%s", path, OPEN_NAME);
	return access(name, F_OK) == 0;
}

/* Only what a list needs: no tracks, and of people their names */
static void summarize(const json_t *manifest, bool running, struct sl_buf *json)
{
	static const char *const members[] = {"id",	    "room",   "started",  "started_unix_ms",
					      "state",	    "reason", "segments", "bytes",
					      "duration_ms"};
	json_t *o = json_object(), *names = json_array(), *person;
	size_t i;

	for (i = 0; i < SL_ARRAY_LEN(members); i++)
		if (json_object_get(manifest, members[i]))
			(void)json_object_set(o, members[i], json_object_get(manifest, members[i]));
	json_array_foreach(json_object_get(manifest, "participants"), i, person)(void)
		json_array_append(names, json_object_get(person, "name"));
	(void)json_object_set_new(o, "participants", names);
	(void)json_object_set_new(
		o, "tracks",
		json_integer((json_int_t)json_array_size(json_object_get(manifest, "tracks"))));
	(void)json_object_set_new(o, "running", json_boolean(running));
	sl_json_dump(o, json);
	json_decref(o);
}

/* false: it is not for who asks, or not a recording */
static bool list_one(const char *dir, const struct name *n, const struct shelf_query *q,
		     const char *comma, struct sl_buf *json)
{
	char path[SHELF_PATH];
	json_t *manifest;
	bool wanted;

	if (snprintf(path, sizeof path, "%s/%s/%s", dir, n->room, n->id) >= (int)sizeof path)
		return false;
	manifest = shelf_manifest(path);
	wanted = shelf_is_wanted(q, manifest);
	if (wanted) {
		sl_buf_printf(json, "%s\n", comma);
		summarize(manifest, is_open(path), json);
	}
	json_decref(manifest);
	return wanted;
}

/* Returns how many names it looked at. */
static size_t write_page(const struct names *all, const char *dir, struct sl_buf *json)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < all->n && i < SHELF_MAX_LOOKS && n < all->q->limit; i++)
		n += list_one(dir, &all->items[i], all->q, n > 0 ? "," : "", json);
	return i;
}

void shelf_list(const char *dir, const struct shelf_query *q, struct sl_buf *json)
{
	struct names *all = calloc(1, sizeof *all);
	size_t looked;

	if (!all) {
		json->failed = true;
		return;
	}
	all->q = q;
	read_names(all, dir);
	sl_buf_str(json, SL_STR("{\"recordings\":["));
	looked = write_page(all, dir, json);
	sl_buf_str(json, SL_STR("],\n\"next\":"));
	if (looked > 0 && looked < all->n)
		sl_buf_json(json, sl_str_c(all->items[looked - 1].id));
	else
		sl_buf_str(json, SL_STR("null"));
	sl_buf_str(json, SL_STR("}\n"));
	keep_newest(all, 0);
	free(all);
}
