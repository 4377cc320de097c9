/*
 * http/files.c: static files: those of a directory first, then those embedded in the binary.
 *
 * Files are named by resource.c and opened by openat2 beneath the root, so that neither ".." nor a
 * symbolic link leads out. They carry entity tags (of time and size, or the build's hash), and are
 * answered with 304 when the client has them.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sluice/asset.h>
#include "http.h"
#include "resource.h"

#define NAME_MAX_LEN 1024

struct found {
	struct sl_str name; /* below its root; for the media type */
	int file;	    /* -1: an asset */
	const struct sl_asset *asset;
	uint64_t len;
	char tag[48];
};

static int open_beneath(const char *root, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
	close(dir);
	return fd;
}

static bool find_file(const struct http_conf *conf, const char *name, struct found *ret_found)
{
	struct stat st;
	int fd;

	if (conf->root.len == 0)
		return false;
	fd = open_beneath(conf->root.p, name);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return false;
	}
	ret_found->file = fd;
	ret_found->len = (uint64_t)st.st_size;
	snprintf(ret_found->tag, sizeof ret_found->tag, "\"%llx-%llx\"",
		 (unsigned long long)st.st_mtim.tv_sec * 1000000000u +
			 (unsigned long long)st.st_mtim.tv_nsec,
		 (unsigned long long)st.st_size);
	return true;
}

static bool find_asset(const struct http_conf *conf, const char *name, struct found *ret_found)
{
	if (!conf->embedded)
		return false;
	for (const struct sl_asset *a = sl_assets; a->path; a++) {
		if (strcmp(a->path + 1, name) != 0)
			continue;
		ret_found->asset = a;
		ret_found->len = a->len;
		sl_str_copy(ret_found->tag, sizeof ret_found->tag, sl_str_c(a->etag));
		return true;
	}
	return false;
}

/* A respond that fails has lost its connection, so its result is not looked at. */
static void send_found(struct sl_http_req *r, struct found *f)
{
	uint64_t cache_s = r->client->conf->cache / 1000;
	char caching[64] = "no-cache", headers[192];
	bool is_asset = f->asset != NULL;
	struct sl_str lines, tag = sl_str_c(f->tag);

	if (cache_s > 0)
		snprintf(caching, sizeof caching, "public, max-age=%llu",
			 (unsigned long long)cache_s);
	snprintf(headers, sizeof headers, "%s%s%sCache-Control: %s\r\n", is_asset ? "ETag: " : "",
		 is_asset ? f->tag : "", is_asset ? "\r\n" : "", caching);
	lines = sl_str_c(headers);
	if (!is_asset)
		(void)respond_file(r, resource_type(f->name), lines, tag, f->file, f->len);
	else if (resource_tag_matches(request_header(r, "if-none-match"), tag))
		(void)respond(r, 304, NULL, lines, SL_STR_NULL);
	else
		(void)respond_constant(r, f->asset->mime, lines, f->asset->data, f->asset->len);
}

bool files_serve(struct sl_http_req *r)
{
	const struct http_conf *conf = r->client->conf;
	struct found f = {.file = -1};
	char name[NAME_MAX_LEN];

	if (resource_name(name, sizeof name, r->path, conf->index) < 0)
		return false;
	f.name = sl_str_c(name);
	if (!find_file(conf, name, &f) && !find_asset(conf, name, &f))
		return false;
	if (sl_str_eq(r->method, SL_STR("GET")) || r->head_only) {
		send_found(r, &f);
		return true;
	}
	if (f.file >= 0)
		close(f.file);
	(void)respond_error(r, 405, SL_STR("Allow: GET, HEAD\r\n")); /* as above */
	return true;
}
