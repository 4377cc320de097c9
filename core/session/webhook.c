/*
 * session/webhook.c: events on their way to the module webhooks: see <sluice/webhook.h>.
 *
 * A ring takes what its reader never reads when that is killed. So an event is kept until it is
 * acknowledged, and goes again to whichever process the module has then; its number tells there
 * that it is the same.
 */
#include <stdlib.h>
#include <sluice/clock.h>
#include <sluice/loop.h>
#include <sluice/webhook.h>
#include <sluice/worker.h>

enum { MAX_KEPT = 512, AGAIN_MS = 200, MAX_MESSAGE = 60000 };

struct kept {
	struct kept *next;
	uint64_t number;
	uint32_t owner; /* that it was sent to; 0: to none yet */
	size_t len;
	uint8_t message[];
};

struct sl_webhooks {
	struct sl_worker *w;
	struct sl_channel *channel;
	struct kept *first, **tail;
	unsigned n;
	uint64_t last_number;
	struct sl_timer again;
};

static void drop(struct sl_webhooks *s, struct kept **link)
{
	struct kept *k = *link;

	*link = k->next;
	if (!k->next)
		s->tail = link;
	s->n--;
	free(k);
}

/* To the process that there is now, in order; what is full stops it. */
static void send_all(struct sl_webhooks *s)
{
	uint32_t owner = sl_aux_owner(s->w, SL_WEBHOOK_MODULE);

	for (struct kept *k = s->first; k && owner; k = k->next) {
		const struct iovec iov = {k->message, k->len};

		if (k->owner == owner)
			continue;
		if (sl_channel_send(s->channel, owner, SL_WEBHOOK_EVENT, &iov, 1) < 0)
			break;
		k->owner = owner;
	}
	if (s->first)
		sl_timer_set(s->w->loop, &s->again, AGAIN_MS);
}

static void on_again(struct sl_timer *t)
{
	send_all(t->arg);
}

static void on_message(void *arg, const struct sl_channel_msg *m)
{
	struct sl_reader r = sl_reader(m->data.p, m->data.len);
	struct sl_webhooks *s = arg;
	uint64_t number = sl_read_u64(&r);

	if (m->type != SL_WEBHOOK_TAKEN || r.failed)
		return;
	for (struct kept **link = &s->first; *link; link = &(*link)->next) {
		if ((*link)->number != number)
			continue;
		drop(s, link);
		return;
	}
}

/* By time, so that it grows over restarts; the slot keeps two processes apart. */
static uint64_t next_number(struct sl_webhooks *s)
{
	uint64_t now = sl_clock_unix_ns() / 1000 << 10 | (s->w->slot & 1023);

	s->last_number = now > s->last_number ? now : s->last_number + 1024;
	return s->last_number;
}

static struct kept *make(struct sl_webhooks *s, const struct sl_webhook_event *e)
{
	struct kept *k = NULL;
	struct sl_buf b;
	uint64_t number = next_number(s);

	sl_buf_init(&b, MAX_MESSAGE);
	sl_buf_u64(&b, number);
	sl_buf_lstr(&b, e->name);
	sl_buf_lstr(&b, e->key);
	sl_buf_u64(&b, sl_clock_unix_ns() / SL_NS_PER_MS);
	sl_buf_lstr(&b, e->json);
	if (sl_buf_ok(&b) == 0)
		k = malloc(sizeof *k + b.len);
	if (k) {
		*k = (struct kept){.number = number, .len = b.len};
		memcpy(k->message, b.p, b.len);
	}
	sl_buf_free(&b);
	return k;
}

bool sl_webhooks_send(struct sl_webhooks *s, const struct sl_webhook_event *e)
{
	struct kept *k = make(s, e);
	bool whole = s->n < MAX_KEPT;

	if (!k)
		return false;
	if (!whole)
		drop(s, &s->first);
	*s->tail = k;
	s->tail = &k->next;
	s->n++;
	send_all(s);
	return whole;
}

int sl_webhook_read(struct sl_str message, struct sl_webhook_event *ret_event)
{
	struct sl_reader r = sl_reader(message.p, message.len);
	struct sl_webhook_event e;

	e.number = sl_read_u64(&r);
	e.name = sl_read_lstr(&r);
	e.key = sl_read_lstr(&r);
	e.unix_ms = sl_read_u64(&r);
	e.json = sl_read_lstr(&r);
	if (r.failed || e.name.len == 0 || e.json.len == 0)
		return -SL_EPARSE;
	*ret_event = e;
	return 0;
}

int sl_webhooks_open(struct sl_worker *w, struct sl_webhooks **ret_sender)
{
	struct sl_webhooks *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return -SL_ENOMEM;
	s->w = w;
	s->tail = &s->first;
	s->again = (struct sl_timer){.fn = on_again, .arg = s};
	rc = sl_channel_open(w, SL_WEBHOOK_CHANNEL, on_message, s, &s->channel);
	if (rc < 0) {
		free(s);
		return rc;
	}
	*ret_sender = s;
	return 0;
}

void sl_webhooks_close(struct sl_webhooks *s)
{
	if (!s)
		return;
	send_all(s);
	while (s->first)
		drop(s, &s->first);
	sl_timer_cancel(s->w->loop, &s->again);
	sl_channel_close(s->channel);
	free(s);
}
