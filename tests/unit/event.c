#include "proto/event.h"

#include "proto/writer.h"

#include <criterion/criterion.h>

static struct event sample(void)
{
	return (struct event){.resource = SLICE("provider"),
			      .id = 700551909773148160,
			      .version = 3,
			      .kind = EVENT_UPDATED};
}

Test(event, is_read_as_written)
{
	static const enum event_kind kinds[] = {EVENT_CREATED, EVENT_UPDATED,
						EVENT_DESTROYED};
	struct buffer bytes = {0};
	struct reader reader;

	for (size_t i = 0; i < 3; i++) {
		struct event event = sample();

		event.kind = kinds[i];
		event_encode(&event, &bytes);
	}
	reader_init(&reader, buffer_slice(&bytes));
	for (size_t i = 0; i < 3; i++) {
		struct event event = {0};

		cr_assert_eq(event_decode(&reader, &event), ERR_OK);
		cr_assert(slice_is(event.resource, "provider"));
		cr_assert_eq(event.id, 700551909773148160);
		cr_assert_eq(event.version, 3);
		cr_assert_eq(event.kind, kinds[i]);
	}
	cr_assert(reader_done(&reader));
	buffer_fini(&bytes);
}

Test(event, longest_fits_its_bound)
{
	char name[EVENT_RESOURCE_BYTES_MAX];
	struct buffer bytes = {0};

	memset(name, 'x', sizeof(name));
	event_encode(&(struct event){.resource = slice_of(name, sizeof(name)),
				     .id = INT64_MAX,
				     .version = UINT64_MAX,
				     .kind = EVENT_DESTROYED},
		     &bytes);
	cr_assert_leq(bytes.size, EVENT_BYTES_MAX);
	buffer_fini(&bytes);
}

Test(event, every_cut_is_malformed)
{
	struct event event = sample();
	struct buffer bytes = {0};

	event_encode(&event, &bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		struct reader reader;

		reader_init(&reader, slice_of(bytes.data, size));
		cr_assert_eq(event_decode(&reader, &event), ERR_MALFORMED,
			     "%zu bytes", size);
	}
	buffer_fini(&bytes);
}

Test(event, other_frames)
{
	static const struct {
		const char *name;
		struct slice bytes;
		enum err_code code;
	} rows[] = {
		{"another version",
		 SLICE("\x93\x02\xa1"
		       "p\xc0"),
		 ERR_VERSION},
		{"another kind",
		 SLICE("\x95\x01\xa1p\xd7\x01\0\0\0\0\0\0\0\x07\x01\x09"),
		 ERR_VERSION},
		{"no array", SLICE("\x80"), ERR_MALFORMED},
		{"nothing in it", SLICE("\x90"), ERR_MALFORMED},
		{"a member too few",
		 SLICE("\x94\x01\xa1p\xd7\x01\0\0\0\0\0\0\0\x07\x01"),
		 ERR_MALFORMED},
		{"no name",
		 SLICE("\x95\x01\xa0\xd7\x01\0\0\0\0\0\0\0\x07\x01\x01"),
		 ERR_MALFORMED},
		{"id is no id", SLICE("\x95\x01\xa1p\x07\x01\x01"),
		 ERR_MALFORMED},
		{"id is 0",
		 SLICE("\x95\x01\xa1p\xd7\x01\0\0\0\0\0\0\0\0\x01\x01"),
		 ERR_MALFORMED},
		{"version is negative",
		 SLICE("\x95\x01\xa1p\xd7\x01\0\0\0\0\0\0\0\x07\xff\x01"),
		 ERR_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event event = {0};
		struct reader reader;

		reader_init(&reader, rows[i].bytes);
		cr_assert_eq(event_decode(&reader, &event), rows[i].code, "%s",
			     rows[i].name);
		if (rows[i].code == ERR_VERSION)
			cr_assert(reader_done(&reader), "%s", rows[i].name);
	}
}
