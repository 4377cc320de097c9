/*
 * recorder/tool.c: `sluice record`: what is there, whether it is as it was written, and how to get
 * it out.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "compose.h"
#include "disk.h"
#include "library.h"

static const char usage[] =
	"       sluice record list [DIR] [--json]                        recordings\n"
	"       sluice record verify [DIR]                               are they as they were "
	"written?\n"
	"       sluice record export DIR -o FILE [--key PRIVATE.pem]     all tracks in one file\n"
	"       sluice record compose DIR -o FILE [--layout grid|speaker] one picture, one sound\n"
	"            [--size 1280x720] [--fps 25] [--codec vp8|vp9|h264] [--key PRIVATE.pem]\n"
	"       sluice record decrypt DIR --key PRIVATE.pem [-o DIR]     files in the clear\n";

struct args {
	const char *dir, *out, *key_file;
	bool json;
	struct envelope_key *key;
	unsigned n, n_bad;
	/* Of a recording: uploaded, and not here; in a directory that was removed meanwhile */
	unsigned n_elsewhere, n_vanished;
};

/* ---- list */

static void print_time(json_int_t ms)
{
	printf("%3lld:%02lld:%02lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60);
}

static void list_one(void *arg, const char *path)
{
	struct args *a = arg;
	struct recorded r;
	const json_t *m;

	if (recorded_open(&r, path) < 0) {
		recorded_close(&r);
		return;
	}
	m = r.manifest;
	if (a->json) {
		char *text = json_dumps(m, JSON_COMPACT);

		printf("%s{\"path\":\"%s\",\"manifest\":%s}", a->n++ ? ",\n" : "", path,
		       text ? text : "null");
		free(text);
	} else {
		printf("%-24.24s ", sl_json_get_str(m, "started").p);
		print_time(json_integer_value(json_object_get(m, "duration_ms")));
		printf("  %-12s %3zu tracks %5zu files %8.1f MB  %-20s %s\n",
		       r.open ? "open" : sl_json_get_str(m, "state").p,
		       json_array_size(json_object_get(m, "tracks")), json_array_size(r.segments),
		       (double)json_integer_value(json_object_get(m, "bytes")) / 1e6,
		       sl_json_get_str(m, "room").p, path);
	}
	recorded_close(&r);
}

static int do_list(struct args *a)
{
	if (a->json)
		printf("[");
	if (library_each(a->dir, list_one, a) == 0 && !a->json)
		fprintf(stderr, "sluice: no recordings in %s\n", a->dir);
	if (a->json)
		printf("]\n");
	return 0;
}

/* ---- verify */

static void complain(struct args *a, const char *path, const char *what, const char *file)
{
	a->n_bad++;
	printf("%s: %s%s%s\n", path, file ? file : "", file ? ": " : "", what);
}

static void verify_segment(struct args *a, const struct recorded *r, size_t i,
			   const json_t *segment)
{
	const char *file = sl_json_get_str(segment, "file").p;
	int rc = recorded_check(r, segment);

	if (rc == -SL_ENOENT && i < r->n_vanished)
		a->n_vanished++;
	else if (rc == -SL_ENOENT)
		complain(a, r->path, "is missing", file ? file : "a segment without a name");
	else if (rc == -SL_EUNSUPP)
		a->n_elsewhere++;
	else if (rc == -SL_EAUTH)
		complain(a, r->path, "is not what was written", file);
	else if (rc < 0)
		complain(a, r->path, "cannot be read", file);
}

static void print_good(const struct args *a, const struct recorded *r)
{
	printf("%s: %zu files, %llu lines: good%s", r->path, json_array_size(r->segments),
	       (unsigned long long)r->n_lines, r->open ? " (still open)" : "");
	if (a->n_elsewhere > 0)
		printf("; %u of them are in storage only", a->n_elsewhere);
	if (a->n_vanished > 0)
		printf("; %u of them went with its directory, which was removed while it ran",
		       a->n_vanished);
	printf("\n");
}

static void verify_one(void *arg, const char *path)
{
	unsigned before = ((struct args *)arg)->n_bad;
	struct args *a = arg;
	struct recorded r;
	size_t i;
	json_t *s;

	if (recorded_open(&r, path) < 0) {
		complain(a, path, "its manifest or journal cannot be read", NULL);
		recorded_close(&r);
		return;
	}
	if (r.broken)
		complain(a, path, "the journal was changed", NULL);
	if (r.cut)
		complain(a, path, "the journal has lost lines at its end", NULL);
	a->n_elsewhere = a->n_vanished = 0;
	json_array_foreach(r.segments, i, s) verify_segment(a, &r, i, s);
	if (a->n_bad == before)
		print_good(a, &r);
	recorded_close(&r);
}

static int do_verify(struct args *a)
{
	if (library_each(a->dir, verify_one, a) > 0)
		return a->n_bad > 0;
	fprintf(stderr, "sluice: no recordings in %s\n", a->dir);
	return 1;
}

/* ---- decrypt */

/* While it was sealed its head could not be set right, nor its end where a crash cut it.
 * *ret_plays: up to where; 0: there is but a head */
static int copy_out(int from, const char *to, bool whole, uint64_t *ret_plays)
{
	int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = 0;
	char step[65536];
	uint64_t hidden;
	off_t at = 0;
	ssize_t n;

	if (fd < 0)
		return errno;
	while (rc == 0 && (n = pread(from, step, sizeof step, at)) > 0) {
		if (write(fd, step, (size_t)n) != n)
			rc = errno ? errno : ENOSPC;
		at += n;
	}
	*ret_plays = (uint64_t)at;
	if (rc == 0 && !whole)
		rc = disk_cut(fd, to, (uint64_t)at, ret_plays);
	if (rc == 0)
		rc = disk_hide_empty(fd, to, &hidden);
	if (close(fd) < 0 && rc == 0)
		rc = errno;
	return rc;
}

static void decrypt_segment(struct args *a, const struct recorded *r, const json_t *segment)
{
	struct sl_str name = sl_json_get_str(segment, "file"), tail = SL_STR(".sealed");
	char to[LIBRARY_MAX_PATH + 300];
	uint64_t plays = 0;
	bool whole = true;
	int fd, rc;

	if (!json_is_true(json_object_get(segment, "sealed")) || name.len <= tail.len)
		return;
	fd = recorded_file(r, segment, a->key, &whole);
	if (fd < 0) {
		complain(a, r->path,
			 fd == -SL_EAUTH ? "is not sealed for this key, or was changed"
					 : "cannot be read",
			 name.p);
		return;
	}
	(void)snprintf(to, sizeof to, "%s/%.*s", a->out, (int)(name.len - tail.len), name.p);
	rc = copy_out(fd, to, whole, &plays);
	close(fd);
	if (rc)
		complain(a, to, strerror(rc), NULL);
	else if (plays == 0 && unlink(to) == 0)
		printf("%s (left out: a crash came before there was anything to play)\n", to);
	else
		printf("%s%s\n", to, whole ? "" : " (its end is missing: a crash)");
}

static int with_recording(struct args *a, int (*fn)(struct args *a, const struct recorded *r))
{
	struct recorded r;
	int rc = recorded_open(&r, a->dir);

	if (rc < 0)
		fprintf(stderr, "sluice: %s is no recording\n", a->dir);
	rc = rc < 0 ? 1 : fn(a, &r);
	recorded_close(&r);
	return rc;
}

static int decrypt(struct args *a, const struct recorded *r)
{
	size_t i;
	json_t *s;

	json_array_foreach(r->segments, i, s) decrypt_segment(a, r, s);
	return a->n_bad > 0;
}

static int do_decrypt(struct args *a)
{
	if (!a->key) {
		fputs("sluice: --key names the recipient's private key\n", stderr);
		return 2;
	}
	a->out = a->out ? a->out : a->dir;
	return with_recording(a, decrypt);
}

/* ---- export */

static int export_to(struct args *a, const struct recorded *r)
{
	return export_recording(r, a->key, a->out);
}

static int do_export(struct args *a)
{
	if (a->out)
		return with_recording(a, export_to);
	fputs("sluice: -o names the file to write: .mkv, .webm or .mp4\n", stderr);
	return 2;
}

/* ---- words */

static const struct verb {
	const char *name;
	int (*run)(struct args *a);
	bool needs_dir;
} verbs[] = {{"list", do_list, false},
	     {"verify", do_verify, false},
	     {"export", do_export, true},
	     {"decrypt", do_decrypt, true}};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int read_args(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"key", required_argument, NULL, 'k'},
						{NULL, 0, NULL, 0}};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (opt == '?')
			return -SL_EINVAL;
		if (opt == 'j')
			a->json = true;
		else if (opt == 'k')
			a->key_file = optarg;
		else
			a->out = optarg;
	}
	if (argc - optind > 1)
		return -SL_EINVAL;
	a->dir = optind < argc ? argv[optind] : NULL;
	return 0;
}

static int run(const struct sl_tool_env *env, int argc, char **argv)
{
	const struct verb *v = argc > 1 ? find_verb(argv[1]) : NULL;
	const struct recorder_conf *conf;
	struct args a = {0};
	int status;

	if (argc > 1 && strcmp(argv[1], "compose") == 0)
		return compose_run(argc - 1, argv + 1);
	if (!v || read_args(&a, argc - 1, argv + 1) < 0 || (v->needs_dir && !a.dir)) {
		fprintf(stderr, "usage:\n%s", usage);
		return 2;
	}
	if (!a.dir) {
		conf = sl_tool_conf(env, "recorder");
		if (!conf) {
			fputs("sluice: name a directory; the configuration has no recorder\n",
			      stderr);
			return 1;
		}
		a.dir = conf->dir.p;
	}
	if (a.key_file && !(a.key = library_key(a.key_file)))
		return 1;
	status = v->run(&a);
	envelope_key_free(a.key);
	return status;
}

const struct sl_tool recorder_tools[] = {{"record", usage, run}, {NULL, NULL, NULL}};
