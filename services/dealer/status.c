#include "services/dealer/status.h"

#include "proto/resources/dealers.h"
#include "services/common/bus_record.h"
#include "services/common/resource_service.h"

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
	struct ask *ask = arg;
	struct value values[DEALER_STATUS_FIELDS] = {
		[DEALER_STATUS_VERSION] = {.kind = VALUE_STR,
					   .string = SLICE(TRUNKLINE_VERSION)}};

	if (!ask_found(ask, result, error))
		return;
	for (size_t i = DEALER_STATUS_MAX_DEALERS; i < DEALER_STATUS_FIELDS;
	     i++) {
		values[i].kind = VALUE_INT;
		values[i].integer =
			database_int(result, 0, i - DEALER_STATUS_MAX_DEALERS);
	}
	bus_reply_record(ask->call, &dealer_status_record, values, 0);
}

void status_get(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));

	ask_id(ask, ask->who.dealer_id);
	ask_run(ask, DATABASE_READ, "dealer.status", sql, on_found);
}
