/* Whatever body comes, its arguments are one whole msgpack value, and but for
 * the ids, which are ids where a field is of that type, they say what the body
 * said: with ids written as texts both print alike. */

#include "gateway/arguments.h"
#include "proto/json.h"
#include "proto/reader.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct field part_fields[] = {
	{"owner", FIELD_ID},
	{"note", FIELD_STRING},
};
static const struct record part_record = {"Part", RECORD_FIELDS(part_fields)};
static const struct field fields[] = {
	{"owner", FIELD_ID},
	{"part", FIELD_OBJECT, .record = &part_record},
	{"parts", FIELD_OBJECTS, .record = &part_record},
};
static const struct record record = {"Thing", RECORD_FIELDS(fields)};
static const struct resource resource = {.record = &record};
static const struct route create = {ROUTE_POST, "/t", .shape = ROUTE_CREATE,
				    .resource = &resource};

static void expect(bool good)
{
	if (!good)
		abort();
}

/* The object of {object}. */
static struct slice object_of(struct slice arguments)
{
	struct reader reader;

	reader_init(&reader, arguments);
	expect(reader_map(&reader) == 1);
	expect(slice_is(reader_str(&reader), "object"));
	struct slice object = reader_value(&reader);
	expect(reader_done(&reader));
	return object;
}

static void check(struct slice body, struct slice object)
{
	struct buffer plain = {0};
	struct buffer wanted = {0};
	struct buffer given = {0};
	struct err err = {0};

	expect(json_to_msgpack(body, &plain, &err) == ERR_OK);
	expect(json_from_msgpack(buffer_slice(&plain), NULL, &wanted, &err) ==
	       ERR_OK);
	expect(json_from_msgpack(object, dialect_v22.id_append, &given, &err) ==
	       ERR_OK);
	expect(slice_eq(buffer_slice(&wanted), buffer_slice(&given)));
	buffer_fini(&plain);
	buffer_fini(&wanted);
	buffer_fini(&given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct route_match match = {.route = &create};
	const struct arguments_input input = {
		.body = slice_of((const char *)data, size),
		.content_type = SLICE("application/json"),
	};
	struct arena arena = {0};
	struct buffer out = {0};
	struct err err = {0};

	if (size > 0 && arguments_build(&dialect_v22, &match, &input, &arena,
					&out, &err) == ERR_OK)
		check(input.body, object_of(buffer_slice(&out)));
	buffer_fini(&out);
	arena_fini(&arena);
	return 0;
}
