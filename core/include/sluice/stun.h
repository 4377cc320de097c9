/*
 * sluice/stun.h: STUN messages (RFC 8489): a view over received bytes, and a writer into a caller's
 * buffer.
 *
 * Sans-I/O. The view borrows the packet; it stays valid as long as the bytes do. Parsing checks
 * header, magic cookie, length and the bounds of every attribute once, so that walking them later
 * cannot run out of the message.
 */
#ifndef SLUICE_STUN_H
#define SLUICE_STUN_H

#include <sluice/addr.h>

#define SL_STUN_COOKIE 0x2112A442u
#define SL_STUN_HEADER 20
#define SL_STUN_MAX_PASSWORD 128

enum sl_stun_class { SL_STUN_REQUEST, SL_STUN_INDICATION, SL_STUN_SUCCESS, SL_STUN_ERROR };

enum sl_stun_method {
	SL_STUN_BINDING = 0x001,
	SL_TURN_ALLOCATE = 0x003,
	SL_TURN_REFRESH = 0x004,
	SL_TURN_SEND = 0x006,
	SL_TURN_DATA = 0x007,
	SL_TURN_CREATE_PERMISSION = 0x008,
	SL_TURN_CHANNEL_BIND = 0x009,
	SL_TURN_CONNECT = 0x00a,
	SL_TURN_CONNECTION_BIND = 0x00b,
	SL_TURN_CONNECTION_ATTEMPT = 0x00c,
};

enum sl_stun_attr_type {
	SL_STUN_MAPPED_ADDRESS = 0x0001,
	SL_STUN_CHANGE_REQUEST = 0x0003,
	SL_STUN_USERNAME = 0x0006,
	SL_STUN_MESSAGE_INTEGRITY = 0x0008,
	SL_STUN_ERROR_CODE = 0x0009,
	SL_STUN_UNKNOWN_ATTRIBUTES = 0x000a,
	SL_TURN_CHANNEL_NUMBER = 0x000c,
	SL_TURN_LIFETIME = 0x000d,
	SL_TURN_XOR_PEER_ADDRESS = 0x0012,
	SL_TURN_DATA_ATTR = 0x0013,
	SL_STUN_REALM = 0x0014,
	SL_STUN_NONCE = 0x0015,
	SL_TURN_XOR_RELAYED_ADDRESS = 0x0016,
	SL_TURN_REQUESTED_ADDRESS_FAMILY = 0x0017,
	SL_TURN_EVEN_PORT = 0x0018,
	SL_TURN_REQUESTED_TRANSPORT = 0x0019,
	SL_TURN_DONT_FRAGMENT = 0x001a,
	SL_STUN_ACCESS_TOKEN = 0x001b,
	SL_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
	SL_STUN_PASSWORD_ALGORITHM = 0x001d,
	SL_STUN_USERHASH = 0x001e,
	SL_STUN_XOR_MAPPED_ADDRESS = 0x0020,
	SL_TURN_RESERVATION_TOKEN = 0x0022,
	SL_STUN_PRIORITY = 0x0024,
	SL_STUN_USE_CANDIDATE = 0x0025,
	SL_STUN_PADDING = 0x0026,
	SL_STUN_RESPONSE_PORT = 0x0027,
	SL_TURN_CONNECTION_ID = 0x002a,
	SL_TURN_ADDITIONAL_ADDRESS_FAMILY = 0x8000,
	SL_TURN_ADDRESS_ERROR_CODE = 0x8001,
	SL_STUN_PASSWORD_ALGORITHMS = 0x8002,
	SL_STUN_ALTERNATE_DOMAIN = 0x8003,
	SL_TURN_ICMP = 0x8004,
	SL_STUN_SOFTWARE = 0x8022,
	SL_STUN_ALTERNATE_SERVER = 0x8023,
	SL_STUN_FINGERPRINT = 0x8028,
	SL_STUN_ICE_CONTROLLED = 0x8029,
	SL_STUN_ICE_CONTROLLING = 0x802a,
	SL_STUN_RESPONSE_ORIGIN = 0x802b,
	SL_STUN_OTHER_ADDRESS = 0x802c,
	SL_TURN_MOBILITY_TICKET = 0x8030,
	SL_STUN_THIRD_PARTY_AUTHORIZATION = 0x802e,
	SL_TURN_ADDITIONAL_ADDRESS_FAMILY_DRAFT = 0x8032, /* as clients of the drafts send it */
};

/* How a password becomes a long-term key (section 18.5). */
enum sl_stun_algorithm { SL_STUN_MD5 = 1, SL_STUN_SHA256 = 2 };

struct sl_stun_attr {
	uint16_t type;
	uint16_t len;	     /* without padding */
	const uint8_t *data; /* borrowed */
};

struct sl_stun_msg {
	const uint8_t *raw; /* borrowed; whole message */
	uint32_t len;	    /* header included */
	uint16_t method;
	uint8_t class_;
	const uint8_t *txid; /* 12 bytes */
};

/* What the first bytes of a datagram are (RFC 7983, RFC 9443; TURN channels RFC 8656 section 12).
 */
enum sl_demux {
	SL_DEMUX_STUN,
	SL_DEMUX_DTLS,
	SL_DEMUX_CHANNEL,
	SL_DEMUX_RTP,
	SL_DEMUX_RTCP,
	SL_DEMUX_ZRTP,
	SL_DEMUX_QUIC,
	SL_DEMUX_UNKNOWN
};
/* By its first bytes and its length; SL_DEMUX_UNKNOWN: none of these, or too short to be one */
SL_API enum sl_demux sl_demux(const void *data, size_t len);

/* -SL_EPARSE unless data is exactly one well-formed message. */
SL_API SL_MUST_CHECK int sl_stun_parse(struct sl_stun_msg *ret_msg, const void *data, size_t len);
/* Walks: attr zeroed before the first call; false at the end. */
SL_API bool sl_stun_next(const struct sl_stun_msg *msg, struct sl_stun_attr *attr);
/* First attribute of a type before MESSAGE-INTEGRITY ends the trusted part (RFC 8489 section 14.5).
 */
SL_API bool sl_stun_find(const struct sl_stun_msg *msg, uint16_t type,
			 struct sl_stun_attr *ret_attr);
/* The value of that attribute; empty when it is absent */
SL_API struct sl_str sl_stun_find_str(const struct sl_stun_msg *msg, uint16_t type);
/* Plain */
SL_API SL_MUST_CHECK int sl_stun_get_addr(const struct sl_stun_msg *msg,
					  const struct sl_stun_attr *attr,
					  struct sl_addr *ret_addr);
/* XOR'ed (section 14.2). -SL_EPARSE, both */
SL_API SL_MUST_CHECK int sl_stun_get_xor_addr(const struct sl_stun_msg *msg,
					      const struct sl_stun_attr *attr,
					      struct sl_addr *ret_addr);
/* -SL_EPARSE: not four bytes */
SL_API SL_MUST_CHECK int sl_stun_get_u32(const struct sl_stun_attr *attr, uint32_t *ret_value);
/* 0 when present and right; -SL_ENOENT when absent; -SL_EAUTH when wrong. key: RFC 8489 section 9.
 * SHA-256 in full length only (section 14.6). */
SL_API SL_MUST_CHECK int sl_stun_check_integrity(const struct sl_stun_msg *msg, struct sl_str key);
SL_API SL_MUST_CHECK int sl_stun_check_integrity_sha256(const struct sl_stun_msg *msg,
							struct sl_str key);
/* One of the two is there; whether it is right is another question. */
SL_API bool sl_stun_is_signed(const struct sl_stun_msg *msg);
/* 0 when present and right; -SL_ENOENT; -SL_EAUTH when wrong or not the last one (section 14.7) */
SL_API SL_MUST_CHECK int sl_stun_check_fingerprint(const struct sl_stun_msg *msg);
/* Collects comprehension-required types (< 0x8000) that are not in known[]; returns their number,
 * at most max. */
SL_API unsigned sl_stun_unknown(const struct sl_stun_msg *msg, const uint16_t *known,
				unsigned n_known, uint16_t *ret_types, unsigned max);
/* Long-term key: MD5(username ":" realm ":" password) (section 18.5.1). */
SL_API void sl_stun_long_term_key(uint8_t ret_key[16], struct sl_str user, struct sl_str realm,
				  struct sl_str password);
/* The same with SHA-256 (section 18.5.1.2). */
SL_API void sl_stun_long_term_key_sha256(uint8_t ret_key[32], struct sl_str user,
					 struct sl_str realm, struct sl_str password);
/* USERHASH: SHA-256(username ":" realm) (section 14.4). */
SL_API void sl_stun_userhash(uint8_t ret_hash[32], struct sl_str user, struct sl_str realm);
/* "Unauthorized" ... */
SL_API const char *sl_stun_reason(unsigned code);

/* The writer: never writes past cap; after an overflow all calls do nothing and sl_stun_finish
 * returns -SL_EFULL. */
struct sl_stun_writer {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};
/* Into dst, which stays the caller's */
SL_API void sl_stun_begin(struct sl_stun_writer *w, void *dst, size_t cap,
			  enum sl_stun_class class_, uint16_t method, const uint8_t txid[12]);
/* Attributes in order, each padded to four bytes (section 14) */
SL_API void sl_stun_put(struct sl_stun_writer *w, uint16_t type, const void *data, size_t len);
SL_API void sl_stun_put_str(struct sl_stun_writer *w, uint16_t type, struct sl_str s);
SL_API void sl_stun_put_u32(struct sl_stun_writer *w, uint16_t type, uint32_t v);
SL_API void sl_stun_put_addr(struct sl_stun_writer *w, uint16_t type, const struct sl_addr *a);
SL_API void sl_stun_put_xor_addr(struct sl_stun_writer *w, uint16_t type, const struct sl_addr *a);
/* Reason may be empty */
SL_API void sl_stun_put_error(struct sl_stun_writer *w, unsigned code, struct sl_str reason);
/* In this order, and nothing behind FINGERPRINT: each covers what stands before it */
SL_API void sl_stun_put_integrity(struct sl_stun_writer *w, struct sl_str key);
SL_API void sl_stun_put_integrity_sha256(struct sl_stun_writer *w, struct sl_str key);
SL_API void sl_stun_put_fingerprint(struct sl_stun_writer *w);
/* -SL_EFULL: it did not fit, and dst holds no message */
SL_API SL_MUST_CHECK int sl_stun_finish(struct sl_stun_writer *w, size_t *ret_len);

/* What the module "stun" offers to those that own a connection or flow: sl_iface_get(w,
 * SL_STUN_IFACE, 1, &self). */
#define SL_STUN_IFACE "stun"
struct sl_stun_iface {
	/* The answer to a Binding request: its length in dst (room: 128 bytes), 0 for silence.
	 * -SL_EUNSUPP: not a Binding request or indication. */
	int (*answer)(void *self, const struct sl_stun_msg *msg, const struct sl_addr *remote,
		      uint8_t dst[128]);
};

#endif
