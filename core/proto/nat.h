/*
 * proto/nat.h: what a NAT does, concluded from what was observed through it (RFC 4787, RFC 5780).
 */
#ifndef PROTO_NAT_H
#define PROTO_NAT_H

#include <sluice/addr.h>

enum nat_dependence {
	NAT_UNKNOWN,
	NAT_ENDPOINT_INDEPENDENT,
	NAT_ADDRESS_DEPENDENT,
	NAT_ADDRESS_PORT_DEPENDENT,
};

struct nat_facts {
	struct sl_addr local;	  /* of the asking socket */
	struct sl_addr mapped[3]; /* as the server saw it at: the address first asked; its other
				     address; that and its other port. Unset: no answer */
	struct sl_addr plain;	  /* the first again, as MAPPED-ADDRESS; unset: not given */
	bool has_other;		  /* the server has a second address and port */
	bool heard_other;	  /* an answer arrived from that address and port, unasked */
	bool heard_other_port;	  /* ... and from the other port of the address asked */
	bool hairpin_tried, hairpin;
	bool stream;		    /* no answer over UDP, but the host takes TCP connections */
	bool lifetime_tried;	    /* and it could be measured */
	uint32_t alive_s, silent_s; /* longest silence a binding outlived; shortest that ended one,
				       0: none did */
};

struct nat_verdict {
	bool reachable;	 /* over UDP */
	bool translated; /* else mapping is endpoint-independent by nature */
	bool rewrites;	 /* a gateway changes addresses inside packets */
	enum nat_dependence mapping, filtering;
};

void nat_judge(const struct nat_facts *f, struct nat_verdict *ret_verdict);
/* "endpoint-independent" ... */
const char *nat_dependence_name(enum nat_dependence d);

/* One sentence after the other, the most important last. */
typedef void nat_say_fn(void *arg, const char *sentence);
void nat_explain(const struct nat_facts *f, const struct nat_verdict *v, nat_say_fn *say,
		 void *arg);

#endif
