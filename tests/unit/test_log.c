/*
 * test_log.c: one event is one line, whatever it says, and a place that repeats itself is cut off.
 */
#include "../lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sluice/clock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/log.h"
#include "os/os.h"

static int ends[2] = {-1, -1};
static uint64_t fake_ns;

static uint64_t fake_now(void)
{
	return fake_ns;
}

/* Lines go to a pipe, read by read_lines(). */
static void start(enum log_format format, enum sl_log_level level)
{
	struct log_conf conf = {.level = level, .format = format, .slot = 3, .generation = 7};

	fd_close(&ends[0]);
	fd_close(&ends[1]);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	conf.fd = ends[1];
	log_set_clock(fake_now);
	fake_ns += 10 * SL_NS_PER_S;
	if (log_init(&conf) < 0)
		abort();
}

static char *read_lines(void)
{
	static char text[65536];
	ssize_t n = read(ends[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The text from the first occurrence of a member on: the time is not the same twice. */
static struct sl_str from(char *line, const char *member)
{
	char *at = strstr(line, member);

	return sl_str_c(at ? at : "(absent)");
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

TEST(a_logfmt_line_has_its_members_in_order)
{
	char *line;

	start(LOG_LOGFMT, SL_LOG_INFO);
	sl_log(SL_LOG_WARN, "turn-relay", "%d allocations \"left\"", 3);
	line = read_lines();
	CHECK(strncmp(line, "time=20", 7) == 0);
	CHECK_INT(line[strlen("time=2024-01-02T03:04:05.678Z") - 1], 'Z');
	CHECK_STR(from(line, " level"), " level=warn slot=3 gen=7 module=\"turn-relay\""
					" msg=\"3 allocations \\\"left\\\"\"\n");
}

TEST(whom_a_line_is_about_stands_before_the_sentence)
{
	struct sl_log_who who = {.sid = SL_STR("00ab"), .room = SL_STR("my \"room\"")};
	struct sl_log_who no_room = {.sid = SL_STR("00ab")};

	start(LOG_LOGFMT, SL_LOG_INFO);
	sl_log_who(SL_LOG_INFO, NULL, &who, "opened");
	CHECK_STR(from(read_lines(), " module"),
		  " module=\"core\" sid=\"00ab\" room=\"my \\\"room\\\"\" msg=\"opened\"\n");
	sl_log_who(SL_LOG_INFO, NULL, &no_room, "opened");
	CHECK_STR(from(read_lines(), " module"), " module=\"core\" sid=\"00ab\" msg=\"opened\"\n");
}

TEST(lines_over_the_level_are_not_written)
{
	start(LOG_LOGFMT, SL_LOG_NOTICE);
	sl_log(SL_LOG_INFO, "a", "no");
	CHECK_STR(sl_str_c(read_lines()), "");
	sl_log(SL_LOG_NOTICE, "a", "yes");
	CHECK_INT(count(read_lines(), "\n"), 1);
}

TEST(json_lines_are_json_whatever_they_say)
{
	static const char *const sentences[] = {
		"",
		"plain",
		"quote \" backslash \\ newline \n tab \t escape \x1b[31m",
		"bad \xff\xc0 bytes \xe2\x82",
		"gr\xc3\xbc\xc3\x9f",
		"\xc2\x9b",
	};
	struct sl_log_who who = {.sid = SL_STR("\""), .room = SL_STR("\xff\n")};

	start(LOG_JSON, SL_LOG_INFO);
	for (size_t i = 0; i < SL_ARRAY_LEN(sentences); i++) {
		json_t *json;
		char *line;

		sl_log_who(SL_LOG_ERROR, "x\"y", &who, "%s", sentences[i]);
		line = read_lines();
		CHECK_INT(count(line, "\n"), 1);
		json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		CHECK(json);
		CHECK_STR(sl_str_c(json_string_value(json_object_get(json, "level"))), "error");
		CHECK_INT(json_integer_value(json_object_get(json, "slot")), 3);
		CHECK_INT(json_integer_value(json_object_get(json, "gen")), 7);
		CHECK_STR(sl_str_c(json_string_value(json_object_get(json, "module"))), "x\"y");
		CHECK(json_is_string(json_object_get(json, "msg")));
		json_decref(json);
	}
}

TEST(long_lines_are_cut_between_characters_at_1_kib)
{
	static const char *const fills[] = {"a",    "\"",  "\xc3\xbc", "\xf0\x9f\x98\x80",
					    "\xff", "\x01"};
	char text[3000];

	start(LOG_JSON, SL_LOG_INFO);
	for (size_t f = 0; f < SL_ARRAY_LEN(fills); f++) {
		for (size_t shift = 0; shift < 8; shift++) {
			size_t len = 0, n = strlen(fills[f]);
			struct sl_log_who who;
			json_t *json;
			char *line;

			memset(text, 'x', shift);
			for (len = shift; len + n < sizeof text; len += n)
				memcpy(text + len, fills[f], n);
			text[len] = '\0';
			who = (struct sl_log_who){sl_str_c(text), sl_str_c(text)};
			fake_ns += SL_NS_PER_S;
			sl_log_who(SL_LOG_INFO, text, &who, "%s", text);
			line = read_lines();
			CHECK(strlen(line) <= 1024 && strlen(line) > 1000);
			CHECK(strstr(line, "...\"}\n"));
			json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
			CHECK(json);
			json_decref(json);
		}
	}
}

static void repeat(unsigned n)
{
	while (n-- > 0)
		sl_log(SL_LOG_WARN, "stun", "bad packet");
}

TEST(a_place_writes_20_lines_a_second_and_then_tells_what_was_left_out)
{
	struct log_counts before, after;
	char *text;

	start(LOG_LOGFMT, SL_LOG_INFO);
	log_counts(&before);
	repeat(57);
	CHECK_INT(count(read_lines(), "bad packet"), 20);
	sl_log(SL_LOG_WARN, "stun", "another place");
	CHECK_INT(count(read_lines(), "another place"), 1);
	fake_ns += SL_NS_PER_S - 1;
	repeat(1);
	CHECK_STR(sl_str_c(read_lines()), "");
	fake_ns += 1;
	repeat(2);
	text = read_lines();
	CHECK_INT(count(text, "left out"), 1);
	CHECK(strstr(text, "msg=\"(left out 38 similar lines) bad packet\""));
	log_counts(&after);
	CHECK_INT(after.lines - before.lines, 23);
	CHECK_INT(after.suppressed - before.suppressed, 38);
}

TEST(a_line_that_cannot_be_written_is_counted)
{
	struct log_counts before, after;

	start(LOG_LOGFMT, SL_LOG_INFO);
	log_counts(&before);
	for (int i = 0; i < 1000; i++) {
		fake_ns += SL_NS_PER_S;
		sl_log(SL_LOG_INFO, "a", "%0900d", i);
	}
	log_counts(&after);
	CHECK(after.lost > before.lost);
	CHECK_INT(after.lost - before.lost + after.lines - before.lines, 1000);
}

TEST(errno_is_kept_and_can_be_told)
{
	start(LOG_LOGFMT, SL_LOG_INFO);
	errno = ENOENT;
	sl_log(SL_LOG_INFO, "a", "open: %m");
	CHECK_INT(errno, ENOENT);
	CHECK(strstr(read_lines(), "open: No such file or directory"));
}

static struct sl_str slurped(const char *path)
{
	static char *text;
	size_t len;

	free(text);
	text = NULL;
	if (fd_slurp(path, 1 << 20, &text, &len) < 0)
		return SL_STR("(none)");
	return (struct sl_str){text, len};
}

TEST(a_file_is_appended_to_and_opened_anew_after_rotation)
{
	char dir[] = "/tmp/test_log.XXXXXX", path[64], old[64];
	struct log_conf conf = {.level = SL_LOG_INFO, .slot = -1};
	int n_fds = fd_count();

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/log", dir);
	snprintf(old, sizeof old, "%s/log.1", dir);
	conf.path = path;
	CHECK_INT(log_init(&conf), 0);
	sl_log(SL_LOG_INFO, "a", "first");
	CHECK_INT(log_init(&conf), 0);
	sl_log(SL_LOG_INFO, "a", "second");
	CHECK_INT(rename(path, old), 0);
	sl_log(SL_LOG_INFO, "a", "third");
	CHECK_INT(log_reopen(), 0);
	sl_log(SL_LOG_INFO, "a", "fourth");
	CHECK_INT(count(slurped(old).p, "\n"), 3);
	CHECK_INT(count(slurped(old).p, "slot="), 0);
	CHECK_INT(count(slurped(path).p, "fourth"), 1);
	CHECK_INT(count(slurped(path).p, "\n"), 1);
	log_close();
	CHECK_INT(fd_count(), n_fds);
	CHECK_INT(unlink(path) | unlink(old) | rmdir(dir), 0);
}

TEST(what_cannot_be_opened_leaves_the_log_as_it_was)
{
	struct log_conf conf = {.path = "/nonexistent/dir/log", .level = SL_LOG_DEBUG};
	char long_path[5000];

	start(LOG_LOGFMT, SL_LOG_INFO);
	CHECK_INT(log_init(&conf), -SL_ESYS);
	memset(long_path, 'a', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	conf.path = long_path;
	CHECK_INT(log_init(&conf), -SL_ELIMIT);
	CHECK_INT(sl_log_level, SL_LOG_INFO);
	CHECK_INT(log_reopen(), 0);
	sl_log(SL_LOG_INFO, "a", "still here");
	CHECK_INT(count(read_lines(), "still here"), 1);
}

TEST(levels_have_names)
{
	CHECK_STR(sl_str_c(log_level_name(SL_LOG_ALERT)), "alert");
	CHECK_STR(sl_str_c(log_level_name(SL_LOG_DEBUG)), "debug");
	CHECK_STR(sl_str_c(log_level_name((enum sl_log_level)99)), "debug");
}

TEST_MAIN()
