#include "services/dealer/status.h"

#include "proto/resources/dealers.h"
#include "services/common/bus_record.h"
#include "services/common/resource_service.h"

#include <inttypes.h>

/* One request, in the call's arena. */
struct work {
	struct bus_call *call;
	const char *params[1];
};

/* No number of dealers is set; who can make none has room for none. */
static const char sql[] =
	"SELECT CASE level WHEN 'RESELLER' THEN 0 ELSE 2147483647 END, "
	"(SELECT count(*) FROM dealer.dealers below "
	"WHERE below.path @> ARRAY[t.id] AND below.id <> t.id), "
	"max_extensions, extension_count, max_tenants, tenant_count "
	"FROM dealer.dealers t WHERE id = $1";

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct work *work = arg;
	struct value values[DEALER_STATUS_FIELDS] = {
		[DEALER_STATUS_VERSION] = {.kind = VALUE_STR,
					   .string = SLICE(TRUNKLINE_VERSION)}};

	if (error || database_rows(result) == 0) {
		bus_reply_code(work->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
	for (size_t i = DEALER_STATUS_MAX_DEALERS; i < DEALER_STATUS_FIELDS;
	     i++) {
		values[i].kind = VALUE_INT;
		values[i].integer =
			database_int(result, 0, i - DEALER_STATUS_MAX_DEALERS);
	}
	bus_reply_record(work->call, &dealer_status_record, values, 0);
}

void status_get(void *service, struct bus_call *call)
{
	const struct resource_service *running = service;
	struct arena *arena = bus_call_arena(call);
	struct work *work = arena_alloc(arena, sizeof(*work));

	work->call = call;
	work->params[0] = arena_printf(
		arena, "%" PRId64, bus_call_request(call)->principal.dealer_id);
	database_run(running->database,
		     &(struct database_statement){
			     .lane = DATABASE_READ,
			     .name = "dealer.status",
			     .sql = sql,
			     .params = work->params,
			     .param_count = 1,
			     .deadline_ms = bus_call_left_ms(call),
			     .done = on_found,
			     .arg = work,
		     });
}
