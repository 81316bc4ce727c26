#include "proto/buffer.h"

#include <criterion/criterion.h>

Test(buffer, empty_is_an_empty_view)
{
	struct buffer buffer = {0};

	cr_expect_eq(buffer_slice(&buffer).size, 0);
	cr_expect_not_null(buffer_slice(&buffer).data);
	buffer_append(&buffer, NULL, 0);
	buffer_append_slice(&buffer, slice_str(NULL));
	cr_expect_eq(buffer.size, 0);
	buffer_fini(&buffer);
}

Test(buffer, appends)
{
	struct buffer buffer = {0};

	buffer_append(&buffer, "ab\0", 3);
	buffer_append_str(&buffer, "cd");
	buffer_append_slice(&buffer, slice_of("efg", 2));
	buffer_append_char(&buffer, '!');
	buffer_printf(&buffer, "%03d", 7);
	cr_expect(
		slice_eq(buffer_slice(&buffer), slice_of("ab\0cdef!007", 11)));
	buffer_fini(&buffer);
	cr_expect_eq(buffer.size, 0);
	buffer_append_char(&buffer, 'x');
	cr_expect(slice_is(buffer_slice(&buffer), "x"), "usable again");
	buffer_fini(&buffer);
}

Test(buffer, numbers_of_each_length)
{
	static const struct {
		uint64_t number;
		const char *text;
	} rows[] = {
		{0, "0"},
		{9, "9"},
		{10, "10"},
		{99, "99"},
		{100, "100"},
		{UINT64_C(9999999999999999999), "9999999999999999999"},
		{UINT64_C(10000000000000000000), "10000000000000000000"},
		{UINT64_MAX, "18446744073709551615"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer buffer = {0};

		buffer_append_uint(&buffer, rows[i].number);
		cr_expect(slice_is(buffer_slice(&buffer), rows[i].text), "%s",
			  rows[i].text);
		buffer_fini(&buffer);
	}
}

Test(buffer, grows)
{
	enum { COUNT = 100000 };
	struct buffer buffer = {0};

	for (int i = 0; i < COUNT; i++)
		buffer_append_char(&buffer, (char)(i % 251));
	cr_assert_eq(buffer.size, COUNT);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(buffer.data[i], (char)(i % 251));
	buffer_fini(&buffer);
}

Test(buffer, printf_longer_than_its_room)
{
	struct buffer buffer = {0};

	buffer_append_char(&buffer, 'x');
	buffer_printf(&buffer, "%1000s|", "y");
	cr_expect_eq(buffer.size, 1002);
	cr_expect_eq(buffer.data[1000], 'y');
	cr_expect_eq(buffer.data[1001], '|');
	buffer_fini(&buffer);
}

Test(buffer, reserve_leaves_size)
{
	struct buffer buffer = {0};

	buffer_append_str(&buffer, "ab");
	memset(buffer_reserve(&buffer, 1000), 'c', 1000);
	cr_expect_eq(buffer.size, 2);
	buffer.size += 1000;
	cr_expect(slice_starts(buffer_slice(&buffer), slice_str("abccc")));
	buffer_fini(&buffer);
}
