/*
 * proc/answer.c: the operator asks a module in this process: it writes its answer into a buffer at
 * once, which leaves as fast as the operator reads.
 *
 * The connection is the control socket's, which the master has passed on. One that neither reads
 * nor leaves is bounded: few at a time, for a minute.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "event/loop.h"
#include "os/os.h"
#include "proc/worker.h"
#include "session/registry.h"

enum { MAX_ANSWERS = 8, PATIENCE_MS = 60000, MAX_ANSWER_BYTES = 256 << 20 };

struct answer {
	struct answer *next;
	struct worker *w;
	struct sl_event ev;
	struct sl_timer patience;
	struct sl_buf out;
	size_t sent;
};

static void answer_free(struct answer *a)
{
	struct answer **at = &a->w->answers;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	sl_event_del(a->w->pub.loop, &a->ev);
	sl_timer_cancel(a->w->pub.loop, &a->patience);
	close(a->ev.fd);
	sl_buf_free(&a->out);
	free(a);
}

static void on_patience(struct sl_timer *t)
{
	answer_free(t->arg);
}

static void flush(struct answer *a)
{
	while (a->sent < a->out.len) {
		ssize_t n = send(a->ev.fd, a->out.p + a->sent, a->out.len - a->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		a->sent += (size_t)n;
	}
	answer_free(a);
}

static void on_writable(struct sl_event *ev, unsigned ready)
{
	(void)ready;
	flush(ev->arg);
}

static void put_answer(struct worker *w, struct sl_str words, struct sl_buf *out)
{
	const struct registry *r = w->setup->registry;
	int rc = -SL_ENOENT;

	for (unsigned i = 0; i < r->n_modules; i++)
		if (r->modules[i].started && r->modules[i].def.asked)
			rc = r->modules[i].def.asked(r->modules[i].ctx, words, out);
	if (rc == -SL_ENOENT && out->len == 0)
		sl_buf_str(out, SL_STR("this module has nothing to answer\n"));
	if (sl_buf_ok(out) < 0) {
		sl_buf_reset(out);
		sl_buf_str(out, SL_STR("the answer takes more memory than there is\n"));
		rc = -SL_ENOMEM;
	}
	sl_buf_str(out, rc < 0 ? SL_STR("error\n") : SL_STR("ok\n"));
}

static unsigned n_answers(const struct worker *w)
{
	unsigned n = 0;

	for (const struct answer *a = w->answers; a; a = a->next)
		n++;
	return n;
}

void answer_begin(struct worker *w, const char *words, int fd)
{
	struct answer *a = n_answers(w) < MAX_ANSWERS ? calloc(1, sizeof *a) : NULL;

	if (!a) { /* the end without a word is told to who asks */
		close(fd);
		return;
	}
	a->w = w;
	a->ev = (struct sl_event){.fd = fd, .fn = on_writable, .arg = a};
	a->patience = (struct sl_timer){.fn = on_patience, .arg = a};
	a->next = w->answers;
	w->answers = a;
	sl_buf_init(&a->out, MAX_ANSWER_BYTES);
	put_answer(w, sl_str_c(words), &a->out);
	sl_timer_set(w->pub.loop, &a->patience, PATIENCE_MS);
	if (sl_event_add(w->pub.loop, &a->ev, SL_WRITE) < 0)
		answer_free(a);
}

void answers_close(struct worker *w)
{
	while (w->answers)
		answer_free(w->answers);
}
