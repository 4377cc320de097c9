/*
 * recorder/recover.c: what a crash has left: recordings whose ".open" is still there.
 *
 * A room that is still there goes on with its recording, once that is repaired (recover_files.c),
 * in the same directory and on the same time; others are closed as "interrupted".
 *
 * This runs before the process serves, so that it may block.
 */
#include "writer.h"

#include <dirent.h>
#include <sluice/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GIVE_UP_MS = 20000 };

struct orphan {
	struct orphan *next;
	struct recording *rec;
};

/* ---- recordings */

static void add_past(struct sl_buf *to, const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)items, i, item)
	{
		char *text = json_dumps(item, JSON_COMPACT);

		sl_buf_printf(to, "%s\n  %s", to->len > 0 ? "," : "", text ? text : "{}");
		free(text);
	}
}

static uint64_t count_of(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static void take_over(struct wtrack *t, const json_t *o)
{
	if (json_object_get(o, "start_ms")) {
		t->first_ns = (int64_t)(count_of(o, "start_ms") * SL_NS_PER_MS);
		t->last_ns = t->last_end_ns = (int64_t)(count_of(o, "end_ms") * SL_NS_PER_MS);
	}
	t->n_packets += count_of(o, "packets");
	t->n_lost += count_of(o, "lost");
	t->n_frames += count_of(o, "frames");
	t->n_gaps += count_of(o, "gaps");
}

void recover_track(struct recording *rec, struct wtrack *t)
{
	struct sl_buf text;
	json_t *items, *o;
	char id[20];
	size_t i;

	if (rec->past_tracks.len == 0)
		return;
	(void)snprintf(id, sizeof id, "%016llx", (unsigned long long)t->id);
	sl_buf_init(&text, 0);
	sl_buf_printf(&text, "[%.*s]", (int)rec->past_tracks.len, (char *)rec->past_tracks.p);
	items = sl_json_parse(sl_buf_view(&text), 8, NULL, 0);
	sl_buf_free(&text);
	json_array_foreach(items, i, o)
	{
		if (!sl_str_eq(sl_json_get_str(o, "id"), sl_str_c(id)))
			continue;
		take_over(t, o);
		(void)json_array_remove(items, i);
		sl_buf_reset(&rec->past_tracks);
		add_past(&rec->past_tracks, items);
		break;
	}
	json_decref(items);
}

/* The clock went on if this is still the same boot; else nobody goes on with it anyway. */
static int fill(struct recording *rec, const json_t *manifest)
{
	struct sl_str room = sl_json_get_str(manifest, "room"),
		      id = sl_json_get_str(manifest, "id");
	char *name = room.p ? malloc(room.len + 1) : NULL;

	if (!name || !id.p || id.len >= sizeof rec->id) {
		free(name);
		return -SL_EPARSE;
	}
	memcpy(name, room.p, room.len + 1);
	rec->room_name = (struct sl_str){name, room.len};
	(void)sl_str_copy(rec->id, sizeof rec->id, id);
	rec->unix_ms = (uint64_t)json_integer_value(json_object_get(manifest, "started_unix_ms"));
	rec->t0_ns =
		(uint64_t)json_integer_value(json_object_get(manifest, "started_monotonic_ns"));
	rec->n_segments = (unsigned)json_integer_value(json_object_get(manifest, "segments"));
	rec->n_labels = (unsigned)json_integer_value(json_object_get(manifest, "files"));
	rec->bytes = (uint64_t)json_integer_value(json_object_get(manifest, "bytes"));
	sl_buf_init(&rec->past_tracks, 0);
	sl_buf_init(&rec->past_people, 0);
	add_past(&rec->past_tracks, json_object_get(manifest, "tracks"));
	add_past(&rec->past_people, json_object_get(manifest, "participants"));
	return 0;
}

/* Numbers of files that the manifest had not heard of are taken, too. */
static void skip_numbers(struct recording *rec)
{
	DIR *d = opendir(rec->dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		unsigned long n = strtoul(e->d_name, NULL, 10);

		if (n > rec->n_labels && n < UINT32_MAX)
			rec->n_labels = (unsigned)n;
	}
	if (d)
		closedir(d);
}

static struct recording *load(struct writer *w, const char *dir)
{
	struct recording *rec = calloc(1, sizeof *rec);
	char path[MAX_PATH_LEN + 40];
	json_t *manifest = NULL;
	size_t len = 0;
	char *text;

	(void)snprintf(path, sizeof path, "%s/%s", dir, MANIFEST_NAME);
	text = repair_read(path, &len);
	if (text)
		manifest = sl_json_parse((struct sl_str){text, len}, 8, NULL, 0);
	free(text);
	if (!rec || !manifest || fill(rec, manifest) < 0) {
		free(rec);
		json_decref(manifest);
		return NULL;
	}
	json_decref(manifest);
	rec->writer = w;
	rec->state = REC_ON;
	(void)sl_str_copy(rec->dir, sizeof rec->dir, sl_str_c(dir));
	skip_numbers(rec);
	return rec;
}

/* Nothing that could be finished: not looked at again, and not kept if there is nothing in it. */
static void close_mark(const char *dir, int lock_fd)
{
	char mark[MAX_PATH_LEN + 16];

	(void)snprintf(mark, sizeof mark, "%s/%s", dir, PROGRESS_NAME);
	(void)unlink(mark);
	(void)snprintf(mark, sizeof mark, "%s/%s", dir, OPEN_NAME);
	(void)unlink(mark);
	(void)rmdir(dir);
	close(lock_fd);
}

static void recover(struct writer *w, const char *dir, int lock_fd)
{
	struct recording *rec = load(w, dir);
	struct orphan *o = calloc(1, sizeof *o);

	if (rec)
		rec->lock_fd = lock_fd;
	if (!rec || !o || repair_recording(rec) < 0) {
		sl_log(SL_LOG_ERROR, "recorder",
		       "%s has no manifest that can be read; its files are left as they are", dir);
		close_mark(dir, lock_fd);
		free(rec);
		free(o);
		return;
	}
	sl_count(&w->m[M_recovered]);
	sl_log(SL_LOG_NOTICE, "recorder",
	       "recording %s of room \"%.*s\" was left open by a crash; it is repaired", rec->id,
	       SL_FMT(rec->room_name));
	*o = (struct orphan){w->orphans, rec};
	w->orphans = o;
}

static void recover_if_open(struct writer *w, const char *dir)
{
	char mark[MAX_PATH_LEN + 8];
	int fd;

	(void)snprintf(mark, sizeof mark, "%s/%s", dir, OPEN_NAME);
	/* That of a writer that lives, of the generation before, is its own. */
	if (access(mark, F_OK) == 0 && recording_lock(dir, &fd) == 0)
		recover(w, dir, fd);
}

static void scan(struct writer *w, const char *dir, unsigned depth)
{
	char path[MAX_PATH_LEN];
	struct stat st;
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path - 40)
			continue;
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (depth == 0) {
			scan(w, path, 1);
		} else {
			recover_if_open(w, path);
		}
	}
	if (d)
		closedir(d);
}

void recover_all(struct writer *w)
{
	scan(w, w->conf->dir.p, 0);
	w->recovered_at_ms = sl_loop_ms(w->w->loop);
}

static bool is_wanted(const struct recording *rec, struct sl_str room, struct sl_str id)
{
	return sl_str_eq(rec->room_name, room) &&
	       (id.len == 0 || sl_str_eq(sl_str_c(rec->id), id)) &&
	       rec->t0_ns <= sl_loop_ns(rec->writer->w->loop); /* of this boot */
}

bool recover_has(const struct writer *w, struct sl_str room, struct sl_str id)
{
	for (const struct orphan *o = w->orphans; o; o = o->next)
		if (is_wanted(o->rec, room, id))
			return true;
	return false;
}

struct recording *recover_take(struct writer *w, struct sl_str room, struct sl_str id)
{
	for (struct orphan **link = &w->orphans; *link; link = &(*link)->next) {
		struct orphan *o = *link;
		struct recording *rec = o->rec;

		if (!is_wanted(rec, room, id))
			continue;
		*link = o->next;
		free(o);
		rec->last_media_ms = sl_loop_ms(w->w->loop);
		return rec;
	}
	return NULL;
}

static void close_all(struct writer *w)
{
	while (w->orphans) {
		struct orphan *o = w->orphans;

		w->orphans = o->next;
		recording_end(o->rec, "interrupted",
			      "the server was interrupted, and nobody came back");
		free(o);
	}
}

void recover_tick(struct writer *w)
{
	if (w->orphans && sl_loop_ms(w->w->loop) > w->recovered_at_ms + GIVE_UP_MS)
		close_all(w);
}

void recover_free(struct writer *w)
{
	if (w->disk)
		close_all(w);
}
