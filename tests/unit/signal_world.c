/*
 * tests/unit/signal_world.c: the simulated node of signal_world.h.
 *
 * Owner words are made like the real ones, slot and epoch, so that a worker that was started again
 * is another one.
 */
#include "signal_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/crypto.h>

static struct worker_sim *worker_of(struct world *w, uint32_t owner)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->workers[i].hub.self == owner && w->workers[i].alive)
			return &w->workers[i];
	return NULL;
}

/* ---- what hubs do */

static char *copy_text(struct sl_str text)
{
	char *copy = calloc(1, text.len + 1);

	sl_assert(copy);
	memcpy(copy, text.p, text.len);
	return copy;
}

static int io_send(void *arg, struct sl_ws *ws, struct sl_str text)
{
	struct client *c = (struct client *)ws;

	(void)arg;
	if (c->slow)
		return -SL_EFULL;
	sl_assert(c->n_texts < WORLD_TEXTS);
	c->texts[c->n_texts++] = copy_text(text);
	if (c->stuck)
		c->queued += text.len;
	return 0;
}

static size_t io_queued(void *arg, const struct sl_ws *ws)
{
	(void)arg;
	return ((const struct client *)ws)->queued;
}

static void io_close(void *arg, struct sl_ws *ws, unsigned code, struct sl_str reason)
{
	(void)arg;
	(void)reason;
	((struct client *)ws)->close_code = code;
}

static int io_post(void *arg, uint32_t to, uint16_t type, struct sl_str data)
{
	struct worker_sim *from = arg, *w = worker_of(from->world, to);
	struct mail *m;

	if (!w) {
		from->world->n_dropped++;
		return -SL_ENOENT;
	}
	if (data.len > 65536)
		return -SL_ELIMIT;
	m = malloc(sizeof *m + data.len);
	sl_assert(m);
	*m = (struct mail){.from = from->hub.self, .type = type, .len = data.len};
	memcpy(m->data, data.p, data.len);
	*w->tail = m;
	w->tail = &m->next;
	return 0;
}

static void io_broadcast(void *arg, uint16_t type, struct sl_str data)
{
	struct worker_sim *from = arg;

	for (unsigned i = 0; i < from->world->n; i++)
		if (&from->world->workers[i] != from && from->world->workers[i].alive)
			(void)io_post(from, from->world->workers[i].hub.self, type, data);
}

static bool io_is_alive(void *arg, uint32_t owner)
{
	return worker_of(((struct worker_sim *)arg)->world, owner) != NULL;
}

static int io_session_open(void *arg, struct peer *p, bool counted)
{
	struct world *w = ((struct worker_sim *)arg)->world;

	(void)p;
	if (counted && w->n_open >= w->room_limit)
		return -SL_ELIMIT;
	w->n_open++;
	return 0;
}

static void io_session_close(void *arg, struct peer *p, const char *why)
{
	(void)p;
	(void)why;
	((struct worker_sim *)arg)->world->n_open--;
}

static int io_ice_servers(void *arg, struct sl_str host, struct sl_str id, struct sl_buf *json,
			  uint64_t *ret_ttl_s)
{
	sl_buf_printf(json, "[{\"urls\":[\"turn:%.*s\"],\"username\":\"%.*s\"}]", SL_FMT(host),
		      SL_FMT(id));
	*ret_ttl_s = ((struct worker_sim *)arg)->world->ice_ttl_s;
	return 0;
}

/* Asked before a message and after it. */
static uint64_t io_clock_us(void *arg)
{
	struct world *w = ((struct worker_sim *)arg)->world;

	w->clock_us += w->message_us;
	return w->clock_us;
}

static void io_go_on(void *arg)
{
	((struct worker_sim *)arg)->turn_due = true;
}

static const struct hub_io io = {
	.send = io_send,
	.queued = io_queued,
	.close = io_close,
	.post = io_post,
	.broadcast = io_broadcast,
	.is_alive = io_is_alive,
	.session_open = io_session_open,
	.session_close = io_session_close,
	.ice_servers = io_ice_servers,
	.clock_us = io_clock_us,
	.go_on = io_go_on,
};

/* ---- the node */

static void start(struct world *w, unsigned worker, uint16_t epoch)
{
	struct worker_sim *s = &w->workers[worker];
	uint32_t owners[WORLD_WORKERS];
	unsigned n = 0;

	s->world = w;
	s->alive = true;
	s->first = NULL;
	s->tail = &s->first;
	for (unsigned i = 0; i < N_SIGNAL_METRICS; i++)
		s->meters[i] = (struct sl_meter){s->words[i], signal_time_bounds};
	s->hub = (struct hub){
		.conf = &w->conf, .io = &io, .io_arg = s, .m = s->meters, .now_ms = w->now_ms};
	s->hub.self = (uint32_t)(worker + 1) << 16 | epoch;
	for (unsigned i = 0; i < w->n; i++)
		if (w->workers[i].alive)
			owners[n++] = w->workers[i].hub.self;
	spread_start(&s->hub, owners, n);
}

void world_init(struct world *w, unsigned n_workers)
{
	memset(w, 0, sizeof *w);
	w->now_ms = 1000;
	w->random = 42;
	w->room_limit = 1000;
	w->conf = (struct signal_conf){
		.max_message = 16384,
		.max_queue = 65536,
		.mailbox_bytes = 1 << 20,
		.mailbox_messages = 1000,
		.max_peers = 100,
		.max_name = 64,
		.max_candidates = 8,
		.rate = 1000,
		.burst = 1000,
		.resume_timeout = 30000,
		.join_timeout = 15000,
		.reconnect_spread = 500,
	};
	sl_random_fake(&w->random);
	for (unsigned i = 0; i < n_workers; i++) {
		w->n = i + 1;
		start(w, i, 1);
		world_run(w);
	}
}

static void drop_mail(struct worker_sim *s)
{
	for (struct mail *m = s->first, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	s->first = NULL;
	s->tail = &s->first;
}

void world_free(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		drop_mail(&w->workers[i]);
		if (w->workers[i].alive)
			hub_free(&w->workers[i].hub);
	}
	sl_random_fake(NULL);
}

bool world_step(struct world *w, unsigned worker)
{
	struct worker_sim *s = &w->workers[worker];
	struct mail *m = s->first;

	if (!m || !s->alive)
		return false;
	s->first = m->next;
	if (!s->first)
		s->tail = &s->first;
	s->hub.now_ms = w->now_ms;
	spread_receive(&s->hub, m->from, m->type, (struct sl_str){(const char *)m->data, m->len});
	free(m);
	return true;
}

bool world_turn(struct world *w, unsigned worker)
{
	struct worker_sim *s = &w->workers[worker];

	if (!s->turn_due || !s->alive)
		return false;
	s->turn_due = false;
	s->hub.now_ms = w->now_ms;
	turns_go_on(&s->hub);
	return true;
}

void world_run(struct world *w)
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (unsigned i = 0; i < w->n; i++)
			busy |= world_step(w, i) || world_turn(w, i);
	}
}

void world_pass(struct world *w, uint64_t ms)
{
	w->now_ms += ms;
	for (unsigned i = 0; i < w->n; i++) {
		w->workers[i].hub.now_ms = w->now_ms;
		if (w->workers[i].alive)
			hub_tick(&w->workers[i].hub);
	}
	world_run(w);
}

static void drop_mail_from(struct worker_sim *s, uint32_t dead)
{
	struct mail **at = &s->first;

	while (*at) {
		struct mail *m = *at;

		if (m->from != dead) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		free(m);
	}
	s->tail = at;
}

void world_kill(struct world *w, unsigned worker)
{
	struct worker_sim *dead = &w->workers[worker];

	dead->alive = false;
	drop_mail(dead);
	for (struct conn *conn = dead->hub.conns; conn; conn = conn->next)
		if (conn->ws)
			((struct client *)conn->ws)->conn = NULL;
	hub_free(&dead->hub); /* says nothing */
	for (unsigned i = 0; i < w->n; i++) {
		if (!w->workers[i].alive)
			continue;
		drop_mail_from(&w->workers[i], dead->hub.self);
		spread_gone(&w->workers[i].hub, dead->hub.self);
	}
}

void world_start(struct world *w, unsigned worker)
{
	start(w, worker, (uint16_t)(w->workers[worker].hub.self + 1));
}

uint64_t world_count(const struct world *w, enum signal_metric m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < w->n; i++)
		sum += w->workers[i].words[m][0];
	return sum;
}

/* ---- clients */

void client_open_with(struct world *w, struct client *c, unsigned worker, struct claims *claims)
{
	struct hub *hub = &w->workers[worker].hub;

	*c = (struct client){.world = w, .worker = worker};
	hub->now_ms = w->now_ms;
	c->conn = hub_conn_new(hub, claims, strdup("example.org"));
	hub_conn_opened(c->conn, (struct sl_ws *)c);
}

void client_open(struct world *w, struct client *c, unsigned worker)
{
	struct claims claims = {.may = MAY_ALL};

	client_open_with(w, c, worker, &claims);
}

void client_close(struct client *c, unsigned code)
{
	if (c->conn) {
		c->conn->hub->now_ms = c->world->now_ms;
		hub_conn_closed(c->conn, code);
	}
	c->conn = NULL;
}

void client_free(struct client *c)
{
	client_close(c, 1006);
	while (c->n_texts > 0)
		free(c->texts[--c->n_texts]);
	c->n_read = 0;
}

void client_send(struct client *c, const char *fmt, ...)
{
	char text[32768];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	sl_assert(len >= 0 && (size_t)len < sizeof text);
	c->conn->hub->now_ms = c->world->now_ms;
	hub_conn_text(c->conn, (struct sl_str){text, (size_t)len}, false);
}

json_t *client_next(struct client *c)
{
	struct sl_str token;
	json_t *json;
	uint64_t seq;

	if (c->n_read == c->n_texts)
		return NULL;
	json = sl_json_parse(sl_str_c(c->texts[c->n_read++]), JSON_DEPTH, NULL, 0);
	sl_assert(json);
	seq = (uint64_t)json_integer_value(json_object_get(json, "seq"));
	if (seq > c->seq)
		c->seq = seq;
	token = sl_json_get_str(json, "token");
	if (token.p) {
		(void)sl_str_copy(c->token, sizeof c->token, token);
		sl_assert(id_parse(sl_json_get_str(json_object_get(json, "self"), "id"), &c->id) ==
			  0);
	}
	return json;
}

json_t *client_next_of(struct client *c, const char *type)
{
	json_t *json;

	while ((json = client_next(c)) != NULL) {
		if (sl_str_eq(sl_json_get_str(json, "type"), sl_str_c(type)))
			return json;
		json_decref(json);
	}
	return NULL;
}

static bool next_says(struct client *c, const char *key, const char *value)
{
	json_t *json = client_next(c);
	bool same = json && sl_str_eq(sl_json_get_str(json, key), sl_str_c(value));

	if (!same)
		printf("# expected %s \"%s\", got %s\n", key, value,
		       json ? c->texts[c->n_read - 1] : "nothing");
	json_decref(json);
	return same;
}

bool client_gets(struct client *c, const char *type)
{
	return next_says(c, "type", type);
}

bool client_gets_error(struct client *c, const char *code)
{
	return next_says(c, "code", code);
}

void client_join(struct client *c, const char *room, const char *name)
{
	client_send(c, "{\"type\":\"hello\",\"version\":1}");
	client_send(c, "{\"type\":\"join\",\"room\":\"%s\",\"name\":\"%s\"}", room, name);
	sl_assert(client_gets(c, "hello") && client_gets(c, "welcome"));
}

void client_resume(struct client *old, struct client *fresh, unsigned worker)
{
	client_open(old->world, fresh, worker);
	fresh->id = old->id;
	fresh->seq = old->seq;
	memcpy(fresh->token, old->token, sizeof fresh->token);
	client_send(fresh, "{\"type\":\"hello\",\"version\":1}");
	client_send(fresh, "{\"type\":\"resume\",\"token\":\"%s\",\"seq\":%llu}", old->token,
		    (unsigned long long)old->seq);
}
