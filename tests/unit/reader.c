/* The msgpack cursor, against msgpack-c as the oracle. */

#include "proto/reader.h"
#include "proto/writer.h"

#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>

static const int64_t integers[] = {
	0,	   1,	   127,	   128,	       255,
	256,	   65535,  65536,  UINT32_MAX, (int64_t)UINT32_MAX + 1,
	INT64_MAX, -1,	   -32,	   -33,	       -128,
	-129,	   -32768, -32769, INT32_MIN,  (int64_t)INT32_MIN - 1,
	INT64_MIN,
};

Test(reader, integers_of_every_width)
{
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
		struct buffer out = {0};
		struct reader reader;

		writer_int(&out, integers[i]);
		reader_init(&reader, buffer_slice(&out));
		cr_expect_eq(reader_int(&reader), integers[i]);
		cr_expect(reader_done(&reader));
		buffer_fini(&out);
	}
}

Test(reader, integers_outside_the_type_fail)
{
	struct buffer out = {0};
	struct reader reader;

	writer_uint(&out, UINT64_MAX);
	reader_init(&reader, buffer_slice(&out));
	cr_expect_eq(reader_int(&reader), 0);
	cr_expect_not(reader_ok(&reader));
	reader_init(&reader, buffer_slice(&out));
	cr_expect_eq(reader_uint(&reader), UINT64_MAX);
	cr_expect(reader_done(&reader));

	out.size = 0;
	writer_int(&out, -1);
	reader_init(&reader, buffer_slice(&out));
	cr_expect_eq(reader_uint(&reader), 0);
	cr_expect_not(reader_ok(&reader));
	buffer_fini(&out);
}

Test(reader, strings_of_every_width)
{
	static const size_t sizes[] = {0, 31, 32, 255, 256, 65535, 65536};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *text = calloc(1, sizes[i] + 1);
		struct buffer out = {0};
		struct reader reader;

		writer_str(&out, slice_of(text, sizes[i]));
		writer_bin(&out, slice_of(text, sizes[i]));
		reader_init(&reader, buffer_slice(&out));
		cr_expect_eq(reader_str(&reader).size, sizes[i]);
		cr_expect_eq(reader_bin(&reader).size, sizes[i]);
		cr_expect(reader_done(&reader));
		buffer_fini(&out);
		free(text);
	}
}

Test(reader, ids_times_and_floats)
{
	static const int64_t times[] = {0,
					1,
					UINT32_MAX,
					(int64_t)UINT32_MAX + 1,
					(INT64_C(1) << 34) + 5,
					-1};
	struct buffer out = {0};
	struct reader reader;

	writer_id(&out, INT64_MAX);
	writer_float(&out, 0.1);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		writer_time(&out, times[i]);
	reader_init(&reader, buffer_slice(&out));
	cr_expect_eq(reader_peek(&reader), READER_ID);
	cr_expect_eq(reader_id(&reader), INT64_MAX);
	cr_expect_eq(reader_float(&reader), 0.1);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		cr_expect_eq(reader_peek(&reader), READER_TIME);
		cr_expect_eq(reader_time(&reader), times[i]);
	}
	cr_expect(reader_done(&reader));
	buffer_fini(&out);
}

struct fault_case {
	const char *name;
	const char *bytes;
	size_t size;
};

#define BYTES(b) b, sizeof(b) - 1

static const struct fault_case fault_cases[] = {
	{"nothing", BYTES("")},
	{"the byte msgpack never uses", BYTES("\xc1")},
	{"str past the end", BYTES("\xa6 four")},
	{"str32 of 4 GiB", BYTES("\xdb\xff\xff\xff\xff")},
	{"array of more items than bytes", BYTES("\xdd\xff\xff\xff\xff\x01")},
	{"map of more pairs than bytes", BYTES("\xdf\x7f\xff\xff\xff\x01\x01")},
	{"map without its last value", BYTES("\x81\x01")},
	{"int64 cut", BYTES("\xd3\x01\x02")},
	{"ext cut in its head", BYTES("\xc9\x00\x00")},
	{"ext cut in its data", BYTES("\xd7\x01\x01")},
};

Test(reader, faults_end_the_reading)
{
	for (size_t i = 0; i < sizeof(fault_cases) / sizeof(*fault_cases);
	     i++) {
		const struct fault_case *c = &fault_cases[i];
		struct reader reader;

		reader_init(&reader, slice_of(c->bytes, c->size));
		cr_expect_eq(reader_value(&reader).size, 0, "%s", c->name);
		cr_expect_not(reader_ok(&reader), "%s", c->name);
		cr_expect_eq(reader_peek(&reader), READER_INVALID, "%s",
			     c->name);
		cr_expect_eq(reader_int(&reader), 0);
		cr_expect_null(reader_str(&reader).data);
		cr_expect_eq(reader_map(&reader), 0);
	}
}

Test(reader, nesting_has_a_bound)
{
	char deep[READER_DEPTH_MAX + 2];
	struct reader reader;

	memset(deep, 0x91, sizeof(deep)); /* arrays of one */
	deep[READER_DEPTH_MAX] = 0x01;
	reader_init(&reader, slice_of(deep, READER_DEPTH_MAX + 1));
	cr_expect_eq(reader_value(&reader).size, READER_DEPTH_MAX + 1);
	deep[READER_DEPTH_MAX] = (char)0x91;
	deep[READER_DEPTH_MAX + 1] = 0x01;
	reader_init(&reader, slice_of(deep, READER_DEPTH_MAX + 2));
	reader_value(&reader);
	cr_expect_not(reader_ok(&reader));
}

/* array32 and map32 heads are left out: msgpack-c takes memory for the items
 * they claim before it looks whether they are there. */
static char random_byte(unsigned long long *state)
{
	*state = *state * 6364136223846793005ULL + 1;
	const unsigned char byte = (unsigned char)(*state >> 33);

	return (char)(byte == 0xdd || byte == 0xdf ? 0xc0 : byte);
}

/* Whatever msgpack-c reads as one value, we read past as one, and the other
 * way round. */
Test(reader, agrees_with_msgpack_c_on_random_bytes)
{
	unsigned long long state = 42;

	for (int round = 0; round < 200000; round++) {
		char bytes[24];
		size_t parsed = 0;
		struct reader reader;
		msgpack_unpacked result;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = random_byte(&state);
		msgpack_unpacked_init(&result);
		const bool theirs =
			msgpack_unpack_next(&result, bytes, sizeof(bytes),
					    &parsed) == MSGPACK_UNPACK_SUCCESS;

		reader_init(&reader, slice_of(bytes, sizeof(bytes)));
		const struct slice ours = reader_value(&reader);

		cr_assert_eq(theirs, reader_ok(&reader), "round %d", round);
		if (theirs)
			cr_assert_eq(ours.size, parsed, "round %d", round);
		msgpack_unpacked_destroy(&result);
	}
}
