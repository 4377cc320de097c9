/*
 * config/tag.c: "!env NAME" and "!file PATH": values that stand elsewhere, secrets mostly.
 *
 * Knows the environment and small files; does not know what the value is for. A file's path is
 * relative to the folder of the configuration file. Values are marked secret: no message quotes
 * them, and their memory is cleared with the pool.
 */
#include "config/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "config/errors.h"
#include "config/suggest.h"
#include "config/value.h"
#include "os/os.h"

enum { MAX_FILE = 64 << 10 };

/* One tagged scalar. */
struct tag {
	struct sl_pool *pool;
	struct conf_errors *errors;
	struct conf_node *node;
	const char *path;
};

/* Quoted, because an empty secret is a value, while an empty plain scalar is none. */
static void take_value(const struct tag *t, struct sl_str value)
{
	struct conf_node *node = t->node;

	node->quoted = node->secret = true;
	if (memchr(value.p, '\0', value.len) || !sl_str_is_utf8(value)) {
		conf_report(t->errors, false, &node->at, t->path,
			    "the value of \"%.*s\" is not UTF-8 text", CONF_SHOWN(node->value));
		node->bad = true;
		return;
	}
	node->value = value_secret_copy(t->pool, value);
	node->bad = !node->value.p;
	if (node->bad)
		conf_report(t->errors, false, &node->at, t->path, "%s", sl_strerror(-SL_ENOMEM));
}

/* IEEE Std 1003.1, 3.235. */
static bool is_env_name(struct sl_str s)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return s.len && (s.p[0] < '0' || s.p[0] > '9') && strspn(s.p, allowed) >= s.len;
}

/* As in a shell: "NAME:-default" stands in when NAME is unset or empty. */
static void resolve_env(const struct tag *t)
{
	const char *sep = strstr(t->node->value.p, ":-"), *found;
	struct sl_str name = t->node->value;
	char z[128];

	if (sep)
		name.len = (size_t)(sep - name.p);
	if (!is_env_name(name) || name.len >= sizeof z) {
		conf_report(t->errors, false, &t->node->at, t->path,
			    "\"%.*s\" is not the name of an environment variable",
			    CONF_SHOWN(name));
		t->node->bad = true;
		return;
	}
	(void)sl_str_copy(z, sizeof z, name);
	found = getenv(z);
	if (found && (*found || !sep)) {
		take_value(t, sl_str_c(found));
	} else if (sep) {
		take_value(t, sl_str_c(sep + 2));
	} else {
		conf_report(t->errors, false, &t->node->at, t->path,
			    "the environment variable %s is not set; start with %s=..., or write "
			    "\"!env %s:-default\"",
			    z, z, z);
		t->node->bad = true;
	}
}

/* So that a configuration can be moved together with its secrets. */
static const char *absolute(const struct tag *t)
{
	const char *file = t->node->at.file, *slash = strrchr(file, '/');

	if (t->node->value.p[0] == '/' || !slash)
		return t->node->value.p;
	return sl_pool_printf(t->pool, "%.*s/%s", (int)(slash - file), file, t->node->value.p);
}

/* A pipe or device would block or never end: regular files only. */
static const char *read_file(const char *path, char **ret_text, size_t *ret_len)
{
	struct stat st;
	int rc;

	if (stat(path, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	rc = fd_slurp(path, MAX_FILE, ret_text, ret_len);
	if (rc == -SL_ELIMIT)
		return "larger than 64 KiB";
	if (rc == -SL_ESYS)
		return strerror(errno);
	return rc ? sl_strerror(rc) : NULL;
}

/* Editors end files with a newline that no secret has; just one is dropped. */
static void resolve_file(const struct tag *t)
{
	const char *path = absolute(t), *problem = sl_strerror(-SL_ENOMEM);
	struct sl_str value;
	char *text = NULL;
	size_t len;

	if (path)
		problem = read_file(path, &text, &len);
	if (problem) {
		conf_report(t->errors, false, &t->node->at, t->path, "cannot read %s: %s",
			    path ? path : "the file", problem);
		t->node->bad = true;
		return;
	}
	value = (struct sl_str){text, len};
	if (value.len && value.p[value.len - 1] == '\n')
		value.len--;
	if (value.len && value.p[value.len - 1] == '\r')
		value.len--;
	take_value(t, value);
	explicit_bzero(text, len);
	free(text);
}

/* YAML's own tags ("!!int") are unknown as well: types come from the tables. */
static void report_unknown(const struct tag *t, struct sl_str tag)
{
	struct suggest s = suggest_for(tag);

	suggest_offer(&s, "!env");
	suggest_offer(&s, "!file");
	conf_report(t->errors, false, &t->node->at, t->path, "unknown tag \"%.*s\"%s%s%s",
		    CONF_SHOWN(tag), SUGGEST_FMT(s));
	t->node->bad = true;
}

void conf_tag_resolve(struct sl_pool *pool, struct conf_errors *e, struct conf_node *node,
		      struct sl_str tag, const char *path)
{
	struct tag t = {pool, e, node, path};

	if (sl_str_eq(tag, SL_STR("!env")))
		resolve_env(&t);
	else if (sl_str_eq(tag, SL_STR("!file")))
		resolve_file(&t);
	else if (!sl_str_eq(tag, SL_STR("!"))) /* "!" alone says "text", as everything here is */
		report_unknown(&t, tag);
}
