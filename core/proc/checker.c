/*
 * proc/checker.c: the child that may fail: reads the configuration, loads the modules, validates
 * everything, and writes the plan.
 *
 * Problems go to standard error, which the master collects. The exit status decides; nothing this
 * process does can harm the running generation. It also makes the development certificate, since
 * workers may not write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "net/tls.h"
#include "os/os.h"
#include "proc/handoff.h"
#include "proc/role.h"
#include "proc/tool.h"
#include "session/setup.h"

static void copy_path(char dst[MAX_PATH], struct sl_str s)
{
	(void)sl_str_copy(dst, MAX_PATH, s); /* length was checked by check_paths */
}

static void plan_aux(const struct setup *s, struct plan *p)
{
	for (unsigned i = 0; i < s->registry->n_modules; i++) {
		const struct sl_module *m = &s->registry->modules[i].def;

		if (m->flags & SL_M_AUX)
			(void)sl_str_copy(p->aux[p->n_aux++], MAX_AUX_NAME,
					  sl_str_c(m->name)); /* fits: check_aux */
	}
}

static void fill_plan(const struct setup *s, const struct setup_input *in, struct plan *p)
{
	const struct core_block *core = s->core;

	p->magic = HANDOFF_MAGIC;
	p->bytes = sizeof *p;
	p->n_workers = s->n_workers;
	p->n_listeners = s->n_listeners;
	p->offload = s->offload;
	p->n_warnings = conf_n_warnings(s->errors);
	plan_aux(s, p);
	for (unsigned i = 0; i < s->n_listeners; i++)
		p->listeners[i] = s->listeners[i].spec;
	copy_path(p->pid, core->pid);
	copy_path(p->control, core->control);
	copy_path(p->log_file, core->log.file);
	copy_path(p->file, sl_str_c(in->file));
	p->log_level = core->log.level;
	p->log_json = core->log.format == LOG_FORMAT_JSON;
	p->max_sessions = (uint64_t)core->max_sessions;
	p->max_limits = (uint64_t)core->max_limits;
	p->start_timeout_ms = core->start_timeout;
	p->text_len = in->text.len;
	banner_write(s, in->file, p->banner, sizeof p->banner);
}

/* Certificates are part of the configuration: a wrong one is refused here, not by a worker at noon.
 */
static void check_certificates(struct setup *s)
{
	static const uint8_t no_ticket_key[80];
	const struct listen_block *last = NULL;
	char err[512];

	for (unsigned i = 0; i < s->n_listeners; i++) {
		struct ssl_ctx_st *ctx = NULL;

		if (s->listeners[i].block == last)
			continue;
		last = s->listeners[i].block;
		if (setup_tls(s, &s->listeners[i], no_ticket_key, &ctx, err, sizeof err) < 0)
			conf_report(s->errors, false, NULL, s->listeners[i].name, "%s", err);
		tls_context_free(ctx);
	}
}

static void check_paths(struct setup *s)
{
	const struct {
		const char *name;
		struct sl_str value;
	} paths[] = {{"pid", s->core->pid},
		     {"control", s->core->control},
		     {"log.file", s->core->log.file}};

	for (unsigned i = 0; i < SL_ARRAY_LEN(paths); i++)
		if (paths[i].value.len >= MAX_PATH)
			conf_report(s->errors, false, NULL, paths[i].name,
				    "is longer than %d bytes", MAX_PATH - 1);
}

static void check_aux(struct setup *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->registry->n_modules; i++) {
		const struct sl_module *m = &s->registry->modules[i].def;

		if (!(m->flags & SL_M_AUX))
			continue;
		if (strlen(m->name) >= MAX_AUX_NAME)
			conf_report(s->errors, false, NULL, m->name,
				    "the name of a module with its own process is at most %d bytes",
				    MAX_AUX_NAME - 1);
		if (++n > MAX_AUX)
			conf_report(s->errors, false, NULL, m->name,
				    "more than %d modules with processes of their own", MAX_AUX);
	}
}

void print_problems(struct setup *s)
{
	struct sl_buf out;

	if (conf_n_errors(s->errors) + conf_n_warnings(s->errors) == 0)
		return;
	sl_buf_init(&out, 0);
	conf_errors_print(s->errors, &out);
	if (fd_write_all(STDERR_FILENO, out.p, out.len) < 0)
		fprintf(stderr, "sluice: the problems could not be printed\n");
	sl_buf_free(&out);
}

int check_setup(struct sl_pool *pool, const struct setup_input *in, struct setup **ret_setup)
{
	struct setup *s = NULL;
	int rc = setup_load(pool, in, &s);

	if (!s) {
		fprintf(stderr, "sluice: %s: %s\n", in->file, sl_strerror(rc));
		return rc;
	}
	if (rc == 0) {
		check_paths(s);
		check_aux(s);
		check_certificates(s);
	}
	print_problems(s);
	*ret_setup = s;
	if (rc < 0 && conf_n_errors(s->errors) == 0)
		fprintf(stderr, "sluice: %s: %s\n", in->file, sl_strerror(rc));
	return rc < 0 ? rc : conf_n_errors(s->errors) ? -SL_ECONF : 0;
}

static int write_plan(const struct setup *s, const struct setup_input *in, int fd)
{
	struct plan *p = calloc(1, sizeof *p);
	int rc;

	if (!p)
		return -SL_ENOMEM;
	fill_plan(s, in, p);
	rc = fd_write_all(fd, p, sizeof *p);
	free(p);
	return rc < 0 ? rc : fd_write_all(fd, in->text.p, in->text.len);
}

static int check_and_plan(const struct handoff *h, struct sl_pool *pool, struct setup_input *in)
{
	const char *overrides[ROLE_MAX_OVERRIDES], *paths[TOOL_MAX_PATHS];
	struct setup *s;

	role_input(h, in, overrides, paths);
	if (check_setup(pool, in, &s) < 0)
		return 1;
	if (write_plan(s, in, h->fd_out) == 0)
		return 0;
	fprintf(stderr, "sluice: cannot write the plan: %m\n");
	return 1;
}

int checker_main(const struct handoff *h)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct setup_input in = {.prefix = h->prefix};
	char *text = NULL;
	int status = 1;

	if (!pool)
		fprintf(stderr, "sluice: %s\n", sl_strerror(-SL_ENOMEM));
	if (pool && tool_config_text(h->prefix, h->file, &in.file, &text, &in.text.len) == 0) {
		in.text.p = text;
		status = check_and_plan(h, pool, &in);
	}
	free(text);
	sl_pool_destroy(pool);
	return status;
}
