/*
 * proc/tool_probe.c: `sluice probe turn:HOST`: Binding, Allocate, a permission, and a packet
 * through the relay and back, over UDP, TCP, TLS and DTLS; says in sentences what works and what is
 * blocked.
 *
 * The relay's own address is the peer: what is sent there comes back through the same allocation,
 * so that no other machine is needed and no NAT is in the way. Each transport is tried to the first
 * step that fails. TURN itself is proto/turn_ask.c, the sockets are tool_link.c.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include "net/tls_client.h"
#include "os/os.h"
#include "proc/tool.h"
#include "proc/tool_link.h"
#include "proc/tool_stun_client.h"
#include "proto/turn_ask.h"

enum { TURN_PORT = 3478, TURNS_PORT = 5349, HTTPS_PORT = 443, STREAM_MS = 3000 };

enum step { STEP_CONNECT, STEP_BINDING, STEP_ALLOCATE, STEP_PERMISSION, STEP_RELAY, STEPS_DONE };

static const char *const step_names[] = {"connect",    "binding", "allocate",
					 "permission", "relay",	  "done"};

struct probe {
	struct link link;
	struct turn_asker asker;
	bool has_credentials;
	enum step failed; /* STEPS_DONE: none */
	unsigned code;	  /* error answered; 0: none was */
	char why[160];	  /* STEP_CONNECT */
	const char *doubt;
	struct sl_addr mapped, relayed;
	uint32_t round_trip_us; /* of the packet through the relay */
};

/* ---- one transport */

static int ask_once(struct probe *p, const struct turn_ask *ask, struct turn_told *ret_told)
{
	static const unsigned waits_ms[] = {200, 300, 500, 700};
	const bool stream = link_is_stream(&p->link);
	uint8_t text[TURN_ASK_MAX], txid[12];
	struct sl_str answer;
	size_t len;
	int rc = -SL_ETIMEOUT;

	if (sl_random(txid, sizeof txid) < 0)
		return -SL_ESYS;
	len = turn_ask_write(&p->asker, ask, txid, text);
	if (len == 0)
		return -SL_ELIMIT;
	for (unsigned i = 0; i < (stream ? 1 : SL_ARRAY_LEN(waits_ms)); i++) {
		uint64_t wait_ms = stream ? STREAM_MS : waits_ms[i];
		uint64_t deadline = sl_clock_ns() + wait_ms * SL_NS_PER_MS;

		/* A refused datagram is like a lost one; a stream shows its end in receiving. */
		(void)link_send(&p->link, text, len);
		while ((rc = link_receive(&p->link, deadline, &answer)) == 0)
			if (turn_told_read(&p->asker, answer.p, answer.len, txid, ret_told) == 0)
				return 0;
	}
	return rc;
}

/* With credentials a challenge is answered, and a nonce that has just become stale. */
static int ask(struct probe *p, const struct turn_ask *ask, struct turn_told *ret_told)
{
	int rc = -SL_ETIMEOUT;

	p->code = 0;
	for (unsigned i = 0; i < 3; i++) {
		bool challenged = p->asker.nonce[0] != '\0';

		rc = ask_once(p, ask, ret_told);
		if (rc < 0)
			return rc;
		p->code = ret_told->error;
		if (!p->has_credentials || !(p->code == 438 || (p->code == 401 && !challenged)))
			break;
	}
	return p->code ? -SL_EDENIED : 0;
}

static int try_binding(struct probe *p)
{
	const struct turn_ask binding = {.method = SL_STUN_BINDING, .lifetime_s = -1};
	struct turn_told told;

	if (ask(p, &binding, &told) < 0)
		return -SL_ECLOSED;
	p->mapped = told.mapped;
	return 0;
}

static int try_allocate(struct probe *p)
{
	const struct turn_ask allocate = {.method = SL_TURN_ALLOCATE, .lifetime_s = -1};
	struct turn_told told;

	if (ask(p, &allocate, &told) < 0 || told.relayed.family == 0)
		return -SL_ECLOSED;
	p->relayed = told.relayed;
	return 0;
}

static int try_permission(struct probe *p)
{
	const struct turn_ask permit = {
		.method = SL_TURN_CREATE_PERMISSION, .peer = &p->relayed, .lifetime_s = -1};
	struct turn_told told;

	return ask(p, &permit, &told);
}

static bool comes_back(struct probe *p, struct sl_str sent, uint64_t deadline_ns)
{
	struct turn_told told;
	struct sl_str message;

	while (link_receive(&p->link, deadline_ns, &message) == 0)
		if (turn_data_read(message.p, message.len, &told) == 0 &&
		    sl_str_eq(told.data, sent) && sl_addr_eq(&told.peer, &p->relayed))
			return true;
	return false;
}

static int try_relay(struct probe *p)
{
	uint8_t text[TURN_ASK_MAX], txid[12];
	struct sl_str sent = {(const char *)txid, sizeof txid};
	const struct turn_ask packet = {
		.method = SL_TURN_SEND, .peer = &p->relayed, .data = sent, .lifetime_s = -1};

	for (unsigned i = 0; i < 3; i++) {
		uint64_t start = sl_clock_ns();
		size_t len;

		if (sl_random(txid, sizeof txid) < 0)
			return -SL_ESYS;
		len = turn_ask_write(&p->asker, &packet, txid, text);
		if (link_send(&p->link, text, len) < 0)
			return -SL_ECLOSED;
		if (comes_back(p, sent, start + 700 * SL_NS_PER_MS)) {
			p->round_trip_us = (uint32_t)((sl_clock_ns() - start) / 1000);
			return 0;
		}
	}
	return -SL_ETIMEOUT;
}

/* What is not given back would count against the user's quota for ten minutes. */
static void give_back(struct probe *p)
{
	const struct turn_ask refresh = {.method = SL_TURN_REFRESH, .lifetime_s = 0};
	unsigned code = p->code;
	struct turn_told told;

	(void)ask(p, &refresh, &told); /* it expires by itself if this is lost */
	p->code = code;
}

static enum step first_failure(struct probe *p)
{
	if (try_binding(p) < 0)
		return STEP_BINDING;
	if (try_allocate(p) < 0)
		return STEP_ALLOCATE;
	if (try_permission(p) < 0)
		return STEP_PERMISSION;
	return try_relay(p) < 0 ? STEP_RELAY : STEPS_DONE;
}

static void try_transport(struct probe *p, enum link_kind kind, const struct sl_addr *server,
			  const char *host)
{
	if (link_open(&p->link, kind, server, host, p->why, sizeof p->why) < 0)
		return; /* STEP_CONNECT */
	if (p->link.tls)
		p->doubt = tls_client_doubt(p->link.tls);
	p->failed = first_failure(p);
	if (p->failed > STEP_ALLOCATE)
		give_back(p);
	link_close(&p->link);
}

/* ---- sentences */

static void allocate_sentence(const struct probe *p, char *dst, size_t cap)
{
	if (p->code == 401 && !p->has_credentials)
		snprintf(dst, cap,
			 "the server is there and wants credentials (realm \"%s\"): give -u and "
			 "-w, or --secret-file.",
			 p->asker.realm);
	else if (p->code == 401)
		snprintf(dst, cap,
			 "the server refuses these credentials (401): wrong, or expired.");
	else if (p->code)
		snprintf(dst, cap, "the server refuses an allocation: %u %s.", p->code,
			 sl_stun_reason(p->code));
	else
		snprintf(dst, cap,
			 "Binding works, but no answer to Allocate: there is no TURN "
			 "server, or a gateway filters it.");
}

static void failure_sentence(const struct probe *p, char *dst, size_t cap)
{
	if (p->failed == STEP_CONNECT)
		snprintf(dst, cap, "blocked or not served: %s.", p->why);
	else if (p->failed == STEP_BINDING && p->link.kind == LINK_UDP && !p->code)
		snprintf(dst, cap,
			 "no answer: UDP is blocked on the way, or nothing listens "
			 "there.");
	else if (p->failed == STEP_BINDING)
		snprintf(dst, cap,
			 "connected, but Binding gets no proper answer: what listens "
			 "there is no STUN server, or a gateway is in between.");
	else if (p->failed == STEP_ALLOCATE)
		allocate_sentence(p, dst, cap);
	else if (p->failed == STEP_PERMISSION)
		snprintf(dst, cap,
			 "allocations work, but a permission for the relay's own address is "
			 "refused (%u %s), so that relaying could not be tried.",
			 p->code, sl_stun_reason(p->code));
	else
		snprintf(dst, cap,
			 "allocations and permissions work, but no packet comes back "
			 "through the relay: a firewall at the server closes its relay "
			 "ports, or it does not relay to itself.");
}

static void sentence(const struct probe *p, char *dst, size_t cap)
{
	char relayed[SL_ADDR_STRLEN];

	if (p->failed != STEPS_DONE) {
		failure_sentence(p, dst, cap);
		return;
	}
	snprintf(dst, cap, "works: allocation %s, a packet through it and back in %.2f ms.",
		 sl_addr_format(relayed, &p->relayed), p->round_trip_us / 1000.0);
}

static const char *const kind_names[] = {"UDP", "TCP", "TLS", "DTLS"};

static const char *summary(const bool works[LINK_KINDS], bool tried_udp, bool has_credentials)
{
	if (!has_credentials)
		return "Calls: without credentials nothing can be said about the relay.";
	if (works[LINK_UDP])
		return "Calls: the relay works over UDP, as it should.";
	if (works[LINK_TCP] || works[LINK_TLS])
		return tried_udp ? "Calls: the relay works, but not over UDP: expect delay when "
				   "packets are lost."
				 : "Calls: the relay works.";
	if (works[LINK_DTLS])
		return "Calls: the relay works over DTLS alone, which browsers do not speak.";
	return "Calls: this relay does not help from here.";
}

/* ---- output */

static void print_json(struct sl_buf *out, const struct probe *p, const char *text)
{
	char addr[SL_ADDR_STRLEN];

	sl_buf_printf(out, "{\"transport\":\"%s\",\"server\":\"%s\",\"works\":%s,",
		      kind_names[p->link.kind], sl_addr_format(addr, &p->link.server),
		      p->failed == STEPS_DONE ? "true" : "false");
	sl_buf_printf(out, "\"failed\":\"%s\",\"code\":%u,",
		      p->failed == STEPS_DONE ? "" : step_names[p->failed], p->code);
	if (p->mapped.family)
		sl_buf_printf(out, "\"mapped\":\"%s\",", sl_addr_format(addr, &p->mapped));
	if (p->relayed.family)
		sl_buf_printf(out, "\"relayed\":\"%s\",", sl_addr_format(addr, &p->relayed));
	if (p->failed == STEPS_DONE)
		sl_buf_printf(out, "\"round_trip_us\":%" PRIu32 ",", p->round_trip_us);
	if (p->doubt) {
		sl_buf_printf(out, "\"certificate\":");
		sl_buf_json(out, sl_str_c(p->doubt));
		sl_buf_printf(out, ",");
	}
	sl_buf_printf(out, "\"sentence\":");
	sl_buf_json(out, sl_str_c(text));
	sl_buf_printf(out, "}");
}

static void print_probe(struct sl_buf *out, const struct probe *p, bool json)
{
	char text[400], server[SL_ADDR_STRLEN];

	sentence(p, text, sizeof text);
	if (json) {
		print_json(out, p, text);
		return;
	}
	sl_buf_printf(out, "%s %s: %s\n", kind_names[p->link.kind],
		      sl_addr_format(server, &p->link.server), text);
	if (p->doubt && p->link.kind == LINK_TLS)
		sl_buf_printf(out, "     Browsers will not trust the certificate: %s.\n", p->doubt);
}

/* ---- the command */

struct target {
	struct client_place place;
	bool tls_only;
	uint16_t tls_port;
};

static int read_target(const struct tool_opts *o, const char *uri, struct target *t)
{
	struct sl_str s = sl_str_c(uri);

	t->tls_only = sl_str_starts(s, SL_STR("turns:"));
	if (!t->tls_only && !sl_str_starts(s, SL_STR("turn:"))) {
		fprintf(stderr, "sluice: \"%s\" is not turn:HOST[:PORT] or turns:HOST[:PORT]\n",
			uri);
		return -SL_EPARSE;
	}
	if (client_resolve(uri + (t->tls_only ? 6 : 5), t->tls_only ? TURNS_PORT : TURN_PORT,
			   &t->place) < 0)
		return -SL_ENOENT;
	t->tls_port = o->tls_port ? o->tls_port : t->tls_only ? t->place.port : HTTPS_PORT;
	return 0;
}

/* The first address that this machine has a way to. */
static struct sl_addr choose(const struct client_place *place)
{
	for (unsigned i = 0; i < place->n_addrs; i++) {
		struct sl_addr local;
		int fd FD_AUTO = -1;

		if (client_udp(&place->addrs[i], &fd, &local) == 0)
			return place->addrs[i];
	}
	return place->addrs[0];
}

static bool run_all(const struct tool_opts *o, const struct target *t, const struct probe *blank,
		    struct sl_buf *out)
{
	struct sl_addr server = choose(&t->place);
	bool works[LINK_KINDS] = {false}, any = false;

	sl_buf_printf(out, "%s", o->json ? "{\"transports\":[" : "");
	for (int kind = t->tls_only ? LINK_TLS : LINK_UDP; kind < LINK_KINDS; kind++) {
		struct probe p = *blank;

		server.port = kind >= LINK_TLS ? t->tls_port : t->place.port;
		try_transport(&p, (enum link_kind)kind, &server, t->place.host);
		works[kind] = p.failed == STEPS_DONE;
		any |= works[kind];
		print_probe(out, &p, o->json);
		sl_buf_printf(out, "%s", o->json && kind + 1 < LINK_KINDS ? "," : "");
	}
	sl_buf_printf(out, o->json ? "],\"sentence\":\"%s\"}\n" : "%s\n",
		      summary(works, !t->tls_only, blank->has_credentials));
	return any;
}

static int take_credentials(const struct tool_opts *o, struct probe *p, char user[TOOL_MAX_USER],
			    char password[32])
{
	if (o->secret_file) {
		if (tool_secret_credential(o, user, password) < 0)
			return -SL_EINVAL;
		p->asker.user = sl_str_c(user);
		p->asker.password = sl_str_c(password);
	} else {
		p->asker.user = sl_str_c(o->user ? o->user : "");
		p->asker.password = sl_str_c(o->password ? o->password : "");
	}
	p->has_credentials = p->asker.user.len > 0;
	return 0;
}

int tool_probe(const struct tool_opts *o, const char *uri)
{
	static struct probe blank;
	char user[TOOL_MAX_USER], password[32];
	struct target t = {0};
	struct sl_buf out;
	bool works;
	int failed;

	if (read_target(o, uri, &t) < 0)
		return 2;
	if (take_credentials(o, &blank, user, password) < 0)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN); /* a server that closes is an answer too */
	sl_buf_init(&out, 0);
	works = run_all(o, &t, &blank, &out);
	sl_wipe(password, sizeof password);
	failed = sl_buf_ok(&out) < 0 || fd_write_all(STDOUT_FILENO, out.p, out.len) < 0;
	sl_buf_free(&out);
	return failed || !works;
}
