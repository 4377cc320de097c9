/*
 * recorder/recover.c: what a crash has left: recordings whose ".open" is still there.
 *
 * Files without their final names are cut to their last whole cluster, fragment or page and get
 * them, under a line in the journal that says so. A room that is still there goes on with its
 * recording, in the same directory and on the same time; others are closed as "interrupted".
 * Nothing is written over: a name that is taken stays as it is.
 *
 * This runs before the process serves, so that it may block.
 */
#include "hls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sluice/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 30, GIVE_UP_MS = 20000 }; /* bytes; as sluice record reads, too */

struct orphan {
	struct orphan *next;
	struct recording *rec;
};

/* ---- files */

static char *slurp(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size < MAX_TEXT)
		text = malloc((size_t)st.st_size + 1);
	while (text && ((n = read(fd, text + len, (size_t)st.st_size - len)) > 0 ||
			(n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

/* Never over another. File systems know one way or the other: some have no links, others cannot
 * refuse to replace. 0 or errno */
static int give_name(const char *part, const char *path)
{
	if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	return link(part, path) < 0 ? errno : 0;
}

/* Repairs PATH.part and gives it its name. known: bytes that count (of a sealed file: of its text);
 * what is behind them comes again from the workers. 0 or errno; ENODATA: nothing of use was in it
 */
static int repair(const char *path, const char *name, uint64_t known,
		  struct disk_result *ret_result)
{
	char part[MAX_PATH_LEN + 300];
	uint64_t good;
	int fd, rc;

	(void)snprintf(part, sizeof part, "%s.part", path);
	fd = open(part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno;
	rc = disk_cut(fd, name, known, &good);
	if (good == 0)
		rc = ENODATA;
	if (rc == 0)
		rc = disk_hide_empty(fd, name, &ret_result->hidden);
	if (rc == 0 && fsync(fd) < 0)
		rc = errno;
	if (rc == 0)
		rc = disk_hash(fd, ret_result->sha256, &ret_result->bytes);
	if (rc == 0)
		rc = give_name(part, path);
	close(fd);
	if (rc == 0 || rc == ENODATA)
		(void)unlink(part); /* which a link has left */
	return rc;
}

/* ---- the journal */

/* The lines that are whole and follow each other; the rest, cut by the crash, goes. */
static void read_journal(struct recording *rec, json_t *opens)
{
	char path[MAX_PATH_LEN + 40];
	struct sl_str text, line;
	size_t len;
	char *p;

	(void)snprintf(path, sizeof path, "%s/%s", rec->dir, JOURNAL_NAME);
	journal_begin(&rec->journal, sl_str_c(rec->id));
	p = slurp(path, &len);
	if (!p)
		return;
	text = (struct sl_str){p, len};
	while (journal_read(&rec->journal, &text, &line) == 0) {
		json_t *o = sl_json_parse(line, 8, NULL, 0);
		struct sl_str type = sl_json_get_str(o, "type"), file = sl_json_get_str(o, "file");

		if (file.p && sl_str_eq(type, SL_STR("open")))
			(void)json_object_set(opens, file.p, o);
		else if (file.p && sl_str_eq(type, SL_STR("segment")))
			(void)json_object_del(opens, file.p);
		json_decref(o);
	}
	if (text.len > 0 && truncate(path, (off_t)(len - text.len)) < 0)
		sl_log(SL_LOG_WARN, "recorder", "%s: its broken end cannot be cut: %m", path);
	free(p);
}

/* The tracks that its head names, without those that it does not any more */
static char *tracks_of(const json_t *open, uint64_t hidden)
{
	json_t *tracks = json_copy(json_object_get(open, "tracks"));
	char *text;

	for (size_t i = json_array_size(tracks); i-- > 0;)
		if (i < 64 && hidden >> i & 1)
			(void)json_array_remove(tracks, i);
	text = json_dumps(tracks, JSON_COMPACT);
	json_decref(tracks);
	return text;
}

static void note_segment(struct recording *rec, const char *name, const json_t *open,
			 const struct disk_result *r)
{
	char hash[65], *tracks = tracks_of(open, r->hidden);
	struct sl_buf b;

	sl_hex_encode(hash, r->sha256, sizeof r->sha256);
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("\"type\":\"segment\",\"file\":"));
	sl_buf_json(&b, sl_str_c(name));
	sl_buf_str(&b, SL_STR(",\"container\":"));
	sl_buf_json(&b, sl_json_get_str(open, "container"));
	sl_buf_printf(&b,
		      ",\"sealed\":%s,\"start_ms\":%lld,\"tracks\":%s,\"recovered\":true,\"bytes\":"
		      "%llu,\"sha256\":\"%s\"",
		      json_is_true(json_object_get(open, "sealed")) ? "true" : "false",
		      (long long)json_integer_value(json_object_get(open, "start_ms")),
		      tracks ? tracks : "[]", (unsigned long long)r->bytes, hash);
	recording_note(rec, &b);
	rec->n_segments++;
	rec->bytes += r->bytes;
	free(tracks);
}

/* What was open, and files that were whole but whose line was lost */
static void repair_files(struct recording *rec, json_t *opens)
{
	const char *name;
	json_t *line;

	json_object_foreach(opens, name, line)
	{
		char path[MAX_PATH_LEN + 280];
		struct disk_result r = {0};
		int fd, rc;

		(void)snprintf(path, sizeof path, "%s/%s", rec->dir, name);
		rc = repair(path, name, saved_file_bytes(rec, name), &r);
		if (rc == ENOENT && (fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) >= 0) {
			rc = disk_hide_empty(fd, name, &r.hidden);
			if (rc == 0)
				rc = disk_hash(fd, r.sha256, &r.bytes);
			close(fd);
		}
		if (rc == 0)
			note_segment(rec, name, line, &r);
		else if (rc != ENODATA && rc != ENOENT)
			sl_log(SL_LOG_ERROR, "recorder", "%s could not be repaired: %s", path,
			       strerror(rc));
	}
}

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
	text = slurp(path, &len);
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
	json_t *opens = json_object();
	struct recording *rec = load(w, dir);
	struct orphan *o = calloc(1, sizeof *o);
	struct sl_buf b;

	if (rec)
		rec->lock_fd = lock_fd;
	if (!rec || !opens || !o) {
		sl_log(SL_LOG_ERROR, "recorder",
		       "%s has no manifest that can be read; its files are left as they are", dir);
		close_mark(dir, lock_fd);
		free(rec);
		free(o);
		json_decref(opens);
		return;
	}
	read_journal(rec, opens);
	saved_read(rec);
	hls_close_left(dir);
	repair_files(rec, opens);
	json_decref(opens);
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "\"type\":\"recovered\",\"at_ms\":%lld",
		      (long long)(recording_now(rec) / (int64_t)SL_NS_PER_MS));
	recording_note(rec, &b);
	recording_write_manifest(rec);
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
