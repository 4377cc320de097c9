/*
 * sip-gateway/registrations_tool.c: `sluice registrations`: who can be reached where, asked of the
 * process that knows; and an end to what should not be there.
 */
#include "registrations_tool.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
	fputs("usage: sluice registrations [--json] [USER]\n"
	      "       sluice registrations end USER [CONTACT]\n",
	      stderr);
	return 2;
}

static int ask(const struct sl_tool_env *env, struct sl_buf *words)
{
	struct sl_buf answer;
	int rc = sl_buf_ok(words);

	sl_buf_init(&answer, 0);
	if (rc == 0)
		rc = sl_tool_ask(env, "sip-gateway", sl_buf_view(words), &answer);
	if (rc == 0 && fwrite(answer.p, 1, answer.len, stdout) != answer.len)
		rc = -SL_ESYS;
	sl_buf_free(&answer);
	return rc < 0;
}

/* A blank ends a word, there. */
static bool is_word(const char *s)
{
	return s[0] && s[0] != '-' && !strpbrk(s, " \t\r\n");
}

static bool put_list(struct sl_buf *words, int argc, char **argv)
{
	const char *user = NULL;
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (!user && is_word(argv[i]))
			user = argv[i];
		else
			return false;
	}
	sl_buf_printf(words, "list %s %s", json ? "json" : "text", user ? user : "");
	return true;
}

static bool put_end(struct sl_buf *words, int argc, char **argv)
{
	if (argc < 3 || argc > 4 || !is_word(argv[2]) || (argc == 4 && !is_word(argv[3])))
		return false;
	sl_buf_printf(words, "end %s %s", argv[2], argc == 4 ? argv[3] : "");
	return true;
}

int registrations_tool(const struct sl_tool_env *env, int argc, char **argv)
{
	bool ends = argc > 1 && strcmp(argv[1], "end") == 0;
	struct sl_buf words;
	int status;

	sl_buf_init(&words, 4096);
	if (ends ? put_end(&words, argc, argv) : put_list(&words, argc, argv))
		status = ask(env, &words);
	else
		status = usage();
	sl_buf_free(&words);
	return status;
}
