/*
 * sluice/offload.h: datagrams that the kernel relays by itself.
 *
 * A module that relays between two UDP 5-tuples asks for one direction at a time: what `from` sends
 * to our port `at` leaves from our port `via` to `to`, with a channel header taken off or put in
 * front. From then on such datagrams do not reach this process any more, but for those that the
 * kernel leaves to it: fragments, trains, whatever is longer than the way permits. A request may be
 * refused at any time and for many reasons; whoever asks goes on relaying itself, and has to relay
 * whatever still comes. Nothing is relayed from expires_ms on, after sl_offload_end, or when this
 * process has died.
 */
#ifndef SLUICE_OFFLOAD_H
#define SLUICE_OFFLOAD_H

#include <sluice/addr.h>
#include <sluice/conf.h>
#include <sluice/worker.h>

/* In the order of the words of a directive that chooses. */
enum sl_offload_mode { SL_OFFLOAD_AUTO, SL_OFFLOAD_TC, SL_OFFLOAD_XDP, SL_OFFLOAD_OFF };

/* For check() of a module: what its configuration wants; the strongest wish of a configuration
 * counts. Without one, nothing is loaded into the kernel. */
SL_API void sl_conf_want_offload(struct sl_conf *c, enum sl_offload_mode mode);

struct sl_offload_opts {
	struct sl_addr from, at; /* sender, and the address and port here that it sends to */
	struct sl_addr via, to;	 /* address and port here to send from, and receiver */
	uint16_t channel;
	bool strip;	     /* take the header of the channel off; else put it in front */
	uint64_t expires_ms; /* loop time */
};

struct sl_offload_counts {
	uint64_t packets, bytes; /* payload, without channel headers */
};

struct sl_offload;
/* false: asking is in vain in this worker */
SL_API bool sl_offload_usable(const struct sl_worker *w);
/* -SL_EUNSUPP: switched off, not possible here, or not for these addresses (other families, this
 * host, interfaces without Ethernet frames). -SL_EFULL: no room. -SL_EEXIST: there is a rule for
 * these datagrams. */
SL_API SL_MUST_CHECK int sl_offload_begin(struct sl_worker *w, const struct sl_offload_opts *o,
					  struct sl_offload **ret_offload);
/* Also to an earlier time */
SL_API void sl_offload_set_expiry(struct sl_offload *o, uint64_t expires_ms);
/* false: the way has changed and the kernel has been told to stop; to be ended and asked for anew
 */
SL_API bool sl_offload_stands(const struct sl_offload *o);
/* What was relayed since the last call */
SL_API struct sl_offload_counts sl_offload_read(struct sl_offload *o);
/* As sl_offload_read, for the last time; NULL: zeros */
SL_API struct sl_offload_counts sl_offload_end(struct sl_offload *o);

#endif
