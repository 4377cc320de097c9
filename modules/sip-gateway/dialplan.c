/*
 * sip-gateway/dialplan.c: routes. The first whose patterns match counts; its `to` is filled with
 * what matched and read as a list of targets.
 *
 * Strangers, who have neither a password nor a trunk, reach nobody unless a route says `anyone`: an
 * open relay to the telephone network is found within hours.
 */
#include "dialplan.h"

#include <stdio.h>
#include "sound.h"

static const char *const kind_names[] = {"user",   "trunk", "echo",	   "music-on-hold",
					 "reject", "room",  "announcement"};

const char *dial_kind_name(unsigned kind)
{
	return kind < SL_ARRAY_LEN(kind_names) ? kind_names[kind] : "";
}

/* ---- targets */

static int read_kind(struct sl_str word, enum dial_kind *ret_kind)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(kind_names); i++) {
		if (sl_str_eq(word, sl_str_c(kind_names[i]))) {
			*ret_kind = (enum dial_kind)i;
			return 0;
		}
	}
	return -SL_EPARSE;
}

static int read_status(struct sl_str text, unsigned *ret_status)
{
	uint64_t status;

	if (sl_str_u64(text, &status) < 0 || status < 400 || status > 699)
		return -SL_EPARSE;
	*ret_status = (unsigned)status;
	return 0;
}

static int keep(char dst[DIAL_TEXT], struct sl_str s)
{
	return sl_str_copy(dst, DIAL_TEXT, s) < DIAL_TEXT ? 0 : -SL_ELIMIT;
}

/* " @70" at the end. What fills the target has no "@" any more. */
static int read_weight(struct sl_str *text, uint16_t *ret_weight)
{
	const char *at = text->len ? memchr(text->p, '@', text->len) : NULL;
	uint64_t weight;

	if (!at || at == text->p || at[-1] != ' ')
		return 0;
	if (sl_str_u64((struct sl_str){at + 1, text->len - (size_t)(at + 1 - text->p)}, &weight) <
		    0 ||
	    weight == 0 || weight > UINT16_MAX)
		return -SL_EPARSE;
	*ret_weight = (uint16_t)weight;
	*text = sl_str_trim((struct sl_str){text->p, (size_t)(at - text->p)});
	return 0;
}

/* "kind:rest", perhaps with a weight */
static int read_target(struct sl_str text, struct dial_target *ret_target)
{
	struct dial_target *t = ret_target;
	struct sl_str rest = sl_str_trim(text), kind;

	if (read_weight(&rest, &t->weight) < 0)
		return -SL_EPARSE;
	kind = sl_str_split(&rest, ':');
	if (read_kind(kind, &t->kind) < 0)
		return -SL_EPARSE;
	if (t->kind == DIAL_ECHO || t->kind == DIAL_MUSIC)
		return rest.p == NULL ? 0 : -SL_EPARSE;
	if (rest.len == 0)
		return -SL_EPARSE;
	if (t->kind == DIAL_REJECT)
		return read_status(rest, &t->status);
	if (t->kind == DIAL_TRUNK) {
		struct sl_str name = sl_str_split(&rest, '/');

		return keep(t->name, name) < 0 ? -SL_ELIMIT : keep(t->number, rest);
	}
	return keep(t->name, rest);
}

static int read_targets(struct sl_str text, struct dial_result *r)
{
	r->n_targets = 0;
	while (text.len > 0) {
		struct dial_target *t = &r->targets[r->n_targets];

		if (r->n_targets == DIAL_MAX_TARGETS)
			return -SL_ELIMIT;
		memset(t, 0, sizeof *t);
		if (read_target(sl_str_split(&text, '|'), t) < 0)
			return -SL_EPARSE;
		r->n_targets++;
	}
	return r->n_targets > 0 ? 0 : -SL_EPARSE;
}

/* Groups go in as they are: what could be read as a separator is no part of a number and is left
 * out. */
static void fill_group(struct sl_buf *b, struct sl_str group)
{
	for (size_t i = 0; i < group.len; i++)
		if ((unsigned char)group.p[i] > ' ' && !strchr("|<>\"@;?&,\\", group.p[i]))
			sl_buf_u8(b, (uint8_t)group.p[i]);
}

static void fill(struct sl_buf *b, struct sl_str to, const struct sl_regex *re)
{
	for (size_t i = 0; i < to.len; i++) {
		if (to.p[i] != '$' || i + 1 == to.len || to.p[i + 1] < '0' || to.p[i + 1] > '9') {
			sl_buf_u8(b, (uint8_t)to.p[i]);
			continue;
		}
		fill_group(b, sl_regex_group(re, (unsigned)(to.p[++i] - '0')));
	}
}

/* ---- routes */

bool dialplan_source_fits(const struct route_conf *r, const struct dial_call *call)
{
	if (sl_str_eq(r->trunk, SL_STR("anyone")))
		return true;
	if (r->trunk.len == 0)
		return call->source == DIAL_FROM_USER || call->source == DIAL_FROM_TRUNK;
	if (sl_str_eq(r->trunk, SL_STR("users")))
		return call->source == DIAL_FROM_USER;
	return call->source == DIAL_FROM_TRUNK && sl_str_eq(r->trunk, call->trunk);
}

const char *dialplan_why_not(const struct route_conf *r, const struct dial_call *call)
{
	if (!dialplan_source_fits(r, call))
		return "it is for calls from elsewhere";
	if (r->from && !sl_regex_match(r->from, call->caller))
		return "its `from` does not match the caller";
	if (!sl_regex_match(r->match, call->called))
		return "its `match` does not match the called number";
	return dial_unfit(r, call);
}

/* Without a route: names of users, and the two that are built in. */
static int route_builtin(const struct sip_conf *conf, const struct dial_call *call,
			 struct dial_result *r)
{
	struct dial_target *t = &r->targets[0];
	bool is_user = sip_conf_user(conf, call->called) != NULL;

	memset(t, 0, sizeof *t);
	if (is_user) {
		t->kind = DIAL_USER;
		(void)keep(t->name, call->called); /* names are shorter */
	} else if (sl_str_eq(call->called, SL_STR("echo"))) {
		t->kind = DIAL_ECHO;
	} else if (sl_str_eq(call->called, SL_STR("music-on-hold"))) {
		t->kind = DIAL_MUSIC;
	} else {
		return -SL_ENOENT;
	}
	r->n_targets = 1;
	if (call->source == DIAL_FROM_BROWSER)
		return is_user ? -SL_EDENIED : 0;
	return call->source == DIAL_FROM_STRANGER ? -SL_EDENIED : 0;
}

int dialplan_route(const struct sip_conf *conf, const struct dial_call *call,
		   struct dial_result *ret_result)
{
	struct dial_result *r = ret_result;
	struct sl_buf to;
	int rc;

	r->route = NULL;
	r->n_targets = 0;
	for (r->index = 0; r->index < conf->routes.n; r->index++) {
		r->route = SL_LIST_AT(conf->routes, struct route_conf, r->index);
		if (!dialplan_why_not(r->route, call))
			break;
		r->route = NULL;
	}
	if (!r->route)
		return route_builtin(conf, call, r);
	sl_buf_init(&to, 4096);
	fill(&to, r->route->to, r->route->match);
	rc = sl_buf_ok(&to);
	if (rc == 0)
		rc = read_targets(sl_buf_view(&to), r);
	sl_buf_free(&to);
	return rc < 0 ? -SL_ENOENT : 0;
}

/* ---- files */

static bool is_sound(struct sl_str target, struct sl_str *ret_name)
{
	struct sl_str rest = sl_str_trim(target), kind = sl_str_split(&rest, ':');

	*ret_name = rest;
	return rest.len > 0 && sl_str_eq(kind, sl_str_c(kind_names[DIAL_ANNOUNCEMENT]));
}

void dialplan_each_sound(const struct sip_conf *conf, void (*fn)(void *arg, struct sl_str name),
			 void *arg)
{
	for (size_t i = 0; i < conf->routes.n; i++) {
		struct sl_str rest = SL_LIST_AT(conf->routes, struct route_conf, i)->to, name;

		while (rest.len > 0)
			if (is_sound(sl_str_split(&rest, '|'), &name))
				fn(arg, name);
	}
}

/* ---- check */

/* Files are read before the first call, so their names cannot depend on it. */
static int check_sound(const struct sip_conf *conf, const char *name, char *err, size_t err_len)
{
	char path[4096];
	struct sound s = {.name = sl_str_c(name)};
	int rc;

	if (strchr(name, '$') || strstr(name, "..")) {
		(void)snprintf(err, err_len, "an announcement is a file below `sounds`");
		return -SL_ECONF;
	}
	sound_path(conf, sl_str_c(name), path, sizeof path);
	rc = sound_read(path, &s, err, err_len);
	sound_free(&s);
	return rc < 0 ? -SL_ECONF : 0;
}

static int check_target(const struct sip_conf *conf, const struct dial_target *t, char *err,
			size_t err_len)
{
	if (t->kind == DIAL_ANNOUNCEMENT)
		return check_sound(conf, t->name, err, err_len);
	if (strchr(t->name, '$'))
		return 0; /* told by the number that is called */
	if (t->kind == DIAL_USER && !sip_conf_user(conf, sl_str_c(t->name))) {
		(void)snprintf(err, err_len, "there is no user \"%.64s\"", t->name);
		return -SL_ECONF;
	}
	if (t->kind == DIAL_TRUNK && !sip_conf_trunk(conf, sl_str_c(t->name))) {
		(void)snprintf(err, err_len, "there is no trunk \"%.64s\"", t->name);
		return -SL_ECONF;
	}
	return 0;
}

int dialplan_check(const struct sip_conf *conf, const struct route_conf *r, char *err,
		   size_t err_len)
{
	struct sl_str rest = r->to;
	unsigned n = 0;

	while (rest.len > 0) {
		struct sl_str part = sl_str_split(&rest, '|');
		struct dial_target t = {0};

		/* A status may be a group; the rest has its form before it is filled. */
		if (read_target(part, &t) < 0 && !(t.kind == DIAL_REJECT && strchr(part.p, '$'))) {
			(void)snprintf(err, err_len,
				       "\"%.*s\" is no target; there are user:, trunk:NAME/NUMBER, "
				       "room:NAME, announcement:FILE, echo, music-on-hold and "
				       "reject:STATUS",
				       SL_FMT(part));
			return -SL_ECONF;
		}
		if (++n > DIAL_MAX_TARGETS) {
			(void)snprintf(err, err_len, "at most %d targets", DIAL_MAX_TARGETS);
			return -SL_ECONF;
		}
		if (check_target(conf, &t, err, err_len) < 0)
			return -SL_ECONF;
	}
	return 0;
}
