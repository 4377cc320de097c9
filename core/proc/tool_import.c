/*
 * proc/tool_import.c: `sluice import-coturn`: a coturn configuration as one of ours, on standard
 * output or in a new file; what is not the same, on standard error.
 *
 * Knows files and streams; what an option means is import/'s. Passwords and secrets are in the
 * output as in the input, so a file that it makes is its owner's only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sluice/crypto.h>
#include "import/coturn.h"
#include "os/os.h"
#include "proc/tool.h"

enum { MAX_FILE = 1 << 20, NOTHING_WRITTEN = 2 };

static int print(struct sl_buf *out, int fd)
{
	int rc = sl_buf_ok(out);

	if (rc == 0)
		rc = fd_write_all(fd, out->p, out->len);
	sl_buf_free(out);
	return rc;
}

int tool_coturn_options(const struct tool_opts *o)
{
	struct sl_buf out;

	(void)o;
	sl_buf_init(&out, 0);
	coturn_options_md(&out);
	return print(&out, STDOUT_FILENO) < 0;
}

/* Where relative names of the file begin. */
static int folder_of(const char *file, char ret_folder[PATH_MAX])
{
	char *slash;

	if (!realpath(file, ret_folder))
		return -SL_ESYS;
	slash = strrchr(ret_folder, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

/* ---- the output */

/* An existing file is left alone: it may be what is in force. */
static int open_output(const char *path)
{
	int fd;

	if (!path)
		return dup(STDOUT_FILENO);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		fprintf(stderr, "sluice: cannot make %s: %m\n", path);
	return fd;
}

static void warn_of_readers(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
		fprintf(stderr,
			"sluice: the output holds passwords or secrets, and others may read it: "
			"chmod 600\n");
}

static int write_document(const struct tool_opts *o, const struct coturn_file *f,
			  struct sl_buf *document)
{
	FD_AUTO int fd = open_output(o->output);
	int rc;

	if (fd < 0)
		return -SL_ESYS;
	rc = sl_buf_ok(document);
	if (rc == 0)
		rc = fd_write_all(fd, document->p, document->len);
	if (rc < 0) {
		fprintf(stderr, "sluice: cannot write the configuration: %s\n",
			rc == -SL_ESYS ? strerror(errno) : sl_strerror(rc));
		if (o->output)
			(void)unlink(o->output); /* half of one is worse than none */
		return rc;
	}
	if (coturn_has_secrets(f))
		warn_of_readers(fd);
	if (o->output)
		fprintf(stderr, "sluice: %s is made; `sluice -t -c %s` checks it\n", o->output,
			o->output);
	return 0;
}

/* ---- both */

static void report(struct coturn_file *f)
{
	unsigned lost = coturn_n_remarks(f, COTURN_LOST), near = coturn_n_remarks(f, COTURN_NEAR);
	struct sl_buf out;

	sl_buf_init(&out, 0);
	coturn_report(f, &out);
	(void)print(&out, STDERR_FILENO); /* nowhere to say it */
	if (lost + near == 0)
		fprintf(stderr, "sluice: %s: everything is carried over\n", f->name);
	else
		fprintf(stderr, "sluice: %s: %u not carried over, %u nearly\n", f->name, lost,
			near);
}

static int convert(const struct tool_opts *o, struct coturn_file *f, struct sl_str text)
{
	struct sl_buf document;
	int rc;

	sl_buf_init(&document, 0);
	coturn_read(f, text);
	coturn_convert(f, &document);
	rc = write_document(o, f, &document);
	if (rc == 0)
		report(f);
	if (document.p)
		sl_wipe(document.p, document.len);
	sl_buf_free(&document);
	if (rc < 0)
		return NOTHING_WRITTEN;
	return coturn_n_remarks(f, COTURN_LOST) > 0;
}

int tool_import_coturn(const struct tool_opts *o, const char *file)
{
	struct sl_pool *pool;
	struct coturn_file f;
	char folder[PATH_MAX], *text;
	size_t len;
	int rc;

	rc = fd_slurp(file, MAX_FILE, &text, &len);
	if (rc < 0 || folder_of(file, folder) < 0) {
		fprintf(stderr, "sluice: cannot read %s: %s\n", file,
			rc == -SL_ELIMIT ? "it is longer than 1 MiB" : strerror(errno));
		if (rc == 0)
			free(text);
		return NOTHING_WRITTEN;
	}
	pool = sl_pool_new(0);
	if (!pool) {
		fprintf(stderr, "sluice: %s\n", sl_strerror(-SL_ENOMEM));
		free(text);
		return NOTHING_WRITTEN;
	}
	coturn_file_init(&f, pool, file, folder);
	rc = convert(o, &f, (struct sl_str){text, len});
	sl_pool_destroy(pool);
	sl_wipe(text, len);
	free(text);
	return rc;
}
