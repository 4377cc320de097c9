/*
 * stun/behaviour.c: discovery of NAT behaviour (RFC 5780 section 7): answers from another address
 * or port than the one asked, to another port than the asking one, and long enough to be
 * fragmented.
 *
 * Two addresses times two ports make a square; each corner is a listener's socket, and every worker
 * has one on each listener, so any worker answers from any corner. Only requests to a corner are
 * read in this way. Nobody gets more bytes than it sent but for the three addresses of an answer,
 * and never both a foreign port and padding (section 7.5); the rate guard counts by address and has
 * passed before.
 */
#include "server.h"

enum { OTHER_PORT = 1, OTHER_ADDRESS = 2, BOTH = 3 }; /* bits of a corner's number to flip */

/* ---- configuration */

static void check_pair(struct sl_conf *c, const char *path, const struct stun_behaviour *b)
{
	const struct sl_addr *p = &b->primary, *a = &b->alternate;

	if (p->port == 0 || a->port == 0)
		sl_conf_error(c, path, "both addresses need a port, like 192.0.2.1:3478");
	else if (p->family != a->family || sl_addr_same_ip(p, a) || p->port == a->port)
		sl_conf_error(c, path,
			      "primary and alternate must be of one family and differ in both "
			      "address and port");
	else if (sl_addr_classify(p) == SL_ADDR_UNSPECIFIED ||
		 sl_addr_classify(a) == SL_ADDR_UNSPECIFIED)
		sl_conf_error(c, path, "clients are told these addresses: no wildcard");
}

int behaviour_check(struct sl_conf *c, void *conf)
{
	const struct sl_list *list = &((struct stun_conf *)conf)->behaviour;
	const struct stun_behaviour *all = list->items;

	for (size_t i = 0; i < list->n; i++)
		check_pair(c, list->n > 1 && i == 1 ? "behaviour[1]" : "behaviour[0]", &all[i]);
	if (list->n == 2 && all[0].primary.family == all[1].primary.family)
		sl_conf_error(c, "behaviour[1]", "there is one for this address family already");
	return 0;
}

/* ---- corners */

static struct sl_udp *socket_at(const struct sl_worker *w, const struct sl_addr *a)
{
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(w, &listeners);
	struct sl_udp *wildcard = NULL;

	for (unsigned i = 0; i < n; i++) {
		const struct sl_addr *local = &listeners[i]->local;

		if (!listeners[i]->udp || local->family != a->family || local->port != a->port)
			continue;
		if (sl_addr_same_ip(local, a))
			return sl_listener_udp(w, listeners[i]);
		if (sl_addr_classify(local) == SL_ADDR_UNSPECIFIED)
			wildcard = sl_listener_udp(w, listeners[i]);
	}
	return wildcard;
}

static int make_square(struct stun *s, struct stun_square *q, const struct stun_behaviour *b)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(q->corners); i++) {
		struct stun_corner *c = &q->corners[i];
		char text[SL_ADDR_STRLEN];

		c->addr = i & OTHER_ADDRESS ? b->alternate : b->primary;
		c->addr.port = i & OTHER_PORT ? b->alternate.port : b->primary.port;
		c->udp = socket_at(s->worker, &c->addr);
		if (c->udp)
			continue;
		sl_log(SL_LOG_ERROR, "stun",
		       "behaviour: no listener has udp %s; each of the two addresses needs "
		       "both "
		       "ports",
		       sl_addr_format(text, &c->addr));
		return -SL_ECONF;
	}
	return 0;
}

int behaviour_open(struct stun *s)
{
	const struct sl_list *list = &s->conf->behaviour;

	for (size_t i = 0; i < list->n; i++) {
		int rc =
			make_square(s, &s->squares[i], SL_LIST_AT(*list, struct stun_behaviour, i));

		if (rc < 0)
			return rc;
	}
	s->n_squares = (unsigned)list->n;
	return 0;
}

/* ---- requests */

/* What a request asks for beyond its address. */
struct wish {
	unsigned change;	/* bits of the corner to flip */
	uint16_t response_port; /* 0: where it came from */
	uint16_t padding;
};

static int read_change(const struct sl_stun_msg *msg, struct wish *w)
{
	struct sl_stun_attr a;
	uint32_t flags;

	if (!sl_stun_find(msg, SL_STUN_CHANGE_REQUEST, &a))
		return 0;
	if (sl_stun_get_u32(&a, &flags) < 0)
		return -SL_EPARSE;
	w->change = flags >> 1 & BOTH; /* 4: address, 2: port */
	return 0;
}

/* Two bytes, and two more reserved ones that some clients count in. */
static int read_response_port(const struct sl_stun_msg *msg, struct wish *w)
{
	struct sl_stun_attr a;

	if (!sl_stun_find(msg, SL_STUN_RESPONSE_PORT, &a))
		return 0;
	if ((a.len != 2 && a.len != 4) || sl_get16(a.data) == 0)
		return -SL_EPARSE;
	w->response_port = sl_get16(a.data);
	return 0;
}

/* Padding is answered with as much, so that a small request never draws a large answer. */
static int read_wish(const struct sl_stun_msg *msg, struct wish *ret_wish)
{
	struct wish w = {0};
	struct sl_stun_attr a;

	if (read_change(msg, &w) < 0 || read_response_port(msg, &w) < 0)
		return -SL_EPARSE;
	if (sl_stun_find(msg, SL_STUN_PADDING, &a)) {
		if (w.response_port)
			return -SL_EPARSE;
		w.padding = a.len < STUN_MAX_PADDING ? a.len & ~3 : STUN_MAX_PADDING;
	}
	*ret_wish = w;
	return 0;
}

bool behaviour_find(const struct stun *s, const struct sl_packet *p, struct stun_place *ret_place)
{
	for (unsigned q = 0; q < s->n_squares; q++) {
		for (unsigned i = 0; i < SL_ARRAY_LEN(s->squares[q].corners); i++) {
			if (!sl_addr_eq(&s->squares[q].corners[i].addr, p->local))
				continue;
			*ret_place = (struct stun_place){&s->squares[q], i};
			return true;
		}
	}
	return false;
}

int behaviour_reply(struct stun *s, const struct stun_place *place, const struct sl_packet *p,
		    const struct sl_stun_msg *msg)
{
	struct wish wish = {0};
	struct stun_discovery d = {.error = read_wish(msg, &wish) < 0 ? 400 : 0};
	const struct stun_corner *from = &place->square->corners[place->corner ^ wish.change];
	struct sl_packet *answer = sl_packet_new(s->worker);
	struct sl_addr to = p->from;
	int n, rc = 0;

	if (!answer)
		return -SL_EFULL;
	d.origin = &from->addr;
	d.other = &place->square->corners[place->corner ^ BOTH].addr;
	d.padding = wish.padding;
	n = stun_answer_more(s, msg, &p->from, &d, answer->data, SL_PACKET_MAX);
	if (n > 0) {
		answer->len = (uint32_t)n;
		if (wish.response_port)
			to.port = wish.response_port;
		rc = sl_udp_send_from(from->udp, answer, &from->addr, &to);
	}
	sl_packet_unref(answer);
	return rc;
}
