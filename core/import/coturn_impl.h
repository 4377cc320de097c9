/*
 * import/coturn_impl.h: what the parts of the importer share.
 */
#ifndef IMPORT_COTURN_IMPL_H
#define IMPORT_COTURN_IMPL_H

#include "import/coturn.h"

/* ---- remarks. A text is half a sentence; name and line are put before it. */
/* Of one line. */
void coturn_say(struct coturn_file *f, const struct coturn_line *line, enum coturn_fate fate,
		const char *fmt, ...) SL_PRINTF(4, 5);
/* Of a line that is no option, or of none (0). */
void coturn_say_at(struct coturn_file *f, unsigned line, enum coturn_block block,
		   enum coturn_fate fate, const char *fmt, ...) SL_PRINTF(5, 6);

/* As comments, those of one block. */
void coturn_write_remarks(struct coturn_file *f, enum coturn_block block, struct sl_buf *out);

/* ---- what the file says. Names must be in the table. */
/* The line that counts: the last. NULL: none. */
const struct coturn_line *coturn_last(const struct coturn_file *f, const char *name);
const struct coturn_line *coturn_last_of(const struct coturn_file *f,
					 const struct coturn_option *o);
/* Lines of one option in turn; NULL begins, and ends. */
const struct coturn_line *coturn_next(const struct coturn_file *f, const char *name,
				      const struct coturn_line *after);
bool coturn_is_on(const struct coturn_file *f, const char *name);
/* The last one's number, or this. */
int64_t coturn_number(const struct coturn_file *f, const char *name, int64_t dflt);

/* Neither "no" nor what coturn does anyway. */
bool coturn_has_effect(const struct coturn_line *line);

/* Of bytes a second; what is too much stays too much. */
int64_t coturn_bits(int64_t bytes);

/* A text that may stand in YAML: not empty, at most max bytes of UTF-8. Else says that it is lost. */
bool coturn_is_text(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
		    size_t max);
/* A path that holds wherever we are started. */
struct sl_str coturn_path(struct coturn_file *f, const struct coturn_line *line);
/* "host", "host:port", "[v6]:port"; port: what it is without one. Says what is lost. */
int coturn_address(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
		   uint16_t port, struct sl_addr *ret_addr);

/* The same without a port. */
int coturn_ip(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
	      struct sl_addr *ret_addr);

/* ---- the parts of the document. Each writes its block, or nothing. */
void coturn_write_core(struct coturn_file *f, struct sl_buf *out);
void coturn_write_listen(struct coturn_file *f, struct sl_buf *out);
void coturn_write_stun(struct coturn_file *f, struct sl_buf *out);
void coturn_write_relay(struct coturn_file *f, struct sl_buf *out);
void coturn_write_metrics(struct coturn_file *f, struct sl_buf *out);
/* The page is on, so that it needs its modules and a listener. */
bool coturn_has_metrics(const struct coturn_file *f);
/* Within turn-relay. */
void coturn_write_credentials(struct coturn_file *f, struct sl_buf *out);
void coturn_write_peers(struct coturn_file *f, struct sl_buf *out);

/* What is no more than its row: rows with a form, each on a line of its own; and the notes of options
 * that are not the same here. */
void coturn_write_forms(struct coturn_file *f, enum coturn_block block, unsigned indent,
			struct sl_buf *out);

/* ---- ranges of addresses, both ends included */
struct coturn_range {
	struct sl_addr first, last; /* of one family, in order; without ports */
};
#define COTURN_MAX_RANGES 1024 /* blocks that a list of ours may have, too */
struct coturn_ranges {
	struct coturn_file *f;
	struct coturn_range *items; /* the pool's */
	size_t n;
};
int coturn_ranges_init(struct coturn_ranges *rs, struct coturn_file *f);
/* False when there is no room. */
bool coturn_ranges_add(struct coturn_ranges *rs, const struct coturn_range *r);
/* Leaves the rest of what holds some of it. False when there is no room for it; then it is gone, too. */
bool coturn_ranges_remove(struct coturn_ranges *rs, const struct coturn_range *hole);
/* IPv4 first, then by their first addresses. */
void coturn_ranges_sort(struct coturn_ranges *rs);
/* "a", "a-b". -SL_EPARSE: neither; -SL_EINVAL: of two families; -SL_ELIMIT: b is before a. */
int coturn_range_parse(struct coturn_range *ret_range, struct sl_str text);
struct coturn_range coturn_range_of(const struct sl_cidr *block);

/* ---- RFC 5780, which listeners and the module stun have to agree on */
struct coturn_corners {
	const struct coturn_line *line;	   /* the second address of the family, NULL: none */
	struct sl_addr primary, alternate; /* with ports */
};
/* family: 4 or 6. line is NULL where coturn would not offer it. */
struct coturn_corners coturn_corners(struct coturn_file *f, unsigned family);

#endif
