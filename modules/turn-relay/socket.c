/*
 * turn-relay/socket.c: relay sockets: a port from the range, an even one, one with its neighbour,
 * or one that was reserved.
 *
 * Ports are tried in an order nobody outside can foresee (RFC 8656 section 21.1.2, RFC 6056);
 * whoever else holds one, worker or other program, makes the next be tried. A reserved socket waits
 * in a list until its token comes or the engine gives it up.
 */
#include "relay.h"

/* With a tenth of the range free, all tries fail once in a thousand. */
enum { MAX_TRIES = 64 };

static int open_udp(struct relay_socket *s, const struct sl_addr *local)
{
	const struct sl_udp_opts opts = {
		.local = *local,
		.recv = relay_from_peer,
		.error = relay_peer_error,
		.arg = s,
		.buffer_bytes = (int)s->module->conf->buffer,
	};

	int err;

	err = sl_udp_open(s->module->worker, &opts, &s->udp);
	return err < 0 ? err : module_hear_header(s->module, s->udp);
}

static struct relay_socket *socket_new(struct turn_relay *m, const struct sl_addr *local, bool tcp,
				       int *ret_err)
{
	struct relay_socket *s = sl_slab_get(m->sockets);

	if (!s) {
		*ret_err = -SL_ENOMEM;
		return NULL;
	}
	s->module = m;
	s->relayed = host_external(m, local);
	*ret_err = tcp ? peers_listen(s, local) : open_udp(s, local);
	if (*ret_err < 0) {
		sl_slab_put(m->sockets, s);
		return NULL;
	}
	return s;
}

void socket_close(struct relay_socket *s)
{
	if (!s)
		return;
	if (s->udp)
		sl_udp_close(s->udp);
	else
		peers_stop_listening(s);
	sl_slab_put(s->module->sockets, s);
}

/* The keyed hash of a counter: no two alike soon, none to be guessed. */
static uint16_t random_port(struct turn_relay *m)
{
	const struct sl_ports *range = &m->conf->ports;
	uint64_t hash = sl_hash(&m->n_ports_tried, sizeof m->n_ports_tried);

	m->n_ports_tried++;
	return (uint16_t)(range->lo + hash % ((unsigned)range->hi - range->lo + 1));
}

static void keep_reserved(struct relay_socket *s)
{
	s->owner = NULL;
	s->next = s->module->reserved;
	s->module->reserved = s;
}

/* One try; with reserve, both ports or none. */
static struct relay_socket *try_port(struct turn_relay *m, struct sl_addr local,
				     const struct sl_turn_want *want, int *ret_err)
{
	struct relay_socket *first, *second;

	if (want->even && local.port % 2 != 0)
		local.port--;
	if (local.port < m->conf->ports.lo || (want->reserve && local.port == m->conf->ports.hi)) {
		*ret_err = -SL_EEXIST;
		return NULL;
	}
	first = socket_new(m, &local, want->tcp, ret_err);
	if (!first || !want->reserve)
		return first;
	local.port++;
	second = socket_new(m, &local, false, ret_err);
	if (!second) {
		socket_close(first);
		return NULL;
	}
	keep_reserved(second);
	return first;
}

static struct relay_socket *take_reserved(struct turn_relay *m, const struct sl_addr *relayed)
{
	for (struct relay_socket **link = &m->reserved, *s; (s = *link); link = &s->next)
		if (sl_addr_eq(&s->relayed, relayed)) {
			*link = s->next;
			return s;
		}
	return NULL;
}

void socket_unreserve(struct turn_relay *m, const struct sl_addr *relayed)
{
	socket_close(take_reserved(m, relayed));
}

struct sl_addr socket_reserved_local(const struct turn_relay *m, const struct sl_addr *relayed)
{
	for (const struct relay_socket *s = m->reserved; s; s = s->next)
		if (sl_addr_eq(&s->relayed, relayed))
			return *sl_udp_local(s->udp);
	return (struct sl_addr){0};
}

int socket_reserve(struct turn_relay *m, const struct sl_addr *local, struct sl_addr *ret_relayed)
{
	struct relay_socket *s;
	int err;

	s = socket_new(m, local, false, &err);
	if (!s)
		return err;
	keep_reserved(s);
	*ret_relayed = s->relayed;
	return 0;
}

static int open_new(struct turn_relay *m, const struct sl_turn_want *want,
		    const struct sl_addr *server, struct relay_socket **ret_socket)
{
	struct relay_socket *s = NULL;
	struct sl_addr local;
	int err;

	err = host_choose(m, want->family, server, &local);
	if (err < 0)
		return err;
	for (int i = 0; i < MAX_TRIES && !s; i++) {
		local.port = random_port(m);
		s = try_port(m, local, want, &err);
		if (!s && err != -SL_EEXIST)
			return err;
	}
	if (!s)
		return -SL_EFULL;
	*ret_socket = s;
	return 0;
}

int socket_open(struct relay *r, const struct sl_turn_want *want, struct relay_socket **ret_socket)
{
	struct turn_relay *m = r->module;
	struct relay_socket *s = NULL;
	int err = 0;

	if (want->reserved) {
		s = take_reserved(m, want->reserved);
		err = s ? 0 : -SL_ENOENT;
	} else {
		err = open_new(m, want, &sl_turn_alloc_client(r->alloc)->local, &s);
	}
	if (err < 0) {
		sl_count(&m->m[M_NO_PORT]);
		return err;
	}
	s->owner = r;
	*ret_socket = s;
	return 0;
}
