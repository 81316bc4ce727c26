/* Any bytes either have no JSON form or give JSON that we accept, but for maps
 * that repeat a key; and that JSON is the same after another round. */

#include "proto/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void check(struct slice json)
{
	struct buffer msgpack = {0}, again = {0};
	struct err err = {0};

	if (json_to_msgpack(json, &msgpack, &err) == ERR_OK) {
		expect(json_from_msgpack(buffer_slice(&msgpack), NULL, &again,
					 &err) == ERR_OK);
		expect(slice_eq(json, buffer_slice(&again)));
	} else {
		expect(strstr(err.text, "repeated key") != NULL);
	}
	buffer_fini(&msgpack);
	buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer json = {0};

	if (json_from_msgpack(slice_of(data, size), NULL, &json, NULL) ==
	    ERR_OK)
		check(buffer_slice(&json));
	else
		expect(json.size == 0);
	buffer_fini(&json);
	return 0;
}
