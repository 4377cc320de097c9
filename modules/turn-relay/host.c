/*
 * turn-relay/host.c: the addresses of this host.
 *
 * Read once per worker: they are denied as peers, because a relay must not open what only this host
 * can reach, and one of them is where a relay binds. The address that the client came to is best
 * (it is reachable, and routing stays symmetric); for another family one that reaches as far as
 * that, or else the one that reaches farthest.
 */
#include "relay.h"

#include <ifaddrs.h>
#include <limits.h>
#include <linux/if.h>

static bool known(const struct turn_relay *m, const struct sl_addr *a)
{
	for (unsigned i = 0; i < m->n_host; i++)
		if (sl_addr_same_ip(&m->host[i], a))
			return true;
	return false;
}

static void add(struct turn_relay *m, struct sl_addr a)
{
	a.port = 0;
	if (a.family != 0 && m->n_host < MAX_HOST_ADDRS && !known(m, &a))
		m->host[m->n_host++] = a;
}

static void add_interfaces(struct turn_relay *m, const struct ifaddrs *list)
{
	struct sl_addr a;

	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (i->ifa_addr && (i->ifa_flags & IFF_UP) &&
		    sl_addr_from_sockaddr(&a, i->ifa_addr) == 0)
			add(m, a);
}

/* External addresses lead back to this host, so they are its own too. */
int host_read(struct turn_relay *m)
{
	const struct sl_list *external = &m->conf->external;
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return -SL_ESYS;
	add_interfaces(m, list);
	freeifaddrs(list);
	for (size_t i = 0; i < external->n; i++)
		add(m, *SL_LIST_AT(*external, struct sl_addr, i));
	return 0;
}

/* How far an address reaches, for choosing; 0: not for relaying. */
static int reach(const struct sl_addr *a)
{
	switch (sl_addr_classify(a)) {
	case SL_ADDR_GLOBAL:
	case SL_ADDR_DOCUMENTATION: /* test networks are built from these */
		return 3;
	case SL_ADDR_PRIVATE:
		return 2;
	case SL_ADDR_LOOPBACK:
		return 1;
	default:
		return 0;
	}
}

bool host_is_public(const struct sl_addr *a)
{
	return reach(a) == 3;
}

static bool is_external(const struct turn_relay *m, const struct sl_addr *a)
{
	const struct sl_list *external = &m->conf->external;

	for (size_t i = 0; i < external->n; i++)
		if (sl_addr_same_ip(SL_LIST_AT(*external, struct sl_addr, i), a))
			return true;
	return false;
}

/* The host's address of the family that reaches farthest; one that reaches as far as `like` is
 * better still. */
static int choose(const struct turn_relay *m, uint8_t family, int like, struct sl_addr *ret_local)
{
	int best = 0;

	for (unsigned i = 0; i < m->n_host; i++) {
		const struct sl_addr *a = &m->host[i];
		int r = reach(a);

		if (a->family != family || r == 0 || is_external(m, a))
			continue;
		if (r == like)
			r = INT_MAX;
		if (r > best) {
			best = r;
			*ret_local = *a;
		}
	}
	return best > 0 ? 0 : -SL_ENOENT;
}

bool host_has_family(const struct turn_relay *m, uint8_t family)
{
	struct sl_addr any;

	return choose(m, family, 0, &any) == 0;
}

int host_choose(const struct turn_relay *m, uint8_t family, const struct sl_addr *server,
		struct sl_addr *ret_local)
{
	const struct sl_list *fixed = &m->conf->relay_addresses;

	for (size_t i = 0; i < fixed->n; i++) {
		const struct sl_addr *a = SL_LIST_AT(*fixed, struct sl_addr, i);

		if (a->family == family) {
			*ret_local = *a;
			return 0;
		}
	}
	if (server->family == family && sl_addr_classify(server) != SL_ADDR_UNSPECIFIED) {
		*ret_local = *server;
		ret_local->port = 0;
		return 0;
	}
	return choose(m, family, reach(server), ret_local);
}

struct sl_addr host_external(const struct turn_relay *m, const struct sl_addr *local)
{
	const struct sl_list *external = &m->conf->external;
	struct sl_addr a = *local;

	for (size_t i = 0; i < external->n; i++) {
		const struct sl_addr *e = SL_LIST_AT(*external, struct sl_addr, i);

		if (e->family == local->family) {
			a = *e;
			a.port = local->port;
			return a;
		}
	}
	return a;
}
