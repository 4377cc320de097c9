/*
 * crowd.c: a module for the tests of the mixer: a telephone in each of many rooms, none of which says
 * anything.
 *
 * Built by the test against the public headers alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sluice/mixer.h>
#include <sluice/module.h>

struct crowd_conf {
	int64_t rooms;
};
static const struct sl_directive directives[] = {
	SL_DIR(struct crowd_conf, rooms, SL_T_INT, SL_S_MAIN, .dflt = "1", .min = 1, .max = 100000, .doc = "How many."), SL_DIRS_END};

struct crowd {
	struct sl_worker *w;
	const struct crowd_conf *conf;
	const struct sl_mixer_iface *mixer;
	void *mixer_self;
	struct sl_timer begin;
	struct sl_mixer_phone **phones;
	int64_t n;
};

static const struct sl_mixer_handler handler = {.play = NULL};

/* A few at a time, since each is a peer of signalling that all are told of. */
static void on_begin(struct sl_timer *t)
{
	struct crowd *c = t->arg;
	const struct sl_mixer_format format = {SL_CODEC_PCMU, 8000, 20};
	char room[32];

	c->mixer = sl_iface_get(c->w, SL_MIXER_IFACE, 1, &c->mixer_self);
	if (!c->mixer)
		abort();
	for (unsigned i = 0; i < 100 && c->n < c->conf->rooms; i++, c->n++) {
		struct sl_mixer_opts o = {.name = SL_STR("phone"), .handler = &handler, .arg = c};

		(void)snprintf(room, sizeof room, "room-%lld", (long long)c->n);
		o.room = sl_str_c(room);
		if (c->mixer->join(c->mixer_self, &o, &c->phones[c->n]) < 0)
			abort();
		c->mixer->set_format(c->phones[c->n], &format);
	}
	if (c->n < c->conf->rooms)
		sl_timer_set(c->w->loop, &c->begin, 1);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct crowd *c = calloc(1, sizeof *c);

	if (!c)
		return -SL_ENOMEM;
	c->w = w;
	c->conf = conf;
	c->begin = (struct sl_timer){.fn = on_begin, .arg = c};
	c->phones = calloc((size_t)c->conf->rooms, sizeof *c->phones);
	if (!c->phones)
		return -SL_ENOMEM;
	sl_timer_set(w->loop, &c->begin, 1);
	*ret_ctx = c;
	return 0;
}

static void worker_stop(void *ctx)
{
	struct crowd *c = ctx;

	sl_timer_cancel(c->w->loop, &c->begin);
	for (int64_t i = 0; i < c->n; i++)
		c->mixer->leave(c->phones[i]);
	free(c->phones);
	free(c);
}

static const char *const needs[] = {"mixer", NULL};

SL_MODULE(crowd, .name = "crowd", .version = "1.0", .summary = "a telephone in each of many rooms", .needs = needs,
	  .directives = directives, .conf_size = sizeof(struct crowd_conf), .worker_start = worker_start, .worker_stop = worker_stop);
