#include "services/common/bus_record.h"

bool bus_call_args(struct bus_call *call, const struct record *record,
		   struct value *values)
{
	struct reader reader;
	struct err err = {0};

	reader_init(&reader, bus_call_request(call)->args);
	if (record_decode(record, RECORD_CREATE, &reader, bus_call_arena(call),
			  values, &err) == ERR_OK)
		return true;
	bus_reply_error(call, &err);
	return false;
}

void bus_reply_record(struct bus_call *call, const struct record *record,
		      const struct value *values, uint64_t object_version)
{
	record_encode(record, RECORD_FULL, values, bus_call_body(call));
	bus_reply_ok(call, object_version);
}
