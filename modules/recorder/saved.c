/*
 * recorder/saved.c: what is in files, told to those who keep the rest.
 *
 * Workers keep packets until they are in files: each batch is confirmed when it has come, and again
 * when the disk's thread has written all that could be made of it, which is so long later as
 * packets may wait here. A successor of this process finds in PROGRESS_NAME, which is written
 * behind each flush, how long the open files are and which packet was the last in them, so that it
 * leaves out what they have. The file holds two places that are written in turn, each behind its
 * number and hash: a crash in the middle of one leaves the other.
 */
#include "writer.h"

#include <fcntl.h>
#include <sluice/crypto.h>
#include <sluice/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PLACE = 256 * 1024, /* bytes of one of the two */
	HEAD = 8 + 8 + 32,  /* number, length, SHA-256 of what follows */
	EARLY_MS = 500,	    /* a frame's time may be so much later than its packets came */
};
/* What was saved is told to workers more often than this, so that they have let go of a track's
 * packets then. */
#define LEFT_NS (2 * SL_NS_PER_S)

struct worker_said {
	struct worker_said *next;
	uint32_t owner;
	uint64_t taken, marked, saved; /* numbers of batches */
};

/* ---- to workers */

static void tell(struct writer *w, const struct worker_said *s)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_u64(&b, s->taken);
	sl_buf_u64(&b, s->saved);
	sl_buf_u64(&b, w->saved_ns);
	(void)record_post(w->channel, s->owner, MSG_SAVED, &b); /* it is told again */
}

void saved_taken(struct writer *w, uint32_t from, uint64_t number)
{
	struct worker_said *s = w->said;

	while (s && s->owner != from)
		s = s->next;
	if (!s) {
		s = calloc(1, sizeof *s);
		if (!s)
			return;
		s->owner = from;
		s->next = w->said;
		w->said = s;
	}
	s->taken = number;
	tell(w, s);
}

void saved_forget(struct writer *w, uint32_t owner)
{
	for (struct worker_said **link = &w->said; *link; link = &(*link)->next) {
		struct worker_said *s = *link;

		if (s->owner != owner)
			continue;
		*link = s->next;
		free(s);
		return;
	}
}

void saved_sweep(struct writer *w, const uint32_t *owners, unsigned n)
{
	for (struct worker_said *s = w->said, *next; s; s = next) {
		bool alive = false;

		next = s->next;
		for (unsigned i = 0; i < n && !alive; i++)
			alive = owners[i] == s->owner;
		if (!alive)
			saved_forget(w, s->owner);
	}
}

static void on_written(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

void saved_tick(struct writer *w)
{
	uint64_t now = sl_loop_ns(w->w->loop);

	if (w->mark_ns && !__atomic_load_n(&w->mark_reached, __ATOMIC_ACQUIRE))
		return;
	if (w->mark_ns) {
		w->saved_ns = w->mark_ns;
		for (struct worker_said *s = w->said; s; s = s->next) {
			s->saved = s->marked;
			tell(w, s);
		}
	}
	for (struct worker_said *s = w->said; s; s = s->next)
		s->marked = s->taken;
	w->mark_ns = now - (w->conf->wait + HOLD_MS + EARLY_MS) * SL_NS_PER_MS;
	w->mark_reached = false;
	disk_mark(w->disk, on_written, &w->mark_reached);
}

void saved_free(struct writer *w)
{
	while (w->said)
		saved_forget(w, w->said->owner);
}

/* ---- to a successor */

static void write_one(const char *name, const struct saved *s, struct sl_buf *b)
{
	if (s->known)
		sl_buf_printf(b, ",\"%s\":[%llu,%lld,%u,%u,%u,%llu,%llu]", name,
			      (unsigned long long)s->seq, (long long)s->at_ns, s->ts, s->encoding,
			      s->ssrc, (unsigned long long)s->arrival_ns,
			      (unsigned long long)s->n_frames);
}

/* What this process has written, or its predecessor had */
static struct saved newest(const struct series *s, const struct wtrack *t,
			   const struct saved *before)
{
	struct saved now = s ? series_saved(s, t) : (struct saved){0};

	return now.known ? now : *before;
}

static struct saved heard(const struct wtrack *t)
{
	if (!t->has_stream || !t->order.started || t->order.next == 0)
		return t->before.heard;
	return (struct saved){.known = true,
			      .encoding = t->encoding,
			      .ssrc = t->ssrc,
			      .seq = t->order.next - 1,
			      .arrival_ns = t->changed_ns};
}

static void describe_track(const struct recording *rec, const struct wtrack *t, struct sl_buf *b)
{
	struct saved own = newest(t->own, t, &t->before.own),
		     raw = newest(t->raw, t, &t->before.raw),
		     room = newest(rec->room_series, t, &t->before.room), last = heard(t);

	sl_buf_printf(b,
		      "\"%016llx\":{\"peer_known\":%s,\"peer_ns\":%lld,\"packets\":%llu,"
		      "\"lost\":%llu",
		      (unsigned long long)t->id, t->peer->clock.known ? "true" : "false",
		      (long long)t->peer->clock.offset_ns, (unsigned long long)t->n_packets,
		      (unsigned long long)t->n_lost);
	write_one("own", &own, b);
	write_one("raw", &raw, b);
	write_one("room", &room, b);
	write_one("heard", &last, b);
	sl_buf_str(b, SL_STR("}"));
}

/* Tracks whose packets workers may still have: those of a predecessor that have not come again, and
 * those that have left. */
static void describe_absent(const struct recording *rec, struct sl_buf *b, const char **comma)
{
	json_t *tracks = json_object_get(rec->before, "tracks"), *said;
	const char *id;
	void *next;

	json_object_foreach_safe(tracks, next, id, said)
	{
		json_int_t left_ns = json_integer_value(json_object_get(said, "left_ns"));
		char *text;

		if (left_ns && rec->writer->saved_ns > (uint64_t)left_ns + LEFT_NS) {
			(void)json_object_del(tracks, id);
			continue;
		}
		text = json_dumps(said, JSON_COMPACT);
		sl_buf_printf(b, "%s\"%s\":%s", *comma, id, text ? text : "{}");
		*comma = ",";
		free(text);
	}
}

static void describe(const struct recording *rec, struct sl_buf *b)
{
	const char *comma = "";

	sl_buf_str(b, SL_STR("{\"files\":{"));
	series_write_finished(rec, b, &comma);
	series_write_length(rec->room_series, b, &comma);
	for (const struct wtrack *t = rec->room ? rec->room->tracks : NULL; t; t = t->next) {
		series_write_length(t->own, b, &comma);
		series_write_length(t->raw, b, &comma);
	}
	sl_buf_str(b, SL_STR("},\"tracks\":{"));
	comma = "";
	for (const struct wtrack *t = rec->room ? rec->room->tracks : NULL; t; t = t->next) {
		if (!t->joined)
			continue;
		sl_buf_str(b, sl_str_c(comma));
		describe_track(rec, t, b);
		comma = ",";
	}
	describe_absent(rec, b, &comma);
	sl_buf_str(b, SL_STR("}}"));
}

static void on_vanished(void *arg)
{
	recording_vanished(arg);
}

void saved_write(struct recording *rec)
{
	struct sl_buf body, all;
	uint8_t hash[32];

	if (rec->failed)
		return;
	if (!rec->progress)
		rec->progress = disk_scratch_begin(rec->writer->disk, rec->dir, PROGRESS_NAME,
						   on_vanished, rec);
	sl_buf_init(&body, PLACE - HEAD);
	sl_buf_init(&all, 0);
	describe(rec, &body);
	/* What finds no place is written twice by a successor, which is better than not at all. */
	if (rec->progress && sl_buf_ok(&body) == 0) {
		sl_sha256(hash, body.p, body.len);
		rec->n_progress++;
		sl_buf_u64(&all, rec->n_progress);
		sl_buf_u64(&all, body.len);
		sl_buf_add(&all, hash, sizeof hash);
		sl_buf_str(&all, sl_buf_view(&body));
		if (sl_buf_ok(&all) == 0)
			disk_scratch_write(rec->progress, rec->n_progress % 2 * PLACE,
					   sl_buf_view(&all));
	}
	sl_buf_free(&body);
	sl_buf_free(&all);
}

void saved_leave(struct recording *rec, const struct wtrack *t)
{
	json_t *o, *said, *tracks;
	struct sl_buf b;
	char id[20];

	(void)snprintf(id, sizeof id, "%016llx", (unsigned long long)t->id);
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{"));
	describe_track(rec, t, &b);
	sl_buf_str(&b, SL_STR("}"));
	o = sl_buf_ok(&b) == 0 ? sl_json_parse(sl_buf_view(&b), 8, NULL, 0) : NULL;
	sl_buf_free(&b);
	if (!rec->before)
		rec->before = json_object();
	tracks = json_object_get(rec->before, "tracks");
	if (!tracks) {
		tracks = json_object();
		if (json_object_set_new(rec->before, "tracks", tracks) < 0)
			tracks = NULL;
	}
	said = json_object_get(o, id);
	/* Without memory for it a successor writes twice what comes again. */
	(void)json_object_set_new(said, "left_ns",
				  json_integer((json_int_t)sl_loop_ns(rec->writer->w->loop)));
	(void)json_object_set(tracks, id, said);
	json_decref(o);
}

void saved_end(struct recording *rec)
{
	if (rec->progress)
		disk_scratch_end(rec->progress);
	rec->progress = NULL;
	json_decref(rec->before);
	rec->before = NULL;
}

/* ---- from a predecessor */

/* NULL: this place does not hold what its hash says */
static json_t *read_place(int fd, unsigned place, uint64_t *ret_number)
{
	char *p = malloc(PLACE);
	ssize_t n = p ? pread(fd, p, PLACE, (off_t)place * PLACE) : -1;
	uint8_t hash[32];
	json_t *o = NULL;

	if (n >= HEAD) {
		struct sl_reader r = sl_reader(p, (size_t)n);
		uint64_t number = sl_read_u64(&r), len = sl_read_u64(&r);
		struct sl_str told = sl_read_bytes(&r, 32), body;

		body = sl_read_bytes(&r, len < PLACE ? (size_t)len : PLACE);
		if (!r.failed) {
			sl_sha256(hash, body.p, body.len);
			if (memcmp(told.p, hash, sizeof hash) == 0)
				o = sl_json_parse(body, 8, NULL, 0);
		}
		*ret_number = number;
	}
	free(p);
	return o;
}

void saved_read(struct recording *rec)
{
	char path[MAX_PATH_LEN + 40];
	uint64_t number[2] = {0};
	json_t *o[2];
	bool second;
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", rec->dir, PROGRESS_NAME);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	for (unsigned i = 0; i < 2; i++)
		o[i] = read_place(fd, i, &number[i]);
	close(fd);
	second = o[1] && (!o[0] || number[1] > number[0]);
	rec->before = o[second];
	rec->n_progress = number[second];
	json_decref(o[!second]);
}

uint64_t saved_file_bytes(const struct recording *rec, const char *name)
{
	/* One that is not named was begun after that, and all in it comes again. */
	if (!rec->before)
		return UINT64_MAX;
	return (uint64_t)json_integer_value(
		json_object_get(json_object_get(rec->before, "files"), name));
}

static struct saved read_one(const json_t *o, const char *name)
{
	const json_t *said = json_object_get(o, name);

	return (struct saved){.known = json_array_size(said) >= 6,
			      .seq = (uint64_t)json_integer_value(json_array_get(said, 0)),
			      .at_ns = json_integer_value(json_array_get(said, 1)),
			      .ts = (uint32_t)json_integer_value(json_array_get(said, 2)),
			      .encoding = (uint8_t)json_integer_value(json_array_get(said, 3)),
			      .ssrc = (uint32_t)json_integer_value(json_array_get(said, 4)),
			      .arrival_ns = (uint64_t)json_integer_value(json_array_get(said, 5)),
			      .n_frames = (uint64_t)json_integer_value(json_array_get(said, 6))};
}

void saved_resume(const struct recording *rec, struct wtrack *t)
{
	json_t *tracks = json_object_get(rec->before, "tracks"), *o;
	char id[20];

	(void)snprintf(id, sizeof id, "%016llx", (unsigned long long)t->id);
	o = json_object_get(tracks, id);
	if (json_is_true(json_object_get(o, "peer_known")) && !t->peer->clock.known)
		peer_clock_resume(&t->peer->clock,
				  json_integer_value(json_object_get(o, "peer_ns")),
				  sl_loop_ns(rec->writer->w->loop));
	t->before = (struct track_saved){.own = read_one(o, "own"),
					 .raw = read_one(o, "raw"),
					 .room = read_one(o, "room"),
					 .heard = read_one(o, "heard")};
	if (json_object_get(o, "packets")) { /* as of "heard"; the manifest's are of any time */
		t->n_packets = (uint64_t)json_integer_value(json_object_get(o, "packets"));
		t->n_lost = (uint64_t)json_integer_value(json_object_get(o, "lost"));
	}
	(void)json_object_del(tracks, id); /* it may not be there */
}

bool saved_has(const struct saved *s, const struct wtrack *t, uint64_t seq, uint64_t arrival_ns)
{
	if (!s->known)
		return false;
	if (s->encoding == t->encoding && s->ssrc == t->ssrc)
		return seq <= s->seq;
	return arrival_ns < s->arrival_ns; /* a stream before that, or behind it */
}
