#ifndef PROTO_BUFFER_H
#define PROTO_BUFFER_H

/*
 * Bytes that grow. A zeroed struct is an empty buffer; buffer_fini() gives its
 * memory back and leaves it empty and usable. Nothing here fails: see mem.h.
 */

#include "proto/slice.h"

#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *data;	 /* owned; NULL while nothing was ever added */
	size_t size;	 /* bytes in use */
	size_t capacity; /* bytes allocated */
};

void buffer_fini(struct buffer *buffer);

/* Makes room for size more bytes. */
void buffer_grow(struct buffer *buffer, size_t size);

/* The next ones are inline: an encoder lives in them. */

/* Makes room for size more bytes and returns where they go; buffer->size is
 * the caller's to raise, by at most that much. */
static inline char *buffer_reserve(struct buffer *buffer, size_t size)
{
	if (buffer->capacity - buffer->size < size)
		buffer_grow(buffer, size);
	return buffer->data + buffer->size;
}

static inline void buffer_append(struct buffer *buffer, const void *data,
				 size_t size)
{
	if (size == 0)
		return;
	memcpy(buffer_reserve(buffer, size), data, size);
	buffer->size += size;
}

static inline void buffer_append_char(struct buffer *buffer, char c)
{
	*buffer_reserve(buffer, 1) = c;
	buffer->size++;
}

static inline void buffer_append_slice(struct buffer *buffer,
				       struct slice slice)
{
	buffer_append(buffer, slice.data, slice.size);
}

/* Of a literal the compiler knows the length. */
static inline void buffer_append_str(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_append_uint(struct buffer *buffer, uint64_t number); /* decimal */
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A view of what is in the buffer, good until it grows or ends. */
static inline struct slice buffer_slice(const struct buffer *buffer)
{
	return slice_of(buffer->data ? buffer->data : "", buffer->size);
}

#endif
