/*
 * recorder/fetch.h: one HTTP request and its answer, by libcurl, whose seam this is. Blocks; used in
 * threads of the writer's process, a struct fetch in one of them at a time, which keeps its
 * connection. Redirects are answers like others: who signed a request for one host does not send it
 * to another.
 */
#ifndef RECORDER_FETCH_H
#define RECORDER_FETCH_H

#include <sluice/buf.h>

enum { FETCH_MAX_ANSWER = 1 << 20, FETCH_MAX_HEADERS = 24 };

struct fetch;
struct fetch_opts {
	uint64_t timeout_ms; /* so long without progress, and half of it to connect */
	struct sl_str ca;    /* file of certificates; empty: the system's */
	const bool *quit;    /* atomic; true: what runs is given up */
};
SL_MUST_CHECK int fetch_open(const struct fetch_opts *o, struct fetch **ret_fetch);
void fetch_close(struct fetch *f); /* accepts NULL */

struct fetch_request {
	const char *method, *url;
	const char *const *headers; /* "Name: value", NULL-terminated */
	struct sl_str body;	    /* of POST and PUT, unless fd is given */
	int fd;			    /* PUT: bytes at..at+len of it; -1: none */
	uint64_t at, len;
	/* What of the answer's body comes, instead of into the answer; NULL: into it */
	void (*sink)(void *arg, const void *p, size_t n);
	void *arg;
};
struct fetch_answer {
	unsigned status;     /* 0: none came */
	char error[160];     /* then: why */
	struct sl_buf head;  /* header lines, as they came */
	struct sl_buf body;  /* at most FETCH_MAX_ANSWER; longer is an error */
};
/* 0: there is an answer, whatever it says; -SL_EAGAIN: there is none. The answer is freed by the
 * caller in both cases. */
SL_MUST_CHECK int fetch(struct fetch *f, const struct fetch_request *r,
			struct fetch_answer *ret_answer);
void fetch_answer_free(struct fetch_answer *a);
/* The value of a header, name in any case; p NULL: none. The last one counts. */
struct sl_str fetch_header(const struct fetch_answer *a, struct sl_str name);
/* Library's set-up, once in a process, before threads */
void fetch_init(void);

#endif
