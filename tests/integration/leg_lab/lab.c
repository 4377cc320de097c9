/*
 * lab.c: a module for the tests of media legs: legs driven over HTTP, without signalling.
 *
 * POST /open?profile=rtp|sdes|webrtc&codecs=pcma,opus&inband=1 answers with a number; ?leg=N names it in
 * all others: POST /offer, /answer (body: their offer), /accept (body: their answer), /bridge?leg=&to=,
 * /play?tone=, /echo, /dtmf?digits=, /direction?to=sendonly, /close, /unbridge; GET /stats, /events (what
 * handlers were told, one a line). Built by the test with the module's own files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sluice/http.h>
#include <sluice/module.h>
#include "modules/sip-gateway/leg.h"

enum { MAX_LEGS = 1200 };

struct lab_conf {
	struct legs_conf media;
};

struct lab {
	struct sl_worker *w;
	const struct sl_http_iface *http;
	struct legs *legs;
	struct lab_leg {
		struct leg *leg;
		char digits[80];
		unsigned n_digits, n_played, n_negotiate;
		char state[16];
	} all[MAX_LEGS];
	unsigned n;
};

static const struct sl_directive directives[] = {
	SL_DIR(struct lab_conf, media, SL_T_RECORD, SL_S_MAIN, .fields = legs_fields,
	       .doc = "Media of legs."),
	SL_DIRS_END};

/* ---- what legs tell */

static void on_leg_state(void *arg, struct leg *l, enum leg_state state, const char *why)
{
	struct lab_leg *x = arg;

	(void)l;
	(void)why;
	(void)snprintf(x->state, sizeof x->state, "%s", leg_state_name(state));
}

static void on_dtmf(void *arg, struct leg *l, char digit, unsigned ms)
{
	struct lab_leg *x = arg;

	(void)l;
	(void)ms;
	if (x->n_digits + 1 < sizeof x->digits)
		x->digits[x->n_digits++] = digit;
}

static void on_played(void *arg, struct leg *l)
{
	(void)l;
	((struct lab_leg *)arg)->n_played++;
}

static void on_negotiate(void *arg, struct leg *l)
{
	(void)l;
	((struct lab_leg *)arg)->n_negotiate++;
}

static const struct leg_handler handler = {
	.state = on_leg_state, .dtmf = on_dtmf, .played = on_played, .negotiate = on_negotiate};

/* ---- requests */

static struct sl_str query(struct lab *b, struct sl_http_req *r, const char *name)
{
	return b->http->query(r, name);
}

static void respond(struct lab *b, struct sl_http_req *r, int rc, struct sl_buf *body,
		    const char *err)
{
	struct sl_str text = rc < 0 ? sl_str_c(err[0] ? err : sl_strerror(rc)) : sl_buf_view(body);

	if (b->http->respond(r, rc < 0 ? 400 : 200, "text/plain",
			     SL_STR("Access-Control-Allow-Origin: *\r\n"), text) < 0)
		sl_log(SL_LOG_WARN, "lab", "no response");
	sl_buf_free(body);
}

static struct lab_leg *leg_at(struct lab *b, struct sl_str text)
{
	uint64_t i;

	return sl_str_u64(text, &i) == 0 && i < b->n && b->all[i].leg ? &b->all[i] : NULL;
}

static void read_opts(struct lab *b, struct sl_http_req *r, struct leg_opts *o)
{
	struct sl_str profile = query(b, r, "profile"), codecs = query(b, r, "codecs");
	uint64_t n;

	o->profile = sl_str_eq(profile, SL_STR("webrtc")) ? LEG_WEBRTC
		     : sl_str_eq(profile, SL_STR("sdes")) ? LEG_SDES
							  : LEG_RTP;
	o->detect_in_band = query(b, r, "inband").len > 0;
	o->no_mux = query(b, r, "nomux").len > 0;
	if (sl_str_u64(query(b, r, "ptime"), &n) == 0)
		o->ptime_ms = (unsigned)n;
	if (sl_str_u64(query(b, r, "silence"), &n) == 0)
		o->silence_ms = (unsigned)n;
	while (codecs.p && codecs.len > 0)
		o->codecs[o->n_codecs++] = sl_codec_by_name(sl_str_split(&codecs, ','));
}

static void on_open(void *arg, struct sl_http_req *r)
{
	struct lab *b = arg;
	struct leg_opts o = {.handler = &handler, .peer = SL_STR("lab")};
	struct sl_buf body;
	int rc = b->n < MAX_LEGS ? 0 : -SL_EFULL;

	sl_buf_init(&body, 0);
	read_opts(b, r, &o);
	if (rc == 0) {
		o.arg = &b->all[b->n];
		rc = leg_open(b->legs, &o, &b->all[b->n].leg);
	}
	if (rc == 0)
		sl_buf_printf(&body, "%u", b->n++);
	respond(b, r, rc, &body, "");
}

enum verb { OFFER, ANSWER, ACCEPT, BRIDGE, UNBRIDGE, PLAY, ECHO, DTMF, DIRECTION, CLOSE, STATS, EVENTS, N_VERBS };
static const char *const names[N_VERBS] = {"/offer", "/answer", "/accept", "/bridge", "/unbridge", "/play", "/echo",
					   "/dtmf",  "/direction", "/close", "/stats", "/events"};

static int direct(struct lab *b, struct sl_http_req *r, struct leg *l)
{
	for (unsigned d = SL_SDP_INACTIVE; d <= SL_SDP_SENDRECV; d++)
		if (sl_str_eq(query(b, r, "to"), sl_str_c(sl_sdp_direction_name((enum sl_sdp_direction)d))))
			leg_set_direction(l, (enum sl_sdp_direction)d);
	return 0;
}

static int run(struct lab *b, struct sl_http_req *r, enum verb verb, struct lab_leg *x, struct sl_buf *body,
	       char *err)
{
	struct lab_leg *other = leg_at(b, query(b, r, "to"));
	uint64_t tone = 0;

	switch (verb) {
	case OFFER:
		return leg_offer(x->leg, query(b, r, "restart").len > 0, body);
	case ANSWER:
		return leg_answer(x->leg, b->http->body(r), body, err);
	case ACCEPT:
		return leg_accept(x->leg, b->http->body(r), err);
	case BRIDGE:
		return other ? leg_bridge(x->leg, other->leg) : -SL_ENOENT;
	case UNBRIDGE:
		leg_unbridge(x->leg);
		return 0;
	case PLAY:
		return sl_str_u64(query(b, r, "tone"), &tone) < 0 ? -SL_EINVAL : leg_play(x->leg, (enum leg_tone)tone);
	case ECHO:
		return leg_echo(x->leg);
	case DTMF:
		return leg_send_dtmf(x->leg, query(b, r, "digits"), 100);
	case DIRECTION:
		return direct(b, r, x->leg);
	case CLOSE:
		leg_close(x->leg, "closed");
		x->leg = NULL;
		return 0;
	case STATS:
		leg_stats_json(x->leg, body);
		return 0;
	case EVENTS:
		sl_buf_printf(body, "{\"state\":\"%s\",\"digits\":\"%s\",\"played\":%u,\"negotiate\":%u,\"held\":%s}", x->state,
			      x->digits, x->n_played, x->n_negotiate, leg_is_held(x->leg) ? "true" : "false");
		return 0;
	default:
		return -SL_EINVAL;
	}
}

struct route {
	struct lab *b;
	enum verb verb;
};
static struct route routes[N_VERBS]; /* a test's: one worker, one context */

static void on_verb(void *arg, struct sl_http_req *r)
{
	struct route *route = arg;
	struct lab *b = route->b;
	struct lab_leg *x = leg_at(b, query(b, r, "leg"));
	char err[LEG_ERR] = "";
	struct sl_buf body;

	sl_buf_init(&body, 0);
	respond(b, r, x ? run(b, r, route->verb, x, &body, err) : -SL_ENOENT, &body, err);
}

/* ---- life */

static int start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct lab *b = calloc(1, sizeof *b);
	void *self;
	int rc;

	if (!b)
		return -SL_ENOMEM;
	b->w = w;
	b->http = sl_iface_get(w, "http", 1, &self);
	if (!b->http)
		return -SL_ENOENT;
	rc = legs_open(w, &((struct lab_conf *)conf)->media, &b->legs);
	if (rc == 0)
		rc = b->http->route(self, "POST", "/open", on_open, b);
	for (unsigned i = 0; i < N_VERBS && rc == 0; i++) {
		routes[i] = (struct route){b, (enum verb)i};
		rc = b->http->route(self, i >= STATS ? "GET" : "POST", names[i], on_verb, &routes[i]);
	}
	*ret_ctx = b;
	return rc;
}

static void stop(void *ctx)
{
	legs_close(((struct lab *)ctx)->legs);
	free(ctx);
}

static const char *const needs[] = {"http", NULL};

SL_MODULE(lab, .name = "lab", .version = "1.0", .summary = "Legs over HTTP.", .needs = needs,
	  .directives = directives, .conf_size = sizeof(struct lab_conf), .worker_start = start,
	  .worker_stop = stop);
