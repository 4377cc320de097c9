/*
 * base/json.c: the seam of jansson.
 *
 * jansson recurses by the nesting of its input, up to 2 048 levels; the depth is therefore counted
 * before it sees the text. Duplicate keys are refused, for two readers may each believe another
 * one. NUL in strings is refused by jansson's default.
 */
#include <sluice/json.h>

#include <stdio.h>

/*
 * Brackets outside of strings. Text that is no JSON may count wrongly: the parser refuses it in any
 * case.
 */
static bool nests_over(struct sl_str text, size_t max_depth)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if ((c == '{' || c == '[') && ++depth > max_depth)
			return true;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return false;
}

/* What follows the document is an error too: json_loadb() reads to the end of the text. */
struct json_t *sl_json_parse(struct sl_str text, size_t max_depth, char *err, size_t err_cap)
{
	json_error_t why;
	struct json_t *json;

	if (nests_over(text, max_depth)) {
		if (err)
			snprintf(err, err_cap, "nested deeper than %zu", max_depth);
		return NULL;
	}
	json = json_loadb(text.p ? text.p : "", text.len, JSON_REJECT_DUPLICATES, &why);
	if (!json && err)
		snprintf(err, err_cap, "%s at byte %d", why.text, why.position);
	return json;
}

struct sl_str sl_json_get_str(const struct json_t *obj, const char *key)
{
	const struct json_t *value = json_object_get(obj, key);

	if (!json_is_string(value))
		return SL_STR_NULL;
	return (struct sl_str){json_string_value(value), json_string_length(value)};
}

static int append(const char *text, size_t n, void *arg)
{
	struct sl_buf *b = arg;

	sl_buf_add(b, text, n);
	return b->failed ? -1 : 0;
}

void sl_json_dump(const struct json_t *json, struct sl_buf *b)
{
	if (json_dump_callback(json, append, b, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		b->failed = true;
}
