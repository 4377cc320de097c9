/*
 * shm/index.c: three ways to an entry: by sid, by local ufrag, by remote tuple and listener.
 *
 * Each index is an array of buckets, one cache line of eight words `tag:32 | entry+1:32`. A key
 * has two candidate buckets; a word goes into the emptier one by CAS from 0 and leaves by CAS to
 * 0: no tombstones, no locks, nothing that a killed process could leave locked. The index is a
 * hint, the entry is the truth: who finds a word compares the full key in the entry and asks
 * whether its owner lives, so a word too many is harmless until the sweep takes it away.
 *
 * Two writers that enter the same key at the same moment both look again after entering; at least
 * one sees the other, and whoever sees one leaves. So a key is never held twice, though both may
 * be refused.
 */
#include "shm/shm_impl.h"

#define BUCKET_WORDS 8

struct key {
	uint8_t bytes[32];
	size_t len; /* 0: there is no such key */
};

struct place { /* the candidates of one key */
	uint64_t *bucket[2];
	uint32_t tag;
};

/*
 * A power of two with room for twice the entries: two-choice buckets of eight overflow far above
 * that.
 */
static uint32_t n_buckets(const struct shm_sizes *z)
{
	uint32_t n = 2;

	while (n * (BUCKET_WORDS / 2) < z->n_sessions)
		n *= 2;
	return n;
}

size_t index_bytes(const struct shm_sizes *z)
{
	return (size_t)n_buckets(z) * BUCKET_WORDS * sizeof(uint64_t);
}

uint8_t *index_bind(struct shm *s, uint8_t *at)
{
	for (unsigned i = 0; i < N_INDEXES; i++) {
		s->buckets[i] = (uint64_t *)(void *)at;
		at += index_bytes(&s->sizes);
	}
	s->bucket_mask = n_buckets(&s->sizes) - 1;
	return at;
}

/* A sid of zeros is one that was not drawn yet. */
static struct key sid_key(const uint8_t sid[16])
{
	static const uint8_t none[16];
	struct key k = {.len = 0};

	if (memcmp(sid, none, sizeof none) == 0)
		return k;
	memcpy(k.bytes, sid, 16);
	k.len = 16;
	return k;
}

static struct key ufrag_key(const char ufrag[8])
{
	struct key k = {.len = ufrag[0] ? 8 : 0};

	memcpy(k.bytes, ufrag, 8);
	return k;
}

/* An address has no undefined bytes, so it can be hashed and compared as it lies. */
static struct key tuple_key(uint16_t listener, const struct sl_addr *remote)
{
	struct key k = {.len = 0};

	if (remote->family == 0)
		return k;
	memcpy(k.bytes, &listener, sizeof listener);
	memcpy(k.bytes + sizeof listener, remote, sizeof *remote);
	k.len = sizeof listener + sizeof *remote;
	return k;
}

static struct key key_of(enum index_kind kind, const struct session_entry *e)
{
	switch (kind) {
	case INDEX_SID:
		return sid_key(e->sid);
	case INDEX_UFRAG:
		return ufrag_key(e->ufrag);
	default:
		return tuple_key(e->listener, &e->remote);
	}
}

/*
 * Both buckets and the tag come from one hash: the second bucket mixes in bits that the first does
 * not use, so that two keys that share one bucket seldom share the other.
 */
static struct place place_of(const struct shm *s, enum index_kind kind, const struct key *k)
{
	uint64_t hash = sl_siphash13(s->hash_key, k->bytes, k->len);
	uint32_t mask = s->bucket_mask, tag = (uint32_t)(hash >> 32);
	uint32_t a = (uint32_t)hash & mask, b = (a ^ (tag * 0x9e3779b1u >> 4)) & mask;

	if (a == b)
		b = a ^ 1;
	return (struct place){
		.bucket = {s->buckets[kind] + (size_t)a * BUCKET_WORDS,
			   s->buckets[kind] + (size_t)b * BUCKET_WORDS},
		.tag = tag,
	};
}

static uint64_t make_word(const struct place *p, uint32_t index)
{
	return (uint64_t)p->tag << 32 | (index + 1);
}

/* The i-th of a key's 2 * BUCKET_WORDS candidate words. */
static uint64_t *word_at(const struct place *p, unsigned i)
{
	return &p->bucket[i / BUCKET_WORDS][i % BUCKET_WORDS];
}

static uint64_t *find_word(const struct place *p, uint64_t word)
{
	for (unsigned i = 0; i < 2 * BUCKET_WORDS; i++) {
		uint64_t *at = word_at(p, i);

		if (__atomic_load_n(at, __ATOMIC_ACQUIRE) == word)
			return at;
	}
	return NULL;
}

/* A place for a word in the emptier bucket; NULL when both are full. */
static uint64_t *find_room(const struct place *p)
{
	uint64_t *room[2] = {NULL, NULL};
	unsigned n_free[2] = {0, 0};

	for (unsigned i = 0; i < 2 * BUCKET_WORDS; i++) {
		uint64_t *at = word_at(p, i);

		if (__atomic_load_n(at, __ATOMIC_RELAXED) == 0) {
			room[i / BUCKET_WORDS] = at;
			n_free[i / BUCKET_WORDS]++;
		}
	}
	return n_free[1] > n_free[0] ? room[1] : room[0];
}

static int enter_word(const struct place *p, uint64_t word)
{
	for (;;) {
		uint64_t *at = find_room(p), empty = 0;

		if (!at)
			return -SL_EFULL;
		if (__atomic_compare_exchange_n(at, &empty, word, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return 0;
	}
}

static void remove_word(const struct place *p, uint64_t word)
{
	uint64_t *at = find_word(p, word);

	/* A word has one writer at a time: whoever owns its entry. */
	if (at)
		(void)__atomic_compare_exchange_n(at, &word, 0, false, __ATOMIC_SEQ_CST,
						  __ATOMIC_RELAXED);
}

/* The entry that the word at a candidate place leads to by its tag; false when there is none. */
static bool candidate(const struct shm *s, const struct place *p, unsigned i, uint32_t *ret_index)
{
	uint64_t word = __atomic_load_n(word_at(p, i), __ATOMIC_SEQ_CST);

	if (word == 0 || word >> 32 != p->tag || (uint32_t)word > s->sizes.n_sessions)
		return false;
	*ret_index = (uint32_t)word - 1;
	return true;
}

static bool has_key(const struct session_entry *e, enum index_kind kind, const struct key *k)
{
	struct key own = key_of(kind, e);

	return own.len == k->len && memcmp(own.bytes, k->bytes, k->len) == 0;
}

/* The packet path: a miss reads the two buckets and nothing else. */
static int find(const struct shm *s, enum index_kind kind, const struct key *k, uint32_t *ret_index,
		uint32_t *ret_owner)
{
	struct session_entry e;
	struct place p;
	uint32_t index;

	if (k->len == 0)
		return -SL_ENOENT;
	p = place_of(s, kind, k);
	for (unsigned i = 0; i < 2 * BUCKET_WORDS; i++) {
		if (!candidate(s, &p, i, &index) ||
		    entry_copy(s, index, &e, ENTRY_IDENTITY_BYTES) < 0)
			continue;
		if (!has_key(&e, kind, k) || !shm_owner_alive(s, e.owner))
			continue;
		*ret_index = index;
		*ret_owner = e.owner;
		return 0;
	}
	return -SL_ENOENT;
}

/*
 * Whether an entry but this one has the key. One that cannot be read now, but lives, may: better
 * to refuse than to hold it twice.
 */
static bool held_by_other(const struct shm *s, enum index_kind kind, const struct place *p,
			  const struct key *k, uint32_t self)
{
	struct session_entry e;
	uint32_t index;

	for (unsigned i = 0; i < 2 * BUCKET_WORDS; i++) {
		if (!candidate(s, p, i, &index) || index == self)
			continue;
		if (!shm_owner_alive(s, entry_owner(s, index)))
			continue;
		if (entry_copy(s, index, &e, ENTRY_IDENTITY_BYTES) < 0 || has_key(&e, kind, k))
			return true;
	}
	return false;
}

int shm_find_sid(const struct shm *s, const uint8_t sid[16], uint32_t *ret_index,
		 uint32_t *ret_owner)
{
	struct key k = sid_key(sid);

	return find(s, INDEX_SID, &k, ret_index, ret_owner);
}

int shm_find_ufrag(const struct shm *s, const char *ufrag, uint32_t *ret_index, uint32_t *ret_owner)
{
	char padded[8] = "";
	size_t len = strlen(ufrag);
	struct key k;

	if (len > sizeof padded)
		return -SL_ENOENT;
	memcpy(padded, ufrag, len);
	k = ufrag_key(padded);
	return find(s, INDEX_UFRAG, &k, ret_index, ret_owner);
}

int shm_find_tuple(const struct shm *s, uint16_t listener, const struct sl_addr *remote,
		   uint32_t *ret_index, uint32_t *ret_owner)
{
	struct key k = tuple_key(listener, remote);

	return find(s, INDEX_TUPLE, &k, ret_index, ret_owner);
}

bool index_has(const struct shm *s, enum index_kind kind, uint32_t index,
	       const struct session_entry *e)
{
	struct key k = key_of(kind, e);
	struct place p;

	if (k.len == 0)
		return true;
	p = place_of(s, kind, &k);
	return find_word(&p, make_word(&p, index)) != NULL;
}

static void leave(struct shm *s, enum index_kind kind, uint32_t index)
{
	struct key k = key_of(kind, &s->sessions[index].e);
	struct place p;

	if (k.len == 0)
		return;
	p = place_of(s, kind, &k);
	remove_word(&p, make_word(&p, index));
}

/* Looks before, to refuse cheaply, and after, against another that enters at the same moment. */
static int enter(struct shm *s, enum index_kind kind, uint32_t index)
{
	struct key k = key_of(kind, &s->sessions[index].e);
	struct place p = place_of(s, kind, &k);
	int ret;

	if (held_by_other(s, kind, &p, &k, index))
		return -SL_EEXIST;
	ret = enter_word(&p, make_word(&p, index));
	if (ret < 0)
		return ret;
	if (held_by_other(s, kind, &p, &k, index)) {
		remove_word(&p, make_word(&p, index));
		return -SL_EEXIST;
	}
	return 0;
}

int shm_session_index(struct shm *s, uint32_t index)
{
	bool entered[N_INDEXES] = {false};

	for (unsigned kind = 0; kind < N_INDEXES; kind++) {
		int ret;

		if (index_has(s, kind, index, &s->sessions[index].e))
			continue;
		ret = enter(s, kind, index);
		if (ret < 0) {
			while (kind-- > 0)
				if (entered[kind])
					leave(s, kind, index);
			return ret;
		}
		entered[kind] = true;
	}
	return 0;
}

void shm_session_unindex(struct shm *s, uint32_t index)
{
	for (unsigned kind = 0; kind < N_INDEXES; kind++)
		leave(s, kind, index);
}

/*
 * By a look at every word and not by the keys, because a writer that died in the middle of its
 * entry leaves keys that nothing can be found by.
 */
void index_remove_dead(struct shm *s, uint32_t dead_owner)
{
	size_t n_words = ((size_t)s->bucket_mask + 1) * BUCKET_WORDS;

	for (unsigned kind = 0; kind < N_INDEXES; kind++) {
		for (size_t i = 0; i < n_words; i++) {
			uint64_t *at = &s->buckets[kind][i];
			uint64_t word = __atomic_load_n(at, __ATOMIC_ACQUIRE);
			uint32_t index = (uint32_t)word - 1;

			if (word == 0 || index >= s->sizes.n_sessions ||
			    entry_owner(s, index) != dead_owner)
				continue;
			/* The entry's one writer is dead, so nobody else changes this word. */
			__atomic_store_n(at, 0, __ATOMIC_SEQ_CST);
		}
	}
}

/* Whether the word at this place is the one word that its entry should have here. */
static bool word_ok(const struct shm *s, enum index_kind kind, uint64_t *at)
{
	uint64_t word = *at;
	uint32_t index = (uint32_t)word - 1;
	const struct session_entry *e;
	struct place p;
	struct key k;

	if (index >= s->sizes.n_sessions || !shm_owner_alive(s, entry_owner(s, index)))
		return false;
	e = &s->sessions[index].e;
	k = key_of(kind, e);
	if (k.len == 0)
		return false;
	p = place_of(s, kind, &k);
	return word == make_word(&p, index) && find_word(&p, word) == at;
}

unsigned index_audit(const struct shm *s)
{
	size_t n_words = ((size_t)s->bucket_mask + 1) * BUCKET_WORDS;
	unsigned wrong = 0;

	for (unsigned kind = 0; kind < N_INDEXES; kind++) {
		for (size_t i = 0; i < n_words; i++) {
			uint64_t *at = &s->buckets[kind][i];

			wrong += *at != 0 && !word_ok(s, kind, at);
		}
	}
	return wrong;
}
