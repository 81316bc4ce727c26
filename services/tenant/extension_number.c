#include "services/tenant/extension_number.h"

#include "proto/resources/users.h"
#include "services/common/bus_record.h"

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct ask *ask = arg;

	if (!ask_found(ask, result, error))
		return;
	const struct value values[EXTENSION_NUMBER_FIELDS] = {
		[EXTENSION_NUMBER_ID] = {.kind = VALUE_INT,
					 .integer = database_int(result, 0, 0)},
		[EXTENSION_NUMBER_EXTENSION_NUMBER] = {.kind = VALUE_STR,
						       .string = database_cell(
							       result, 0, 1)},
		[EXTENSION_NUMBER_NAME] = {.kind = VALUE_STR,
					   .string =
						   database_cell(result, 0, 2)},
		[EXTENSION_NUMBER_TYPE] = DEFAULT_STR("EXTENSION"),
	};

	bus_reply_record(ask->call, &extension_number_record, values, 0);
}

void extension_number_get(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[EXTENSION_NUMBER_ARGS_FIELDS];

	if (!bus_call_args(call, &extension_number_args_record, args))
		return;
	ask_tenant(ask);
	ask_slice(ask, args[EXTENSION_NUMBER_ARGS_EXTENSION_NUMBER].string);
	ask_run(ask, DATABASE_READ, "extension_number.get",
		"SELECT id, extension_number, name FROM tenant.users "
		"WHERE tenant_id = $1 AND extension_number = $2",
		on_found);
}
