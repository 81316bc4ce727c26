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

/* Straight into its place: a copy of digits that were written one by one just
 * before has to wait for them. */
void buffer_append_uint(struct buffer *buffer, uint64_t number)
{
	const size_t digits_max = 20; /* of 2^64-1 */
	size_t size = 1;

	for (uint64_t least = 10; number >= least && size < digits_max;
	     least *= 10)
		size++;

	char *at = buffer_reserve(buffer, size) + size;

	for (size_t i = 0; i < size; i++, number /= 10)
		*--at = (char)('0' + number % 10);
	buffer->size += size;
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
