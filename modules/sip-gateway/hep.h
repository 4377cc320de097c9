/*
 * sip-gateway/hep.h: packets of HEP version 3, by which a node tells a collector (Homer, sngrep) what
 * went over its wires. Written only; no state.
 */
#ifndef SIP_HEP_H
#define SIP_HEP_H

#include <sluice/addr.h>
#include <sluice/buf.h>
#include <sluice/rtcp.h>

enum hep_kind { HEP_SIP = 1, HEP_RTCP = 5, HEP_LOG = 100 }; /* "protocol type" */

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

/* ---- hep_rtcp.c: the payload of HEP_RTCP is JSON. Writes that of the compound's next report behind
 * *at, which is zeroed before the first; false: there is none any more. */
bool hep_rtcp_next(struct sl_buf *out, struct sl_str compound, struct sl_rtcp_block *at);

#endif
