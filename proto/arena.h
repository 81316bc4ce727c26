#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

/*
 * Memory that lives as long as one request: taken piece by piece, given back
 * at once. A zeroed struct is an empty arena. Nothing here fails: see mem.h.
 */

#include "proto/slice.h"

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
};

/* Gives everything back; the arena is empty and usable afterwards. */
void arena_fini(struct arena *arena);

/* size zeroed bytes, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);

/* A NUL-terminated copy of a view. */
char *arena_strdup(struct arena *arena, struct slice text);

char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
