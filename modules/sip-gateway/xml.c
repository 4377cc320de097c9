/*
 * sip-gateway/xml.c: text in the XML that is written.
 */
#include "xml.h"

static struct sl_str entity_of(char c)
{
	switch (c) {
	case '&':
		return SL_STR("&amp;");
	case '<':
		return SL_STR("&lt;");
	case '>':
		return SL_STR("&gt;");
	case '"':
		return SL_STR("&quot;");
	default:
		return SL_STR_NULL;
	}
}

void xml_put_text(struct sl_buf *b, struct sl_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		struct sl_str entity = entity_of(text.p[i]);

		if (entity.len > 0)
			sl_buf_str(b, entity);
		else if ((unsigned char)text.p[i] >= ' ')
			sl_buf_u8(b, (uint8_t)text.p[i]);
	}
}
