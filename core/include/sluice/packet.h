/*
 * sluice/packet.h: datagrams in the worker's packet arena.
 *
 * A slot of 2 048 bytes: headroom 64, data, tailroom 64. References are worker-local and not
 * atomic. A handler that keeps a packet beyond its call takes a reference; the sender's queue takes
 * its own.
 */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#include <sluice/addr.h>
#include <sluice/buf.h>

#define SL_PACKET_HEADROOM 64
#define SL_PACKET_TAILROOM 64
#define SL_PACKET_MAX                                                                              \
	(2048 - SL_PACKET_HEADROOM -                                                               \
	 SL_PACKET_TAILROOM) /* payload; longer datagrams are dropped and counted */

struct sl_assoc; /* <sluice/udp.h> */
struct sl_udp;
struct sl_worker;
struct sl_rtp; /* <sluice/rtp.h> */

struct sl_packet {
	uint8_t *data; /* into the slot */
	uint32_t len;  /* bytes */
	uint16_t refs;
	uint8_t tos;	    /* DSCP and ECN as received, or to send */
	uint8_t demux;	    /* enum sl_demux of <sluice/stun.h>; filled for listeners */
	struct sl_udp *udp; /* the socket it arrived on, or that answers to its sender leave from */
	struct sl_addr from;
	const struct sl_addr *local; /* the address it was sent to */
	uint64_t time_ns;	     /* of the tick that read it */
	struct sl_assoc *assoc; /* the DTLS association it came through, decrypted; valid during the
				   handler's call. NULL: it came as it is */
	uint8_t ttl; /* TTL or hop limit as received, or to send; 0: not asked for, the default */
};

/* Empty, one reference, data at the headroom's end; NULL when the arena is at its limit */
SL_API struct sl_packet *sl_packet_new(struct sl_worker *w);
static inline void sl_packet_ref(struct sl_packet *p)
{
	p->refs++;
}
SL_API void sl_packet_unref(struct sl_packet *p);
/* Move the start of data; the room is checked (sl_check): NULL when there is none. */
/* Prepend */
SL_API uint8_t *sl_packet_push(struct sl_packet *p, size_t n);
/* Strip */
SL_API uint8_t *sl_packet_pull(struct sl_packet *p, size_t n);
/* A place beside the packet for what its bytes are as RTP, as long as the packet lives; not
 * cleared.
 */
SL_API struct sl_rtp *sl_packet_rtp(struct sl_packet *p);
/* Returns where the new bytes are */
SL_API uint8_t *sl_packet_append(struct sl_packet *p, size_t n);

#endif
