/*
 * proto/turn_peer.c: with whom an allocation may talk: peer policy, permissions, channels, and the
 * data path over them.
 *
 * Permissions are per IP, channels per transport address (RFC 8656 sections 9, 12); both sit in
 * tables of the engine, keyed by allocation. An allocation also points at up to four of its
 * channels, which is all that most clients ever bind: their packets are matched without hashing. A
 * channel holds the permission of its peer, so that a packet from a peer needs one lookup; an
 * expired permission row stays while channels hold it. Expiry is judged at use; rows are removed
 * later, by turn_peers_sweep.
 *
 * Called by turn_request.c for requests and by the owner of the sockets for each packet, who does
 * the sending.
 */
#include "proto/turn_impl.h"

#include <sluice/buf.h>

enum { CHANNEL_HEADER = 4, ATTR_HEADER = 4 };

/* ---- peer policy */

static bool in_cidrs(const struct sl_cidr *cidrs, unsigned n, const struct sl_addr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (sl_cidr_has(&cidrs[i], a))
			return true;
	return false;
}

static bool is_own(const struct sl_turn_conf *conf, const struct sl_addr *a)
{
	for (unsigned i = 0; i < conf->n_own; i++)
		if (sl_addr_same_ip(&conf->own[i], a))
			return true;
	return false;
}

static bool allowed(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	return in_cidrs(a->realm->peers.allow, a->realm->peers.n_allow, peer);
}

static bool denied(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	return in_cidrs(a->realm->peers.deny, a->realm->peers.n_deny, peer);
}

/*
 * Where clouds keep what a machine may know and nobody else: keys of its role, secrets of its
 * start. Some lie in blocks that operators have reason to allow (RFC 6598, unique local), so that
 * only an entry for the very address opens them.
 */
static const struct sl_addr metadata[] = {
	{.family = 4, .ip = {169, 254, 169, 254}}, /* nearly all */
	{.family = 4, .ip = {169, 254, 170, 2}},   /* credentials of containers */
	{.family = 4, .ip = {100, 100, 100, 200}},
	{.family = 4, .ip = {168, 63, 129, 16}},
	{.family = 4, .ip = {192, 0, 0, 192}},
	{.family = 6, .ip = {0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54}},
	{.family = 6, .ip = {0xfd, 0, 0x0e, 0xc2, [15] = 0x23}},
	{.family = 6, .ip = {0xfd, 0x20, 0, 0xce, [14] = 2, [15] = 0x54}},
};

static bool is_metadata(const struct sl_addr *a)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(metadata); i++)
		if (sl_addr_same_ip(&metadata[i], a))
			return true;
	return false;
}

static bool allowed_by_itself(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	const struct sl_turn_peers *peers = &a->realm->peers;

	for (unsigned i = 0; i < peers->n_allow; i++)
		if (peers->allow[i].bits == (peer->family == 4 ? 32 : 128) &&
		    sl_cidr_has(&peers->allow[i], peer))
			return true;
	return false;
}

/* An address of this node that only its relays make interesting. */
static bool only_relays(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	return is_own(a->turn->conf, peer) && !allowed(a, peer);
}

static bool is_media_port(const struct sl_turn_conf *conf, uint16_t port)
{
	for (unsigned i = 0; conf->own_media && i < SL_TURN_OWN_MEDIA; i++)
		if (conf->own_media[i] == port)
			return port > 0;
	return false;
}

static bool is_relay_port(const struct sl_turn_conf *conf, uint16_t port)
{
	return (port >= conf->own_ports_lo && port <= conf->own_ports_hi) ||
	       is_media_port(conf, port);
}

bool turn_may_be_own_relay(const struct sl_turn_conf *conf, const struct sl_addr *a)
{
	return is_own(conf, a) && sl_addr_classify(a) != SL_ADDR_LOOPBACK &&
	       a->port >= conf->own_ports_lo && a->port <= conf->own_ports_hi;
}

/* 0, 403 or 443. The port is judged later, with each packet's permission, or here for a channel. */
unsigned turn_peer_check(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	const struct sl_turn_conf *conf = a->turn->conf;

	if (!sl_turn_alloc_relayed(a, peer->family))
		return 443;
	if (is_metadata(peer))
		return allowed_by_itself(a, peer) ? 0 : 403;
	if (allowed(a, peer))
		return 0;
	if (is_own(conf, peer))
		return conf->own_ports_hi == 0 || sl_addr_classify(peer) == SL_ADDR_LOOPBACK ? 403
											     : 0;
	return denied(a, peer) ? 403 : 0;
}

unsigned turn_channel_peer_check(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	unsigned code = turn_peer_check(a, peer);

	if (code == 0 && only_relays(a, peer) && !is_relay_port(a->turn->conf, peer->port))
		code = 403;
	return code;
}

/* ---- permissions */

/* What the tables are keyed by: an allocation, and a peer's IP or transport address. */
struct peer_key {
	const struct sl_turn_alloc *owner;
	struct sl_addr addr;
};

static struct peer_key ip_key(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	struct peer_key key = {.owner = a, .addr = *peer};

	key.addr.port = 0;
	return key;
}

static bool is_perm(const struct sl_hnode *node, const void *arg)
{
	const struct turn_perm *p = SL_CONTAINER(node, struct turn_perm, node);
	const struct peer_key *key = arg;

	return p->owner == key->owner && sl_addr_eq(&p->ip, &key->addr);
}

struct turn_perm *turn_perm_find(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	const struct peer_key key = ip_key(a, peer);
	struct sl_hnode *node =
		sl_htab_find(&a->turn->perms, sl_hash(&key, sizeof key), is_perm, &key);

	return node ? SL_CONTAINER(node, struct turn_perm, node) : NULL;
}

bool turn_perm_covers(const struct turn_perm *p, uint16_t port, uint64_t now_ms)
{
	if (!p || p->expires_ms <= now_ms)
		return false;
	return !p->relays_only || is_relay_port(p->owner->turn->conf, port);
}

static int perm_new(struct sl_turn_alloc *a, const struct sl_addr *peer,
		    struct turn_perm **ret_perm)
{
	const struct peer_key key = ip_key(a, peer);
	struct turn_perm *p;

	if (!turn_may_permit(a, 1))
		return -SL_ELIMIT;
	p = sl_slab_get(a->turn->perm_slab);
	if (!p)
		return -SL_ENOMEM;
	p->owner = a;
	p->ip = key.addr;
	p->relays_only = only_relays(a, peer);
	if (sl_htab_insert(&a->turn->perms, &p->node, sl_hash(&key, sizeof key)) < 0) {
		sl_slab_put(a->turn->perm_slab, p);
		return -SL_ENOMEM;
	}
	p->next = a->perms;
	a->perms = p;
	turn_count_perm(a, 1);
	*ret_perm = p;
	return 0;
}

int turn_perm_install(struct sl_turn_alloc *a, const struct sl_addr *peer, uint64_t now_ms,
		      struct turn_perm **ret_perm)
{
	struct turn_perm *p = turn_perm_find(a, peer);
	int err;

	if (!p) {
		err = perm_new(a, peer, &p);
		if (err < 0)
			return err;
	}
	p->expires_ms = now_ms + a->turn->conf->permission_lifetime_s * UINT64_C(1000);
	if (p->n_channels > 0)
		turn_channels_retimed(a);
	turn_alloc_wake_by(a, p->expires_ms);
	a->turn->counters.permissions++;
	*ret_perm = p;
	return 0;
}

static void perm_free(struct turn_perm *p)
{
	struct sl_turn *t = p->owner->turn;

	turn_count_perm(p->owner, -1);
	sl_htab_remove(&t->perms, &p->node);
	sl_slab_put(t->perm_slab, p);
}

/* ---- channels */

static uint64_t number_hash(const struct sl_turn_alloc *a, uint16_t number)
{
	const uint64_t key[2] = {(uintptr_t)a, number};

	return sl_hash(key, sizeof key);
}

struct number_key {
	const struct sl_turn_alloc *owner;
	uint16_t number;
};

static bool has_number(const struct sl_hnode *node, const void *arg)
{
	const struct turn_channel *c = SL_CONTAINER(node, struct turn_channel, by_number);
	const struct number_key *key = arg;

	return c->owner == key->owner && c->number == key->number;
}

static bool has_peer(const struct sl_hnode *node, const void *arg)
{
	const struct turn_channel *c = SL_CONTAINER(node, struct turn_channel, by_peer);
	const struct peer_key *key = arg;

	return c->owner == key->owner && sl_addr_eq(&c->peer, &key->addr);
}

/* Makes a channel hot: in a free place, or in that of a random other. */
static void channel_warm(struct sl_turn_alloc *a, struct turn_channel *c)
{
	for (int i = 0; i < TURN_HOT_CHANNELS; i++)
		if (!a->hot[i]) {
			a->hot[i] = c;
			a->n_cold--;
			return;
		}
	a->hot[c->number % TURN_HOT_CHANNELS] = c;
}

static struct turn_channel *cold_by_number(struct sl_turn_alloc *a, uint16_t number)
{
	const struct number_key key = {a, number};
	struct turn_channel *c;
	struct sl_hnode *node;

	node = sl_htab_find(&a->turn->by_number, number_hash(a, number), has_number, &key);
	if (!node)
		return NULL;
	c = SL_CONTAINER(node, struct turn_channel, by_number);
	channel_warm(a, c);
	return c;
}

static struct turn_channel *cold_by_peer(struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	const struct peer_key key = {a, *peer};
	struct turn_channel *c;
	struct sl_hnode *node;

	node = sl_htab_find(&a->turn->by_peer, sl_hash(&key, sizeof key), has_peer, &key);
	if (!node)
		return NULL;
	c = SL_CONTAINER(node, struct turn_channel, by_peer);
	channel_warm(a, c);
	return c;
}

/* Expired channels are found too: the caller looks at expires_ms. */
struct turn_channel *turn_channel_by_number(struct sl_turn_alloc *a, uint16_t number)
{
	for (int i = 0; i < TURN_HOT_CHANNELS; i++)
		if (a->hot[i] && a->hot[i]->number == number)
			return a->hot[i];
	return a->n_cold > 0 ? cold_by_number(a, number) : NULL;
}

struct turn_channel *turn_channel_by_peer(struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	for (int i = 0; i < TURN_HOT_CHANNELS; i++)
		if (a->hot[i] && sl_addr_eq(&a->hot[i]->peer, peer))
			return a->hot[i];
	return a->n_cold > 0 ? cold_by_peer(a, peer) : NULL;
}

static int channel_index(struct turn_channel *c)
{
	struct sl_turn *t = c->owner->turn;
	const struct peer_key key = {c->owner, c->peer};
	int err;

	err = sl_htab_insert(&t->by_number, &c->by_number, number_hash(c->owner, c->number));
	if (err < 0)
		return err;
	err = sl_htab_insert(&t->by_peer, &c->by_peer, sl_hash(&key, sizeof key));
	if (err < 0)
		sl_htab_remove(&t->by_number, &c->by_number);
	return err;
}

static int channel_new(struct sl_turn_alloc *a, uint16_t number, const struct sl_addr *peer,
		       struct turn_channel **ret_channel)
{
	struct turn_channel *c = sl_slab_get(a->turn->channel_slab);

	if (!c)
		return -SL_ENOMEM;
	c->owner = a;
	c->number = number;
	c->peer = *peer;
	if (channel_index(c) < 0) {
		sl_slab_put(a->turn->channel_slab, c);
		return -SL_ENOMEM;
	}
	c->next = a->channels;
	a->channels = c;
	turn_count_channel(a, 1);
	a->n_cold++;
	channel_warm(a, c);
	*ret_channel = c;
	return 0;
}

/* Binds or refreshes; number and peer do not contradict a live channel. Installs the permission as
 * well (section 12.2). */
int turn_channel_install(struct sl_turn_alloc *a, uint16_t number, const struct sl_addr *peer,
			 uint64_t now_ms)
{
	struct turn_channel *c = turn_channel_by_number(a, number);
	struct turn_perm *perm;
	int err;

	if (!c && !turn_may_bind(a))
		return -SL_ELIMIT;
	err = turn_perm_install(a, peer, now_ms, &perm);
	if (err < 0)
		return err;
	if (!c) {
		err = channel_new(a, number, peer, &c);
		if (err < 0)
			return err;
		c->perm = perm;
		perm->n_channels++;
	}
	c->expires_ms = now_ms + a->turn->conf->channel_lifetime_s * UINT64_C(1000);
	turn_alloc_wake_by(a, c->expires_ms);
	turn_channel_retimed(c);
	a->turn->counters.channels++;
	return 0;
}

static void channel_cool(struct turn_channel *c)
{
	struct sl_turn_alloc *a = c->owner;

	for (int i = 0; i < TURN_HOT_CHANNELS; i++)
		if (a->hot[i] == c) {
			a->hot[i] = NULL;
			return;
		}
	a->n_cold--;
}

static void channel_free(struct turn_channel *c)
{
	struct sl_turn *t = c->owner->turn;

	turn_channel_unbound(c);
	channel_cool(c);
	c->perm->n_channels--;
	turn_count_channel(c->owner, -1);
	sl_htab_remove(&t->by_number, &c->by_number);
	sl_htab_remove(&t->by_peer, &c->by_peer);
	sl_slab_put(t->channel_slab, c);
}

/* ---- expiry */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Channels first: they hold permissions. */
uint64_t turn_peers_sweep(struct sl_turn_alloc *a, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;

	for (struct turn_channel **link = &a->channels, *c; (c = *link);) {
		if (c->expires_ms > now_ms) {
			next = earlier(next, c->expires_ms);
			link = &c->next;
		} else {
			*link = c->next;
			channel_free(c);
		}
	}
	for (struct turn_perm **link = &a->perms, *p; (p = *link);) {
		if (p->expires_ms > now_ms || p->n_channels > 0) {
			if (p->expires_ms > now_ms)
				next = earlier(next, p->expires_ms);
			link = &p->next;
		} else {
			*link = p->next;
			perm_free(p);
		}
	}
	return next;
}

void turn_peers_drop(struct sl_turn_alloc *a)
{
	(void)turn_peers_sweep(a, UINT64_MAX); /* all is expired, nothing comes next */
}

/* ---- another policy */

static void channels_revoke(struct sl_turn_alloc *a)
{
	for (struct turn_channel **link = &a->channels, *c; (c = *link);) {
		if (turn_channel_peer_check(a, &c->peer) == 0) {
			link = &c->next;
		} else {
			*link = c->next;
			channel_free(c);
		}
	}
}

/* After the channels: those whose peers are permitted are left, and hold what is permitted. */
static void perms_revoke(struct sl_turn_alloc *a)
{
	for (struct turn_perm **link = &a->perms, *p; (p = *link);) {
		if (p->n_channels > 0 || turn_peer_check(a, &p->ip) == 0) {
			p->relays_only = only_relays(a, &p->ip);
			link = &p->next;
		} else {
			*link = p->next;
			a->turn->counters.permissions_revoked++;
			perm_free(p);
		}
	}
}

void turn_peers_revoke(struct sl_turn_alloc *a)
{
	channels_revoke(a);
	perms_revoke(a);
}

/* ---- data path */

static void count_to_peer(struct sl_turn *t, size_t len)
{
	t->counters.to_peer_packets++;
	t->counters.to_peer_bytes += len;
}

const struct sl_addr *sl_turn_channel_out(struct sl_turn_alloc *a, const uint8_t *data, size_t len,
					  uint64_t now_ms, size_t *ret_len)
{
	struct turn_channel *c;
	size_t payload;

	if (len < CHANNEL_HEADER || (payload = sl_get16(data + 2)) > len - CHANNEL_HEADER) {
		a->turn->counters.bad_requests++;
		return NULL;
	}
	c = turn_channel_by_number(a, sl_get16(data));
	if (!c || c->expires_ms <= now_ms) {
		a->turn->counters.no_permission++;
		return NULL;
	}
	if (a->shaped && !turn_has_rate_left(a, TURN_TO_PEER, payload, now_ms))
		return NULL;
	count_to_peer(a->turn, payload);
	turn_channel_busy(c, true);
	*ret_len = payload;
	return &c->peer;
}

/* A channel speaks only while its permission lives (section 12.7 with section 9). */
int sl_turn_peer_in(struct sl_turn_alloc *a, const struct sl_addr *peer, size_t len,
		    uint64_t now_ms)
{
	struct turn_channel *c = turn_channel_by_peer(a, peer);
	const struct turn_perm *p = c ? c->perm : turn_perm_find(a, peer);

	if (!turn_perm_covers(p, peer->port, now_ms)) {
		a->turn->counters.no_permission++;
		return -SL_EDENIED;
	}
	if (a->shaped && !turn_has_rate_left(a, TURN_TO_CLIENT, len, now_ms))
		return -SL_EDENIED;
	a->turn->counters.to_client_packets++;
	a->turn->counters.to_client_bytes += len;
	if (!c || c->expires_ms <= now_ms)
		return 0;
	turn_channel_busy(c, false);
	return c->number;
}

size_t sl_turn_data_header(uint8_t dst[64], const struct sl_addr *peer, size_t len,
			   const uint8_t txid[12])
{
	struct sl_stun_writer w;

	sl_stun_begin(&w, dst, 64, SL_STUN_INDICATION, SL_TURN_DATA, txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, peer);
	sl_put16(dst + w.len, SL_TURN_DATA_ATTR);
	sl_put16(dst + w.len + 2, (uint16_t)len);
	w.len += ATTR_HEADER;
	sl_put16(dst + 2, (uint16_t)(w.len - SL_STUN_HEADER + ((len + 3) & ~(size_t)3)));
	return w.len;
}

/* ---- ICMP errors (section 11.5) */

/* Unreachable, time exceeded; too big is a code of the first in IPv4 and a type in IPv6. */
static bool is_told(uint8_t family, uint8_t type)
{
	if (family == 4)
		return type == 3 || type == 11;
	return type >= 1 && type <= 3;
}

static bool is_too_big(uint8_t family, const struct sl_turn_icmp *icmp)
{
	return family == 4 ? icmp->type == 3 && icmp->code == 4 : icmp->type == 2;
}

/* Type and code share 16 bits, of which the type has seven (section 18.13). The transaction id is
 * the time: nobody answers an indication. */
size_t sl_turn_peer_error(struct sl_turn_alloc *a, const struct sl_addr *peer,
			  const struct sl_turn_icmp *icmp, uint64_t now_ms, uint8_t dst[64])
{
	uint8_t value[8] = {0}, txid[12] = {0};
	struct sl_stun_writer w;
	size_t len;

	if (!is_told(peer->family, icmp->type) ||
	    !turn_perm_covers(turn_perm_find(a, peer), peer->port, now_ms))
		return 0;
	sl_put16(value + 2, (uint16_t)(icmp->type << 9 | icmp->code));
	sl_put32(value + 4, is_too_big(peer->family, icmp) ? icmp->mtu : 0);
	sl_put64(txid, now_ms);
	sl_stun_begin(&w, dst, 64, SL_STUN_INDICATION, SL_TURN_DATA, txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, peer);
	sl_stun_put(&w, SL_TURN_ICMP, value, sizeof value);
	if (!sl_check(sl_stun_finish(&w, &len) == 0)) /* at most 56 bytes */
		return 0;
	a->turn->counters.icmp_errors++;
	return len;
}

/* ---- Send indications (section 11.2): anything wrong with one is dropped in silence */

struct send_parts {
	struct sl_stun_attr peer, data;
	bool dont_fragment;
};

static void keep_first(struct sl_stun_attr *place, const struct sl_stun_attr *a)
{
	if (!place->data)
		*place = *a;
}

/* One walk, because this is the data path of clients without channels. Of what stands twice the
 * first counts (RFC 8489 section 14). */
static bool send_parse(const struct sl_stun_msg *msg, struct send_parts *ret_parts)
{
	struct send_parts parts = {0};
	struct sl_stun_attr a = {0};

	while (sl_stun_next(msg, &a)) {
		if (a.type == SL_TURN_XOR_PEER_ADDRESS)
			keep_first(&parts.peer, &a);
		else if (a.type == SL_TURN_DATA_ATTR)
			keep_first(&parts.data, &a);
		else if (a.type == SL_TURN_DONT_FRAGMENT)
			parts.dont_fragment = true;
		else if (a.type < 0x8000)
			return false;
	}
	*ret_parts = parts;
	return parts.peer.data && parts.data.data;
}

void turn_send_indication(struct turn_req *r)
{
	struct sl_turn_counters *n = &r->t->counters;
	struct send_parts parts;
	struct turn_perm *perm;
	struct sl_addr peer;

	if (!send_parse(r->msg, &parts) || sl_stun_get_xor_addr(r->msg, &parts.peer, &peer) < 0) {
		n->bad_requests++;
		return;
	}
	perm = r->a && !r->a->tcp ? turn_perm_find(r->a, &peer) : NULL;
	if (!turn_perm_covers(perm, peer.port, r->now_ms) || peer.port == 0) {
		n->no_permission++;
		return;
	}
	if (r->a->shaped && !turn_has_rate_left(r->a, TURN_TO_PEER, parts.data.len, r->now_ms))
		return;
	count_to_peer(r->t, parts.data.len);
	r->out->to_peer_via = r->a;
	r->out->peer = peer;
	r->out->data = parts.data.data;
	r->out->data_len = parts.data.len;
	r->out->dont_fragment = parts.dont_fragment;
}
