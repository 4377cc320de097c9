/*
 * proc/tool_credentials.c: `sluice turn-credentials`: a time-limited user and password for a TURN
 * client, as an application server would make them.
 *
 * Knows no server: whoever holds the secret can make credentials anywhere. The secret comes from a
 * file, because a command line is seen by every user of the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include <sluice/turn.h>
#include "config/units.h"
#include "os/os.h"
#include "proc/tool.h"

enum { MAX_SECRET = 4096, MAX_ID = 200 };

/* The first line without its end: editors and `echo` put one there. */
static int read_secret(const char *path, char **ret_text, struct sl_str *ret_secret)
{
	struct sl_str rest;
	char *text;
	int rc;

	rc = fd_slurp(path, MAX_SECRET, &text, &rest.len);
	if (rc < 0) {
		fprintf(stderr, "sluice: cannot read a secret from %s: %m\n", path);
		return rc;
	}
	rest.p = text;
	*ret_secret = sl_str_trim(sl_str_split(&rest, '\n'));
	if (ret_secret->len == 0) {
		fprintf(stderr, "sluice: %s: the first line is empty; it should be the secret\n",
			path);
		free(text);
		return -SL_EINVAL;
	}
	*ret_text = text;
	return 0;
}

int tool_secret_credential(const struct tool_opts *o, char ret_user[TOOL_MAX_USER],
			   char ret_password[32])
{
	struct sl_str id = sl_str_c(o->id ? o->id : ""), secret;
	uint64_t expires = sl_clock_unix_ns() / SL_NS_PER_S + o->ttl_s;
	char *text;
	int rc;

	if (id.len > MAX_ID || !sl_str_is_utf8(id)) {
		fprintf(stderr, "sluice: --id: at most %d bytes of UTF-8\n", MAX_ID);
		return -SL_EINVAL;
	}
	rc = read_secret(o->secret_file, &text, &secret);
	if (rc < 0)
		return rc;
	rc = sl_turn_credential(secret, id, expires, ret_user, TOOL_MAX_USER, ret_password);
	sl_wipe(text, (size_t)(secret.p - text) + secret.len);
	free(text);
	if (rc < 0)
		fprintf(stderr, "sluice: no credentials: %s\n", sl_strerror(rc));
	return rc;
}

int tool_ttl(const char *text, uint64_t *ret_s)
{
	int64_t ms;

	if (units_parse_time(sl_str_c(text), &ms) < 0 || ms < 1000 || ms / 1000 > TOOL_MAX_TTL_S)
		return -SL_EINVAL;
	*ret_s = (uint64_t)ms / 1000;
	return 0;
}

static void print_json(struct sl_buf *out, const struct tool_opts *o, const char *user,
		       const char *password)
{
	sl_buf_printf(out, "{\"username\":");
	sl_buf_json(out, sl_str_c(user));
	sl_buf_printf(out, ",\"credential\":");
	sl_buf_json(out, sl_str_c(password));
	sl_buf_printf(out, ",\"ttl\":%llu}\n", (unsigned long long)o->ttl_s);
}

int tool_turn_credentials(const struct tool_opts *o)
{
	char user[TOOL_MAX_USER], password[32];
	struct sl_buf out;
	int failed;

	if (!o->secret_file) {
		fprintf(stderr, "sluice: turn-credentials needs --secret-file FILE\n");
		return 2;
	}
	if (tool_secret_credential(o, user, password) < 0)
		return 1;
	sl_buf_init(&out, 0);
	if (o->json)
		print_json(&out, o, user, password);
	else
		sl_buf_printf(&out, "user      %s\npassword  %s\n", user, password);
	sl_wipe(password, sizeof password);
	failed = sl_buf_ok(&out) < 0 || fd_write_all(STDOUT_FILENO, out.p, out.len) < 0;
	sl_buf_free(&out);
	return failed;
}
