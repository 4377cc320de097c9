/*
 * echo.c: a module for the tests of WebRTC connections: what a client publishes it may play back.
 *
 * POST /publish takes an offer and gives the answer; POST /play gives an offer that sends back what
 * the newest publisher brings, and POST /accept takes the answer to it; POST /candidate?pc=pub|play
 * takes a trickled candidate, GET /state tells, POST /close ends both. One of each at a time. Data
 * channel messages are answered by themselves. Built by the test against the public headers alone.
 */
#include <stdlib.h>
#include <sluice/http.h>
#include <sluice/module.h>
#include <sluice/rtc.h>

enum { MAX_SECTIONS = 8 };

struct section { /* of the publisher, and where it is sent back */
	struct sl_rtc_media *in, *out;
	uint64_t packets, sent, last_seq;
	unsigned n_ended, n_resumed;
	bool over;
	unsigned codec;
};

struct echo {
	struct sl_worker *w;
	const struct sl_http_iface *http;
	struct sl_rtc *pub, *play;
	struct section sections[MAX_SECTIONS];
	unsigned n_sections, n_messages;
	char why[96], play_why[96];
};

static struct section *section_of(struct echo *e, const struct sl_rtc_media *in)
{
	for (unsigned i = 0; i < e->n_sections; i++)
		if (e->sections[i].in == in)
			return &e->sections[i];
	return NULL;
}

/* ---- publisher */

static void on_state(void *arg, struct sl_rtc *c, enum sl_rtc_state state, const char *why)
{
	struct echo *e = arg;
	char *dst = c == e->pub ? e->why : e->play_why;

	(void)sl_str_copy(dst, sizeof e->why, sl_str_c(why));
	for (unsigned i = 0; c == e->play && state == SL_RTC_CONNECTED && i < e->n_sections; i++)
		sl_rtc_ask_key_frame(e->sections[i].in, 0);
}

static void on_track(void *arg, struct sl_rtc_media *m, bool sends)
{
	struct echo *e = arg;

	if (sends && e->n_sections < MAX_SECTIONS)
		e->sections[e->n_sections++] = (struct section){.in = m};
}

static void on_rtp(void *arg, const struct sl_rtc_in *in)
{
	struct echo *e = arg;
	struct section *s = section_of(e, in->media);
	struct sl_rtp_out out = {.src = in->rtp, .ts = in->rtp->ts, .marker = in->rtp->marker};

	if (!s)
		return;
	s->packets++;
	s->codec = in->codec;
	s->last_seq = in->seq;
	if (!s->out || in->encoding != 0)
		return;
	out.seq = in->rtp->seq;
	out.pt = sl_rtc_media_pt(s->out, in->codec, sl_rtc_media_params(in->media, in->codec));
	if (out.pt && sl_rtc_send(s->out, &out) == 0)
		s->sent++;
}

static void on_clock(void *arg, struct sl_rtc_media *m, unsigned encoding,
		     const struct sl_rtc_clock *clock)
{
	struct section *s = section_of(arg, m);

	if (s && s->out && encoding == 0)
		sl_rtc_set_clock(s->out, clock);
}

static void on_ended(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct section *s = section_of(arg, m);

	if (!s || encoding != 0)
		return;
	s->n_ended++;
	s->over = sl_rtc_media_is_over(m);
}

static void on_resumed(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct section *s = section_of(arg, m);

	if (!s || encoding != 0)
		return;
	s->n_resumed++;
	s->over = sl_rtc_media_is_over(m);
}

static void on_message(void *arg, struct sl_rtc *c, uint16_t channel, bool text, struct sl_str data)
{
	struct echo *e = arg;

	e->n_messages++;
	if (sl_rtc_channel_send(c, channel, text, data) < 0)
		e->n_messages += 1000000; /* the test sees it */
}

static const struct sl_rtc_handler publisher = {.state = on_state,
						.track = on_track,
						.rtp = on_rtp,
						.clock = on_clock,
						.ended = on_ended,
						.resumed = on_resumed,
						.message = on_message};

/* ---- player */

static void on_key_frame(void *arg, struct sl_rtc_media *m)
{
	struct echo *e = arg;

	for (unsigned i = 0; i < e->n_sections; i++)
		if (e->sections[i].out == m)
			sl_rtc_ask_key_frame(e->sections[i].in, 0);
}

static const struct sl_rtc_handler player = {.state = on_state, .key_frame = on_key_frame};

/* ---- routes */

static void respond(struct echo *e, struct sl_http_req *r, int rc, struct sl_buf *sdp,
		    const char *err)
{
	struct sl_str body = rc < 0 ? sl_str_c(err[0] ? err : sl_strerror(rc)) : sl_buf_view(sdp);

	if (e->http->respond(r, rc < 0 ? 400 : 200, "application/sdp",
			     SL_STR("Access-Control-Allow-Origin: *\r\n"), body) < 0)
		sl_log(SL_LOG_WARN, "echo", "no response");
	sl_buf_free(sdp);
}

static void close_all(struct echo *e)
{
	sl_rtc_close(e->play, "closed");
	sl_rtc_close(e->pub, "closed");
	e->play = e->pub = NULL;
	e->n_sections = 0;
}

static void on_publish(void *arg, struct sl_http_req *r)
{
	struct echo *e = arg;
	const struct sl_rtc_opts o = {.handler = &publisher,
				      .arg = e,
				      .label = SL_STR("publisher"),
				      .data = true,
				      .recv_only = true};
	char err[160] = "";
	struct sl_buf sdp;
	int rc = 0;

	sl_buf_init(&sdp, 0);
	if (!e->pub)
		rc = sl_rtc_open(e->w, &o, &e->pub);
	if (rc == 0)
		rc = sl_rtc_answer(e->pub, e->http->body(r), &sdp, err);
	respond(e, r, rc, &sdp, err);
}

static void on_play(void *arg, struct sl_http_req *r)
{
	struct echo *e = arg;
	const struct sl_rtc_opts o = {.handler = &player, .arg = e, .label = SL_STR("player")};
	bool restart = e->http->query(r, "restart").p;
	struct sl_buf sdp;
	int rc = 0;

	sl_buf_init(&sdp, 0);
	if (!e->play)
		rc = sl_rtc_open(e->w, &o, &e->play);
	for (unsigned i = 0; rc == 0 && i < e->n_sections; i++)
		if (!e->sections[i].out)
			rc = sl_rtc_add(e->play, sl_rtc_media_kind(e->sections[i].in),
					SL_STR("echo"),
					sl_rtc_media_kind(e->sections[i].in) == SL_MEDIA_AUDIO
						? SL_STR("a")
						: SL_STR("v"),
					&e->sections[i].out);
	if (rc == 0)
		rc = sl_rtc_offer(e->play, restart, &sdp);
	respond(e, r, rc, &sdp, "");
}

static void on_accept(void *arg, struct sl_http_req *r)
{
	struct echo *e = arg;
	char err[160] = "nothing to accept";
	struct sl_buf none;
	int rc = e->play ? sl_rtc_accept(e->play, e->http->body(r), err) : -SL_ENOENT;

	sl_buf_init(&none, 0);
	respond(e, r, rc, &none, err);
}

static void on_candidate(void *arg, struct sl_http_req *r)
{
	struct echo *e = arg;
	struct sl_rtc *c = sl_str_eq(e->http->query(r, "pc"), SL_STR("play")) ? e->play : e->pub;
	struct sl_buf none;

	sl_buf_init(&none, 0);
	respond(e, r, c ? sl_rtc_candidate(c, e->http->body(r)) : -SL_ENOENT, &none, "");
}

static void on_state_get(void *arg, struct sl_http_req *r)
{
	struct echo *e = arg;
	struct sl_rtc_estimate estimate = {0};
	struct sl_buf b;

	if (e->play)
		sl_rtc_get_estimate(e->play, &estimate);
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "{\"pub\":\"%s\",\"play\":\"%s\",\"why\":\"%s\",\"play_why\":\"%s\",",
		      e->pub ? sl_rtc_state_name(sl_rtc_get_state(e->pub)) : "none",
		      e->play ? sl_rtc_state_name(sl_rtc_get_state(e->play)) : "none", e->why,
		      e->play_why);
	sl_buf_printf(&b, "\"messages\":%u,\"bps\":%llu,\"rtt_us\":%u,\"sections\":[",
		      e->n_messages, (unsigned long long)estimate.target_bps, estimate.rtt_us);
	for (unsigned i = 0; i < e->n_sections; i++)
		sl_buf_printf(
			&b,
			"%s{\"packets\":%llu,\"sent\":%llu,\"seq\":%llu,\"codec\":\"%s\","
			"\"encodings\":%u,\"ended\":%u,\"resumed\":%u,\"over\":%s}",
			i ? "," : "", (unsigned long long)e->sections[i].packets,
			(unsigned long long)e->sections[i].sent,
			(unsigned long long)e->sections[i].last_seq,
			sl_codec_name(e->sections[i].codec),
			sl_rtc_media_encodings(e->sections[i].in), e->sections[i].n_ended,
			e->sections[i].n_resumed, e->sections[i].over ? "true" : "false");
	sl_buf_printf(&b, "]}");
	respond(e, r, 0, &b, "");
}

static void on_close(void *arg, struct sl_http_req *r)
{
	struct sl_buf none;

	sl_buf_init(&none, 0);
	close_all(arg);
	respond(arg, r, 0, &none, "");
}

/* ---- life */

static int start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct echo *e = calloc(1, sizeof *e);
	void *self;
	int rc;

	(void)conf;
	if (!e)
		return -SL_ENOMEM;
	e->w = w;
	e->http = sl_iface_get(w, "http", 1, &self);
	if (!e->http)
		return -SL_ENOENT;
	rc = e->http->route(self, "POST", "/publish", on_publish, e);
	if (rc == 0)
		rc = e->http->route(self, "POST", "/play", on_play, e);
	if (rc == 0)
		rc = e->http->route(self, "POST", "/accept", on_accept, e);
	if (rc == 0)
		rc = e->http->route(self, "POST", "/candidate", on_candidate, e);
	if (rc == 0)
		rc = e->http->route(self, "GET", "/state", on_state_get, e);
	if (rc == 0)
		rc = e->http->route(self, "POST", "/close", on_close, e);
	*ret_ctx = e;
	return rc;
}

static void stop(void *ctx)
{
	close_all(ctx);
	free(ctx);
}

static const char *const needs[] = {"http", NULL};

SL_MODULE(echo, .name = "echo", .version = "1.0", .summary = "Plays back what is published.",
	  .needs = needs, .worker_start = start, .worker_stop = stop);
