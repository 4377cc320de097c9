/*
 * session/rtc_host.c: what a worker's WebRTC connections have in common: the directives, the
 * generation's certificate, the addresses that candidates are made of, and the table by which a
 * first connectivity check finds its connection.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>
#include "os/os.h"

static const char *const ice_names[] = {"full", "lite", NULL};

const struct sl_directive rtc_directives[] = {
	SL_FIELD(struct webrtc_block, listeners, SL_T_STR, .list = true,
		 .doc = "Names of the listeners that WebRTC clients are told, UDP and TCP; unset: "
			"all."),
	SL_FIELD(struct webrtc_block, external, SL_T_ADDR, .list = true, .max = 2,
		 .doc = "Public addresses, one per family, of a host behind 1:1 NAT: candidates "
			"name them instead of the host's own."),
	SL_FIELD(struct webrtc_block, ice, SL_T_ENUM, .names = ice_names, .dflt = "full",
		 .doc = "full sends connectivity checks of its own; lite only answers (RFC 8445 "
			"section 2.5), for hosts that everybody can reach."),
	SL_FIELD(struct webrtc_block, max_bitrate, SL_T_INT, .dflt = "20000", .min = 50,
		 .max = 1000000, .doc = "kbit/s to one client, at most."),
	SL_FIELD(struct webrtc_block, start_bitrate, SL_T_INT, .dflt = "800", .min = 30,
		 .max = 100000, .doc = "kbit/s to a client whose way is not measured yet."),
	SL_FIELD(struct webrtc_block, max_connections, SL_T_INT, .dflt = "0", .min = 0,
		 .max = 1000000, .doc = "Connections of one worker; 0: no limit."),
	SL_DIRS_END};

#define COUNTER SL_M_COUNTER
#define GAUGE SL_M_GAUGE
const struct sl_metric rtc_metrics[] = {
#define X(n, k, h) {.name = #n, .kind = k, .help = h},
	RTC_METERS(X)
#undef X
		SL_METRICS_END};

/* ---- where we can be reached */

static bool is_offered(const struct webrtc_block *conf, const struct sl_listener *l)
{
	for (size_t i = 0; i < conf->listeners.n; i++)
		if (sl_str_eq(*SL_LIST_AT(conf->listeners, struct sl_str, i), sl_str_c(l->name)))
			return true;
	return conf->listeners.n == 0;
}

static struct sl_addr as_told(const struct webrtc_block *conf, const struct sl_addr *addr)
{
	struct sl_addr told = *addr;

	for (size_t i = 0; i < conf->external.n; i++) {
		const struct sl_addr *e = SL_LIST_AT(conf->external, struct sl_addr, i);

		if (e->family != addr->family || sl_addr_classify(addr) == SL_ADDR_LOOPBACK)
			continue;
		told = *e;
		told.port = addr->port;
		told.scope = 0;
	}
	return told;
}

static void add_base(struct rtc_host *h, const struct sl_addr *addr, unsigned via, bool tcp)
{
	if (sl_addr_classify(addr) == SL_ADDR_LINK_LOCAL || h->n_bases == ICE_MAX_LOCAL)
		return;
	h->bases[h->n_bases++] = (struct rtc_base){
		.addr = *addr, .told = as_told(h->conf, addr), .via = via, .tcp = tcp};
}

/* A wildcard is every address of its family. */
static void add_wildcard(struct rtc_host *h, const struct sl_addr *any, unsigned via, bool tcp)
{
	struct sl_addr addrs[64];
	unsigned n = 0;

	if (sock_host_addrs(addrs, SL_ARRAY_LEN(addrs), &n) < 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		addrs[i].port = any->port;
		if (addrs[i].family == any->family)
			add_base(h, &addrs[i], via, tcp);
	}
}

/* Loopback helps only who is on this host, and such a client reaches every other address too: it is
 * told when there is nothing else. */
static void drop_loopback(struct rtc_host *h, unsigned first)
{
	unsigned n = first;

	for (unsigned i = first; i < h->n_bases; i++)
		if (sl_addr_classify(&h->bases[i].addr) != SL_ADDR_LOOPBACK)
			h->bases[n++] = h->bases[i];
	if (n > first)
		h->n_bases = n;
}

static struct sl_addr bound_to(const struct rtc_host *h, const struct sl_listener *l)
{
	return l->udp ? *sl_udp_local(sl_listener_udp(h->w, l)) : l->local;
}

static void find_bases(struct rtc_host *h, bool tcp)
{
	unsigned first = h->n_bases;
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(h->w, &listeners);

	for (unsigned i = 0; i < n; i++) {
		struct sl_addr local;

		if (listeners[i]->udp == tcp || !is_offered(h->conf, listeners[i]))
			continue;
		local = bound_to(h, listeners[i]);
		if (sl_addr_classify(&local) == SL_ADDR_UNSPECIFIED)
			add_wildcard(h, &local, i, tcp);
		else
			add_base(h, &local, i, tcp);
	}
	drop_loopback(h, first);
}

static void add_port(struct rtc_host *h, uint16_t port)
{
	unsigned i = 0;

	while (i < SL_RTC_PORTS && h->ports[i] != 0 && h->ports[i] != port)
		i++;
	if (i < SL_RTC_PORTS)
		h->ports[i] = port;
}

static void load_libraries(void)
{
	const struct srtp_key none = {0};
	struct srtp_in *in = NULL;
	struct srtp_out *out = NULL;

	if (srtp_in_new(&in, SL_SRTP_AES128_CM_SHA1_80, &none) == 0)
		srtp_in_free(in);
	if (srtp_out_new(&out, SL_SRTP_AEAD_AES_128_GCM, &none) == 0)
		srtp_out_free(out);
}

/* What cannot be made now is tried again, and complained of, by the first connection. */
void sl_rtc_use(struct sl_worker *w)
{
	struct rtc_host *h = w->rtc;

	if (!h || h->n_bases == 0)
		return;
	if (!h->dtls && sl_dtls_ctx_new(SL_DTLS_SRTP, &h->dtls) < 0)
		h->dtls = NULL;
	load_libraries();
	for (unsigned i = 0; i < h->n_bases; i++)
		if (!h->bases[i].tcp)
			add_port(h, h->bases[i].told.port);
}

const uint16_t *sl_rtc_ports(const struct sl_worker *w)
{
	const struct rtc_host *h = w->rtc;

	return h ? h->ports : NULL;
}

/* ---- life */

int rtc_host_open(struct sl_worker *w, const struct webrtc_block *conf,
		  const struct sl_meter *meters, struct rtc_host **ret_host)
{
	struct rtc_host *h = calloc(1, sizeof *h);

	if (!h)
		return -SL_ENOMEM;
	h->w = w;
	h->conf = conf;
	h->meters = meters;
	h->reap = (struct sl_post){.fn = rtc_reap, .arg = h};
	h->paced = sl_slab_new(sizeof(struct rtc_paced), 64);
	if (!h->paced || rtc_turns_open(h) < 0) {
		sl_slab_destroy(h->paced);
		free(h);
		return -SL_ENOMEM;
	}
	find_bases(h, false);
	find_bases(h, true); /* UDP comes first where there is room for few */
	if (rtc_tcp_open(h) < 0) {
		rtc_host_close(h);
		return -SL_ENOMEM;
	}
	*ret_host = h;
	return 0;
}

void rtc_host_close(struct rtc_host *h)
{
	if (!h)
		return;
	while (h->first)
		sl_rtc_close(h->first, "stopped");
	sl_post_cancel(h->w->loop, &h->reap);
	rtc_reap(&h->reap);
	rtc_tcp_stop(h);
	rtc_turns_close(h);
	sctp_stop();
	sl_dtls_ctx_free(h->dtls);
	sl_htab_free(&h->by_ufrag);
	sl_slab_destroy(h->paced);
	free(h);
}

/* ---- the way of a first check */

static bool has_ufrag(const struct sl_hnode *node, const void *key)
{
	const struct rtc_ufrag *u = SL_CONTAINER(node, const struct rtc_ufrag, node);

	return sl_str_eq(sl_str_c(u->text), *(const struct sl_str *)key);
}

struct sl_rtc *rtc_host_find(const struct rtc_host *h, struct sl_str ufrag)
{
	const struct sl_hnode *node =
		sl_htab_find(&h->by_ufrag, sl_hash(ufrag.p, ufrag.len), has_ufrag, &ufrag);

	return node ? SL_CONTAINER(node, const struct rtc_ufrag, node)->c : NULL;
}

int rtc_host_check(void *host, struct sl_packet *p)
{
	struct rtc_host *h = host;
	struct sl_stun_msg msg;
	struct sl_str name;
	struct ice_path path;
	struct sl_rtc *c;

	if (h->by_ufrag.count == 0 || sl_stun_parse(&msg, p->data, p->len) < 0 ||
	    msg.method != SL_STUN_BINDING)
		return SL_DECLINED;
	name = sl_stun_find_str(&msg, SL_STUN_USERNAME);
	c = rtc_host_find(h, sl_str_split(&name, ':'));
	if (!c)
		return SL_DECLINED;
	path = rtc_path_of(c, p);
	(void)rtc_path_check(c, &path, &msg);
	return SL_DONE;
}
