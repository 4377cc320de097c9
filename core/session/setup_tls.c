/*
 * session/setup_tls.c: certificates of a listener, from files, from text or made for development.
 *
 * Runs before privileges are dropped. The checker makes the development certificate, workers find
 * it; it stays under the prefix, so that an exception given in a browser lasts.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "net/tls.h"
#include "session/setup.h"

#define MAX_PEM ((size_t)1 << 20)
#define DEV_CERT "dev-cert.pem"
#define DEV_KEY "dev-key.pem"

static int read_pem(const struct setup *s, struct sl_str name, struct sl_str *ret_text, char *err,
		    size_t cap)
{
	char path[1024], *text;
	size_t len;

	if (memmem(name.p, name.len, "-----BEGIN ", 11)) { /* came by !file or !env */
		*ret_text = name;
		return 0;
	}
	snprintf(path, sizeof path, "%s%s%.*s", name.p[0] == '/' ? "" : s->prefix,
		 name.p[0] == '/' ? "" : "/", SL_FMT(name));
	if (fd_slurp(path, MAX_PEM, &text, &len) < 0) {
		snprintf(err, cap, "cannot read %s: %m", path);
		return -SL_ESYS;
	}
	*ret_text = sl_pool_str(s->pool, (struct sl_str){text, len});
	explicit_bzero(text, len);
	free(text);
	return ret_text->p ? 0 : -SL_ENOMEM;
}

static int write_new(const char *path, mode_t mode, const struct sl_buf *text)
{
	int fd FD_AUTO = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	return fd < 0 ? -SL_ESYS : fd_write_all(fd, text->p, text->len);
}

/* Names for the development certificate: localhost and the addresses of this host. */
static unsigned dev_names(struct sl_str *names, char (*texts)[SL_ADDR_STRLEN], unsigned max)
{
	struct sl_addr addrs[32];
	unsigned n = 0, n_addrs = 0;

	names[n++] = SL_STR("localhost");
	(void)sock_host_addrs(addrs, SL_ARRAY_LEN(addrs), &n_addrs); /* localhost alone will do */
	for (unsigned i = 0; i < n_addrs && n < max; i++) {
		if (sl_addr_classify(&addrs[i]) == SL_ADDR_LINK_LOCAL)
			continue; /* its name depends on who asks */
		names[n] = sl_str_c(sl_addr_format_ip(texts[n], &addrs[i]));
		n++;
	}
	return n;
}

static int make_dev_cert(const char *cert_path, const char *key_path, char *err, size_t cap)
{
	struct sl_str names[33];
	char texts[33][SL_ADDR_STRLEN];
	struct sl_buf cert, key;
	int rc;

	sl_buf_init(&cert, 0);
	sl_buf_init(&key, 0);
	rc = tls_make_dev_cert(names, dev_names(names, texts, SL_ARRAY_LEN(names)), &cert, &key);
	if (rc == 0)
		rc = write_new(key_path, 0600, &key);
	if (rc == 0)
		rc = write_new(cert_path, 0644, &cert);
	if (rc < 0)
		snprintf(err, cap, "cannot make the development certificate %s: %m", cert_path);
	if (key.p)
		explicit_bzero(key.p, key.len);
	sl_buf_free(&key);
	sl_buf_free(&cert);
	return rc;
}

static int dev_cert(const struct setup *s, struct tls_cert *ret_cert, char *err, size_t cap)
{
	const char *cert_path = sl_pool_printf(s->pool, "%s/" DEV_CERT, s->prefix);
	const char *key_path = sl_pool_printf(s->pool, "%s/" DEV_KEY, s->prefix);
	int rc = 0;

	if (!cert_path || !key_path)
		return -SL_ENOMEM;
	if (access(cert_path, R_OK) < 0 || access(key_path, R_OK) < 0)
		rc = make_dev_cert(cert_path, key_path, err, cap);
	if (rc == 0)
		rc = read_pem(s, sl_str_c(cert_path), &ret_cert->cert, err, cap);
	return rc < 0 ? rc : read_pem(s, sl_str_c(key_path), &ret_cert->key, err, cap);
}

static int read_pair(const struct setup *s, struct sl_str cert, struct sl_str key,
		     struct tls_cert *ret_cert, char *err, size_t cap)
{
	int rc = read_pem(s, cert, &ret_cert->cert, err, cap);

	return rc < 0 ? rc : read_pem(s, key, &ret_cert->key, err, cap);
}

int setup_tls(const struct setup *s, const struct setup_listener *l, const uint8_t ticket_key[80],
	      struct ssl_ctx_st **ret_ctx, char *err, size_t err_cap)
{
	const struct tls_block *t = &l->block->tls;
	struct tls_cert *certs;
	struct tls_opts opts = {
		.tls13_only = t->min_version == 1, .dtls = l->spec.udp, .ticket_key = ticket_key};
	int rc;

	*ret_ctx = NULL;
	if (t->cert.len == 0)
		return 0;
	certs = sl_pool_array(s->pool, t->sni.n + 1, sizeof *certs);
	if (!certs)
		return -SL_ENOMEM;
	if (sl_str_eq(t->cert, SL_STR("auto")))
		rc = dev_cert(s, &certs[0], err, err_cap);
	else
		rc = read_pair(s, t->cert, t->key, &certs[0], err, err_cap);
	for (size_t i = 0; rc == 0 && i < t->sni.n; i++) {
		const struct cert_block *c = SL_LIST_AT(t->sni, struct cert_block, i);

		rc = read_pair(s, c->cert, c->key, &certs[i + 1], err, err_cap);
	}
	if (rc < 0)
		return rc;
	opts.certs = certs;
	opts.n_certs = (unsigned)t->sni.n + 1;
	rc = tls_context_new(&opts, ret_ctx, err, err_cap);
	if (rc == 0 && opts.dtls && opts.tls13_only) { /* there is no DTLS 1.3 yet */
		tls_context_free(*ret_ctx);
		*ret_ctx = NULL;
	}
	return rc;
}
