/*
 * signaling-ws/protocol.h: the messages between client and server as JSON. Pure; README.md and
 * schema.json tell it to others.
 */
#ifndef SIGNALING_PROTOCOL_H
#define SIGNALING_PROTOCOL_H

#include <sluice/json.h>

#define PROTOCOL_VERSION 1 /* 0 in here: a client that never said hello */
#define ID_STRLEN 17	   /* a peer's name in the protocol: 16 hex digits */
#define TOKEN_MAC_BYTES 16
#define TOKEN_KEY_BYTES 32
#define TOKEN_STRLEN 49 /* of a resume token: id and MAC in hex */
#define JSON_DEPTH 8

/* X(NAME, name on the wire): what a client may send. */
#define CLIENT_MESSAGES(X)                                                                         \
	X(HELLO, "hello")                                                                          \
	X(JOIN, "join")                                                                            \
	X(RESUME, "resume")                                                                        \
	X(LEAVE, "leave")                                                                          \
	X(OFFER, "offer")                                                                          \
	X(ANSWER, "answer")                                                                        \
	X(CANDIDATE, "candidate")                                                                  \
	X(BYE, "bye")                                                                              \
	X(MESSAGE, "message")                                                                      \
	X(PING, "ping")                                                                            \
	X(ACK, "ack")

enum client_message {
#define X(name, text) CLIENT_##name,
	CLIENT_MESSAGES(X)
#undef X
		N_CLIENT_MESSAGES,
	CLIENT_OTHER = N_CLIENT_MESSAGES /* a module's, perhaps */
};

/* X(NAME, name on the wire): codes of error messages. */
#define CLIENT_ERRORS(X)                                                                           \
	X(BAD_JSON, "bad_json")                                                                    \
	X(BAD_MESSAGE, "bad_message")                                                              \
	X(BAD_VERSION, "bad_version")                                                              \
	X(UNKNOWN_TYPE, "unknown_type")                                                            \
	X(NOT_JOINED, "not_joined")                                                                \
	X(ALREADY_JOINED, "already_joined")                                                        \
	X(BAD_ROOM, "bad_room")                                                                    \
	X(BAD_NAME, "bad_name")                                                                    \
	X(ROOM_FULL, "room_full")                                                                  \
	X(SERVER_FULL, "server_full")                                                              \
	X(FORBIDDEN, "forbidden")                                                                  \
	X(NO_SUCH_PEER, "no_such_peer")                                                            \
	X(RESUME_FAILED, "resume_failed")                                                          \
	X(RATE_LIMITED, "rate_limited")                                                            \
	X(TOO_MANY_CANDIDATES, "too_many_candidates")                                              \
	X(BUSY, "busy")                                                                            \
	X(REFUSED, "refused")                                                                      \
	X(MAILBOX_FULL, "mailbox_full")                                                            \
	X(REPLACED, "replaced")                                                                    \
	X(KICKED, "kicked")                                                                        \
	X(IDLE, "idle")                                                                            \
	X(SERVER_ERROR, "server_error")

enum client_error {
	CLIENT_FINE,
#define X(name, text) CLIENT_E_##name,
	CLIENT_ERRORS(X)
#undef X
};

const char *client_error_code(enum client_error e);

/* One message of a client. */
struct message {
	json_t *json; /* owned */
	enum client_message type;
	json_t *id;	 /* owned; NULL, a string, or an integer */
	uint64_t number; /* of an integer id; 0: none */
	uint64_t ack;	 /* 0: none */
	uint64_t to;	 /* peer; 0: everybody else in the room */
};

/* On an error the message may still hold json and id, for the answer. Always message_free. */
enum client_error message_read(struct message *m, struct sl_str text);
void message_free(struct message *m);
/* Whether an offer, answer or candidate has the form of version 1. */
bool message_is_whole(const struct message *m);
/* The SDP of a description, wherever clients put it; p NULL: not found. */
struct sl_str message_sdp(const struct message *m);
/* The user fragment of a candidate; p NULL: none named. */
struct sl_str message_ufrag(const struct message *m);
/* The message as its receivers get it: without what was for the server, with the sender's id. */
void message_relayed(const struct message *m, uint64_t from, struct sl_buf *body);

/*
 * Peer ids and resume tokens. A token is the id under a key that all workers of the node have: any
 * of them can tell a right one, and nothing of it is kept or sent between them.
 */
const char *id_format(char dst[ID_STRLEN], uint64_t id);
int id_parse(struct sl_str s, uint64_t *ret_id);
void token_format(char dst[TOKEN_STRLEN], uint64_t id, const uint8_t key[TOKEN_KEY_BYTES]);
/* -SL_EPARSE: not a token. -SL_EAUTH: not one of this node. */
int token_parse(struct sl_str s, const uint8_t key[TOKEN_KEY_BYTES], uint64_t *ret_id);

/* ---- what the server says; each appends one JSON object */
struct peer_info {
	uint64_t id;
	struct sl_str name;
	unsigned version;
	bool polite; /* the receiver's role towards this peer */
};

/* more: further members, or empty */
void say_hello(struct sl_buf *b, uint64_t max_message, uint64_t resume_ms, struct sl_str more);
void say_ack(struct sl_buf *b, const json_t *id);
void say_pong(struct sl_buf *b);
/* id: of the message that caused it, or NULL. */
void say_error(struct sl_buf *b, enum client_error e, const char *sentence, const json_t *id);
void say_joined(struct sl_buf *b, const struct peer_info *peer);
void say_left(struct sl_buf *b, const struct peer_info *peer, const char *reason);
void say_restart(struct sl_buf *b, const char *reason);
void say_reconnect(struct sl_buf *b, uint64_t within_ms);
/* servers: a JSON array. */
void say_ice(struct sl_buf *b, struct sl_str servers, uint64_t ttl_s);
/* The members of a peer entry, braces included. */
void say_peer(struct sl_buf *b, const struct peer_info *peer);

#endif
