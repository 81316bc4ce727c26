#include "services/provider/pool.h"

#include "proto/resources/checks.h"

void pool_check(struct resource_change *change)
{
	const struct record *record = change->resource->record;
	const size_t i =
		record_find(record, (struct slice)SLICE("did_numbers"), 0);
	char reason[ERR_REASON_BYTES];
	struct err err = {0};

	if (change->values[i].kind != VALUE_STR ||
	    check_did_pool(&record->fields[i], &change->values[i],
			   bus_call_arena(change->call), reason,
			   sizeof(reason))) {
		resource_change_go_on(change);
		return;
	}
	err_field(&err, record->fields[i].name, "%s", reason);
	bus_reply_error(change->call, &err);
}
