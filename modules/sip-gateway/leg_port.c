/*
 * sip-gateway/leg_port.c: the sockets of a plain leg: an even port for RTP, the next for RTCP, out
 * of the range that the operator opens in a firewall; and another pair where there is video.
 */
#include "leg_impl.h"

#include <sluice/crypto.h>

enum { TRIES = 200 };

static const struct sl_addr *pick(const struct sl_list *list, uint8_t family)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct sl_addr *a = SL_LIST_AT(*list, const struct sl_addr, i);

		if (family == 0 || a->family == family)
			return a;
	}
	return NULL;
}

/* ---- in */

static void hear_packet(struct leg *l, struct sl_packet *p, const struct sl_line_in *in)
{
	const struct leg_format *f = leg_format_by_pt(&l->in, in->rtp.pt);
	struct sl_rtp *rtp = sl_packet_rtp(p);

	*rtp = in->rtp;
	rtp->packet = p;
	if (in->restarted)
		leg_hear_restart(l);
	if (f)
		leg_hear(l, rtp, in->seq, f);
}

/* For who looks on, before anybody heeds it. at: the socket that it came to */
static void show_heard(struct leg *l, const struct sl_packet *p, const struct sl_udp *at,
		       struct sl_str rtcp)
{
	if (leg_handler_of(l)->report)
		leg_handler_of(l)->report(
			l->o.arg, l,
			&(struct leg_report){
				.data = rtcp, .from = p->from, .to = *sl_udp_local(at)});
}

static void receive(struct leg *l, struct sl_packet *p, bool on_rtcp_port)
{
	enum sl_line_verdict verdict;
	struct sl_line_in in;

	if (l->closed)
		return;
	verdict = sl_line_receive(l->line, &in, p->data, p->len, &p->from, on_rtcp_port,
				  p->time_ns);
	if (verdict == SL_LINE_RTP)
		hear_packet(l, p, &in);
	else if (verdict == SL_LINE_RTCP)
		show_heard(l, p, on_rtcp_port ? l->rtcp : l->rtp, in.rtcp);
}

static void on_rtp(void *arg, struct sl_packet *p)
{
	receive(arg, p, false);
}

static void on_rtcp(void *arg, struct sl_packet *p)
{
	receive(arg, p, true);
}

/* ---- in: video */

static void see_packet(struct leg *l, struct sl_packet *p, const struct sl_line_in *in)
{
	struct sl_rtp *rtp = sl_packet_rtp(p);

	*rtp = in->rtp;
	rtp->packet = p;
	if (in->restarted)
		leg_video_hear_restart(l);
	leg_video_hear(l, rtp, in->seq);
	leg_video_miss(l);
}

static void heed(struct leg *l, const struct sl_line_in *in)
{
	if (in->key_frame)
		leg_video_wanted(l);
	leg_video_repeat(l, in->missed, in->n_missed);
	if (in->limited)
		leg_video_bound(l, in->limit_bps);
}

static void receive_video(struct leg *l, struct sl_packet *p, bool on_rtcp_port)
{
	enum sl_line_verdict verdict;
	struct sl_line_in in;

	if (l->closed)
		return;
	verdict = sl_line_receive(l->video->line, &in, p->data, p->len, &p->from, on_rtcp_port,
				  p->time_ns);
	if (verdict == SL_LINE_RTP)
		see_packet(l, p, &in);
	if (verdict != SL_LINE_RTCP)
		return;
	show_heard(l, p, on_rtcp_port ? l->video->rtcp : l->video->rtp, in.rtcp);
	heed(l, &in);
}

static void on_video_rtp(void *arg, struct sl_packet *p)
{
	receive_video(arg, p, false);
}

static void on_video_rtcp(void *arg, struct sl_packet *p)
{
	receive_video(arg, p, true);
}

/* ---- opening */

struct pair {
	struct sl_udp *rtp, *rtcp;
	void (*on_rtp)(void *arg, struct sl_packet *p);
	void (*on_rtcp)(void *arg, struct sl_packet *p);
	int64_t dscp;
};

static int open_at(struct leg *l, struct pair *to, struct sl_addr local, uint16_t port)
{
	struct sl_udp_opts o = {.recv = to->on_rtp,
				.arg = l,
				.local = local,
				.tos = (uint8_t)(to->dscp << 2)};
	int err;

	o.local.port = port;
	err = sl_udp_open(l->all->w, &o, &to->rtp);
	if (err < 0)
		return err;
	o.local.port++;
	o.recv = to->on_rtcp;
	err = sl_udp_open(l->all->w, &o, &to->rtcp);
	if (err < 0)
		sl_udp_close(to->rtp);
	return err;
}

/* Workers share the range: each begins at a random place and goes on from there. */
static uint16_t next_port(struct legs *all)
{
	const struct sl_ports *range = &all->conf->ports;
	unsigned lo = (range->lo + 1u) & ~1u, n = range->hi > lo ? (range->hi - lo + 1u) / 2 : 0;
	uint16_t random = 0;

	if (n == 0)
		return 0;
	if (all->next_port == 0 && sl_random(&random, sizeof random) == 0)
		all->next_port = (uint16_t)(lo + random % n * 2);
	all->next_port = (uint16_t)(all->next_port + 2);
	if (all->next_port < lo || all->next_port + 1u > range->hi)
		all->next_port = (uint16_t)lo;
	return all->next_port;
}

static int open_pair(struct leg *l, struct pair *to, const struct sl_addr *local)
{
	int err = -SL_EUNSUPP;

	for (unsigned i = 0; i < TRIES; i++) {
		uint16_t port = next_port(l->all);

		err = port ? open_at(l, to, *local, port) : -SL_ELIMIT;
		if (err != -SL_EEXIST)
			break;
	}
	return err == -SL_EEXIST ? -SL_ELIMIT : err;
}

int leg_port_open(struct leg *l, uint8_t family)
{
	struct pair pair = {
		.on_rtp = on_rtp, .on_rtcp = on_rtcp, .dscp = l->all->conf->dscp};
	const struct sl_addr *local;
	int err;

	if (l->rtp)
		return 0;
	local = pick(&l->all->conf->addresses, l->o.family ? l->o.family : family);
	err = local ? open_pair(l, &pair, local) : -SL_EUNSUPP;
	if (err < 0)
		return err;
	l->rtp = pair.rtp;
	l->rtcp = pair.rtcp;
	l->family = local->family;
	return 0;
}

int leg_port_open_video(struct leg *l)
{
	struct pair pair = {.on_rtp = on_video_rtp,
			    .on_rtcp = on_video_rtcp,
			    .dscp = l->all->conf->video_dscp};
	int err;

	if (l->video->rtp)
		return 0;
	err = open_pair(l, &pair, pick(&l->all->conf->addresses, l->family));
	if (err < 0)
		return err;
	l->video->rtp = pair.rtp;
	l->video->rtcp = pair.rtcp;
	return 0;
}

void leg_port_close(struct leg *l)
{
	sl_udp_close(l->rtp);
	sl_udp_close(l->rtcp);
	l->rtp = l->rtcp = NULL;
}

const struct sl_addr *leg_port_told(const struct leg *l)
{
	const struct sl_addr *told =
		l->o.within ? NULL : pick(&l->all->conf->advertise, l->family);

	return told ? told : sl_udp_local(l->rtp);
}

/* ---- out */

void leg_port_send(struct leg *l, struct sl_packet *p, bool rtcp)
{
	bool on_rtp_port = !rtcp || sl_line_is_mux(l->line);
	const struct sl_addr *to = rtcp ? sl_line_rtcp_to(l->line) : sl_line_rtp_to(l->line);

	if (to->family != l->family || to->port == 0)
		return;
	if (sl_udp_send(on_rtp_port ? l->rtp : l->rtcp, p, to) < 0)
		return; /* a full queue; counted there */
}

void leg_port_send_video(struct leg *l, struct sl_packet *p, bool rtcp)
{
	const struct leg_video *v = l->video;
	bool on_rtp_port = !rtcp || sl_line_is_mux(v->line);
	const struct sl_addr *to = rtcp ? sl_line_rtcp_to(v->line) : sl_line_rtp_to(v->line);

	if (to->family != l->family || to->port == 0)
		return;
	if (sl_udp_send(on_rtp_port ? v->rtp : v->rtcp, p, to) < 0)
		return; /* a full queue; counted there */
}

/* One of the leg's two lines, with its sockets */
struct way {
	struct sl_line *line;
	struct sl_udp *rtp, *rtcp;
	void (*send)(struct leg *l, struct sl_packet *p, bool rtcp);
};

static void show_said(struct leg *l, const struct way *way, const struct sl_packet *p)
{
	const struct sl_udp *at = sl_line_is_mux(way->line) ? way->rtp : way->rtcp;

	if (leg_handler_of(l)->report && sl_line_rtcp_to(way->line)->port)
		leg_handler_of(l)->report(
			l->o.arg, l,
			&(struct leg_report){.data = {(const char *)p->data, p->len},
					     .from = *sl_udp_local(at),
					     .to = *sl_line_rtcp_to(way->line)});
}

static void report_on(struct leg *l, const struct way *way, bool bye)
{
	struct sl_packet *p = sl_packet_new(l->all->w);
	int len = p ? sl_line_draft_report(way->line, leg_now_ns(l), bye, p->data) : 0;

	if (len > 0) {
		p->len = (uint32_t)len;
		show_said(l, way, p);
		len = sl_line_seal_report(way->line, p->data, p->len);
	}
	if (len > 0) {
		p->len = (uint32_t)len;
		way->send(l, p, true);
	}
	if (p)
		sl_packet_unref(p);
}

void leg_port_report(struct leg *l, bool bye)
{
	const struct leg_video *v = l->video;

	if (!l->rtp || !l->agreed_ns)
		return;
	report_on(l, &(struct way){l->line, l->rtp, l->rtcp, leg_port_send}, bye);
	if (leg_has_video(l))
		report_on(l, &(struct way){v->line, v->rtp, v->rtcp, leg_port_send_video}, bye);
}
