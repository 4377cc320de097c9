/*
 * turn-relay/policy.c: peers that a later generation denies.
 *
 * Allocations stay with the generation that granted them, but whom they may talk to is said by the
 * configuration of now. So a worker that begins to drain asks one of the current generation for its
 * lists, one message for each realm, and goes by them from then on. It also tells the others, among
 * whom are those of still older generations, who ask again. Realms are found by name, the main one
 * whatever its name; one that is gone keeps its lists.
 */
#include "relay.h"

#include <sluice/bus.h>
#include <stdlib.h>

enum { MAX_NAME = 127, MAX_CIDRS = 2048 };

/* What PEERS_ARE begins with; n_deny and n_allow struct sl_cidr follow. */
struct peers_head {
	uint32_t generation, n_deny, n_allow;
	uint8_t recheck; /* after this realm, the last one */
	uint8_t is_main, name_len, reserved;
	char name[128];
};
_Static_assert(sizeof(struct peers_head) == 144 && sizeof(struct sl_cidr) == 28,
	       "read by other processes");

/* ---- the current generation */

static struct iovec part(const struct sl_list *cidrs)
{
	static char nothing;

	return (struct iovec){cidrs->n > 0 ? cidrs->items : &nothing,
			      cidrs->n * sizeof(struct sl_cidr)};
}

static void send_realm(struct turn_relay *m, uint32_t to, unsigned index)
{
	const struct relay_realm *r = &m->realms[index];
	struct peers_head head = {
		.generation = m->worker->generation,
		.n_deny = (uint32_t)r->deny_peers.n,
		.n_allow = (uint32_t)r->allow_peers.n,
		.recheck = m->conf->recheck_peers && index == m->n_realms - 1,
		.is_main = index == 0,
		.name_len = (uint8_t)r->realm.len, /* at most MAX_NAME: conf.c */
	};
	const struct iovec iov[] = {
		{&head, sizeof head}, part(&r->deny_peers), part(&r->allow_peers)};

	memcpy(head.name, r->realm.p, r->realm.len);
	if (sl_channel_send(m->channel, to, PEERS_ARE, iov, SL_ARRAY_LEN(iov)) < 0)
		sl_log(SL_LOG_WARN, "turn-relay",
		       "a worker that drains could not be told of deny_peers; it goes on by its "
		       "own");
}

/* ---- older ones */

static void ask(struct turn_relay *m)
{
	uint32_t owner;

	if (sl_worker_current(m->worker, &owner, 1) == 0 ||
	    owner >> 16 == m->worker->slot) /* all drain: there is no other policy */
		return;
	if (sl_channel_send(m->channel, owner, PEERS_ASK, NULL, 0) < 0)
		sl_log(SL_LOG_WARN, "turn-relay",
		       "the current deny_peers could not be asked for; standing allocations go on "
		       "by the old ones");
}

void policy_drain(struct turn_relay *m)
{
	ask(m);
	(void)sl_channel_broadcast(m->channel, PEERS_CHANGED, NULL,
				   0); /* nobody else may be there */
}

static int find_realm(const struct turn_relay *m, const struct peers_head *head)
{
	const struct sl_str name = {head->name, head->name_len};
	unsigned index = 0;

	if (head->is_main)
		return 0;
	return realm_by_name(m, name, &index) == 0 && index > 0 ? (int)index : -SL_ENOENT;
}

static bool is_whole(const struct peers_head *head, size_t len)
{
	return head->n_deny <= MAX_CIDRS && head->n_allow <= MAX_CIDRS &&
	       head->name_len <= MAX_NAME &&
	       len == sizeof *head + (head->n_deny + head->n_allow) * sizeof(struct sl_cidr);
}

static int keep(struct turn_relay *m, unsigned realm, const struct peers_head *head,
		const char *cidrs)
{
	const size_t n = head->n_deny + head->n_allow;
	struct sl_cidr *copy = malloc((n + 1) * sizeof *copy);
	struct sl_turn_peers peers = {.n_deny = head->n_deny, .n_allow = head->n_allow};

	if (!m->later_peers)
		m->later_peers = calloc(m->n_realms, sizeof(struct sl_cidr *));
	if (!copy || !m->later_peers) {
		free(copy);
		return -SL_ENOMEM;
	}
	memcpy(copy, cidrs, n * sizeof *copy);
	peers.deny = copy;
	peers.allow = copy + head->n_deny;
	sl_turn_set_peers(m->engine, realm, &peers);
	free(m->later_peers[realm]);
	m->later_peers[realm] = copy;
	return 0;
}

static void on_peers(struct turn_relay *m, struct sl_str data)
{
	struct peers_head head;
	int realm;

	if (data.len < sizeof head)
		return;
	memcpy(&head, data.p, sizeof head);
	if (!is_whole(&head, data.len) || head.generation <= m->worker->generation ||
	    head.generation < m->later_generation)
		return;
	m->later_generation = head.generation;
	realm = find_realm(m, &head);
	if (realm >= 0 && keep(m, (unsigned)realm, &head, data.p + sizeof head) < 0)
		sl_log(SL_LOG_ERROR, "turn-relay",
		       "no memory for the current deny_peers; allocations of this generation go "
		       "on by the old ones");
	if (!head.recheck)
		return;
	sl_turn_recheck_peers(m->engine);
	module_arm(m);
	meters_touch(m);
}

void policy_on_message(struct turn_relay *m, const struct sl_channel_msg *msg)
{
	if (msg->type == PEERS_ARE)
		on_peers(m, msg->data);
	else if (msg->type == PEERS_CHANGED && m->worker->draining)
		ask(m);
	else if (msg->type == PEERS_ASK)
		for (unsigned i = 0; i < m->n_realms; i++)
			send_realm(m, msg->from, i);
}

/* After the engine, which borrows them. */
void policy_close(struct turn_relay *m)
{
	for (unsigned i = 0; m->later_peers && i < m->n_realms; i++)
		free(m->later_peers[i]);
	free(m->later_peers);
	m->later_peers = NULL;
}
