/*
 * tests/unit/test_offload.c: the relaying program in the kernel, packet by packet, with rules that
 * a worker's net layer made; in a network namespace with two veth pairs. Nothing is sent: the
 * kernel runs the program on what it is given and says what became of it (BPF_PROG_TEST_RUN).
 */
#include "lib/test.h"

#include "lib/net.h"

#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define ETH 14
#define REDIRECT 7
#define PASS 0
#define HOUR_MS 3600000

/* ---- the bed: a worker whose rules go to a program that is attached nowhere */

struct bed {
	struct test_net t;
	struct offload_kernel *kernel;
	int prog, xdp;
	unsigned west, east; /* interfaces: clients are behind west, peers behind east */
	uint8_t west_mac[6], east_mac[6];
	unsigned n_asked;
};
static struct bed bed;

static bool run_all(const char *const *commands)
{
	for (; *commands; commands++)
		if (system(*commands) != 0)
			return false;
	return true;
}

/* Once for the whole program. */
static bool enter_namespace(void)
{
	static const char *const commands[] = {
		"ip link set lo up",
		"ip link add west type veth peer name client",
		"ip link add east type veth peer name peer",
		"ip addr add 192.0.2.1/24 dev west",
		"ip addr add 198.51.100.1/24 dev east",
		"ip -6 addr add 2001:db8:1::1/64 dev west nodad",
		"ip -6 addr add 2001:db8:2::1/64 dev east nodad",
		"ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev west",
		"ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev west",
		"ip -6 neigh add 2001:db8:1::7 lladdr 02:00:00:00:00:07 dev west",
		"ip -6 neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev west",
		"echo 1 >/proc/sys/net/ipv4/conf/west/forwarding",
		"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
		"ip link set west up",
		"ip link set east up",
		"ip link set client up",
		"ip link set peer up",
		NULL,
	};
	static int state; /* 0: not tried, 1: in it, -1: not possible */

	if (state == 0)
		state = bpf_usable() && unshare(CLONE_NEWNET) == 0 && run_all(commands) ? 1 : -1;
	if (state < 0)
		test_skip("no right to load eBPF programs or to make a namespace here");
	return state > 0;
}

static void read_mac(const char *name, uint8_t ret_mac[6])
{
	struct ifreq r = {0};
	FD_AUTO int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)sl_str_copy(r.ifr_name, sizeof r.ifr_name, sl_str_c(name));
	sl_assert(ioctl(fd, SIOCGIFHWADDR, &r) == 0);
	memcpy(ret_mac, r.ifr_hwaddr.sa_data, 6);
}

static void note_asked(void *arg, unsigned ifindex)
{
	(void)arg;
	(void)ifindex;
	bed.n_asked++;
}

static bool open_bed(void)
{
	int fds[OFFLOAD_MAX_FDS];
	unsigned ifindexes[OFFLOAD_MAX_LINKS];
	char err[512] = "";

	if (!enter_namespace())
		return false;
	memset(&bed, 0, sizeof bed);
	if (offload_new(SL_OFFLOAD_XDP, 8, 100, &bed.kernel, err, sizeof err) < 0) {
		printf("# %s\n", err);
		abort();
	}
	sl_assert(offload_export(bed.kernel, fds, ifindexes) == OFFLOAD_OWN_FDS);
	bed.prog = fds[3];
	bed.xdp = fds[4];
	bed.west = if_nametoindex("west");
	bed.east = if_nametoindex("east");
	read_mac("west", bed.west_mac);
	read_mac("east", bed.east_mac);
	bed.t.worker.slot = 3;
	bed.t.worker.epoch = 9;
	offload_set_epoch(bed.kernel, 3, 9);
	bed.t.conf.offload = (struct offload_conf){.n_rules = offload_n_rules(bed.kernel),
						   .fd_rules = dup(offload_rules_fd(bed.kernel)),
						   .fd_states = dup(offload_states_fd(bed.kernel)),
						   .attach = note_asked};
	test_net_open(&bed.t);
	return true;
}

static void close_bed(void)
{
	test_net_close(&bed.t);
	offload_free(bed.kernel);
}

static uint64_t now_ms(void)
{
	return sl_clock_ns() / SL_NS_PER_MS;
}

static struct sl_offload_opts to_peer(bool v6)
{
	return (struct sl_offload_opts){
		.from = test_addr(v6 ? "[2001:db8:1::9]:5000" : "192.0.2.9:5000"),
		.at = test_addr(v6 ? "[2001:db8:1::1]:3478" : "192.0.2.1:3478"),
		.via = test_addr(v6 ? "[2001:db8:2::1]:50000" : "198.51.100.1:50000"),
		.to = test_addr(v6 ? "[2001:db8:2::7]:7000" : "198.51.100.7:7000"),
		.channel = 0x4001,
		.strip = true,
		.expires_ms = now_ms() + HOUR_MS,
	};
}

static struct sl_offload_opts to_client(bool v6)
{
	const struct sl_offload_opts up = to_peer(v6);
	struct sl_offload_opts o = up;

	o.from = up.to;
	o.at = up.via;
	o.via = up.at;
	o.to = up.from;
	o.strip = false;
	return o;
}

static struct sl_offload *begin(struct sl_offload_opts o)
{
	struct sl_offload *s = NULL;
	int rc = sl_offload_begin(&bed.t.worker, &o, &s);

	if (rc < 0)
		printf("# %s\n", sl_strerror(rc));
	sl_assert(rc == 0);
	return s;
}

/* ---- packets */

struct frame {
	uint8_t bytes[2600];
	size_t len;
	bool v6;
};

static uint32_t sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += sl_get16(p + i);
	if (n % 2)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static size_t udp_at(const struct frame *f)
{
	return ETH + (f->v6 ? 40 : 20);
}

static uint32_t pseudo_sum(const struct frame *f)
{
	size_t at = udp_at(f);
	uint32_t sum = 17u + sl_get16(f->bytes + at + 4);

	return sum_of(f->bytes + ETH + (f->v6 ? 8 : 12), f->v6 ? 32 : 8, sum);
}

/* 0xffff: right */
static uint32_t udp_sum(const struct frame *f)
{
	size_t at = udp_at(f);

	return sum_of(f->bytes + at, sl_get16(f->bytes + at + 4), pseudo_sum(f));
}

static void set_udp_sum(struct frame *f)
{
	uint8_t *check = f->bytes + udp_at(f) + 6;
	uint32_t sum;

	sl_put16(check, 0);
	sum = ~udp_sum(f) & 0xffff;
	sl_put16(check, (uint16_t)(sum ? sum : 0xffff));
}

static void put_ip4(struct frame *f, const struct sl_addr *from, const struct sl_addr *to,
		    size_t payload)
{
	uint8_t *ip = f->bytes + ETH;

	sl_put16(f->bytes + 12, 0x0800);
	ip[0] = 0x45;
	ip[1] = 0xb9; /* DSCP EF, ECT(1) */
	sl_put16(ip + 2, (uint16_t)(28 + payload));
	sl_put16(ip + 4, 0x1234);
	sl_put16(ip + 6, 0x4000);
	ip[8] = 61;
	ip[9] = 17;
	memcpy(ip + 12, from->ip, 4);
	memcpy(ip + 16, to->ip, 4);
	sl_put16(ip + 10, (uint16_t)~sum_of(ip, 20, 0));
}

static void put_ip6(struct frame *f, const struct sl_addr *from, const struct sl_addr *to,
		    size_t payload)
{
	uint8_t *ip = f->bytes + ETH;

	sl_put16(f->bytes + 12, 0x86dd);
	ip[0] = 0x6b;
	ip[1] = 0x90;
	sl_put16(ip + 4, (uint16_t)(8 + payload));
	ip[6] = 17;
	ip[7] = 61;
	memcpy(ip + 8, from->ip, 16);
	memcpy(ip + 24, to->ip, 16);
}

static struct frame frame_of(const struct sl_offload_opts *o, const void *payload, size_t n)
{
	struct frame f = {.v6 = o->from.family == 6};
	uint8_t *udp = f.bytes + udp_at(&f);

	f.len = udp_at(&f) + 8 + n;
	sl_assert(f.len <= sizeof f.bytes);
	if (f.v6)
		put_ip6(&f, &o->from, &o->at, n);
	else
		put_ip4(&f, &o->from, &o->at, n);
	sl_put16(udp, o->from.port);
	sl_put16(udp + 2, o->at.port);
	sl_put16(udp + 4, (uint16_t)(8 + n));
	memcpy(udp + 8, payload, n);
	set_udp_sum(&f);
	return f;
}

/* Media of n bytes, as it goes in the direction. */
static struct frame media(const struct sl_offload_opts *o, size_t n)
{
	uint8_t bytes[2500];
	size_t at = o->strip ? 4 : 0;

	sl_put16(bytes, o->channel);
	sl_put16(bytes + 2, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		bytes[at + i] = (uint8_t)(0x80 + i * 7);
	return frame_of(o, bytes, at + n);
}

/* What a program says, and what the packet is then. */
static int run_prog(int prog, struct frame *f, void *ctx, size_t ctx_bytes)
{
	union bpf_attr attr;
	uint8_t out[3000];

	memset(&attr, 0, sizeof attr);
	attr.test.prog_fd = (uint32_t)prog;
	attr.test.data_in = (uint64_t)(uintptr_t)f->bytes;
	attr.test.data_size_in = (uint32_t)f->len;
	attr.test.data_out = (uint64_t)(uintptr_t)out;
	attr.test.data_size_out = sizeof out;
	attr.test.ctx_in = (uint64_t)(uintptr_t)ctx;
	attr.test.ctx_size_in = (uint32_t)ctx_bytes;
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr) < 0) {
		printf("# test run: %s\n", strerror(errno));
		abort();
	}
	f->len = attr.test.data_size_out;
	memcpy(f->bytes, out, f->len);
	return (int)attr.test.retval;
}

static int run_on(struct frame *f, unsigned ifindex)
{
	struct __sk_buff ctx = {.ifindex = ifindex};

	memcpy(f->bytes, ifindex == bed.west ? bed.west_mac : bed.east_mac, 6);
	return run_prog(bed.prog, f, &ctx, sizeof ctx);
}

static int run_xdp(struct frame *f)
{
	struct xdp_md ctx = {.data_end = (uint32_t)f->len, .ingress_ifindex = bed.west};

	return run_prog(bed.xdp, f, &ctx, sizeof ctx);
}

static int run(const struct sl_offload_opts *o, struct frame *f)
{
	return run_on(f, o->strip ? bed.west : bed.east);
}

/* Passes, and is what it was before. */
static bool passes(const struct sl_offload_opts *o, struct frame f)
{
	const struct frame before = f;

	return run(o, &f) == PASS && f.len == before.len &&
	       memcmp(f.bytes + ETH, before.bytes + ETH, f.len - ETH) == 0;
}

/* Is this the media of n bytes as the rule sends it on? */
static bool relayed(const struct sl_offload_opts *o, const struct frame *f, size_t n)
{
	const uint8_t *ip = f->bytes + ETH, *udp = f->bytes + udp_at(f), *payload = udp + 8;
	const size_t ip_len = f->v6 ? 16 : 4, all = n + (o->strip ? 0 : 4);
	bool right = f->len == udp_at(f) + 8 + all;

	right = right &&
		(f->v6 ? sl_get16(ip + 4) == 8 + all && ip[7] == 60
		       : sl_get16(ip + 2) == 28 + all && ip[8] == 60 && ip[1] == 0xb9 &&
				 sl_get16(ip + 6) == 0x4000 && sum_of(ip, 20, 0) == 0xffff);
	right = right && memcmp(ip + (f->v6 ? 8 : 12), o->via.ip, ip_len) == 0 &&
		memcmp(ip + (f->v6 ? 24 : 16), o->to.ip, ip_len) == 0;
	right = right && sl_get16(udp) == o->via.port && sl_get16(udp + 2) == o->to.port &&
		sl_get16(udp + 4) == 8 + all;
	if (!o->strip) {
		right = right && sl_get16(payload) == o->channel && sl_get16(payload + 2) == n;
		payload += 4;
	}
	for (size_t i = 0; right && i < n; i++)
		right = payload[i] == (uint8_t)(0x80 + i * 7);
	return right;
}

/* ---- what is relayed */

TEST(a_channel_is_relayed_both_ways_over_both_families_with_right_checksums)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 37, 160, 161, 1199, 1200, 1400};

	if (!open_bed())
		return;
	for (int i = 0; i < 4; i++) {
		const struct sl_offload_opts o = i & 1 ? to_peer(i & 2) : to_client(i & 2);
		struct sl_offload *s = begin(o);
		uint64_t bytes = 0, packets = 0;
		struct sl_offload_counts n;

		for (size_t k = 0; k < SL_ARRAY_LEN(sizes); k++) {
			struct frame f = media(&o, sizes[k]);

			if (!o.strip && sizes[k] < 4) /* too short to be looked at */
				continue;
			CHECK_INT(run(&o, &f), REDIRECT);
			CHECK(relayed(&o, &f, sizes[k]));
			CHECK_INT(udp_sum(&f), 0xffff);
			packets++;
			bytes += sizes[k];
		}
		n = sl_offload_read(s);
		CHECK_INT(n.packets, packets);
		CHECK_INT(n.bytes, bytes);
		CHECK_INT(sl_offload_read(s).packets, 0);
		CHECK_INT(sl_offload_end(s).packets, 0);
	}
	CHECK_INT(test_count(&bed.t, NET_offload_rules), 0);
	CHECK_INT(test_count(&bed.t, NET_offload_packets), 38);
	CHECK_INT(bed.n_asked, 2);
	close_bed();
}

TEST(an_ipv4_datagram_without_checksum_stays_without_one_in_ipv6_it_is_not_relayed)
{
	for (int i = 0; i < 4; i++) {
		const struct sl_offload_opts o = i & 1 ? to_peer(i & 2) : to_client(i & 2);
		struct frame f = media(&o, 160);

		if (!open_bed())
			return;
		(void)begin(o);
		sl_put16(f.bytes + udp_at(&f) + 6, 0);
		if (f.v6) {
			CHECK(passes(&o, f));
		} else {
			CHECK_INT(run(&o, &f), REDIRECT);
			CHECK(relayed(&o, &f, 160));
			CHECK_INT(sl_get16(f.bytes + udp_at(&f) + 6), 0);
		}
		close_bed();
	}
}

TEST(a_damaged_datagram_stays_damaged)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f = media(&o, 160);

	if (!open_bed())
		return;
	(void)begin(o);
	f.bytes[100] ^= 4;
	CHECK_INT(run(&o, &f), REDIRECT);
	CHECK(udp_sum(&f) != 0xffff);
	close_bed();
}

TEST(padding_of_short_ethernet_frames_is_not_relayed)
{
	const struct sl_offload_opts both[] = {to_peer(false), to_client(false)};

	if (!open_bed())
		return;
	for (int i = 0; i < 2; i++) {
		struct frame f = media(&both[i], 4);

		(void)begin(both[i]);
		f.len = 60;
		CHECK_INT(run(&both[i], &f), REDIRECT);
		CHECK(relayed(&both[i], &f, 4));
		CHECK_INT(udp_sum(&f), 0xffff);
	}
	close_bed();
}

/* ---- what is left to user space, unchanged */

TEST(other_channels_padded_ones_and_lies_are_left_alone)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f;

	if (!open_bed())
		return;
	(void)begin(o);
	f = media(&o, 160);
	sl_put16(f.bytes + udp_at(&f) + 8, 0x4002);
	CHECK(passes(&o, f));
	f = media(&o, 160);
	sl_put16(f.bytes + udp_at(&f) + 10, 161);
	CHECK(passes(&o, f));
	sl_put16(f.bytes + udp_at(&f) + 10, 157);
	CHECK(passes(&o, f));
	CHECK(passes(&o, media(&o, 0)));
	f = frame_of(&o,
		     "\0\1\0\0\x21\x12\xa4\x42"
		     "0123456789ab",
		     20);
	CHECK(passes(&o, f));
	close_bed();
}

TEST(fragments_options_and_the_last_hop_are_left_alone)
{
	const struct sl_offload_opts o = to_peer(false), o6 = to_peer(true);
	struct frame f = media(&o, 160);

	if (!open_bed())
		return;
	(void)begin(o);
	(void)begin(o6);
	sl_put16(f.bytes + ETH + 6, 0x2000);
	CHECK(passes(&o, f));
	sl_put16(f.bytes + ETH + 6, 0x0010);
	CHECK(passes(&o, f));
	f = media(&o, 160);
	f.bytes[ETH] = 0x46;
	CHECK(passes(&o, f));
	f = media(&o, 160);
	f.bytes[ETH + 8] = 1;
	CHECK(passes(&o, f));
	f = media(&o, 160);
	sl_put16(f.bytes + ETH + 2, 2000); /* longer than it is */
	CHECK(passes(&o, f));
	f = media(&o6, 160);
	f.bytes[ETH + 7] = 1;
	CHECK(passes(&o6, f));
	f = media(&o6, 160);
	f.bytes[ETH + 6] = 44; /* a fragment header */
	CHECK(passes(&o6, f));
	close_bed();
}

TEST(what_comes_another_way_than_answers_would_go_is_left_alone)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f = media(&o, 160);

	if (!open_bed())
		return;
	(void)begin(o);
	CHECK_INT(run_on(&f, bed.east), PASS);
	CHECK_INT(run_on(&f, bed.west), REDIRECT);
	close_bed();
}

TEST(what_does_not_fit_the_way_is_left_alone)
{
	const struct sl_offload_opts o = to_client(false);
	struct frame f;

	if (!open_bed())
		return;
	(void)begin(o);
	f = media(&o, 1500 - 28 - 4);
	CHECK_INT(run(&o, &f), REDIRECT);
	CHECK(passes(&o, media(&o, 1500 - 28 - 3)));
	CHECK_INT(system("ip link set west mtu 1300"), 0);
	CHECK(passes(&o, media(&o, 1400)));
	CHECK_INT(system("ip link set west mtu 1500"), 0);
	close_bed();
}

/* ---- in the driver */

/* To a peer that is where the client is. */
static struct sl_offload_opts hairpin(bool strip, bool v6)
{
	struct sl_offload_opts o = strip ? to_peer(v6) : to_client(v6);
	struct sl_addr *far = strip ? &o.to : &o.from, *near = strip ? &o.via : &o.at;

	*far = test_addr(v6 ? "[2001:db8:1::7]:7000" : "192.0.2.7:7000");
	*near = test_addr(v6 ? "[2001:db8:1::1]:50000" : "192.0.2.1:50000");
	return o;
}

static bool xdp_passes(struct frame f)
{
	const struct frame before = f;

	return run_xdp(&f) == XDP_PASS && f.len == before.len &&
	       memcmp(f.bytes, before.bytes, f.len) == 0;
}

TEST(in_the_driver_it_is_sent_back_to_the_next_hop_with_right_checksums)
{
	static const size_t sizes[] = {4, 5, 160, 161, 1200};

	if (!open_bed())
		return;
	for (int i = 0; i < 4; i++) {
		const struct sl_offload_opts o = hairpin(i & 1, i & 2);
		struct sl_offload *s = begin(o);
		const uint8_t hop[6] = {2, 0, 0, 0, 0, o.strip ? 7 : 9};

		for (size_t k = 0; k < SL_ARRAY_LEN(sizes); k++) {
			struct frame f = media(&o, sizes[k]);

			CHECK_INT(run_xdp(&f), XDP_TX);
			CHECK(relayed(&o, &f, sizes[k]));
			CHECK_INT(udp_sum(&f), 0xffff);
			CHECK(memcmp(f.bytes, hop, 6) == 0);
			CHECK(memcmp(f.bytes + 6, bed.west_mac, 6) == 0);
		}
		CHECK_INT(sl_offload_end(s).packets, SL_ARRAY_LEN(sizes));
	}
	close_bed();
}

TEST(in_the_driver_an_unset_checksum_stays_and_one_to_be_computed_is_left_to_the_stack)
{
	const struct sl_offload_opts o = hairpin(true, false), o6 = hairpin(true, true);
	struct frame f = media(&o, 160);

	if (!open_bed())
		return;
	(void)begin(o);
	(void)begin(o6);
	sl_put16(f.bytes + udp_at(&f) + 6, 0);
	CHECK_INT(run_xdp(&f), XDP_TX);
	CHECK_INT(sl_get16(f.bytes + udp_at(&f) + 6), 0);
	CHECK(relayed(&o, &f, 160));
	f = media(&o, 160);
	sl_put16(f.bytes + udp_at(&f) + 6, (uint16_t)pseudo_sum(&f));
	CHECK(xdp_passes(f));
	f = media(&o6, 160);
	sl_put16(f.bytes + udp_at(&f) + 6, (uint16_t)pseudo_sum(&f));
	CHECK(xdp_passes(f));
	sl_put16(f.bytes + udp_at(&f) + 6, 0);
	CHECK(xdp_passes(f));
	close_bed();
}

TEST(the_driver_leaves_what_has_another_way_or_an_unknown_next_hop)
{
	const struct sl_offload_opts across = to_peer(false);
	struct sl_offload_opts o = hairpin(true, false);

	if (!open_bed())
		return;
	(void)begin(across);
	CHECK(xdp_passes(media(&across, 160)));
	o.from.port++;
	o.to = test_addr("192.0.2.77:7000");
	(void)begin(o);
	CHECK(xdp_passes(media(&o, 160)));
	o = hairpin(false, false);
	(void)begin(o);
	CHECK(xdp_passes(media(&o, 1500 - 28)));
	close_bed();
}

/* ---- for how long */

TEST(nothing_is_relayed_after_its_time_and_a_refresh_opens_it_again)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f = media(&o, 160);
	struct sl_offload *s;

	if (!open_bed())
		return;
	s = begin(o);
	sl_offload_set_expiry(s, now_ms());
	CHECK(passes(&o, media(&o, 160)));
	sl_offload_set_expiry(s, now_ms() + 60000);
	CHECK_INT(run(&o, &f), REDIRECT);
	(void)sl_offload_end(s);
	CHECK(passes(&o, media(&o, 160)));
	CHECK_INT(test_count(&bed.t, NET_offload_packets), 1);
	close_bed();
}

TEST(rules_of_a_dead_process_relay_nothing_and_are_swept)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f = media(&o, 160);

	if (!open_bed())
		return;
	(void)begin(o);
	offload_set_epoch(bed.kernel, 3, 0);
	CHECK(passes(&o, f));
	offload_set_epoch(bed.kernel, 3, 10);
	CHECK(passes(&o, f));
	CHECK_INT(offload_sweep(bed.kernel, 3u << 16 | 8), 0);
	offload_set_epoch(bed.kernel, 3, 9);
	CHECK_INT(run(&o, &f), REDIRECT);
	CHECK_INT(offload_sweep(bed.kernel, 3u << 16 | 9), 1);
	CHECK(passes(&o, media(&o, 160)));
	close_bed();
}

TEST(a_rule_is_withdrawn_when_its_way_changes_and_its_counts_stay)
{
	const struct sl_offload_opts o = to_peer(false);
	struct frame f = media(&o, 160);
	struct sl_offload *s;

	if (!open_bed())
		return;
	s = begin(o);
	CHECK_INT(run(&o, &f), REDIRECT);
	CHECK_INT(system("ip route add 203.0.113.0/24 via 198.51.100.9"), 0);
	NET_UNTIL(&bed.t, bed.t.words[NET_offload_rules] == 1 && sl_offload_stands(s));
	CHECK_INT(system("ip route add 198.51.100.7/32 dev west"), 0);
	NET_UNTIL(&bed.t, !sl_offload_stands(s));
	CHECK(passes(&o, media(&o, 160)));
	CHECK_INT(sl_offload_end(s).packets, 1);
	CHECK_INT(system("ip route del 198.51.100.7/32 dev west; ip route del 203.0.113.0/24"), 0);
	close_bed();
}

/* ---- what is refused */

TEST(peers_on_this_host_and_other_families_are_refused)
{
	struct sl_offload_opts local = to_peer(false), mixed = to_peer(false);
	struct sl_offload *s;

	if (!open_bed())
		return;
	local.to = test_addr("192.0.2.1:9");
	CHECK_INT(sl_offload_begin(&bed.t.worker, &local, &s), -SL_EUNSUPP);
	local.to = test_addr("127.0.0.1:9");
	CHECK_INT(sl_offload_begin(&bed.t.worker, &local, &s), -SL_EUNSUPP);
	mixed.to = test_addr("[2001:db8:2::7]:7000");
	CHECK_INT(sl_offload_begin(&bed.t.worker, &mixed, &s), -SL_EUNSUPP);
	CHECK_INT(test_count(&bed.t, NET_offload_rules), 0);
	close_bed();
}

TEST(a_full_table_and_a_second_rule_for_the_same_are_refused_and_room_comes_back)
{
	struct sl_offload_opts o = to_peer(false);
	struct sl_offload *s, *last = NULL;
	unsigned n = 0;

	if (!open_bed())
		return;
	last = begin(o);
	CHECK_INT(sl_offload_begin(&bed.t.worker, &o, &s), -SL_EEXIST);
	for (n = 1; n < 1000; n++) {
		o.from.port = (uint16_t)(10000 + n);
		if (sl_offload_begin(&bed.t.worker, &o, &s) < 0)
			break;
	}
	CHECK_INT(n, 100);
	CHECK_INT(sl_offload_begin(&bed.t.worker, &o, &s), -SL_EFULL);
	(void)sl_offload_end(last);
	last = NULL;
	NET_UNTIL(&bed.t, last || sl_offload_begin(&bed.t.worker, &o, &last) == 0);
	close_bed();
}

TEST(a_worker_without_offload_says_so)
{
	const struct sl_offload_opts o = to_peer(false);
	struct sl_offload *s;
	struct test_net t = {0};

	test_net_open(&t);
	CHECK(!sl_offload_usable(&t.worker));
	CHECK_INT(sl_offload_begin(&t.worker, &o, &s), -SL_EUNSUPP);
	CHECK_INT(sl_offload_end(NULL).packets, 0);
	test_net_close(&t);
}

TEST_MAIN()
