/*
 * turn-relay/transfer.c: clients over connections that belong to another worker.
 *
 * A new connection may be accepted by any worker, of a newer generation even, and then turn out to
 * be for an allocation that lives elsewhere: to bind a peer's connection (RFC 6062), or because its
 * client has moved (RFC 8016). This worker asks that one for its place, makes a pipe, passes the
 * other end there and pumps: the first thing through it is the request that told. Over there the
 * end of the pipe is a connection like any other, with the addresses of the real one. If either
 * process dies, the kernel closes the pipe.
 *
 * The connection itself could only go over where it is not encrypted.
 */
#include "relay.h"

#include <sys/socket.h>
#include <unistd.h>

enum { REALM_MAX = 127 };

/* Both messages; a question is answered with the place. */
struct place {
	uint32_t number; /* of the question */
	struct sl_pass_place place;
};
_Static_assert(sizeof(struct place) == 36, "read by other processes, without padding");

/* What comes with a pipe; the realm's name follows. */
struct visitor {
	struct sl_addr remote, local;
	uint16_t listener, datagrams; /* datagrams: bool */
};
_Static_assert(sizeof(struct visitor) == 52, "read by other processes, without padding");

static int send_place(struct turn_relay *m, uint32_t owner, uint16_t type, const struct place *p)
{
	const struct iovec iov = {(void *)(uintptr_t)p, sizeof *p};

	return sl_channel_send(m->channel, owner, type, &iov, 1);
}

/* ---- here: asking, and passing the pipe */

int transfer_ask(struct turn_relay *m, uint16_t slot, uint32_t *ret_number)
{
	struct place ask = {0};
	uint32_t owner;
	int err;

	err = claim_owner(m, slot, &owner);
	if (err < 0)
		return err;
	if (++m->n_transfers == 0) /* none */
		m->n_transfers = 1;
	ask.number = m->n_transfers;
	err = send_place(m, owner, TRANSFER_ASK, &ask);
	if (err < 0)
		return err;
	sl_count(&m->m[M_FORWARDED]);
	*ret_number = ask.number;
	return 0;
}

int transfer_pass(struct turn_relay *m, const struct sl_pass_place *to,
		  const struct sl_conn_source *client, const struct stream_place *at, int fd)
{
	const struct sl_str realm = m->realms[at->realm].realm;
	const struct visitor v = {
		.remote = client->remote,
		.local = client->local,
		.listener = at->listener->index,
		.datagrams = at->datagrams,
	};
	uint8_t text[sizeof v + REALM_MAX];
	size_t len = realm.len < REALM_MAX ? realm.len : REALM_MAX;

	memcpy(text, &v, sizeof v);
	memcpy(text + sizeof v, realm.p, len);
	return sl_pass_send(m->pass, to, text, sizeof v + len, fd);
}

/* The pump goes first: what it fails by is nothing that the other process should see. */
static int transfer(struct stream *s, const struct sl_pass_place *to)
{
	const struct sl_conn *c = stream_conn(s);
	const struct sl_conn_source client = {.remote = *sl_conn_remote(c),
					      .local = *sl_conn_local(c)};
	const struct stream_place at = stream_place(s);
	struct sl_conn_source here = {0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -SL_ESYS;
	here.fd = pair[0];
	if (!pump_start(s, &here, NULL)) {
		close(pair[1]);
		return -SL_ENOMEM;
	}
	return transfer_pass(stream_module(s), to, &client, &at, pair[1]);
}

void transfer_on_answer(struct turn_relay *m, struct sl_str data)
{
	struct place answer;
	struct stream *s;

	if (data.len != sizeof answer)
		return;
	memcpy(&answer, data.p, sizeof answer);
	if (bridge_answered(m, answer.number, &answer.place))
		return;
	s = stream_that_waits(m, answer.number);
	if (!s)
		return; /* the client has gone */
	if (transfer(s, &answer.place) < 0)
		sl_conn_close(stream_conn(s), SL_CLOSE_ERROR);
	else
		sl_conn_resume_input(stream_conn(s));
}

/* ---- there: answering, and taking what is passed */

void transfer_on_ask(struct turn_relay *m, uint32_t from, struct sl_str data)
{
	struct place p;

	if (data.len != sizeof p)
		return;
	memcpy(&p, data.p, sizeof p);
	p.place = *sl_pass_place(m->pass);
	(void)send_place(m, from, TRANSFER_ANSWER, &p); /* else its client runs into a time-out */
}

static const struct sl_listener *listener_of(const struct turn_relay *m, const struct visitor *v)
{
	const struct sl_listener *const *list;
	unsigned n = sl_listeners(m->worker, &list);

	for (unsigned i = 0; i < n; i++)
		if (list[i]->index == v->listener && list[i]->udp == (v->datagrams != 0))
			return list[i];
	return NULL;
}

/* A listener or realm that this generation does not have: there is no allocation of it either. */
static void on_visitor(void *arg, struct sl_str data, int fd)
{
	struct turn_relay *m = arg;
	struct sl_conn_source from = {.fd = fd};
	struct stream_place at;
	struct visitor v;

	if (data.len <= sizeof v) {
		close(fd);
		return;
	}
	memcpy(&v, data.p, sizeof v);
	from.remote = v.remote;
	from.local = v.local;
	at = (struct stream_place){.listener = listener_of(m, &v), .datagrams = v.datagrams != 0};
	from.listener = at.datagrams ? NULL : at.listener;
	if (!at.listener ||
	    realm_by_name(m, (struct sl_str){data.p + sizeof v, data.len - sizeof v}, &at.realm) <
		    0 ||
	    stream_visit(m, &from, &at) < 0)
		close(fd);
}

int transfer_open(struct turn_relay *m)
{
	return sl_pass_open(m->worker, on_visitor, m, &m->pass);
}
