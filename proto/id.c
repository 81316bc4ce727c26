#include "proto/id.h"

#include <assert.h>
#include <string.h>

enum {
	DIGITS_MAX = 19, /* of 2^63-1 */
	BASE64_MAX = (DIGITS_MAX + 2) / 3 * 4,
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

void id_decimal_append(struct buffer *out, int64_t id)
{
	assert(id > 0);
	buffer_append_uint(out, (uint64_t)id);
}

bool id_decimal_decode(struct slice text, int64_t *id)
{
	if (text.size == 0 || text.size > DIGITS_MAX || text.data[0] == '0')
		return false;

	uint64_t value = 0; /* 19 digits cannot overflow it */

	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (value > INT64_MAX)
		return false;
	*id = (int64_t)value;
	return true;
}

/* RFC 4648 section 4, with padding. Returns the size. */
static size_t base64_encode(struct slice bytes, char *to)
{
	size_t size = 0;

	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t left = bytes.size - i;
		uint32_t group = (uint32_t)(unsigned char)bytes.data[i] << 16;

		if (left > 1)
			group |= (uint32_t)(unsigned char)bytes.data[i + 1]
				 << 8;
		if (left > 2)
			group |= (unsigned char)bytes.data[i + 2];
		to[size++] = alphabet[group >> 18];
		to[size++] = alphabet[group >> 12 & 63];
		to[size++] = left > 1 ? alphabet[group >> 6 & 63] : '=';
		to[size++] = left > 2 ? alphabet[group & 63] : '=';
	}
	return size;
}

/* Reads what base64_encode writes, and some texts it does not write: whole
 * groups only, padding taken for zero bits. Returns the size, 0 on a fault. */
static size_t base64_decode(struct slice text, char *to)
{
	size_t size = 0;

	if (text.size % 4 != 0)
		return 0;
	for (size_t i = 0; i < text.size; i += 4) {
		uint32_t group = 0;
		size_t padding = 0;

		for (size_t k = 0; k < 4; k++) {
			char c = text.data[i + k];
			const char *at =
				memchr(alphabet, c, sizeof(alphabet) - 1);

			if (!at && c != '=')
				return 0;
			padding += !at;
			group = group << 6 |
				(at ? (uint32_t)(at - alphabet) : 0);
		}
		if (padding > 2)
			return 0;
		for (size_t k = 0; k < 3 - padding; k++)
			to[size++] = (char)(group >> (16 - 8 * k));
	}
	return size;
}

void id_v22_append(struct buffer *out, int64_t id)
{
	char digits[DIGITS_MAX];
	size_t start = out->size;

	id_decimal_append(out, id);

	size_t size = out->size - start;

	memcpy(digits, out->data + start, size);
	out->size = start;
	out->size += base64_encode(slice_of(digits, size),
				   buffer_reserve(out, BASE64_MAX));
}

bool id_v22_decode(struct slice text, int64_t *id)
{
	char digits[BASE64_MAX / 4 * 3];
	char again[BASE64_MAX];

	if (text.size > BASE64_MAX)
		return false;

	struct slice decimal = slice_of(digits, base64_decode(text, digits));

	/* Base64 has several texts for the same bytes (bits under the padding):
	 * only ours is an id, so that one resource has one URL. */
	if (!slice_eq(text, slice_of(again, base64_encode(decimal, again))))
		return false;
	return id_decimal_decode(decimal, id);
}
