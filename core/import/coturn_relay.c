/*
 * import/coturn_relay.c: the block of turn-relay: realm, addresses, limits, lifetimes.
 */
#include "import/coturn_impl.h"

#include "config/quote.h"
#include "config/units.h"

enum {
	FIRST_PORT = 49152,
	LAST_PORT = 65535,
	DEFAULT_LIFETIME_S = 600, /* RFC 8656 section 3.2, in both servers */
	MIN_LIFETIME_S = 60,
	DEFAULT_NONCE_S = 600, /* coturn's */
	MIN_NONCE_S = 30,
	MAX_S = 86400,
	MAX_ALTERNATES = 64,
};
#define MAX_ALLOCATIONS INT64_C(10000000)
#define MAX_BPS INT64_C(1000000000000)

static void write_realm(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *line = coturn_last(f, "realm");

	if (!line || !coturn_is_text(f, line, line->value, 127))
		return;
	sl_buf_str(out, SL_STR("  realm: "));
	quote_yaml_text(out, line->value);
	sl_buf_u8(out, '\n');
}

/* ---- addresses and ports */

/* One of each family: [0] is IPv4. */
struct relay_addrs {
	struct sl_addr local[2], external[2];
};

static unsigned family_index(const struct sl_addr *a)
{
	return a->family == 6;
}

static void read_local(struct coturn_file *f, struct relay_addrs *r)
{
	const struct coturn_line *line = NULL;
	struct sl_addr a = {0};

	while ((line = coturn_next(f, "relay-ip", line))) {
		if (coturn_ip(f, line, line->value, &a) < 0)
			continue;
		if (r->local[family_index(&a)].family)
			coturn_say(f, line, COTURN_LOST, "the first of each family counts here");
		else
			r->local[family_index(&a)] = a;
	}
}

/* "public" or "public/private": what clients are told instead of the relays' own. */
static void read_external(struct coturn_file *f, const struct coturn_line *line,
			  struct relay_addrs *r)
{
	struct sl_str rest = line->value, public = sl_str_split(&rest, '/');
	struct sl_addr outer = {0}, inner = {0}, *local;

	if (coturn_ip(f, line, public, &outer) < 0)
		return;
	local = &r->local[family_index(&outer)];
	if (rest.p && coturn_ip(f, line, rest, &inner) < 0)
		return;
	if (r->external[family_index(&outer)].family)
		coturn_say(f, line, COTURN_LOST, "one for each family is told, the first");
	else if (inner.family && inner.family != outer.family)
		coturn_say(f, line, COTURN_LOST, "has two families of addresses");
	else if (inner.family && local->family && !sl_addr_same_ip(&inner, local))
		coturn_say(f, line, COTURN_LOST,
			   "is about an address that relays do not have here");
	else {
		r->external[family_index(&outer)] = outer;
		if (inner.family)
			*local = inner;
	}
}

static void write_pair(struct sl_buf *out, const char *name, const struct sl_addr pair[2])
{
	char text[SL_ADDR_STRLEN];
	const char *before = "[";

	if (!pair[0].family && !pair[1].family)
		return;
	sl_buf_printf(out, "  %s: ", name);
	for (unsigned i = 0; i < 2; i++) {
		if (!pair[i].family)
			continue;
		sl_buf_printf(out, "%s\"%s\"", before, sl_addr_format(text, &pair[i]));
		before = ", ";
	}
	sl_buf_str(out, SL_STR("]\n"));
}

static void write_addresses(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *line = NULL;
	struct relay_addrs r = {0};

	read_local(f, &r);
	while ((line = coturn_next(f, "external-ip", line)))
		read_external(f, line, &r);
	write_pair(out, "external", r.external);
	write_pair(out, "relay_addresses", r.local);
}

/* A family that none of these lines names. */
static bool lacks(const struct coturn_file *f, const char *name, unsigned family)
{
	const struct coturn_line *line = NULL;
	struct sl_addr a;

	while ((line = coturn_next(f, name, line)))
		if (sl_addr_parse(&a, sl_str_trim(line->value)) == 0 && a.family == family)
			return false;
	return true;
}

/* coturn relays from relay-ip, else from listening-ip, and offers no family that is not there. */
static void write_families(struct coturn_file *f, struct sl_buf *out)
{
	const char *name = coturn_last(f, "relay-ip") ? "relay-ip" : "listening-ip";
	bool no_v4 = lacks(f, name, 4), no_v6 = lacks(f, name, 6);

	if (no_v4 && no_v6) /* no addresses, or names only */
		return;
	if (no_v4)
		sl_buf_str(out, SL_STR("  ipv4: off\n"));
	if (no_v6)
		sl_buf_str(out, SL_STR("  ipv6: off\n"));
}

static void write_ports(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *first = coturn_last(f, "min-port"),
				 *last = coturn_last(f, "max-port"), *line = first ? first : last;
	int64_t lo = first ? first->n : FIRST_PORT, hi = last ? last->n : LAST_PORT;

	if (!line)
		return;
	if (lo < 1 || lo > hi || hi > LAST_PORT)
		coturn_say(f, line, COTURN_LOST,
			   "%lld to %lld are no ports; they are %d to %d here", (long long)lo,
			   (long long)hi, FIRST_PORT, LAST_PORT);
	else
		sl_buf_printf(out, "  ports: %lld-%lld\n", (long long)lo, (long long)hi);
}

/* ---- limits and lifetimes */

static int64_t at_most(struct coturn_file *f, const struct coturn_line *line, int64_t n,
		       int64_t max)
{
	if (n <= max)
		return n;
	coturn_say(f, line, COTURN_NEAR, "is more than there can be; it is %lld here",
		   (long long)max);
	return max;
}

static void write_limits(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *quota = coturn_last(f, "total-quota"),
				 *capacity = coturn_last(f, "bps-capacity");

	if (quota && quota->n > 0)
		sl_buf_printf(out, "  realm_limits: {allocations: %lld}\n",
			      (long long)at_most(f, quota, quota->n, MAX_ALLOCATIONS));
	if (capacity && capacity->n > 0)
		sl_buf_printf(out, "  total_limits: {bps: %lld}\n",
			      (long long)at_most(f, capacity, coturn_bits(capacity->n), MAX_BPS));
}

static void write_time(struct sl_buf *out, const char *name, int64_t s)
{
	sl_buf_printf(out, "  %s: ", name);
	units_format_time(out, (uint64_t)s * 1000);
	sl_buf_u8(out, '\n');
}

static int64_t within(struct coturn_file *f, const struct coturn_line *line, int64_t s, int64_t min)
{
	int64_t fits = s < min ? min : s > MAX_S ? MAX_S : s;

	if (fits != s)
		coturn_say(f, line, COTURN_NEAR, "can be %lld to %d seconds; it is %lld here",
			   (long long)min, MAX_S, (long long)fits);
	return fits;
}

static void write_lifetimes(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *nonce = coturn_last(f, "stale-nonce"),
				 *longest = coturn_last(f, "max-allocate-lifetime");
	int64_t s = DEFAULT_NONCE_S;

	if (nonce) /* 0: for ever */
		s = within(f, nonce, nonce->n ? nonce->n : INT64_MAX, MIN_NONCE_S);
	write_time(out, "nonce_lifetime", s);
	if (!longest || !coturn_has_effect(longest))
		return;
	s = within(f, longest, longest->n, MIN_LIFETIME_S);
	write_time(out, "max_lifetime", s);
	if (s < DEFAULT_LIFETIME_S)
		write_time(out, "default_lifetime", s);
}

/* ---- other servers */

/* Those of one option; *n counts all that were written. */
static void write_alternates_of(struct coturn_file *f, const char *name, uint16_t port, unsigned *n,
				struct sl_buf *out)
{
	const struct coturn_line *line = NULL;
	char text[SL_ADDR_STRLEN];
	struct sl_addr a;

	while ((line = coturn_next(f, name, line))) {
		if (coturn_address(f, line, line->value, port, &a) < 0)
			continue;
		if (*n == MAX_ALTERNATES) {
			coturn_say(f, line, COTURN_LOST, "more than %d are not taken",
				   MAX_ALTERNATES);
			continue;
		}
		sl_buf_str(out, (*n)++ ? SL_STR(", ") : SL_STR("  alternates: ["));
		sl_buf_printf(out, "\"%s\"", sl_addr_format(text, &a));
	}
}

/* One list is for all transports: the first kind that the file has. */
static void write_alternates(struct coturn_file *f, struct sl_buf *out)
{
	static const struct {
		const char *name;
		uint16_t port;
	} kinds[] = {{"alternate-server", 3478},
		     {"udp-alternate-server", 3478},
		     {"tcp-alternate-server", 3478},
		     {"tls-alternate-server", 5349}};
	unsigned n = 0;

	for (size_t i = 0; n == 0 && i < SL_ARRAY_LEN(kinds); i++)
		write_alternates_of(f, kinds[i].name, kinds[i].port, &n, out);
	if (n > 0)
		sl_buf_str(out, SL_STR("]\n"));
}

void coturn_write_relay(struct coturn_file *f, struct sl_buf *out)
{
	if (coturn_is_on(f, "stun-only"))
		return;
	sl_buf_str(out, SL_STR("turn-relay:\n"));
	write_realm(f, out);
	coturn_write_credentials(f, out);
	write_addresses(f, out);
	write_families(f, out);
	write_ports(f, out);
	coturn_write_peers(f, out);
	write_limits(f, out);
	write_lifetimes(f, out);
	write_alternates(f, out);
	coturn_write_forms(f, COTURN_RELAY, 2, out);
	sl_buf_printf(out, "  mobility: %s\n", coturn_is_on(f, "mobility") ? "on" : "off");
}
