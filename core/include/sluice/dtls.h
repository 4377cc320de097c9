/*
 * sluice/dtls.h: DTLS 1.2 (RFC 6347), sans-I/O: TURN over DTLS (RFC 7350) and DTLS-SRTP (RFC 5764).
 *
 * (state, bytes, now) -> (datagrams, application data, next time-out). A context is an identity and
 * what is negotiated under it; a session is one association with one peer. The caller owns sockets,
 * addresses and the clock, and may not free a session within a callback of it.
 *
 * A server that answers anybody first asks for proof of the source address: sl_dtls_listen keeps
 * nothing, and only what it calls proven is worth a session. Sessions bound to ICE skip that: their
 * peer's address is proven by connectivity checks.
 *
 * Memory: nothing to speak of until the first flight, 40 kB to the end of the handshake.
 * sl_dtls_trim gives the record buffers of a quiet session back; sl_dtls_slim leaves only what a
 * session without application data still has to do (repeat its last flight, say and hear goodbye),
 * under 1 kB.
 */
#ifndef SLUICE_DTLS_H
#define SLUICE_DTLS_H

#include <sluice/addr.h>
#include <sluice/str.h>

struct ssl_ctx_st;
struct sl_dtls_ctx;
struct sl_dtls;

#define SL_DTLS_MTU 1200 /* no datagram of a handshake is longer */

/* X(name, help); in plain words of the context, which the caller exports. */
#define SL_DTLS_COUNTERS(X)                                                                        \
	X(handshakes, "DTLS handshakes completed")                                                 \
	X(resumptions, "DTLS handshakes that resumed a session")                                   \
	X(failures, "DTLS handshakes that failed")                                                 \
	X(timeouts, "DTLS handshakes given up because the peer fell silent")                       \
	X(fingerprint_mismatches, "DTLS peers whose certificate was not the announced one")        \
	X(retransmissions, "flights of DTLS handshakes sent again")                                \
	X(cookies_sent, "DTLS clients asked to prove their address")                               \
	X(cookies_refused, "DTLS hellos with a cookie that was not valid, or not any more")

struct sl_dtls_counters {
#define X(name, help) uint64_t name;
	SL_DTLS_COUNTERS(X)
#undef X
};

/* ---- contexts */

enum sl_dtls_use {
	SL_DTLS_DATA, /* application data; the peer needs no certificate */
	SL_DTLS_SRTP, /* use_srtp, and the peer's certificate is checked by its fingerprint */
};

/* A new self-signed ECDSA P-256 certificate, as every generation makes itself one for WebRTC. */
SL_API SL_MUST_CHECK int sl_dtls_ctx_new(enum sl_dtls_use use, struct sl_dtls_ctx **ret_ctx);
/* For clients of a listener: its certificates and its choice among them (sl_listener.tls of a UDP
 * listener, which is shared). cookie_key: the same in all processes of the node. */
SL_API SL_MUST_CHECK int sl_dtls_ctx_new_server(struct ssl_ctx_st *tls,
						const uint8_t cookie_key[32],
						struct sl_dtls_ctx **ret_ctx);
/* After its sessions; accepts NULL */
SL_API void sl_dtls_ctx_free(struct sl_dtls_ctx *ctx);
/* SHA-256 of the certificate as SDP writes it: "AB:CD:...", 95 characters */
SL_API const char *sl_dtls_fingerprint(const struct sl_dtls_ctx *ctx);
SL_API const struct sl_dtls_counters *sl_dtls_counters(const struct sl_dtls_ctx *ctx);

/* ---- sources without session: no state, no time-out */

#define SL_DTLS_VERIFY_BYTES 60

/*
 * A datagram from an address that has no session. SL_DONE: a ClientHello with a cookie of ours: make
 * a passive session with `proven` and give it this datagram. SL_AGAIN: send the *ret_len bytes of
 * reply, which are fewer than came. SL_DROP: nothing that begins a session.
 */
SL_API int sl_dtls_listen(struct sl_dtls_ctx *ctx, const void *data, size_t len,
			  const struct sl_addr *remote, uint64_t now_ms,
			  uint8_t reply[SL_DTLS_VERIFY_BYTES], size_t *ret_len);

/* Whether an open session's peer begins anew, having lost it: a ClientHello that is not the one the
 * session was made from. It is answered by sl_dtls_listen, and replaces the session once proven. */
SL_API bool sl_dtls_restarts(const struct sl_dtls *s, const void *data, size_t len);

/* ---- sessions */

enum sl_dtls_role {
	SL_DTLS_ACTIVE, /* says ClientHello */
	SL_DTLS_PASSIVE,
};

enum sl_dtls_state {
	SL_DTLS_SHAKING,
	SL_DTLS_OPEN,
	SL_DTLS_CLOSED, /* goodbye was said by either side */
	SL_DTLS_FAILED, /* sl_dtls_reason tells why */
};

/* Called within sl_dtls_start, _input, _tick, _write and _close; bytes are borrowed for the call. */
struct sl_dtls_io {
	/* One whole datagram to the peer */
	void (*send)(void *arg, const uint8_t *data, size_t len);
	/* Application data of one record; NULL: dropped */
	void (*data)(void *arg, const uint8_t *data, size_t len);
};

struct sl_dtls_opts {
	enum sl_dtls_role role;
	bool proven; /* sl_dtls_listen has said SL_DONE for the first datagram */
	/* The peer's certificate as SDP announces it: "sha-256", "sha-384" or "sha-512", and its
	 * value. Needed with SL_DTLS_SRTP, else both empty. */
	struct sl_str hash, fingerprint;
	const struct sl_dtls_io *io;
	void *arg;
	uint32_t retransmit_ms; /* first wait, doubled each time up to 4 s; 0: 400 */
	uint32_t give_up_ms;	/* for a handshake in all; 0: 30 000 */
};

/* -SL_EINVAL: no fingerprint that could be checked. -SL_EUNSUPP: a weak or unknown hash. Sends
 * nothing. */
SL_API SL_MUST_CHECK int sl_dtls_new(struct sl_dtls_ctx *ctx, const struct sl_dtls_opts *o,
				     uint64_t now_ms, struct sl_dtls **ret_session);
/* Accepts NULL; says nothing to the peer */
SL_API void sl_dtls_free(struct sl_dtls *s);
/* The active side's first flight; before it, or for the passive side, input alone does everything. */
SL_API void sl_dtls_start(struct sl_dtls *s, uint64_t now_ms);
/* A datagram from the peer (first byte 20..63). What cannot be read is dropped in silence, as
 * RFC 6347 section 4.1.2.7 wants it; a handshake that cannot go on ends the session. */
SL_API enum sl_dtls_state sl_dtls_input(struct sl_dtls *s, const void *data, size_t len,
					uint64_t now_ms);
/* When sl_dtls_tick wants to be called, UINT64_MAX for never; changes with every call. */
SL_API uint64_t sl_dtls_timeout_ms(const struct sl_dtls *s);
SL_API enum sl_dtls_state sl_dtls_tick(struct sl_dtls *s, uint64_t now_ms);
/* One record in one datagram. -SL_EAGAIN: not open yet; -SL_ECLOSED; -SL_ELIMIT: longer than a
 * record may be; -SL_EUNSUPP: slim. */
SL_API SL_MUST_CHECK int sl_dtls_write(struct sl_dtls *s, const void *data, size_t len);
/* close_notify; nothing is waited for */
SL_API void sl_dtls_close(struct sl_dtls *s);

SL_API enum sl_dtls_state sl_dtls_state(const struct sl_dtls *s);
/* Of the end, for a log: a few plain words, never NULL */
SL_API const char *sl_dtls_reason(const struct sl_dtls *s);
/* What the active side asked for in SNI; empty: nothing */
SL_API struct sl_str sl_dtls_server_name(const struct sl_dtls *s);
/* Gives record buffers back until the next datagram, 33 kB of 73 */
SL_API void sl_dtls_trim(struct sl_dtls *s);
/* Open sessions only. -SL_EUNSUPP: under a cipher that needs all of it; the session stays as it is. */
SL_API int sl_dtls_slim(struct sl_dtls *s);

/* ---- SRTP (RFC 5764 section 4.2) */

enum sl_srtp_profile { /* as in use_srtp */
	SL_SRTP_NONE = 0,
	SL_SRTP_AES128_CM_SHA1_80 = 0x0001,
	SL_SRTP_AES128_CM_SHA1_32 = 0x0002,
	SL_SRTP_AEAD_AES_128_GCM = 0x0007,
	SL_SRTP_AEAD_AES_256_GCM = 0x0008,
};

/* Secret. Local keys protect what we send, whichever role we had. */
struct sl_srtp_keys {
	enum sl_srtp_profile profile;
	uint8_t key_len, salt_len;
	uint8_t local_key[32], local_salt[14], remote_key[32], remote_salt[14];
};
/* Of an open session, before sl_dtls_slim. -SL_ENOENT: the peer does not speak SRTP. */
SL_API SL_MUST_CHECK int sl_dtls_srtp_keys(const struct sl_dtls *s, struct sl_srtp_keys *ret_keys);

#endif
