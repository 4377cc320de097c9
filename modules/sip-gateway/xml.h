/*
 * sip-gateway/xml.h: text in the XML that is written: presence, dialogs, metadata of recordings.
 */
#ifndef SIP_GATEWAY_XML_H
#define SIP_GATEWAY_XML_H

#include <sluice/buf.h>
#include <sluice/str.h>

/* As content or within a quoted attribute. Control characters, which XML 1.0 cannot say at all
 * (section 2.2), are left out. */
void xml_put_text(struct sl_buf *b, struct sl_str text);

#endif
