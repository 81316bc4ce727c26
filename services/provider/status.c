#include "services/provider/status.h"

#include "proto/resources/resources.h"
#include "services/common/bus_record.h"
#include "services/common/resource_service.h"

#include <inttypes.h>

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	static const struct value offline[PROVIDER_STATUS_FIELDS] = {
		[PROVIDER_STATUS_STATUS] = DEFAULT_STR("OFFLINE"),
	};
	struct bus_call *call = arg;

	if (error)
		bus_reply_code(call, error->code);
	else if (database_rows(result) == 0)
		bus_reply_code(call, ERR_NOT_FOUND);
	else
		bus_reply_record(call, &provider_status_record, offline, 0);
}

void status_get(void *service, struct bus_call *call)
{
	const struct resource_service *running = service;
	struct arena *arena = bus_call_arena(call);
	const char **params = arena_alloc(arena, sizeof(*params));
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	params[0] = arena_printf(arena, "%" PRId64, args[ID_ID].integer);
	const struct database_statement statement = {
		.lane = DATABASE_READ,
		.name = "provider.status",
		.sql = "SELECT 1 FROM provider.providers WHERE id = $1",
		.params = params,
		.param_count = 1,
		.deadline_ms = bus_call_left_ms(call),
		.done = on_found,
		.arg = call,
	};

	database_run(running->database, &statement);
}
