#ifndef PROTO_SLICE_H
#define PROTO_SLICE_H

/*
 * A view of bytes that somebody else owns. Not NUL-terminated; an absent view
 * has data == NULL, an empty one has size == 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data;
	size_t size;
};

/* A view of a string literal or array, for initializers. */
#define SLICE(literal)                                                         \
	{                                                                      \
		.data = (literal), .size = sizeof(literal) - 1                 \
	}

static inline struct slice slice_of(const void *data, size_t size)
{
	return (struct slice){.data = data, .size = size};
}

/* A view of a NUL-terminated text; NULL gives an absent view. */
static inline struct slice slice_str(const char *text)
{
	return (struct slice){.data = text, .size = text ? strlen(text) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.size == b.size &&
	       (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_eq(a, slice_str(text));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.size >= prefix.size &&
	       slice_eq(slice_of(a.data, prefix.size), prefix);
}

/* Without the spaces at both ends. */
static inline struct slice slice_trim(struct slice a)
{
	while (a.size > 0 && a.data[0] == ' ') {
		a.data++;
		a.size--;
	}
	while (a.size > 0 && a.data[a.size - 1] == ' ')
		a.size--;
	return a;
}

/* The two arguments of a "%.*s" conversion. */
#define SLICE_ARG(s) (int)(s).size, (s).data ? (s).data : ""

#endif
