/*
 * proto/sdp.c: reads a session description (RFC 8866) into views over its text.
 *
 * Two walks: the first counts lines and checks the bounds, so that the second fills arrays of the
 * right size. What it does not judge: which attributes there are, and what they mean. As lenient as
 * the programs that are out there (bare line feeds, no t=, unknown lines), as strict as the grammar
 * where leniency would be guessing (v=, o=, m=).
 */
#include <sluice/sdp.h>

#include <stdarg.h>
#include <stdio.h>

struct reader {
	struct sl_sdp *sdp;
	struct sl_pool *pool;
	struct sl_sdp_error *error;
	struct sl_sdp_attr *attrs;  /* of all lines; sections hold slices */
	struct sl_sdp_media *media; /* as many as there are m-lines */
	struct sl_sdp_media *open;  /* the section that lines belong to; NULL: the session */
	bool tias;		    /* the open section's limit is exact; AS does not replace it */
	unsigned line, n_attrs, n_media;
};

SL_PRINTF(2, 3) static int refuse(const struct reader *r, const char *fmt, ...)
{
	va_list args;

	r->error->line = r->line;
	va_start(args, fmt);
	vsnprintf(r->error->text, sizeof r->error->text, fmt, args);
	va_end(args);
	return -SL_EPARSE;
}

static int refuse_limit(struct sl_sdp_error *e, const char *what, unsigned max)
{
	e->line = 0;
	snprintf(e->text, sizeof e->text, "the description has more than %u %s", max, what);
	return -SL_ELIMIT;
}

/* Up to the next line end, which may be CR LF or LF alone */
static struct sl_str next_line(struct sl_str *text)
{
	struct sl_str line = sl_str_split(text, '\n');

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Words are separated by one blank each; more of them are met in the wild, and skipped. */
static struct sl_str next_word(struct sl_str *s)
{
	struct sl_str word;

	do
		word = sl_str_split(s, ' ');
	while (word.len == 0 && s->p);
	return word;
}

static bool is_kind(struct sl_str line, char kind)
{
	return line.len >= 2 && line.p[0] == kind && line.p[1] == '=';
}

static int count(struct reader *r, struct sl_str text)
{
	unsigned n_lines = 0;

	if (text.len > SL_SDP_MAX_BYTES)
		return refuse_limit(r->error, "bytes", SL_SDP_MAX_BYTES);
	while (text.p) {
		struct sl_str line = next_line(&text);

		n_lines++;
		r->n_attrs += is_kind(line, 'a');
		r->n_media += is_kind(line, 'm');
	}
	if (n_lines > SL_SDP_MAX_LINES)
		return refuse_limit(r->error, "lines", SL_SDP_MAX_LINES);
	if (r->n_media > SL_SDP_MAX_MEDIA)
		return refuse_limit(r->error, "media sections", SL_SDP_MAX_MEDIA);
	return 0;
}

/* "IN IP4 192.0.2.1" or with "/ttl"; a host name leaves the address unset. */
static int read_connection(struct reader *r, struct sl_str value)
{
	struct sl_str net = next_word(&value), family = next_word(&value);
	struct sl_str host = next_word(&value), ip = sl_str_split(&host, '/');
	struct sl_addr a = {0};

	if (!sl_str_eq(net, SL_STR("IN")) ||
	    (!sl_str_eq(family, SL_STR("IP4")) && !sl_str_eq(family, SL_STR("IP6"))) || !ip.len)
		return refuse(r, "c= is not \"IN IP4 address\" or \"IN IP6 address\"");
	if (sl_addr_parse(&a, ip) < 0 || a.port)
		a = (struct sl_addr){0};
	if (!r->open) {
		r->sdp->connection = a;
		return 0;
	}
	if (a.family)
		a.port = r->open->port;
	r->open->connection = a;
	return 0;
}

/* TIAS (RFC 3890) counts bits of media alone, AS kilobits with IP headers; close enough. */
static int read_bandwidth(struct reader *r, struct sl_str value)
{
	struct sl_str kind = sl_str_split(&value, ':');
	uint64_t *limit = r->open ? &r->open->limit_bps : &r->sdp->limit_bps;
	bool tias = sl_str_eq(kind, SL_STR("TIAS"));
	uint64_t n;

	if (!value.p)
		return refuse(r, "b= has no \":\"");
	if (!tias && (r->tias || !sl_str_eq(kind, SL_STR("AS"))))
		return 0; /* CT, RR, RS and what else there is */
	if (sl_str_u64(value, &n) < 0 || n > UINT64_MAX / 1000)
		return refuse(r, "b= does not end in a number");
	r->tias = tias;
	*limit = tias ? n : n * 1000;
	return 0;
}

static int read_attr(struct reader *r, struct sl_str value)
{
	struct sl_sdp_attr *a = &r->attrs[r->n_attrs++];

	a->name = sl_str_split(&value, ':');
	a->value = value;
	a->line = r->line;
	if (a->name.len == 0)
		return refuse(r, "a= has no name");
	if (r->open)
		r->open->n_attrs++;
	else
		r->sdp->n_attrs++;
	return 0;
}

static int read_formats(struct reader *r, struct sl_sdp_media *m, struct sl_str list)
{
	struct sl_str rest = list, *formats;
	unsigned n = 0;

	while (rest.p)
		n += next_word(&rest).len > 0;
	if (n == 0)
		return refuse(r, "m= names no format");
	if (n > SL_SDP_MAX_FORMATS) {
		(void)refuse(r, "m= names more than %d formats", SL_SDP_MAX_FORMATS);
		return -SL_ELIMIT;
	}
	formats = sl_pool_array(r->pool, n, sizeof *formats);
	if (!formats)
		return -SL_ENOMEM;
	for (m->formats = formats; m->n_formats < n; m->n_formats++)
		formats[m->n_formats] = next_word(&list);
	return 0;
}

/* "audio 49170/2 RTP/AVP 0 8"; the number of ports is of no use to anybody since multiplexing. */
static int read_media(struct reader *r, struct sl_str value)
{
	struct sl_sdp_media *m = &r->media[r->n_media++];
	struct sl_str ports;
	uint64_t port;

	*m = (struct sl_sdp_media){.line = r->line, .connection = r->sdp->connection};
	m->attrs = r->attrs + r->n_attrs;
	r->open = m;
	r->tias = false;
	m->type = next_word(&value);
	ports = next_word(&value);
	m->proto = next_word(&value);
	if (m->type.len == 0 || m->proto.len == 0)
		return refuse(r, "m= is not \"media port protocol format ...\"");
	if (sl_str_u64(sl_str_split(&ports, '/'), &port) < 0 || port > UINT16_MAX)
		return refuse(r, "m= has no port from 0 to 65535");
	m->port = (uint16_t)port;
	if (m->connection.family)
		m->connection.port = m->port;
	return read_formats(r, m, value);
}

/* "- 3724394400 3724394405 IN IP4 198.51.100.1": only the session's number and version matter. */
static int read_origin(struct reader *r, struct sl_str value)
{
	(void)next_word(&value); /* the user */
	r->sdp->origin_id = next_word(&value);
	r->sdp->origin_version = next_word(&value);
	if (r->sdp->origin_version.len == 0)
		return refuse(r, "o= is not \"user id version IN IP4 address\"");
	return 0;
}

static int read_line(struct reader *r, struct sl_str line)
{
	struct sl_str value = {line.p + 2, line.len - 2};

	switch (line.p[0]) {
	case 'o':
		return read_origin(r, value);
	case 's':
		r->sdp->name = value;
		return 0;
	case 'c':
		return read_connection(r, value);
	case 'b':
		return read_bandwidth(r, value);
	case 'a':
		return read_attr(r, value);
	case 'm':
		return read_media(r, value);
	default:
		return 0; /* i, u, e, p, t, r, z, k: of no use here */
	}
}

static int read_lines(struct reader *r, struct sl_str text)
{
	while (text.p) {
		struct sl_str line = next_line(&text);
		int err;

		r->line++;
		if (r->line == 1 && !sl_str_eq(line, SL_STR("v=0")))
			return refuse(r, "a description begins with v=0");
		if (line.len == 0)
			continue; /* behind the last line, or between */
		if (line.len < 2 || line.p[1] != '=')
			return refuse(r, "a line is not \"letter=value\"");
		/* A value may go into somebody else's description, where it must stay one line. */
		if (memchr(line.p, '\r', line.len) || memchr(line.p, '\0', line.len))
			return refuse(r, "a line holds a carriage return or a zero byte");
		err = read_line(r, line);
		if (err < 0)
			return err;
	}
	if (r->sdp->origin_id.len > 0)
		return 0;
	r->line = 0;
	return refuse(r, "the description has no o=");
}

int sl_sdp_parse(struct sl_sdp *ret_sdp, struct sl_pool *pool, struct sl_str text,
		 struct sl_sdp_error *ret_error)
{
	struct sl_sdp sdp = {0};
	struct reader r = {.sdp = &sdp, .pool = pool, .error = ret_error};
	int err;

	*ret_error = (struct sl_sdp_error){0};
	err = count(&r, text);
	if (err < 0)
		return err;
	r.attrs = sl_pool_array(pool, r.n_attrs, sizeof *r.attrs);
	r.media = sl_pool_array(pool, r.n_media, sizeof *r.media);
	if (!r.attrs || !r.media)
		return -SL_ENOMEM;
	sdp.attrs = r.attrs;
	sdp.media = r.media;
	r.n_attrs = r.n_media = 0;
	err = read_lines(&r, text);
	if (err < 0)
		return err;
	sdp.n_media = r.n_media;
	*ret_sdp = sdp;
	return 0;
}

static const struct sl_sdp_attr *find(const struct sl_sdp_attr *attrs, unsigned n,
				      struct sl_str name, unsigned skip)
{
	for (unsigned i = 0; i < n; i++)
		if (sl_str_eq(attrs[i].name, name) && skip-- == 0)
			return &attrs[i];
	return NULL;
}

static bool give(const struct sl_sdp_attr *a, struct sl_str *ret_value)
{
	if (!a)
		return false;
	*ret_value = a->value;
	return true;
}

bool sl_sdp_attr(const struct sl_sdp *s, const struct sl_sdp_media *m, const char *name,
		 struct sl_str *ret_value)
{
	return give(m ? find(m->attrs, m->n_attrs, sl_str_c(name), 0)
		      : find(s->attrs, s->n_attrs, sl_str_c(name), 0),
		    ret_value);
}

bool sl_sdp_attr_or_session(const struct sl_sdp *s, const struct sl_sdp_media *m, const char *name,
			    struct sl_str *ret_value)
{
	return sl_sdp_attr(s, m, name, ret_value) || sl_sdp_attr(s, NULL, name, ret_value);
}

bool sl_sdp_attr_at(const struct sl_sdp_media *m, const char *name, unsigned i,
		    struct sl_str *ret_value)
{
	return give(find(m->attrs, m->n_attrs, sl_str_c(name), i), ret_value);
}

static const char *const directions[] = {"inactive", "sendonly", "recvonly", "sendrecv"};

const char *sl_sdp_direction_name(enum sl_sdp_direction d)
{
	return directions[d & 3];
}

enum sl_sdp_direction sl_sdp_get_direction(const struct sl_sdp *s, const struct sl_sdp_media *m)
{
	struct sl_str none;

	for (unsigned d = 0; d < SL_ARRAY_LEN(directions); d++)
		if (sl_sdp_attr(s, m, directions[d], &none))
			return (enum sl_sdp_direction)d;
	for (unsigned d = 0; d < SL_ARRAY_LEN(directions); d++)
		if (sl_sdp_attr(s, NULL, directions[d], &none))
			return (enum sl_sdp_direction)d;
	return SL_SDP_SENDRECV;
}
