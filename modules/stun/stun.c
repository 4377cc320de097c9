/*
 * stun.c: the STUN server (RFC 8489): tells clients the address they are seen from, over UDP, TCP
 * and TLS.
 *
 * A stateless responder at the end of DGRAM_CONTENT: what a flow or another module wants does not
 * come here. Because a UDP source may be spoofed, each gets so many answers a second and no more.
 * Where NAT behaviour is discovered, answers may leave from another socket than the one asked.
 */
#include "server.h"

#include <stdlib.h>

/* Negative: the answer could not be queued. */
static int answer(struct stun *s, const struct sl_packet *p, const struct sl_stun_msg *msg)
{
	uint8_t text[STUN_ANSWER_MAX];
	struct stun_place place;
	int n;

	if (!p->assoc && behaviour_find(s, p, &place))
		return behaviour_reply(s, &place, p, msg);
	n = stun_answer(s, msg, &p->from, text);
	return n > 0 ? sl_udp_reply(p, text, (size_t)n) : 0;
}

static int on_datagram(void *ctx, struct sl_packet *p)
{
	struct stun *s = ctx;
	struct sl_stun_msg msg;

	if (p->demux != SL_DEMUX_STUN)
		return SL_DECLINED;
	if (sl_stun_parse(&msg, p->data, p->len) < 0) {
		sl_count(&s->m[M_MALFORMED]);
		return SL_DROP;
	}
	if (msg.method != SL_STUN_BINDING || msg.class_ > SL_STUN_INDICATION)
		return SL_DECLINED;
	if (s->rate && !sl_rate_allow(s->rate, &p->from, p->time_ns / SL_NS_PER_MS)) {
		sl_count(&s->m[M_RATE_LIMITED]);
		return SL_DROP;
	}
	sl_count(&s->m[M_REQUESTS]);
	if (answer(s, p, &msg) < 0)
		sl_count(&s->m[M_UNSENT]); /* the client asks again */
	return SL_DONE;
}

static const struct sl_stun_iface iface = {.answer = stun_answer};

static void worker_stop(void *ctx)
{
	struct stun *s = ctx;

	sl_rate_free(s->rate);
	free(s);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct stun *s = calloc(1, sizeof *s);
	int err;

	if (!s)
		return -SL_ENOMEM;
	s->worker = w;
	s->conf = conf;
	s->m = sl_worker_meters(w, "stun");
	stun_stream_init(s);
	err = behaviour_open(s);
	if (err == 0 && s->conf->rate > 0)
		err = sl_rate_new((unsigned)s->conf->rate, (unsigned)s->conf->burst, 16384,
				  &s->rate);
	if (err == 0)
		err = sl_iface_provide(w, SL_STUN_IFACE, 1, &iface, s);
	if (err < 0) {
		sl_log(SL_LOG_ERROR, "stun", "cannot start: %s", sl_strerror(err));
		worker_stop(s);
		return err;
	}
	*ret_ctx = s;
	return 0;
}

static const struct sl_directive behaviour_fields[] = {
	SL_FIELD(struct stun_behaviour, primary, SL_T_ADDR, .required = true,
		 .doc = "Address and port that clients ask first."),
	SL_FIELD(struct stun_behaviour, alternate, SL_T_ADDR, .required = true,
		 .doc = "Another address of this host and another port."),
	SL_DIRS_END,
};

static const struct sl_directive directives[] = {
	SL_DIR(struct stun_conf, software, SL_T_STR, SL_S_MAIN, .max = 32,
	       .doc = "Text of the SOFTWARE attribute. Empty leaves it out, which keeps an answer "
		      "at 32 bytes."),
	SL_DIR(struct stun_conf, rate, SL_T_INT, SL_S_MAIN, .dflt = "200", .min = 0, .max = 1000000,
	       .doc = "Answers a second over UDP to one source (an IPv4 address or an IPv6 /64). "
		      "0: no limit."),
	SL_DIR(struct stun_conf, burst, SL_T_INT, SL_S_MAIN, .dflt = "400", .min = 1,
	       .max = 1000000, .doc = "Answers that a source may get at once after a pause."),
	SL_DIR(struct stun_conf, idle_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "30s", .min = 1000,
	       .max = 3600000, .doc = "A connection without a message for so long is closed."),
	SL_DIR(struct stun_conf, behaviour, SL_T_RECORD, SL_S_MAIN, .list = true, .max = 2,
	       .fields = behaviour_fields, .record_bytes = sizeof(struct stun_behaviour),
	       .doc = "Discovery of NAT behaviour (RFC 5780), at most once per address family. "
		      "Both "
		      "addresses need UDP listeners on both ports: four of them, or two on "
		      "wildcards."),
	SL_DIRS_END,
};

static const struct sl_metric metrics[] = {
	[M_REQUESTS] = SL_COUNTER(requests, "Binding requests and indications over UDP."),
	[M_STREAM_REQUESTS] = SL_COUNTER(stream_requests, "Messages over TCP and TLS."),
	[M_RATE_LIMITED] =
		SL_COUNTER(rate_limited, "Requests dropped because their source asked too often."),
	[M_UNKNOWN_ATTRIBUTES] = SL_COUNTER(unknown_attributes, "Requests answered 420."),
	[M_MALFORMED] =
		SL_COUNTER(malformed, "Messages dropped as malformed or with a wrong FINGERPRINT."),
	[M_UNSENT] = SL_COUNTER(unsent, "Answers dropped because the socket's queue was full."),
	[M_CONNECTIONS] = SL_COUNTER(connections, "Connections taken."),
	SL_METRICS_END,
};

static const struct sl_hook hooks[] = {
	SL_ON_DGRAM(SL_DGRAM_CONTENT, SL_LATE, on_datagram),
	SL_ON_CONN(SL_CONN_PREREAD, SL_LATE, stun_preread),
	SL_HOOKS_END,
};

SL_MODULE(stun, .name = "stun", .version = "1.0",
	  .summary = "STUN server: tells clients their public address", .directives = directives,
	  .conf_size = sizeof(struct stun_conf), .hooks = hooks, .metrics = metrics,
	  .check = behaviour_check, .worker_start = worker_start, .worker_stop = worker_stop);
