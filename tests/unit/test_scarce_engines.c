/*
 * tests/unit/test_scarce_engines.c: the engines of ICE, JSEP, SCTP and TURN without memory. What failed is said with -SL_ENOMEM,
 * or 508 by TURN, and can be asked for again: each story repeats what was refused and must end as if nothing had been missing.
 */
#include "lib/scarce.h"
#include "lib/jsep.h"
#include "proto/bwe.h"
#include "proto/rtp_recv.h"
#include "proto/turn_impl.h"
#include "proto/twcc.h"
#include "sim/ice_net.h"
#include "sim/sctp_net.h"
#include "sim/turn_net.h"

#include <sluice/codec.h>
#include <sluice/layers.h>

/* Once more when memory was missing, which then is there. */
#define AGAIN(err_, call_)                                                                         \
	do {                                                                                       \
		if ((err_ = (call_)) == -SL_ENOMEM)                                                \
			err_ = (call_);                                                            \
		if (err_ < 0)                                                                      \
			goto out;                                                                  \
	} while (0)

/* ---- ICE */

static struct iworld ice;

static int start_agent(struct inode *n)
{
	int err;

	AGAIN(err, ice_new(&n->agent, &n->opts, &inode_io, n));
	AGAIN(err, ice_add_local(n->agent, &n->bases[0], NULL, 0, ICE_UDP));
out:
	return err;
}

/* From one agent to the other, as signalling would: credentials and candidates. */
static int describe(struct inode *n, struct inode *to)
{
	struct ice_candidate c[INET_BASES];
	unsigned k = ice_local_candidates(n->agent, c, INET_BASES);
	int err;

	AGAIN(err, ice_set_remote(to->agent, sl_str_c(ice_ufrag(n->agent)),
				  sl_str_c(ice_password(n->agent)), false, ice.now_ms));
	for (unsigned i = 0; i < k; i++)
		AGAIN(err, ice_add_remote(to->agent, &c[i], ice.now_ms));
out:
	return err;
}

static int connect_agents(void)
{
	struct inode *a = &ice.nodes[0], *b = &ice.nodes[1];
	int err;

	iworld_init(&ice, 1);
	inode_init(&ice, 0, "192.0.2.1:3478", true, false);
	inode_init(&ice, 1, "198.51.100.1:5000", false, false);
	if ((err = start_agent(a)) < 0 || (err = start_agent(b)) < 0)
		goto out;
	for (unsigned round = 0; round < 2; round++) {
		if ((err = describe(a, b)) < 0 || (err = describe(b, a)) < 0)
			goto out;
		inet_pass(&ice, 5000);
		if (!iworld_agrees(&ice) || ice.wrong)
			err = -SL_EBUG;
		if (round > 0 || err < 0)
			break;
		AGAIN(err, ice_restart(a->agent, ice.now_ms));
		AGAIN(err, ice_restart(b->agent, ice.now_ms));
	}
out:
	iworld_stop(&ice);
	sl_random_fake(NULL);
	return err;
}

TEST(agents_connect_and_restart_although_memory_was_missing)
{
	CHECK_SCARCE(connect_agents);
}

/* ---- JSEP */

static int open_sides(struct jsep_side *a, struct jsep_side *b)
{
	bool was = scarce_set(false);
	int err;

	*a = jsep_side("aaaa", &rtc_caps);
	*b = jsep_side("bbbb", &rtc_caps);
	scarce_set(was);
	for (int kind = SL_MEDIA_AUDIO; kind <= SL_MEDIA_VIDEO; kind++) {
		struct jsep_media *m;

		AGAIN(err, jsep_add(a->j, (enum sl_media_kind)kind, JSEP_SEND | JSEP_RECV, &m));
	}
out:
	return err;
}

/* Which side failed, and has to give its half-made description up, is the caller's to know. */
static int negotiate(void)
{
	struct jsep_side a, b;
	int err = open_sides(&a, &b);

	for (unsigned round = 0; round < 2 && err == 0; round++) {
		AGAIN(err, jsep_side_offer(&a));
		AGAIN(err, jsep_side_hear(&b, sl_buf_view(&a.text)));
		AGAIN(err, jsep_side_answer(&b));
		AGAIN(err, jsep_remote_answer(a.j, sl_buf_view(&b.text), &a.remote, &a.error));
	}
out:
	if (err == -SL_EINVAL)
		printf("# %s %s\n", a.error.text, b.error.text);
	scarce_set(false);
	jsep_side_free(&a);
	jsep_side_free(&b);
	scarce_set(true);
	return err;
}

TEST(descriptions_are_agreed_on_although_memory_was_missing)
{
	CHECK_SCARCE(negotiate);
}

static int read_a_description(void)
{
	static const char text[] = JSEP_HEAD JSEP_TRANSPORT JSEP_OPUS("0") JSEP_VP8("1") JSEP_DATA("2");
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error error = {0};
	struct sl_sdp sdp;
	int err = pool ? sl_sdp_parse(&sdp, pool, sl_str_c(text), &error) : -SL_ENOMEM;

	sl_pool_destroy(pool);
	return err;
}

TEST(a_description_that_cannot_be_held_is_not_read)
{
	CHECK_SCARCE(read_a_description);
}

/* ---- SCTP */

static struct sworld sctp;

/* The network's own memory is there. */
static void stage_send(void *ctx, const uint8_t *packet, size_t len)
{
	bool was = scarce_set(false);

	snode_send(ctx, packet, len);
	scarce_set(was);
}

static const struct sctp_io stage_io = {stage_send,   snode_up,	     snode_down,    snode_opened,
					snode_closed, snode_message, snode_writable};

static int open_channels(void)
{
	static const struct sctp_channel c = {.stream = 65535,
					      .ordered = true,
					      .max_retransmits = -1,
					      .max_lifetime_ms = -1,
					      .label = SL_STR_INIT("chat")};
	struct snode *a = &sctp.nodes[0], *b = &sctp.nodes[1];
	bool was = scarce_set(false);
	uint16_t stream = 0;
	int err = 0;

	sworld_init(&sctp, 1);
	(void)sctp_tick(snet_now_ms);
	for (unsigned i = 0; i < 2; i++) {
		struct snode *n = &sctp.nodes[i];

		scarce_set(true);
		AGAIN(err, sctp_new(&n->s, &n->opts, &stage_io, n));
		scarce_set(false);
	}
	snet_pass(&sctp, 300);
	scarce_set(true);
	AGAIN(err, sctp_open(a->s, &c, &stream));
	AGAIN(err, sctp_send(a->s, stream, true, "hello", 5));
	scarce_set(false);
	snet_pass(&sctp, 300);
	if (b->n_opened != 1 || b->n_messages != 1 || stream != 0)
		err = -SL_EBUG;
out:
	scarce_set(false);
	sworld_stop(&sctp);
	scarce_set(was);
	return err;
}

TEST(channels_open_although_memory_was_missing)
{
	CHECK_SCARCE(open_channels);
}

/* ---- TURN */

static struct tnet turn;
static struct tclient alice, data;

/* A request that may be answered with 508 once; -SL_EBUG: it was answered in another way */
#define ASK(call_)                                                                                 \
	do {                                                                                       \
		int code_ = (call_);                                                               \
		if (code_ == 508 || code_ == 500)                                                  \
			code_ = (call_);                                                           \
		if (code_ != 0) {                                                                  \
			printf("# line %d: code %d\n", __LINE__, code_);                           \
			return -SL_EBUG;                                                           \
		}                                                                                  \
	} while (0)

static int allocate_udp(void)
{
	sl_stun_put_str(&alice.w, SL_TURN_MOBILITY_TICKET, SL_STR(""));
	return tc_ask_allocate(&alice);
}

static int relay_datagrams(void)
{
	const struct sl_addr p = taddr("192.0.2.1:5"), q = taddr("192.0.2.2:5");

	ASK(allocate_udp());
	ASK(tc_ask_permission(&alice, &p));
	ASK(tc_ask_channel(&alice, 0x4000, &q));
	if (sl_turn_alloc_permissions(alice.alloc) != 2 ||
	    sl_turn_peer_in(alice.alloc, &q, 10, turn.now_ms) != 0x4000)
		return -SL_EBUG;
	/* what was refused holds no object, and stands in no table */
	if (sl_slab_live(turn.turn->perm_slab) != 2 || sl_slab_live(turn.turn->channel_slab) != 1 ||
	    turn.turn->perms.count != 2 || turn.turn->by_number.count != 1 || turn.turn->by_peer.count != 1)
		return -SL_EBUG;
	return 0;
}

static int relay_streams(void)
{
	const struct sl_addr p = taddr("192.0.2.9:5000");
	int code;

	ASK(tc_ask_allocate_tcp(&alice));
	code = tc_ask_connect(&alice, &p);
	if (code == 508 || code == 500)
		code = tc_ask_connect(&alice, &p);
	if (code != -1)
		return -SL_EBUG;
	if (tc_hear(&alice, sl_turn_connected(turn.conn, 0, turn.now_ms, alice.reply,
					      sizeof alice.reply)) != 0)
		return -SL_EBUG;
	ASK(tc_ask_bind(&data, tc_reply_id(&alice)));
	return sl_slab_live(turn.turn->conn_slab) == 1 ? 0 : -SL_EBUG;
}

static int with_an_engine(int (*story)(void))
{
	static const uint8_t key[16] = "0123456789abcdef";
	int err;

	tnet_init(&turn);
	turn.conf.max_connections = 3;
	sl_hash_seed(key);
	AGAIN(err, sl_turn_new(&turn.turn, &turn.conf, key, &tnet_io, &turn));
	tclient_init(&alice, &turn, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&data, &turn, "198.51.100.1:1001", "alice", "wonder");
	data.at.transport = 6;
	err = story();
	if (!tnet_stop(&turn))
		err = -SL_EBUG;
out:
	return err;
}

static int serve_datagrams(void)
{
	return with_an_engine(relay_datagrams);
}

static int serve_streams(void)
{
	return with_an_engine(relay_streams);
}

TEST(what_turn_had_no_memory_for_is_granted_when_asked_again)
{
	CHECK_SCARCE(serve_datagrams);
	CHECK_SCARCE(serve_streams);
}

/* ---- what each stream of media has */

static int make_stream_parts(void)
{
	struct bwe *b;
	struct twcc_recv *t;
	struct rtp_recv *r;
	struct sl_layers *l;
	struct sl_codec_state *s;
	int err;

	if ((err = bwe_new(&b, &(struct bwe_opts){0}, 1)) < 0)
		return err;
	bwe_free(b);
	if ((err = twcc_recv_new(&t)) < 0)
		return err;
	twcc_recv_free(t);
	if ((err = rtp_recv_new(&r, 1, 90000, true)) < 0)
		return err;
	rtp_recv_free(r);
	if ((err = sl_layers_new(&l, 90000)) < 0)
		return err;
	sl_layers_free(l);
	if ((err = sl_codec_state_new(&s)) < 0)
		return err;
	sl_codec_state_free(s);
	return 0;
}

TEST(parts_of_a_stream_are_made_whole_or_not_at_all)
{
	CHECK_SCARCE(make_stream_parts);
}

TEST_MAIN()
