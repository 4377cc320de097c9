/*
 * sluice/http.h: the named interface "http", version 1: routes and WebSocket endpoints for modules.
 *
 *     void *self;
 *     const struct sl_http_iface *http = sl_iface_get(w, "http", 1, &self);
 *     http->route(self, "GET", "/healthz", on_health, ctx);
 *
 * All strings of a request are borrowed for the call. Everything runs in the worker that accepted
 * the connection.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include <sluice/addr.h>
#include <sluice/str.h>

struct sl_http_req;
struct sl_ws;

/* Must respond, now or later (keep: until closed is called) */
typedef void sl_http_fn(void *arg, struct sl_http_req *r);

struct sl_ws_ops {
	/* Before the upgrade completes: 0 accepts and may set *ret_user; else an HTTP status to
	 * refuse with (reason: body text). */
	int (*authorize)(void *arg, struct sl_http_req *r, void **ret_user,
			 struct sl_str *ret_reason);
	void (*opened)(void *arg, struct sl_ws *ws, void *user);
	/* Whole messages only */
	void (*message)(void *arg, struct sl_ws *ws, void *user, struct sl_str data, bool binary);
	/* ws is gone after it; also when opened was never called (ws NULL). Not called once the
	 * worker stops: then the endpoint's module has stopped before */
	void (*closed)(void *arg, struct sl_ws *ws, void *user, unsigned code);
	size_t max_message; /* bytes: longer closes with 1009 */
	size_t max_queue;   /* bytes waiting to be written: over it ws_send fails and the socket is
			       closed with 1013 */
	uint64_t ping_interval_ms, pong_timeout_ms; /* 0: none */
	const char *subprotocol; /* offered back when the client names it; NULL: none */
};

struct sl_http_iface {
	uint32_t size;
	/* path: exact, or a prefix when it ends in '*'. The longest match wins; -SL_EEXIST. */
	int (*route)(void *self, const char *method, const char *path, sl_http_fn *fn, void *arg);
	int (*websocket)(void *self, const char *path, const struct sl_ws_ops *ops, void *arg);

	struct sl_str (*method)(struct sl_http_req *r);
	struct sl_str (*path)(struct sl_http_req *r);
	/* URL-decoded; p NULL when absent */
	struct sl_str (*query)(struct sl_http_req *r, const char *name);
	/* Lower-case name; p NULL when absent */
	struct sl_str (*header)(struct sl_http_req *r, const char *name);
	struct sl_str (*body)(struct sl_http_req *r);
	const struct sl_addr *(*remote)(struct sl_http_req *r);
	bool (*secure)(struct sl_http_req *r);
	/* headers: "name: value\r\n" lines or empty. Copies body. Once per request. */
	int (*respond)(struct sl_http_req *r, unsigned status, const char *content_type,
		       struct sl_str headers, struct sl_str body);

	/* Copied; -SL_EFULL: reader too slow, socket closes; -SL_ECLOSED */
	int (*ws_send)(struct sl_ws *ws, struct sl_str text);
	/* After what is queued */
	void (*ws_close)(struct sl_ws *ws, unsigned code, struct sl_str reason);
	size_t (*ws_queued)(const struct sl_ws *ws);
	const struct sl_addr *(*ws_remote)(const struct sl_ws *ws);

	/* A file, or the part that the request asks for, or 304 (RFC 9110 sections 13 and 14). tag:
	 * its entity tag, quoted, strong. len: bytes of it from its beginning. fd leaves the caller
	 * in any case. Instead of respond. */
	int (*respond_file)(struct sl_http_req *r, const char *content_type, struct sl_str headers,
			    struct sl_str tag, int fd, uint64_t len);
	/* As ws_send, in a binary message */
	int (*ws_send_binary)(struct sl_ws *ws, struct sl_str data);
};

/* The token in Authorization (RFC 6750 section 2.1); p NULL: none */
static inline struct sl_str sl_http_bearer(const struct sl_http_iface *http, struct sl_http_req *r)
{
	static const struct sl_str scheme = SL_STR_INIT("Bearer ");
	struct sl_str header = http->header(r, "authorization");

	if (header.len <= scheme.len ||
	    !sl_str_eq_nocase((struct sl_str){header.p, scheme.len}, scheme))
		return SL_STR_NULL;
	return (struct sl_str){header.p + scheme.len, header.len - scheme.len};
}

/*
 * The named interface "ice-servers", version 1, offered by turn-relay: what an RTCPeerConnection
 * needs. host: as the client knows this node (Host header without port). Appends a JSON array to
 * json; *ret_ttl_s: life of the credentials, 0: unlimited.
 */
struct sl_buf;
struct sl_ice_servers_iface {
	uint32_t size;
	int (*append)(void *self, struct sl_str host, struct sl_str id, struct sl_buf *json,
		      uint64_t *ret_ttl_s);
};

/*
 * The named interface "tokens", version 1, offered by signaling-ws: JSON Web Tokens under the
 * operator's keys, for other modules that serve the same clients. -SL_EAUTH: refused (counted and
 * logged there); -SL_EUNSUPP: this node asks for none. ret_subject: a digest of `sub` in
 * hexadecimal, empty without one.
 */
struct sl_token { /* what a token says about its bearer */
	char subject[33];
	uint32_t grants; /* enum sl_signal_grant of <sluice/signal.h> */
	char *rooms;	 /* the provider's; for permits */
};
struct sl_tokens_iface {
	uint32_t size;
	int (*verify)(void *self, struct sl_str token, char ret_subject[33]);
	/* The same, with what it permits. *ret_token is released after success. */
	int (*open)(void *self, struct sl_str token, struct sl_token *ret_token);
	/* May the bearer enter the room? Pure: in any thread */
	bool (*permits)(const struct sl_token *t, struct sl_str room);
	void (*release)(struct sl_token *t);
};

#endif
