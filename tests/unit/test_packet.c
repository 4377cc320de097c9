/*
 * tests/unit/test_packet.c: packets of the arena.
 */
#include "lib/test.h"

#include "net/arena.h"

static uint64_t size_word;
static const struct sl_meter size_meter = {.word = &size_word};

static struct arena open_arena(unsigned max)
{
	struct arena a;

	arena_open(&a, max, &size_meter);
	return a;
}

TEST(a_new_packet_is_empty_and_has_room_on_both_sides)
{
	struct arena a = open_arena(64);
	struct sl_packet *p = &arena_get(&a)->pub;

	CHECK_INT(p->len, 0);
	CHECK_INT(p->refs, 1);
	CHECK(sl_packet_append(p, SL_PACKET_MAX + SL_PACKET_TAILROOM) == p->data);
	CHECK(sl_packet_push(p, SL_PACKET_HEADROOM) == p->data);
	CHECK_INT(p->len, 2048);
	memset(p->data, 1, p->len);
	sl_packet_unref(p);
	arena_close(&a);
}

TEST(pulling_and_pushing_move_the_start)
{
	struct arena a = open_arena(64);
	struct sl_packet *p = &arena_get(&a)->pub;
	uint8_t *at = sl_packet_append(p, 8);

	memcpy(at, "abcdefgh", 8);
	CHECK(sl_packet_pull(p, 4) == at + 4);
	CHECK_INT(p->len, 4);
	CHECK(sl_packet_push(p, 6) == at - 2);
	CHECK_INT(p->len, 10);
	arena_close(&a);
}

TEST(what_does_not_fit_is_refused)
{
	struct arena a = open_arena(64);
	struct sl_packet *p = &arena_get(&a)->pub;

	CHECK(!sl_packet_push(p, SL_PACKET_HEADROOM + 1));
	CHECK(!sl_packet_pull(p, 1));
	CHECK(!sl_packet_append(p, SL_PACKET_MAX + SL_PACKET_TAILROOM + 1));
	CHECK_INT(p->len, 0);
	arena_close(&a);
}

TEST(the_last_reference_frees_and_the_warmest_comes_back)
{
	struct arena a = open_arena(64);
	struct sl_packet *p = &arena_get(&a)->pub;

	sl_packet_ref(p);
	sl_packet_unref(p);
	CHECK_INT(p->refs, 1);
	sl_packet_unref(p);
	CHECK(&arena_get(&a)->pub == p);
	arena_close(&a);
}

TEST(the_limit_holds_and_recovers)
{
	struct arena a = open_arena(100);
	struct packet *all[200];
	unsigned n = 0;

	while (n < SL_ARRAY_LEN(all) && (all[n] = arena_get(&a)))
		n++;
	CHECK_INT(n, 128); /* whole blocks */
	CHECK_INT(size_word, 128);
	sl_packet_unref(&all[7]->pub);
	CHECK(arena_get(&a) == all[7]);
	CHECK(!arena_get(&a));
	arena_close(&a);
}

/* Breaking a rule is survived here, so that it can be seen to be refused. */
int main(int argc, char **argv)
{
	unsetenv("SLUICE_STRICT");
	return test_run(argc, argv);
}
