/*
 * test_sweep.c: kill -9 anywhere in the life of sessions, indexes and limits: the sweep leaves a
 * table that adds up, the living notice nothing, and no reader ever accepts a torn entry.
 */
#include "../lib/test.h"
#include "../lib/kid.h"
#include "../lib/shm.h"

#define N_SLOTS 4 /* slot 0 is the parent */
#define N_OWN 24  /* entries a child holds at most */
#define N_KEYS 5  /* limits they compete for */
#define LIMIT_MAX 9

static const struct shm_sizes sizes = {
	.n_slots = N_SLOTS, .n_sessions = 80, .n_limits = 64, .metric_bytes = 1024, .n_trace = 8};

static uint64_t mix(uint64_t n)
{
	return n * UINT64_C(0x9e3779b97f4a7c15);
}

/* The part that changes over an entry's life: all of it follows from one number. */
static void write_state(struct session_entry *e, uint64_t number)
{
	shm_session_begin(e);
	e->expires_ms = number;
	for (unsigned i = 0; i < 4; i++)
		e->words[i] = mix(number + i);
	(void)snprintf(e->label, sizeof e->label, "%" PRIx64, number);
	shm_session_end(e);
}

/* The part that stays: all of it follows from the first half of the sid. */
static void write_identity(struct session_entry *e, uint64_t seed)
{
	uint64_t second = mix(seed);

	shm_session_begin(e);
	memcpy(e->sid, &seed, 8);
	memcpy(e->sid + 8, &second, 8);
	e->state = SESSION_OPEN;
	e->room = mix(seed + 1);
	e->peer = mix(seed + 2);
	memcpy(e->ufrag, &second, 8);
	e->remote = (struct sl_addr){.family = 6};
	memcpy(e->remote.ip, e->sid, 16);
	shm_session_end(e);
}

static bool identity_ok(const struct session_entry *e)
{
	uint64_t seed, second;

	memcpy(&seed, e->sid, 8);
	memcpy(&second, e->sid + 8, 8);
	return second == mix(seed) && e->room == mix(seed + 1) && e->peer == mix(seed + 2) &&
	       memcmp(e->remote.ip, e->sid, 16) == 0 && memcmp(e->ufrag, &second, 8) == 0;
}

static bool state_ok(const struct session_entry *e)
{
	char label[sizeof e->label];

	for (unsigned i = 0; i < 4; i++)
		if (e->words[i] != (e->expires_ms ? mix(e->expires_ms + i) : 0))
			return false;
	(void)snprintf(label, sizeof label, "%" PRIx64, e->expires_ms);
	return strcmp(e->expires_ms ? label : "", e->label) == 0;
}

/* Reads any entry as every process may. */
static bool read_any(const struct shm *s, uint64_t random)
{
	struct session_entry e;
	uint32_t index, owner;

	if (shm_session_read(s, (uint32_t)(random % sizes.n_sessions), &e) < 0)
		return true;
	if (!identity_ok(&e) || !state_ok(&e))
		return false;
	/* It may be gone by now, but what is found is what was asked for. */
	if (shm_find_sid(s, e.sid, &index, &owner) < 0)
		return true;
	return index < sizes.n_sessions && owner != 0;
}

/* ---- the children: open, change, close and read sessions until the end */

struct worker {
	struct shm *s;
	uint32_t owner;
	uint64_t seed;
	uint32_t own[N_OWN];
	unsigned n_own;
};

static void open_one(struct worker *w)
{
	uint64_t key = 1 + kid_random(&w->seed) % N_KEYS;
	struct session_entry *e;
	uint32_t index;

	if (w->n_own == N_OWN || shm_limit_take(w->s, w->owner, key, LIMIT_MAX) < 0)
		return;
	if (shm_session_claim(w->s, w->owner, &index) < 0) {
		shm_limit_give(w->s, w->owner, key);
		return;
	}
	e = shm_session(w->s, index);
	e->limits[0] = key;
	write_identity(e, kid_random(&w->seed));
	sl_assert(shm_session_index(w->s, index) == 0);
	w->own[w->n_own++] = index;
}

static void close_one(struct worker *w)
{
	unsigned at;

	if (w->n_own == 0)
		return;
	at = (unsigned)(kid_random(&w->seed) % w->n_own);
	shm_session_release(w->s, w->own[at]);
	w->own[at] = w->own[--w->n_own];
}

static void change_one(struct worker *w)
{
	uint32_t index;

	if (w->n_own == 0)
		return;
	index = w->own[kid_random(&w->seed) % w->n_own];
	write_state(shm_session(w->s, index), kid_random(&w->seed) >> 8 | 1);
}

static void check_own(const struct worker *w)
{
	uint32_t index, owner;

	for (unsigned i = 0; i < w->n_own; i++) {
		const struct session_entry *e = shm_session(w->s, w->own[i]);

		sl_assert(shm_find_sid(w->s, e->sid, &index, &owner) == 0);
		sl_assert(index == w->own[i] && owner == w->owner);
	}
}

static void work_for_ever(struct shm *s, uint32_t owner, uint64_t seed, uint64_t *n_done)
{
	struct worker w = {.s = s, .owner = owner, .seed = seed};

	for (;;) {
		switch (kid_random(&w.seed) % 8) {
		case 0:
		case 1:
			open_one(&w);
			break;
		case 2:
			close_one(&w);
			break;
		case 3:
			sl_assert(read_any(s, kid_random(&w.seed)));
			break;
		case 4:
			check_own(&w);
			break;
		default:
			change_one(&w);
		}
		kid_done(n_done);
	}
}

/* ---- the parent: kills, sweeps, reads */

struct lost {
	unsigned n, n_wrong;
	uint32_t owner;
};

static void on_lost(void *arg, const struct session_entry *e)
{
	struct lost *l = arg;

	l->n++;
	l->n_wrong += e->state != SESSION_LOST || e->owner != l->owner || !identity_ok(e);
}

static void start_worker(struct shm *s, struct kid *kids, unsigned slot, uint64_t seed)
{
	uint32_t owner = test_slot_start(s, slot);

	if (kid_start(&kids[slot]))
		work_for_ever(s, owner, seed, kids[slot].n_done);
}

/* Returns how many of the told sessions were wrong. */
static unsigned kill_worker(struct shm *s, struct kid *kids, unsigned slot)
{
	struct lost lost = {.owner = shm_owner(s, slot)};
	unsigned n_swept;

	kid_kill(&kids[slot]);
	test_slot_end(s, slot);
	n_swept = shm_sweep(s, lost.owner, on_lost, &lost);
	return lost.n_wrong + (lost.n > n_swept);
}

TEST(whatever_a_kill_leaves_is_swept_while_others_go_on)
{
	enum { ROUNDS = 150 };
	struct shm *s = test_shm(&sizes);
	struct kid kids[N_SLOTS] = {{0}};
	uint64_t seed = 2026;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned slot = 1; slot < N_SLOTS; slot++)
			start_worker(s, kids, slot, kid_random(&seed));
		for (unsigned slot = 1; slot < N_SLOTS; slot++) {
			CHECK(kid_wait_done(&kids[slot], 200 + kid_random(&seed) % 800));
			for (uint64_t i = 0; i < sizes.n_sessions; i++)
				CHECK(read_any(s, i));
			CHECK_INT(kill_worker(s, kids, slot), 0);
		}
		CHECK_INT(shm_audit(s), 0);
		CHECK_INT(shm_sessions_live(s), 0);
		for (uint64_t key = 1; key <= N_KEYS; key++)
			CHECK_INT(shm_limit_count(s, key), 0);
	}
	shm_detach(s);
}

TEST(the_whole_table_can_be_claimed_again_after_many_kills)
{
	struct shm *s = test_shm(&sizes);
	struct kid kids[N_SLOTS] = {{0}};
	uint32_t owner, index;
	uint64_t seed = 11;

	for (unsigned kill = 0; kill < 60; kill++) {
		start_worker(s, kids, 1, kid_random(&seed));
		CHECK(kid_wait_done(&kids[1], 1 + kid_random(&seed) % 300));
		CHECK_INT(kill_worker(s, kids, 1), 0);
	}
	owner = test_slot_start(s, 0);
	for (unsigned i = 0; i < sizes.n_sessions; i++)
		CHECK_INT(shm_session_claim(s, owner, &index), 0);
	CHECK_INT(shm_session_claim(s, owner, &index), -SL_EFULL);
	shm_detach(s);
}

TEST(the_sweep_tells_what_was_open_and_nothing_half_made)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 1), other = test_slot_start(s, 2), index;
	struct lost lost = {.owner = owner};

	CHECK_INT(shm_session_claim(s, other, &index), 0);
	write_identity(shm_session(s, index), 1);
	CHECK_INT(shm_session_index(s, index), 0);
	CHECK_INT(shm_session_claim(s, owner, &index), 0); /* claimed only */
	CHECK_INT(shm_session_claim(s, owner, &index), 0); /* not yet written to its end */
	shm_session_begin(shm_session(s, index));
	shm_session(s, index)->sid[3] = 9;
	shm_session(s, index)->state = SESSION_OPEN;
	CHECK_INT(shm_session_claim(s, owner, &index), 0); /* open, and dies in a change */
	write_identity(shm_session(s, index), 2);
	CHECK_INT(shm_session_index(s, index), 0);
	shm_session_begin(shm_session(s, index));
	test_slot_end(s, 1);
	CHECK_INT(shm_sweep(s, owner, on_lost, &lost), 3);
	CHECK_INT(lost.n, 1);
	CHECK_INT(lost.n_wrong, 0);
	CHECK_INT(shm_sweep(s, owner, on_lost, &lost), 0);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_sessions_live(s), 1);
	shm_detach(s);
}

TEST(a_bit_without_an_owner_is_given_back)
{
	struct shm *s = test_shm(&sizes);
	uint32_t owner = test_slot_start(s, 1), index;

	CHECK_INT(shm_session_claim(s, owner, &index), 0);
	shm_session(s, index)->owner = 0; /* as if killed between the two writes of a claim */
	CHECK_INT(shm_audit(s), 1);
	test_slot_end(s, 1);
	CHECK_INT(shm_sweep(s, owner, NULL, NULL), 0);
	CHECK_INT(shm_audit(s), 0);
	shm_detach(s);
}

/* ---- two want what only one may have */

#define N_HELD 20000

struct contest {
	uint64_t n_inside, n_held;
};

/* Between taking and giving back nobody else may be. */
static void hold(struct contest *c)
{
	sl_assert(__atomic_add_fetch(&c->n_inside, 1, __ATOMIC_SEQ_CST) == 1);
	(void)__atomic_add_fetch(&c->n_held, 1, __ATOMIC_SEQ_CST);
	(void)__atomic_sub_fetch(&c->n_inside, 1, __ATOMIC_SEQ_CST);
}

static bool contest_over(const struct contest *c)
{
	return __atomic_load_n(&c->n_held, __ATOMIC_SEQ_CST) >= N_HELD;
}

static void contend_for_key(struct shm *s, uint32_t owner, struct contest *c)
{
	uint32_t index = 0;

	sl_assert(shm_session_claim(s, owner, &index) == 0);
	write_identity(shm_session(s, index), 77);
	while (!contest_over(c)) {
		if (shm_session_index(s, index) < 0)
			continue;
		hold(c);
		shm_session_unindex(s, index);
	}
	_exit(0);
}

static void contend_for_unit(struct shm *s, uint32_t owner, struct contest *c)
{
	while (!contest_over(c)) {
		if (shm_limit_take(s, owner, 5, 1) < 0)
			continue;
		hold(c);
		shm_limit_give(s, owner, 5);
	}
	_exit(0);
}

typedef void contend_fn(struct shm *s, uint32_t owner, struct contest *c);

/* Returns the number of children that failed. */
static unsigned run_contest(contend_fn *contend)
{
	struct shm *s = test_shm(&sizes);
	struct kid kids[N_SLOTS] = {{0}};
	struct contest *c = kid_memory(sizeof *c);
	unsigned n_failed = 0;

	for (unsigned slot = 1; slot < N_SLOTS; slot++) {
		uint32_t owner = test_slot_start(s, slot);

		if (kid_start(&kids[slot]))
			contend(s, owner, c);
	}
	for (unsigned slot = 1; slot < N_SLOTS; slot++)
		n_failed += kid_wait(&kids[slot]) != 0;
	shm_detach(s);
	return n_failed;
}

TEST(a_contended_key_is_never_held_twice)
{
	CHECK_INT(run_contest(contend_for_key), 0);
}

TEST(a_contended_limit_is_never_passed)
{
	CHECK_INT(run_contest(contend_for_unit), 0);
}

TEST_MAIN()
