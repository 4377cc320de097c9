/*
 * recorder/delivery_file.c: one file into storage; then what the server says that it has is
 * compared with what is here.
 *
 * What is compared is the SHA-256 that the server keeps, if it does; else its entity tag, where
 * that is an MD5; and where neither fits, the object is read back. A server that is not to be
 * believed at all is read back always (verify: read).
 */
#include "delivery_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sluice/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int sending_failed(struct sending *g, const char *what, const struct s3_reply *r, int rc)
{
	(void)snprintf(g->d->why, sizeof g->d->why, "%s %.200s: %.150s", what, g->key, r->sentence);
	g->d->after_ms = r->after_ms;
	return rc == -SL_ENOENT ? -SL_EDENIED : rc;
}

int sending_unread(struct sending *g)
{
	(void)snprintf(g->d->why, sizeof g->d->why, "%.200s/%.150s: %s", g->d->dir, g->name,
		       strerror(errno));
	return -SL_ESYS;
}

int sending_mismatch(struct sending *g, const char *how)
{
	__atomic_fetch_add(&g->d->counts->mismatches, 1, __ATOMIC_RELAXED);
	(void)snprintf(g->d->why, sizeof g->d->why, "%.200s: the server has something else: %s",
		       g->key, how);
	return -SL_EAUTH;
}

/* ---- verifying */

static void on_back(void *arg, const void *p, size_t n)
{
	digest_add(arg, p, n);
}

static int read_back(struct sending *g)
{
	struct digest d;
	struct digests got;
	struct s3_request r = {
		.method = "GET", .key = sl_str_c(g->key), .fd = -1, .sink = on_back, .arg = &d};
	struct s3_reply reply;
	int rc = digest_begin(&d);

	if (rc < 0)
		return -SL_EAGAIN;
	rc = s3_do(g->s, &r, &reply);
	digest_end(&d, &got);
	if (rc < 0)
		rc = sending_failed(g, "reading back", &reply, rc);
	s3_reply_free(&reply);
	if (rc == 0 && memcmp(got.sha256, g->digests.sha256, 32) != 0)
		rc = sending_mismatch(g, "what was read back differs");
	return rc;
}

/* 1: as it should be; 0: it cannot be told; negative: it is not */
static int compare(struct sending *g, const struct s3_reply *r)
{
	char whole[B64];

	if (r->length >= 0 && (uint64_t)r->length != g->len)
		return sending_mismatch(g, "its length differs");
	if (r->checksum[0]) {
		(void)sl_base64_encode(whole, g->digests.sha256, 32);
		if (strcmp(r->checksum, g->checksum) != 0 && strcmp(r->checksum, whole) != 0)
			return sending_mismatch(g, "its digest differs");
		return 1;
	}
	return r->length >= 0 && g->tag[0] && strcmp(r->tag, g->tag) == 0;
}

static int verify(struct sending *g)
{
	const struct s3_request r = {.method = "HEAD",
				     .key = sl_str_c(g->key),
				     .fd = -1,
				     .more = {{SL_STR("x-amz-checksum-mode"), SL_STR("ENABLED")}},
				     .n_more = 1};
	struct s3_reply reply;
	int rc = s3_do(g->s, &r, &reply);

	if (rc == -SL_ENOENT)
		rc = sending_mismatch(g, "it is not there");
	else if (rc < 0)
		rc = sending_failed(g, "asking for", &reply, rc);
	else
		rc = compare(g, &reply);
	s3_reply_free(&reply);
	if (rc < 0)
		return rc;
	return rc == 0 || g->d->conf->verify == VERIFY_READ ? read_back(g) : 0;
}

/* ---- whole */

static int put_whole(struct sending *g)
{
	const struct s3_request r = {
		.method = "PUT",
		.key = sl_str_c(g->key),
		.fd = g->fd,
		.len = g->len,
		.sha256 = g->digests.sha256,
		.type = shelf_type(sl_str_c(g->name)),
		.checksum = true,
		.more = {{SL_STR("x-amz-storage-class"), g->d->conf->storage_class}},
		.n_more = 1};
	struct s3_reply reply;
	int rc = s3_do(g->s, &r, &reply);

	if (rc < 0)
		rc = sending_failed(g, "sending", &reply, rc);
	s3_reply_free(&reply);
	(void)sl_base64_encode(g->checksum, g->digests.sha256, 32);
	if (g->digests.has_md5)
		sl_hex_encode(g->tag, g->digests.md5, 16);
	return rc;
}

/* ---- one file */

static int open_file(struct sending *g)
{
	char path[SHELF_PATH + 300];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", g->d->dir, g->name);
	g->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (g->fd < 0 || fstat(g->fd, &st) < 0)
		return sending_unread(g);
	g->len = (uint64_t)st.st_size;
	return digest_file(g->fd, 0, g->len, &g->digests) < 0 ? sending_unread(g) : 0;
}

static bool is_as_written(const struct sending *g, struct sl_str sha256)
{
	char hex[65];

	sl_hex_encode(hex, g->digests.sha256, 32);
	return sha256.len == 0 || sl_str_eq(sha256, sl_str_c(hex));
}

static int send_it(struct sending *g, const struct delivery_file *f)
{
	int rc = open_file(g);

	if (rc == 0 && !is_as_written(g, f->sha256)) {
		(void)snprintf(g->d->why, sizeof g->d->why,
			       "%.200s/%.150s is not as it was written; it is not uploaded",
			       g->d->dir, g->name);
		return -SL_EINVAL;
	}
	if (rc == 0)
		rc = g->len > g->d->conf->part ? sending_in_parts(g) : put_whole(g);
	if (rc == 0)
		rc = verify(g);
	/* Parts that make something else are of no use any more. */
	if (rc == -SL_EAUTH && sending_parts(g))
		(void)!sending_forget_parts(g);
	return rc;
}

int delivery_send(struct delivery *d, struct s3 *s, const struct delivery_file *f)
{
	struct sending *g = calloc(1, sizeof *g);
	int rc;

	if (!g)
		return -SL_EAGAIN;
	g->d = d;
	g->s = s;
	g->name = f->name;
	g->fd = -1;
	(void)snprintf(g->key, sizeof g->key, "%s%s", d->key, f->name);
	rc = send_it(g, f);
	if (rc == 0) {
		d->n_sent++;
		__atomic_fetch_add(&d->counts->files, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&d->counts->bytes, g->len, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&d->counts->errors, 1, __ATOMIC_RELAXED);
	}
	if (g->fd >= 0)
		close(g->fd);
	free(g->part);
	free(g);
	return rc;
}
