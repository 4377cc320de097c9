/*
 * proto/sctp.h: data channels: SCTP over DTLS (RFC 8831) and DCEP (RFC 8832). The seam of usrsctp.
 *
 * Sans-I/O as far as the library lets: packets go in and come out by call; its timers are run from
 * sctp_tick; its state is one per process (sctp_start after exec). It measures round trips and
 * lifetimes by the system's clock.
 *
 * A call of one function leads to calls of sctp_io; those may call sctp_open, sctp_close, sctp_send
 * and sctp_free, but for `send`, which may call nothing here.
 */
#ifndef PROTO_SCTP_H
#define PROTO_SCTP_H

#include <sluice/str.h>

enum {
	SCTP_MAX_MESSAGE = 256 * 1024,
	SCTP_STREAMS = 256,    /* each way; stream numbers end below it */
	SCTP_MAX_PACKET = 1160, /* a DTLS record of it fits into 1 200 bytes */
};

int sctp_start(void); /* once per process; again is a no-op */
void sctp_stop(void); /* after the last association */
/* Runs the library's timers; returns when to call again (10 ms while there are associations) */
uint64_t sctp_tick(uint64_t now_ms);

struct sctp;
struct sctp_channel {
	uint16_t stream;
	bool ordered;
	bool negotiated;	 /* without DCEP */
	int32_t max_retransmits; /* -1: reliable in this respect */
	int32_t max_lifetime_ms; /* -1; not both */
	struct sl_str label, protocol; /* borrowed for the call */
};
struct sctp_io {
	void (*send)(void *ctx, const uint8_t *packet, size_t len); /* to DTLS */
	void (*up)(void *ctx);			  /* may be NULL */
	void (*down)(void *ctx, const char *why); /* may be NULL; all channels have been closed */
	void (*opened)(void *ctx, const struct sctp_channel *c); /* theirs, or ours confirmed */
	void (*closed)(void *ctx, uint16_t stream);
	void (*message)(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len);
	/* bufferedAmount of the stream fell to or below its threshold */
	void (*writable)(void *ctx, uint16_t stream);
};
/* May be shared by many associations. */
struct sctp_counters {
	uint64_t messages_in, messages_out, bytes_in, bytes_out;
	uint64_t bad_packet; /* not SCTP, or of a kind that WebRTC has no use for */
	uint64_t bad_dcep;   /* malformed, or for a stream that is in use */
	uint64_t no_channel; /* messages on streams without one */
	uint64_t too_long;   /* longer than SCTP_MAX_MESSAGE: the channel is closed */
	uint64_t expired;    /* lifetime over before it was sent */
};
struct sctp_opts {
	bool client;			  /* DTLS client: even stream numbers (RFC 8832 section 6) */
	uint16_t local_port, remote_port; /* 0: 5000 */
	size_t max_message;		  /* of the peer, from its SDP; 0: 65536 */
	size_t max_buffered; /* bytes unsent over all streams; 0: 1 MiB. Beyond: -SL_EFULL */
	struct sctp_counters *counters; /* borrowed; NULL: not counted */
};
/* Sends INIT. The library's own buffers, 512 KiB out and 256 KiB in, come atop of max_buffered. */
int sctp_new(struct sctp **ret_s, const struct sctp_opts *o, const struct sctp_io *io, void *ctx);
/* Accepts NULL. Says nothing to the peer: the end of DTLS tells it. No calls of io */
void sctp_free(struct sctp *s);
/* Nothing is read while it is held: the window that the peer is told closes. No calls of io when it
 * is held, what waited when it is not any more. */
void sctp_hold(struct sctp *s, bool held);
void sctp_input(struct sctp *s, const uint8_t *packet, size_t len);
/* c->stream 65535: the next free one of our parity. May be called before the association is up.
 * -SL_EFULL: no stream is free; -SL_EEXIST; -SL_EINVAL; -SL_ECLOSED: the association has ended */
int sctp_open(struct sctp *s, const struct sctp_channel *c, uint16_t *ret_stream);
/* What is buffered is sent first, then the stream is reset; closed() tells the end. -SL_ENOENT */
int sctp_close(struct sctp *s, uint16_t stream);
/* -SL_ENOENT: no such channel, or closing; -SL_EFULL: wait for writable; -SL_ELIMIT: larger than the
 * peer takes */
int sctp_send(struct sctp *s, uint16_t stream, bool text, const void *data, size_t len);
size_t sctp_buffered(const struct sctp *s, uint16_t stream);
void sctp_set_threshold(struct sctp *s, uint16_t stream, size_t bytes);

#endif
