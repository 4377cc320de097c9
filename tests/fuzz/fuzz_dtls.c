/*
 * Fuzz target: what a stranger sends to a DTLS server: datagrams, each with its length in two bytes
 * before it, to the proof of address, to sessions of both roles, and to a slim one. Nobody gets a
 * longer answer than its question; no session opens without a whole handshake, and no open one ends
 * without the peer's key.
 */
#include <sluice/buf.h>
#include <sluice/dtls.h>

#include "lib/dtls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_dtls_ctx *ctx;

static void on_send(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	sl_assert(data && len >= 13);
}

static const struct sl_dtls_io io = {.send = on_send};

static bool lose_all(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	(void)p;
	(void)to;
	(void)data;
	(void)len;
	return true;
}

static struct sl_dtls *new_session(enum sl_dtls_role role, bool proven)
{
	const struct sl_dtls_opts o = {.role = role, .proven = proven, .io = &io};
	struct sl_dtls *s = NULL;

	if (!ctx)
		sl_assert(sl_dtls_ctx_new(SL_DTLS_DATA, &ctx) == 0);
	sl_assert(sl_dtls_new(ctx, &o, 0, &s) == 0);
	return s;
}

static void listen_to(const uint8_t *p, size_t len)
{
	static const struct sl_addr from = {.family = 4, .port = 9};
	uint8_t reply[SL_DTLS_VERIFY_BYTES];
	size_t reply_len = 0;

	if (sl_dtls_listen(ctx, p, len, &from, 0, reply, &reply_len) == SL_AGAIN)
		sl_assert(reply_len <= len);
}

/* Made once: nothing that is fed to it may change what it does next, but for its clock. */
static struct sl_dtls *slim_session(void)
{
	static struct dtls_pair pair;

	if (pair.ends[PASSIVE].s)
		return pair.ends[PASSIVE].s;
	pair_open(&pair, 1);
	pair_shake(&pair);
	sl_assert(pair_is_open(&pair) && sl_dtls_slim(pair.ends[PASSIVE].s) == 0);
	pair.filter = lose_all;
	return pair.ends[PASSIVE].s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t slim_ms = 100000;
	struct sl_dtls *sessions[3] = {
		new_session(SL_DTLS_PASSIVE, false),
		new_session(SL_DTLS_PASSIVE, true),
		new_session(SL_DTLS_ACTIVE, false),
	};
	struct sl_reader r = sl_reader(data, size);
	uint64_t now_ms = 0;

	sl_dtls_start(sessions[2], 0);
	while (r.p < r.end && !r.failed) {
		size_t len = sl_read_u16(&r);
		struct sl_str datagram = sl_read_bytes(
			&r, len < (size_t)(r.end - r.p) ? len : (size_t)(r.end - r.p));

		now_ms += 100;
		listen_to((const uint8_t *)datagram.p, datagram.len);
		sl_assert(sl_dtls_input(slim_session(), datagram.p, datagram.len, slim_ms += 100) ==
			  SL_DTLS_OPEN);
		for (unsigned i = 0; i < 3; i++) {
			(void)sl_dtls_restarts(sessions[i], datagram.p, datagram.len);
			(void)sl_dtls_input(sessions[i], datagram.p, datagram.len, now_ms);
			(void)sl_dtls_tick(sessions[i], now_ms);
			sl_assert(sl_dtls_state(sessions[i]) != SL_DTLS_OPEN);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		sl_dtls_free(sessions[i]);
	return 0;
}
