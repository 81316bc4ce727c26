/* What we accept as JSON comes out of msgpack as JSON that means the same. */

#include "proto/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer first = {0}, json = {0}, second = {0};
	struct err err = {0};

	if (json_to_msgpack(slice_of(data, size), &first, &err) == ERR_OK) {
		expect(json_from_msgpack(buffer_slice(&first), NULL, &json,
					 &err) == ERR_OK);
		expect(json_to_msgpack(buffer_slice(&json), &second, &err) ==
		       ERR_OK);
		expect(slice_eq(buffer_slice(&first), buffer_slice(&second)));
	} else {
		expect(first.size == 0 && err.code == ERR_MALFORMED);
	}
	buffer_fini(&first);
	buffer_fini(&json);
	buffer_fini(&second);
	return 0;
}
