/*
 * import/coturn.h: a coturn configuration as one of ours.
 *
 * Knows coturn's file format, what each of its options does, and which directive does the same. Does
 * no I/O: text in, YAML and remarks out. What coturn does with a line counts, not what its author
 * may have meant by it; where the two differ, a remark says so.
 *
 *     coturn_read     lines: options, values, and what coturn would not take
 *     coturn_convert  the blocks of our configuration, each with its remarks above it
 *
 * Text of the file is hostile: it may reach a scalar only by quote_yaml_text(), and a comment or the
 * terminal never, but for names of options.
 */
#ifndef IMPORT_COTURN_H
#define IMPORT_COTURN_H

#include <sluice/addr.h>
#include <sluice/buf.h>
#include <sluice/pool.h>

/* ---- the table of options: what the tool goes by, and the README's */

enum coturn_arg {
	COTURN_COMMAND, /* not for files: stands on the command line only */
	COTURN_FLAG,	/* a boolean; no value: yes */
	COTURN_SWITCH,	/* yes, whatever its value says */
	COTURN_NUMBER,
	COTURN_TEXT,
	COTURN_SECRET, /* a text that no message shows */
};

/* What becomes of an option that is in effect. */
enum coturn_fate {
	COTURN_SAME,	 /* a directive does the same */
	COTURN_NEAR,	 /* a directive does nearly the same: the note tells the difference */
	COTURN_NEEDLESS, /* no directive, and none is missed */
	COTURN_LOST,	 /* nothing does it: security, or what clients or operators see, changes */
	COTURN_N_FATES
};

/* The part of our configuration that an option goes into. */
enum coturn_block {
	COTURN_CORE,
	COTURN_LISTEN,
	COTURN_STUN,
	COTURN_RELAY,
	COTURN_METRICS,
	COTURN_N_BLOCKS
};

/* How a row that needs no code of its own gives its first directive a value. */
enum coturn_form {
	COTURN_BY_CODE,
	COTURN_AS_TEXT,
	COTURN_AS_NUMBER,
	COTURN_AS_SECONDS,
	COTURN_AS_BITS, /* from bytes a second */
	COTURN_AS_OFF,	/* yes there is off here */
};

struct coturn_option {
	const char *letter;	  /* of the command line, or NULL */
	const char *name;	  /* as in a file; NULL: has a letter only */
	const char *also;	  /* another name, or NULL */
	uint8_t arg, fate, block; /* enums above */
	uint8_t form;
	const char *dflt;	/* values that change nothing, with a space between them, or NULL */
	int64_t min, max;	/* of the directive, in its unit; for forms of numbers */
	const char *directives; /* ours, with a space between them; NULL: none */
	const char *note;	/* how, or why none; half a sentence in Markdown */
};

extern const struct coturn_option coturn_options[]; /* the last has neither letter nor name */

/* NULL when coturn has no such option; letters do not count. */
const struct coturn_option *coturn_option_find(struct sl_str name);
/* The table as Markdown, as it stands in turn-relay's README. */
void coturn_options_md(struct sl_buf *out);

/* ---- a file */

struct coturn_line { /* one that coturn takes */
	unsigned number;
	const struct coturn_option *option;
	struct sl_str value; /* borrowed from the text; without quotes */
	int64_t n;	     /* of a number */
	bool yes;	     /* of a flag or switch */
	bool replaced;	     /* a user whom a later line names again. W: coturn_convert */
};

struct coturn_remark {
	unsigned line, order; /* line 0: of the file as a whole */
	uint8_t block, fate;
	const char *text; /* owned by the pool */
};

struct coturn_file {
	struct sl_pool *pool; /* borrowed */
	const char *name;     /* for messages; borrowed */
	const char *folder;   /* where relative names begin; absolute; borrowed */
	struct coturn_line *lines;
	size_t n_lines, cap_lines;
	struct coturn_remark *remarks;
	size_t n_remarks, cap_remarks;
	bool sorted; /* the remarks */
	bool failed; /* out of memory: what was made is not whole */
};

void coturn_file_init(struct coturn_file *f, struct sl_pool *pool, const char *name,
		      const char *folder);
/* text must outlive f. */
void coturn_read(struct coturn_file *f, struct sl_str text);
/* The whole YAML document. Adds remarks. */
void coturn_convert(struct coturn_file *f, struct sl_buf *out);
/* It names users or secrets, and the document holds them. */
bool coturn_has_secrets(const struct coturn_file *f);
/* What is not the same, in the order of lines; what is not needed stands in the document only. */
void coturn_report(struct coturn_file *f, struct sl_buf *out);
unsigned coturn_n_remarks(const struct coturn_file *f, enum coturn_fate fate);

#endif
