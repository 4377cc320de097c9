/*
 * Data channels over networks that lose, delay and reorder, in virtual time, over several seeds: what is reliable arrives
 * whole and in order, what is not may be missing but never wrong, and channels open and close all the same.
 *
 * SCTP_MEGABYTES in the environment makes the transfer longer than what every run can afford.
 */
#include "lib/test.h"
#include "sim/sctp_net.h"

enum { SEEDS = 6, MEGABYTE = 1024 * 1024, TRANSFER_BYTES = 6 * MEGABYTE };

static struct sworld world;
static struct snode *a = &world.nodes[0], *b = &world.nodes[1];
static uint8_t block[SCTP_MAX_MESSAGE];

static const struct sctp_channel reliable = {
	.stream = 65535,
	.ordered = true,
	.max_retransmits = -1,
	.max_lifetime_ms = -1,
	.label = SL_STR_INIT("data"),
};

static void start(uint64_t seed, unsigned loss_percent, unsigned delay_ms)
{
	sworld_init(&world, seed);
	world.loss_percent = loss_percent;
	world.delay_ms = delay_ms;
	world.jitter_ms = delay_ms / 2;
	sworld_start(&world);
}

static bool eventually(bool (*holds)(void), uint64_t within_ms)
{
	for (uint64_t i = 0; i < within_ms; i += 10) {
		if (holds())
			return true;
		snet_pass(&world, 10);
	}
	return holds();
}

static bool both_up(void)
{
	return a->up && b->up;
}

TEST(associations_come_up_under_loss)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		start(seed, 30, 20);
		CHECK(eventually(both_up, 30000));
		sworld_stop(&world);
	}
}

/* ---- a transfer: block k is its number, then bytes that follow from number and place */

static struct {
	uint64_t begun, arrived; /* bytes */
	uint32_t next;		 /* number expected */
	bool wrong;
	unsigned seed;
} transfer;

static size_t block_len(uint32_t number)
{
	static const size_t sizes[] = {4, 65536, 1, 1160, 262144, 16384, 100000, 7};
	size_t len = sizes[number % SL_ARRAY_LEN(sizes)];

	return len < 4 ? 4 : len;
}

static void fill(uint8_t *p, uint32_t number)
{
	size_t len = block_len(number);

	sl_put32(p, number);
	for (size_t i = 4; i < len; i++)
		p[i] = (uint8_t)(number * 31 + i + i / 251);
}

static void check_block(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	(void)n;
	(void)stream;
	fill(block, transfer.next);
	if (len != block_len(transfer.next) || memcmp(data, block, len) != 0)
		transfer.wrong = true;
	transfer.arrived += len;
	transfer.next++;
}

static bool run_transfer(uint64_t bytes, uint64_t within_ms)
{
	uint64_t end = snet_now_ms + within_ms;
	uint32_t number = 0;
	uint16_t stream;

	memset(&transfer, 0, sizeof transfer);
	b->on_message = check_block;
	if (sctp_open(a->s, &reliable, &stream) < 0)
		return false;
	while (transfer.arrived < bytes && snet_now_ms < end && !transfer.wrong && !a->down) {
		while (transfer.begun < bytes) {
			fill(block, number);
			if (sctp_send(a->s, stream, false, block, block_len(number)) < 0)
				break;
			transfer.begun += block_len(number++);
		}
		snet_pass(&world, 10);
	}
	return transfer.arrived >= bytes && !transfer.wrong;
}

TEST(a_transfer_arrives_whole_under_loss)
{
	const char *megabytes = getenv("SCTP_MEGABYTES");
	uint64_t bytes = megabytes ? strtoull(megabytes, NULL, 10) * MEGABYTE : TRANSFER_BYTES;

	for (uint64_t seed = 1; seed <= (megabytes ? 1 : 2); seed++) {
		start(seed, 2, 20);
		CHECK(run_transfer(bytes, bytes / 10));
		CHECK(world.n_lost > 50);
		printf("# %llu MB in %llu virtual s\n", (unsigned long long)(bytes / MEGABYTE),
		       (unsigned long long)((snet_now_ms - 1000) / 1000));
		sworld_stop(&world);
	}
}

TEST(a_transfer_arrives_whole_under_heavy_loss)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(seed, 20, 10);
		CHECK(run_transfer(MEGABYTE, 1000 * 1000));
		sworld_stop(&world);
	}
}

/* ---- channels that may lose */

static struct {
	uint32_t last, n;
	bool backwards, wrong;
} numbers;

static void check_number(struct snode *n, uint16_t stream, const uint8_t *data, size_t len)
{
	uint32_t number = len >= 4 ? sl_get32(data) : 0;

	(void)n;
	(void)stream;
	numbers.wrong = numbers.wrong || len != 4 + number % 3000 || (len > 4 && data[len - 1] != (uint8_t)number);
	numbers.backwards = numbers.backwards || number <= numbers.last;
	numbers.last = number;
	numbers.n++;
}

static bool run_numbers(struct sctp_channel c, unsigned count)
{
	uint16_t stream;

	memset(&numbers, 0, sizeof numbers);
	b->on_message = check_number;
	if (!eventually(both_up, 30000) || sctp_open(a->s, &c, &stream) < 0)
		return false;
	for (uint32_t i = 1; i <= count; i++) {
		sl_put32(block, i);
		memset(block + 4, (int)(uint8_t)i, 3000);
		(void)sctp_send(a->s, stream, false, block, 4 + i % 3000); /* full is as good as lost */
		snet_pass(&world, 5);
	}
	snet_pass(&world, 20000);
	return !numbers.wrong && b->n_opened == 1;
}

TEST(without_retransmission_some_are_missing_and_none_is_late_or_wrong)
{
	struct sctp_channel c = reliable;

	c.max_retransmits = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(seed, 5, 20);
		CHECK(run_numbers(c, 1000));
		CHECK(!numbers.backwards);
		CHECK(numbers.n < 1000 && numbers.n > 600);
		sworld_stop(&world);
	}
}

TEST(a_lifetime_bounds_how_late_a_message_is)
{
	struct sctp_channel c = reliable;

	c.max_lifetime_ms = 150;
	c.ordered = false;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(seed, 10, 20);
		CHECK(run_numbers(c, 1000));
		CHECK(numbers.n < 1000 && numbers.n > 500);
		sworld_stop(&world);
	}
}

TEST(reliable_unordered_messages_all_arrive)
{
	struct sctp_channel c = reliable;

	c.ordered = false;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(seed, 5, 10);
		CHECK(run_numbers(c, 500));
		CHECK_INT(numbers.n, 500);
		sworld_stop(&world);
	}
}

/* ---- channels come and go */

static bool open_and_close(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct snode *opener = i % 2 ? a : b, *other = i % 2 ? b : a, *closer = i % 3 ? a : b;
		unsigned opened = other->n_opened, messages = other->n_messages;
		uint16_t stream;

		if (sctp_open(opener->s, &reliable, &stream) < 0 || sctp_send(opener->s, stream, true, "hello", 5) < 0)
			return false;
		for (unsigned k = 0; k < 3000 && other->n_messages == messages; k++)
			snet_pass(&world, 10);
		if (other->n_opened != opened + 1 || other->opened != stream || sctp_close(closer->s, stream) < 0)
			return false;
		for (unsigned k = 0; k < 6000 && (a->n_closed <= i || b->n_closed <= i); k++)
			snet_pass(&world, 10);
		if (a->n_closed != i + 1 || b->n_closed != i + 1)
			return false;
	}
	return true;
}

TEST(channels_open_and_close_under_loss)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(seed, 15, 20);
		CHECK(eventually(both_up, 30000));
		CHECK(open_and_close(20));
		sworld_stop(&world);
	}
}

TEST_MAIN()
