/*
 * os/log.c: one event, one line, one write(2).
 *
 * A line is built on the stack, at most LINE_MAX bytes with its newline, which a pipe takes whole
 * (PIPE_BUF) and a file opened for appending does not tear; so processes may share either. Whatever
 * the sentence holds, a line is one line and its JSON is valid: text is escaped character by
 * character and cut between characters.
 *
 * A place in the code that repeats itself is cut off after PER_SECOND lines of a second; its next
 * line tells how many were left out. A line that cannot be written is counted: waiting or failing
 * would let the log stop media.
 */
#include "os/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sluice/clock.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define ID_BYTES 128 /* at most, of sid, room and module: the sentence keeps the better part */
#define PER_SECOND 20

struct line {
	char p[LINE_BYTES];
	size_t len;
};

static struct {
	char path[PATH_MAX]; /* empty: fd is not ours */
	int fd;
	int slot;
	uint32_t generation;
	enum log_format format;
	uint64_t (*now_ns)(void);
	struct log_counts counts;
} state = {.fd = STDERR_FILENO, .slot = -1, .now_ns = sl_clock_ns};

enum sl_log_level sl_log_level = SL_LOG_NOTICE;

const char *log_level_name(enum sl_log_level level)
{
	static const char *const names[] = {"alert",  "crit", "error", "warn",
					    "notice", "info", "debug"};

	return (unsigned)level < SL_ARRAY_LEN(names) ? names[level] : "debug";
}

static int open_file(const char *path, int *ret_fd)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd < 0)
		return -SL_ESYS;
	*ret_fd = fd;
	return 0;
}

/* Closes the file before it, if that was ours; a borrowed descriptor stays open. */
static void use_fd(int fd)
{
	if (state.path[0] != '\0')
		close(state.fd);
	state.fd = fd;
}

int log_init(const struct log_conf *conf)
{
	struct sl_str path = sl_str_c(conf->path);
	int fd = conf->fd;

	if (path.len >= sizeof state.path)
		return -SL_ELIMIT;
	if (path.len > 0 && open_file(conf->path, &fd) < 0)
		return -SL_ESYS;
	use_fd(fd);
	sl_str_copy(state.path, sizeof state.path, path);
	state.format = conf->format;
	state.slot = conf->slot;
	state.generation = conf->generation;
	sl_log_level = conf->level;
	return 0;
}

int log_reopen(void)
{
	int fd;

	if (state.path[0] == '\0')
		return 0;
	if (open_file(state.path, &fd) < 0)
		return -SL_ESYS;
	use_fd(fd);
	return 0;
}

void log_close(void)
{
	use_fd(STDERR_FILENO);
	state.path[0] = '\0';
}

void log_counts(struct log_counts *ret_counts)
{
	*ret_counts = state.counts;
}

void log_set_clock(uint64_t (*now_ns)(void))
{
	state.now_ns = now_ns ? now_ns : sl_clock_ns;
}

/*
 * False: this line is one too many of its place in this second. Else *ret_skipped is what was left
 * out before it.
 */
static bool admit(struct sl_log_place *place, uint32_t *ret_skipped)
{
	uint64_t now_ns = state.now_ns();

	*ret_skipped = 0;
	if (place->n == 0 || now_ns - place->window_ns >= SL_NS_PER_S) {
		*ret_skipped = place->skipped;
		*place = (struct sl_log_place){.window_ns = now_ns, .n = 1};
		return true;
	}
	if (place->n < PER_SECOND) {
		place->n++;
		return true;
	}
	place->skipped++;
	state.counts.suppressed++;
	return false;
}

/* For short text of our own; the head of a line always fits. */
SL_PRINTF(2, 3) static void put(struct line *l, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(l->p + l->len, sizeof l->p - l->len, fmt, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof l->p - l->len)
		l->len += (size_t)n;
}

/*
 * Whole characters of s, escaped, while the line is shorter than end; text that was cut ends in
 * "...".
 */
static void put_escaped(struct line *l, struct sl_str s, size_t end)
{
	while (s.len > 0) {
		char escaped[UTF8_ESCAPE_MAX];
		size_t used, n = utf8_escape(escaped, s, &used);

		if (l->len + n + 3 > end) {
			put(l, "...");
			return;
		}
		memcpy(l->p + l->len, escaped, n);
		l->len += n;
		s.p += used;
		s.len -= used;
	}
}

/* RFC 3339, always UTC: lines of several hosts sort. */
static void put_time(struct line *l)
{
	uint64_t unix_ns = sl_clock_unix_ns();
	time_t seconds = (time_t)(unix_ns / SL_NS_PER_S);
	unsigned ms = (unsigned)(unix_ns % SL_NS_PER_S / SL_NS_PER_MS);
	struct tm t;

	gmtime_r(&seconds, &t);
	put(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
	    t.tm_hour, t.tm_min, t.tm_sec, ms);
}

/* A quoted member of the head; nothing when it is empty. */
static void put_id(struct line *l, const char *name, struct sl_str value)
{
	if (value.len == 0)
		return;
	put(l, state.format == LOG_JSON ? ",\"%s\":\"" : " %s=\"", name);
	put_escaped(l, value, l->len + ID_BYTES);
	put(l, "\"");
}

/* The master has no slot, and its lines no such member. */
static void put_head(struct line *l, enum sl_log_level level)
{
	bool json = state.format == LOG_JSON;

	put(l, json ? "{\"time\":\"" : "time=");
	put_time(l);
	put(l, json ? "\",\"level\":\"%s\"" : " level=%s", log_level_name(level));
	if (state.slot >= 0) /* the master has neither */
		put(l, json ? ",\"slot\":%d,\"gen\":%u" : " slot=%d gen=%u", state.slot,
		    state.generation);
}

static void put_sentence(struct line *l, struct sl_str text, uint32_t skipped)
{
	const char *tail = state.format == LOG_JSON ? "\"}\n" : "\"\n";

	put(l, state.format == LOG_JSON ? ",\"msg\":\"" : " msg=\"");
	if (skipped > 0)
		put(l, "(left out %u similar lines) ", skipped);
	/* One byte more than the tail: put() ends in a NUL. */
	put_escaped(l, text, sizeof l->p - strlen(tail) - 1);
	put(l, "%s", tail);
}

static void write_line(const struct line *l)
{
	ssize_t n;

	do
		n = write(state.fd, l->p, l->len);
	while (n < 0 && errno == EINTR);
	/*
	 * A part of a line is no line; the rest is not sent after it, as another's may stand
	 * between.
	 */
	if (n == (ssize_t)l->len)
		state.counts.lines++;
	else
		state.counts.lost++;
}

void sl_log_at(struct sl_log_place *place, enum sl_log_level level, const char *module,
	       const struct sl_log_who *who, const char *fmt, ...)
{
	int saved_errno = errno;
	struct line l = {.len = 0};
	char text[LINE_BYTES];
	uint32_t skipped;
	va_list args;

	if (!admit(place, &skipped))
		return;
	va_start(args, fmt);
	errno = saved_errno; /* for %m */
	if (vsnprintf(text, sizeof text, fmt, args) < 0)
		sl_str_copy(text, sizeof text, sl_str_c(fmt)); /* better than silence */
	va_end(args);
	put_head(&l, level);
	put_id(&l, "module", sl_str_c(module ? module : "core"));
	if (who) {
		put_id(&l, "sid", who->sid);
		put_id(&l, "room", who->room);
	}
	put_sentence(&l, sl_str_c(text), skipped);
	write_line(&l);
	errno = saved_errno;
}
