/*
 * proto/sctp.h: data channels: SCTP over DTLS (RFC 8831) and DCEP (RFC 8832). The seam of usrsctp.
 *
 * Sans-I/O as far as the library lets: packets go in and come out by call; its timers are run from
 * sctp_tick; its state is one per process (sctp_start after exec).
 */
#ifndef PROTO_SCTP_H
#define PROTO_SCTP_H

#include <sluice/str.h>

enum { SCTP_MAX_MESSAGE = 256 * 1024 };

int sctp_start(void); /* once per process; again is a no-op */
void sctp_stop(void);
/* Runs the library's timers; returns when to call again (10 ms while there are associations) */
uint64_t sctp_tick(uint64_t now_ms);

struct sctp;
struct sctp_channel {
	uint16_t stream;
	bool ordered;
	bool negotiated;       /* without DCEP */
	int32_t max_retransmits; /* -1: reliable in this respect */
	int32_t max_lifetime_ms; /* -1 */
	struct sl_str label, protocol;
};
struct sctp_io {
	void (*send)(void *ctx, const uint8_t *packet, size_t len); /* to DTLS */
	void (*up)(void *ctx);
	void (*down)(void *ctx, const char *why);
	void (*opened)(void *ctx, const struct sctp_channel *c); /* theirs, or ours confirmed */
	void (*closed)(void *ctx, uint16_t stream);
	void (*message)(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len);
	/* bufferedAmount of the stream fell to or below its threshold */
	void (*writable)(void *ctx, uint16_t stream);
};
struct sctp_opts {
	bool client;	      /* DTLS client: even stream numbers (RFC 8832 section 6) */
	uint16_t local_port, remote_port; /* 0: 5000 */
	size_t max_message;   /* of the peer, from its SDP; 0: 65536 */
	size_t max_buffered;  /* bytes unsent over all streams; 0: 1 MiB. Beyond: -SL_EFULL */
};
int sctp_new(struct sctp **ret_s, const struct sctp_opts *o, const struct sctp_io *io, void *ctx);
void sctp_free(struct sctp *s); /* accepts NULL */
void sctp_input(struct sctp *s, const uint8_t *packet, size_t len);
/* c->stream 65535: the next free one. -SL_EFULL */
int sctp_open(struct sctp *s, const struct sctp_channel *c, uint16_t *ret_stream);
int sctp_close(struct sctp *s, uint16_t stream);
/* -SL_ENOENT: no such channel; -SL_EFULL: wait for writable; -SL_ELIMIT: larger than the peer takes */
int sctp_send(struct sctp *s, uint16_t stream, bool text, const void *data, size_t len);
size_t sctp_buffered(const struct sctp *s, uint16_t stream);
void sctp_set_threshold(struct sctp *s, uint16_t stream, size_t bytes);

#endif
