/*
 * recorder/disk_path.c: files by their names: directories made when they are missing, bytes at
 * their places, names that are given only to what is whole.
 */
#include "container.h"
#include "disk_impl.h"
#include "empty.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_FILE = 0640, MODE_DIR = 0750, HASH_STEP = 1 << 18 };

int disk_make_dir(const char *dir)
{
	char path[PATH_MAX];
	size_t len = sl_str_copy(path, sizeof path, sl_str_c(dir));

	if (len >= sizeof path)
		return ENAMETOOLONG;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, MODE_DIR) < 0 && errno != EEXIST)
			return errno;
		*p = '/';
	}
	return mkdir(path, MODE_DIR) < 0 && errno != EEXIST ? errno : 0;
}

bool disk_join(char dst[PATH_MAX], const char *dir, const char *name, const char *tail)
{
	return snprintf(dst, PATH_MAX, "%s/%s%s", dir, name, tail) < PATH_MAX;
}

int disk_open_in(const char *dir, const char *name, const char *tail, int flags)
{
	char path[PATH_MAX];
	int fd, rc;

	if (!disk_join(path, dir, name, tail)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	if (fd >= 0 || errno != ENOENT || !(flags & O_CREAT))
		return fd;
	rc = disk_make_dir(dir);
	if (rc == 0)
		return open(path, flags | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	errno = rc;
	return -1;
}

int disk_hash(int fd, uint8_t ret_sha256[32], uint64_t *ret_bytes)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *step = malloc(HASH_STEP);
	uint64_t at = 0;
	ssize_t n = -1;
	int rc = ctx && step && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : ENOMEM;

	while (rc == 0 && (n = pread(fd, step, HASH_STEP, (off_t)at)) > 0) {
		(void)EVP_DigestUpdate(ctx, step, (size_t)n);
		at += (uint64_t)n;
	}
	if (rc == 0)
		rc = n < 0 ? errno : EVP_DigestFinal_ex(ctx, ret_sha256, NULL) == 1 ? 0 : ENOMEM;
	EVP_MD_CTX_free(ctx);
	free(step);
	*ret_bytes = at;
	return rc;
}

const char *disk_sentence(int error)
{
	switch (error) {
	case ENOSPC:
		return "the disk is full";
	case EDQUOT:
	case EFBIG:
		return "the disk gives no more space to this user";
	case EROFS:
		return "the disk is read-only";
	case EIO:
		return "the disk fails";
	default:
		return strerror(error);
	}
}

int disk_write_at(int fd, const char *p, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

/* All of a file to look at; NULL: there is nothing in it, or errno says why not */
static uint8_t *map_file(int fd, size_t *ret_len)
{
	struct stat st;
	uint8_t *p;

	errno = 0;
	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return NULL;
	*ret_len = (size_t)st.st_size;
	p = mmap(NULL, *ret_len, PROT_READ, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static bool is_sealed(const uint8_t *p, size_t len)
{
	return envelope_is_sealed((struct sl_str){(const char *)p, len});
}

static uint64_t good_length(int fd, const char *name, uint64_t at_most)
{
	const struct container *c = container_of_file(sl_str_c(name));
	uint64_t good = 0;
	bool sealed;
	size_t len;
	uint8_t *p = map_file(fd, &len);

	if (!p)
		return 0;
	sealed = is_sealed(p, len);
	if (sealed)
		good = envelope_good_length(p, len, at_most);
	else if (c)
		good = c->good_length(p, len);
	(void)munmap(p, len);
	return good < at_most || sealed ? good : at_most;
}

/* ---- streams of which nothing came */

struct patching {
	int fd, rc;
};

static void on_patch(void *arg, uint64_t at, const uint8_t *bytes, size_t len)
{
	struct patching *to = arg;

	if (to->rc == 0) /* the first that fails: the rest would not be true without it */
		to->rc = disk_write_at(to->fd, (const char *)bytes, len, at);
}

int disk_hide_empty(int fd, const char *name, uint64_t *ret_hidden)
{
	const struct container *c = container_of_file(sl_str_c(name));
	struct patching to = {fd, 0};
	uint64_t hidden = 0;
	size_t len;
	uint8_t *p;

	if (c && c->many) {
		p = map_file(fd, &len);
		if (!p)
			return errno;
		if (!is_sealed(p, len))
			hidden = empty_hide(c, p, len, on_patch, &to);
		(void)munmap(p, len);
	}
	if (to.rc == 0)
		*ret_hidden = hidden;
	return to.rc;
}

/* ---- cutting */

static int set_lengths(int fd, const char *name, uint64_t bytes)
{
	const struct container *c = container_of_file(sl_str_c(name));
	uint8_t head[512];
	ssize_t n = c ? pread(fd, head, sizeof head, 0) : 0;

	if (n <= 0 || !container_set_lengths(c, head, (size_t)n, bytes))
		return n < 0 ? errno : 0;
	return disk_write_at(fd, (const char *)head, (size_t)n, 0);
}

int disk_cut(int fd, const char *name, uint64_t at_most, uint64_t *ret_good)
{
	uint64_t good = good_length(fd, name, at_most);

	*ret_good = good;
	if (good == 0)
		return 0;
	if (ftruncate(fd, (off_t)good) < 0)
		return errno;
	return set_lengths(fd, name, good);
}

bool disk_is_at(int fd, const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat here, there;

	return disk_join(path, dir, name, "") && fstat(fd, &here) == 0 &&
	       lstat(path, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

/* Byte by byte: the place may be another file system now, to which the kernel does not copy. */
static int copy_all(int from, int to)
{
	char *step = malloc(HASH_STEP);
	int rc = step ? 0 : ENOMEM;
	uint64_t at = 0;
	ssize_t n = 1;

	while (rc == 0 && n != 0) {
		n = pread(from, step, HASH_STEP, (off_t)at);
		if (n > 0)
			rc = disk_write_at(to, step, (size_t)n, at);
		else if (n < 0 && errno != EINTR)
			rc = errno;
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(step);
	return rc == 0 && fdatasync(to) < 0 ? errno : rc;
}

/* What fd holds, under NAME and tail. A descriptor, or -1 and errno */
static int copy_to(int fd, const char *dir, const char *name, const char *tail, int flags)
{
	int to = disk_open_in(dir, name, tail, O_RDWR | O_CREAT | flags);
	int rc = to < 0 ? errno : copy_all(fd, to);
	char path[PATH_MAX];

	if (rc == 0 || to < 0)
		return to;
	close(to);
	if (disk_join(path, dir, name, tail))
		(void)unlink(path); /* it is tried again, or recovery finds what there is */
	errno = rc;
	return -1;
}

int disk_bring_back(int *fd, const char *dir, const char *name)
{
	int to = copy_to(*fd, dir, name, ".new", O_TRUNC), rc = to < 0 ? errno : 0;
	char from[PATH_MAX], path[PATH_MAX];

	if (rc)
		return rc;
	if (!disk_join(from, dir, name, ".new") || !disk_join(path, dir, name, ""))
		rc = ENAMETOOLONG;
	else
		rc = rename(from, path) < 0 ? errno : 0;
	if (rc) {
		close(to);
		return rc;
	}
	close(*fd);
	*fd = to;
	return 0;
}

int disk_give_name(int fd, const char *dir, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	int copy;

	if (!disk_join(from, dir, name, ".part") || !disk_join(to, dir, name, ""))
		return ENAMETOOLONG;
	if (rename(from, to) == 0)
		return 0;
	if (errno != ENOENT)
		return errno;
	/* The directory has gone from under the file: its bytes, which are still there, move on. */
	copy = copy_to(fd, dir, name, ".part", O_EXCL);
	if (copy < 0)
		return errno;
	close(copy);
	return rename(from, to) < 0 ? errno : 0;
}

void disk_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd); /* what can be done about it was done */
	close(fd);
}

int disk_put_file(const char *dir, const char *name, struct sl_str bytes, bool sync)
{
	char from[PATH_MAX], to[PATH_MAX];
	int fd = disk_open_in(dir, name, ".new", O_WRONLY | O_CREAT | O_TRUNC), rc;

	rc = fd < 0 ? errno : disk_write_at(fd, bytes.p, bytes.len, 0);
	if (rc == 0 && sync && fdatasync(fd) < 0)
		rc = errno;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && disk_join(from, dir, name, ".new") && disk_join(to, dir, name, ""))
		rc = rename(from, to) < 0 ? errno : 0;
	return rc;
}

int disk_put_now(const char *dir, const char *name, struct sl_str bytes)
{
	return disk_put_file(dir, name, bytes, false);
}
