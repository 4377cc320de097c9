/*
 * Fuzz target: what a stranger sends to a DTLS server: datagrams, each with its length in two bytes
 * before it, to the proof of address, and to sessions of both roles. Nobody gets a longer answer
 * than its question; no session opens without a whole handshake.
 */
#include <sluice/buf.h>
#include <sluice/crypto.h>
#include <sluice/dtls.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_dtls_ctx *ctx;

static void on_send(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	sl_assert(data && len >= 13);
}

static const struct sl_dtls_io io = {.send = on_send};

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
