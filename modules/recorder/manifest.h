/*
 * recorder/manifest.h: the journal of a recording: one JSON object a line, each bound to all before
 * it by a hash, so that a line that was changed, left out or moved is seen.
 *
 *     {"type":"segment", ... ,"chain":"<SHA-256 of the chain before and of the line without this>"}
 *
 * The first chain is the digest of the recording's id. What a crash cuts off at the end is a line
 * without its end, and no error. Sans-I/O.
 */
#ifndef RECORDER_MANIFEST_H
#define RECORDER_MANIFEST_H

#include <sluice/buf.h>

#define JOURNAL_NAME "journal.jsonl"
#define MANIFEST_NAME "manifest.json"
#define UPLOAD_NAME ".upload"	   /* what storage has of it so far */
#define UPLOADED_NAME ".uploaded" /* and when that is all */
#define PROGRESS_NAME ".progress" /* how far open files are: saved.c */
#define OPEN_NAME ".open" /* there while the recording is not finished */

struct journal {
	char chain[65];
	uint64_t n_lines;
};
void journal_begin(struct journal *j, struct sl_str id);
/* members: those of the object, without braces. Appends the line. */
void journal_write(struct journal *j, struct sl_str members, struct sl_buf *out);
/* Takes the next line off *text, without its end. -SL_ENOENT: no whole one; -SL_EAUTH: it does not
 * follow those before */
SL_MUST_CHECK int journal_read(struct journal *j, struct sl_str *text, struct sl_str *ret_line);

/* A part of a file name out of what a client calls itself: letters, digits, '-', '_' and inner dots;
 * others become '_'. dst: 2..64 bytes with NUL; never empty, never hidden, never "..". */
void safe_name(char *dst, size_t cap, struct sl_str name);
/* Appends it as ISO 8601 has it, in UTC, with milliseconds: 2026-11-28T15:19:45.123Z. */
void write_time_of_day(uint64_t unix_ms, struct sl_buf *out);

#endif
