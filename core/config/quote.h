/*
 * config/quote.h: text as YAML has it, for those who write configurations.
 */
#ifndef CONFIG_QUOTE_H
#define CONFIG_QUOTE_H

#include <sluice/buf.h>

/* As it stands, or between double quotes where YAML could read it otherwise. What is not UTF-8
 * becomes U+FFFD. */
void quote_yaml(struct sl_buf *out, struct sl_str text);
/* Always between quotes: a text for every reader, whatever it looks like. */
void quote_yaml_text(struct sl_buf *out, struct sl_str text);

#endif
