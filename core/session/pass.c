/*
 * session/pass.c: handing descriptors to another process of the node.
 *
 * The rings of the inbox carry bytes only. A process that can be handed something binds a datagram
 * socket to a name that the kernel chooses, and draws a key; it tells both to whom it asks, through
 * a channel. The socket can be reached by every program of this machine, so what comes without the
 * key is dropped, its descriptors with it. A receiver's queue is short (10 messages where nobody
 * has raised net.unix.max_dgram_qlen): what finds it full is kept and tried again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sluice/bus.h>
#include <sluice/crypto.h>
#include "os/os.h"

enum { KEY_BYTES = 16, READS_PER_WAKEUP = 64, MAX_WAITING = 1024, RETRY_MS = 1 };

struct waiting {
	struct waiting *next;
	struct sl_pass_place to;
	int fd;
	size_t len; /* key included */
	uint8_t text[];
};

struct sl_pass {
	struct sl_worker *w;
	struct sl_event ev;
	struct sl_pass_place place;
	sl_pass_fn *fn;
	void *arg;
	struct waiting *first, **tail;
	unsigned n_waiting;
	struct sl_timer retry;
};

/* ---- receiving */

static void take(struct sl_pass *p, const uint8_t *text, size_t len, int fd)
{
	if (len < KEY_BYTES || !sl_mem_eq(text, p->place.key, KEY_BYTES))
		fd_close(&fd);
	else
		p->fn(p->arg, (struct sl_str){(const char *)text + KEY_BYTES, len - KEY_BYTES}, fd);
}

/* A malformed message is used up by reading it; an empty queue or an error of the system ends the
 * turn. */
static void on_readable(struct sl_event *ev, unsigned ready)
{
	struct sl_pass *p = ev->arg;
	uint8_t text[KEY_BYTES + SL_PASS_MAX];
	unsigned n_fds;
	size_t len;
	int fd, rc;

	(void)ready;
	for (unsigned i = 0; i < READS_PER_WAKEUP; i++) {
		rc = fd_recv_with(ev->fd, text, sizeof text, &len, &fd, 1, &n_fds);
		if (rc == -SL_ESYS || rc == -SL_EAGAIN)
			return;
		if (rc == 0 && n_fds == 1)
			take(p, text, len, fd);
	}
}

/* ---- sending */

/* -SL_EAGAIN: later */
static int try_send(const struct waiting *m)
{
	FD_AUTO int sock = -1;
	int rc;

	rc = sock_unix_to_place(m->to.name, m->to.name_len, &sock);
	if (rc < 0)
		return -SL_ENOENT;
	rc = fd_send_with(sock, m->text, m->len, &m->fd, 1);
	if (rc == 0)
		return 0;
	return errno == EAGAIN || errno == ETOOMANYREFS ? -SL_EAGAIN : -SL_ENOENT;
}

static void waiting_free(struct waiting *m)
{
	fd_close(&m->fd);
	free(m);
}

/* In order, so that nobody waits for ever behind luckier ones. A receiver that has gone meanwhile
 * closes what it would have got by its absence. */
static void on_retry(struct sl_timer *t)
{
	struct sl_pass *p = t->arg;

	while (p->first) {
		struct waiting *m = p->first;

		if (try_send(m) == -SL_EAGAIN) {
			sl_timer_set(p->w->loop, &p->retry, RETRY_MS);
			return;
		}
		p->first = m->next;
		p->n_waiting--;
		waiting_free(m);
	}
	p->tail = &p->first;
}

static int send_later(struct sl_pass *p, struct waiting *m)
{
	if (p->n_waiting >= MAX_WAITING) {
		waiting_free(m);
		return -SL_EFULL;
	}
	*p->tail = m;
	p->tail = &m->next;
	p->n_waiting++;
	if (!sl_timer_pending(&p->retry))
		sl_timer_set(p->w->loop, &p->retry, RETRY_MS);
	return 0;
}

int sl_pass_send(struct sl_pass *p, const struct sl_pass_place *to, const void *data, size_t len,
		 int fd)
{
	struct waiting *m;
	int rc;

	m = len <= SL_PASS_MAX ? malloc(sizeof *m + KEY_BYTES + len) : NULL;
	if (!m) {
		fd_close(&fd);
		return len <= SL_PASS_MAX ? -SL_ENOMEM : -SL_ELIMIT;
	}
	*m = (struct waiting){.to = *to, .fd = fd, .len = KEY_BYTES + len};
	memcpy(m->text, to->key, KEY_BYTES);
	memcpy(m->text + KEY_BYTES, data, len);
	rc = p->first ? -SL_EAGAIN : try_send(m);
	if (rc == -SL_EAGAIN)
		return send_later(p, m);
	waiting_free(m);
	return rc;
}

/* ---- life */

static int open_place(struct sl_pass *p)
{
	size_t len;

	if (sl_random(p->place.key, sizeof p->place.key) < 0 ||
	    sock_unix_place(&p->ev.fd, p->place.name, &len) < 0)
		return -SL_ESYS;
	p->place.name_len = (uint8_t)len;
	return sl_event_add(p->w->loop, &p->ev, SL_READ);
}

int sl_pass_open(struct sl_worker *w, sl_pass_fn *fn, void *arg, struct sl_pass **ret_pass)
{
	struct sl_pass *p = calloc(1, sizeof *p);
	int rc;

	if (!p)
		return -SL_ENOMEM;
	p->w = w;
	p->fn = fn;
	p->arg = arg;
	p->tail = &p->first;
	p->retry = (struct sl_timer){.fn = on_retry, .arg = p};
	p->ev = (struct sl_event){.fd = -1, .fn = on_readable, .arg = p};
	rc = open_place(p);
	if (rc < 0) {
		sl_pass_close(p);
		return rc;
	}
	*ret_pass = p;
	return 0;
}

void sl_pass_close(struct sl_pass *p)
{
	if (!p)
		return;
	while (p->first) {
		struct waiting *m = p->first;

		p->first = m->next;
		waiting_free(m);
	}
	sl_timer_cancel(p->w->loop, &p->retry);
	sl_event_del(p->w->loop, &p->ev);
	fd_close(&p->ev.fd);
	sl_wipe(p->place.key, sizeof p->place.key);
	free(p);
}

const struct sl_pass_place *sl_pass_place(const struct sl_pass *p)
{
	return &p->place;
}
