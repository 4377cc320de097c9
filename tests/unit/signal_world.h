/*
 * tests/unit/signal_world.h: several hubs of the signalling module on one simulated node, and their clients.
 *
 * The channel is a queue per worker, filled in the order of sending: in order per sender and causal over senders, as the real
 * one is. Who reads next is the test's choice. Time stands until the test moves it.
 */
#ifndef TESTS_UNIT_SIGNAL_WORLD_H
#define TESTS_UNIT_SIGNAL_WORLD_H

#include "modules/signaling-ws/hub.h"

#define WORLD_WORKERS 4
#define WORLD_TEXTS 4096

struct world;

struct client { /* stands for a socket, too: struct sl_ws * points at it */
	struct world *world;
	struct conn *conn; /* NULL: closed */
	unsigned worker;
	char *texts[WORLD_TEXTS]; /* what it was told and nobody has looked at */
	unsigned n_texts, n_read;
	unsigned close_code; /* 0: the server has not closed it */
	uint64_t id; /* its peer's, from the welcome */
	char token[TOKEN_STRLEN];
	uint64_t seq; /* highest number received */
	size_t queued; /* bytes that it has not read, as its socket says */
	bool slow;     /* sending to it fails */
	bool stuck;    /* it reads nothing: queued grows */
};

struct mail {
	struct mail *next;
	uint32_t from;
	uint16_t type;
	size_t len;
	uint8_t data[];
};

struct worker_sim {
	struct world *world;
	struct hub hub;
	bool alive;
	struct mail *first, **tail;
	uint64_t words[N_SIGNAL_METRICS][16]; /* histograms take several */
	struct sl_meter meters[N_SIGNAL_METRICS];
	bool turn_due;
};

struct world {
	struct worker_sim workers[WORLD_WORKERS];
	unsigned n;
	struct signal_conf conf;
	uint64_t now_ms, random;
	uint64_t clock_us, message_us; /* what each message takes; 0: nobody waits for a turn */
	unsigned room_limit, n_open; /* sessions that are counted */
	uint64_t ice_ttl_s;
	unsigned n_dropped; /* channel messages for dead workers */
};

void world_init(struct world *w, unsigned n_workers);
void world_free(struct world *w);
void world_run(struct world *w); /* until nothing is under way */
bool world_step(struct world *w, unsigned worker); /* one message; false: there is none */
bool world_turn(struct world *w, unsigned worker); /* a tick of its loop ends; false: it need not */
void world_pass(struct world *w, uint64_t ms);
void world_kill(struct world *w, unsigned worker); /* what it said last gets through to nobody who has not read it */
void world_start(struct world *w, unsigned worker); /* again, as a new process */
uint64_t world_count(const struct world *w, enum signal_metric m); /* over all workers */

void client_open(struct world *w, struct client *c, unsigned worker);
void client_open_with(struct world *w, struct client *c, unsigned worker, struct claims *claims);
void client_close(struct client *c, unsigned code);
void client_free(struct client *c);
void client_send(struct client *c, const char *fmt, ...) SL_PRINTF(2, 3);
/* The next text, as JSON that the caller releases; NULL: there is none. Notes welcome and numbers. */
json_t *client_next(struct client *c);
/* Skips to the next text of this type; NULL: there is none. */
json_t *client_next_of(struct client *c, const char *type);
/* True, and it is taken, when the next text is of this type. */
bool client_gets(struct client *c, const char *type);
bool client_gets_error(struct client *c, const char *code);
/* hello and join, and the answers taken. */
void client_join(struct client *c, const char *room, const char *name);
/* A new socket of the same client, at any worker: hello and resume, answers not taken. */
void client_resume(struct client *old, struct client *fresh, unsigned worker);

#endif
