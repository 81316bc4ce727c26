#include "proto/utf8.h"

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* RFC 3629 section 4: after E0, ED, F0 and F4 the second byte has a narrower
 * range, which is what keeps overlong forms and surrogates out. */
static bool is_second(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return is_tail(second);
	}
}

size_t utf8_char_size(struct slice text)
{
	const unsigned char *c = (const unsigned char *)text.data;

	if (text.size == 0)
		return 0;
	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;

	size_t size = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if (text.size < size || !is_second(c[0], c[1]))
		return 0;
	for (size_t i = 2; i < size; i++)
		if (!is_tail(c[i]))
			return 0;
	return size;
}

bool utf8_valid(struct slice text)
{
	while (text.size > 0) {
		size_t size = utf8_char_size(text);

		if (size == 0)
			return false;
		text = slice_of(text.data + size, text.size - size);
	}
	return true;
}

size_t utf8_char_put(char *to, uint32_t code_point)
{
	if (code_point < 0x80) {
		to[0] = (char)code_point;
		return 1;
	}

	size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {[2] = 0xc0, [3] = 0xe0, 0xf0};

	for (size_t i = size; --i > 0; code_point >>= 6)
		to[i] = (char)(0x80 | (code_point & 0x3f));
	to[0] = (char)(first[size] | code_point);
	return size;
}
