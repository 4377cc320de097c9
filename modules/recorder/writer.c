/*
 * recorder/writer.c: the half in a process of its own: its life, its clock, and what workers say.
 */
#include "writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_PEM = 16 * 1024 };

/* ---- what workers say */

static void refuse(struct writer *w, uint32_t owner, uint64_t peer, const char *sentence)
{
	struct sl_buf b;

	sl_count(&w->m[M_refused]);
	sl_buf_init(&b, 0);
	sl_buf_u64(&b, peer);
	sl_buf_lstr(&b, sl_str_c(sentence));
	(void)record_post(w->channel, owner, MSG_REFUSED, &b);
}

const char *writer_obey(struct writer *w, struct sl_str verb, struct sl_str room, struct sl_str by)
{
	struct wroom *r = room_find(w, room);

	if (sl_str_eq(verb, SL_STR("record-start"))) {
		r = r ? r : room_get(w, room);
		if (!r)
			return "the server is out of memory";
		if (r->recording && r->recording->state == REC_PAUSED)
			recording_pause(r->recording, false);
		return room_record(r, SL_STR(""), by);
	}
	if (!r || !r->recording)
		return "nothing is recorded here";
	if (sl_str_eq(verb, SL_STR("record-stop")))
		recording_end(r->recording, "finished", "it was stopped");
	else
		recording_pause(r->recording, sl_str_eq(verb, SL_STR("record-pause")));
	room_release(r);
	return NULL;
}

static void on_control(struct writer *w, uint32_t from, struct sl_reader *r)
{
	uint64_t peer = sl_read_u64(r);
	struct sl_str verb = sl_read_lstr(r), room = sl_read_lstr(r), by = sl_read_lstr(r);
	const char *sentence;

	if (r->failed)
		return;
	sentence = writer_obey(w, verb, room, by);
	if (sentence)
		refuse(w, from, peer, sentence);
}

static void on_hello(struct writer *w, uint32_t from)
{
	for (struct wroom *r = w->rooms; r; r = r->next)
		if (r->recording)
			room_tell(r, from, "");
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct sl_reader r = sl_reader(m->data.p, m->data.len);
	struct writer *w = arg;
	struct wtrack *t;

	switch (m->type) {
	case MSG_MEDIA:
		intake_media(w, m->from, &r);
		break;
	case MSG_CLOCK:
		intake_clock(w, &r);
		break;
	case MSG_TRACK:
		room_take_track(w, m->from, &r);
		break;
	case MSG_GONE:
		t = wtrack_find(w, sl_read_u64(&r));
		if (t && t->owner == m->from)
			wtrack_end(t);
		break;
	case MSG_CONTROL:
		on_control(w, m->from, &r);
		break;
	case MSG_ASK:
		ask_take(w, m->from, &r);
		break;
	case MSG_HELLO:
		on_hello(w, m->from);
		break;
	default:
		break; /* of a newer generation */
	}
}

/* ---- time */

/* Tracks whose worker has died without a word */
static void sweep(struct writer *w)
{
	uint32_t owners[256];
	unsigned n = sl_worker_list(w->w, owners, SL_ARRAY_LEN(owners));

	for (struct sl_hnode *node = sl_htab_first(&w->tracks), *next; node; node = next) {
		struct wtrack *t = SL_CONTAINER(node, struct wtrack, node);
		bool alive = false;

		next = sl_htab_next(&w->tracks, node);
		for (unsigned i = 0; i < n && !alive; i++)
			alive = owners[i] == t->owner;
		if (!alive)
			wtrack_end(t);
	}
	saved_sweep(w, owners, n);
}

static void on_tick(struct sl_timer *timer)
{
	struct writer *w = timer->arg;

	sweep(w);
	rooms_tick(w);
	saved_tick(w);
	recover_tick(w);
	disk_tick(w->disk);
	limits_tick(w);
	notify_tick(w);
	sl_gauge_set(&w->m[M_queued], (int64_t)disk_queued(w->disk));
	sl_timer_set(w->w->loop, &w->tick, TICK_MS);
}

/* ---- life */

static int read_recipient(struct writer *w)
{
	char pem[MAX_PEM], err[160];
	int fd = open(w->conf->recipient.p, O_RDONLY | O_CLOEXEC), rc;
	ssize_t n = fd < 0 ? -1 : read(fd, pem, sizeof pem);

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		sl_log(SL_LOG_ERROR, "recorder", "the recipient's key %s cannot be read: %m",
		       w->conf->recipient.p);
		return -SL_ESYS;
	}
	rc = envelope_key_public((struct sl_str){pem, (size_t)n}, &w->recipient, err);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "recorder", "the recipient's key %s %s", w->conf->recipient.p,
		       err);
	return rc;
}

static int start_disk(struct writer *w)
{
	struct disk_opts o = {.loop = w->w->loop,
			      .max_bytes = w->conf->memory,
			      .sync = w->conf->sync,
			      .recipient = w->recipient};
	int rc = disk_make_dir(w->conf->dir.p);

	if (rc == 0 && access(w->conf->dir.p, W_OK | X_OK) < 0)
		rc = 1;
	if (rc)
		sl_log(SL_LOG_ERROR, "recorder",
		       "the directory %s cannot be written to: %m; it must belong to the user that "
		       "workers run as",
		       w->conf->dir.p);
	return rc ? -SL_ESYS : disk_start(&o, &w->disk);
}

void writer_stop(void *ctx)
{
	struct writer *w = ctx;

	sl_timer_cancel(w->w->loop, &w->tick);
	work_close(w->work);
	if (w->disk) {
		rooms_free(w);
		disk_settle(w->disk); /* the last segments get their lines, */
		disk_settle(w->disk); /* and what those have finished its manifest */
	}
	recover_free(w);
	disk_stop(w->disk);
	upload_stop(w->upload); /* the disk's thread touches it */
	notify_free(w);
	saved_free(w);
	sl_channel_close(w->channel);
	sl_htab_free(&w->tracks);
	envelope_key_free(w->recipient);
	free(w);
}

void writer_drain(void *ctx)
{
	struct writer *w = ctx;

	w->draining = true; /* recordings go on until they end: n_holds */
}

int writer_start(struct sl_worker *worker, void *conf, void **ret_ctx)
{
	struct writer *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return -SL_ENOMEM;
	w->w = worker;
	w->conf = conf;
	w->m = sl_worker_meters(worker, "recorder");
	w->tick = (struct sl_timer){.fn = on_tick, .arg = w};
	rc = w->conf->recipient.len > 0 ? read_recipient(w) : 0;
	if (rc == 0)
		rc = start_disk(w);
	if (rc == 0)
		rc = notify_open(w);
	if (rc == 0)
		rc = work_open(worker->loop, &w->work);
	if (rc == 0)
		rc = upload_start(&w->conf->upload, w->conf->dir.p, &w->upload);
	if (rc == 0) {
		recover_all(w);
		limits_begin(w);
		rc = sl_channel_open(worker, RECORDER_CHANNEL, on_message, w, &w->channel);
	}
	if (rc < 0) {
		writer_stop(w);
		return rc;
	}
	sl_timer_set(worker->loop, &w->tick, TICK_MS);
	*ret_ctx = w;
	return 0;
}
