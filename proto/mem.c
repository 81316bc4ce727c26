#include "proto/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *require(void *memory)
{
	if (!memory) {
		fputs("level=error event=memory.exhausted\n", stderr);
		abort();
	}
	return memory;
}

void *mem_alloc(size_t size)
{
	return require(calloc(1, size ? size : 1));
}

void *mem_resize(void *memory, size_t size)
{
	return require(realloc(memory, size ? size : 1));
}

char *mem_strdup(const char *text)
{
	return require(strdup(text));
}
