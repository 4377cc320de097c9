/*
 * The disk's threads on a disk that takes no more, or not now: what is in a file plays, and lines,
 * names and removals wait in their order; and under directories that are removed. A full disk is a limit on the length of files, one that
 * refuses a name is a directory that stands in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "event/loop.h"
#include "lib/test.h"
#include "modules/recorder/disk.h"

static struct sl_loop *loop;
static struct disk *disk;
static char dir[] = "/tmp/sluice-disk-XXXXXX", path[300];
static struct disk_file *lines; /* in dir */
static unsigned n_done, n_failed, n_vanished;
static struct disk_result result;
static int failed_with;

static const char *in_dir(const char *name)
{
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void begin(enum disk_sync sync)
{
	const struct disk_opts o = {.max_bytes = 1 << 20, .sync = (int32_t)sync};
	struct disk_opts with = o;

	n_done = n_failed = 0;
	failed_with = 0;
	result = (struct disk_result){0};
	memcpy(dir, "/tmp/sluice-disk-XXXXXX", sizeof dir);
	sl_assert(mkdtemp(dir) && loop_new(&loop) == 0);
	with.loop = loop;
	sl_assert(disk_start(&with, &disk) == 0);
	lines = disk_lines_begin(disk, dir, "lines");
	sl_assert(lines);
}

static void end(void)
{
	char command[64];

	if (disk)
		disk_lines_end(lines);
	disk_stop(disk);
	loop_free(loop);
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	sl_assert(system(command) == 0);
}

static void on_done(void *arg, const struct disk_result *r)
{
	(void)arg;
	n_done++;
	result = *r;
}

static void on_failed(void *arg, int error)
{
	(void)arg;
	n_failed++;
	failed_with = error;
}

static struct disk_file *file(const char *name)
{
	struct disk_file *f = disk_file_begin(disk, dir, name, on_done, on_failed, NULL);

	sl_assert(f);
	return f;
}

static off_t length_of(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) < 0 ? -1 : st.st_size;
}

static bool holds(const char *name, const char *text)
{
	char got[200] = "";
	int fd = open(in_dir(name), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got - 1);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

static void files_are_at_most(rlim_t bytes)
{
	struct rlimit r;

	(void)signal(SIGXFSZ, SIG_IGN);
	sl_assert(getrlimit(RLIMIT_FSIZE, &r) == 0);
	r.rlim_cur = bytes;
	sl_assert(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

/* Blocks of packets, of 32 bytes each, which is what recovery knows of a pcapng file */
static void write_blocks(struct disk_file *f, unsigned n)
{
	static const uint32_t block[8] = {6, 32, 0, 0, 0, 0, 0, 32};
	static const uint32_t head[8] = {0x0a0d0d0a, 32, 0x1a2b3c4d, 1, 0, 0, 0, 32};

	for (unsigned i = 0; i < n; i++)
		disk_file_write(f, (uint64_t)i * 32,
				(struct sl_str){(const char *)(i ? block : head), 32});
}

TEST(a_file_that_cannot_grow_is_told_at_once_and_ends_with_what_went_in)
{
	struct disk_file *f;

	begin(DISK_SYNC_SEGMENT);
	files_are_at_most(1000); /* 31 blocks and a quarter */
	f = file("a.pcapng");
	write_blocks(f, 40);
	disk_settle(disk);
	CHECK_INT(n_failed, 1);
	CHECK_INT(n_done, 0);
	CHECK_INT(failed_with, EFBIG);
	disk_file_write(f, 0, SL_STR("what comes later is left out"));
	disk_file_end(f);
	disk_settle(disk);
	files_are_at_most(RLIM_INFINITY);
	CHECK_INT(n_done, 1);
	CHECK(result.error == EFBIG && result.renamed && result.bytes == 31 * 32);
	CHECK_INT(length_of("a.pcapng"), 31 * 32);
	CHECK_INT(length_of("a.pcapng.part"), -1);
	end();
}

TEST(a_file_in_which_nothing_plays_gets_no_name)
{
	struct disk_file *f;

	begin(DISK_SYNC_NEVER);
	files_are_at_most(20);
	f = file("a.webm");
	disk_file_write(f, 0, SL_STR("more than twenty bytes, at any rate"));
	disk_file_end(f);
	disk_settle(disk);
	files_are_at_most(RLIM_INFINITY);
	CHECK(n_done == 1 && result.error == EFBIG && !result.renamed);
	CHECK_INT(length_of("a.webm"), -1);
	CHECK_INT(length_of("a.webm.part"), -1);
	end();
}

/* The head of a file is written again when it ends: nothing behind it goes if that fails. */
TEST(what_cannot_be_written_over_costs_nothing_behind_it)
{
	struct disk_file *f;
	char big[2048] = {0};

	begin(DISK_SYNC_NEVER);
	f = file("a.pcapng");
	write_blocks(f, 40);
	disk_settle(disk);
	files_are_at_most(1000);
	disk_file_write(f, 992, (struct sl_str){big, sizeof big});
	disk_file_end(f);
	disk_settle(disk);
	files_are_at_most(RLIM_INFINITY);
	CHECK(n_done == 1 && result.error && result.renamed);
	CHECK(result.bytes >= 31 * 32);
	end();
}

static unsigned n_called;

static void on_call(void *arg, const char *of)
{
	(void)arg;
	(void)of;
	n_called++;
}

TEST(lines_and_marks_wait_in_order_until_the_disk_takes_them)
{
	begin(DISK_SYNC_SEGMENT);
	n_called = 0;
	disk_put(disk, dir, "mark", SL_STR("open"));
	disk_settle(disk);
	files_are_at_most(10);
	disk_append(lines, SL_STR("first\n"));
	disk_append(lines, SL_STR("second\n")); /* four bytes of it would fit */
	disk_append(lines, SL_STR("third\n"));
	disk_put(disk, dir, "small", SL_STR("old"));
	disk_put(disk, dir, "small", SL_STR("new"));
	disk_remove(disk, dir, "mark");
	disk_then(disk, on_call, NULL, dir);
	disk_settle(disk);
	CHECK(holds("lines", "first\n"));
	CHECK(holds("mark", "open"));
	CHECK_INT(length_of("small"), -1);
	CHECK_INT(n_called, 0);
	files_are_at_most(RLIM_INFINITY);
	disk_tick(disk);
	disk_settle(disk);
	CHECK(holds("lines", "first\nsecond\nthird\n"));
	CHECK(holds("small", "new"));
	CHECK_INT(length_of("mark"), -1);
	CHECK_INT(n_called, 1);
	disk_append(lines, SL_STR("fourth\n"));
	disk_settle(disk);
	CHECK(holds("lines", "first\nsecond\nthird\nfourth\n"));
	end();
}

TEST(a_name_that_is_refused_comes_later_and_before_lines_about_the_file)
{
	struct disk_file *f;

	begin(DISK_SYNC_NEVER);
	sl_assert(mkdir(in_dir("a.pcapng"), 0700) == 0);
	f = file("a.pcapng");
	write_blocks(f, 3);
	disk_file_end(f);
	disk_settle(disk);
	CHECK_INT(n_done, 1);
	CHECK_INT(result.error, EISDIR);
	CHECK(result.renamed);
	CHECK_INT(result.bytes, 96);
	disk_append(lines, SL_STR("a.pcapng is there\n"));
	disk_settle(disk);
	CHECK_INT(length_of("lines"), -1);
	sl_assert(rmdir(in_dir("a.pcapng")) == 0);
	disk_lines_end(lines);
	disk_stop(disk); /* the last attempt */
	CHECK_INT(length_of("a.pcapng"), 96);
	CHECK(holds("lines", "a.pcapng is there\n"));
	disk = NULL;
	end();
}

TEST(what_is_still_refused_at_the_end_stays_as_a_crash_would_leave_it)
{
	begin(DISK_SYNC_NEVER);
	disk_put(disk, dir, "mark", SL_STR("open"));
	disk_settle(disk);
	sl_assert(mkdir(in_dir("lines"), 0700) == 0);
	disk_append(lines, SL_STR("first\n"));
	disk_remove(disk, dir, "mark");
	disk_lines_end(lines);
	disk_stop(disk);
	CHECK(holds("mark", "open"));
	disk = NULL;
	end();
}

TEST(one_directory_in_trouble_holds_up_no_other)
{
	struct disk_file *others;
	char other[300];

	begin(DISK_SYNC_NEVER);
	(void)snprintf(other, sizeof other, "%s/other", dir);
	others = disk_lines_begin(disk, other, "lines");
	sl_assert(others);
	sl_assert(mkdir(in_dir("lines"), 0700) == 0);
	disk_append(lines, SL_STR("first\n"));
	disk_append(others, SL_STR("another\n"));
	disk_settle(disk);
	CHECK(holds("other/lines", "another\n"));
	disk_lines_end(others);
	end();
}

static void remove_dir(void)
{
	char command[64];

	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	sl_assert(system(command) == 0);
}

TEST(lines_of_a_directory_that_was_removed_come_back_with_the_next_one)
{
	begin(DISK_SYNC_SEGMENT);
	disk_append(lines, SL_STR("first\n"));
	disk_append(lines, SL_STR("second\n"));
	disk_settle(disk);
	remove_dir();
	disk_append(lines, SL_STR("third\n"));
	disk_settle(disk);
	CHECK(holds("lines", "first\nsecond\nthird\n"));
	CHECK_INT(length_of("lines.new"), -1);
	sl_assert(unlink(in_dir("lines")) == 0); /* the second time, and alone */
	disk_append(lines, SL_STR("fourth\n"));
	disk_settle(disk);
	CHECK(holds("lines", "first\nsecond\nthird\nfourth\n"));
	CHECK_INT(disk_errors(disk), 0);
	end();
}

TEST(lines_that_another_file_stands_in_for_are_the_right_ones_again)
{
	char away[320], moved[340];
	int fd;

	begin(DISK_SYNC_NEVER);
	(void)snprintf(away, sizeof away, "%s-away", dir);
	(void)snprintf(moved, sizeof moved, "%s/lines", away);
	disk_append(lines, SL_STR("first\n"));
	disk_settle(disk);
	sl_assert(rename(dir, away) == 0 && mkdir(dir, 0700) == 0);
	fd = open(in_dir("lines"), O_WRONLY | O_CREAT, 0600);
	sl_assert(fd >= 0 && write(fd, "old\n", 4) == 4);
	close(fd);
	disk_append(lines, SL_STR("second\n"));
	disk_settle(disk);
	CHECK(holds("lines", "first\nsecond\n"));
	sl_assert(unlink(moved) == 0 && rmdir(away) == 0);
	end();
}

TEST(lines_come_back_once_the_disk_takes_them)
{
	begin(DISK_SYNC_NEVER);
	disk_append(lines, SL_STR("a line that is long\n"));
	disk_settle(disk);
	remove_dir();
	files_are_at_most(10);
	disk_append(lines, SL_STR("second\n"));
	disk_append(lines, SL_STR("third\n"));
	disk_settle(disk);
	CHECK_INT(length_of("lines"), -1);
	CHECK_INT(length_of("lines.new"), -1);
	files_are_at_most(RLIM_INFINITY);
	disk_tick(disk);
	disk_settle(disk);
	CHECK(holds("lines", "a line that is long\nsecond\nthird\n"));
	end();
}

TEST(an_open_file_of_a_directory_that_was_removed_gets_its_name_in_the_next)
{
	struct disk_file *f;

	begin(DISK_SYNC_SEGMENT);
	f = file("a.pcapng");
	write_blocks(f, 3);
	disk_settle(disk);
	remove_dir();
	disk_file_end(f);
	disk_settle(disk);
	CHECK(n_done == 1 && result.error == 0 && result.renamed);
	CHECK_INT(length_of("a.pcapng"), 96);
	CHECK_INT(length_of("a.pcapng.part"), -1);
	end();
}

static void on_vanished(void *arg)
{
	(void)arg;
	n_vanished++;
}

TEST(what_stands_beside_a_recording_says_when_it_was_removed)
{
	struct disk_file *f;

	begin(DISK_SYNC_NEVER);
	n_vanished = 0;
	f = disk_scratch_begin(disk, dir, ".scratch", on_vanished, NULL);
	sl_assert(f);
	disk_scratch_write(f, 0, SL_STR("one"));
	disk_settle(disk);
	CHECK_INT(n_vanished, 0);
	remove_dir();
	disk_scratch_write(f, 0, SL_STR("two"));
	disk_settle(disk);
	CHECK_INT(n_vanished, 1);
	CHECK(holds(".scratch", "two"));
	remove_dir();
	disk_scratch_write(f, 0, SL_STR("six"));
	disk_scratch_end(f); /* whose owner wants no more news */
	disk_settle(disk);
	CHECK_INT(n_vanished, 1);
	end();
}

TEST_MAIN()
