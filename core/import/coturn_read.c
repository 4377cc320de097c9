/*
 * import/coturn_read.c: the lines of a coturn configuration, as coturn reads them.
 *
 * A name, then blanks or '=', then a value, which may stand between double quotes; '#' begins a
 * comment at the start of a line only. What coturn skips or refuses is told and left out; what it
 * takes in another way than it looks is told and kept. Of repeated lines the last counts, but for
 * options that collect; that is left to whoever asks.
 */
#include "import/coturn_impl.h"

#include <stdlib.h>
#include "config/quote.h"
#include "config/suggest.h"

enum { MAX_LINE = 1022, /* of coturn's buffer, without the end of the line */ MAX_SHOWN = 64 };

/* ---- finding what the file says */

const struct coturn_line *coturn_next(const struct coturn_file *f, const char *name,
				      const struct coturn_line *after)
{
	const struct coturn_option *o = coturn_option_find(sl_str_c(name));

	sl_assert(o);
	for (size_t i = after ? (size_t)(after - f->lines) + 1 : 0; i < f->n_lines; i++)
		if (f->lines[i].option == o)
			return &f->lines[i];
	return NULL;
}

const struct coturn_line *coturn_last_of(const struct coturn_file *f, const struct coturn_option *o)
{
	for (size_t i = f->n_lines; i-- > 0;)
		if (f->lines[i].option == o)
			return &f->lines[i];
	return NULL;
}

const struct coturn_line *coturn_last(const struct coturn_file *f, const char *name)
{
	const struct coturn_option *o = coturn_option_find(sl_str_c(name));

	sl_assert(o);
	return coturn_last_of(f, o);
}

bool coturn_is_on(const struct coturn_file *f, const char *name)
{
	const struct coturn_line *line = coturn_last(f, name);

	return line && line->yes;
}

int64_t coturn_number(const struct coturn_file *f, const char *name, int64_t dflt)
{
	const struct coturn_line *line = coturn_last(f, name);

	return line ? line->n : dflt;
}

/* ---- names */

/* A name of the file may be anything: it is shown as YAML would quote it, and cut. */
static const char *shown(struct coturn_file *f, struct sl_str name)
{
	struct sl_buf text;
	const char *s;

	if (name.len > MAX_SHOWN)
		name.len = MAX_SHOWN;
	sl_buf_init(&text, 0);
	quote_yaml_text(&text, name);
	s = sl_buf_ok(&text) < 0 ? NULL : sl_pool_cstr(f->pool, sl_buf_view(&text));
	sl_buf_free(&text);
	f->failed |= !s;
	return s ? s : "";
}

/* The long name of "-p" or "p". */
static const char *name_of_letter(struct sl_str letter)
{
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++)
		if (o->letter && o->name && sl_str_eq(letter, sl_str_c(o->letter)))
			return o->name;
	return NULL;
}

static const char *nearest(struct sl_str name)
{
	const char *by_letter = name_of_letter(name);
	struct suggest s = suggest_for(name);

	if (by_letter)
		return by_letter;
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++) {
		if (o->name && o->arg != COTURN_COMMAND)
			suggest_offer(&s, o->name);
		if (o->also)
			suggest_offer(&s, o->also);
	}
	return s.name;
}

static void say_unknown(struct coturn_file *f, unsigned number, struct sl_str name)
{
	struct sl_str bare = name;
	const char *near;

	while (bare.len > 0 && bare.p[0] == '-')
		bare.p++, bare.len--;
	near = coturn_option_find(bare) ? sl_pool_cstr(f->pool, bare) : nearest(bare);
	coturn_say_at(f, number, COTURN_CORE, COTURN_LOST,
		      "%s is not an option of coturn's files, which skips this line%s%s%s%s",
		      shown(f, name), near ? "; did you mean \"" : "", near ? near : "",
		      near ? "\"?" : "", bare.len < name.len ? " (in a file, without dashes)" : "");
}

/* ---- values */

/* As coturn's get_bool_value. -1: it would not start with this. */
static int boolean(struct sl_str s)
{
	static const char *const off[] = {"off", "OFF", "Off"}, *const on[] = {"on", "ON", "On"};

	if (s.len == 0 || memchr("123456789yYtT", s.p[0], 13))
		return 1;
	if (memchr("0nNfF", s.p[0], 5))
		return 0;
	for (size_t i = 0; i < SL_ARRAY_LEN(on); i++) {
		if (sl_str_eq(s, sl_str_c(off[i])))
			return 0;
		if (sl_str_eq(s, sl_str_c(on[i])))
			return 1;
	}
	return -1;
}

static bool take_flag(struct coturn_file *f, struct coturn_line *line)
{
	int yes = boolean(line->value);

	line->yes = yes != 0;
	if (line->option->arg == COTURN_SWITCH) {
		if (yes != 1)
			coturn_say(f, line, COTURN_NEAR,
				   "is on: coturn does not look at its value");
		line->yes = true;
		return true;
	}
	if (yes < 0)
		coturn_say(f, line, COTURN_LOST,
			   "is neither yes nor no, and coturn does not start with it");
	return yes >= 0;
}

/* The digits that the value begins with, as atoi() has it. */
static bool take_number(struct coturn_file *f, struct coturn_line *line)
{
	struct sl_str digits = line->value;
	uint64_t n;

	if (line->value.len == 0 && line->option->dflt)
		return false; /* coturn's default, which needs no line */
	digits.len = 0;
	while (digits.len < line->value.len && digits.p[digits.len] >= '0' &&
	       digits.p[digits.len] <= '9')
		digits.len++;
	if (sl_str_u64(digits, &n) < 0 || n > INT64_MAX) {
		coturn_say(f, line, COTURN_LOST, "is no number that makes sense here");
		return false;
	}
	if (digits.len < line->value.len)
		coturn_say(f, line, COTURN_NEAR,
			   "coturn reads %llu of it, and not what stands behind",
			   (unsigned long long)n);
	line->n = (int64_t)n;
	return true;
}

static bool has_comment(struct sl_str s)
{
	for (size_t i = 1; i < s.len; i++)
		if (s.p[i] == '#' && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
			return true;
	return false;
}

static bool take_text(struct coturn_file *f, struct coturn_line *line)
{
	if (line->value.len == 0) {
		coturn_say(f, line, COTURN_LOST, "has no value");
		return false;
	}
	if (has_comment(line->value))
		coturn_say(f, line, COTURN_NEAR,
			   "the # and all behind it belong to the value: coturn has comments on "
			   "lines of their own only");
	else if (line->value.p[line->value.len - 1] == ';')
		coturn_say(f, line, COTURN_NEAR, "the semicolon belongs to the value");
	return true;
}

static bool take_value(struct coturn_file *f, struct coturn_line *line)
{
	switch (line->option->arg) {
	case COTURN_FLAG:
	case COTURN_SWITCH:
		return take_flag(f, line);
	case COTURN_NUMBER:
		return take_number(f, line);
	case COTURN_COMMAND:
		coturn_say(f, line, COTURN_LOST, "is for the command line only");
		return false;
	}
	return take_text(f, line);
}

/* ---- lines */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "name value", "name = value", "name": the value without quotes. */
static struct sl_str split(struct sl_str line, struct sl_str *ret_value)
{
	struct sl_str name = {line.p, 0}, value;

	while (name.len < line.len && !is_blank(line.p[name.len]) && line.p[name.len] != '=')
		name.len++;
	value = (struct sl_str){line.p + name.len, line.len - name.len};
	while (value.len > 0 && (is_blank(value.p[0]) || value.p[0] == '='))
		value.p++, value.len--;
	if (value.len > 0 && value.p[0] == '"') {
		value.p++, value.len--;
		if (value.len > 0 && value.p[value.len - 1] == '"')
			value.len--;
	}
	*ret_value = value;
	return name;
}

static void add_line(struct coturn_file *f, const struct coturn_line *line)
{
	size_t cap = f->cap_lines ? 2 * f->cap_lines : 64;
	struct coturn_line *bigger;

	if (f->n_lines == f->cap_lines) {
		bigger = sl_pool_array(f->pool, cap, sizeof *bigger);
		if (!bigger) {
			f->failed = true;
			return;
		}
		if (f->n_lines)
			memcpy(bigger, f->lines, f->n_lines * sizeof *bigger);
		f->lines = bigger;
		f->cap_lines = cap;
	}
	f->lines[f->n_lines++] = *line;
}

static void read_line(struct coturn_file *f, unsigned number, struct sl_str text)
{
	struct coturn_line line = {.number = number};
	struct sl_str name;

	if (text.len > MAX_LINE || memchr(text.p, '\0', text.len)) {
		coturn_say_at(f, number, COTURN_CORE, COTURN_LOST,
			      "is longer than coturn reads a line (%d bytes), or has a NUL byte",
			      MAX_LINE);
		return;
	}
	name = split(text, &line.value);
	line.option = coturn_option_find(name);
	if (!line.option)
		say_unknown(f, number, name);
	else if (take_value(f, &line))
		add_line(f, &line);
}

void coturn_file_init(struct coturn_file *f, struct sl_pool *pool, const char *name,
		      const char *folder)
{
	*f = (struct coturn_file){.pool = pool, .name = name, .folder = folder};
}

void coturn_read(struct coturn_file *f, struct sl_str text)
{
	for (unsigned number = 1; text.p && text.len > 0; number++) {
		struct sl_str line = sl_str_trim(sl_str_split(&text, '\n'));

		if (line.len > 0 && line.p[0] != '#')
			read_line(f, number, line);
	}
}
