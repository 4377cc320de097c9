/*
 * The list of recordings in a directory of ten thousand: all of them are found page by page, each
 * once, and no page is more work than it may be, whoever asks.
 */
#include "lib/test.h"
#include "modules/recorder/shelf.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOMS = 100, EACH = 100, ALL = ROOMS * EACH };

static char dir[64];
static unsigned n_looks; /* at manifests */

static void make(unsigned room, unsigned n)
{
	char path[128], file[160], id[SHELF_ID];
	FILE *f;

	(void)snprintf(id, sizeof id, "20260101T%06uZ-%08x", n * ROOMS + room, room);
	(void)snprintf(path, sizeof path, "%s/room%u/%s", dir, room, id);
	sl_assert(mkdir(path, 0755) == 0);
	(void)snprintf(file, sizeof file, "%s/manifest.json", path);
	f = fopen(file, "w");
	sl_assert(f);
	(void)fprintf(f, "{\"id\":\"%s\",\"room\":\"room%u\"}", id, room);
	(void)fclose(f);
}

static void make_all(void)
{
	char path[128];

	/* In memory, where there is such a place: it is many files. */
	(void)snprintf(dir, sizeof dir, "%s/sluice-shelf-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	sl_assert(mkdtemp(dir));
	for (unsigned room = 0; room < ROOMS; room++) {
		(void)snprintf(path, sizeof path, "%s/room%u", dir, room);
		sl_assert(mkdir(path, 0755) == 0);
		for (unsigned n = 0; n < EACH; n++)
			make(room, n);
	}
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

/* arg: the one room that may be seen; NULL: all */
static bool may(void *arg, struct sl_str room)
{
	n_looks++;
	return !arg || sl_str_eq(room, sl_str_c(arg));
}

struct walk {
	unsigned n_pages, n_found, most_looks;
	bool in_order;
};

static void walk_on(struct walk *w, const json_t *list, char last[SHELF_ID])
{
	const json_t *o;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, o)
	{
		w->in_order = w->in_order && (!last[0] || sl_str_cmp(sl_json_get_str(o, "id"),
								     sl_str_c(last)) < 0);
		(void)sl_str_copy(last, SHELF_ID, sl_json_get_str(o, "id"));
		w->n_found++;
	}
}

/* Page by page, from the newest on */
static struct walk walk(const char *room, const char *seen)
{
	struct walk w = {.in_order = true};
	char after[SHELF_ID] = "", last[SHELF_ID] = "";
	bool more = true;

	while (more && w.n_pages < ALL) {
		const struct shelf_query q = {.room = sl_str_c(room),
					      .after = after[0] ? sl_str_c(after) : SL_STR_NULL,
					      .limit = SHELF_MAX_PAGE,
					      .may = may,
					      .arg = (void *)(uintptr_t)seen};
		struct sl_buf b;
		json_t *page;

		sl_buf_init(&b, 0);
		n_looks = 0;
		shelf_list(dir, &q, &b);
		page = sl_json_parse(sl_buf_view(&b), 8, NULL, 0);
		sl_buf_free(&b);
		walk_on(&w, json_object_get(page, "recordings"), last);
		w.n_pages++;
		w.most_looks = n_looks > w.most_looks ? n_looks : w.most_looks;
		more = sl_str_copy(after, sizeof after, sl_json_get_str(page, "next")) > 0;
		json_decref(page);
	}
	return w;
}

TEST(all_are_found_page_by_page_each_once_and_the_newest_first)
{
	struct walk w = walk(NULL, NULL);

	CHECK_INT(w.n_found, ALL);
	CHECK(w.in_order);
	CHECK_INT(w.n_pages, ALL / SHELF_MAX_PAGE);
	CHECK_INT(w.most_looks, SHELF_MAX_PAGE);
}

TEST(who_may_see_one_room_finds_it_all_and_no_page_looks_at_more_than_it_may)
{
	struct walk w = walk(NULL, "room7");

	CHECK_INT(w.n_found, EACH);
	CHECK(w.in_order);
	CHECK_INT(w.n_pages, ALL / SHELF_MAX_LOOKS);
	CHECK_INT(w.most_looks, SHELF_MAX_LOOKS);
	CHECK_INT(walk(NULL, "nobody's").n_found, 0);
}

TEST(a_page_of_one_room_looks_at_none_of_another)
{
	struct walk w = walk("room7", NULL);

	CHECK_INT(w.n_found, EACH);
	CHECK_INT(w.n_pages, 1);
	CHECK_INT(w.most_looks, EACH);
	CHECK_INT(walk("../room7", NULL).n_found, 0);
}

int main(int argc, char **argv)
{
	int rc;

	make_all();
	rc = test_run(argc, argv);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rc;
}
