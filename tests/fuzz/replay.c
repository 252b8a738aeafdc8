/* Runs a fuzz target on files, without a fuzzer: each file as it is, then with bytes changed at places drawn from a fixed
 * seed. Usage: PROGRAM FILE|DIR... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_SIZE ((size_t)16 << 20)
#define CHANGED 48 /* spoilt copies of each file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t draw(uint32_t *state) {
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
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
	uint32_t state = 2463534242u;
	for (int i = 0; i < CHANGED && size > 0; i++) {
		size_t at = draw(&state) % size;
		uint8_t kept = data[at];
		data[at] = (uint8_t)draw(&state);
		LLVMFuzzerTestOneInput(data, size - (i % 4 == 3 ? draw(&state) % size : 0));
		data[at] = kept;
	}
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
		files += run(argv[i]);
	printf("%d files, %d spoilt copies of each\n", files, CHANGED);
	return files > 0 ? 0 : 1;
}
