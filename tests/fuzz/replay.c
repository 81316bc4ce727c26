/* Runs a fuzz target over its seeds, for the builds without libFuzzer. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return -1;
	static uint8_t data[1 << 20];
	size_t size = fread(data, 1, sizeof(data), file);

	fclose(file);
	/* An exact copy, so that ASan sees a read past the end. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -1;
	for (size_t i = 0; i < size; i++)
		copy[i] = data[i];
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

int main(int argc, char **argv)
{
	int replayed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		for (struct dirent *e; dir && (e = readdir(dir));) {
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i],
				 e->d_name);
			if (replay_file(path) == 0)
				replayed++;
		}
		if (dir)
			closedir(dir);
	}
	printf("%d seeds replayed\n", replayed);
	return replayed > 0 ? 0 : 1;
}
