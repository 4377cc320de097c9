/*
 * base/json_plain.c: reading the JSON that nearly all messages are.
 *
 * jansson needs 11 ns for each byte, which made a session description cost more than all else that
 * is done with it; this needs one. It knows objects and arrays, strings with short escapes,
 * integers and the three words. Whatever is more than that, and everything that is wrong, is given
 * up and left to jansson, which alone decides what is refused and why. What is taken here is what
 * jansson would have made of it: the fuzz target compares.
 *
 * Called by json.c. Open containers stand in an array, each is in its parent from the beginning.
 */
#include "base/json_plain.h"

#include "base/utf8.h"

#include <stdlib.h>

#define DEPTH_MAX 16
#define KEY_MAX 64
#define DIGITS_MAX 18 /* fit an int64_t, whatever they are */

struct plain {
	const char *p, *end;
	char *scratch; /* as long as the text: for one string without its escapes */
	size_t depth, max_depth;
	json_t *open[DEPTH_MAX];
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct plain *r)
{
	while (r->p < r->end && is_space(*r->p))
		r->p++;
}

static bool take(struct plain *r, char c)
{
	skip_space(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

/* ---- what contains nothing */

/* 0: not one of the short escapes. */
static char unescape(char c)
{
	static const char letters[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? codes[at - letters] : '\0';
}

static bool is_ordinary(char c)
{
	return (uint8_t)c >= 0x20 && c != '"' && c != '\\';
}

/* Into scratch, where it stays until the next one. */
static bool read_string(struct plain *r, struct sl_str *ret_string)
{
	size_t len = 0;

	if (!take(r, '"'))
		return false;
	for (; r->p < r->end && *r->p != '"'; r->p++) {
		char c = *r->p;

		if (c == '\\')
			c = ++r->p < r->end ? unescape(*r->p) : '\0';
		else if (!is_ordinary(c))
			return false;
		if (c == '\0')
			return false;
		r->scratch[len++] = c;
	}
	*ret_string = (struct sl_str){r->scratch, len};
	return take(r, '"');
}

static json_t *string_value(struct plain *r)
{
	struct sl_str s;

	return read_string(r, &s) ? json_stringn_nocheck(s.p, s.len) : NULL;
}

static bool at_digit(const struct plain *r)
{
	return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

/* What has a fraction or an exponent is not whole. */
static json_t *integer_value(struct plain *r)
{
	const bool negative = take(r, '-');
	const char *first = r->p;
	int64_t value = 0;

	while (at_digit(r) && r->p - first < DIGITS_MAX)
		value = value * 10 + (*r->p++ - '0');
	if (r->p == first || (*first == '0' && r->p - first > 1) || r->p == r->end)
		return NULL;
	if (at_digit(r) || *r->p == '.' || *r->p == 'e' || *r->p == 'E')
		return NULL;
	return json_integer(negative ? -value : value);
}

static bool take_word(struct plain *r, struct sl_str word)
{
	if (!sl_str_starts((struct sl_str){r->p, (size_t)(r->end - r->p)}, word))
		return false;
	r->p += word.len;
	return true;
}

/* ---- values */

/* A container is empty as yet. */
static json_t *read_value(struct plain *r)
{
	skip_space(r);
	if (r->p < r->end && *r->p == '"')
		return string_value(r);
	if (take(r, '{'))
		return json_object();
	if (take(r, '['))
		return json_array();
	if (take_word(r, SL_STR("true")))
		return json_true();
	if (take_word(r, SL_STR("false")))
		return json_false();
	if (take_word(r, SL_STR("null")))
		return json_null();
	return integer_value(r);
}

/* Goes on inside of what has just become part of the document. */
static bool enter(struct plain *r, json_t *value)
{
	if (!json_is_object(value) && !json_is_array(value))
		return true;
	if (r->depth == r->max_depth)
		return false;
	r->open[r->depth++] = value;
	return true;
}

static bool read_member(struct plain *r, json_t *object)
{
	char key[KEY_MAX];
	struct sl_str name;
	json_t *value;

	if (!read_string(r, &name) || name.len >= sizeof key)
		return false;
	(void)sl_str_copy(key, sizeof key, name); /* fits */
	if (!take(r, ':') || json_object_get(object, key))
		return false;
	value = read_value(r);
	return json_object_set_new_nocheck(object, key, value) == 0 && enter(r, value);
}

static bool read_element(struct plain *r, json_t *array)
{
	json_t *value = read_value(r);

	return json_array_append_new(array, value) == 0 && enter(r, value);
}

/* The end of the innermost open container, or its next member. */
static bool step(struct plain *r)
{
	json_t *top = r->open[r->depth - 1];
	const bool object = json_is_object(top);
	size_t n = object ? json_object_size(top) : json_array_size(top);

	if (take(r, object ? '}' : ']')) {
		r->depth--;
		return true;
	}
	if (n > 0 && !take(r, ','))
		return false;
	return object ? read_member(r, top) : read_element(r, top);
}

static json_t *read_document(struct plain *r)
{
	json_t *root = read_value(r);
	bool ok = json_is_object(root) || json_is_array(root);

	ok = ok && enter(r, root);
	while (ok && r->depth > 0)
		ok = step(r);
	skip_space(r);
	if (ok && r->p == r->end)
		return root;
	json_decref(root);
	return NULL;
}

/* Outside of strings there is nothing but ASCII, so that the text is checked as a whole. */
struct json_t *json_read_plain(struct sl_str text, size_t max_depth)
{
	struct plain r = {.max_depth = max_depth < DEPTH_MAX ? max_depth : DEPTH_MAX};
	json_t *json;

	if (text.len == 0 || !sl_str_is_utf8(text))
		return NULL;
	r.p = text.p;
	r.end = text.p + text.len;
	r.scratch = malloc(text.len);
	if (!r.scratch)
		return NULL;
	json = read_document(&r);
	free(r.scratch);
	return json;
}
