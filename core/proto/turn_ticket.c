/*
 * proto/turn_ticket.c: mobility tickets (RFC 8016): what lets an allocation follow its client to
 * another 5-tuple.
 *
 * A ticket names the worker's slot, the allocation (72 bits of chance) and how often it has moved,
 * 16 bytes in all, sealed under keys that come from the node's: any process of the node, of any
 * generation, can open it, and one that is not ours costs two hashes and no memory. Sealing is
 * deterministic: the MAC of the text stands in front and is what the text is enciphered with, so
 * that equal tickets look alike and no nonce can be used twice. Coturn's client keeps a ticket as a
 * C string of at most 32 characters: one byte of the text is chosen so that none of the ticket is
 * 0.
 *
 * A ticket alone moves nothing: the Refresh that brings it is authenticated as every other, for the
 * user of the allocation.
 */
#include "proto/turn_impl.h"

#include <sluice/buf.h>

enum { MAC_BYTES = 16, TEXT_BYTES = 16 };
_Static_assert(MAC_BYTES + TEXT_BYTES == TURN_TICKET_BYTES, "a ticket is sealed text");
_Static_assert(2 + 4 + TURN_TICKET_ID + 1 == TEXT_BYTES, "slot, serial, id, filler");

struct ticket {
	uint16_t slot;
	uint32_t serial;
	uint8_t id[TURN_TICKET_ID];
};

/* ---- sealing */

void turn_ticket_keys(struct sl_turn *t)
{
	const struct sl_str key = {(const char *)t->nonce_key, sizeof t->nonce_key};

	sl_hmac_sha256(t->ticket_keys[0], key, "ticket integrity", 16);
	sl_hmac_sha256(t->ticket_keys[1], key, "ticket secrecy", 14);
}

static void prf(const uint8_t key[32], const uint8_t in[16], uint8_t ret_out[16])
{
	uint8_t out[32];

	sl_hmac_sha256(out, (struct sl_str){(const char *)key, 32}, in, 16);
	memcpy(ret_out, out, 16);
	sl_wipe(out, sizeof out);
}

static void seal_text(const struct sl_turn *t, const uint8_t text[TEXT_BYTES],
		      uint8_t ret[TURN_TICKET_BYTES])
{
	uint8_t stream[16];

	prf(t->ticket_keys[0], text, ret);
	prf(t->ticket_keys[1], ret, stream);
	for (int i = 0; i < TEXT_BYTES; i++)
		ret[MAC_BYTES + i] = text[i] ^ stream[i];
}

/* One try in eight fails. */
static void seal(const struct sl_turn *t, const struct ticket *k, uint8_t ret[TURN_TICKET_BYTES])
{
	uint8_t text[TEXT_BYTES] = {0};

	sl_put16(text, k->slot);
	sl_put32(text + 2, k->serial);
	memcpy(text + 6, k->id, sizeof k->id);
	do
		seal_text(t, text, ret);
	while (memchr(ret, 0, TURN_TICKET_BYTES) && ++text[TEXT_BYTES - 1] != 0);
}

static bool unseal(const struct sl_turn *t, const struct sl_stun_attr *attr,
		   struct ticket *ret_ticket)
{
	uint8_t text[TEXT_BYTES], stream[16], mac[MAC_BYTES];

	if (attr->len != TURN_TICKET_BYTES)
		return false;
	prf(t->ticket_keys[1], attr->data, stream);
	for (int i = 0; i < TEXT_BYTES; i++)
		text[i] = attr->data[MAC_BYTES + i] ^ stream[i];
	prf(t->ticket_keys[0], text, mac);
	if (!sl_mem_eq(mac, attr->data, sizeof mac))
		return false;
	ret_ticket->slot = sl_get16(text);
	ret_ticket->serial = sl_get32(text + 2);
	memcpy(ret_ticket->id, text + 6, sizeof ret_ticket->id);
	return true;
}

/* ---- the table of allocations that have one */

static bool is_named(const struct sl_hnode *node, const void *id)
{
	const struct sl_turn_alloc *a = SL_CONTAINER(node, struct sl_turn_alloc, by_ticket);

	return memcmp(a->ticket_id, id, sizeof a->ticket_id) == 0;
}

static struct sl_turn_alloc *find(const struct sl_turn *t, const uint8_t id[TURN_TICKET_ID])
{
	struct sl_hnode *node =
		sl_htab_find(&t->tickets, sl_hash(id, TURN_TICKET_ID), is_named, id);

	return node ? SL_CONTAINER(node, struct sl_turn_alloc, by_ticket) : NULL;
}

int turn_ticket_new(struct sl_turn_alloc *a)
{
	int err;

	err = sl_random(a->ticket_id, sizeof a->ticket_id);
	if (err == 0)
		err = sl_htab_insert(&a->turn->tickets, &a->by_ticket,
				     sl_hash(a->ticket_id, sizeof a->ticket_id));
	a->mobile = err == 0;
	return err;
}

void turn_ticket_forget(struct sl_turn_alloc *a)
{
	if (a->mobile)
		sl_htab_remove(&a->turn->tickets, &a->by_ticket);
	a->mobile = false;
}

/* ---- requests */

static bool read_ticket(const struct sl_turn *t, const struct sl_stun_msg *msg,
			struct ticket *ret_ticket)
{
	struct sl_stun_attr attr;

	return msg->class_ == SL_STUN_REQUEST && msg->method == SL_TURN_REFRESH &&
	       sl_stun_find(msg, SL_TURN_MOBILITY_TICKET, &attr) && unseal(t, &attr, ret_ticket);
}

bool sl_turn_ticket_slot(const struct sl_turn *t, const struct sl_stun_msg *msg, uint16_t *ret_slot)
{
	struct ticket k;

	if (!read_ticket(t, msg, &k))
		return false;
	*ret_slot = k.slot;
	return true;
}

/* The one before holds until the client has been heard where it has moved to. */
static bool holds(const struct sl_turn_alloc *a, const struct ticket *k)
{
	return k->serial == a->ticket_serial || (a->moving && k->serial + 1 == a->ticket_serial);
}

bool sl_turn_ticket_is_old(const struct sl_turn_alloc *a, const struct sl_stun_msg *msg)
{
	struct ticket k;

	return read_ticket(a->turn, msg, &k) && k.serial != a->ticket_serial;
}

void turn_find_ticket(struct turn_req *r)
{
	struct sl_turn_alloc *a;
	struct ticket k;

	if (r->a || !r->t->conf->mobility || !read_ticket(r->t, r->msg, &k))
		return;
	a = find(r->t, k.id);
	if (!a || a->realm != r->realm || !holds(a, &k))
		return;
	r->a = a;
	r->moves = true;
}

unsigned turn_ask_ticket(const struct turn_req *r, bool *ret_wanted)
{
	struct sl_stun_attr attr;

	*ret_wanted = sl_stun_find(r->msg, SL_TURN_MOBILITY_TICKET, &attr);
	if (!*ret_wanted)
		return 0;
	if (!r->t->conf->mobility)
		return 405;
	return attr.len == 0 ? 0 : 400;
}

/* At the allocation's own 5-tuple any ticket that it ever had is good: it moves nothing, and
 * clients have been seen to go on with their first. */
unsigned turn_check_ticket(const struct turn_req *r)
{
	struct sl_stun_attr attr;
	struct ticket k;

	if (!sl_stun_find(r->msg, SL_TURN_MOBILITY_TICKET, &attr))
		return 0;
	if (!r->t->conf->mobility)
		return 405;
	if (!unseal(r->t, &attr, &k))
		return 400;
	if (!r->a)
		return 437;
	if (!r->a->mobile || memcmp(k.id, r->a->ticket_id, sizeof k.id) != 0)
		return 437;
	return 0;
}

void turn_put_ticket(struct turn_req *r)
{
	const struct sl_turn_alloc *a = r->a;
	struct ticket k = {.slot = r->t->conf->slot, .serial = a->ticket_serial};
	uint8_t sealed[TURN_TICKET_BYTES];

	memcpy(k.id, a->ticket_id, sizeof k.id);
	seal(r->t, &k, sealed);
	sl_stun_put(&r->w, SL_TURN_MOBILITY_TICKET, sealed, sizeof sealed);
}

/* ---- after a move */

void sl_turn_settled(struct sl_turn_alloc *a)
{
	a->moving = false;
}
