/*
 * Fuzz target: what servers answer to uploads. First byte: what it is taken for. Texts stay within
 * their buffers and end.
 */
#include "modules/recorder/s3_reply.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_element(struct sl_str xml, struct sl_str name)
{
	char text[32];

	memset(text, 0x55, sizeof text);
	if (s3_element(xml, name, text, 24))
		sl_assert(memchr(text, 0, 24) != NULL);
	sl_assert(text[24] == 0x55);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str text = {(const char *)data, size};
	char tag[16];
	int64_t s = 0;

	check_element(text, SL_STR("UploadId"));
	check_element(text, SL_STR("Code"));
	check_element(text, SL_STR("Message"));
	s3_tag(text, tag, sizeof tag);
	sl_assert(strlen(tag) < sizeof tag);
	if (s3_date(text, &s) < 0)
		sl_assert(s == 0);
	return 0;
}
