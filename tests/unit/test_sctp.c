/*
 * Data channels between two associations without loss: the life of a channel, kinds of messages, backpressure, the end.
 */
#include "lib/test.h"
#include "sim/sctp_net.h"

#include <malloc.h>

static struct sworld world;
static struct snode *a = &world.nodes[0], *b = &world.nodes[1];
static uint8_t big[SCTP_MAX_MESSAGE];

static const struct sctp_channel plain = {
	.stream = 65535,
	.ordered = true,
	.max_retransmits = -1,
	.max_lifetime_ms = -1,
	.label = SL_STR_INIT("chat"),
	.protocol = SL_STR_INIT("v1"),
};

static void start(void)
{
	sworld_init(&world, 1);
	sworld_start(&world);
	snet_pass(&world, 200);
}

static uint16_t open_channel(struct snode *n, const struct sctp_channel *c)
{
	uint16_t stream;

	sl_assert(sctp_open(n->s, c, &stream) == 0);
	snet_pass(&world, 200);
	return stream;
}

static bool got(const struct snode *n, unsigned n_messages, bool text, const char *want)
{
	return n->n_messages == n_messages && n->text == text && n->last_len == strlen(want) &&
	       memcmp(n->last, want, n->last_len) == 0;
}

/* ---- the association */

TEST(both_sides_connect_at_once)
{
	start();
	CHECK(a->up && b->up);
	CHECK(!a->down && !b->down);
	CHECK_INT(a->s->n_streams, SCTP_STREAMS);
	sworld_stop(&world);
}

TEST(a_side_that_comes_late_is_waited_for)
{
	sworld_init(&world, 1);
	snode_start(a);
	snet_pass(&world, 1200);
	CHECK(!a->up);
	snode_start(b);
	snet_pass(&world, 2500);
	CHECK(a->up && b->up);
	sworld_stop(&world);
}

TEST(ports_are_those_of_the_descriptions)
{
	sworld_init(&world, 1);
	a->opts.local_port = b->opts.remote_port = 5001;
	a->opts.remote_port = b->opts.local_port = 5002;
	sworld_start(&world);
	snet_pass(&world, 200);
	CHECK(a->up && b->up);
	CHECK(sl_get16(a->newest) == 5001 && sl_get16(a->newest + 2) == 5002);
	sworld_stop(&world);
}

TEST(a_peer_that_never_answers_is_given_up)
{
	sworld_init(&world, 1);
	snode_start(a);
	snet_pass(&world, 60000);
	CHECK(a->down != NULL);
	CHECK_INT(sctp_open(a->s, &plain, &(uint16_t){0}), -SL_ECLOSED);
	sworld_stop(&world);
}

TEST(many_associations_come_and_go)
{
	for (unsigned i = 0; i < 200; i++) {
		start();
		CHECK(a->up && b->up);
		open_channel(a, &plain);
		CHECK_INT(b->n_opened, 1);
		sworld_stop(&world);
	}
}

/* ---- opening and closing */

TEST(a_channel_opens_with_its_label_and_is_confirmed)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	CHECK_INT(stream, 0);
	CHECK_INT(b->n_opened, 1);
	CHECK_INT(b->opened, 0);
	CHECK_STR(sl_str_c(b->label), "chat");
	CHECK_STR(sl_str_c(b->protocol), "v1");
	CHECK(b->channel.ordered && b->channel.max_retransmits == -1 && b->channel.max_lifetime_ms == -1);
	CHECK_INT(a->n_opened, 1); /* confirmed */
	CHECK_STR(sl_str_c(a->label), "chat");
	CHECK_INT(open_channel(a, &plain), 2);
	CHECK_INT(open_channel(b, &plain), 1); /* the server's are odd */
	CHECK_INT(open_channel(b, &plain), 3);
	CHECK_INT(a->n_opened, 4);
	sworld_stop(&world);
}

TEST(channels_may_be_opened_and_written_to_before_the_association_is_up)
{
	uint16_t stream;

	sworld_init(&world, 1);
	sworld_start(&world);
	CHECK_INT(sctp_open(a->s, &plain, &stream), 0);
	CHECK_INT(sctp_send(a->s, stream, true, "early", 5), 0);
	CHECK_INT(sctp_buffered(a->s, stream), 5);
	snet_pass(&world, 300);
	CHECK_INT(b->n_opened, 1);
	CHECK(got(b, 1, true, "early"));
	CHECK_INT(sctp_buffered(a->s, stream), 0);
	sworld_stop(&world);
}

TEST(reliability_and_order_are_told_to_the_peer)
{
	struct sctp_channel c = plain;

	start();
	c.ordered = false;
	c.max_retransmits = 3;
	open_channel(a, &c);
	CHECK(!b->channel.ordered && b->channel.max_retransmits == 3 && b->channel.max_lifetime_ms == -1);
	c.max_retransmits = -1;
	c.max_lifetime_ms = 250;
	open_channel(a, &c);
	CHECK(!b->channel.ordered && b->channel.max_retransmits == -1 && b->channel.max_lifetime_ms == 250);
	c.max_retransmits = 1; /* both */
	CHECK_INT(sctp_open(a->s, &c, &(uint16_t){0}), -SL_EINVAL);
	sworld_stop(&world);
}

TEST(negotiated_channels_need_no_words)
{
	struct sctp_channel c = plain;
	uint16_t stream;

	start();
	c.negotiated = true;
	c.stream = 7;
	CHECK_INT(sctp_open(a->s, &c, &stream), 0);
	CHECK_INT(stream, 7);
	CHECK_INT(sctp_open(a->s, &c, &stream), -SL_EEXIST);
	CHECK_INT(a->n_opened, 1);
	CHECK_INT(sctp_open(b->s, &c, &stream), 0);
	CHECK_INT(sctp_send(a->s, 7, false, "x", 1), 0);
	snet_pass(&world, 100);
	CHECK(got(b, 1, false, "x"));
	CHECK_INT(b->counters.bad_dcep, 0);
	c.stream = 65535;
	CHECK_INT(sctp_open(a->s, &c, &stream), -SL_EINVAL);
	c.stream = SCTP_STREAMS;
	CHECK_INT(sctp_open(a->s, &c, &stream), -SL_EINVAL);
	sworld_stop(&world);
}

TEST(closing_resets_the_stream_both_ways_and_frees_its_number)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_send(a->s, stream, true, "last words", 10), 0);
	CHECK_INT(sctp_close(a->s, stream), 0);
	CHECK_INT(sctp_send(a->s, stream, true, "x", 1), -SL_ENOENT);
	CHECK_INT(sctp_close(a->s, stream), -SL_ENOENT);
	snet_pass(&world, 1000);
	CHECK(got(b, 1, true, "last words"));
	CHECK_INT(a->n_closed, 1);
	CHECK_INT(b->n_closed, 1);
	CHECK_INT(b->closed, stream);
	CHECK_INT(open_channel(a, &plain), stream);
	CHECK_INT(b->n_opened, 2);
	CHECK_INT(sctp_send(b->s, stream, true, "again", 5), 0);
	snet_pass(&world, 100);
	CHECK(got(a, 1, true, "again"));
	sworld_stop(&world);
}

TEST(both_may_close_at_once)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_close(a->s, stream), 0);
	CHECK_INT(sctp_close(b->s, stream), 0);
	snet_pass(&world, 2000);
	CHECK_INT(a->n_closed, 1);
	CHECK_INT(b->n_closed, 1);
	sworld_stop(&world);
}

TEST(channels_close_by_the_dozen)
{
	start();
	for (unsigned i = 0; i < SCTP_STREAMS / 2; i++)
		open_channel(a, &plain);
	CHECK_INT(b->n_opened, SCTP_STREAMS / 2);
	CHECK_INT(sctp_open(a->s, &plain, &(uint16_t){0}), -SL_EFULL);
	for (unsigned i = 0; i < SCTP_STREAMS / 2; i++)
		CHECK_INT(sctp_close(i % 2 ? a->s : b->s, (uint16_t)(2 * i)), 0);
	snet_pass(&world, 5000);
	CHECK_INT(a->n_closed, SCTP_STREAMS / 2);
	CHECK_INT(b->n_closed, SCTP_STREAMS / 2);
	sworld_stop(&world);
}

/* ---- messages */

TEST(text_bytes_and_nothing_arrive_as_what_they_are)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_send(a->s, stream, true, "hello", 5), 0);
	snet_pass(&world, 100);
	CHECK(got(b, 1, true, "hello"));
	CHECK_INT(sctp_send(b->s, stream, false, "\1\2", 2), 0);
	snet_pass(&world, 100);
	CHECK(got(a, 1, false, "\1\2"));
	CHECK_INT(sctp_send(a->s, stream, true, NULL, 0), 0);
	snet_pass(&world, 100);
	CHECK(got(b, 2, true, ""));
	CHECK_INT(sctp_send(a->s, stream, false, NULL, 0), 0);
	snet_pass(&world, 100);
	CHECK(got(b, 3, false, ""));
	CHECK_INT(a->counters.messages_out, 3);
	CHECK_INT(b->counters.messages_in, 3);
	CHECK_INT(b->counters.bytes_in, 5);
	sworld_stop(&world);
}

TEST(messages_of_256_kib_go_both_ways)
{
	uint16_t stream;

	start();
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7 + i / 1000);
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_send(a->s, stream, false, big, sizeof big), 0);
	CHECK_INT(sctp_send(b->s, stream, false, big, sizeof big), 0);
	snet_pass(&world, 5000);
	CHECK_INT(b->n_messages, 1);
	CHECK(b->last_len == sizeof big && memcmp(b->last, big, sizeof big) == 0);
	CHECK_INT(a->n_messages, 1);
	CHECK(a->last_len == sizeof big && memcmp(a->last, big, sizeof big) == 0);
	CHECK(!b->s->part);
	CHECK_INT(sctp_send(a->s, stream, false, big, sizeof big + 1), -SL_ELIMIT);
	sworld_stop(&world);
}

TEST(the_peers_limit_is_kept)
{
	uint16_t stream;

	sworld_init(&world, 1);
	a->opts.max_message = 1000;
	b->opts.max_message = 0; /* not said: 64 KiB */
	sworld_start(&world);
	snet_pass(&world, 200);
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_send(a->s, stream, false, big, 1001), -SL_ELIMIT);
	CHECK_INT(sctp_send(a->s, stream, false, big, 1000), 0);
	CHECK_INT(sctp_send(b->s, stream, false, big, 65537), -SL_ELIMIT);
	CHECK_INT(sctp_send(b->s, stream, false, big, 65536), 0);
	sworld_stop(&world);
}

TEST(a_message_over_our_limit_closes_its_channel)
{
	static uint8_t huge[SCTP_MAX_MESSAGE + 5000];
	const struct sctp_fate fate = {.ordered = true, .max_retransmits = -1, .lifetime_ms = -1};
	uint16_t stream, other;

	start();
	stream = open_channel(a, &plain);
	other = open_channel(a, &plain);
	CHECK_INT(sctp_lib_send(a->s, stream, SCTP_PPID_BINARY, &fate, huge, sizeof huge), 0);
	snet_pass(&world, 5000);
	CHECK_INT(b->n_messages, 0);
	CHECK_INT(b->counters.too_long, 1);
	CHECK_INT(a->n_closed, 1);
	CHECK_INT(b->closed, stream);
	CHECK_INT(sctp_send(a->s, other, true, "fine", 4), 0);
	snet_pass(&world, 100);
	CHECK(got(b, 1, true, "fine"));
	sworld_stop(&world);
}

TEST(a_callback_may_answer)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	b->on_message = NULL;
	CHECK_INT(sctp_send(a->s, stream, true, "ping", 4), 0);
	snet_pass(&world, 100);
	CHECK_INT(sctp_send(b->s, stream, b->text, b->last, b->last_len), 0);
	snet_pass(&world, 100);
	CHECK(got(a, 1, true, "ping"));
	sworld_stop(&world);
}

static void close_at_once(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	sl_assert(sctp_send(n->s, stream, true, "bye", 3) == 0);
	sl_assert(sctp_close(n->s, stream) == 0);
}

TEST(a_callback_may_answer_and_close)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	b->on_message = close_at_once;
	CHECK_INT(sctp_send(a->s, stream, true, "ping", 4), 0);
	snet_pass(&world, 1000);
	CHECK(got(a, 1, true, "bye"));
	CHECK_INT(a->n_closed, 1);
	CHECK_INT(b->n_closed, 1);
	sworld_stop(&world);
}

static void free_at_once(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	sl_assert(sctp_send(n->s, stream, true, "never read", 10) == 0);
	sctp_free(n->s);
	n->s = NULL;
}

TEST(a_callback_may_free_its_association)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	open_channel(a, &plain);
	b->on_message = free_at_once;
	for (unsigned i = 0; i < 3; i++) /* more to read than the first */
		CHECK_INT(sctp_send(a->s, stream, true, "ping", 4), 0);
	snet_pass(&world, 1000);
	CHECK_INT(b->n_messages, 1);
	CHECK_INT(b->n_closed, 0);
	CHECK(!b->s && !b->down);
	sworld_stop(&world);
	CHECK_INT(sctp_tick(++snet_now_ms) == UINT64_MAX, true);
}

/* ---- backpressure */

TEST(a_peer_that_reads_nothing_leaves_a_bounded_queue)
{
	unsigned n = 0;
	uint16_t stream;
	int rc = 0;

	start();
	stream = open_channel(a, &plain);
	b->silent = true;
	while (n < 100000 && (rc = sctp_send(a->s, stream, false, big, 1000)) == 0)
		n++;
	CHECK_INT(rc, -SL_EFULL);
	CHECK(n >= 1000 && n <= 1700); /* 1 MiB here and 512 KiB in the library */
	CHECK(sctp_buffered(a->s, stream) <= 1024 * 1024);
	CHECK_INT(a->n_writable, 0);
	b->silent = false;
	snet_pass(&world, 20000);
	CHECK_INT(b->n_messages, n);
	CHECK_INT(sctp_buffered(a->s, stream), 0);
	CHECK_INT(a->n_writable, 1);
	sworld_stop(&world);
}

TEST(who_is_held_reads_nothing_and_loses_nothing)
{
	unsigned n = 0;
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	CHECK_INT(sctp_send(a->s, stream, false, big, 1000), 0);
	snet_pass(&world, 1000);
	CHECK_INT(b->n_messages, 1);
	sctp_hold(b->s, true);
	while (sctp_send(a->s, stream, false, big, 1000) == 0)
		n++;
	snet_pass(&world, 20000); /* longer than a path without answers would be kept */
	CHECK_INT(b->n_messages, 1);
	CHECK(sctp_buffered(a->s, stream) > 500000); /* a window's worth has gone */
	sctp_hold(b->s, false);
	snet_pass(&world, 20000);
	CHECK_INT(b->n_messages, 1 + n);
	CHECK_INT(sctp_buffered(a->s, stream), 0);
	CHECK(a->up && b->up && !a->down && !b->down);
	sworld_stop(&world);
}

static void hold_at_once(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	(void)stream;
	(void)data;
	(void)len;
	sctp_hold(n->s, true);
}

TEST(a_callback_may_hold)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	b->on_message = hold_at_once;
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(sctp_send(a->s, stream, false, big, 10), 0);
	snet_pass(&world, 1000);
	CHECK_INT(b->n_messages, 1);
	for (unsigned i = 2; i <= 3; i++) {
		sctp_hold(b->s, false);
		snet_pass(&world, 1000);
		CHECK_INT(b->n_messages, i);
	}
	sworld_stop(&world);
}

TEST(writable_is_told_at_the_threshold)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	sctp_set_threshold(a->s, stream, 100000);
	while (sctp_buffered(a->s, stream) <= 300000)
		CHECK_INT(sctp_send(a->s, stream, false, big, 10000), 0);
	for (unsigned i = 0; i < 10000 && a->n_writable == 0; i++)
		snet_pass(&world, 1);
	CHECK_INT(a->n_writable, 1);
	CHECK_INT(a->writable, stream);
	CHECK(sctp_buffered(a->s, stream) <= 100000 && sctp_buffered(a->s, stream) > 0);
	snet_pass(&world, 10000);
	CHECK_INT(a->n_writable, 1);
	sworld_stop(&world);
}

static unsigned n_before_quick;

static void note_quick(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	(void)stream;
	if (len == 5 && memcmp(data, "quick", 5) == 0)
		n_before_quick = n->n_messages;
}

TEST(streams_take_turns)
{
	uint16_t bulk, small;

	start();
	bulk = open_channel(a, &plain);
	small = open_channel(a, &plain);
	for (unsigned i = 0; i < 90; i++)
		CHECK_INT(sctp_send(a->s, bulk, false, big, 16384), 0);
	CHECK_INT(sctp_send(a->s, small, true, "quick", 5), 0);
	b->on_message = note_quick;
	snet_pass(&world, 10000);
	CHECK_INT(b->n_messages, 91);
	CHECK(n_before_quick > 0 && n_before_quick < 60); /* not behind all of the bulk */
	sworld_stop(&world);
}

TEST(what_is_too_old_before_it_is_sent_is_dropped)
{
	struct sctp_channel c = plain;
	unsigned n = 0;
	uint16_t stream;

	start();
	c.max_lifetime_ms = 100;
	c.ordered = false;
	stream = open_channel(a, &c);
	b->silent = true;
	while (sctp_send(a->s, stream, false, big, 10000) == 0)
		n++;
	snet_pass(&world, 400);
	b->silent = false;
	snet_pass(&world, 20000);
	CHECK(a->counters.expired > 50);
	CHECK_INT(sctp_buffered(a->s, stream), 0);
	CHECK(b->n_messages <= n - a->counters.expired);
	sworld_stop(&world);
}

/* ---- what peers get wrong */

static void send_dcep(struct snode *n, uint16_t stream, const void *message, size_t len)
{
	const struct sctp_fate fate = {.ordered = true, .max_retransmits = -1, .lifetime_ms = -1};

	sl_assert(sctp_lib_send(n->s, stream, SCTP_PPID_DCEP, &fate, message, len) == 0);
	snet_pass(&world, 50);
}

TEST(malformed_dcep_is_counted_and_opens_nothing)
{
	start();
	send_dcep(a, 0, "\3", 1);
	send_dcep(a, 0, "\3\0\0\0\0\0\0\0\0\5\0\0abc", 15);   /* label longer than the message */
	send_dcep(a, 0, "\3\0\0\0\0\0\0\0\0\1\0\0abc", 15);   /* and shorter */
	send_dcep(a, 0, "\3\7\0\0\0\0\0\0\0\0\0\0", 12);      /* type */
	send_dcep(a, 0, "\2", 1);			       /* ACK of nothing */
	send_dcep(a, 0, "\77", 1);
	CHECK_INT(b->counters.bad_dcep, 6);
	CHECK_INT(b->n_opened, 0);
	send_dcep(a, 0, "\3\0\0\0\0\0\0\0\0\0\0\0", 12);
	CHECK_INT(b->n_opened, 1);
	send_dcep(a, 0, "\3\0\0\0\0\0\0\0\0\0\0\0", 12); /* in use */
	CHECK_INT(b->counters.bad_dcep, 7);
	CHECK_INT(b->n_opened, 1);
	sworld_stop(&world);
}

TEST(messages_without_a_channel_are_counted)
{
	const struct sctp_fate fate = {.ordered = true, .max_retransmits = -1, .lifetime_ms = -1};

	start();
	CHECK_INT(sctp_lib_send(a->s, 9, SCTP_PPID_TEXT, &fate, "x", 1), 0);
	snet_pass(&world, 50);
	CHECK_INT(b->counters.no_channel, 1);
	CHECK_INT(b->n_messages, 0);
	sworld_stop(&world);
}

TEST(packets_that_webrtc_does_not_use_do_not_reach_the_library)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool good;
	} cases[] = {
		{"", 0, false},
		{"\0\0\0\0\0\0\0\0\0\0\0\0", 12, false},
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xb\0\0\4", 16, true},		      /* COOKIE ACK */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xb\0\0\3", 16, false},		      /* shorter than its header */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xb\0\0\5", 16, false},		      /* longer than the packet */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xb\0\0\4\xb\0", 18, false},	      /* rest */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\x3\0\0\4", 16, false},		      /* SACK without its fields */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xf\0\0\10abcd", 20, false},		      /* AUTH */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xc1\0\0\10abcd", 20, false},	      /* ASCONF */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\x81\0\0\10abcd", 20, false},	      /* packet drop */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\10abcd\4\0\0\10abcd", 28, true},   /* two HEARTBEATs */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\11abcde", 21, true},		      /* padding missing at the end */
		{"\0\0\0\0\0\0\0\0\0\0\0\0\xb\0\0\4\1\0\0\24aaaabbbbccccdddd", 36, false}, /* INIT is not alone */
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
		if (sctp_guard((const uint8_t *)cases[i].bytes, cases[i].len) == cases[i].good)
			continue;
		printf("# case %zu\n", i);
		CHECK(false);
	}
	start();
	sctp_input(b->s, (const uint8_t *)cases[7].bytes, cases[7].len);
	CHECK_INT(b->counters.bad_packet, 1);
	sworld_stop(&world);
}

/* Fragments that are first or in the middle, and never the last. */
static void flood(uint8_t flags, size_t len, unsigned count, unsigned step)
{
	uint8_t chunk[1100] = {0};
	uint32_t tsn = b->acknowledged;

	for (unsigned i = 0; i < count; i++) {
		chunk[1] = i == 0 ? (uint8_t)(flags | 2) : flags;
		sl_put16(chunk + 2, (uint16_t)(16 + len));
		sl_put32(chunk + 4, tsn += step);
		chunk[15] = SCTP_PPID_BINARY;
		snode_forge(b, chunk, 16 + len);
	}
}

TEST(a_flood_of_what_never_ends_is_bounded_by_the_window)
{
	static const struct {
		uint8_t flags; /* 4: unordered, 2: first */
		size_t len;
		unsigned step;
	} floods[] = {{0, 1000, 1}, {4, 1000, 1}, {0, 4, 1}, {4, 4, 1}, {6, 1000, 2}, {2, 1000, 2}, {6, 4, 2}};
	size_t before, after;

	for (size_t i = 0; i < SL_ARRAY_LEN(floods); i++) {
		start();
		open_channel(a, &plain);
		snet_pass(&world, 300); /* SACKs may be delayed */
		CHECK(b->acknowledged != 0);
		b->cut = true; /* else its answers take memory here */
		before = mallinfo2().uordblks + mallinfo2().hblkhd;
		flood(floods[i].flags, floods[i].len, 20000, floods[i].step);
		after = mallinfo2().uordblks + mallinfo2().hblkhd;
		if (after > before + 1024 * 1024)
			printf("# flood %zu takes %zu bytes\n", i, after - before);
		CHECK(after <= before + 1024 * 1024);
		sworld_stop(&world);
	}
}

TEST(an_aborted_association_closes_its_channels_and_says_why)
{
	static const uint8_t abort_chunk[] = {6, 0, 0, 4};

	start();
	open_channel(a, &plain);
	snode_forge(b, abort_chunk, sizeof abort_chunk);
	CHECK(b->down != NULL);
	CHECK_INT(b->n_closed, 1);
	CHECK_INT(sctp_send(b->s, 0, true, "x", 1), -SL_ENOENT);
	sworld_stop(&world);
}

TEST(after_an_outage_all_goes_on_within_seconds)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	a->cut = b->cut = true;
	CHECK_INT(sctp_send(a->s, stream, true, "there", 5), 0);
	snet_pass(&world, 25000);
	a->cut = b->cut = false;
	snet_pass(&world, 3100);
	CHECK(got(b, 1, true, "there"));
	sworld_stop(&world);
}

TEST(a_peer_that_is_gone_is_noticed_when_something_is_sent)
{
	uint16_t stream;

	start();
	stream = open_channel(a, &plain);
	b->silent = true;
	CHECK_INT(sctp_send(a->s, stream, true, "x", 1), 0);
	snet_pass(&world, 60000);
	CHECK(!a->down); /* ICE decides, not we */
	snet_pass(&world, 60000);
	CHECK(a->down != NULL);
	CHECK_INT(a->n_closed, 1);
	sworld_stop(&world);
}

TEST(time_is_needed_only_while_there_are_associations)
{
	sworld_init(&world, 1);
	CHECK(sctp_tick(snet_now_ms) == UINT64_MAX);
	sworld_start(&world);
	snet_now_ms++;
	CHECK(sctp_tick(snet_now_ms) == snet_now_ms + 10);
	sworld_stop(&world);
	snet_now_ms++;
	CHECK(sctp_tick(snet_now_ms) == UINT64_MAX);
	sctp_free(NULL);
	CHECK_INT(sctp_start(), 0);
}

TEST(the_library_stops_and_starts_again)
{
	sctp_stop();
	start();
	CHECK(a->up);
	sworld_stop(&world);
	sctp_stop();
}

TEST_MAIN()
