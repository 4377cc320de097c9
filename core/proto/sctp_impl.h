/*
 * proto/sctp_impl.h: what the parts of data channels share. sctp.c speaks with usrsctp;
 * sctp_channel.c knows channels, DCEP and what waits to be sent, and nothing of the library;
 * sctp_guard.c looks at packets before the library does.
 */
#ifndef PROTO_SCTP_IMPL_H
#define PROTO_SCTP_IMPL_H

#include "proto/sctp.h"

/* Payload protocol identifiers (RFC 8831 section 8). */
enum sctp_ppid {
	SCTP_PPID_DCEP = 50,
	SCTP_PPID_TEXT = 51,
	SCTP_PPID_BINARY_PART = 52, /* obsolete */
	SCTP_PPID_BINARY = 53,
	SCTP_PPID_TEXT_PART = 54, /* obsolete */
	SCTP_PPID_TEXT_EMPTY = 56,
	SCTP_PPID_BINARY_EMPTY = 57,
};

/* Waits because the library had no room. */
struct sctp_pending {
	struct sctp_pending *next;
	uint64_t expires_ms; /* UINT64_MAX: never */
	uint32_t ppid;
	size_t len;
	uint8_t data[];
};

struct sctp_stream {
	bool ordered;
	bool confirmed;	 /* the peer knows of it: unordered messages cannot overtake the OPEN */
	bool told;	 /* opened() has been called */
	bool closing;	 /* by either side; nothing new is taken */
	bool reset_asked, out_reset, in_reset; /* ours has been asked for, is done; theirs is done */
	bool above;	 /* buffered has been above the threshold */
	int32_t max_retransmits, max_lifetime_ms;
	size_t buffered, threshold; /* bytes of messages; DCEP apart */
	struct sctp_pending *first, **last;
	char *names; /* label and protocol of ours until it is confirmed; owned */
	uint16_t label_len, protocol_len;
};

struct sctp {
	struct sctp_opts opts;
	const struct sctp_io *io;
	void *ctx;
	struct sctp_counters *count, own_count;
	bool up, dead, held;
	uint16_t n_streams; /* negotiated; SCTP_STREAMS before */
	uint16_t turn;	    /* whose turn it is to send */
	struct sctp_stream *streams[SCTP_STREAMS]; /* owned */
	uint16_t top;				   /* above the highest in use */
	uint16_t n_closing;			   /* streams */
	unsigned n_pending;			   /* messages of all streams */
	size_t buffered;			   /* bytes of all streams */
	/* sctp.c */
	void *so;      /* struct socket; owned */
	void *address; /* a number that the library knows it by */
	uint32_t slot;
	bool ready; /* in the list of what has something to read */
	struct sctp *next_ready;
	bool skipping; /* the rest of a message that is too long */
	uint8_t *part; /* pieces of one message; owned; NULL: none */
	size_t part_len, part_cap;
};

/* ---- sctp.c for sctp_channel.c */

struct sctp_fate { /* of one message */
	bool ordered;
	int32_t max_retransmits; /* -1 */
	int64_t lifetime_ms;	 /* -1 */
};
/* -SL_EAGAIN: no room now; -SL_ECLOSED: never; -SL_ELIMIT */
int sctp_lib_send(struct sctp *s, uint16_t stream, uint32_t ppid, const struct sctp_fate *fate,
		  const void *data, size_t len);
/* Of our direction. -SL_EUNSUPP: the peer does not know RFC 6525; -SL_EAGAIN */
int sctp_lib_reset(struct sctp *s, uint16_t stream);
uint64_t sctp_lib_now_ms(void); /* of the last tick */

/* ---- sctp_channel.c for sctp.c */

void sctp_channels_up(struct sctp *s, unsigned n_streams);
void sctp_channels_down(struct sctp *s);
void sctp_channels_free(struct sctp *s);
void sctp_channel_message(struct sctp *s, uint16_t stream, uint32_t ppid, const uint8_t *data,
			  size_t len);
/* Of a stream: theirs, ours */
void sctp_channel_in_reset(struct sctp *s, uint16_t stream);
void sctp_channel_out_reset(struct sctp *s, uint16_t stream);
/* Breaks a channel off: the peer has broken the rules. */
void sctp_channel_abandon(struct sctp *s, uint16_t stream);
/* Hands over what waits, asks for resets that are due. */
void sctp_channels_flush(struct sctp *s);

/* ---- sctp_guard.c */

/* A whole packet of chunks that WebRTC uses, each within its bounds. */
bool sctp_guard(const uint8_t *packet, size_t len);

#endif
