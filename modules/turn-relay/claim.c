/*
 * turn-relay/claim.c: moving a reserved port to the worker that got the request for it.
 *
 * A client over UDP is handed to the worker that keeps its port (datagram.c); a connection or a
 * DTLS association cannot be. So this worker asks that one to give the port up: it closes its
 * socket and answers with the address, which is bound here, and the request, which has waited in
 * its stream or here, is served. A process that does not answer leaves the client to its own
 * time-out.
 */
#include "relay.h"

#include <sluice/bus.h>

enum { MAX_WORKERS = 1024 };

/* Both messages; in an answer family 0 means: no such token. */
struct claim {
	uint8_t token[SL_TURN_TOKEN_BYTES];
	struct sl_addr local;
};
_Static_assert(sizeof(struct claim) == 32, "read by other processes, without padding");

static int send_claim(struct turn_relay *m, uint32_t owner, enum claim_type type,
		      const struct claim *c)
{
	const struct iovec iov = {(void *)(uintptr_t)c, sizeof *c};

	return sl_channel_send(m->channel, owner, (uint16_t)type, &iov, 1);
}

int claim_owner(const struct turn_relay *m, uint16_t slot, uint32_t *ret_owner)
{
	uint32_t owners[MAX_WORKERS];
	unsigned n = sl_worker_list(m->worker, owners, MAX_WORKERS);

	for (unsigned i = 0; i < n && i < MAX_WORKERS; i++)
		if (owners[i] >> 16 == slot) {
			*ret_owner = owners[i];
			return 0;
		}
	return -SL_ENOENT;
}

/* Who only says the token and proves nothing would take the port away from whoever has been given
 * it: the token follows its port once. */
bool claim_is_due(const struct turn_relay *m, unsigned realm, const struct sl_stun_msg *msg)
{
	return sl_stun_is_signed(msg) || !m->engine_realms[realm].auth;
}

int claim_ask(struct turn_relay *m, uint16_t slot, const uint8_t *token)
{
	struct claim c = {0};
	uint32_t owner;
	int err;

	err = claim_owner(m, slot, &owner);
	if (err < 0)
		return err;
	memcpy(c.token, token, sizeof c.token);
	err = send_claim(m, owner, CLAIM_ASK, &c);
	if (err == 0)
		sl_count(&m->m[M_FORWARDED]);
	return err;
}

static void on_ask(struct turn_relay *m, uint32_t from, struct claim c)
{
	struct sl_addr relayed;

	if (sl_turn_token_relayed(m->engine, c.token, &relayed) == 0) {
		c.local = socket_reserved_local(m, &relayed);
		sl_turn_token_cancel(m->engine, c.token); /* closes the socket */
		module_arm(m);
	}
	if (send_claim(m, from, CLAIM_ANSWER, &c) < 0)
		sl_count(&m->m[M_NO_PORT]);
}

/* ---- requests through DTLS */

bool claim_for(struct turn_relay *m, struct sl_packet *p, const struct sl_stun_msg *msg)
{
	struct sl_addr known;
	uint16_t slot;
	const uint8_t *token = sl_turn_token(msg, &slot);

	if (m->replaying || !claim_is_due(m, realm_of_packet(m, p), msg) ||
	    sl_turn_token_relayed(m->engine, token, &known) == 0 || claim_ask(m, slot, token) < 0)
		return false;
	if (m->held[m->next_held])
		sl_packet_unref(m->held[m->next_held]);
	sl_packet_ref(p);
	m->held[m->next_held] = p;
	m->next_held = (m->next_held + 1) % MAX_HELD;
	return true;
}

static bool waits_for(const struct sl_packet *p, const uint8_t *token)
{
	struct sl_stun_msg msg;
	uint16_t slot;

	return p && sl_stun_parse(&msg, p->data, p->len) == 0 &&
	       sl_mem_eq(sl_turn_token(&msg, &slot), token, SL_TURN_TOKEN_BYTES);
}

/* Now the port is here, or nowhere; either way it is answered. */
static void replay(struct turn_relay *m, const uint8_t *token)
{
	m->replaying = true;
	for (unsigned i = 0; i < MAX_HELD; i++) {
		struct sl_packet *p = m->held[i];

		if (!waits_for(p, token))
			continue;
		m->held[i] = NULL;
		if (sl_udp_replay(p) < 0)
			sl_count(&m->m[M_NO_PORT]);
		sl_packet_unref(p);
	}
	m->replaying = false;
}

void claim_close(struct turn_relay *m)
{
	for (unsigned i = 0; i < MAX_HELD; i++)
		if (m->held[i])
			sl_packet_unref(m->held[i]);
	memset(m->held, 0, sizeof m->held);
}

static void on_answer(struct turn_relay *m, const struct claim *c)
{
	struct sl_addr relayed;

	if (c->local.family != 0 && socket_reserve(m, &c->local, &relayed) == 0 &&
	    sl_turn_token_adopt(m->engine, c->token, &relayed, module_now_ms(m)) < 0)
		socket_unreserve(m, &relayed);
	streams_claimed(m, c->token);
	replay(m, c->token);
}

static void on_claim(struct turn_relay *m, const struct sl_channel_msg *msg)
{
	struct claim c;

	if (msg->data.len != sizeof c) /* of a generation that speaks otherwise */
		return;
	memcpy(&c, msg->data.p, sizeof c);
	if (msg->type == CLAIM_ASK)
		on_ask(m, msg->from, c);
	else
		on_answer(m, &c);
}

/* All messages between workers of this module. */
static void on_message(void *arg, const struct sl_channel_msg *msg)
{
	switch (msg->type) {
	case CLAIM_ASK:
	case CLAIM_ANSWER:
		on_claim(arg, msg);
		break;
	case TRANSFER_ASK:
		transfer_on_ask(arg, msg->from, msg->data);
		break;
	case TRANSFER_ANSWER:
		transfer_on_answer(arg, msg->data);
		break;
	case ALTERNATES_ASK:
	case ALTERNATES_ARE:
		alternates_on_message(arg, msg);
		break;
	case PEERS_ASK:
	case PEERS_ARE:
	case PEERS_CHANGED:
		policy_on_message(arg, msg);
		break;
	default: /* of a generation that knows more */
		break;
	}
}

int claim_open(struct turn_relay *m)
{
	return sl_channel_open(m->worker, "turn-relay", on_message, m, &m->channel);
}
