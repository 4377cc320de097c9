/*
 * fuzz_json.c: bytes as JSON, as a string in JSON, and as base64. What was read is written as text
 * that reads back the same; any bytes at all make a valid JSON string.
 */
#include <sluice/json.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_document(struct sl_str text)
{
	struct json_t *json = sl_json_parse(text, 16, NULL, 0), *again;
	struct sl_buf b;

	if (!json)
		return;
	sl_buf_init(&b, 0);
	sl_json_dump(json, &b);
	sl_assert(sl_buf_ok(&b) == 0);
	again = sl_json_parse(sl_buf_view(&b), 16, NULL, 0);
	sl_assert(again);
	sl_assert(json_equal(json, again));
	json_decref(json);
	json_decref(again);
	sl_buf_free(&b);
}

static void try_string(struct sl_str text)
{
	struct json_t *json;
	struct sl_buf b;

	/* A NUL is escaped correctly, but the parser of ours refuses it on the way back. */
	if (memchr(text.p, '\0', text.len))
		return;
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("{\"s\":"));
	sl_buf_json(&b, text);
	sl_buf_str(&b, SL_STR("}"));
	json = sl_json_parse(sl_buf_view(&b), 1, NULL, 0);
	sl_assert(json);
	sl_assert(!sl_str_is_utf8(text) || sl_str_eq(sl_json_get_str(json, "s"), text));
	json_decref(json);
	sl_buf_free(&b);
}

/* Whatever is taken has one spelling: encoding it again gives the text without its padding, in one
 * of the alphabets. */
static void try_base64(struct sl_str text)
{
	uint8_t *bytes = malloc(text.len + 1);
	char *back = malloc(text.len + 8);
	size_t len, back_len;

	sl_assert(bytes && back);
	if (sl_base64_decode(bytes, text.len, text, &len) == 0) {
		back_len = sl_base64url_encode(back, bytes, len);
		sl_assert(back_len <= text.len && text.len - back_len <= 2);
	}
	free(bytes);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str text = {(const char *)data, size};

	if (size == 0)
		return 0;
	try_document(text);
	try_string(text);
	try_base64(text);
	return 0;
}
