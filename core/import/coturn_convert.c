/*
 * import/coturn_convert.c: the document as a whole, and what the table of options says alone: rows
 * whose value goes into one directive, and notes of options that are not the same here.
 */
#include "import/coturn_impl.h"

#include "config/quote.h"
#include "config/units.h"

/* ---- values */

bool coturn_has_effect(const struct coturn_line *line)
{
	const struct coturn_option *o = line->option;
	struct sl_str rest = sl_str_c(o->dflt);

	if (o->arg == COTURN_FLAG || o->arg == COTURN_SWITCH)
		return line->yes;
	while (rest.len > 0)
		if (sl_str_eq(sl_str_split(&rest, ' '), line->value))
			return false;
	return true;
}

bool coturn_is_text(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
		    size_t max)
{
	if (text.len > 0 && text.len <= max && sl_str_is_utf8(text))
		return true;
	coturn_say(f, line, COTURN_LOST, "is not 1 to %zu bytes of UTF-8", max);
	return false;
}

/* coturn tries the folders where it might be started; beside its configuration is the usual one. */
struct sl_str coturn_path(struct coturn_file *f, const struct coturn_line *line)
{
	struct sl_str name = line->value;
	char *full;

	if (!coturn_is_text(f, line, name, 4095))
		return SL_STR_NULL;
	if (name.p[0] == '/')
		return name;
	full = sl_pool_printf(f->pool, "%s/%.*s", f->folder, SL_FMT(name));
	f->failed |= !full;
	coturn_say(f, line, COTURN_NEAR, "is taken as beside this file; coturn tries more folders");
	return sl_str_c(full);
}

int coturn_address(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
		   uint16_t port, struct sl_addr *ret_addr)
{
	struct sl_addr a;

	if (sl_addr_parse(&a, sl_str_trim(text)) < 0) {
		coturn_say(f, line, COTURN_LOST, "is no IP address; names are not looked up here");
		return -SL_EPARSE;
	}
	if (a.port == 0)
		a.port = port;
	*ret_addr = a;
	return 0;
}

int coturn_ip(struct coturn_file *f, const struct coturn_line *line, struct sl_str text,
	      struct sl_addr *ret_addr)
{
	struct sl_addr a;
	int rc = coturn_address(f, line, text, 0, &a);

	if (rc < 0)
		return rc;
	if (a.port != 0) {
		coturn_say(f, line, COTURN_LOST, "is an address without port in coturn");
		return -SL_EPARSE;
	}
	*ret_addr = a;
	return 0;
}

/* ---- rows with a form */

/* Within what the directive takes, and said where that makes a difference. */
static int64_t bounded(struct coturn_file *f, const struct coturn_line *line, int64_t n)
{
	const struct coturn_option *o = line->option;
	int64_t fits = n < o->min ? o->min : n > o->max ? o->max : n;

	if (fits != n)
		coturn_say(f, line, COTURN_NEAR, "%s takes %lld to %lld; it is %lld here",
			   o->directives, (long long)o->min, (long long)o->max, (long long)fits);
	return fits;
}

int64_t coturn_bits(int64_t bytes)
{
	return bytes > INT64_MAX / 8 ? INT64_MAX : bytes * 8;
}

static void write_form(struct coturn_file *f, const struct coturn_line *line, unsigned indent,
		       struct sl_buf *out)
{
	const struct coturn_option *o = line->option;
	int64_t n = line->n;

	if (o->form == COTURN_AS_TEXT && !coturn_is_text(f, line, line->value, (size_t)o->max))
		return;
	sl_buf_printf(out, "%*s%s: ", (int)indent, "", o->directives);
	switch (o->form) {
	case COTURN_AS_TEXT:
		quote_yaml_text(out, line->value);
		break;
	case COTURN_AS_SECONDS:
		units_format_time(out, (uint64_t)bounded(f, line, n) * 1000);
		break;
	case COTURN_AS_BITS:
		sl_buf_printf(out, "%lld", (long long)bounded(f, line, coturn_bits(n)));
		break;
	case COTURN_AS_NUMBER:
		sl_buf_printf(out, "%lld", (long long)bounded(f, line, n));
		break;
	case COTURN_AS_OFF:
		sl_buf_str(out, SL_STR("off"));
		break;
	}
	sl_buf_u8(out, '\n');
}

void coturn_write_forms(struct coturn_file *f, enum coturn_block block, unsigned indent,
			struct sl_buf *out)
{
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++) {
		const struct coturn_line *line = coturn_last_of(f, o);

		if (!line || o->block != block || !coturn_has_effect(line))
			continue;
		if (o->form != COTURN_BY_CODE)
			write_form(f, line, indent, out);
		if (o->fate != COTURN_SAME)
			coturn_say(f, line, (enum coturn_fate)o->fate, "%s", o->note);
	}
}

/* ---- the document */

typedef void write_fn(struct coturn_file *f, struct sl_buf *out);

static void write_block(struct coturn_file *f, enum coturn_block block, write_fn *write,
			struct sl_buf *out)
{
	struct sl_buf body;
	size_t before;

	sl_buf_init(&body, 0);
	write(f, &body);
	before = out->len;
	sl_buf_u8(out, '\n');
	coturn_write_remarks(f, block, out);
	sl_buf_str(out, sl_buf_view(&body));
	if (out->len == before + 1) /* nothing to say */
		out->len = before;
	out->failed |= body.failed;
	sl_buf_free(&body);
}

void coturn_convert(struct coturn_file *f, struct sl_buf *out)
{
	sl_buf_str(out, SL_STR("# Made by `sluice import-coturn` from "));
	quote_yaml(out, sl_str_c(f->name));
	sl_buf_str(
		out,
		SL_STR(".\n"
		       "# Unlike coturn, and whatever its file says: peers in private and special "
		       "networks are closed\n"
		       "# unless allow_peers opens them, TLS begins with 1.2, and RFC 3489 is not "
		       "served.\n"));
	write_block(f, COTURN_CORE, coturn_write_core, out);
	write_block(f, COTURN_LISTEN, coturn_write_listen, out);
	write_block(f, COTURN_STUN, coturn_write_stun, out);
	write_block(f, COTURN_METRICS, coturn_write_metrics, out);
	write_block(f, COTURN_RELAY, coturn_write_relay, out);
	out->failed |= f->failed;
}
