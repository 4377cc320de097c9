/*
 * recorder/recover_files.c: what a crash has left of one recording: its journal, and files without
 * their final names.
 *
 * These are cut to their last whole cluster, fragment or page and get their names, under a line in
 * the journal that says so. Nothing is written over: a name that is taken stays as it is.
 */
#include "hls.h"

#include <errno.h>
#include <fcntl.h>
#include <sluice/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 30 }; /* bytes; as sluice record reads, too */

/* ---- files */

char *repair_read(const char *path, size_t *ret_len)
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
	p = repair_read(path, &len);
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

int repair_recording(struct recording *rec)
{
	json_t *opens = json_object();
	struct sl_buf b;

	if (!opens)
		return -SL_ENOMEM;
	read_journal(rec, opens);
	saved_read(rec);
	hls_close_left(rec->dir);
	repair_files(rec, opens);
	json_decref(opens);
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "\"type\":\"recovered\",\"at_ms\":%lld",
		      (long long)(recording_now(rec) / (int64_t)SL_NS_PER_MS));
	recording_note(rec, &b);
	recording_write_manifest(rec);
	return 0;
}
