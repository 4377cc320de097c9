/*
 * import/coturn_stun.c: discovery of NAT behaviour (RFC 5780), the one thing of STUN that has to be
 * configured.
 *
 * coturn up to 4.6 offers it by itself once it has two addresses of a family and none is
 * translated; later versions want to be asked. Two addresses and two ports make four corners.
 */
#include "import/coturn_impl.h"

enum { TURN_PORT = 3478 };

static bool is_wanted(const struct coturn_file *f)
{
	const struct coturn_line *asked = coturn_last(f, "rfc5780");

	if (coturn_is_on(f, "no-stun") && !coturn_is_on(f, "stun-only"))
		return false;
	return asked ? asked->yes : !coturn_is_on(f, "no-rfc5780");
}

static uint16_t second_port(const struct coturn_file *f, uint16_t first)
{
	int64_t n = coturn_number(f, "alt-listening-port", 0);

	return (uint16_t)(n > 0 && n <= UINT16_MAX ? n : first + 1);
}

/* An address that a client can be told. */
static bool is_corner(const struct coturn_line *line, unsigned family, struct sl_addr *ret_addr)
{
	return sl_addr_parse(ret_addr, line->value) == 0 && ret_addr->family == family &&
	       sl_addr_classify(ret_addr) != SL_ADDR_UNSPECIFIED;
}

struct coturn_corners coturn_corners(struct coturn_file *f, unsigned family)
{
	struct coturn_corners c = {.line = NULL};
	const struct coturn_line *line = NULL;
	int64_t port = coturn_number(f, "listening-port", TURN_PORT);
	struct sl_addr a;

	if (!is_wanted(f) || coturn_last(f, "external-ip") || coturn_is_on(f, "no-udp") ||
	    port < 1 || port >= UINT16_MAX)
		return c;
	while (!c.line && (line = coturn_next(f, "listening-ip", line))) {
		if (!is_corner(line, family, &a))
			continue;
		if (c.primary.family == 0)
			c.primary = a;
		else if (!sl_addr_same_ip(&c.primary, &a)) {
			c.alternate = a;
			c.line = line;
		}
	}
	c.primary.port = (uint16_t)port;
	c.alternate.port = second_port(f, (uint16_t)port);
	return c;
}

static void write_corners(struct coturn_file *f, const struct coturn_corners *c, struct sl_buf *out)
{
	char primary[SL_ADDR_STRLEN], alternate[SL_ADDR_STRLEN];

	coturn_say_at(f, c->line->number, COTURN_STUN, COTURN_NEAR,
		      "listening-ip: nearly: with two addresses coturn up to 4.6 tells clients "
		      "about their "
		      "NAT (RFC 5780), and so does behaviour; without it they are not told");
	sl_buf_printf(out, "    - {primary: \"%s\", alternate: \"%s\"}\n",
		      sl_addr_format(primary, &c->primary),
		      sl_addr_format(alternate, &c->alternate));
}

/* Somebody counts on it, and it cannot be. */
static void say_missing(struct coturn_file *f)
{
	static const char *const names[] = {"rfc5780", "alt-listening-port"};

	for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
		const struct coturn_line *line = coturn_last(f, names[i]);

		if (line && coturn_has_effect(line) && is_wanted(f))
			coturn_say(f, line, COTURN_LOST,
				   "wants two addresses of a family in listening-ip, and no "
				   "external-ip");
	}
}

void coturn_write_stun(struct coturn_file *f, struct sl_buf *out)
{
	struct coturn_corners four = coturn_corners(f, 4), six = coturn_corners(f, 6);

	coturn_write_forms(f, COTURN_STUN, 0, out);
	if (!four.line && !six.line) {
		say_missing(f);
		return;
	}
	sl_buf_str(out, SL_STR("stun:\n  behaviour:\n"));
	if (four.line)
		write_corners(f, &four, out);
	if (six.line)
		write_corners(f, &six, out);
}
