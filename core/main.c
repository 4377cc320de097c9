/*
 * main.c: options; decides what this process is: master, child, or a tool that ends.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/os.h"
#include "proc/master.h"
#include "proc/role.h"
#include "proc/tool.h"
#include "sluice_config.h"

static const char usage[] =
	"usage: sluice [-c FILE] [-p PREFIX] [-g 'directive: value']...      serve, in the "
	"foreground\n"
	"       sluice -t | -T                      check the configuration; -T prints what is in "
	"force\n"
	"       sluice -s reload|quit|stop|reopen|upgrade|status\n"
	"       sluice top [--once] [--json]        workers and counters, live\n"
	"       sluice sessions [--kind KIND] [--json]\n"
	"       sluice trace [-n COUNT] [--json]    the flight recorder\n"
	"       sluice kick SID                     end one session\n"
	"       sluice nat HOST[:PORT] [--lifetime TIME] [--json]     the NAT before this machine\n"
	"       sluice probe turn:HOST[:PORT] [-u USER -w PASSWORD | --secret-file FILE]\n"
	"                    [--tls-port 443] [--json]    what works through that relay\n"
	"       sluice turn-credentials --secret-file FILE [--ttl 1h] [--id NAME] [--json]\n"
	"       sluice import-coturn [turnserver.conf [-o FILE]]    coturn's configuration as "
	"ours;\n"
	"                                           without a file: what becomes of its options\n"
	"       sluice -M FILE.so                   a module's directives, hooks and counters\n"
	"       sluice --schema | --reference       JSON Schema, manual of all directives\n"
	"       sluice -V | -h\n"
	"\n"
	"  -c FILE    configuration; default: PREFIX/sluice.yaml, then built-in defaults\n"
	"  -p PREFIX  where pid file, control socket and relative paths are (" SL_DEFAULT_PREFIX
	")\n"
	"  -g TEXT    one directive over the file's, for instance -g 'log.level: debug'\n";

enum {
	OPT_JSON = 256,
	OPT_ONCE,
	OPT_KIND,
	OPT_SECRET_FILE,
	OPT_TTL,
	OPT_ID,
	OPT_LIFETIME,
	OPT_TLS_PORT,
	OPT_SCHEMA,
	OPT_REFERENCE,
	OPT_CHILD,
	OPT_RESUME,
	OPT_UPGRADE_FORMAT
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"once", no_argument, NULL, OPT_ONCE},
	{"kind", required_argument, NULL, OPT_KIND},
	{"secret-file", required_argument, NULL, OPT_SECRET_FILE},
	{"ttl", required_argument, NULL, OPT_TTL},
	{"id", required_argument, NULL, OPT_ID},
	{"tls-port", required_argument, NULL, OPT_TLS_PORT},
	{"lifetime", required_argument, NULL, OPT_LIFETIME},
	{"output", required_argument, NULL, 'o'},
	{"schema", no_argument, NULL, OPT_SCHEMA},
	{"reference", no_argument, NULL, OPT_REFERENCE},
	{"child", no_argument, NULL, OPT_CHILD},
	{"resume", required_argument, NULL, OPT_RESUME},
	{"upgrade-format", no_argument, NULL, OPT_UPGRADE_FORMAT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

struct options {
	struct master_opts master;
	const char *overrides[ROLE_MAX_OVERRIDES];
	unsigned n_overrides;
	struct tool_opts tool;
	const char *signal, *module;
	char **words;			/* what is not an option */
	int n_words, resume_fd, action; /* action: an option that ends */
};

static int print_version(void)
{
	printf("sluice %s\nbuilt with %s\nmodule ABI %u.%u, %s\nconfigured with: %s\nlinked-in "
	       "modules:",
	       SL_VERSION, SL_COMPILER, SL_ABI_MAJOR, SL_ABI_MINOR, SL_FEATURES, SL_CONFIGURE_ARGS);
	for (unsigned i = 0; sl_static_modules[i]; i++)
		printf(" %s", sl_static_modules[i]->name);
	printf("%s\n", sl_static_modules[0] ? "" : " none");
	return 0;
}

/* An absolute form of a path whose last part need not exist. */
static int absolute(const char *path, char *dst, size_t cap)
{
	char cwd[PATH_MAX];
	size_t len;

	if (path[0] == '/' || !getcwd(cwd, sizeof cwd))
		cwd[0] = '\0';
	len = (size_t)snprintf(dst, cap, "%s%s%s", cwd, cwd[0] ? "/" : "", path);
	while (len > 1 && len < cap && dst[len - 1] == '/')
		dst[--len] = '\0';
	if (len < cap)
		return 0;
	fprintf(stderr, "sluice: %s: longer than %zu bytes\n", path, cap - 1);
	return -SL_ELIMIT;
}

static int add_override(struct options *o, const char *text, size_t *used)
{
	size_t len = strlen(text) + 1;

	if (o->n_overrides == ROLE_MAX_OVERRIDES || *used + len + 1 > sizeof o->master.overrides ||
	    len == 1) {
		fprintf(stderr, "sluice: -g: empty, or too many of them\n");
		return -SL_ELIMIT;
	}
	memcpy(o->master.overrides + *used, text, len);
	o->overrides[o->n_overrides++] = o->master.overrides + *used;
	*used += len;
	return 0;
}

static int take_port(const char *text, uint16_t *ret_port)
{
	uint64_t port;

	if (sl_str_u64(sl_str_c(text), &port) < 0 || port < 1 || port > UINT16_MAX)
		return -SL_EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int take_option(struct options *o, int opt, size_t *used)
{
	switch (opt) {
	case 'c':
		return absolute(optarg, o->master.file, sizeof o->master.file);
	case 'p':
		return absolute(optarg, o->master.prefix, sizeof o->master.prefix);
	case 'g':
		return add_override(o, optarg, used);
	case 's':
		o->signal = optarg;
		return 0;
	case 'M':
		o->module = optarg;
		return 0;
	case 'n':
		o->tool.max = (unsigned)strtoul(optarg, NULL, 10);
		return o->tool.max < 1 || o->tool.max > 1000000 ? -SL_EINVAL : 0;
	case OPT_JSON:
		o->tool.json = true;
		return 0;
	case OPT_ONCE:
		o->tool.once = true;
		return 0;
	case OPT_KIND:
		o->tool.kind = optarg;
		return 0;
	case OPT_SECRET_FILE:
		o->tool.secret_file = optarg;
		return 0;
	case OPT_TTL:
		return tool_ttl(optarg, &o->tool.ttl_s);
	case 'u':
		o->tool.user = optarg;
		return 0;
	case 'w':
		o->tool.password = optarg;
		return 0;
	case OPT_TLS_PORT:
		return take_port(optarg, &o->tool.tls_port);
	case OPT_LIFETIME:
		return tool_ttl(optarg, &o->tool.lifetime_s);
	case OPT_ID:
		o->tool.id = optarg;
		return 0;
	case 'o':
		o->tool.output = optarg;
		return 0;
	case OPT_RESUME:
		o->resume_fd = (int)strtol(optarg, NULL, 10);
		return 0;
	case '?':
		return -SL_EINVAL;
	}
	o->action = opt;
	return 0;
}

static int parse(struct options *o, int argc, char **argv)
{
	size_t used = 0;
	int opt;

	o->resume_fd = -1;
	o->tool.max = 4096;
	o->tool.ttl_s = 3600;
	(void)sl_str_copy(o->master.prefix, sizeof o->master.prefix, sl_str_c(SL_DEFAULT_PREFIX));
	while ((opt = getopt_long(argc, argv, "c:p:g:s:M:n:u:w:o:tTVh", long_options, NULL)) != -1)
		if (take_option(o, opt, &used) < 0)
			return -SL_EINVAL;
	o->words = argv + optind;
	o->n_words = argc - optind;
	o->tool.prefix = o->master.prefix;
	o->tool.file = o->master.file;
	o->tool.overrides = o->overrides;
	o->tool.n_overrides = o->n_overrides;
	return 0;
}

static const struct command {
	const char *word;
	int (*plain)(const struct tool_opts *o);		   /* takes no word, */
	int (*about)(const struct tool_opts *o, const char *what); /* one, or either */
} commands[] = {
	{"top", tool_top, NULL},
	{"sessions", tool_sessions, NULL},
	{"trace", tool_trace, NULL},
	{"kick", NULL, tool_kick},
	{"nat", NULL, tool_nat},
	{"probe", NULL, tool_probe},
	{"turn-credentials", tool_turn_credentials, NULL},
	{"import-coturn", tool_coturn_options, tool_import_coturn},
};

static const struct command *find_command(const char *word)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	return NULL;
}

/* Options stand before and behind the core's words; what stands behind a module's word is for the
 * module. Returns how many arguments are for parse(). */
static int count_own_arguments(int argc, char **argv)
{
	int first;

	opterr = 0;
	while (getopt_long(argc, argv, "+c:p:g:s:M:n:u:w:o:tTVh", long_options, NULL) != -1)
		;
	first = optind;
	opterr = 1;
	optind = 0; /* begins again, and forgets the order */
	return first < argc && !find_command(argv[first]) ? first : argc;
}

static int run_word(const struct options *o)
{
	const struct command *c = find_command(o->words[0]);

	if (!c)
		return tool_of_module(&o->tool, o->n_words, o->words);
	if (c->plain && o->n_words == 1)
		return c->plain(&o->tool);
	if (c->about && o->n_words == 2)
		return c->about(&o->tool, o->words[1]);
	fprintf(stderr, "sluice: %s: wrong number of words\n%s", c->word, usage);
	return 2;
}

static int serve(struct options *o)
{
	static char binary[PATH_MAX];

	if (proc_self_exe(binary, sizeof binary) < 0) {
		fprintf(stderr, "sluice: cannot find this binary's file: %m\n");
		return 1;
	}
	o->master.binary = binary;
	if (o->resume_fd < 0 && mkdir(o->master.prefix, 0755) < 0 &&
	    access(o->master.prefix, W_OK) < 0) {
		fprintf(stderr,
			"sluice: the prefix %s is not a writable directory: %m; name another with "
			"-p\n",
			o->master.prefix);
		return 1;
	}
	return master_main(&o->master, o->resume_fd);
}

static int run_action(const struct options *o)
{
	switch (o->action) {
	case 't':
		return tool_test(&o->tool, false);
	case 'T':
		return tool_test(&o->tool, true);
	case 'V':
		return print_version();
	case OPT_SCHEMA:
		return tool_schema(&o->tool);
	case OPT_REFERENCE:
		return tool_reference(&o->tool);
	case OPT_CHILD:
		return role_main();
	case OPT_UPGRADE_FORMAT:
		return printf("%u\n", upgrade_format()) < 0;
	}
	fputs(usage, stdout);
	tool_print_module_usage();
	return 0;
}

int main(int argc, char **argv)
{
	static struct options o;
	int n_own = count_own_arguments(argc, argv);

	if (parse(&o, n_own, argv) < 0) {
		fputs("sluice: see sluice -h\n", stderr);
		return 2;
	}
	if (o.action)
		return run_action(&o);
	if (o.signal)
		return tool_signal(&o.tool, o.signal);
	if (o.module)
		return tool_module(o.module);
	if (n_own < argc) {
		o.words = argv + n_own;
		o.n_words = argc - n_own;
	}
	if (o.n_words)
		return run_word(&o);
	return serve(&o);
}
