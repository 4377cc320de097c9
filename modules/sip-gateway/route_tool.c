/*
 * sip-gateway/route_tool.c: `sluice route`: which route takes a call, where it goes, and why the
 * routes before it do not take it.
 */
#include "route_tool.h"

#include <stdio.h>
#include <string.h>

#include "dialplan.h"
#include "preparse.h"

static int usage(void)
{
	fputs("usage: sluice route URI|NUMBER [from USER | trunk NAME | browser | anyone]\n",
	      stderr);
	return 2;
}

/* A bare number is as good as a URI. */
static struct sl_str number_of(const char *word)
{
	struct sl_str text = sl_str_c(word), user = sip_user_of(text);

	return user.len > 0 ? user : text;
}

/* Who calls: a user, unless the words behind the number say otherwise. */
static bool read_source(int argc, char **argv, struct dial_call *call)
{
	call->source = DIAL_FROM_USER;
	if (argc == 2)
		return true;
	if (argc == 3) {
		call->source =
			strcmp(argv[2], "browser") == 0 ? DIAL_FROM_BROWSER : DIAL_FROM_STRANGER;
		return call->source == DIAL_FROM_BROWSER || strcmp(argv[2], "anyone") == 0;
	}
	if (argc != 4)
		return false;
	if (strcmp(argv[2], "from") == 0) {
		call->caller = number_of(argv[3]);
		return true;
	}
	call->source = DIAL_FROM_TRUNK;
	call->trunk = sl_str_c(argv[3]);
	return strcmp(argv[2], "trunk") == 0;
}

static void print_route(const struct route_conf *r, size_t i)
{
	printf("route %zu%s%.*s%s", i + 1, r->name.len ? " (" : "", SL_FMT(r->name),
	       r->name.len ? ")" : "");
}

/* What it is for, where that is not where the call comes from; else why its patterns do not fit */
static void print_why_not(const struct route_conf *r, const struct dial_call *call)
{
	if (dialplan_source_fits(r, call))
		printf("%s (%.*s)", dialplan_why_not(r, call), SL_FMT(sl_regex_pattern(r->match)));
	else if (r->trunk.len == 0)
		printf("it is for calls from users and trunks");
	else if (sl_str_eq(r->trunk, SL_STR("users")))
		printf("it is for calls from users");
	else
		printf("it is for calls from the trunk %.*s", SL_FMT(r->trunk));
}

static void print_passed_over(const struct sip_conf *conf, const struct dial_call *call, size_t end)
{
	for (size_t i = 0; i < end; i++) {
		const struct route_conf *r = SL_LIST_AT(conf->routes, struct route_conf, i);

		print_route(r, i);
		printf(": no, ");
		print_why_not(r, call);
		putchar('\n');
	}
}

/* What $1 made of it may be there or not, which no check of the configuration can tell. */
static const char *doubt(const struct sip_conf *conf, const struct dial_target *t)
{
	if (t->kind == DIAL_USER && !sip_conf_user(conf, sl_str_c(t->name)))
		return ", which is no user of this node (480)";
	if (t->kind == DIAL_TRUNK && !sip_conf_trunk(conf, sl_str_c(t->name)))
		return ", which is no trunk of this node (503)";
	return "";
}

static void print_target(const struct sip_conf *conf, const struct dial_target *t)
{
	printf("  -> %s", dial_kind_name(t->kind));
	if (t->kind == DIAL_REJECT)
		printf(" %u", t->status);
	else if (t->name[0])
		printf(" %s", t->name);
	if (t->number[0])
		printf(", as %s", t->number);
	if (t->weight)
		printf(", with weight %u", t->weight);
	puts(doubt(conf, t));
}

/* A client in a room that is no user of this node may be a subscriber of a PBX. */
static void print_refusal(const struct sip_conf *conf, const struct dial_call *call, int rc)
{
	const char *before = "but a browser that is registered at ";

	printf("nobody: the call is refused with %d\n", rc == -SL_EDENIED ? 403 : 404);
	if (call->source != DIAL_FROM_USER && call->source != DIAL_FROM_BROWSER)
		return;
	for (size_t i = 0; i < conf->trunks.n; i++) {
		const struct trunk_conf *t = SL_LIST_AT(conf->trunks, struct trunk_conf, i);

		if (!t->accounts)
			continue;
		printf("%s%.*s", before, SL_FMT(t->name));
		before = " or ";
	}
	if (strcmp(before, " or ") == 0)
		puts(" calls there");
}

/* Who is not there calls nobody. */
static bool source_is_there(const struct sip_conf *conf, const struct dial_call *call)
{
	if (call->source == DIAL_FROM_TRUNK && !sip_conf_trunk(conf, call->trunk))
		fprintf(stderr, "there is no trunk \"%.*s\"\n", SL_FMT(call->trunk));
	else if (call->source == DIAL_FROM_USER && call->caller.len > 0 &&
		 !sip_conf_user(conf, call->caller))
		fprintf(stderr, "there is no user \"%.*s\"\n", SL_FMT(call->caller));
	else
		return true;
	return false;
}

static int explain(const struct sip_conf *conf, const struct dial_call *call)
{
	struct dial_result r;
	int rc = dialplan_route(conf, call, &r);

	print_passed_over(conf, call, r.route ? r.index : conf->routes.n);
	if (r.route) {
		print_route(r.route, r.index);
		printf(": matches %.*s\n", SL_FMT(sl_regex_pattern(r.route->match)));
	} else if (rc == 0) {
		puts("no route matches; it is a name of this node");
	}
	for (unsigned i = 0; rc == 0 && i < r.n_targets; i++)
		print_target(conf, &r.targets[i]);
	if (rc < 0)
		print_refusal(conf, call, rc);
	return rc < 0;
}

int route_tool(const struct sl_tool_env *env, int argc, char **argv)
{
	struct dial_call call = {0};
	const struct sip_conf *conf;

	if (argc < 2 || !read_source(argc, argv, &call))
		return usage();
	call.called = number_of(argv[1]);
	conf = sl_tool_conf(env, "sip-gateway");
	return conf && source_is_there(conf, &call) ? explain(conf, &call) : 1;
}
