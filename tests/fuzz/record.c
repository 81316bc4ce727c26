/* Any msgpack for a provider or a tenant is either refused, or what is kept of
 * it comes back the same: stored, loaded, shown and read again. */

#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/resources/tenants.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS_MAX = 96 };

static void expect(bool good)
{
	if (!good)
		abort();
}

/* Nested records take the way through their column. */
static void check_stored(const struct field *field, struct value *value,
			 struct arena *arena)
{
	struct buffer first = {0}, second = {0};

	record_store(field, value, &first);
	expect(record_load(field, buffer_slice(&first), arena, value) ==
	       ERR_OK);
	record_store(field, value, &second);
	expect(slice_eq(buffer_slice(&first), buffer_slice(&second)));
	buffer_fini(&first);
	buffer_fini(&second);
}

static void check_shown(const struct record *record, const struct value *values,
			struct arena *arena)
{
	struct value again[FIELDS_MAX];
	struct buffer first = {0}, second = {0};
	struct reader reader;
	struct err err = {0};

	record_encode(record, RECORD_FULL, values, &first);
	reader_init(&reader, buffer_slice(&first));
	/* Required fields that were not sent are shown as null. */
	if (record_decode(record, RECORD_UPDATE, &reader, arena, again, &err) ==
	    ERR_OK) {
		record_encode(record, RECORD_FULL, again, &second);
		expect(slice_eq(buffer_slice(&first), buffer_slice(&second)));
	} else {
		expect(err.code == ERR_VALIDATE);
	}
	buffer_fini(&first);
	buffer_fini(&second);
}

static void check(const struct record *record, const uint8_t *data, size_t size)
{
	struct value values[FIELDS_MAX];
	struct arena arena = {0};
	struct reader reader;
	struct err err = {0};

	expect(record->count <= FIELDS_MAX);
	reader_init(&reader, slice_of(data, size));
	if (record_decode(record, RECORD_UPDATE, &reader, &arena, values,
			  &err) == ERR_OK) {
		for (size_t i = 0; i < record->count; i++)
			if (values[i].kind == VALUE_OBJECT ||
			    values[i].kind == VALUE_OBJECTS)
				check_stored(&record->fields[i], &values[i],
					     &arena);
		check_shown(record, values, &arena);
	} else {
		expect(err.code != ERR_OK);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(provider_resource.record, data, size);
	check(own_tenant_resource.record, data, size);
	return 0;
}
