/*
 * sip-gateway/mirror.c: every SIP message of this worker, in and out, told to a collector by HEP;
 * the reports of its media legs, and the record of a call when it is over.
 *
 * One datagram each, at once or not at all: a collector that is away or slow costs nothing but what
 * it does not get, which is counted.
 */
#include "edge.h"
#include "hep.h"

#include <sluice/clock.h>
#include <sluice/udp.h>

enum {
	MAX_HEP = 64 * 1024 - 1,
	MAX_JSON = 8 * 1024, /* of a report, which has 31 blocks at most */
};

static void on_packet(void *arg, struct sl_packet *p)
{
	(void)arg; /* collectors do not answer */
	(void)p;
}

int mirror_open(struct edge *e)
{
	const struct sl_addr *to = &e->conf->hep.server;
	struct sl_udp_opts o = {.recv = on_packet, .arg = e, .local = {.family = to->family}};
	int rc;

	if (to->family == 0)
		return 0;
	rc = sl_udp_open(e->w, &o, &e->hep);
	return rc == 0 ? sl_udp_may_fragment(e->hep) : rc;
}

void mirror_close(struct edge *e)
{
	sl_udp_close(e->hep);
	e->hep = NULL;
}

static void tell(struct edge *e, struct hep_packet *p)
{
	const struct hep_conf *conf = &e->conf->hep;
	struct sl_buf b;
	int rc;

	p->unix_ns = sl_clock_unix_ns();
	p->agent = (uint32_t)conf->id;
	p->key = conf->password;
	sl_buf_init(&b, MAX_HEP);
	rc = hep_write(&b, p);
	if (rc == 0)
		rc = sl_udp_send_long(e->hep, sl_buf_view(&b), NULL, &conf->server);
	sl_count(&e->m[rc == 0 ? M_MIRRORED : M_MIRROR_LOST]);
	sl_buf_free(&b);
}

static void tell_message(struct edge *e, const struct sip_flow *flow, struct sl_str message,
			 bool in)
{
	struct hep_packet p = {.kind = HEP_SIP,
			       .stream = sip_flow_is_reliable(flow),
			       .from = in ? flow->remote : flow->local,
			       .to = in ? flow->local : flow->remote,
			       .payload = message};
	struct sip_peek m;

	if (sip_peek(&m, message) == 0)
		p.correlation = m.call_id;
	tell(e, &p);
}

void mirror_in(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	if (e->hep)
		tell_message(e, flow, message, true);
}

/* A connection knows better where it is than who sends on it. */
void mirror_out(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	const struct edge_conn *c = e->hep && flow->conn ? edge_conn_find(e, flow->conn) : NULL;
	const struct sip_flow known = c ? edge_conn_flow(c) : *flow;

	if (e->hep)
		tell_message(e, &known, message, false);
}

void mirror_report(struct edge *e, struct sl_str call_id, const struct leg_report *r)
{
	struct hep_packet p = {.kind = HEP_RTCP,
			       .stream = r->over_tcp,
			       .from = r->from,
			       .to = r->to,
			       .correlation = call_id};
	struct sl_rtcp_block at = {0};
	struct sl_buf json;

	if (!mirror_wants_reports(e) || call_id.len == 0)
		return;
	sl_buf_init(&json, MAX_JSON);
	while (hep_rtcp_next(&json, r->data, &at)) {
		p.payload = sl_buf_view(&json);
		if (sl_buf_ok(&json) == 0)
			tell(e, &p);
	}
	sl_buf_free(&json);
}

bool mirror_wants_reports(const struct edge *e)
{
	return e->hep && e->conf->hep.rtcp;
}

/* Under the Call-ID of its first party. */
void mirror_record(struct edge *e, struct sl_str json)
{
	static const char *const name = "\"call_id\":\"";
	const char *at = e->hep ? memmem(json.p, json.len, name, strlen(name)) : NULL;
	struct hep_packet p = {.kind = HEP_LOG, .payload = json};
	struct sl_str rest;

	if (!at)
		return;
	at += strlen(name);
	rest = (struct sl_str){at, json.len - (size_t)(at - json.p)};
	p.correlation = sl_str_split(&rest, '"');
	tell(e, &p);
}
