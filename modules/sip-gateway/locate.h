/*
 * sip-gateway/locate.h: from a name to the servers behind it, in the order in which they are to be
 * tried (RFC 3263 section 4; RFC 2782, RFC 3403).
 *
 * Sans-I/O: it says what to ask, and is told what was found. Names come from the network: whatever
 * they say, the walk ends after a bounded number of questions.
 */
#ifndef SIP_LOCATE_H
#define SIP_LOCATE_H

#include <sluice/addr.h>
#include "wire.h"

enum { LOCATE_NAME = 256, LOCATE_MAX_HOPS = 12, LOCATE_MAX_QUESTIONS = 32 };

/* Where to try. */
struct sip_hop {
	uint8_t transport; /* SIP_UDP, SIP_TCP or SIP_TLS */
	struct sl_addr addr;
};
struct sip_hops {
	struct sip_hop hop[LOCATE_MAX_HOPS];
	unsigned n;
	uint32_t ttl_s; /* how long this is true; 0: for ever */
};

/* n 0: nobody knows such a name, or nobody answers. Borrowed for the call. */
typedef void locate_fn(void *arg, const struct sip_hops *hops);

struct locate_want {
	char host[LOCATE_NAME]; /* a name, or an address */
	uint16_t port;		/* 0: as DNS says, or the transport's */
	int transport;		/* enum sip_transport, -1: as DNS says, or UDP */
	bool secure;		/* over TLS or not at all */
};
/* "host", "host:port", "[2001:db8::1]:5060"; -SL_EPARSE */
SL_MUST_CHECK int locate_read(struct locate_want *ret_want, struct sl_str server);

enum locate_question { LOCATE_DONE, LOCATE_NAPTR, LOCATE_SRV, LOCATE_ADDRESSES };

struct locate_naptr {
	uint16_t order, preference;
	struct sl_str flags, service, replacement;
};
struct locate_srv {
	uint16_t priority, weight, port;
	struct sl_str target;
};

struct locate {
	struct locate_want want;
	struct sip_hops hops;
	unsigned n_asked;
	struct locate_set { /* names of SRV records to ask for */
		uint8_t transport;
		char name[LOCATE_NAME];
	} sets[3];
	unsigned n_sets, set;
	struct locate_target { /* hosts to look up */
		uint8_t transport;
		uint16_t priority, weight, port;
		char host[LOCATE_NAME];
	} targets[LOCATE_MAX_HOPS];
	unsigned n_targets, target;
	enum locate_question asks;
	bool srv_found; /* the bare name counts only where there is none */
};

void locate_begin(struct locate *l, const struct locate_want *want);
/* What to ask next, and about which name; LOCATE_DONE: hops are there, or none are. */
enum locate_question locate_next(const struct locate *l, const char **ret_name);
/* The answers, one for each question; n 0: there is none, or nobody knows. */
void locate_naptr(struct locate *l, const struct locate_naptr *records, unsigned n);
void locate_srv(struct locate *l, const struct locate_srv *records, unsigned n);
void locate_addresses(struct locate *l, const struct sl_addr *addrs, unsigned n, uint32_t ttl_s);

#endif
