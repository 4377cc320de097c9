/*
 * http/http.h: what the parts of this module know of each other.
 *
 * struct http is the module in one worker; struct client is one TCP connection that libwebsockets
 * serves: it has at most one request (struct sl_http_req) at a time and becomes a WebSocket (struct
 * sl_ws) for good. Everything runs in the worker's thread.
 *
 *     preread.c  chooses the connections      client.c    their life, callbacks of libwebsockets
 *     bridge.c   TLS that the core undid      request.c   what was asked, and who answers
 *     host.c     context and loop of lws      response.c  head and body, written by ourselves
 *     tls.c      certificates                 files.c     embedded files and a directory
 *     ws.c       WebSocket endpoints          route.c, resource.c, range.c  pure
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <libwebsockets.h>
#include <uv.h>
#include <sluice/http.h>
#include <sluice/module.h>
#include "route.h"

/* Room behind the headroom of the scratch buffer: longer WebSocket messages cost a malloc. */
#define SCRATCH_BYTES ((size_t)64 << 10)

struct http_header { /* a record of `headers` */
	struct sl_str name, value;
};

struct http_conf {
	struct sl_str root, index;
	bool embedded, access_log;
	uint64_t cache;				    /* ms a client may keep a file without asking */
	uint64_t max_body, max_header, max_message; /* bytes */
	int64_t max_connections;
	uint64_t request_timeout, keepalive_timeout, response_timeout; /* ms */
	struct sl_list cors_origins;				       /* struct sl_str */
	struct sl_list headers;					       /* struct http_header */
};

/* Rows of the metric table, in its order. */
enum http_metric {
	M_REQUESTS,
	M_2XX,
	M_3XX,
	M_4XX,
	M_5XX,
	M_BYTES_OUT,
	M_TIMEOUTS,
	M_CONNECTIONS,
	M_ACCEPTED_PLAIN,
	M_ACCEPTED_TLS,
	M_ACCEPTED_BRIDGED,
	M_REFUSED,
	M_WEBSOCKETS,
	M_UPGRADES,
	M_UPGRADES_REFUSED,
	M_MESSAGES_IN,
	M_MESSAGES_OUT,
	M_MESSAGE_BYTES_IN,
	M_MESSAGE_BYTES_OUT,
	M_TOO_LONG,
	M_SLOW_READERS,
	M_PONGS_MISSED,
};

struct tls_vhost {
	const struct sl_listener *listener;
	struct lws_vhost *vhost;
};

struct http {
	struct sl_worker *w;
	const struct http_conf *conf; /* main scope */
	const struct sl_meter *m;
	struct routes routes;

	struct lws_context *lws;
	struct lws_vhost *plain;
	struct tls_vhost *tls; /* n_tls */
	unsigned n_tls;
	uv_loop_t uv;
	bool uv_open; /* set up, so to be closed */
	struct sl_nested nested;
	struct sl_post kick;
	struct lws_protocols protocols[3];
	char subprotocol[128]; /* name of protocols[1]; see ws_choose_subprotocol */

	struct client *clients; /* list of those that are not WebSockets */
	struct client *adopting;
	unsigned n_clients; /* WebSockets included */
	struct sl_timer sweep;
	struct bridge *bridges; /* list */
	uint8_t *scratch;	/* LWS_PRE + SCRATCH_BYTES */
	bool draining;
	bool stopping; /* the modules that we serve have stopped: they are not called any more */
	time_t date_s; /* the second that `date` is for */
	char date[32];
};

struct client {
	struct client *prev, *next;
	struct http *http;
	const struct http_conf *conf; /* its listener's */
	struct lws *wsi;
	struct sl_addr remote;
	bool secure;
	bool held;     /* input stopped: a response is waited for or being written */
	bool killed;   /* on its way out */
	bool unlinked; /* a WebSocket, not in the list any more */
	bool bridged;  /* no socket of TCP */
	uint32_t n_requests;
	uint64_t read_mark; /* bytes that the library had read when the last response was out */
	struct sl_http_req *req; /* at most one */
	struct sl_ws *ws;
	struct sl_event writable; /* a response waits for room in the socket */
	struct sl_timer deadline; /* for a request or a response to come; a WebSocket's heartbeat */
};

/* The answer to a request: a head in memory, then a body in memory or in a file. */
struct response {
	unsigned status;
	struct sl_buf head, copy; /* copy: an owned body */
	const uint8_t *body;	  /* borrowed, or copy.p; NULL: in the file */
	int file;		  /* owned; -1: none */
	uint64_t file_at;	  /* where the body begins in it */
	uint64_t body_len, sent;  /* sent: of head and body */
	bool close;		  /* the connection ends with it */
};

struct sl_http_req {
	struct http *http;
	struct client *client; /* NULL: the connection is gone, respond only frees */
	struct sl_str method, path;
	struct sl_addr remote;
	struct sl_pool *pool; /* copies of headers and query values */
	struct sl_buf body;
	uint64_t body_len; /* as announced */
	uint64_t begun_ms;
	sl_http_fn *fn; /* NULL: nobody outside was asked */
	void *arg;
	bool secure, head_only;
	bool dispatched; /* its answer has been asked for */
	bool in_call;	 /* right now: the response is written when the call returns */
	bool responded;
	bool last;     /* of the connection */
	bool too_long; /* its body, which is read away before the answer */
	struct response response;
};

/* ---- host.c: context, virtual hosts and nested loop of libwebsockets */
int host_open(struct http *h, lws_callback_function *callback);
void host_close(struct http *h);
/* After any change of what a socket waits for */
void host_kick(struct http *h);
/* One turn now; never from a callback of the library */
void host_run(struct http *h);
struct lws_vhost *host_vhost(const struct http *h, const struct sl_listener *l);

/* ---- tls.c */
/* Connections of ctx will answer with the certificates of the other context. */
int tls_prepare(SSL_CTX *ctx, SSL_CTX *certificates);

/* ---- client.c */
lws_callback_function client_callback;
/* Hands fd (owned) to libwebsockets; vhost NULL: plain. */
struct client_from {
	const struct sl_listener *listener;
	const struct sl_addr *remote;
	struct lws_vhost *vhost;
	bool secure, bridged;
};
int client_adopt(struct http *h, const struct client_from *from, int fd);
/* Soon, without ceremony */
void client_kill(struct client *c);
void client_hold(struct client *c, bool on);
void client_becomes_websocket(struct client *c);
void client_expect(struct client *c, uint64_t ms); /* sets its deadline, instead of the library's */
/* A response is out */
void client_mark(struct client *c);
/* The request at hand was sent before that */
bool client_is_pipelined(const struct client *c);
/* Ends the connections that wait for a next request */
void clients_drain(struct http *h);
void clients_sweep(struct sl_timer *t); /* arg: struct http */

/* ---- preread.c, bridge.c */
sl_conn_fn preread_choose;
int bridge_open(struct http *h, struct sl_conn *conn);
void bridges_close(struct http *h);

/* ---- request.c: called by client.c; < 0 closes the connection */
int request_begin(struct client *c, struct sl_str path);
int request_body(struct client *c, const void *data, size_t len);
int request_body_end(struct client *c);
/* Writes a response that is there, or waits for it */
int request_settle(struct client *c);
struct sl_http_req *request_new(struct client *c, struct sl_str path);
void request_free(struct sl_http_req *r);
/* The connection went away */
void request_abandon(struct sl_http_req *r);

/* Accessors of the interface. */
struct sl_str request_method(struct sl_http_req *r);
struct sl_str request_path(struct sl_http_req *r);
struct sl_str request_query(struct sl_http_req *r, const char *name);
struct sl_str request_header(struct sl_http_req *r, const char *name);
struct sl_str request_content(struct sl_http_req *r);
const struct sl_addr *request_remote(struct sl_http_req *r);
bool request_secure(struct sl_http_req *r);

/* ---- response.c: each consumes the request, at once or when it has been written */
int respond(struct sl_http_req *r, unsigned status, const char *content_type, struct sl_str headers,
	    struct sl_str body);
/* As text */
int respond_error(struct sl_http_req *r, unsigned status, struct sl_str headers);
/* body: lives on. */
int respond_constant(struct sl_http_req *r, const char *content_type, struct sl_str headers,
		     const uint8_t *body, size_t len);
/* Whole, in part, or not at all, as the request has it. file: owned from now on. */
int respond_file(struct sl_http_req *r, const char *content_type, struct sl_str headers,
		 struct sl_str tag, int file, uint64_t len);
/* Writes what fits; 0, or < 0: close the connection */
int response_pump(struct client *c);
/* 100 Continue */
int response_continue(struct client *c);
void response_free(struct response *p);

/* ---- files.c: true when the path is a file of ours and has been answered */
bool files_serve(struct sl_http_req *r);

/* ---- ws.c */
/* 0: go on; < 0: close */
int ws_upgrade(struct client *c, struct sl_str path);
void ws_forget_subprotocol(struct http *h, const struct client *c);
int ws_opened(struct client *c);
int ws_received(struct client *c, const uint8_t *data, size_t len);
void ws_heard(struct client *c);
int ws_writable(struct client *c);
void ws_peer_closes(struct client *c, const uint8_t *data, size_t len);
void ws_tick(struct client *c);
void ws_gone(struct client *c);
int ws_send(struct sl_ws *ws, struct sl_str text);
int ws_send_binary(struct sl_ws *ws, struct sl_str data);
void ws_close(struct sl_ws *ws, unsigned code, struct sl_str reason);
size_t ws_queued(const struct sl_ws *ws);
const struct sl_addr *ws_remote(const struct sl_ws *ws);

#endif
