/*
 * recorder/envelope.h: sealed files: encrypted piece by piece while they are written, so that what a
 * crash leaves can be opened up to the last piece.
 *
 *     "SLSEAL1\n"  u8 wrap  u8 0  u16 length  wrapped key  { u32 length | LAST  ciphertext  tag }...
 *
 * Each file has a random key of its own (AES-256-GCM), wrapped for the recipient, whose private key
 * this node never has: X25519 (ephemeral key, then HKDF-SHA256 and AES-256-GCM) or RSA-OAEP with
 * SHA-256. The n-th piece has nonce n; the head's digest, n and whether it is the last are
 * authenticated with it, so that pieces cannot be moved, left out or cut off unseen. Integers are
 * big-endian.
 */
#ifndef RECORDER_ENVELOPE_H
#define RECORDER_ENVELOPE_H

#include <sluice/buf.h>

enum { ENVELOPE_MAX_PIECE = 512 << 10, ENVELOPE_LAST = 1 << 30 };

struct envelope_key; /* of a recipient: public, or private */
/* PEM; err: a sentence, room for 160 bytes. -SL_EPARSE; -SL_EUNSUPP: neither X25519 nor RSA of 2048
 * bits or more */
SL_MUST_CHECK int envelope_key_public(struct sl_str pem, struct envelope_key **ret_key, char *err);
SL_MUST_CHECK int envelope_key_private(struct sl_str pem, struct envelope_key **ret_key, char *err);
void envelope_key_free(struct envelope_key *k); /* accepts NULL */

struct envelope { /* one file, written or read */
	uint8_t key[32], head_digest[32];
	uint64_t n; /* pieces so far */
	bool ended; /* the last one was read */
};
/* Appends the head. */
SL_MUST_CHECK int envelope_begin(struct envelope *e, const struct envelope_key *recipient,
				 struct sl_buf *out);
/* Appends text as pieces. last: nothing follows; text may be empty then. */
SL_MUST_CHECK int envelope_seal(struct envelope *e, struct sl_str text, bool last,
				struct sl_buf *out);
/* Reads the head off *in. -SL_EPARSE: not sealed; -SL_EAUTH: not for this key */
SL_MUST_CHECK int envelope_open(struct envelope *e, const struct envelope_key *own,
				struct sl_str *in);
/* Reads one piece off *in and appends its text. -SL_ENOENT: nothing whole is there any more;
 * -SL_EAUTH */
SL_MUST_CHECK int envelope_read(struct envelope *e, struct sl_str *in, struct sl_buf *out);
void envelope_wipe(struct envelope *e);
/* Bytes of a sealed file up to the end of the last whole piece within the first max_text bytes of its
 * text; 0: there is no text, or not even a head */
size_t envelope_good_length(const uint8_t *p, size_t len, uint64_t max_text);
bool envelope_is_sealed(struct sl_str bytes);

#endif
