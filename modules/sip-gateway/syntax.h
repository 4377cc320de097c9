/*
 * sip-gateway/syntax.h: lines, lists, parameters and addresses of SIP (RFC 3261 section 25), as
 * views over bytes that nobody has vouched for.
 *
 * Folded lines are followed, compact names are known, and a quoted string may hide any separator.
 */
#ifndef SIP_SYNTAX_H
#define SIP_SYNTAX_H

#include <sluice/str.h>

bool sip_is_token_char(char c);
bool sip_is_token(struct sl_str s);

/* The next line of the head, folded continuations included (section 7.3.1), without its end. False:
 * no complete line is left. */
bool sip_line_next(struct sl_str *rest, struct sl_str *ret_line);
/* Without a CR alone, a NUL and their like */
bool sip_line_is_clean(struct sl_str line);

/* Steps through the headers of a message, folded lines and all, from behind its first line: *rest
 * is the message at first. False at the end of the head. Names are as written, compact ones too. */
bool sip_header_next(struct sl_str *rest, struct sl_str *ret_name, struct sl_str *ret_value);
/* Is this header that one, in its long or its compact form? */
bool sip_header_is(struct sl_str name, const char *wanted);

/* Steps through a list of values with commas between them, which may stand in quotes and brackets.
 */
bool sip_list_next(struct sl_str *rest, struct sl_str *ret_item);

/* Value of a header parameter (";name=value"), behind the closing bracket of an address; false: not
 * there. Without "=" it is empty. */
bool sip_param(struct sl_str value, const char *name, struct sl_str *ret_value);
/* The URI within a name-addr or addr-spec, without parameters of the header. */
struct sl_str sip_uri_of(struct sl_str value);
/* The user part of a sip, sips or tel URI, as written; empty: none */
struct sl_str sip_user_of(struct sl_str uri);
/* The host[:port] of a sip or sips URI */
struct sl_str sip_hostport_of(struct sl_str uri);

#endif
