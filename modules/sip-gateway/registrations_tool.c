/*
 * sip-gateway/registrations_tool.c: `sluice registrations`: who can be reached where, asked of the
 * process that knows, page by page; and an end to what should not be there.
 */
#include "registrations_tool.h"

#include <stdio.h>
#include <string.h>

enum { PLACE = 64 };

static int usage(void)
{
	fputs("usage: sluice registrations [--json] [USER]\n"
	      "       sluice registrations end USER [CONTACT]\n",
	      stderr);
	return 2;
}

static int print(struct sl_str s)
{
	return fwrite(s.p, 1, s.len, stdout) == s.len ? 0 : -SL_ESYS;
}

static int ask(const struct sl_tool_env *env, struct sl_buf *words, struct sl_buf *answer)
{
	int rc = sl_buf_ok(words);

	return rc < 0 ? rc : sl_tool_ask(env, "sip-gateway", sl_buf_view(words), answer);
}

/* A blank ends a word, there. */
static bool is_word(const char *s)
{
	return s[0] && s[0] != '-' && !strpbrk(s, " \t\r\n");
}

struct wanted {
	const char *user; /* NULL: all */
	bool json;
};

static bool read_wanted(struct wanted *ret_wanted, int argc, char **argv)
{
	struct wanted w = {0};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			w.json = true;
		else if (!w.user && is_word(argv[i]))
			w.user = argv[i];
		else
			return false;
	}
	*ret_wanted = w;
	return true;
}

/* One page; place: where it begins, and then where the next one does */
static int print_page(const struct sl_tool_env *env, const struct wanted *w, char place[PLACE],
		      bool *any)
{
	struct sl_buf words, answer;
	struct sl_str lines;
	int rc;

	sl_buf_init(&words, 4096);
	sl_buf_init(&answer, 0);
	sl_buf_printf(&words, "page %s %s %s", w->json ? "json" : "text", place,
		      w->user ? w->user : "");
	rc = ask(env, &words, &answer);
	if (rc == 0) {
		lines = sl_buf_view(&answer);
		if (sl_str_copy(place, PLACE, sl_str_split(&lines, '\n')) >= PLACE)
			rc = -SL_EPARSE;
		if (rc == 0 && w->json && *any && lines.len > 0)
			rc = print(SL_STR(","));
		if (rc == 0)
			rc = print(lines);
		*any |= lines.len > 0;
	}
	sl_buf_free(&words);
	sl_buf_free(&answer);
	return rc;
}

static int list(const struct sl_tool_env *env, const struct wanted *w)
{
	char place[PLACE] = "-";
	bool any = false;
	int rc = print(w->json ? SL_STR("{\"registrations\":[")
			       : SL_STR("user             pbx          over remote               "
					"    expires  contact, agent\n"));

	do
		rc = rc == 0 ? print_page(env, w, place, &any) : rc;
	while (rc == 0 && strcmp(place, "-") != 0);
	if (rc == 0 && w->json)
		rc = print(SL_STR("]}\n"));
	return rc < 0;
}

static int end(const struct sl_tool_env *env, const char *user, const char *contact)
{
	struct sl_buf words, answer;
	int rc;

	sl_buf_init(&words, 4096);
	sl_buf_init(&answer, 0);
	sl_buf_printf(&words, "end %s %s", user, contact ? contact : "");
	rc = ask(env, &words, &answer);
	if (rc == 0)
		rc = print(sl_buf_view(&answer));
	sl_buf_free(&words);
	sl_buf_free(&answer);
	return rc < 0;
}

int registrations_tool(const struct sl_tool_env *env, int argc, char **argv)
{
	struct wanted wanted;

	if (argc > 1 && strcmp(argv[1], "end") == 0) {
		if (argc < 3 || argc > 4 || !is_word(argv[2]) || (argc == 4 && !is_word(argv[3])))
			return usage();
		return end(env, argv[2], argc == 4 ? argv[3] : NULL);
	}
	return read_wanted(&wanted, argc, argv) ? list(env, &wanted) : usage();
}
