#include "proto/utf8.h"

#include <criterion/criterion.h>

Test(utf8, every_code_point_there_and_back)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[4];
		size_t size = utf8_char_put(text, c);
		bool surrogate = c >= 0xd800 && c <= 0xdfff;

		cr_assert_eq(utf8_char_size(slice_of(text, size)),
			     surrogate ? 0 : size, "U+%04X", c);
		cr_assert_eq(utf8_char_size(slice_of(text, size - 1)), 0,
			     "U+%04X, cut", c);
	}
}

/* Of all two-byte texts, those that are well-formed: two ASCII characters, or
 * one of U+0080 to U+07FF. */
Test(utf8, two_bytes_exhaustively)
{
	int pairs = 0, wide = 0;

	for (int first = 0; first < 256; first++)
		for (int second = 0; second < 256; second++) {
			char text[] = {(char)first, (char)second};

			if (!utf8_valid(slice_of(text, 2)))
				continue;
			if (first < 0x80)
				pairs++;
			else
				wide++;
		}
	cr_expect_eq(pairs, 0x80 * 0x80);
	cr_expect_eq(wide, 0x800 - 0x80);
}

static const char *const malformed[][2] = {
	{"overlong, two bytes", "\xc1\xbf"},
	{"overlong, three bytes", "\xe0\x9f\xbf"},
	{"overlong, four bytes", "\xf0\x8f\xbf\xbf"},
	{"first surrogate", "\xed\xa0\x80"},
	{"last surrogate", "\xed\xbf\xbf"},
	{"past U+10FFFF", "\xf4\x90\x80\x80"},
	{"five bytes", "\xf8\x88\x80\x80\x80"},
	{"lone continuation", "a\x80"},
	{"ASCII for a continuation", "\xe2\x82z"},
	{"never a byte of UTF-8", "\xff"},
};

Test(utf8, malformed)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		cr_expect_not(utf8_valid(slice_str(malformed[i][1])), "%s",
			      malformed[i][0]);
	cr_expect(utf8_valid((struct slice){0}));
	cr_expect(utf8_valid(slice_str("aé€😀")));
}
