/*
 * proc/banner.c: what runs where, in a few lines for the terminal of somebody who starts Sluice by
 * hand.
 */
#include <stdio.h>
#include "proc/role.h"

#define MAX_URLS 3

/* Does a module have anything to do with this transport? */
static bool serves(const struct module *m, bool udp)
{
	for (const struct sl_hook *h = m->def.hooks; h && h->phase != SL_N_PHASES; h++)
		if (h->family == (udp ? SL_FAMILY_DGRAM : SL_FAMILY_CONN))
			return true;
	return false;
}

static bool web(const struct setup *s, const struct setup_listener *l)
{
	for (unsigned i = 0; i < s->registry->n_modules && !l->spec.udp; i++)
		if (l->confs[i] && (s->registry->modules[i].def.flags & SL_M_WEB))
			return true;
	return false;
}

/* Listeners of one item of `listen` and one transport stand behind each other. */
static unsigned run_length(const struct setup *s, unsigned first)
{
	unsigned n = 1;

	while (first + n < s->n_listeners &&
	       s->listeners[first + n].block == s->listeners[first].block &&
	       s->listeners[first + n].spec.udp == s->listeners[first].spec.udp)
		n++;
	return n;
}

static bool is_local(const struct sl_addr *a)
{
	enum sl_addr_class class_ = sl_addr_classify(a);

	return class_ == SL_ADDR_UNSPECIFIED || class_ == SL_ADDR_LOOPBACK;
}

/* localhost first, where the browser trusts a page without TLS; then a few addresses for other
 * machines. */
static void print_urls(const struct setup_listener *l, unsigned n, struct sl_buf *out)
{
	const char *scheme = l->block->tls.cert.len ? "https" : "http";
	unsigned n_urls = 0;
	char text[SL_ADDR_STRLEN];
	bool local = false;

	for (unsigned i = 0; i < n; i++)
		local |= is_local(&l[i].spec.addr);
	if (local && n_urls++ < MAX_URLS)
		sl_buf_printf(out, "      open %s://localhost:%u/\n", scheme, l->spec.addr.port);
	for (unsigned i = 0; i < n; i++)
		if (!is_local(&l[i].spec.addr) && n_urls++ < MAX_URLS)
			sl_buf_printf(out, "      open %s://%s/\n", scheme,
				      sl_addr_format(text, &l[i].spec.addr));
}

static void print_run(const struct setup *s, const struct setup_listener *l, unsigned n,
		      struct sl_buf *out)
{
	char text[SL_ADDR_STRLEN];

	sl_buf_printf(out, "  %-10s %s ", l->name,
		      l->spec.udp	       ? "udp"
		      : l->block->tls.cert.len ? "tls"
					       : "tcp");
	if (n == 1)
		sl_buf_printf(out, "%s:", sl_addr_format(text, &l->spec.addr));
	else
		sl_buf_printf(out, "port %u of %u addresses:", l->spec.addr.port, n);
	for (unsigned i = 0; i < s->registry->n_modules; i++)
		if (l->confs[i] && serves(&s->registry->modules[i], l->spec.udp))
			sl_buf_printf(out, " %s", s->registry->modules[i].def.name);
	sl_buf_printf(out, "\n");
	if (web(s, l))
		print_urls(l, n, out);
}

void banner_write(const struct setup *s, const char *file, char *dst, size_t cap)
{
	struct sl_buf out;

	sl_buf_init(&out, cap - 1);
	sl_buf_printf(&out, "sluice: %u workers, configuration %s\n", s->n_workers, file);
	for (unsigned i = 0; i < s->n_listeners && !out.failed; i += run_length(s, i))
		print_run(s, &s->listeners[i], run_length(s, i), &out);
	(void)sl_str_copy(dst, cap, sl_buf_view(&out)); /* a long list is cut */
	sl_buf_free(&out);
}
