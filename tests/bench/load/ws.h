/*
 * bench/load/ws.h: a WebSocket client (RFC 6455) as load generators need it: text one way and the
 * other, no fragments, no TLS. A failure ends the program: a measurement without it means nothing.
 */
#ifndef BENCH_LOAD_WS_H
#define BENCH_LOAD_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_HEAD 8 /* bytes in front of a text that is sent, at most */

struct ws {
	int fd;
	bool open; /* the upgrade is answered */
	uint8_t *in;
	size_t len, cap; /* of in */
	void *arg;	 /* the caller's */
};
/* text has no NUL behind it. */
typedef void ws_text_fn(struct ws *w, const uint8_t *text, size_t len);

/* To 127.0.0.1, and asks for the upgrade. protocol: the subprotocol, NULL: none; cap: bytes of the
 * longest message that may come. */
void ws_connect(struct ws *w, unsigned port, const char *path, const char *protocol, size_t cap);
/* Reads once, with these flags of recv(), and calls on_text for each text that is whole. True: the
 * upgrade has been answered in this call. */
bool ws_read(struct ws *w, int flags, ws_text_fn *on_text);
/* A text of at most 65 535 bytes; blocks where the server does not read. */
void ws_say(const struct ws *w, const char *text, size_t len);
/* The frame of a text at dst, which has room for WS_HEAD more; its length. For what is said often. */
size_t ws_frame(uint8_t *dst, const char *text, size_t len);
void ws_send(const struct ws *w, const void *frame, size_t len);

#endif
