/*
 * What waits for a receiver that is away while the disk takes no files: in memory, up to a bound,
 * and in files, in order, as soon as it does.
 */
#include "lib/test.h"
#include "modules/webhooks/webhooks.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENT = 60000, HELD_MAX = 1 << 20 };

static char spool[64], dir[128];
static struct hook_conf hook;
static struct webhooks_conf conf;

static unsigned n_files(const char *suffix)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strlen(e->d_name) > strlen(suffix) &&
		     strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix) == 0;
	if (d)
		(void)closedir(d);
	return n;
}

/* The one directory in the spool: that of the receiver */
static void find_dir(void)
{
	DIR *d = opendir(spool);

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			(void)snprintf(dir, sizeof dir, "%s/%.60s", spool, e->d_name);
	if (d)
		(void)closedir(d);
}

/* Nothing answers there. */
static struct queue *begin(void)
{
	struct queue *q;

	(void)snprintf(spool, sizeof spool, "/tmp/sluice-hooks-XXXXXX");
	sl_assert(mkdtemp(spool));
	hook = (struct hook_conf){.url = SL_STR("http://127.0.0.1:1/"), .timeout = 1000};
	conf = (struct webhooks_conf){.spool = sl_str_c(spool), .queue = 1000, .max_age = 3600000};
	post_init();
	sl_assert(queue_open(&conf, &hook, &q) == 0);
	find_dir();
	return q;
}

static void end(struct queue *q)
{
	char command[160];

	queue_close(q);
	(void)snprintf(command, sizeof command, "rm -r %s", spool);
	(void)!system(command);
}

/* As where it was removed, or cannot be written: no file can be made there. */
static void take_away(void)
{
	char lock[160];

	(void)snprintf(lock, sizeof lock, "%s/.lock", dir);
	while (unlink(lock) < 0) /* the thread makes it */
		(void)sched_yield();
	sl_assert(rmdir(dir) == 0);
}

static void put(struct queue *q, uint64_t number)
{
	static char json[EVENT];

	memset(json, ' ', sizeof json);
	json[0] = '{';
	json[EVENT - 1] = '}';
	queue_put(q, &(struct sl_webhook_event){.name = SL_STR("recorder.finished"),
						.key = SL_STR("key"),
						.json = {json, sizeof json},
						.number = number,
						.unix_ms = sl_clock_unix_ns() / SL_NS_PER_MS});
}

static struct queue_counts count(struct queue *q)
{
	struct queue_counts c = {0};

	queue_count(q, &c);
	return c;
}

TEST(what_the_disk_does_not_take_waits_in_memory_up_to_a_bound_and_then_in_files)
{
	struct queue *q = begin();
	const unsigned fit = HELD_MAX / EVENT;
	char why[400];

	take_away();
	for (unsigned i = 0; i < fit; i++)
		put(q, i + 1);
	CHECK_INT(count(q).waiting, fit);
	CHECK_INT(count(q).dropped, 0);
	for (unsigned i = 0; i < 3; i++)
		put(q, 100 + i);
	CHECK_INT(count(q).waiting, fit);
	CHECK_INT(count(q).dropped, 3);
	CHECK(queue_complaint(q, why, sizeof why));
	sl_assert(mkdir(dir, 0755) == 0);
	queue_tick(q);
	CHECK_INT(n_files(".json"), fit);
	put(q, 200); /* there is room again */
	CHECK_INT(n_files(".json"), fit + 1);
	CHECK_INT(count(q).waiting, fit + 1);
	CHECK_INT(count(q).dropped, 3);
	end(q);
}

TEST(what_is_in_memory_at_the_end_becomes_files_if_the_disk_takes_them_by_then)
{
	struct queue *q = begin();

	take_away();
	put(q, 1);
	put(q, 2);
	sl_assert(mkdir(dir, 0755) == 0);
	queue_close(q);
	CHECK_INT(n_files(".json"), 2);
	CHECK_INT(n_files(".new"), 0);
	sl_assert(queue_open(&conf, &hook, &q) == 0);
	while (count(q).waiting < 2) /* its thread reads what was left */
		(void)sched_yield();
	end(q);
}

TEST_MAIN()
