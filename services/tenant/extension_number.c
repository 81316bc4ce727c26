#include "services/tenant/extension_number.h"

#include "proto/resources/users.h"
#include "services/common/bus_record.h"

#include <inttypes.h>

/* $1 tenant, $2 number. */
enum { PARAMS = 2 };

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct bus_call *call = arg;

	if (error || database_rows(result) == 0) {
		bus_reply_code(call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
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

	bus_reply_record(call, &extension_number_record, values, 0);
}

void extension_number_get(void *service, struct bus_call *call)
{
	struct resource_service *running = service;
	struct arena *arena = bus_call_arena(call);
	struct value args[EXTENSION_NUMBER_ARGS_FIELDS];
	const char **params = arena_alloc(arena, PARAMS * sizeof(*params));

	if (!bus_call_args(call, &extension_number_args_record, args))
		return;
	params[0] = arena_printf(
		arena, "%" PRId64,
		principal_tenant(&bus_call_request(call)->principal));
	params[1] = arena_strdup(
		arena, args[EXTENSION_NUMBER_ARGS_EXTENSION_NUMBER].string);
	const struct database_statement statement = {
		.lane = DATABASE_READ,
		.name = "extension_number.get",
		.sql = "SELECT id, extension_number, name FROM tenant.users "
		       "WHERE tenant_id = $1 AND extension_number = $2",
		.params = params,
		.param_count = PARAMS,
		.deadline_ms = bus_call_left_ms(call),
		.done = on_found,
		.arg = call,
	};

	database_run(running->database, &statement);
}
