/*
 * import/coturn_peers.c: whom clients may talk to: ranges of coturn as blocks.
 *
 * In coturn some addresses are closed whatever is allowed (good_peer_addr of 4.6.1: loopback
 * without allow-loopback-peers, 0.0.0.0/8, multicast with no-multicast-peers); then what is allowed
 * goes before what is denied; the rest is open. Here allow_peers goes before deny_peers, so that
 *
 *     deny_peers  = our default and what is denied
 *     allow_peers = what is allowed, and loopback without what is denied, if it is open,
 *                   both without what is closed anyway
 *
 * A range that coturn understands in a way of its own is carried over only as far as nothing is
 * opened that its author did not name.
 */
#include "import/coturn_impl.h"

#include "base/addr.h"
#include "config/quote.h"

/* The default of turn-relay's deny_peers; a test compares them. */
static const char *const default_deny[] = {
	"0.0.0.0/8",	 "10.0.0.0/8",	 "100.64.0.0/10",  "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"::/96",	 "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32",	  "2002::/16",
	"fc00::/7",	 "fe80::/10",	 "ff00::/8",
};

static const char too_many[] = "more than 1024 ranges or blocks are not taken";
static const char no_range[] = "is no address and no range; names are not looked up here";

/* ---- ranges of our own */

static struct coturn_range range_of(const char *block)
{
	struct sl_cidr c;
	int rc = sl_cidr_parse(&c, sl_str_c(block));

	sl_assert(rc == 0);
	return coturn_range_of(&c);
}

static void add_text(struct coturn_ranges *rs, const struct coturn_line *line, const char *block)
{
	struct coturn_range r = range_of(block);

	if (!coturn_ranges_add(rs, &r))
		coturn_say(rs->f, line, COTURN_LOST, "%s", too_many);
}

/* Whether anything was cut off is of no use: what has no room stays closed. */
static void cut_text(struct coturn_ranges *rs, const char *block)
{
	struct coturn_range r = range_of(block);

	(void)coturn_ranges_remove(rs, &r);
}

/* ---- what lines mean to coturn */

static bool is_any(const struct sl_addr *a)
{
	const uint8_t zero[16] = {0};

	return memcmp(a->ip, zero, sizeof zero) == 0;
}

/* For coturn an unspecified first address is below all others of both families, an unspecified
 * last one above them. */
static bool is_everything(const struct coturn_range *r)
{
	return is_any(&r->first) && is_any(&r->last);
}

static bool holds_all_ipv4(const struct coturn_range *r)
{
	return is_any(&r->first) && r->first.family == 6;
}

static const char *why_no_range(int rc)
{
	if (rc == -SL_EINVAL)
		return "goes from one family of addresses to the other";
	return rc == -SL_ELIMIT ? "ends before it begins" : no_range;
}

/* "a.b.c.d/n": coturn knows nothing of it, but its operators write it. */
static bool is_block(const struct coturn_line *line, struct coturn_range *ret_range)
{
	struct sl_cidr block;

	if (!memchr(line->value.p, '/', line->value.len) ||
	    sl_cidr_parse(&block, sl_str_trim(line->value)) < 0)
		return false;
	*ret_range = coturn_range_of(&block);
	return true;
}

static void deny(struct coturn_ranges *rs, const struct coturn_line *line)
{
	struct coturn_range r;
	int rc = coturn_range_parse(&r, line->value);

	if (rc < 0 && is_block(line, &r)) {
		coturn_say(rs->f, line, COTURN_NEAR,
			   "coturn knows no a.b.c.d/n and skips the line; it is in force here");
	} else if (rc < 0) {
		coturn_say(rs->f, line, COTURN_LOST, "%s", why_no_range(rc));
		return;
	} else if (is_everything(&r)) {
		coturn_say(rs->f, line, COTURN_NEAR,
			   "an unspecified address is every address for coturn, and closed here");
		add_text(rs, line, "0.0.0.0/0");
		r = range_of("::/0");
	} else if (holds_all_ipv4(&r)) {
		coturn_say(rs->f, line, COTURN_NEAR,
			   "a range from :: holds all of IPv4 for coturn, which is closed here");
		add_text(rs, line, "0.0.0.0/0");
	}
	if (!coturn_ranges_add(rs, &r))
		coturn_say(rs->f, line, COTURN_LOST, "%s", too_many);
}

static void allow(struct coturn_ranges *rs, const struct coturn_line *line)
{
	struct coturn_range r, block;
	int rc = coturn_range_parse(&r, line->value);

	if (rc < 0) {
		coturn_say(rs->f, line, COTURN_LOST, "%s",
			   is_block(line, &block)
				   ? "coturn knows no a.b.c.d/n and skips the line, as is done here"
				   : why_no_range(rc));
		return;
	}
	if (is_everything(&r)) {
		coturn_say(rs->f, line, COTURN_LOST,
			   "an unspecified address is every address for coturn; name what is to be "
			   "open");
		return;
	}
	if (holds_all_ipv4(&r))
		coturn_say(
			rs->f, line, COTURN_LOST,
			"a range from :: holds all of IPv4 for coturn, which is not opened here");
	if (!coturn_ranges_add(rs, &r))
		coturn_say(rs->f, line, COTURN_LOST, "%s", too_many);
}

/* ---- both lists */

static struct coturn_ranges denied(struct coturn_file *f)
{
	const struct coturn_line *line = NULL;
	struct coturn_ranges rs;

	if (coturn_ranges_init(&rs, f) < 0)
		return rs;
	while ((line = coturn_next(f, "denied-peer-ip", line)))
		deny(&rs, line);
	return rs;
}

static void cut_closed(struct coturn_file *f, struct coturn_ranges *rs)
{
	cut_text(rs, "0.0.0.0/8");
	cut_text(rs, "::");
	if (!coturn_is_on(f, "allow-loopback-peers")) {
		cut_text(rs, "127.0.0.0/8");
		cut_text(rs, "::1");
	}
	if (coturn_is_on(f, "no-multicast-peers")) {
		cut_text(rs, "224.0.0.0/3");
		cut_text(rs, "ff00::/8");
	}
}

static struct coturn_ranges allowed(struct coturn_file *f, const struct coturn_ranges *closed)
{
	const struct coturn_line *loopback = coturn_last(f, "allow-loopback-peers"), *line = NULL;
	struct coturn_ranges rs;

	if (coturn_ranges_init(&rs, f) < 0)
		return rs;
	if (loopback && loopback->yes) {
		add_text(&rs, loopback, "127.0.0.0/8");
		add_text(&rs, loopback, "::1");
	}
	for (size_t i = 0; i < closed->n; i++)
		if (!coturn_ranges_remove(&rs, &closed->items[i]))
			coturn_say(f, loopback, COTURN_LOST, "%s", too_many);
	while ((line = coturn_next(f, "allowed-peer-ip", line)))
		allow(&rs, line);
	cut_closed(f, &rs);
	return rs;
}

/* ---- as blocks */

struct blocks {
	struct sl_cidr items[COTURN_MAX_RANGES];
	size_t n;
	bool full;
};

/* What is in another block adds nothing. */
static void add_block(struct blocks *b, const struct sl_cidr *block)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->items[i].bits <= block->bits && sl_cidr_has(&b->items[i], &block->base))
			return;
	if (b->n == COTURN_MAX_RANGES)
		b->full = true;
	else
		b->items[b->n++] = *block;
}

static void add_ranges(struct blocks *b, struct coturn_ranges *rs)
{
	struct sl_cidr blocks[ADDR_MAX_BLOCKS];
	size_t n = 0;

	coturn_ranges_sort(rs);
	for (size_t i = 0; i < rs->n; i++) {
		int rc = addr_range_blocks(&rs->items[i].first, &rs->items[i].last, blocks, &n);

		sl_assert(rc == 0);
		for (size_t k = 0; k < n; k++)
			add_block(b, &blocks[k]);
	}
}

static void write_blocks(struct coturn_file *f, const struct blocks *b, const char *name,
			 struct sl_buf *out)
{
	char text[SL_ADDR_STRLEN];

	if (b->full)
		coturn_say_at(f, 0, COTURN_RELAY, COTURN_LOST, "%s: %s", name, too_many);
	if (b->n > 0)
		sl_buf_printf(out, "  %s:\n", name);
	for (size_t i = 0; i < b->n; i++) {
		sl_buf_str(out, SL_STR("    - "));
		quote_yaml(out, sl_str_c(sl_cidr_format(text, &b->items[i])));
		sl_buf_u8(out, '\n');
	}
}

static void write_deny(struct coturn_file *f, struct coturn_ranges *rs, struct blocks *b,
		       struct sl_buf *out)
{
	struct sl_cidr block;

	if (rs->n == 0)
		return;
	for (size_t i = 0; i < SL_ARRAY_LEN(default_deny); i++)
		if (sl_cidr_parse(&block, sl_str_c(default_deny[i])) == 0)
			add_block(b, &block);
	add_ranges(b, rs);
	write_blocks(f, b, "deny_peers", out);
}

void coturn_write_peers(struct coturn_file *f, struct sl_buf *out)
{
	struct coturn_ranges closed = denied(f), open = allowed(f, &closed);
	struct blocks *b = sl_pool_array(f->pool, 2, sizeof *b);

	f->failed |= !b;
	if (!b)
		return;
	write_deny(f, &closed, &b[0], out);
	add_ranges(&b[1], &open);
	write_blocks(f, &b[1], "allow_peers", out);
}
