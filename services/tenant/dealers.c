#include "services/tenant/dealers.h"

#include "proto/resources/resources.h"
#include "proto/resources/tenants.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/session.h"
#include "services/tenant/tenant.h"

#include <stdlib.h>

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
	struct ask *ask = arg;

	if (!ask_found(ask, result, error))
		return;
	struct buffer *out = bus_call_body(ask->call);
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
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));

	ask_id(ask, args[ID_ID].integer);
	ask_dealer(ask);
	ask_run(ask, DATABASE_READ, "tenant.dealers",
		"SELECT d.id, d.enabled, d.level, d.name, d.display_name "
		"FROM tenant.tenants t "
		"LEFT JOIN dealer.dealers d ON d.id = t.dealer_id "
		"WHERE t.id = $1 AND " TENANT_IN_REACH("2"),
		on_dealers);
}

/* ---- designate, undesignate ---- */

#define IN_REACH TENANT_IN_REACH("3")

/* Of both: $1 tenant, $2 dealer, $3 the dealer that asks or null. A row where
 * tenant and dealer are within reach: the new version, null where nothing was
 * to change, and the ids of the dealers who lost it. */
#define MOVE_AUDIT                                                             \
	{                                                                      \
		.action = "UPDATE", .object_type = "TENANT",                   \
		.object_id = "done.id", .object_name = "done.name",            \
		.old_state = "json_build_object('dealer_id', done.was)::text", \
		.new_state = "json_build_object('dealer_id', done.dealer_id)"  \
			     "::text",                                         \
		.source = "done",                                              \
	}

/* Whoever had it, with all above, but for those who still reach it. */
#define MOVE_LOST                                                              \
	"(SELECT string_agg(lost.id::text, ' ') FROM ("                        \
	"SELECT unnest(o.path) AS id FROM dealer.dealers o "                   \
	"WHERE o.id = done.was EXCEPT "                                        \
	"SELECT unnest(n.path) FROM dealer.dealers n "                         \
	"WHERE n.id = done.dealer_id) lost)"

static const struct ask_write designate = {
	.name = "tenant.designate",
	.with = "old AS (SELECT t.* FROM tenant.tenants t "
		"WHERE t.id = $1 AND " IN_REACH " FOR UPDATE), "
		"target AS (SELECT d.id FROM dealer.dealers d "
		"WHERE d.id = $2 AND "
		"($3::bigint IS NULL OR $3 = ANY (d.path))), "
		"done AS (UPDATE tenant.tenants t SET dealer_id = target.id, "
		"version = t.version + 1, updated_at = now() FROM old, target "
		"WHERE t.id = old.id "
		"AND old.dealer_id IS DISTINCT FROM target.id "
		"RETURNING t.*, old.dealer_id AS was)",
	.answer = "SELECT done.version, " MOVE_LOST
		  " FROM old CROSS JOIN target LEFT JOIN done ON true",
	.audit = MOVE_AUDIT,
};

static const struct ask_write undesignate = {
	.name = "tenant.undesignate",
	.with = "old AS (SELECT t.* FROM tenant.tenants t "
		"WHERE t.id = $1 AND t.dealer_id = $2 "
		"AND " IN_REACH " FOR UPDATE), "
		"done AS (UPDATE tenant.tenants t SET dealer_id = $3::bigint, "
		"version = t.version + 1, updated_at = now() FROM old "
		"WHERE t.id = old.id RETURNING t.*, old.dealer_id AS was)",
	.answer = "SELECT done.version, " MOVE_LOST
		  " FROM old LEFT JOIN done ON true",
	.audit = MOVE_AUDIT,
};

struct move {
	struct ask ask;
	int64_t id;
	int64_t version;
	char *lost; /* dealers' ids joined by spaces: whose sessions are to end
		     */
};

static void end_next(struct move *move);

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct move *move = arg;

	/* Half done: the caller has to know which half. */
	if (code)
		ask_refuse(&move->ask, ERR_LOST,
			   "the tenant has moved; whether all sessions that "
			   "acted as it were ended is unknown");
	else
		end_next(move);
}

/* Who acts as a tenant it has lost must not go on until its token ends. */
static void end_next(struct move *move)
{
	const struct resource_service *service = move->ask.service;
	const int64_t id = strtoll(move->lost, &move->lost, 10);

	if (id > 0)
		session_end_acting(service->cache, id, move->id,
				   bus_call_left_ms(move->ask.call),
				   on_sessions_ended, move);
	else
		bus_reply_ok(move->ask.call, (uint64_t)move->version);
}

/* Columns of what a move tells. */
enum { MOVED_VERSION, MOVED_LOST };

static void on_moved(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct move *move = arg;
	const struct resource_service *service = move->ask.service;

	if (error) {
		resource_refuse(&tenant_resource, move->ask.call, error);
		return;
	}
	if (!ask_found(&move->ask, result, NULL))
		return;
	move->version = database_int(result, 0, MOVED_VERSION);
	move->lost = arena_strdup(move->ask.arena,
				  database_cell(result, 0, MOVED_LOST));
	if (move->version)
		resource_tell(service->events, &tenant_resource, move->id,
			      move->version, EVENT_UPDATED);
	end_next(move);
}

static void run_move(void *service, struct bus_call *call,
		     const struct value *args, const struct ask_write *write)
{
	struct move *move = resource_service_ask(service, call, sizeof(*move));

	move->id = args[TENANT_DESIGNATE_ID].integer;
	ask_id(&move->ask, move->id);
	ask_id(&move->ask, args[TENANT_DESIGNATE_DEALER_ID].integer);
	ask_dealer(&move->ask);
	ask_write(&move->ask, write, on_moved);
}

void dealers_designate(void *service, struct bus_call *call)
{
	struct value args[TENANT_DESIGNATE_FIELDS];

	if (bus_call_args(call, &tenant_designate_record, args))
		run_move(service, call, args, &designate);
}

void dealers_undesignate(void *service, struct bus_call *call)
{
	const struct principal *who = &bus_call_request(call)->principal;
	struct value args[TENANT_DESIGNATE_FIELDS];
	struct err err;

	if (!bus_call_args(call, &tenant_designate_record, args))
		return;
	/* Else a dealer made tenants without end, and let each go that fills
	 * its quota. */
	if (who->kind == PRINCIPAL_DEALER &&
	    args[TENANT_DESIGNATE_DEALER_ID].integer == who->dealer_id) {
		err_set(&err, ERR_FORBIDDEN,
			"a dealer's own tenant is taken from it by those above "
			"it alone");
		bus_reply_error(call, &err);
		return;
	}
	run_move(service, call, args, &undesignate);
}
