/*
 * test_route.c: what the routing says, in a network namespace with one veth pair; without the right
 * to make one, only that loopback is no way out.
 */
#include "lib/test.h"

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>

#include "os/os.h"

static struct sl_addr addr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

static bool enter_namespace(void)
{
	static int state;

	if (state == 0)
		state = unshare(CLONE_NEWNET) == 0 &&
					system("ip link set lo up && ip link add near type veth "
					       "peer "
					       "name far && "
					       "ip addr add 192.0.2.1/24 dev near && "
					       "ip -6 addr add 2001:db8::1/64 dev near nodad && "
					       "ip link set near up && ip link set far up") == 0
				? 1
				: -1;
	if (state < 0)
		test_skip("no right to make a network namespace here");
	return state > 0;
}

static int find(const char *from, const char *to, struct route *ret_route)
{
	const struct sl_addr f = addr(from), t = addr(to);
	FD_AUTO int fd = -1;

	sl_assert(route_open(&fd) == 0);
	return route_find(fd, &f, &t, ret_route);
}

TEST(this_host_is_no_way_out)
{
	struct route r;

	CHECK_INT(find("127.0.0.1", "127.0.0.1", &r), -SL_ENOENT);
	CHECK_INT(find("127.0.0.1", "::1", &r), -SL_ENOENT);
	CHECK(!route_is_ethernet(1));
	CHECK(!route_is_ethernet(999999));
}

TEST(a_way_has_an_interface_and_an_mtu)
{
	struct route r;
	char name[16];

	if (!enter_namespace())
		return;
	CHECK_INT(find("192.0.2.1", "192.0.2.9", &r), 0);
	CHECK_INT(r.ifindex, if_nametoindex("near"));
	CHECK_INT(r.mtu, 1500);
	CHECK(r.next_hop.port == 0 && r.next_hop.ip[3] == 9);
	CHECK_INT(find("2001:db8::1", "2001:db8::9", &r), 0);
	CHECK_INT(r.ifindex, if_nametoindex("near"));
	CHECK(route_is_ethernet(r.ifindex));
	CHECK_STR(sl_str_c(route_ifname(r.ifindex, name)), "near");
	CHECK_STR(sl_str_c(route_ifname(999999, name)), "?");
	CHECK_INT(find("192.0.2.1", "192.0.2.1", &r), -SL_ENOENT);
	CHECK_INT(find("192.0.2.1", "203.0.113.1", &r), -SL_ENOENT);
	CHECK_INT(system("ip route add 203.0.113.0/24 via 192.0.2.9 mtu 1280"), 0);
	CHECK_INT(find("192.0.2.1", "203.0.113.1", &r), 0);
	CHECK_INT(r.mtu, 1280);
	CHECK(r.next_hop.ip[0] == 192 && r.next_hop.ip[3] == 9);
}

TEST(changes_are_told)
{
	FD_AUTO int fd = -1;

	if (!enter_namespace())
		return;
	CHECK_INT(route_watch(&fd), 0);
	CHECK(!route_changed(fd));
	CHECK_INT(system("ip link set near mtu 1400"), 0);
	CHECK(route_changed(fd));
	CHECK(!route_changed(fd));
	CHECK_INT(system("ip route add 198.51.100.0/24 via 192.0.2.9"), 0);
	CHECK(route_changed(fd));
	CHECK_INT(system("ip link set near mtu 1500 && ip route del 198.51.100.0/24"), 0);
}

TEST_MAIN()
