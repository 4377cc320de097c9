/*
 * recorder/pcapng.h: packets as a file that Wireshark reads (draft-ietf-opsawg-pcapng), each as a
 * UDP datagram from 127.0.0.1 to itself, port 5004: what was around them on the network is gone.
 */
#ifndef RECORDER_PCAPNG_H
#define RECORDER_PCAPNG_H

#include <sluice/buf.h>

/* What a file begins with */
void pcapng_begin(struct sl_buf *b);
/* unix_ns: when it came, of day */
void pcapng_packet(struct sl_buf *b, uint64_t unix_ns, struct sl_str packet);

#endif
