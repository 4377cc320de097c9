/*
 * signaling-ws/protocol.c: reading what clients say and writing what they are told.
 *
 * Reading is strict about what the server itself uses (type, id, ack, to) and leaves all other
 * members alone: they belong to the clients. Clients of tutorials put a description into `sdp` as
 * text or as an object, or below `offer` and `answer`; all of these are understood where the server
 * has to look inside. No state, no sockets.
 */
#include "protocol.h"

#include <sluice/crypto.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const type_names[N_CLIENT_MESSAGES] = {
#define X(name, text) text,
	CLIENT_MESSAGES(X)
#undef X
};

static const char *const error_codes[] = {"fine",
#define X(name, text) text,
					  CLIENT_ERRORS(X)
#undef X
};

const char *client_error_code(enum client_error e)
{
	return (size_t)e < SL_ARRAY_LEN(error_codes) ? error_codes[e] : "server_error";
}

/* ---- ids and tokens */

/* In hex: ids are read by people, and compared in logs. */
const char *id_format(char dst[ID_STRLEN], uint64_t id)
{
	uint8_t bytes[8];

	sl_put64(bytes, id);
	sl_hex_encode(dst, bytes, sizeof bytes);
	return dst;
}

int id_parse(struct sl_str s, uint64_t *ret_id)
{
	uint8_t bytes[8];
	size_t n;

	if (sl_hex_decode(bytes, sizeof bytes, s, &n) < 0 || n != sizeof bytes)
		return -SL_EPARSE;
	*ret_id = sl_get64(bytes);
	return *ret_id ? 0 : -SL_EPARSE;
}

/* One string, so that clients have one thing to keep. */
static void token_mac(uint8_t mac[32], uint64_t id, const uint8_t key[TOKEN_KEY_BYTES])
{
	uint8_t bytes[8];

	sl_put64(bytes, id);
	sl_hmac_sha256(mac, (struct sl_str){(const char *)key, TOKEN_KEY_BYTES}, bytes,
		       sizeof bytes);
}

void token_format(char dst[TOKEN_STRLEN], uint64_t id, const uint8_t key[TOKEN_KEY_BYTES])
{
	uint8_t mac[32];

	token_mac(mac, id, key);
	id_format(dst, id);
	sl_hex_encode(dst + ID_STRLEN - 1, mac, TOKEN_MAC_BYTES);
}

int token_parse(struct sl_str s, const uint8_t key[TOKEN_KEY_BYTES], uint64_t *ret_id)
{
	const size_t head = ID_STRLEN - 1;
	uint8_t presented[TOKEN_MAC_BYTES], mac[32];
	uint64_t id;
	size_t n;

	if (s.len != TOKEN_STRLEN - 1 || id_parse((struct sl_str){s.p, head}, &id) < 0 ||
	    sl_hex_decode(presented, sizeof presented, (struct sl_str){s.p + head, s.len - head},
			  &n) < 0)
		return -SL_EPARSE;
	token_mac(mac, id, key);
	if (!sl_mem_eq(presented, mac, TOKEN_MAC_BYTES))
		return -SL_EAUTH;
	*ret_id = id;
	return 0;
}

/* ---- reading */

/* Eleven names: a loop is as good as a table. What is not among them may be a module's. */
static bool read_type(const json_t *json, enum client_message *ret_type)
{
	struct sl_str type = sl_json_get_str(json, "type");

	*ret_type = CLIENT_OTHER;
	for (unsigned i = 0; i < N_CLIENT_MESSAGES; i++) {
		if (sl_str_eq(type, sl_str_c(type_names[i]))) {
			*ret_type = (enum client_message)i;
			return true;
		}
	}
	return type.len > 0;
}

/* A whole number above zero; absent is fine and leaves 0. */
static bool read_number(const json_t *json, const char *key, uint64_t *ret_value)
{
	const json_t *v = json_object_get(json, key);

	if (!v)
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret_value = (uint64_t)json_integer_value(v);
	return true;
}

/* Text ids are for clients that number in their own way; they are echoed, nothing more. */
static bool read_id(struct message *m)
{
	json_t *id = json_object_get(m->json, "id");

	if (!id)
		return true;
	if (!json_is_string(id) && !(json_is_integer(id) && json_integer_value(id) > 0))
		return false;
	m->id = json_incref(id);
	if (json_is_integer(id))
		m->number = (uint64_t)json_integer_value(id);
	return true;
}

/* The id is read first: an error can name its message then. */
enum client_error message_read(struct message *m, struct sl_str text)
{
	*m = (struct message){.json = sl_json_parse(text, JSON_DEPTH, NULL, 0)};
	if (!json_is_object(m->json))
		return CLIENT_E_BAD_JSON;
	if (!read_id(m))
		return CLIENT_E_BAD_MESSAGE;
	if (!read_type(m->json, &m->type))
		return CLIENT_E_UNKNOWN_TYPE;
	if (!read_number(m->json, m->type == CLIENT_ACK ? "seq" : "ack", &m->ack))
		return CLIENT_E_BAD_MESSAGE;
	if (json_object_get(m->json, "to") && id_parse(sl_json_get_str(m->json, "to"), &m->to) < 0)
		return CLIENT_E_NO_SUCH_PEER;
	return CLIENT_FINE;
}

void message_free(struct message *m)
{
	json_decref(m->json);
	json_decref(m->id);
	*m = (struct message){0};
}

/* Clients of version 0 are not held to it. */
bool message_is_whole(const struct message *m)
{
	const json_t *candidate = json_object_get(m->json, "candidate");

	if (m->type == CLIENT_OFFER || m->type == CLIENT_ANSWER)
		return sl_json_get_str(m->json, "sdp").p != NULL;
	if (m->type == CLIENT_CANDIDATE)
		return json_is_object(candidate) || json_is_null(candidate);
	return true;
}

struct sl_str message_sdp(const struct message *m)
{
	static const char *const places[] = {"sdp", "offer", "answer", "description"};

	for (size_t i = 0; i < SL_ARRAY_LEN(places); i++) {
		const json_t *v = json_object_get(m->json, places[i]);

		if (json_is_string(v))
			return sl_json_get_str(m->json, places[i]);
		if (json_is_object(v) && sl_json_get_str(v, "sdp").p)
			return sl_json_get_str(v, "sdp");
	}
	return SL_STR_NULL;
}

/* "... ufrag Ab3d ..." within a candidate attribute: an extension (RFC 8839 section 5.1). */
static struct sl_str ufrag_in_attribute(struct sl_str line)
{
	while (line.len > 0)
		if (sl_str_eq(sl_str_split(&line, ' '), SL_STR("ufrag")))
			return sl_str_split(&line, ' ');
	return SL_STR_NULL;
}

/* Browsers tell the fragment beside the line; others only within it. */
struct sl_str message_ufrag(const struct message *m)
{
	const json_t *candidate = json_object_get(m->json, "candidate");
	struct sl_str ufrag;

	if (json_is_string(candidate))
		return ufrag_in_attribute(sl_json_get_str(m->json, "candidate"));
	ufrag = sl_json_get_str(candidate, "usernameFragment");
	return ufrag.len > 0 ? ufrag : ufrag_in_attribute(sl_json_get_str(candidate, "candidate"));
}

/* A sender cannot speak in another's name, nor number the receiver's messages. */
void message_relayed(const struct message *m, uint64_t from, struct sl_buf *body)
{
	static const char *const ours[] = {"id", "to", "ack", "seq", "from"};
	char text[ID_STRLEN];

	for (size_t i = 0; i < SL_ARRAY_LEN(ours); i++)
		(void)json_object_del(m->json, ours[i]); /* absent is as good */
	if (json_object_set_new(m->json, "from", json_string(id_format(text, from))) < 0) {
		body->failed = true;
		return;
	}
	sl_json_dump(m->json, body);
}

/* ---- writing */

void say_hello(struct sl_buf *b, uint64_t max_message, uint64_t resume_ms, struct sl_str more)
{
	sl_buf_printf(b,
		      "{\"type\":\"hello\",\"version\":%d,\"maxMessage\":%" PRIu64
		      ",\"resume\":%" PRIu64 "%s%.*s}",
		      PROTOCOL_VERSION, max_message, resume_ms, more.len > 0 ? "," : "",
		      SL_FMT(more));
}

static void add_id(struct sl_buf *b, const json_t *id)
{
	sl_buf_str(b, SL_STR(",\"id\":"));
	sl_json_dump(id, b);
}

void say_ack(struct sl_buf *b, const json_t *id)
{
	sl_buf_str(b, SL_STR("{\"type\":\"ack\""));
	add_id(b, id);
	sl_buf_u8(b, '}');
}

void say_pong(struct sl_buf *b)
{
	sl_buf_str(b, SL_STR("{\"type\":\"pong\"}"));
}

void say_error(struct sl_buf *b, enum client_error e, const char *sentence, const json_t *id)
{
	sl_buf_printf(b, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", client_error_code(e));
	sl_buf_json(b, sl_str_c(sentence));
	if (id)
		add_id(b, id);
	sl_buf_u8(b, '}');
}

void say_peer(struct sl_buf *b, const struct peer_info *peer)
{
	char id[ID_STRLEN];

	sl_buf_printf(b, "{\"id\":\"%s\",\"name\":", id_format(id, peer->id));
	sl_buf_json(b, peer->name);
	sl_buf_printf(b, ",\"version\":%u,\"polite\":%s}", peer->version,
		      peer->polite ? "true" : "false");
}

void say_joined(struct sl_buf *b, const struct peer_info *peer)
{
	sl_buf_str(b, SL_STR("{\"type\":\"joined\",\"peer\":"));
	say_peer(b, peer);
	sl_buf_u8(b, '}');
}

/* With the name: a client may have forgotten the peer already. */
void say_left(struct sl_buf *b, const struct peer_info *peer, const char *reason)
{
	sl_buf_str(b, SL_STR("{\"type\":\"left\",\"peer\":"));
	say_peer(b, peer);
	sl_buf_printf(b, ",\"reason\":\"%s\"}", reason);
}

void say_restart(struct sl_buf *b, const char *reason)
{
	sl_buf_printf(b, "{\"type\":\"restart\",\"reason\":\"%s\"}", reason);
}

void say_reconnect(struct sl_buf *b, uint64_t within_ms)
{
	sl_buf_printf(b, "{\"type\":\"reconnect\",\"within\":%" PRIu64 "}", within_ms);
}

void say_ice(struct sl_buf *b, struct sl_str servers, uint64_t ttl_s)
{
	sl_buf_str(b, SL_STR("{\"type\":\"ice\",\"iceServers\":"));
	sl_buf_str(b, servers);
	sl_buf_printf(b, ",\"ttl\":%" PRIu64 "}", ttl_s);
}
