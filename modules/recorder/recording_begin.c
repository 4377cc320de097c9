/*
 * recorder/recording_begin.c: how a recording begins: its id, its directory with all that a
 * successor and readers need, and the lock that says that it is written here.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static void make_id(struct recording *rec)
{
	time_t seconds = (time_t)(rec->unix_ms / 1000);
	uint8_t noise[4] = {0};
	char when[24] = "", hex[9];
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
	(void)!sl_random(noise, sizeof noise); /* the time alone is nearly always enough */
	sl_hex_encode(hex, noise, sizeof noise);
	(void)snprintf(rec->id, sizeof rec->id, "%s-%s", when, hex);
}

static int set_room_name(struct recording *rec, struct sl_str name)
{
	char *p = malloc(name.len + 1);

	if (!p)
		return -SL_ENOMEM;
	if (name.len > 0)
		memcpy(p, name.p, name.len);
	p[name.len] = '\0';
	rec->room_name = (struct sl_str){p, name.len};
	return 0;
}

int recording_lock(const char *dir, int *ret_fd)
{
	char path[MAX_PATH_LEN + 16];
	int fd, rc = disk_make_dir(dir);

	errno = rc;
	if (rc)
		return -SL_ESYS;
	(void)snprintf(path, sizeof path, "%s/%s", dir, OPEN_NAME);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -SL_ESYS;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? -SL_EAGAIN : -SL_ESYS;
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static void remove_dir(const struct recording *rec)
{
	static const char *const names[] = {MANIFEST_NAME ".new", MANIFEST_NAME, OPEN_NAME};
	char path[MAX_PATH_LEN + 40];

	for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", rec->dir, names[i]);
		(void)unlink(path); /* told by rmdir */
	}
	(void)rmdir(rec->dir); /* stays empty, at the worst */
}

/* Its directory with what a successor and readers need; or nothing */
static int begin_dir(struct recording *rec)
{
	struct sl_buf b;
	int rc;

	journal_begin(&rec->journal, sl_str_c(rec->id));
	rc = recording_lock(rec->dir, &rec->lock_fd) < 0 ? errno : recording_first_manifest(rec);
	if (rc) {
		sl_log(SL_LOG_ERROR, "recorder", "%s cannot be made: %s", rec->dir,
		       disk_sentence(rc));
		rec->writer->disk_error = rc;
		remove_dir(rec);
		return -SL_ESYS;
	}
	recording_begin_note(&b, "start", 0);
	sl_buf_printf(&b, ",\"id\":\"%s\"", rec->id);
	recording_note(rec, &b);
	return 0;
}

int recording_start(struct wroom *room, struct recording **ret_rec)
{
	struct writer *w = room->writer;
	struct recording *rec = calloc(1, sizeof *rec);
	char safe[64];
	int rc = rec ? set_room_name(rec, (struct sl_str){room->name, room->name_len}) : -SL_ENOMEM;

	if (rc < 0) {
		free(rec);
		return rc;
	}
	rec->writer = w;
	rec->room = room;
	rec->lock_fd = -1;
	rec->t0_ns = sl_loop_ns(w->w->loop);
	rec->unix_ms = sl_clock_unix_ns() / SL_NS_PER_MS;
	rec->last_media_ms = sl_loop_ms(w->w->loop);
	sl_buf_init(&rec->past_tracks, 0);
	sl_buf_init(&rec->past_people, 0);
	make_id(rec);
	safe_name(safe, sizeof safe, rec->room_name);
	rc = snprintf(rec->dir, sizeof rec->dir, "%.*s/%s/%s", SL_FMT(w->conf->dir), safe, rec->id);
	if (rc >= (int)sizeof rec->dir || begin_dir(rec) < 0) {
		recording_free(rec);
		return -SL_ESYS;
	}
	*ret_rec = rec;
	return 0;
}
