/*
 * sip-gateway/hep.h: packets of HEP version 3, by which a node tells a collector (Homer, sngrep) what
 * went over its wires. Written only; no state.
 */
#ifndef SIP_HEP_H
#define SIP_HEP_H

#include <sluice/addr.h>
#include <sluice/buf.h>

enum hep_kind { HEP_SIP = 1, HEP_LOG = 100 }; /* "protocol type" */

struct hep_packet {
	enum hep_kind kind;
	bool stream; /* over TCP */
	struct sl_addr from, to;
	uint64_t unix_ns;
	uint32_t agent;
	struct sl_str key;	   /* may be empty */
	struct sl_str correlation; /* Call-ID; may be empty */
	struct sl_str payload;
};
/* -SL_ELIMIT: no packet is so long */
SL_MUST_CHECK int hep_write(struct sl_buf *out, const struct hep_packet *p);

#endif
