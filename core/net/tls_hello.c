/*
 * net/tls_hello.c: reading a ClientHello that is still in the socket (RFC 8446 sections 4.1.2
 * and 5.1, RFC 6066 section 3, RFC 7301 section 3.1).
 *
 * Decides nothing: says which name and which protocols are asked for, so that a shared port can be
 * divided before anybody answers. Bytes an attacker chose: every read is bounded. Clients with
 * post-quantum keys send more than one packet, and a hello may be cut over several records: then it
 * is joined in a buffer of this process, to which the views point until the next call.
 */
#include "net/tls.h"

#define RECORD_HEADER 5
#define RECORD_MAX (16384 + 256)
#define HANDSHAKE_HEADER 4
#define HELLO_MAX 16384
#define CONTENT_HANDSHAKE 22
#define CLIENT_HELLO 1
#define EXT_SERVER_NAME 0
#define EXT_ALPN 16

static uint8_t joined[HELLO_MAX + HANDSHAKE_HEADER];

struct cursor {
	const uint8_t *p;
	size_t left;
};

/* -SL_EPARSE: not a handshake record; -SL_EAGAIN: not all there, *ret_part holds what is. */
static int read_record(struct cursor *c, struct sl_str *ret_part)
{
	size_t len;

	if (c->left < RECORD_HEADER) {
		bool possible = (c->left < 1 || c->p[0] == CONTENT_HANDSHAKE) &&
				(c->left < 2 || c->p[1] == 3);

		*ret_part = SL_STR_NULL;
		return possible ? -SL_EAGAIN : -SL_EPARSE;
	}
	len = sl_get16(c->p + 3);
	if (c->p[0] != CONTENT_HANDSHAKE || c->p[1] != 3 || len == 0 || len > RECORD_MAX)
		return -SL_EPARSE;
	c->p += RECORD_HEADER;
	c->left -= RECORD_HEADER;
	*ret_part = (struct sl_str){(const char *)c->p, len < c->left ? len : c->left};
	c->p += ret_part->len;
	c->left -= ret_part->len;
	return ret_part->len < len ? -SL_EAGAIN : 0;
}

/* Length of the message with its header, once the header is there; 0: not yet; -SL_EPARSE. */
static int message_length(const uint8_t *p, size_t len)
{
	size_t body;

	if (len >= 1 && p[0] != CLIENT_HELLO)
		return -SL_EPARSE;
	if (len < HANDSHAKE_HEADER)
		return 0;
	body = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return body <= HELLO_MAX ? (int)(body + HANDSHAKE_HEADER) : -SL_EPARSE;
}

/* Adds the records behind the first until the message is whole. */
static int join(struct cursor *c, struct sl_str part, struct sl_str *ret_message)
{
	size_t len = 0;
	int rc = 0;

	for (;;) {
		size_t n = part.len < sizeof joined - len ? part.len : sizeof joined - len;
		int want;

		memcpy(joined + len, part.p, n);
		len += n;
		want = message_length(joined, len);
		if (want < 0)
			return want;
		if (want > 0 && len >= (size_t)want) {
			*ret_message = (struct sl_str){(const char *)joined, (size_t)want};
			return 0;
		}
		if (rc < 0)
			return rc;
		rc = read_record(c, &part);
		if (rc == -SL_EPARSE || (rc < 0 && part.len == 0))
			return rc;
	}
}

/* The whole handshake message, in place if one record holds it. */
static int find_message(const uint8_t *data, size_t len, struct sl_str *ret_message)
{
	struct cursor c = {data, len};
	struct sl_str part;
	int rc = read_record(&c, &part), want;

	if (rc == -SL_EPARSE)
		return rc;
	want = message_length((const uint8_t *)part.p, part.len);
	if (want < 0)
		return want;
	if (want > 0 && (size_t)want <= part.len) {
		*ret_message = (struct sl_str){part.p, (size_t)want};
		return 0;
	}
	return rc < 0 ? rc : join(&c, part, ret_message);
}

/* A TLS vector: its length in one or two bytes, then so many bytes. */
static struct sl_str read_vector(struct sl_reader *r, unsigned length_bytes)
{
	size_t len = length_bytes == 1 ? sl_read_u8(r) : sl_read_u16(r);

	return sl_read_bytes(r, len);
}

/* The first name of type host_name; there is one only. */
static struct sl_str server_name(struct sl_str ext)
{
	struct sl_reader r = sl_reader(ext.p, ext.len);
	struct sl_str list = read_vector(&r, 2), name;

	r = sl_reader(list.p, list.len);
	if (sl_read_u8(&r) != 0)
		return SL_STR_NULL;
	name = read_vector(&r, 2);
	return r.failed ? SL_STR_NULL : name;
}

/* Left in wire form: who asks walks it. */
static struct sl_str protocols(struct sl_str ext)
{
	struct sl_reader r = sl_reader(ext.p, ext.len);
	struct sl_str list = read_vector(&r, 2);

	return r.failed ? SL_STR_NULL : list;
}

/* Unknown ones are skipped, which is what they are made for. */
static int read_extensions(struct sl_str all, struct sl_client_hello *h)
{
	struct sl_reader r = sl_reader(all.p, all.len);

	while (r.p < r.end && !r.failed) {
		unsigned type = sl_read_u16(&r);
		struct sl_str ext = read_vector(&r, 2);

		if (type == EXT_SERVER_NAME)
			h->server_name = server_name(ext);
		else if (type == EXT_ALPN)
			h->alpn = protocols(ext);
	}
	return r.failed ? -SL_EPARSE : 0;
}

/* Everything before the extensions is only stepped over. */
static int read_body(struct sl_str message, struct sl_client_hello *h)
{
	struct sl_reader r =
		sl_reader(message.p + HANDSHAKE_HEADER, message.len - HANDSHAKE_HEADER);
	struct sl_str extensions;

	(void)sl_read_bytes(&r, 2 + 32); /* version, random */
	(void)read_vector(&r, 1);	 /* session */
	(void)read_vector(&r, 2);	 /* cipher suites */
	(void)read_vector(&r, 1);	 /* compression */
	if (r.failed)
		return -SL_EPARSE;
	if (r.p == r.end) /* TLS 1.2 allows none at all */
		return 0;
	extensions = read_vector(&r, 2);
	return r.failed ? -SL_EPARSE : read_extensions(extensions, h);
}

int tls_read_hello(const uint8_t *data, size_t len, struct sl_client_hello *ret_hello)
{
	struct sl_client_hello hello = {.complete = true};
	struct sl_str message;
	int rc = find_message(data, len, &message);

	if (rc == -SL_EAGAIN) {
		*ret_hello = (struct sl_client_hello){.complete = false};
		return 0;
	}
	if (rc == 0)
		rc = read_body(message, &hello);
	if (rc == 0)
		*ret_hello = hello;
	return rc;
}

bool sl_client_hello_offers(const struct sl_client_hello *h, struct sl_str protocol)
{
	struct sl_reader r = sl_reader(h->alpn.p, h->alpn.len);

	while (r.p < r.end && !r.failed) {
		struct sl_str name = read_vector(&r, 1);

		if (!r.failed && sl_str_eq(name, protocol))
			return true;
	}
	return false;
}
