/*
 * import/coturn_listen.c: which sockets coturn would open, as listeners.
 *
 * Its rules (netengine.c of 4.6.1, in short): every listening-ip, or all addresses, at
 * listening-port by UDP and TCP, at tls-listening-port by DTLS and TLS once there are certificate
 * and key; auxiliary servers in the same manner; a second port where RFC 5780 is on. Each port
 * takes the encrypted and the plain form of its transport, but what no-udp and no-tcp forbid (from
 * 4.6.1 a plain datagram at the port for DTLS is not kept). With tcp-proxy-port there are no other
 * TCP sockets.
 */
#include "import/coturn_impl.h"

#include "config/quote.h"

enum { MAX_SOCKETS = 64, TURN_PORT = 3478, TURNS_PORT = 5349, METRICS_PORT = 9641 };

struct sockets {
	struct sl_addr addrs[MAX_SOCKETS]; /* family 0: every address */
	unsigned n;
};

struct tls {
	struct sl_str cert, key; /* absolute; empty: none */
	bool tcp, udp;		 /* where it is on: TLS, DTLS */
	bool only_1_3;
};

/* What a listener takes: clients without and with TLS or DTLS. */
enum form { PLAIN, BOTH, ENCRYPTED };

struct plan {
	struct coturn_file *f;
	struct sl_buf *out;
	struct tls tls;
	struct sockets ips;	 /* of listening-ip, without ports; never empty */
	struct sockets udp, tcp; /* all that are written so far */
	bool plain_udp, plain_tcp, proxied;
};

/* ---- ports and addresses */

static uint16_t port_of(struct coturn_file *f, const char *name, uint16_t dflt)
{
	const struct coturn_line *line = coturn_last(f, name);

	if (!line)
		return dflt;
	if (line->n >= 1 && line->n <= UINT16_MAX)
		return (uint16_t)line->n;
	coturn_say(f, line, COTURN_LOST, "is no port; it is %u here", dflt);
	return dflt;
}

static bool has(const struct sockets *s, const struct sl_addr *a)
{
	for (unsigned i = 0; i < s->n; i++)
		if (sl_addr_eq(&s->addrs[i], a))
			return true;
	return false;
}

static bool add(struct sockets *s, const struct sl_addr *a)
{
	if (s->n == MAX_SOCKETS)
		return false;
	if (!has(s, a))
		s->addrs[s->n++] = *a;
	return true;
}

static void add_or_say(struct coturn_file *f, const struct coturn_line *line,
		       const struct sl_addr *a, struct sockets *s)
{
	if (!add(s, a))
		coturn_say(f, line, COTURN_LOST, "more than %d are not taken here", MAX_SOCKETS);
}

static void read_ips(struct coturn_file *f, struct sockets *ret)
{
	const struct coturn_line *line = NULL;
	struct sl_addr a;

	while ((line = coturn_next(f, "listening-ip", line)))
		if (coturn_ip(f, line, line->value, &a) == 0)
			add_or_say(f, line, &a, ret);
}

static void read_auxiliary(struct coturn_file *f, struct sockets *ret)
{
	const struct coturn_line *line = NULL;
	struct sl_addr a;

	while ((line = coturn_next(f, "aux-server", line)))
		if (coturn_address(f, line, line->value, TURN_PORT, &a) == 0)
			add_or_say(f, line, &a, ret);
}

static struct sockets at_port(const struct sockets *ips, uint16_t port)
{
	struct sockets s = *ips;

	for (unsigned i = 0; i < s.n; i++)
		s.addrs[i].port = port;
	return s;
}

/* ---- TLS */

/* What says that somebody counts on TLS. */
static const struct coturn_line *wants_tls(const struct coturn_file *f)
{
	static const char *const names[] = {"cert", "pkey", "tls-listening-port", "dtls"};
	const struct coturn_line *line = NULL;

	for (size_t i = 0; !line && i < SL_ARRAY_LEN(names); i++)
		line = coturn_last(f, names[i]);
	return line;
}

static struct tls read_tls(struct coturn_file *f)
{
	const struct coturn_line *cert = coturn_last(f, "cert"), *key = coturn_last(f, "pkey"),
				 *dtls = coturn_last(f, "dtls"), *wanted = wants_tls(f);
	struct tls t = {.only_1_3 = coturn_is_on(f, "no-tlsv1_2")};

	t.tcp = !coturn_is_on(f, "no-tls");
	t.udp = !coturn_is_on(f, "no-dtls") && (!dtls || dtls->yes);
	if (!cert || !key) {
		if (wanted && (t.tcp || t.udp))
			coturn_say(f, wanted, COTURN_LOST,
				   "no TLS and no DTLS without cert and pkey; where coturn finds "
				   "files of its default names is not known here");
		return (struct tls){.tcp = false};
	}
	if (!t.tcp && !t.udp)
		return t;
	t.cert = coturn_path(f, cert);
	t.key = coturn_path(f, key);
	if (t.cert.len == 0 || t.key.len == 0)
		return (struct tls){.tcp = false};
	if (t.udp && t.only_1_3)
		coturn_say(f, coturn_last(f, "no-tlsv1_2"), COTURN_NEAR,
			   "ends DTLS as well, which is 1.2 here");
	t.udp = t.udp && !t.only_1_3;
	return t;
}

static void write_tls(struct sl_buf *out, const struct tls *t, enum form form)
{
	if (form == PLAIN)
		return;
	sl_buf_str(out, SL_STR("    tls: {cert: "));
	quote_yaml_text(out, t->cert);
	sl_buf_str(out, SL_STR(", key: "));
	quote_yaml_text(out, t->key);
	sl_buf_str(out, t->only_1_3 ? SL_STR(", min_version: \"1.3\"") : SL_STR(""));
	sl_buf_str(out, form == ENCRYPTED ? SL_STR(", only: yes}\n") : SL_STR("}\n"));
}

/* ---- listeners */

static void write_sockets(struct sl_buf *out, const char *key, const struct sockets *s)
{
	char text[SL_ADDR_STRLEN];

	if (s->n == 0)
		return;
	sl_buf_printf(out, "    %s: [", key);
	for (unsigned i = 0; i < s->n; i++) {
		sl_buf_str(out, i ? SL_STR(", ") : SL_STR(""));
		if (s->addrs[i].family)
			sl_buf_printf(out, "\"%s\"", sl_addr_format(text, &s->addrs[i]));
		else
			sl_buf_printf(out, "\"*:%u\"", s->addrs[i].port);
	}
	sl_buf_str(out, SL_STR("]\n"));
}

static void write_listener(struct plan *p, const char *name, const char *suffix,
			   const struct sockets *udp, const struct sockets *tcp, enum form form)
{
	if (udp->n + tcp->n == 0)
		return;
	sl_buf_printf(p->out, "  - name: %s%s\n", name, suffix);
	write_sockets(p->out, "udp", udp);
	write_sockets(p->out, "tcp", tcp);
	write_tls(p->out, &p->tls, form);
}

/* What is not there yet; two listeners cannot have one socket. */
static struct sockets fresh(struct sockets *all, const struct sockets *wanted, bool on)
{
	struct sockets s = {.n = 0};

	for (unsigned i = 0; on && i < wanted->n; i++)
		if (!has(all, &wanted->addrs[i]) && add(all, &wanted->addrs[i]))
			(void)add(&s, &wanted->addrs[i]); /* is no longer than what it comes from */
	return s;
}

static enum form form_of(bool tls, bool plain)
{
	if (!tls)
		return PLAIN;
	return plain ? BOTH : ENCRYPTED;
}

/* One listener for both transports where they take the same forms, else one for each. */
static void write_place(struct plan *p, const char *name, const struct sockets *at, bool udp,
			bool tcp)
{
	const struct sockets none = {.n = 0};
	struct sockets u = fresh(&p->udp, at, udp), t = fresh(&p->tcp, at, tcp);
	enum form by_udp = form_of(p->tls.udp, p->plain_udp),
		  by_tcp = form_of(p->tls.tcp, p->plain_tcp);

	if (u.n == 0 || t.n == 0 || by_udp == by_tcp) {
		write_listener(p, name, "", &u, &t, u.n ? by_udp : by_tcp);
		return;
	}
	write_listener(p, name, "-udp", &u, &none, by_udp);
	write_listener(p, name, "-tcp", &none, &t, by_tcp);
}

static void write_main(struct plan *p, uint16_t port)
{
	struct sockets at = at_port(&p->ips, port);

	write_place(p, "turn", &at, p->plain_udp, p->plain_tcp && !p->proxied);
}

static void write_secure(struct plan *p, uint16_t port)
{
	struct sockets at = at_port(&p->ips, port);

	write_place(p, "turns", &at, p->tls.udp, p->tls.tcp && !p->proxied);
}

static void write_auxiliary(struct plan *p)
{
	struct sockets at = {.n = 0};

	read_auxiliary(p->f, &at);
	write_place(p, "aux", &at, p->plain_udp || p->tls.udp,
		    (p->plain_tcp || p->tls.tcp) && !p->proxied);
}

/* The corners of RFC 5780 that have the second port. */
static void write_corners(struct plan *p)
{
	const struct sockets none = {.n = 0};
	struct sockets at = {.n = 0}, u;

	for (unsigned family = 4; family <= 6; family += 2) {
		struct coturn_corners c = coturn_corners(p->f, family);

		if (!c.line)
			continue;
		c.primary.port = c.alternate.port;
		(void)add(&at, &c.primary); /* four at most */
		(void)add(&at, &c.alternate);
	}
	u = fresh(&p->udp, &at, true);
	write_listener(p, "behaviour", "", &u, &none, PLAIN);
}

/* Who the balancers are, the file does not say. */
static void write_proxied(struct plan *p)
{
	const struct coturn_line *line = coturn_last(p->f, "tcp-proxy-port");

	if (line && p->plain_tcp)
		sl_buf_printf(p->out,
			      "  # - {name: balanced, tcp: \"*:%u\", proxy_from: [addresses of the "
			      "balancers]}\n",
			      port_of(p->f, "tcp-proxy-port", TURN_PORT));
}

static struct sl_str path_or(struct coturn_file *f, const char *name, struct sl_str other)
{
	const struct coturn_line *line = coturn_last(f, name);

	return line ? coturn_path(f, line) : other;
}

static void write_metrics_page(struct plan *p)
{
	const struct coturn_line *address = coturn_last(p->f, "prometheus-address");
	const struct sockets none = {.n = 0};
	struct sl_addr a = {.family = 0};
	struct sockets at = {.n = 0};
	bool tls = coturn_is_on(p->f, "prometheus-tls");

	if (address && coturn_ip(p->f, address, address->value, &a) < 0)
		return;
	a.port = port_of(p->f, "prometheus-port", METRICS_PORT);
	(void)add(&at, &a); /* the first */
	p->tls.cert = path_or(p->f, "prometheus-cert", p->tls.cert);
	p->tls.key = path_or(p->f, "prometheus-key", p->tls.key);
	if (tls && (p->tls.cert.len == 0 || p->tls.key.len == 0)) {
		coturn_say(p->f, coturn_last(p->f, "prometheus-tls"), COTURN_LOST,
			   "there is no certificate for it, so that there is no page");
		return;
	}
	write_listener(p, "metrics", "", &none, &at, tls ? ENCRYPTED : PLAIN);
	sl_buf_str(p->out, SL_STR("    http: {embedded: no}\n"));
}

static void read_plan(struct plan *p)
{
	struct coturn_file *f = p->f;

	p->plain_udp = !coturn_is_on(f, "no-udp");
	p->plain_tcp = !coturn_is_on(f, "no-tcp");
	p->proxied = coturn_last(f, "tcp-proxy-port");
	p->tls = read_tls(f);
	read_ips(f, &p->ips);
	if (p->ips.n == 0)
		p->ips.n = 1; /* a family of 0 is every address */
}

void coturn_write_listen(struct coturn_file *f, struct sl_buf *out)
{
	struct plan p = {.f = f, .out = out};
	uint16_t port = port_of(f, "listening-port", TURN_PORT);
	size_t before;

	read_plan(&p);
	coturn_write_forms(f, COTURN_LISTEN, 0, out);
	sl_buf_str(out, SL_STR("listen:\n"));
	before = out->len;
	write_main(&p, port);
	write_secure(&p, port_of(f, "tls-listening-port", TURNS_PORT));
	write_auxiliary(&p);
	write_corners(&p);
	write_proxied(&p);
	if (coturn_has_metrics(f))
		write_metrics_page(&p);
	if (out->len == before && before > 0) {
		out->len--;
		sl_buf_str(out, SL_STR(" []\n"));
	}
}
