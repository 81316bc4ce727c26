#include "proto/buffer.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

void buffer_grow(struct buffer *buffer, size_t size)
{
	size_t needed = buffer->size + size;
	size_t capacity = buffer->capacity ? buffer->capacity : 256;

	while (capacity < needed)
		capacity *= 2;
	buffer->data = mem_resize(buffer->data, capacity);
	buffer->capacity = capacity;
}

void buffer_append_str(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
	buffer_append(buffer, slice.data, slice.size);
}

void buffer_append_uint(struct buffer *buffer, uint64_t number)
{
	char digits[20]; /* of 2^64-1 */
	char *first = digits + sizeof(digits);

	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	buffer_append(buffer, first, (size_t)(digits + sizeof(digits) - first));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(size >= 0);

	char *to = buffer_reserve(buffer, (size_t)size + 1);

	va_start(args, format);
	vsnprintf(to, (size_t)size + 1, format, args);
	va_end(args);
	buffer->size += (size_t)size;
}
