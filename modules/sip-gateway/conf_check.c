/*
 * sip-gateway/conf_check.c: what has to hold between directives and no table can say: names that
 * are there, headers that are headers, certificates that fit. And what is looked up in them.
 */
#include <sluice/conn.h>
#include "dialplan.h"
#include "locate.h"
#include "sound.h"

#include <stdio.h>
#include <stdlib.h>

bool trunk_conf_has(const struct trunk_conf *t, const struct sl_addr *remote)
{
	if (t->address.family && sl_addr_same_ip(&t->address, remote))
		return true;
	for (size_t i = 0; i < t->allow.n; i++)
		if (sl_cidr_has(SL_LIST_AT(t->allow, struct sl_cidr, i), remote))
			return true;
	return false;
}

struct sl_str trunk_conf_host(const struct trunk_conf *t)
{
	struct sl_str server = t->server;

	if (t->address.family)
		return server.p[0] == '[' ? (sl_str_split(&server, '['), sl_str_split(&server, ']'))
					  : sl_str_split(&server, ':');
	return sl_str_split(&server, ':');
}

const struct user_conf *sip_conf_user(const struct sip_conf *c, struct sl_str name)
{
	for (size_t i = 0; i < c->users.n; i++) {
		const struct user_conf *u = SL_LIST_AT(c->users, struct user_conf, i);

		if (sl_str_eq(u->name, name))
			return u;
	}
	return NULL;
}

const struct trunk_conf *sip_conf_trunk(const struct sip_conf *c, struct sl_str name)
{
	for (size_t i = 0; i < c->trunks.n; i++) {
		const struct trunk_conf *t = SL_LIST_AT(c->trunks, struct trunk_conf, i);

		if (sl_str_eq(t->name, name))
			return t;
	}
	return NULL;
}

/* ---- checks: each says where, and what would be right */

static void path_of(char dst[64], const char *list, size_t i, const char *field)
{
	(void)snprintf(dst, 64, "%s[%zu]%s%s", list, i, *field ? "." : "", field);
}

static void check_codecs(struct sl_conf *c, const char *path, const struct sl_list *codecs)
{
	for (size_t i = 0; i < codecs->n; i++) {
		struct sl_str name = *SL_LIST_AT(*codecs, struct sl_str, i);
		enum sl_codec_id id = sl_codec_by_name(name);

		if (id < SL_CODEC_OPUS || id > SL_CODEC_L16)
			sl_conf_error(c, path,
				      "\"%.*s\" is no audio codec of ours; there are opus, g722, "
				      "pcma, pcmu and l16",
				      SL_FMT(name));
	}
}

/* A header that breaks the message's own would be worse than none. */
static bool header_is_good(struct sl_str h)
{
	const char *colon = h.len ? memchr(h.p, ':', h.len) : NULL;

	for (size_t i = 0; i < h.len; i++)
		if ((unsigned char)h.p[i] < ' ')
			return false;
	return colon && colon > h.p;
}

static void check_headers(struct sl_conf *c, const char *path, const struct sl_list *headers)
{
	for (size_t i = 0; i < headers->n; i++)
		if (!header_is_good(*SL_LIST_AT(*headers, struct sl_str, i)))
			sl_conf_error(c, path, "a header is written \"Name: value\"");
}

static void check_client(struct sl_conf *c, const char *path, const struct sl_tls_client_opts *o)
{
	struct sl_tls_client *client;
	char err[256];

	if (sl_tls_client_new(o, &client, err, sizeof err) < 0)
		sl_conf_error(c, path, "%s", err);
	else
		sl_tls_client_free(client);
}

static void check_tls(struct sl_conf *c, const struct tls_conf *t)
{
	const struct sl_tls_client_opts o = {
		.authorities = t->authorities, .cert = t->cert, .key = t->key};

	check_client(c, "tls", &o);
}

static void check_trunk_cert(struct sl_conf *c, size_t i, const struct trunk_conf *t)
{
	const struct sl_tls_client_opts o = {.cert = t->cert, .key = t->key, .unchecked = true};
	char path[64];

	path_of(path, "trunks", i, "cert");
	if ((t->cert.len > 0) != (t->key.len > 0))
		sl_conf_error(c, path, "a certificate and its key go together: cert and key");
	else if (t->cert.len > 0)
		check_client(c, path, &o);
}

static void check_trunk(struct sl_conf *c, size_t i, struct trunk_conf *t)
{
	struct locate_want want;
	char path[64];

	if (sl_addr_parse(&t->address, t->server) == 0 && t->address.port == 0)
		t->address.port = 5060;
	path_of(path, "trunks", i, "server");
	if (locate_read(&want, t->server) < 0)
		sl_conf_error(c, path, "\"%.*s\" is no host and no host:port", SL_FMT(t->server));
	path_of(path, "trunks", i, "codecs");
	check_codecs(c, path, &t->codecs);
	path_of(path, "trunks", i, "headers");
	check_headers(c, path, &t->headers);
	path_of(path, "trunks", i, "user");
	if (t->registers && t->user.len == 0)
		sl_conf_error(c, path, "to register needs a user");
	check_trunk_cert(c, i, t);
}

static void check_hours(struct sl_conf *c, size_t i, const struct route_conf *r)
{
	unsigned from, to;
	char path[64];

	path_of(path, "routes", i, "hours");
	for (size_t k = 0; k < r->hours.n; k++)
		if (dial_read_hours(*SL_LIST_AT(r->hours, struct sl_str, k), &from, &to) < 0)
			sl_conf_error(c, path, "times of the day are written \"08:00-18:30\"");
	path_of(path, "routes", i, "value");
	if (r->value && r->header.len == 0)
		sl_conf_error(c, path, "a value belongs to a header");
	path_of(path, "routes", i, "pass");
	for (size_t k = 0; k < r->pass.n; k++)
		if (!dial_may_pass(*SL_LIST_AT(r->pass, struct sl_str, k)))
			sl_conf_error(c, path, "\"%.*s\" is made anew for each side",
				      SL_FMT(*SL_LIST_AT(r->pass, struct sl_str, k)));
}

static void check_routes(struct sl_conf *c, const struct sip_conf *conf)
{
	for (size_t i = 0; i < conf->routes.n; i++) {
		const struct route_conf *r = SL_LIST_AT(conf->routes, struct route_conf, i);
		char path[64], err[512];

		path_of(path, "routes", i, "to");
		if (dialplan_check(conf, r, err, sizeof err) < 0)
			sl_conf_error(c, path, "%s", err);
		check_hours(c, i, r);
		path_of(path, "routes", i, "headers");
		check_headers(c, path, &r->headers);
	}
}

struct named {
	struct sl_hnode node;
	struct sl_str name;
};

static bool has_name(const struct sl_hnode *node, const void *key)
{
	return sl_str_eq(SL_CONTAINER(node, struct named, node)->name, *(const struct sl_str *)key);
}

static void check_users(struct sl_conf *c, const struct sip_conf *conf)
{
	struct named *all = calloc(conf->users.n + 1, sizeof *all);
	struct sl_htab seen = {0};

	for (size_t i = 0; all && i < conf->users.n; i++) {
		struct sl_str name = SL_LIST_AT(conf->users, struct user_conf, i)->name;
		uint64_t hash = sl_hash(name.p, name.len);
		char path[64];

		all[i].name = name;
		path_of(path, "users", i, "name");
		if (sl_htab_find(&seen, hash, has_name, &name))
			sl_conf_error(c, path, "there is a user \"%.*s\" already", SL_FMT(name));
		else if (sl_htab_insert(&seen, &all[i].node, hash) < 0)
			break;
	}
	sl_htab_free(&seen);
	free(all);
}

static void check_siprec(struct sl_conf *c, const struct sip_conf *conf)
{
	const struct sl_list *trunks = &conf->siprec.trunks;

	for (size_t i = 0; i < trunks->n; i++) {
		struct sl_str name = *SL_LIST_AT(*trunks, struct sl_str, i);
		char path[64];

		path_of(path, "siprec.trunks", i, "");
		if (!sip_conf_trunk(conf, name))
			sl_conf_error(c, path, "there is no trunk \"%.*s\"", SL_FMT(name));
	}
}

static void check_music(struct sl_conf *c, const struct sip_conf *conf)
{
	struct sound s = {0};
	char err[512];

	if (conf->music.len > 0 && sound_read(conf->music.p, &s, err, sizeof err) < 0)
		sl_conf_error(c, "music", "%s", err);
	sound_free(&s);
}

int sip_conf_check(struct sl_conf *c, void *conf_)
{
	struct sip_conf *conf = conf_;

	check_codecs(c, "codecs", &conf->codecs);
	check_tls(c, &conf->tls);
	check_music(c, conf);
	check_siprec(c, conf);
	if (conf->hep.server.family && conf->hep.server.port == 0)
		sl_conf_error(c, "hep.server", "needs a port: 192.0.2.9:9060");
	if (!legs_complexity_is_good(conf->media.complexity))
		sl_conf_error(c, "media.complexity", "is neither auto nor a number in 0..10");
	check_users(c, conf);
	for (size_t i = 0; i < conf->trunks.n; i++)
		check_trunk(c, i, SL_LIST_AT(conf->trunks, struct trunk_conf, i));
	check_routes(c, conf);
	return 0;
}
