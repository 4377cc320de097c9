/*
 * test_sessions.c: entries and their indexes: claimed once, found by all their keys while their
 * owner lives, and never twice.
 */
#include "../lib/test.h"
#include "../lib/shm.h"
#include "shm/shm_impl.h"

static const struct shm_sizes sizes = {
	.n_slots = 4, .n_sessions = 1000, .n_limits = 64, .metric_bytes = 1024, .n_trace = 8};

/* Fills a claimed entry with keys made from a number. */
static void fill(struct session_entry *e, uint32_t number)
{
	shm_session_begin(e);
	memset(e->sid, 0x5a, sizeof e->sid);
	memcpy(e->sid, &number, sizeof number);
	e->kind = 1;
	e->state = SESSION_OPEN;
	e->listener = 3;
	e->remote = (struct sl_addr){.family = 4, .port = (uint16_t)number, .ip = {10}};
	e->remote.ip[3] = (uint8_t)(number >> 16);
	(void)snprintf(e->ufrag, sizeof e->ufrag, "u%06x", number & 0xffffff);
	shm_session_end(e);
}

static uint32_t open_session(struct shm *s, uint32_t owner, uint32_t number)
{
	uint32_t index = UINT32_MAX;

	sl_assert(shm_session_claim(s, owner, &index) == 0);
	fill(shm_session(s, index), number);
	sl_assert(shm_session_index(s, index) == 0);
	return index;
}

TEST(a_session_is_found_by_its_sid_its_ufrag_and_its_tuple)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 1), index = open_session(s, owner, 77), got, got_owner;
	struct session_entry copy, *e = shm_session(s, index);

	CHECK_INT(shm_find_sid(s, e->sid, &got, &got_owner), 0);
	CHECK(got == index && got_owner == owner);
	CHECK_INT(shm_find_ufrag(s, "u00004d", &got, &got_owner), 0);
	CHECK_INT(shm_find_tuple(s, 3, &e->remote, &got, &got_owner), 0);
	CHECK_INT(shm_find_tuple(s, 4, &e->remote, &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_find_ufrag(s, "u00004e", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_find_ufrag(s, "", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_find_ufrag(s, "far-too-long", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_session_read(s, index, &copy), 0);
	CHECK_MEM(&copy, e, sizeof copy);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_sessions_live(s), 1);
	shm_session_release(s, index);
	CHECK_INT(shm_find_ufrag(s, "u00004d", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_session_read(s, index, &copy), -SL_ENOENT);
	CHECK_INT(shm_session_read(s, 5000, &copy), -SL_ENOENT);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_sessions_live(s), 0);
	shm_detach(s);
}

TEST(a_session_without_an_owner_alive_is_not_found)
{
	struct shm *s = test_shm(&sizes);
	uint32_t index = open_session(s, test_slot_start(s, 1), 77), got, got_owner;
	struct session_entry copy;

	test_slot_end(s, 1);
	CHECK_INT(shm_find_ufrag(s, "u00004d", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_session_read(s, index, &copy), -SL_ENOENT);
	CHECK_INT(shm_sessions_live(s), 0);
	shm_detach(s);
}

TEST(an_entry_in_the_middle_of_a_write_is_not_read)
{
	struct shm *s = test_shm(&sizes);
	uint32_t index = open_session(s, test_slot_start(s, 0), 1);
	struct session_entry copy = {.kind = 99}, *e = shm_session(s, index);

	shm_session_begin(e);
	CHECK_INT(shm_session_read(s, index, &copy), -SL_ENOENT);
	CHECK_INT(copy.kind, 99);
	shm_session_end(e);
	CHECK_INT(shm_session_read(s, index, &copy), 0);
	shm_detach(s);
}

TEST(the_table_fills_to_its_last_entry_and_every_key_is_found)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 3), none, got, got_owner;

	for (uint32_t i = 0; i < sizes.n_sessions; i++)
		open_session(s, owner, i);
	CHECK_INT(shm_session_claim(s, owner, &none), -SL_EFULL);
	CHECK_INT(shm_sessions_live(s), sizes.n_sessions);
	for (uint32_t i = 0; i < sizes.n_sessions; i++) {
		CHECK_INT(shm_find_sid(s, shm_session(s, i)->sid, &got, &got_owner), 0);
		CHECK_INT(got, i);
	}
	CHECK_INT(shm_audit(s), 0);
	for (uint32_t i = 0; i < sizes.n_sessions; i++)
		shm_session_release(s, i);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_sessions_live(s), 0);
	shm_detach(s);
}

TEST(a_key_is_held_once_while_its_holder_lives)
{
	struct shm *s = test_shm(&sizes);
	uint32_t a = test_slot_start(s, 0), b = test_slot_start(s, 1), index, got, got_owner;

	open_session(s, a, 5);
	CHECK_INT(shm_session_claim(s, b, &index), 0);
	fill(shm_session(s, index), 5);
	CHECK_INT(shm_session_index(s, index), -SL_EEXIST);
	memset(shm_session(s, index)->sid, 0x11, 16);
	CHECK_INT(shm_session_index(s, index), -SL_EEXIST);
	CHECK_INT(shm_find_sid(s, shm_session(s, index)->sid, &got, &got_owner), -SL_ENOENT);
	test_slot_end(s, 0);
	CHECK_INT(shm_session_index(s, index), 0);
	CHECK_INT(shm_find_ufrag(s, "u000005", &got, &got_owner), 0);
	CHECK_INT(got_owner, b);
	CHECK_INT(shm_sweep(s, a, NULL, NULL), 1);
	CHECK_INT(shm_audit(s), 0);
	shm_detach(s);
}

TEST(indexing_again_adds_what_is_new_and_keeps_what_is_there)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 0), index = open_session(s, owner, 9), got, got_owner;
	struct session_entry *e = shm_session(s, index);
	struct sl_addr moved = {.family = 6, .port = 9, .ip = {0xfd, 1}};

	CHECK_INT(shm_session_index(s, index), 0);
	shm_session_unindex(s, index);
	CHECK_INT(shm_find_ufrag(s, "u000009", &got, &got_owner), -SL_ENOENT);
	shm_session_begin(e);
	e->remote = moved;
	shm_session_end(e);
	CHECK_INT(shm_session_index(s, index), 0);
	CHECK_INT(shm_find_tuple(s, 3, &moved, &got, &got_owner), 0);
	CHECK_INT(shm_audit(s), 0);
	shm_detach(s);
}

TEST(a_full_index_refuses_a_session_and_leaves_nothing_behind)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 0), index, got, got_owner;
	size_t bytes = index_bytes(&sizes);

	memset(s->buckets[INDEX_TUPLE], 0xff, bytes);
	CHECK_INT(shm_session_claim(s, owner, &index), 0);
	fill(shm_session(s, index), 1);
	CHECK_INT(shm_session_index(s, index), -SL_EFULL);
	CHECK_INT(shm_find_ufrag(s, "u000001", &got, &got_owner), -SL_ENOENT);
	memset(s->buckets[INDEX_TUPLE], 0, bytes);
	CHECK_INT(shm_session_index(s, index), 0);
	CHECK_INT(shm_audit(s), 0);
	shm_detach(s);
}

TEST(a_word_that_leads_elsewhere_is_passed_over)
{
	struct shm *s = test_shm(&sizes);
	uint32_t index = open_session(s, test_slot_start(s, 0), 1), got, got_owner;
	uint64_t *words = s->buckets[INDEX_UFRAG];

	for (size_t i = 0; i < index_bytes(&sizes) / sizeof *words; i++)
		if (words[i])
			words[i]++; /* same tag, the entry next door */
	CHECK_INT(shm_find_ufrag(s, "u000001", &got, &got_owner), -SL_ENOENT);
	CHECK_INT(shm_audit(s), 2);
	CHECK_INT(shm_find_sid(s, shm_session(s, index)->sid, &got, &got_owner), 0);
	shm_detach(s);
}

TEST_MAIN()
