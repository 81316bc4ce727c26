#include "proto/arena.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A request of everyday size needs one chunk. */
enum { CHUNK_BYTES = 8192 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	size_t capacity;
	alignas(max_align_t) char data[];
};

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
}

static struct arena_chunk *chunk_add(struct arena *arena, size_t size)
{
	size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
	struct arena_chunk *chunk = mem_resize(NULL, sizeof(*chunk) + capacity);

	chunk->used = 0;
	chunk->capacity = capacity;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_chunk *chunk = arena->chunks;

	size = (size + align - 1) / align * align;
	if (!chunk || chunk->capacity - chunk->used < size)
		chunk = chunk_add(arena, size);

	void *memory = chunk->data + chunk->used;

	chunk->used += size;
	return memset(memory, 0, size);
}

char *arena_strdup(struct arena *arena, struct slice text)
{
	char *copy = arena_alloc(arena, text.size + 1);

	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(size >= 0);

	char *text = arena_alloc(arena, (size_t)size + 1);

	va_start(args, format);
	vsnprintf(text, (size_t)size + 1, format, args);
	va_end(args);
	return text;
}
