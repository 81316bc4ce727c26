#include "services/provider/status.h"

#include "proto/writer.h"
#include "services/common/resource_service.h"

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct bus_call *call = arg;
	struct buffer *out = bus_call_body(call);
	struct err err;

	if (error || database_rows(result) == 0) {
		err_code_set(&err, error ? error->code : ERR_NOT_FOUND);
		bus_reply_error(call, &err);
		return;
	}
	writer_map(out, 1);
	writer_text(out, "status");
	writer_text(out, "OFFLINE");
	bus_reply_ok(call, 0);
}

static int64_t id_of(const struct bus_call *call)
{
	struct reader reader;

	reader_init(&reader, bus_call_request(call)->args);
	if (reader_map(&reader) != 1 || !slice_is(reader_str(&reader), "id"))
		return 0;
	return reader_id(&reader);
}

void status_get(void *service, struct bus_call *call)
{
	const struct resource_service *running = service;
	struct arena *arena = bus_call_arena(call);
	const char **params = arena_alloc(arena, sizeof(*params));
	const int64_t id = id_of(call);
	struct err err;

	if (id <= 0) {
		err_set(&err, ERR_MALFORMED, "malformed arguments");
		bus_reply_error(call, &err);
		return;
	}
	params[0] = arena_printf(arena, "%lld", (long long)id);
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
