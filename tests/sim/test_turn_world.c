/*
 * The TURN engine against a model of RFC 8656 that is too simple to be wrong: random clients do
 * random things at random times, and after every step engine and model must agree on the answer and
 * on who may send to whom.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

enum {
	CLIENTS = 48,
	USERS = 6,
	HOSTS = 8,
	PORTS = 4,
	NUMBERS = 12,
	PER_USER = 6,
	TOTAL = 30,
	STEPS = 12000,
};

struct model {
	bool alive;
	uint64_t expires;
	uint64_t perm[HOSTS];	   /* expiry */
	uint64_t channel[NUMBERS]; /* expiry */
	unsigned host[NUMBERS], port[NUMBERS];
};

static struct tnet net;
static struct tclient clients[CLIENTS];
static struct model models[CLIENTS];
static struct sl_turn_user users[USERS];
static char user_names[USERS][8];
static uint64_t chance;

static unsigned pick(unsigned n)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(chance >> 33) % n;
}

static struct sl_addr peer_addr(unsigned host, unsigned port)
{
	return (struct sl_addr){
		.family = 4, .port = (uint16_t)(5000 + port), .ip = {192, 0, 2, (uint8_t)host}};
}

static void world_start(uint64_t seed)
{
	chance = seed;
	tnet_init(&net);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(user_names[i], sizeof user_names[i], "user%u", i);
		users[i] = (struct sl_turn_user){sl_str_c(user_names[i]), SL_STR("pw")};
	}
	net.realm.users = users;
	net.realm.n_users = USERS;
	net.conf.total.allocations = TOTAL;
	net.realm.limits[SL_TURN_PER_USER].allocations = PER_USER;
	tnet_start(&net);
	memset(models, 0, sizeof models);
	for (unsigned i = 0; i < CLIENTS; i++) {
		tclient_init(&clients[i], &net, "198.51.100.1:1", user_names[i % USERS], "pw");
		clients[i].at.remote.port = (uint16_t)(1000 + i);
	}
}

/* ---- the model */

static void model_pass(struct model *m)
{
	if (m->alive && m->expires <= net.now_ms)
		*m = (struct model){0};
}

static int model_allocate(unsigned i)
{
	unsigned total = 0, same_user = 0;

	for (unsigned k = 0; k < CLIENTS; k++) {
		model_pass(&models[k]);
		total += models[k].alive;
		same_user += models[k].alive && k % USERS == i % USERS;
	}
	if (models[i].alive)
		return 437;
	if (total >= TOTAL)
		return 508;
	if (same_user >= PER_USER)
		return 486;
	models[i] = (struct model){.alive = true, .expires = net.now_ms + 600000};
	return 0;
}

static int model_bind(struct model *m, unsigned number, unsigned host, unsigned port)
{
	for (unsigned k = 0; k < NUMBERS; k++) {
		bool same_peer = m->host[k] == host && m->port[k] == port;

		if (m->channel[k] > net.now_ms && (k == number) != same_peer)
			return 400;
	}
	m->host[number] = host;
	m->port[number] = port;
	m->channel[number] = net.now_ms + 600000;
	m->perm[host] = net.now_ms + 300000;
	return 0;
}

static int model_peer_in(const struct model *m, unsigned host, unsigned port)
{
	if (m->perm[host] <= net.now_ms)
		return -SL_EDENIED;
	for (unsigned k = 0; k < NUMBERS; k++)
		if (m->channel[k] > net.now_ms && m->host[k] == host && m->port[k] == port)
			return 0x4000 + (int)k;
	return 0;
}

/* ---- steps: each returns true when both agree */

static bool agree(const char *what, unsigned i, int got, int want)
{
	if (got == want)
		return true;
	printf("# %s of client %u at %" PRIu64 " ms: engine %d, model %d\n", what, i, net.now_ms,
	       got, want);
	return false;
}

static bool step_allocate(unsigned i)
{
	int want = model_allocate(i);

	return agree("Allocate", i, tc_ask_allocate(&clients[i]), want);
}

static bool step_refresh(unsigned i)
{
	struct model *m = &models[i];
	uint32_t lifetime = pick(4) == 0 ? 0 : pick(5000);
	uint32_t granted = lifetime < 600 ? 600 : lifetime > 3600 ? 3600 : lifetime;
	int want = m->alive ? 0 : 437;

	if (m->alive && lifetime > 0)
		m->expires = net.now_ms + granted * UINT64_C(1000);
	if (lifetime == 0)
		*m = (struct model){0};
	return agree("Refresh", i, tc_ask_refresh(&clients[i], lifetime), want);
}

static bool step_permission(unsigned i)
{
	struct model *m = &models[i];
	unsigned a = pick(HOSTS), b = pick(HOSTS);
	struct sl_addr peer_a = peer_addr(a, 0), peer_b = peer_addr(b, 1);
	int want = m->alive ? 0 : 437;

	if (m->alive)
		m->perm[a] = m->perm[b] = net.now_ms + 300000;
	sl_stun_put_xor_addr(&clients[i].w, SL_TURN_XOR_PEER_ADDRESS, &peer_a);
	return agree("CreatePermission", i, tc_ask_permission(&clients[i], &peer_b), want);
}

static bool step_bind(unsigned i)
{
	struct model *m = &models[i];
	unsigned number = pick(NUMBERS), host = pick(HOSTS), port = pick(PORTS);
	struct sl_addr peer = peer_addr(host, port);
	int want = m->alive ? model_bind(m, number, host, port) : 437;

	return agree("ChannelBind", i,
		     tc_ask_channel(&clients[i], (uint16_t)(0x4000 + number), &peer), want);
}

static bool check_data(unsigned i)
{
	struct tclient *c = &clients[i];
	const struct model *m = &models[i];
	unsigned host = pick(HOSTS), port = pick(PORTS), k = pick(NUMBERS);
	struct sl_addr peer = peer_addr(host, port), bound = peer_addr(m->host[k], m->port[k]);
	const struct sl_addr *to;
	bool open;

	c->alloc = turn_alloc_find(net.turn, &c->at);
	if (!agree("life", i, c->alloc != NULL, m->alive))
		return false;
	if (c->alloc) {
		open = m->channel[k] > net.now_ms;
		to = tc_channel_data(c, (uint16_t)(0x4000 + k), 8);
		if (!agree("ChannelData", i, to && sl_addr_eq(to, &bound), open))
			return false;
		if (!agree("peer data", i, tc_peer_data(c, &peer), model_peer_in(m, host, port)))
			return false;
	}
	c->alloc = NULL;
	return true;
}

static bool step(void)
{
	static bool (*const steps[])(unsigned) = {step_allocate,   step_allocate, step_refresh,
						  step_permission, step_bind,	  step_bind,
						  step_bind};
	unsigned i = pick(CLIENTS);

	if (pick(3) == 0)
		tnet_pass(&net, pick(20) == 0 ? pick(400000) : pick(2000));
	model_pass(&models[i]);
	clients[i].alloc = NULL;
	return steps[pick(SL_ARRAY_LEN(steps))](i) && check_data(i);
}

static void run_world(uint64_t seed)
{
	world_start(seed);
	for (unsigned n = 0; n < STEPS; n++)
		if (!step())
			TEST_FAIL("seed %" PRIu64 ", step %u", seed, n);
	CHECK(sl_turn_counters(net.turn)->allocations > 100);
	CHECK(sl_turn_counters(net.turn)->expired > 10);
	tnet_pass(&net, 3600 * 1000);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK_INT(net.turn->parties.count + net.turn->perms.count + net.turn->by_number.count, 0);
	CHECK(tnet_stop(&net));
}

TEST(engine_and_model_agree_in_random_worlds)
{
	for (uint64_t seed = 1; seed <= 6 && !test_failed; seed++)
		run_world(seed);
}

TEST(five_thousand_allocations_come_and_go)
{
	const struct sl_addr peer = peer_addr(1, 1);
	static struct tclient c;

	world_start(99);
	net.conf.total.allocations = 0;
	net.realm.limits[SL_TURN_PER_USER].allocations = 0;
	for (unsigned i = 0; i < 5000; i++) {
		tclient_init(&c, &net, "198.51.100.1:1", "user0", "pw");
		c.at.remote.port = (uint16_t)(1000 + i);
		CHECK_INT(tc_ask_allocate(&c), 0);
		CHECK_INT(tc_ask_channel(&c, 0x4000, &peer), 0);
		tnet_pass(&net, 10);
	}
	CHECK_INT(sl_turn_allocations(net.turn), 5000);
	tnet_pass(&net, 600 * 1000 - 5000 * 10 - 1);
	CHECK_INT(sl_turn_allocations(net.turn), 5000);
	tnet_pass(&net, 1);
	CHECK_INT(sl_turn_allocations(net.turn), 4999);
	tnet_pass(&net, 5000 * 10);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK_INT(net.n_released, 5000);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
