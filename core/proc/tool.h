/*
 * proc/tool.h: what `sluice` does besides serving: one function per command, each returns the exit
 * status.
 */
#ifndef PROC_TOOL_H
#define PROC_TOOL_H

#include <stdbool.h>
#include <sluice/buf.h>
#include "shm/shm.h"

struct tool_opts {
	const char *prefix, *file,
		*control; /* control: path of the socket, NULL: <prefix>/sluice.sock */
	const char *const *overrides;
	unsigned n_overrides;
	bool json, once;
	const char *kind;	      /* sessions --kind */
	unsigned max;		      /* trace: records per slot */
	const char *secret_file, *id; /* turn-credentials */
	uint64_t ttl_s;
	const char *user, *password; /* probe */
	uint16_t tls_port;	     /* probe; 0: 443, or the one in a turns: URI */
	uint64_t lifetime_s;	     /* nat: the longest silence to try; 0: none */
	const char *output;	     /* import-coturn: NULL: standard output */
};

/* Where modules are looked for: next to the binary (build tree), then the installed place. */
#define TOOL_MAX_PATHS 4
unsigned tool_module_paths(const char *ret_paths[TOOL_MAX_PATHS]);
/* The file named by -c, <prefix>/sluice.yaml, or the built-in defaults; *ret_name is for messages.
 * Result malloc'ed. */
int tool_config_text(const char *prefix, const char *file, const char **ret_name, char **ret_text,
		     size_t *ret_len);

/* All modules that are linked in, or else those that tool_module_paths finds, for their tables;
 * says on standard error what cannot be loaded. */
struct registry;
int tool_load_all(struct sl_pool *pool, struct registry **ret_registry);

/* -t, -T */
int tool_test(const struct tool_opts *o, bool dump);
int tool_schema(const struct tool_opts *o);
int tool_reference(const struct tool_opts *o);
/* -M */
int tool_module(const char *file);
/* -s */
int tool_signal(const struct tool_opts *o, const char *command);
/* The last line of an answer says how it went, and goes; -SL_EDENIED: refused, or not complete,
 * which standard error tells. */
int tool_ask(const struct tool_opts *o, const char *line, struct sl_buf *answer);
int tool_kick(const struct tool_opts *o, const char *sid);
int tool_top(const struct tool_opts *o);
int tool_sessions(const struct tool_opts *o);
int tool_trace(const struct tool_opts *o);
int tool_turn_credentials(const struct tool_opts *o);
int tool_nat(const struct tool_opts *o, const char *host);
int tool_probe(const struct tool_opts *o, const char *uri);
/* Each option of coturn, and what becomes of it, as Markdown. */
int tool_coturn_options(const struct tool_opts *o);
/* 0: all is as it was; 1: something is not carried over; 2: nothing was written. */
int tool_import_coturn(const struct tool_opts *o, const char *file);

/* A command that a module brings; argv[0] is its name. */
int tool_of_module(const struct tool_opts *o, int argc, char **argv);
/* The lines of such commands, for -h */
void tool_print_module_usage(void);

/* A time as it stands in the configuration ("1h"), from a second to ten years. */
#define TOOL_MAX_TTL_S 315360000
int tool_ttl(const char *text, uint64_t *ret_s);
/* A user and password under the secret in o->secret_file. Prints its own error. */
#define TOOL_MAX_USER 300
int tool_secret_credential(const struct tool_opts *o, char ret_user[TOOL_MAX_USER],
			   char ret_password[32]);

/* The shared segments of the running master, read-only. Prints its own error. */
int tool_attach(const struct tool_opts *o, struct shm **ret_shm);

/* defaults.c: the configuration that is used when there is none. */
extern const char default_config[];

unsigned upgrade_format(void);

#endif
