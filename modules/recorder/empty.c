/*
 * recorder/empty.c: see empty.h.
 *
 * What the head names is counted, then what has packets until all have, which in most files is
 * soon. For those that have none the head is gone through again. Their padding still holds what it
 * held, so that a file which was mended says the same of itself again. A size that leaves its
 * parent ends a walk: what is behind it was cut off.
 */
#include "empty.h"

#include "ebml.h"

enum { MAX_STREAMS = 64 };

struct streams { /* those that the head names, or named */
	unsigned n;
	uint64_t number[MAX_STREAMS]; /* by which packets name it */
	uint64_t uid[MAX_STREAMS];    /* Matroska: by which tags do */
	uint64_t all, seen;	      /* bits 1 << n; seen: packets of it */
	bool too_many;
};

struct to { /* where changes go */
	const uint8_t *file;
	empty_patch_fn *patch;
	void *arg;
};

static void add_stream(struct streams *s, uint64_t number, uint64_t uid)
{
	s->too_many = s->too_many || s->n == MAX_STREAMS;
	if (s->too_many)
		return;
	s->number[s->n] = number;
	s->uid[s->n] = uid;
	s->all |= UINT64_C(1) << s->n++;
}

static void see(struct streams *s, uint64_t number)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->number[i] == number)
			s->seen |= UINT64_C(1) << i;
}

static bool is_empty(const struct streams *s, uint64_t number)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->number[i] == number)
			return !(s->seen >> i & 1);
	return true;
}

static bool is_empty_uid(const struct streams *s, uint64_t uid)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->uid[i] == uid)
			return !(s->seen >> i & 1);
	return true;
}

/* A file in which nothing is to be seen is not one to mend. */
static bool is_for_hiding(const struct streams *s)
{
	return s->seen != s->all && s->seen != 0 && !s->too_many;
}

/* ---- MP4: a box is its length, its name, and what is in it */

struct box {
	const uint8_t *name; /* where its four letters stand */
	struct sl_reader in;
};

static bool next_box(struct sl_reader *r, struct box *ret_box)
{
	const uint8_t *begin = r->p;
	uint64_t size = sl_read_u32(r);

	ret_box->name = r->p;
	(void)sl_read_u32(r);
	if (size == 1)
		size = sl_read_u64(r);
	if (r->failed || size < (uint64_t)(r->p - begin) || size > (uint64_t)(r->end - begin))
		return false;
	ret_box->in = sl_reader(r->p, (size_t)size - (size_t)(r->p - begin));
	r->p = begin + size;
	return true;
}

static bool is_box(const struct box *b, const char *name)
{
	return memcmp(b->name, name, 4) == 0;
}

/* tkhd, trex and tfhd have it behind version and flags, tkhd behind two times more. */
static uint32_t track_id(const struct box *b)
{
	struct sl_reader r = b->in;
	uint32_t version = sl_read_u32(&r) >> 24;

	if (is_box(b, "tkhd"))
		(void)sl_read_bytes(&r, version == 1 ? 16 : 8);
	return sl_read_u32(&r);
}

/* That of the first box of this name within; 0: there is none */
static uint32_t id_within(const struct box *b, const char *name)
{
	struct sl_reader r = b->in;
	struct box inner;

	while (next_box(&r, &inner))
		if (is_box(&inner, name))
			return track_id(&inner);
	return 0;
}

static void name_tracks(struct streams *s, const struct box *moov)
{
	struct sl_reader r = moov->in;
	struct box b;

	while (next_box(&r, &b)) {
		uint32_t id = is_box(&b, "trak") || is_box(&b, "free") ? id_within(&b, "tkhd") : 0;

		if (id)
			add_stream(s, id, 0);
	}
}

static void see_fragment(struct streams *s, const struct box *moof)
{
	struct sl_reader r = moof->in;
	struct box b;

	while (next_box(&r, &b))
		if (is_box(&b, "traf"))
			see(s, id_within(&b, "tfhd"));
}

static void free_box(const struct box *b, const struct to *to)
{
	to->patch(to->arg, (uint64_t)(b->name - to->file), (const uint8_t *)"free", 4);
}

/* Samples' defaults, which go before their tracks do: what is half done is then still found. */
static void hide_defaults(const struct streams *s, const struct box *moov, const struct to *to)
{
	struct sl_reader r = moov->in, inner;
	struct box mvex, b;

	while (next_box(&r, &mvex)) {
		inner = mvex.in;
		while (is_box(&mvex, "mvex") && next_box(&inner, &b))
			if (is_box(&b, "trex") && is_empty(s, track_id(&b)))
				free_box(&b, to);
	}
}

static void hide_tracks(const struct streams *s, const struct box *moov, const struct to *to)
{
	struct sl_reader r = moov->in;
	struct box b;

	while (next_box(&r, &b)) {
		uint32_t id = is_box(&b, "trak") ? id_within(&b, "tkhd") : 0;

		if (id && is_empty(s, id))
			free_box(&b, to);
	}
}

static void hide_mp4(struct streams *s, struct sl_reader r, const struct to *to)
{
	struct box b, moov = {0};

	while ((!moov.name || s->seen != s->all) && next_box(&r, &b)) {
		if (is_box(&b, "moof")) {
			see_fragment(s, &b);
		} else if (is_box(&b, "moov") && !moov.name) {
			moov = b;
			name_tracks(s, &b);
		}
	}
	if (!is_for_hiding(s))
		return;
	hide_defaults(s, &moov, to);
	hide_tracks(s, &moov, to);
}

/* ---- Matroska */

static void name_entries(struct streams *s, const struct ebml *tracks)
{
	struct sl_reader r = tracks->in;
	struct ebml e;

	while (ebml_next(&r, &e)) {
		uint64_t number = ebml_number_within(&e, EBML_NUMBER),
			 uid = ebml_number_within(&e, EBML_UID);

		if ((e.id == EBML_TRACK || e.id == EBML_VOID) && number && uid)
			add_stream(s, number, uid);
	}
}

static void see_block(struct streams *s, const struct ebml *block)
{
	struct sl_reader r = block->in;
	uint64_t number = ebml_read_number(&r);

	if (!r.failed)
		see(s, number);
}

static void see_cluster(struct streams *s, const struct ebml *cluster)
{
	struct sl_reader r = cluster->in;
	struct ebml e, block;

	while (s->seen != s->all && ebml_next(&r, &e)) {
		if (e.id == EBML_SIMPLE)
			see_block(s, &e);
		else if (e.id == EBML_GROUP && ebml_find(e.in, EBML_BLOCK, &block))
			see_block(s, &block);
	}
}

/* A Void has an identity of one byte: its length is written with as many more. */
static void make_void(const struct ebml *e, const struct to *to)
{
	uint8_t head[12] = {EBML_VOID};
	size_t len = (size_t)(e->in.p - e->begin), size = (size_t)(e->in.end - e->in.p);

	if (len < 2 || len > 9)
		return; /* such lengths nobody writes */
	for (size_t i = len - 1; i > 0; i--, size >>= 8)
		head[i] = (uint8_t)size;
	head[1] |= (uint8_t)(0x80 >> (len - 2));
	to->patch(to->arg, (uint64_t)(e->begin - to->file), head, len);
}

static bool is_to_go(const struct streams *s, const struct ebml *e)
{
	struct ebml targets;
	uint64_t uid;

	if (e->id == EBML_TRACK) {
		uint64_t number = ebml_number_within(e, EBML_NUMBER);

		return number && ebml_number_within(e, EBML_UID) && is_empty(s, number);
	}
	if (e->id != EBML_TAG || !ebml_find(e->in, EBML_TARGETS, &targets))
		return false;
	uid = ebml_number_within(&targets, EBML_TAG_UID);
	return uid != 0 && is_empty_uid(s, uid); /* 0: it is the whole file's */
}

/* Entries of a list, with the checksum that would be another now */
static void hide_entries(const struct streams *s, const struct ebml *list, const struct to *to)
{
	struct sl_reader r = list->in;
	struct ebml e;

	while (ebml_next(&r, &e))
		if ((e.id == EBML_CRC && e.in.end - e.in.p == 4) || is_to_go(s, &e))
			make_void(&e, to);
}

static void hide_matroska(struct streams *s, struct sl_reader r, const struct to *to)
{
	struct ebml segment, e, tracks = {0}, tags = {0};

	if (!ebml_find(r, EBML_SEGMENT, &segment))
		return;
	while ((!tracks.begin || s->seen != s->all) && ebml_next(&segment.in, &e)) {
		if (e.id == EBML_CLUSTER) {
			see_cluster(s, &e);
		} else if (e.id == EBML_TRACKS && !tracks.begin) {
			tracks = e;
			name_entries(s, &e);
		} else if (e.id == EBML_TAGS) {
			tags = e;
		}
	}
	if (!is_for_hiding(s))
		return;
	if (tags.begin)
		hide_entries(s, &tags, to);
	hide_entries(s, &tracks, to);
}

uint64_t empty_hide(const struct container *c, const uint8_t *p, size_t len, empty_patch_fn *patch,
		    void *arg)
{
	const struct to to = {p, patch, arg};
	struct streams s = {0};

	if (c == &containers[CONTAINER_MP4])
		hide_mp4(&s, sl_reader(p, len), &to);
	else if (c == &containers[CONTAINER_MATROSKA])
		hide_matroska(&s, sl_reader(p, len), &to);
	return is_for_hiding(&s) ? s.all & ~s.seen : 0;
}
