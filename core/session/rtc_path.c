/*
 * session/rtc_path.c: ICE and DTLS of a connection on the listeners' sockets and on TCP
 * connections.
 *
 * ICE opens a path when authentic checks have passed along it; the path is then a flow, so that
 * later datagrams come here by one lookup, and to this worker whatever generation serves new ones.
 * Media goes to the selected path and is taken from any open one: peers need not agree on the pair
 * that they use. DTLS answers where it was asked, before a path is selected too.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>
#include <sluice/crypto.h>
#include <sluice/module.h>
#include "net/flow.h"

/* ---- paths */

static bool is_open(const struct rtc_path *path)
{
	return path && (path->flow || path->tcp);
}

static struct rtc_path *find_path(struct sl_rtc *c, const struct ice_path *ice)
{
	for (unsigned i = 0; i < RTC_MAX_PATHS; i++)
		if (is_open(c->paths[i]) && c->paths[i]->ice.via == ice->via &&
		    sl_addr_eq(&c->paths[i]->ice.remote, &ice->remote))
			return c->paths[i];
	return NULL;
}

static struct rtc_path *path_of_flow(struct sl_rtc *c, const struct sl_flow *f)
{
	for (unsigned i = 0; i < RTC_MAX_PATHS; i++)
		if (c->paths[i] && c->paths[i]->flow == f)
			return c->paths[i];
	return NULL;
}

static const struct sl_listener *listener_of(const struct sl_rtc *c, uint32_t via)
{
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(c->host->w, &listeners);

	return via < n ? listeners[via] : NULL;
}

static struct sl_udp *socket_of(const struct sl_rtc *c, uint32_t via)
{
	const struct sl_listener *l = listener_of(c, via);

	return l ? sl_listener_udp(c->host->w, l) : NULL;
}

static uint32_t via_of(const struct sl_rtc *c, const struct sl_packet *p)
{
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(c->host->w, &listeners);
	const struct sl_listener *l = sl_udp_listener(p->udp);
	unsigned i = 0;

	while (i < n && listeners[i] != l)
		i++;
	return i;
}

static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p);

/* A TCP connection is left to its client: a restart may use it again. */
static void shut(struct rtc_path *path)
{
	sl_flow_close(path->flow);
	path->flow = NULL;
	path->tcp = NULL;
}

/*
 * A NAT, or a host, may give a port to somebody new before the connection that it served is known
 * to be dead. The new one has proven to know our password; that the old one has been silent keeps
 * a forged source from taking a path that lives.
 */
static void take_over(const struct sl_rtc *c, struct sl_udp *u, const struct sl_addr *remote)
{
	struct sl_flow *f = flow_at(u, remote);
	struct sl_rtc *old = f && f->fn == on_flow ? f->arg : NULL;
	struct rtc_path *path = old && old != c ? path_of_flow(old, f) : NULL;

	if (!path || rtc_now_ms(c) - path->heard_ms < RTC_SILENT_MS)
		return;
	if (old->selected == path)
		old->selected = NULL;
	shut(path);
	rtc_count(c, RTC_taken_over);
}

static void open_flow(struct sl_rtc *c, struct rtc_path *path)
{
	struct sl_udp *u = socket_of(c, path->ice.via);

	path->heard_ms = rtc_now_ms(c);
	if (!u)
		return;
	take_over(c, u, &path->ice.remote);
	if (sl_flow_open(u, &path->ice.remote, c->session, on_flow, c, &path->flow) < 0)
		path->flow = NULL; /* tried again with the next check */
}

/* A client with more ways than places loses one that it does not use, the one opened first. NULL:
 * out of memory; the next check tries again. */
static struct rtc_path *need_place(struct sl_rtc *c)
{
	struct rtc_path *place;

	for (unsigned i = 0; i < RTC_MAX_PATHS; i++) {
		if (!c->paths[i])
			c->paths[i] = calloc(1, sizeof *c->paths[i]);
		if (!is_open(c->paths[i]))
			return c->paths[i];
	}
	do
		place = c->paths[c->next_victim++ % RTC_MAX_PATHS];
	while (place == c->selected);
	shut(place);
	return place;
}

static void open_path(struct sl_rtc *c, struct rtc_path *path, const struct ice_path *ice)
{
	path->ice = *ice;
	if (ice->tcp)
		path->tcp = rtc_tcp_find(c, ice->via);
	else
		open_flow(c, path);
}

static void on_path_open(void *ctx, const struct ice_path *ice)
{
	struct sl_rtc *c = ctx;
	struct rtc_path *place = c->closing || find_path(c, ice) ? NULL : need_place(c);

	if (place)
		open_path(c, place, ice);
}

static void on_path_close(void *ctx, const struct ice_path *ice)
{
	struct sl_rtc *c = ctx;
	struct rtc_path *path = find_path(c, ice);

	if (!path)
		return;
	if (c->selected == path)
		c->selected = NULL;
	shut(path);
}

static void on_selected(void *ctx, const struct ice_path *ice)
{
	struct sl_rtc *c = ctx;
	bool moved = c->selected != NULL;

	if (c->closing)
		return;
	if (!ice) {
		c->selected = NULL;
		return;
	}
	on_path_open(c, ice);
	c->selected = find_path(c, ice);
	/* Other workers find us by the tuple where no program steers. */
	if (sl_session_move(c->session, listener_of(c, ice->via), &ice->remote) < 0)
		sl_log(SL_LOG_DEBUG, "core", "the path's tuple is another session's");
	if (moved)
		bwe_path_changed(c->bwe, rtc_now_ns(c));
	if (c->dtls)
		sl_dtls_start(c->dtls, rtc_now_ms(c));
	rtc_touch(c);
}

/* ---- sending */

static void send_datagram(struct sl_rtc *c, const struct ice_path *ice, const uint8_t *data,
			  size_t len)
{
	struct sl_udp *u = socket_of(c, ice->via);
	struct sl_packet *p;

	if (!u || len > SL_PACKET_MAX)
		return;
	p = sl_packet_new(c->host->w);
	if (!p) {
		rtc_count(c, RTC_no_packet);
		return;
	}
	memcpy(p->data, data, len);
	p->len = (uint32_t)len;
	if (sl_udp_send_from(u, p, &ice->local, &ice->remote) < 0)
		rtc_count(c, RTC_no_packet); /* both repeat */
	sl_packet_unref(p);
}

static void send_bytes(struct sl_rtc *c, const struct ice_path *ice, const uint8_t *data,
		       size_t len)
{
	struct rtc_tcp *t = ice->tcp ? rtc_tcp_find(c, ice->via) : NULL;

	if (t)
		rtc_tcp_send(t, data, len);
	else if (!ice->tcp)
		send_datagram(c, ice, data, len);
}

static void on_ice_send(void *ctx, const struct ice_path *ice, const uint8_t *data, size_t len)
{
	send_bytes(ctx, ice, data, len);
}

void rtc_path_send(struct sl_rtc *c, struct sl_packet *p)
{
	struct rtc_path *to = c->selected;

	if (to && to->tcp)
		rtc_tcp_send(to->tcp, p->data, p->len);
	else if (to && sl_flow_send(to->flow, p) < 0)
		rtc_count(c, RTC_no_packet);
}

/* ---- state: connected is a path and keys */

static void update_state(struct sl_rtc *c, const char *why)
{
	switch (ice_get_state(c->ice)) {
	case ICE_FAILED:
		rtc_set_state(c, SL_RTC_FAILED, why);
		break;
	case ICE_DISCONNECTED:
		rtc_set_state(c, SL_RTC_DISCONNECTED, why);
		break;
	case ICE_CONNECTED:
		if (c->out)
			rtc_set_state(c, SL_RTC_CONNECTED, why);
		break;
	case ICE_CHECKING:
		if (c->state == SL_RTC_NEW || c->state == SL_RTC_FAILED)
			rtc_set_state(c, SL_RTC_CONNECTING, why);
		break;
	default:
		break;
	}
}

static void on_ice_state(void *ctx, enum ice_state state, const char *why)
{
	struct sl_rtc *c = ctx;

	(void)state;
	if (!c->closing)
		update_state(c, why);
}

const struct ice_io rtc_ice_io = {
	.send = on_ice_send,
	.path_open = on_path_open,
	.path_close = on_path_close,
	.selected = on_selected,
	.state = on_ice_state,
};

/* ---- DTLS */

static const struct ice_path *dtls_path(struct sl_rtc *c)
{
	if (c->selected)
		return &c->selected->ice;
	for (unsigned i = 0; i < RTC_MAX_PATHS; i++)
		if (is_open(c->paths[i]))
			return &c->paths[i]->ice;
	return NULL;
}

static void on_dtls_send(void *arg, const uint8_t *data, size_t len)
{
	struct sl_rtc *c = arg;
	const struct ice_path *path = dtls_path(c);

	if (path)
		send_bytes(c, path, data, len);
}

static void on_dtls_data(void *arg, const uint8_t *data, size_t len)
{
	struct sl_rtc *c = arg;

	if (!c->closing)
		rtc_data_input(c, data, len);
}

static const struct sl_dtls_io dtls_io = {.send = on_dtls_send, .data = on_dtls_data};

static void copy_keys(struct srtp_key *dst, const uint8_t *key, size_t key_len, const uint8_t *salt,
		      size_t salt_len)
{
	*dst = (struct srtp_key){0};
	memcpy(dst->key, key, key_len);
	memcpy(dst->salt, salt, salt_len);
}

static int take_keys(struct sl_rtc *c)
{
	struct sl_srtp_keys k;
	struct srtp_key ours, theirs;
	int rc = sl_dtls_srtp_keys(c->dtls, &k);

	if (rc < 0)
		return rc;
	copy_keys(&ours, k.local_key, k.key_len, k.local_salt, k.salt_len);
	copy_keys(&theirs, k.remote_key, k.key_len, k.remote_salt, k.salt_len);
	rc = srtp_in_new(&c->in, k.profile, &theirs);
	if (rc == 0)
		rc = srtp_out_new(&c->out, k.profile, &ours);
	sl_wipe(&k, sizeof k);
	sl_wipe(&ours, sizeof ours);
	sl_wipe(&theirs, sizeof theirs);
	return rc;
}

static void secured(struct sl_rtc *c)
{
	int rc = take_keys(c);

	if (rc < 0 && !c->data_wanted) {
		rtc_count(c, RTC_dtls_refused);
		rtc_set_state(c, SL_RTC_CLOSED, "no SRTP profile in common");
		return;
	}
	if (c->data_wanted && c->sctp_remote_port)
		(void)rtc_data_open(c); /* media does without */
	else
		(void)sl_dtls_slim(c->dtls); /* what it cannot give back stays */
	rtc_turns_over(c->host);
	update_state(c, "secured");
}

static void dtls_moved(struct sl_rtc *c, enum sl_dtls_state state)
{
	if (c->closing)
		return;
	if (state == SL_DTLS_OPEN && !c->in && !c->sctp) {
		secured(c);
	} else if (state == SL_DTLS_FAILED && c->state != SL_RTC_CLOSED) {
		rtc_count(c, RTC_dtls_refused);
		rtc_set_state(c, SL_RTC_CLOSED, sl_dtls_reason(c->dtls));
	} else if (state == SL_DTLS_CLOSED) {
		rtc_set_state(c, SL_RTC_CLOSED, "the peer said goodbye");
	}
}

void rtc_path_dtls(struct sl_rtc *c, struct sl_packet *p)
{
	if (c->dtls)
		dtls_moved(c, sl_dtls_input(c->dtls, p->data, p->len, rtc_now_ms(c)));
	rtc_touch(c);
}

/*
 * Offering we say actpass, and the answer decides; answering we say passive where we may, since the
 * peer knows first when its path works. Either way (RFC 5763 section 5):
 */
static bool we_are_active(const struct jsep_transport *remote)
{
	return strcmp(remote->setup, "passive") == 0;
}

int rtc_path_secure(struct sl_rtc *c, const struct jsep_transport *remote)
{
	struct sl_str fingerprint = sl_str_c(remote->fingerprint), hash;
	struct sl_dtls_opts o = {.io = &dtls_io, .arg = c};
	int rc;

	if (c->dtls && c->fingerprint == rtc_hash(remote->fingerprint))
		return 0;
	if (c->dtls) /* another certificate is another connection */
		return -SL_EEXIST;
	hash = sl_str_split(&fingerprint, ' '); /* fingerprint is the rest */
	o.hash = hash;
	o.fingerprint = fingerprint;
	o.role = we_are_active(remote) ? SL_DTLS_ACTIVE : SL_DTLS_PASSIVE;
	rc = sl_dtls_new(c->host->dtls, &o, rtc_now_ms(c), &c->dtls);
	if (rc < 0)
		return rc;
	c->dtls_role = o.role;
	c->fingerprint = rtc_hash(remote->fingerprint);
	return 0;
}

/* ---- what arrives */

struct ice_path rtc_path_of(const struct sl_rtc *c, const struct sl_packet *p)
{
	return (struct ice_path){.local = *p->local, .remote = p->from, .via = via_of(c, p)};
}

/* A path without a flow: another connection had its address, or has taken it. */
static void mend(struct sl_rtc *c, const struct ice_path *path)
{
	const struct ice_path *selected = ice_selected(c->ice);

	if (selected && selected->via == path->via && sl_addr_eq(&selected->remote, &path->remote))
		on_selected(c, selected);
	else
		on_path_open(c, path);
}

int rtc_path_check(struct sl_rtc *c, const struct ice_path *path, const struct sl_stun_msg *msg)
{
	int rc = ice_input(c->ice, path, msg, rtc_now_ms(c));
	struct rtc_path *known = find_path(c, path);

	if (rc == SL_DROP)
		rtc_count(c, RTC_checks_refused);
	else if (known)
		known->heard_ms = rtc_now_ms(c);
	else if (ice_may_receive(c->ice, path, rtc_now_ms(c)))
		mend(c, path);
	rtc_touch(c);
	return rc;
}

static int recv_stun(struct sl_rtc *c, const struct ice_path *path, struct sl_packet *p)
{
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, p->data, p->len) < 0)
		return SL_DROP;
	/* By its name a request may be another connection's, whose peer now has this address. */
	if (msg.method != SL_STUN_BINDING ||
	    (msg.class_ == SL_STUN_REQUEST && !ice_is_for(c->ice, &msg)))
		return SL_DECLINED;
	(void)rtc_path_check(c, path, &msg);
	return SL_DONE;
}

int rtc_path_input(struct sl_rtc *c, const struct ice_path *path, struct sl_packet *p)
{
	if (c->closing)
		return SL_DROP;
	if (p->demux == SL_DEMUX_STUN)
		return recv_stun(c, path, p);
	if (!ice_may_receive(c->ice, path, rtc_now_ms(c))) {
		rtc_count(c, RTC_unvalidated);
		return SL_DROP;
	}
	c->session->stats->last_receive_ms = rtc_now_ms(c);
	if (p->demux == SL_DEMUX_RTP)
		rtc_recv_rtp(c, p);
	else if (p->demux == SL_DEMUX_RTCP)
		rtc_recv_rtcp(c, p);
	else if (p->demux == SL_DEMUX_DTLS)
		rtc_turns_take(c, p);
	else
		return SL_DECLINED;
	return SL_OK;
}

static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	struct sl_rtc *c = arg;
	struct rtc_path *path = path_of_flow(c, f);
	struct ice_path way;

	if (!path)
		return SL_DROP;
	if (p->demux != SL_DEMUX_STUN)
		path->heard_ms = rtc_now_ms(c);
	/* A check came to this address of ours, which may be another than the flow's. */
	way = p->demux == SL_DEMUX_STUN ? rtc_path_of(c, p) : path->ice;
	return rtc_path_input(c, &way, p);
}

/* ---- time, end */

/* Nothing may send there any more, even where ICE is not told because all is closing. */
void rtc_path_lost(struct sl_rtc *c, const struct rtc_tcp *t, uint32_t via)
{
	if (!c->closing)
		ice_base_gone(c->ice, via, rtc_now_ms(c));
	for (unsigned i = 0; i < RTC_MAX_PATHS; i++) {
		if (!c->paths[i] || c->paths[i]->tcp != t)
			continue;
		if (c->selected == c->paths[i])
			c->selected = NULL;
		shut(c->paths[i]);
	}
	rtc_touch(c);
}

void rtc_path_tick(struct sl_rtc *c)
{
	uint64_t now = rtc_now_ms(c);

	(void)ice_tick(c->ice, now);
	if (!c->closing && c->dtls && sl_dtls_timeout_ms(c->dtls) <= now)
		dtls_moved(c, sl_dtls_tick(c->dtls, now));
}

uint64_t rtc_path_next_ms(const struct sl_rtc *c)
{
	uint64_t due = ice_next_ms(c->ice), other;

	other = c->dtls ? sl_dtls_timeout_ms(c->dtls) : UINT64_MAX;
	return other < due ? other : due;
}

void rtc_path_close(struct sl_rtc *c)
{
	rtc_turns_forget(c);
	for (unsigned i = 0; i < RTC_MAX_PATHS; i++) {
		if (c->paths[i])
			shut(c->paths[i]);
		free(c->paths[i]);
		c->paths[i] = NULL;
	}
	rtc_tcp_close(c);
	c->selected = NULL;
	sl_dtls_free(c->dtls);
	c->dtls = NULL;
	srtp_in_free(c->in);
	srtp_out_free(c->out);
	c->in = NULL;
	c->out = NULL;
}
