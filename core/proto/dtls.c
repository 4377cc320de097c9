/*
 * proto/dtls.c: DTLS sessions: datagrams in and out, time, the end. OpenSSL's seam for DTLS.
 *
 * OpenSSL sees a BIO that hands out the one datagram being read and passes on what it writes;
 * a memory BIO would join datagrams. Time is the caller's: OpenSSL tells the BIO when its timer
 * starts and stops, in its own storage, and this file keeps another timer by `now`. When that one
 * is due, OpenSSL's is made to have expired; by itself it never does.
 *
 * A session that ends frees OpenSSL's part at once; what stays answers questions.
 */
#include "proto/dtls_impl.h"

#include <openssl/err.h>
#include <limits.h>
#include <stdlib.h>

enum { RETRANSMIT_MS = 400, GIVE_UP_MS = 30000, MAX_WAIT_MS = 4000, MAX_EARLY = 16 };

/* ---- the BIO */

/* What the slim session has to go on with: numbers must not repeat under one key. */
static void note_records(struct sl_dtls *s, const uint8_t *p, size_t len)
{
	while (len >= DTLS_RECORD_HEADER) {
		uint64_t seq = sl_get64(p + 3) & 0xffffffffffff;
		size_t whole = DTLS_RECORD_HEADER + (size_t)sl_get16(p + 11);

		if (whole > len)
			return;
		if (sl_get16(p + 3) == 0) {
			s->plain_seq = seq;
		} else {
			s->last_seq = seq;
			if (whole >= DTLS_RECORD_HEADER + 8)
				s->last_nonce = sl_get64(p + DTLS_RECORD_HEADER);
		}
		p += whole;
		len -= whole;
	}
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct sl_dtls *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (s->ctx->use == SL_DTLS_SRTP) {
		note_records(s, (const uint8_t *)data, (size_t)len);
		if (s->state == SL_DTLS_SHAKING)
			sl_buf_add(&s->flight, data, (size_t)len);
	}
	s->io->send(s->arg, (const uint8_t *)data, (size_t)len);
	return len;
}

static int bio_read(BIO *bio, char *dst, int cap)
{
	struct sl_dtls *s = BIO_get_data(bio);
	size_t n = s->in_len < (size_t)cap ? s->in_len : (size_t)cap;

	BIO_clear_retry_flags(bio);
	if (!s->in) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(dst, s->in, n);
	if (!s->peeking)
		s->in = NULL;
	return (int)n;
}

/* A new flight waits from the beginning; one that is repeated, as long as `wait_ms` says. */
static void timer_told(struct sl_dtls *s, struct timeval *timer)
{
	s->timer = timer;
	if (timer->tv_sec == 0 && timer->tv_usec == 0) {
		s->due_ms = UINT64_MAX;
		s->wait_ms = s->first_wait_ms;
	} else {
		s->due_ms = s->now_ms + s->wait_ms;
	}
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *p)
{
	struct sl_dtls *s = BIO_get_data(bio);

	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
		timer_told(s, p);
		return 1;
	case BIO_CTRL_DGRAM_SET_PEEK_MODE:
		s->peeking = number != 0;
		return 1;
	default:
		return 0;
	}
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *dtls_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagram");

	if (!m)
		return NULL;
	if (BIO_meth_set_write(m, bio_write) == 1 && BIO_meth_set_read(m, bio_read) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1 && BIO_meth_set_create(m, bio_create) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- the end */

static void end(struct sl_dtls *s, enum sl_dtls_state how, const char *reason)
{
	if (s->state >= SL_DTLS_CLOSED)
		return;
	s->state = (uint8_t)how;
	s->reason = reason;
	s->due_ms = UINT64_MAX;
	s->timer = NULL;
	SSL_free(s->ssl);
	s->ssl = NULL;
	sl_buf_free(&s->flight);
}

/* In OpenSSL's words, which it keeps for ever; its queue is left empty. */
static const char *openssl_says(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return text ? text : "the connection is broken";
}

static void fail(struct sl_dtls *s)
{
	bool shaking = s->state == SL_DTLS_SHAKING;
	const char *why = openssl_says();

	if (s->pin.mismatched) {
		s->ctx->counters.fingerprint_mismatches++;
		why = "the peer's certificate is not the one that was announced";
	}
	if (shaking)
		s->ctx->counters.failures++;
	end(s, SL_DTLS_FAILED, why);
}

/* ---- the handshake */

/* OpenSSL's timer is only ever a reminder that there is one: in 71 minutes. */
static unsigned never(SSL *ssl, unsigned us)
{
	(void)ssl;
	(void)us;
	return UINT_MAX;
}

/* With the first flight: a description alone costs nothing of OpenSSL's. */
static int attach(struct sl_dtls *s)
{
	BIO *bio;

	s->ssl = SSL_new(s->ctx->ssl);
	bio = s->ssl ? BIO_new(s->ctx->bio) : NULL;
	if (!bio) {
		SSL_free(s->ssl);
		s->ssl = NULL;
		ERR_clear_error();
		return -SL_ENOMEM;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, s);
	SSL_set_options(s->ssl, SSL_OP_NO_QUERY_MTU);
	DTLS_set_timer_cb(s->ssl, never);
	if (s->pin.md)
		SSL_set_verify(s->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (s->role == SL_DTLS_ACTIVE)
		SSL_set_connect_state(s->ssl);
	else
		SSL_set_accept_state(s->ssl);
	(void)SSL_set_mtu(s->ssl, SL_DTLS_MTU); /* more than the least that it takes */
	return 0;
}

static void opened(struct sl_dtls *s)
{
	struct sl_dtls_counters *n = &s->ctx->counters;

	s->state = SL_DTLS_OPEN;
	n->handshakes++;
	if (SSL_session_reused(s->ssl))
		n->resumptions++;
}

/* OpenSSL starts at the second message of a dialogue whose first it has not seen. */
static bool begin_proven(struct sl_dtls *s)
{
	BIO_ADDR *nobody = BIO_ADDR_new();
	int rc = nobody ? DTLSv1_listen(s->ssl, nobody) : -1;

	BIO_ADDR_free(nobody);
	s->listening = false;
	return rc == 1;
}

static void shake(struct sl_dtls *s)
{
	int rc, why;

	if (!s->ssl && attach(s) < 0)
		return; /* without memory; the peer repeats itself */
	ERR_clear_error();
	sl_buf_reset(&s->flight);
	if (s->listening && !begin_proven(s)) {
		fail(s);
		return;
	}
	rc = SSL_do_handshake(s->ssl);
	if (rc == 1) {
		opened(s);
		return;
	}
	why = SSL_get_error(s->ssl, rc);
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		fail(s);
}

/* ---- open */

static void read_all(struct sl_dtls *s)
{
	uint8_t text[DTLS_MAX_DATAGRAM];
	int n = 0;

	while (s->state == SL_DTLS_OPEN) {
		ERR_clear_error();
		n = SSL_read(s->ssl, text, sizeof text);
		if (n <= 0)
			break;
		if (s->io->data)
			s->io->data(s->arg, text, (size_t)n);
	}
	if (s->state != SL_DTLS_OPEN)
		return;
	switch (SSL_get_error(s->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return;
	case SSL_ERROR_ZERO_RETURN:
		end(s, SL_DTLS_CLOSED, "closed by the peer");
		return;
	default:
		fail(s);
	}
}

/* What sl_dtls_trim gave back. */
static int have_buffers(struct sl_dtls *s)
{
	if (s->trimmed && SSL_alloc_buffers(s->ssl) != 1)
		return -SL_ENOMEM;
	s->trimmed = false;
	return 0;
}

/* Most of a handshake is waiting for the peer: many at once need no record buffers for that. */
static void wait_lightly(struct sl_dtls *s)
{
	if (s->state == SL_DTLS_SHAKING && s->ssl && SSL_free_buffers(s->ssl) == 1)
		s->trimmed = true;
}

/* OpenSSL would keep every record of the next epoch in 16 kB until it can be read. */
static bool too_early(struct sl_dtls *s, const uint8_t *data)
{
	return s->state == SL_DTLS_SHAKING && sl_get16(data + 3) != 0 && s->n_early++ >= MAX_EARLY;
}

enum sl_dtls_state sl_dtls_input(struct sl_dtls *s, const void *data, size_t len, uint64_t now_ms)
{
	s->now_ms = now_ms;
	if (len < DTLS_RECORD_HEADER || len > DTLS_MAX_DATAGRAM)
		return s->state;
	if (s->slim)
		return dtls_slim_input(s, data, len);
	if (s->state > SL_DTLS_OPEN || too_early(s, data) || have_buffers(s) < 0)
		return s->state;
	s->in = data;
	s->in_len = len;
	if (s->state == SL_DTLS_SHAKING)
		shake(s);
	if (s->state == SL_DTLS_OPEN)
		read_all(s);
	s->in = NULL;
	wait_lightly(s);
	return s->state;
}

void sl_dtls_start(struct sl_dtls *s, uint64_t now_ms)
{
	s->now_ms = now_ms;
	if (s->role != SL_DTLS_ACTIVE || s->state != SL_DTLS_SHAKING || have_buffers(s) < 0)
		return;
	shake(s);
	wait_lightly(s);
}

int sl_dtls_write(struct sl_dtls *s, const void *data, size_t len)
{
	if (s->state == SL_DTLS_SHAKING)
		return -SL_EAGAIN;
	if (s->state != SL_DTLS_OPEN)
		return -SL_ECLOSED;
	if (s->slim)
		return -SL_EUNSUPP;
	if (len > DTLS_MAX_PLAIN)
		return -SL_ELIMIT;
	if (len == 0)
		return 0;
	if (have_buffers(s) < 0)
		return -SL_ENOMEM;
	ERR_clear_error();
	if (SSL_write(s->ssl, data, (int)len) == (int)len)
		return 0;
	fail(s);
	return -SL_ECLOSED;
}

void sl_dtls_close(struct sl_dtls *s)
{
	if (s->slim && s->state == SL_DTLS_OPEN)
		dtls_slim_close(s);
	else if (s->state == SL_DTLS_OPEN && have_buffers(s) == 0)
		(void)SSL_shutdown(s->ssl); /* 0: said, and not heard yet */
	ERR_clear_error();
	end(s, SL_DTLS_CLOSED, "closed by us");
}

/* ---- time */

/* Its storage is known from the BIO; a moment of 1970 has passed by any clock. */
static void force_timeout(struct sl_dtls *s)
{
	*s->timer = (struct timeval){.tv_sec = 1};
	s->wait_ms = s->wait_ms * 2 < MAX_WAIT_MS ? s->wait_ms * 2 : MAX_WAIT_MS;
	ERR_clear_error();
	sl_buf_reset(&s->flight);
	if (have_buffers(s) < 0) {
		s->due_ms = s->now_ms + s->wait_ms;
		return;
	}
	s->ctx->counters.retransmissions++;
	if (DTLSv1_handle_timeout(s->ssl) < 0)
		fail(s);
	wait_lightly(s);
}

uint64_t sl_dtls_timeout_ms(const struct sl_dtls *s)
{
	if (s->state != SL_DTLS_SHAKING)
		return s->due_ms;
	return s->due_ms < s->give_up_ms ? s->due_ms : s->give_up_ms;
}

enum sl_dtls_state sl_dtls_tick(struct sl_dtls *s, uint64_t now_ms)
{
	s->now_ms = now_ms;
	if (s->state == SL_DTLS_SHAKING && now_ms >= s->give_up_ms) {
		s->ctx->counters.timeouts++;
		end(s, SL_DTLS_FAILED, "the peer fell silent");
	} else if (s->ssl && s->timer && now_ms >= s->due_ms) {
		force_timeout(s);
	}
	return s->state;
}

/* ---- life */

static int set_pin(struct sl_dtls *s, const struct sl_dtls_opts *o)
{
	if (s->ctx->use == SL_DTLS_DATA && o->hash.len == 0 && o->fingerprint.len == 0)
		return 0;
	return dtls_pin_set(&s->pin, o->hash, o->fingerprint);
}

int sl_dtls_new(struct sl_dtls_ctx *ctx, const struct sl_dtls_opts *o, uint64_t now_ms,
		struct sl_dtls **ret_session)
{
	struct sl_dtls *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return -SL_ENOMEM;
	s->ctx = ctx;
	s->io = o->io;
	s->arg = o->arg;
	s->role = (uint8_t)o->role;
	s->proven = s->listening = o->proven;
	s->reason = "";
	s->now_ms = now_ms;
	s->due_ms = UINT64_MAX;
	s->give_up_ms = now_ms + (o->give_up_ms ? o->give_up_ms : GIVE_UP_MS);
	s->first_wait_ms = s->wait_ms = o->retransmit_ms ? o->retransmit_ms : RETRANSMIT_MS;
	sl_buf_init(&s->flight, 0);
	rc = set_pin(s, o);
	if (rc < 0)
		sl_dtls_free(s);
	else
		*ret_session = s;
	return rc;
}

void sl_dtls_free(struct sl_dtls *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	dtls_slim_free(s->slim);
	sl_buf_free(&s->flight);
	free(s);
}

void sl_dtls_trim(struct sl_dtls *s)
{
	if (s->ssl && s->state == SL_DTLS_OPEN)
		s->trimmed = SSL_free_buffers(s->ssl) == 1; /* 0: something waits in them */
}

int sl_dtls_slim(struct sl_dtls *s)
{
	int rc;

	if (s->slim)
		return 0;
	if (!sl_check(s->ssl && s->state == SL_DTLS_OPEN && s->ctx->use == SL_DTLS_SRTP))
		return -SL_EBUG;
	rc = dtls_slim_new(s, &s->slim);
	if (rc < 0)
		return rc;
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->timer = NULL;
	s->due_ms = UINT64_MAX;
	sl_buf_free(&s->flight);
	return 0;
}

enum sl_dtls_state sl_dtls_state(const struct sl_dtls *s)
{
	return s->state;
}

const char *sl_dtls_reason(const struct sl_dtls *s)
{
	return s->reason;
}

struct sl_str sl_dtls_server_name(const struct sl_dtls *s)
{
	const char *name = s->ssl ? SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	return name ? sl_str_c(name) : SL_STR_NULL;
}
