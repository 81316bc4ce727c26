#ifndef PROTO_MEM_H
#define PROTO_MEM_H

/*
 * Heap memory that is never NULL.
 *
 * Every input is bounded before memory is taken for it, so a failed allocation
 * is a fault of the machine, not of a request: these functions write one line
 * to stderr and abort. The supervisor starts the process again and PostgreSQL
 * and Redis hold what was acknowledged. Free with free().
 */

#include <stddef.h>

/* size bytes, zeroed. */
void *mem_alloc(size_t size);

/* Like realloc(): the added bytes are not zeroed. */
void *mem_resize(void *memory, size_t size);

/* A NUL-terminated copy of text. */
char *mem_strdup(const char *text);

#endif
