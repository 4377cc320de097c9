/*
 * tests/lib/fuzz_replay.c: runs a fuzz target over files, without libFuzzer and under any compiler.
 *
 * Linked with one fuzz_<name>.c. Arguments are files and folders; every file is one input, handed over in a block of exactly
 * its size, so that the sanitizers see the first byte read too far. The empty input is always among them. Every input is
 * named before it runs: a target that crashes takes the process with it, and the last line then tells on what.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned n_inputs, n_unreadable;

static void run_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");

	printf("# %s\n", path);
	if (!data || !file || fread(data, 1, size, file) != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		n_unreadable++;
	} else {
		LLVMFuzzerTestOneInput(data, size);
		n_inputs++;
	}
	if (file)
		fclose(file);
	free(data);
}

static void run_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat st;
	char file[4096];

	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
			run_file(file, (size_t)st.st_size);
	}
	if (dir)
		closedir(dir);
}

static void run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return; /* a target without a corpus yet */
	if (S_ISDIR(st.st_mode))
		run_folder(path);
	else
		run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	uint8_t *nothing = malloc(1);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	puts("# the empty input");
	if (nothing)
		LLVMFuzzerTestOneInput(nothing, 0);
	free(nothing);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%s 1 - %u inputs\n1..1\n", n_unreadable ? "not ok" : "ok", n_inputs + 1);
	return n_unreadable ? 1 : 0;
}
