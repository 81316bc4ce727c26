#ifndef PROTO_JSON_PLAIN_H
#define PROTO_JSON_PLAIN_H

/* The inner loop of reading and of writing JSON strings, eight bytes at a
 * time. Of json.c and json_print.c alone. */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that stand for themselves within a JSON string: ASCII but for control
 * characters, the quote and the backslash. */
static inline bool json_is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Has the top bit of each of eight bytes set that is not plain, and may have
 * further ones above the lowest of them: (x - 1) & ~x has the top bit where a
 * byte of x is zero, but the subtraction borrows from the next byte. */
static inline uint64_t json_special_mask(uint64_t bytes)
{
	const uint64_t ones = 0x0101010101010101, tops = ones << 7;
	const uint64_t quote = bytes ^ ones * '"';
	const uint64_t backslash = bytes ^ ones * '\\';

	return (((bytes - ones * 0x20) & ~bytes) | ((quote - ones) & ~quote) |
		((backslash - ones) & ~backslash) | bytes) &
	       tops;
}

/* The first byte from at on that is not plain, or end. */
static inline const uint8_t *json_plain_end(const uint8_t *at,
					    const uint8_t *end)
{
	for (uint64_t bytes; end - at >= (ptrdiff_t)sizeof(bytes);
	     at += sizeof(bytes)) {
		memcpy(&bytes, at, sizeof(bytes));

		uint64_t mask = json_special_mask(le64toh(bytes));

		if (mask != 0)
			return at + __builtin_ctzll(mask) / 8;
	}
	while (at < end && json_is_plain(*at))
		at++;
	return at;
}

#endif
