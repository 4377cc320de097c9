/*
 * Fuzz target: an ICE agent and the parser of candidates.
 *
 * The first byte chooses the kind of agent. The rest is a list of records {what, where, length, bytes}: raw messages,
 * checks and answers that are signed with the right keys so that what lies behind authentication is reached, candidates,
 * media, time, restarts. Whatever happens, paths are opened once and closed once, their number is bounded, and nothing
 * leaves along a path that the world does not know.
 */
#include "sim/ice_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ATTRS = 400 };

static struct iworld world;
static struct inode *n = &world.nodes[0];
static const char *const passwords[] = {"password-of-the-peer-1", "password-of-the-peer-2"};

static struct ice_path path_of(uint8_t where)
{
	struct ice_path p = {
		.local = n->bases[where & 1],
		.remote = {.family = 4, .port = 5000, .ip = {198, 51, 100, where >> 2 & 15}},
		.via = where & 1,
	};

	if (where & 2) {
		p.tcp = true;
		p.via = 100 + (where >> 2 & 3);
		p.local = n->bases[0];
	} else if (where & 1) {
		p.remote = (struct sl_addr){.family = 6, .port = 5000, .ip = {0x20, 1, [15] = where >> 2 & 15}};
	}
	return p;
}

static void input(uint8_t where, const uint8_t *p, size_t len)
{
	struct ice_path path = path_of(where);
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, p, len) < 0)
		return;
	(void)ice_is_for(n->agent, &msg);
	(void)ice_input(n->agent, &path, &msg, world.now_ms);
}

static void sign_and_input(struct sl_stun_writer *w, uint8_t where, const char *key)
{
	size_t len;

	sl_stun_put_integrity(w, sl_str_c(key));
	sl_stun_put_fingerprint(w);
	if (sl_stun_finish(w, &len) == 0)
		input(where, w->p, len);
}

/* Attributes as they stand; cut to whole words. */
static void put_raw(struct sl_stun_writer *w, const uint8_t *p, size_t len)
{
	len = (len < MAX_ATTRS ? len : MAX_ATTRS) & ~(size_t)3;
	memcpy(w->p + w->len, p, len);
	w->len += len;
}

static void signed_check(uint8_t where, const uint8_t *p, size_t len)
{
	uint8_t wire[800], txid[12] = {0}, kind = p[0];
	struct sl_stun_writer w;
	char user[64];

	txid[0] = p[1];
	txid[1] = kind >> 4;
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	snprintf(user, sizeof user, "%s:peer%u", ice_ufrag(n->agent), kind & 1);
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(user));
	if (!(kind & 2))
		sl_stun_put_u32(&w, SL_STUN_PRIORITY, 1000u + p[1]);
	if (kind & 4)
		sl_stun_put(&w, SL_STUN_USE_CANDIDATE, NULL, 0);
	if (kind & 8)
		sl_stun_put(&w, kind & 1 ? SL_STUN_ICE_CONTROLLED : SL_STUN_ICE_CONTROLLING, "\0\0\0\0\0\0\3", 8);
	put_raw(&w, p + 2, len - 2);
	sign_and_input(&w, where, ice_password(n->agent));
}

/* To the newest check that is under way. */
static void signed_answer(uint8_t where, const uint8_t *p, size_t len)
{
	uint8_t wire[800], txid[12] = {0};
	struct sl_stun_writer w;
	const struct idatagram *d = NULL;
	struct ice_path path;

	for (unsigned i = 0; i < INET_QUEUE; i++)
		if (world.queue[i].used && world.queue[i].bytes[0] == 0 && (!d || world.queue[i].order > d->order))
			d = &world.queue[i];
	if (d)
		memcpy(txid, d->bytes + 8, sizeof txid);
	sl_stun_begin(&w, wire, sizeof wire, p[0] & 1 ? SL_STUN_ERROR : SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
	if (p[0] & 1)
		sl_stun_put_error(&w, p[0] & 2 ? 487 : 300u + p[1], SL_STR(""));
	put_raw(&w, p + 2, len - 2);
	path = path_of(where);
	for (unsigned i = 0; d && i < 64; i++) { /* where it was sent to, as mostly */
		path = path_of((uint8_t)(i << 2 | (where & 3)));
		if (sl_addr_eq(&path.remote, &d->to)) {
			where = (uint8_t)(i << 2 | (where & 3));
			break;
		}
	}
	sign_and_input(&w, where, passwords[p[0] >> 2 & 1]);
}

static void candidate(const uint8_t *p, size_t len)
{
	struct ice_candidate c, again;
	char text[ICE_CANDIDATE_TEXT];

	if (ice_candidate_parse(&c, (struct sl_str){(const char *)p, len}) < 0)
		return;
	len = ice_candidate_format(text, &c);
	sl_assert(len < sizeof text && ice_candidate_parse(&again, (struct sl_str){text, len}) == 0);
	sl_assert(sl_addr_same_ip(&c.addr, &again.addr) && c.priority == again.priority);
	(void)ice_add_remote(n->agent, &c, world.now_ms);
}

static void describe(uint8_t which)
{
	(void)ice_set_remote(n->agent, which & 1 ? SL_STR("peer1") : SL_STR("peer0"), sl_str_c(passwords[which & 1]),
			     which & 2, world.now_ms);
}

static void record(uint8_t what, uint8_t where, const uint8_t *p, size_t len)
{
	struct ice_path path = path_of(where);

	switch (what % 9) {
	case 0:
		input(where, p, len);
		break;
	case 1:
		if (len >= 2)
			signed_check(where, p, len);
		break;
	case 2:
		if (len >= 2)
			signed_answer(where, p, len);
		break;
	case 3:
		candidate(p, len);
		break;
	case 4:
		inet_pass(&world, len > 0 ? (uint64_t)p[0] * p[0] : 10);
		break;
	case 5:
		describe(where);
		break;
	case 6:
		(void)ice_restart(n->agent, world.now_ms);
		break;
	case 7:
		(void)ice_may_receive(n->agent, &path, world.now_ms);
		break;
	default:
		if (where & 1)
			ice_end_of_candidates(n->agent, world.now_ms);
		else
			ice_base_gone(n->agent, path.via, world.now_ms);
	}
	sl_assert(n->agent->n_pairs <= ICE_MAX_PAIRS);
	sl_assert(!ice_selected(n->agent) || inode_has_open(n, ice_selected(n->agent)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_addr listener;

	if (size == 0)
		return 0;
	iworld_init(&world, 1);
	inode_init(&world, 0, "192.0.2.1:3478", data[0] & 1, data[0] & 2);
	inode_base(n, "[2001:db8::1]:3478");
	inode_start(n);
	listener = n->bases[0];
	(void)ice_add_local(n->agent, &listener, NULL, 9, ICE_TCP_PASSIVE);
	for (data++, size--; size >= 4;) {
		size_t len = sl_get16(data + 2) % 1200;

		if (len > size - 4)
			len = size - 4;
		record(data[0], data[1], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	inet_pass(&world, 100000);
	sl_assert(!world.wrong);
	iworld_stop(&world);
	return 0;
}
