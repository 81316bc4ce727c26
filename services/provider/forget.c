#include "services/provider/forget.h"

#include "proto/resources/assignees.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"

/* Columns of what a batch tells: a row for each trunk touched, and one in any
 * case. */
enum { GONE_LEFT, GONE_ID, GONE_VERSION, GONE_DESTROYED };

static void on_forgotten(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct ask *ask = arg;
	const struct resource_service *service = ask->service;

	if (error) {
		bus_reply_code(ask->call, error->code);
		return;
	}
	for (size_t row = 0; row < database_rows(result); row++)
		if (!database_null(result, row, GONE_ID))
			resource_tell(service->events, &provider_resource,
				      database_int(result, row, GONE_ID),
				      database_int(result, row, GONE_VERSION),
				      database_bool(result, row, GONE_DESTROYED)
					      ? EVENT_DESTROYED
					      : EVENT_UPDATED);
	struct buffer *out = bus_call_body(ask->call);

	writer_map(out, 1);
	writer_text(out, "left");
	writer_int(out, database_int(result, 0, GONE_LEFT));
	bus_reply_ok(ask->call, 0);
}

/* Trunks are locked in the order of their ids, as by every other batch. $2:
 * FORGET_BATCH. What was there is counted before, what went taken off. */
static const char sql[] =
	"WITH lent AS (SELECT t.id FROM provider.providers t "
	"WHERE t.id IN (SELECT a.provider_id FROM provider.assignees a "
	"WHERE a.tenant_id = $1 ORDER BY a.provider_id LIMIT $2::bigint) "
	"ORDER BY t.id FOR NO KEY UPDATE), "
	"ended AS (DELETE FROM provider.assignees a USING lent "
	"WHERE a.provider_id = lent.id AND a.tenant_id = $1 "
	"RETURNING a.provider_id), "
	"raised AS (UPDATE provider.providers t SET version = t.version + 1, "
	"updated_at = now() FROM ended WHERE t.id = ended.provider_id "
	"RETURNING t.id, t.version), "
	"own AS (SELECT t.id FROM provider.providers t WHERE t.tenant_id = $1 "
	"ORDER BY t.id LIMIT $2::bigint FOR UPDATE), "
	"gone AS (DELETE FROM provider.providers t USING own "
	"WHERE t.id = own.id RETURNING t.id, t.version), "
	"told AS (SELECT id, version, false AS destroyed FROM raised "
	"UNION ALL SELECT id, version, true FROM gone) "
	"SELECT (SELECT count(*) FROM provider.assignees a "
	"WHERE a.tenant_id = $1) + (SELECT count(*) FROM provider.providers t "
	"WHERE t.tenant_id = $1) - (SELECT count(*) FROM told), "
	"told.id, told.version, told.destroyed "
	"FROM (SELECT) always LEFT JOIN told ON true";

void forget_tenant(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[TENANT_ARGS_FIELDS];

	if (!bus_call_args(call, &tenant_args_record, args))
		return;
	ask_number(ask, args[TENANT_ARGS_TENANT_ID].integer);
	ask_number(ask, FORGET_BATCH);
	ask_run(ask, DATABASE_WRITE, "provider.forget_tenant", sql,
		on_forgotten);
}
