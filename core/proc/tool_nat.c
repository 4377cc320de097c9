/*
 * proc/tool_nat.c: `sluice nat HOST`: asks a STUN server with two addresses (RFC 5780 section 4)
 * what the NAT in front of this machine does, and says what that means for calls.
 *
 * Only the questions are here, each from a socket whose past does not spoil it: filtering is asked
 * from one that has never sent elsewhere. What the answers mean is proto/nat.c.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include "os/os.h"
#include "proc/tool.h"
#include "proc/tool_stun_client.h"
#include "proto/nat.h"

enum { STUN_PORT = 3478, MAX_SILENCES = 8, CONNECT_MS = 3000 };

/* Two sockets towards one server. */
struct session {
	struct sl_addr server, other; /* other unset: the server has one address */
	int maps, filters;
	struct sl_addr filters_mapped;
	struct nat_facts facts;
};

static int ask(int fd, const struct sl_addr *to, struct stun_report *ret_report)
{
	struct stun_query q = {0};

	return client_ask(fd, fd, to, &q, ret_report);
}

/* ---- mapping, RFC 5780 section 4.3 */

static bool first_answer(struct session *s)
{
	struct stun_report r;

	if (ask(s->maps, &s->server, &r) < 0 || r.error)
		return false;
	s->facts.mapped[0] = r.mapped;
	s->facts.plain = r.plain;
	s->other = r.other;
	s->facts.has_other = r.other.family == s->server.family;
	return true;
}

static void ask_mapping(struct session *s)
{
	struct sl_addr to = s->other;
	struct stun_report r;

	to.port = s->server.port;
	if (ask(s->maps, &to, &r) == 0)
		s->facts.mapped[1] = r.mapped;
	if (ask(s->maps, &s->other, &r) == 0)
		s->facts.mapped[2] = r.mapped;
}

/* ---- filtering, section 4.4 */

static void ask_filtering(struct session *s)
{
	struct stun_query q = {.change_address = true, .change_port = true};
	struct stun_report r;

	if (ask(s->filters, &s->server, &r) < 0 || r.error)
		return;
	s->filters_mapped = r.mapped;
	s->facts.heard_other =
		client_ask(s->filters, s->filters, &s->server, &q, &r) == 0 && !r.error;
	if (s->facts.heard_other)
		return;
	q.change_address = false;
	s->facts.heard_other_port =
		client_ask(s->filters, s->filters, &s->server, &q, &r) == 0 && !r.error;
}

/* ---- hairpin, section 4.5 */

static bool arrives(int fd, const uint8_t *text, size_t len, uint64_t deadline_ns)
{
	uint8_t got[STUN_QUERY_MAX];

	while (client_wait(fd, deadline_ns))
		if (recv(fd, got, sizeof got, 0) == (ssize_t)len && memcmp(got, text, len) == 0)
			return true;
	return false;
}

/* Both send to each other's outer address, so that no filter is in the way. */
static void try_hairpin(struct session *s)
{
	struct stun_query q = {0};
	uint8_t text[STUN_QUERY_MAX];
	size_t len;

	if (s->filters_mapped.family == 0 || sl_random(q.txid, sizeof q.txid) < 0)
		return;
	len = stun_query_write(&q, text);
	s->facts.hairpin_tried = true;
	for (unsigned i = 0; i < 3 && !s->facts.hairpin; i++) {
		uint64_t deadline = sl_clock_ns() + 300 * SL_NS_PER_MS;

		(void)client_send(s->maps, &s->filters_mapped, text, len);
		(void)client_send(s->filters, &s->facts.mapped[0], text, len);
		s->facts.hairpin = arrives(s->maps, text, len, deadline);
	}
}

/* ---- lifetime, section 4.6 */

struct silence {
	int fd;
	uint16_t port; /* outside */
	uint32_t seconds;
};

static int open_silence(const struct session *s, struct silence *x)
{
	struct stun_report r;
	struct sl_addr local;

	if (client_udp(&s->server, &x->fd, &local) < 0)
		return -SL_ESYS;
	if (ask(x->fd, &s->server, &r) < 0 || r.error) {
		fd_close(&x->fd);
		return -SL_ETIMEOUT;
	}
	x->port = r.mapped.port;
	return 0;
}

/* Another socket has the answer sent to the silent one. */
static bool still_open(const struct session *s, const struct silence *x)
{
	struct stun_query q = {.response_port = x->port};
	struct stun_report r;

	return client_ask(s->filters, x->fd, &s->server, &q, &r) == 0 && !r.error;
}

/* Each silence has a socket of its own, so that all pass at the same time. */
static unsigned open_silences(const struct session *s, uint64_t longest,
			      struct silence all[MAX_SILENCES])
{
	static const uint32_t steps[MAX_SILENCES] = {15, 30, 60, 90, 120, 180, 300, 600};
	unsigned n = 0;

	while (n < MAX_SILENCES && steps[n] <= longest) {
		all[n] = (struct silence){.fd = -1, .seconds = steps[n]};
		if (open_silence(s, &all[n]) < 0)
			break;
		n++;
	}
	return n;
}

static void sleep_until(uint64_t when_ns)
{
	(void)client_wait(-1, when_ns);
}

static void hear_silences(struct session *s, const struct silence *all, unsigned n,
			  uint64_t start_ns)
{
	for (unsigned i = 0; i < n && s->facts.silent_s == 0; i++) {
		sleep_until(start_ns + all[i].seconds * SL_NS_PER_S);
		if (still_open(s, &all[i]))
			s->facts.alive_s = all[i].seconds;
		else
			s->facts.silent_s = all[i].seconds;
	}
}

/* Without a first success nothing can be concluded from silence: the server or the NAT does not
 * play along. */
static void measure_lifetime(struct session *s, uint64_t longest)
{
	struct silence probe = {.fd = -1}, all[MAX_SILENCES];
	uint64_t start;
	unsigned n;

	if (open_silence(s, &probe) < 0)
		return;
	s->facts.lifetime_tried = still_open(s, &probe);
	fd_close(&probe.fd);
	if (!s->facts.lifetime_tried)
		return;
	n = open_silences(s, longest, all);
	start = sl_clock_ns();
	hear_silences(s, all, n, start);
	for (unsigned i = 0; i < n; i++)
		fd_close(&all[i].fd);
	s->facts.lifetime_tried = n > 0;
}

/* ---- the whole */

static void try_stream(struct session *s)
{
	struct sl_addr https = s->server;
	int fd FD_AUTO = -1;

	https.port = 443;
	s->facts.stream = client_connect(&s->server, CONNECT_MS, &fd) == 0 ||
			  client_connect(&https, CONNECT_MS, &fd) == 0;
}

static void observe(struct session *s, const struct tool_opts *o)
{
	if (!first_answer(s)) {
		try_stream(s);
		return;
	}
	if (s->facts.has_other) {
		ask_filtering(s);
		ask_mapping(s);
	}
	if (!sl_addr_eq(&s->facts.mapped[0], &s->facts.local))
		try_hairpin(s);
	if (o->lifetime_s && s->facts.has_other)
		measure_lifetime(s, o->lifetime_s);
}

/* ---- what is printed */

struct report {
	struct sl_buf *out;
	bool json, first;
};

static void say(void *arg, const char *sentence)
{
	struct report *r = arg;

	if (!r->json) {
		sl_buf_printf(r->out, "%s\n", sentence);
		return;
	}
	sl_buf_printf(r->out, "%s", r->first ? "" : ",");
	sl_buf_json(r->out, sl_str_c(sentence));
	r->first = false;
}

static const char *boolean(bool b)
{
	return b ? "true" : "false";
}

static void print_facts(struct sl_buf *out, const struct session *s, const struct nat_verdict *v)
{
	const struct nat_facts *f = &s->facts;
	char text[SL_ADDR_STRLEN];

	sl_buf_printf(out, "{\"server\":\"%s\",\"udp\":%s,", sl_addr_format(text, &s->server),
		      boolean(v->reachable));
	sl_buf_printf(out, "\"local\":\"%s\",", sl_addr_format(text, &f->local));
	if (!v->reachable)
		sl_buf_printf(out, "\"tcp\":%s,", boolean(f->stream));
	else
		sl_buf_printf(out,
			      "\"mapped\":\"%s\",\"nat\":%s,\"alg\":%s,\"mapping\":\"%s\","
			      "\"filtering\":\"%s\",",
			      sl_addr_format(text, &f->mapped[0]), boolean(v->translated),
			      boolean(v->rewrites), nat_dependence_name(v->mapping),
			      nat_dependence_name(v->filtering));
	if (f->hairpin_tried)
		sl_buf_printf(out, "\"hairpin\":%s,", boolean(f->hairpin));
	if (f->lifetime_tried)
		sl_buf_printf(out, "\"lifetime\":{\"open_s\":%u,\"closed_s\":%u},", f->alive_s,
			      f->silent_s);
}

static void print_session(struct sl_buf *out, const struct session *s, bool json, bool first)
{
	struct report r = {out, json, true};
	char text[SL_ADDR_STRLEN];
	struct nat_verdict v;

	nat_judge(&s->facts, &v);
	if (json) {
		sl_buf_printf(out, "%s", first ? "" : ",");
		print_facts(out, s, &v);
		sl_buf_printf(out, "\"sentences\":[");
	} else {
		sl_buf_printf(out, "%s%s\n", first ? "" : "\n", sl_addr_format(text, &s->server));
	}
	nat_explain(&s->facts, &v, say, &r);
	if (json)
		sl_buf_printf(out, "]}");
}

/* 1: answered, 0: not; negative: this machine has no way there. */
static int ask_one(const struct sl_addr *server, const struct tool_opts *o, struct sl_buf *out,
		   bool first)
{
	struct session s = {.server = *server, .maps = -1, .filters = -1};
	struct sl_addr unused;

	if (client_udp(server, &s.maps, &s.facts.local) < 0)
		return -SL_ESYS;
	if (client_udp(server, &s.filters, &unused) < 0) {
		fd_close(&s.maps);
		return -SL_ESYS;
	}
	observe(&s, o);
	print_session(out, &s, o->json, first);
	fd_close(&s.maps);
	fd_close(&s.filters);
	return s.facts.mapped[0].family != 0;
}

int tool_nat(const struct tool_opts *o, const char *host)
{
	struct client_place place;
	unsigned n_asked = 0, n_answered = 0;
	struct sl_buf out;
	int failed;

	if (client_resolve(host, STUN_PORT, &place) < 0)
		return 2;
	sl_buf_init(&out, 0);
	sl_buf_printf(&out, "%s", o->json ? "{\"servers\":[" : "");
	for (unsigned i = 0; i < place.n_addrs; i++) {
		int answered = ask_one(&place.addrs[i], o, &out, n_asked == 0);

		n_asked += answered >= 0;
		n_answered += answered > 0;
	}
	sl_buf_printf(&out, "%s", o->json ? "]}\n" : "");
	if (n_asked == 0)
		fprintf(stderr, "sluice: this machine has no way to %s: %m\n", host);
	failed = sl_buf_ok(&out) < 0 || fd_write_all(STDOUT_FILENO, out.p, out.len) < 0;
	sl_buf_free(&out);
	return failed || n_answered == 0;
}
