/* Runs a fuzz target on files, without a fuzzer: each file as it is, then spoilt: with bytes changed at places drawn from a fixed seed, or
 * as the target's own mutator changes it. Usage: PROGRAM [-COPIES] FILE|DIR... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_SIZE ((size_t)16 << 20)
#define COPIES 48 /* spoilt ones of each file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static int copies = COPIES;

static uint32_t draw(uint32_t *state) {
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) {
	static uint32_t state = 88172645;
	if (size)
		data[draw(&state) % size] = (uint8_t)draw(&state);
	return size;
}

/* By the target's own mutator, each time from the file as it was. */
static void run_changed(const uint8_t *data, size_t size) {
	uint8_t *copy = malloc(2 * size + 4096);
	for (int i = 0; copy && i < copies; i++) {
		memcpy(copy, data, size);
		LLVMFuzzerTestOneInput(copy, LLVMFuzzerCustomMutator(copy, size, 2 * size + 4096, (unsigned)i + 1));
	}
	free(copy);
}

static void run_spoilt(uint8_t *data, size_t size) {
	uint32_t state = 2463534242u;
	for (int i = 0; i < copies && size > 0; i++) {
		size_t at = draw(&state) % size;
		uint8_t kept = data[at];
		data[at] = (uint8_t)draw(&state);
		LLVMFuzzerTestOneInput(data, size - (i % 4 == 3 ? draw(&state) % size : 0));
		data[at] = kept;
	}
}

static int run_file(const char *path) {
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_SIZE);
	size_t size = file && data ? fread(data, 1, INPUT_SIZE, file) : 0;
	if (file)
		fclose(file);
	if (!file || !data) {
		fprintf(stderr, "cannot read %s\n", path);
		free(data);
		return 0;
	}
	LLVMFuzzerTestOneInput(data, size);
	if (LLVMFuzzerCustomMutator)
		run_changed(data, size);
	else
		run_spoilt(data, size);
	free(data);
	return 1;
}

static int run(const char *path) {
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return run_file(path);
	struct dirent **list;
	int count = scandir(path, &list, NULL, alphasort), files = 0;
	for (int i = 0; i < count; i++) {
		char inner[4096];
		if (list[i]->d_name[0] != '.' && snprintf(inner, sizeof inner, "%s/%s", path, list[i]->d_name) < (int)sizeof inner)
			files += run(inner);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
	return files;
}

int main(int argc, char **argv) {
	int files = 0;
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			copies = atoi(argv[i] + 1);
		else
			files += run(argv[i]);
	printf("%d files, %d spoilt copies of each\n", files, copies);
	return files > 0 ? 0 : 1;
}
