/*
 * recorder/ask.c: what HTTP clients want done, at the writer: questions of workers (MSG_ASK), each
 * answered once with a status of HTTP and JSON.
 */
#include "shelf.h"
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct removal {
	struct writer *w;
	uint32_t from;
	uint64_t number;
	int error; /* errno */
	char path[SHELF_PATH];
};

static void answer(struct writer *w, uint32_t to, uint64_t number, unsigned status,
		   struct sl_str json)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_u64(&b, number);
	sl_buf_u16(&b, (uint16_t)status);
	sl_buf_lstr(&b, json);
	(void)record_post(w->channel, to, MSG_ANSWER, &b); /* who asked gives up by itself */
}

static void answer_sentence(struct writer *w, uint32_t to, uint64_t number, unsigned status,
			    const char *sentence)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{\"error\":"));
	sl_buf_json(&b, sl_str_c(sentence));
	sl_buf_str(&b, SL_STR("}\n"));
	answer(w, to, number, status, sl_buf_view(&b));
	sl_buf_free(&b);
}

static void answer_state(struct writer *w, uint32_t to, uint64_t number, unsigned status,
			 const struct recording *rec, struct sl_str id)
{
	static const char *const names[] = {"on", "paused", "off"};
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{\"id\":"));
	sl_buf_json(&b, id);
	if (rec) {
		sl_buf_str(&b, SL_STR(",\"room\":"));
		sl_buf_json(&b, rec->room_name);
	}
	sl_buf_printf(&b, ",\"state\":\"%s\"}\n", names[rec ? rec->state : REC_ENDING]);
	answer(w, to, number, status, sl_buf_view(&b));
	sl_buf_free(&b);
}

static void start(struct writer *w, uint32_t from, uint64_t number, struct sl_str name)
{
	struct wroom *room = room_find(w, name);
	bool runs = room && room->recording;
	const char *sentence = writer_obey(w, SL_STR("record-start"), name, SL_STR("api"));

	room = room_find(w, name);
	if (sentence || !room || !room->recording) {
		if (room)
			room_release(room);
		answer_sentence(w, from, number, 409, sentence ? sentence : "it has ended at once");
		return;
	}
	answer_state(w, from, number, runs ? 200 : 201, room->recording,
		     sl_str_c(room->recording->id));
}

static struct wroom *room_of(struct writer *w, struct sl_str id)
{
	struct wroom *r = w->rooms;

	while (r && !(r->recording && sl_str_eq(sl_str_c(r->recording->id), id)))
		r = r->next;
	return r;
}

static void tell(struct writer *w, uint32_t from, uint64_t number, enum record_verb verb,
		 struct sl_str id)
{
	struct wroom *room = room_of(w, id);

	if (!room) {
		answer_sentence(w, from, number, 409, "this recording does not run");
		return;
	}
	if (verb == VERB_STOP) {
		recording_end(room->recording, "finished", "it was stopped");
		room_release(room);
		answer_state(w, from, number, 200, NULL, id);
		return;
	}
	recording_pause(room->recording, verb == VERB_PAUSE);
	answer_state(w, from, number, 200, room->recording, id);
}

/* ---- removal */

static void remove_it(void *arg)
{
	struct removal *r = arg;

	r->error = shelf_remove(r->path);
}

static void on_removed(void *arg, bool done)
{
	struct removal *r = arg;

	if (!done) {
		answer_sentence(r->w, r->from, r->number, 503, "the server is about to leave");
	} else if (r->error) {
		sl_log(SL_LOG_ERROR, "recorder", "%s cannot be removed: %s", r->path,
		       strerror(r->error));
		answer_sentence(r->w, r->from, r->number, 500,
				"it could not be removed as a whole");
	} else {
		sl_log(SL_LOG_NOTICE, "recorder", "%s is removed: a client asked for it", r->path);
		answer(r->w, r->from, r->number, 204, SL_STR(""));
	}
	free(r);
}

/* ".open" is locked by whoever writes it, or has recovered it, in this process or another. */
static bool is_in_use(const char *dir)
{
	char mark[SHELF_PATH + 8];
	int fd;

	(void)snprintf(mark, sizeof mark, "%s/%s", dir, OPEN_NAME);
	if (access(mark, F_OK) < 0)
		return false;
	if (recording_lock(dir, &fd) < 0)
		return true;
	close(fd);
	return false;
}

static void remove_recording(struct writer *w, uint32_t from, uint64_t number, struct sl_str path)
{
	struct removal *r = calloc(1, sizeof *r);

	if (!r || sl_str_copy(r->path, sizeof r->path, path) >= sizeof r->path) {
		free(r);
		answer_sentence(w, from, number, 503, "the server is out of memory");
		return;
	}
	r->w = w;
	r->from = from;
	r->number = number;
	if (is_in_use(r->path))
		answer_sentence(w, from, number, 409, "it still runs; stop it first");
	else if (work_do(w->work, remove_it, on_removed, r) < 0)
		answer_sentence(w, from, number, 503, "the server is busy");
	else
		return;
	free(r);
}

void ask_take(struct writer *w, uint32_t from, struct sl_reader *r)
{
	uint64_t number = sl_read_u64(r);
	enum record_verb verb = sl_read_u8(r);
	struct sl_str room = sl_read_lstr(r), id = sl_read_lstr(r), path = sl_read_lstr(r);

	if (r->failed)
		return;
	if (verb == VERB_START)
		start(w, from, number, room);
	else if (verb == VERB_REMOVE)
		remove_recording(w, from, number, path);
	else
		tell(w, from, number, verb, id);
}
