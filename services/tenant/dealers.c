#include "services/tenant/dealers.h"

#include "proto/resources/resources.h"
#include "proto/resources/tenants.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/tenant/tenant.h"

/* ---- dealers ---- */

static struct value text_value(const struct database_result *result,
			       size_t column)
{
	const struct slice cell = database_cell(result, 0, column);

	if (!cell.data)
		return (struct value){.kind = VALUE_NULL};
	return (struct value){.kind = VALUE_STR, .string = cell};
}

/* Cells in the order of tenant_dealer_record. */
static void write_dealer(const struct database_result *result,
			 struct buffer *out)
{
	const struct value values[TENANT_DEALER_FIELDS] = {
		[TENANT_DEALER_ID] = {.kind = VALUE_INT,
				      .integer = database_int(
					      result, 0, TENANT_DEALER_ID)},
		[TENANT_DEALER_ENABLED] = {.kind = VALUE_BOOL,
					   .boolean = database_bool(
						   result, 0,
						   TENANT_DEALER_ENABLED)},
		[TENANT_DEALER_LEVEL] = text_value(result, TENANT_DEALER_LEVEL),
		[TENANT_DEALER_NAME] = text_value(result, TENANT_DEALER_NAME),
		[TENANT_DEALER_DISPLAY_NAME] =
			text_value(result, TENANT_DEALER_DISPLAY_NAME),
	};

	record_encode(&tenant_dealer_record, RECORD_FULL, values, out);
}

static void on_dealers(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct tenant_ask *ask = arg;
	struct buffer *out = bus_call_body(ask->call);

	if (error || database_rows(result) == 0) {
		bus_reply_code(ask->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
	const bool sold = !database_null(result, 0, TENANT_DEALER_ID);

	writer_map(out, 1);
	writer_text(out, "items");
	writer_array(out, sold ? 1 : 0);
	if (sold)
		write_dealer(result, out);
	bus_reply_ok(ask->call, 0);
}

void dealers_get(void *service, struct bus_call *call)
{
	static const struct slice sql =
		SLICE("SELECT d.id, d.enabled, d.level, d.name, d.display_name "
		      "FROM tenant.tenants t "
		      "LEFT JOIN dealer.dealers d ON d.id = t.dealer_id "
		      "WHERE t.id = $1 AND " TENANT_IN_REACH(2));
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	struct tenant_ask *ask = tenant_ask_new(service, call, sizeof(*ask));

	tenant_ask_number(ask, args[ID_ID].integer);
	tenant_ask_dealer(ask);
	tenant_ask_run(ask, DATABASE_READ, sql, on_dealers);
}

/* ---- designate, undesignate ---- */

/* Of both: $1 tenant, $2 dealer, $3 the dealer that asks or null, then those of
 * the audit. */
enum { FIRST_AUDIT_PARAM = 4 };

static const struct audit moved = {
	.action = "UPDATE",
	.object_type = "TENANT",
	.object_id = "done.id",
	.object_name = "done.name",
	.old_state = "json_build_object('dealer_id', done.was)::text",
	.new_state = "json_build_object('dealer_id', done.dealer_id)::text",
	.source = "done",
};

struct move {
	struct tenant_ask ask;
	int64_t id;
};

/* A row where tenant and dealer are within reach: the new version, null where
 * nothing was to change. */
static void on_moved(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct move *move = arg;
	struct bus_call *call = move->ask.call;

	if (error) {
		tenant_reply_error(call, error);
		return;
	}
	if (database_rows(result) == 0) {
		bus_reply_code(call, ERR_NOT_FOUND);
		return;
	}
	if (!database_null(result, 0, 0))
		tenant_publish(move->ask.service, move->id,
			       database_int(result, 0, 0), EVENT_UPDATED);
	bus_reply_ok(call, (uint64_t)database_int(result, 0, 0));
}

/* made: the statement up to its audit, which makes `done`; answer: the rest. */
static void run_move(void *service, struct bus_call *call, const char *made,
		     const char *answer)
{
	struct value args[TENANT_DESIGNATE_FIELDS];
	struct buffer sql = {0};

	if (!bus_call_args(call, &tenant_designate_record, args))
		return;
	struct move *move = tenant_ask_new(service, call, sizeof(*move));

	move->id = args[TENANT_DESIGNATE_ID].integer;
	tenant_ask_number(&move->ask, move->id);
	tenant_ask_number(&move->ask, args[TENANT_DESIGNATE_DEALER_ID].integer);
	tenant_ask_dealer(&move->ask);
	tenant_ask_audit(&move->ask);
	buffer_append_str(&sql, made);
	audit_append(&sql, FIRST_AUDIT_PARAM, &moved);
	buffer_append_str(&sql, answer);
	tenant_ask_run(&move->ask, DATABASE_WRITE, buffer_slice(&sql),
		       on_moved);
	buffer_fini(&sql);
}

void dealers_designate(void *service, struct bus_call *call)
{
	run_move(service, call,
		 "WITH old AS (SELECT t.* FROM tenant.tenants t "
		 "WHERE t.id = $1 AND " TENANT_IN_REACH(
			 3) " FOR UPDATE), "
			    "target AS (SELECT d.id FROM dealer.dealers d "
			    "WHERE d.id = $2 AND "
			    "($3::bigint IS NULL OR $3 = ANY (d.path))), "
			    "done AS (UPDATE tenant.tenants t SET dealer_id = "
			    "target.id, "
			    "version = t.version + 1, updated_at = now() FROM "
			    "old, target "
			    "WHERE t.id = old.id "
			    "AND old.dealer_id IS DISTINCT FROM target.id "
			    "RETURNING t.*, old.dealer_id AS was)",
		 " SELECT done.version FROM old CROSS JOIN target "
		 "LEFT JOIN done ON true");
}

void dealers_undesignate(void *service, struct bus_call *call)
{
	run_move(service, call,
		 "WITH old AS (SELECT t.* FROM tenant.tenants t "
		 "WHERE t.id = $1 AND t.dealer_id = $2 AND " TENANT_IN_REACH(
			 3) " FOR UPDATE), "
			    "done AS (UPDATE tenant.tenants t "
			    "SET dealer_id = nullif($3::bigint, $2::bigint), "
			    "version = t.version + 1, updated_at = now() FROM "
			    "old "
			    "WHERE t.id = old.id RETURNING t.*, old.dealer_id "
			    "AS was)",
		 " SELECT done.version FROM old LEFT JOIN done ON true");
}
