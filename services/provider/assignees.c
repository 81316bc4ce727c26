#include "services/provider/assignees.h"

#include "proto/record.h"
#include "proto/resources/assignees.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- list and get ---- */

static void load(struct value *out, struct slice did_numbers,
		 int64_t concurrency)
{
	out[ASSIGNED_DID_NUMBERS] =
		(struct value){.kind = VALUE_STR, .string = did_numbers};
	out[ASSIGNED_CONCURRENCY] =
		(struct value){.kind = VALUE_INT, .integer = concurrency};
}

/* Columns of a list; a trunk without assignees has one row without them. */
enum { LIST_TENANT_ID, LIST_DID_NUMBERS, LIST_CONCURRENCY };

static void on_listed(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct ask *ask = arg;

	if (!ask_found(ask, result, error))
		return;
	struct buffer *out = bus_call_body(ask->call);
	const size_t rows = database_null(result, 0, LIST_TENANT_ID)
				    ? 0
				    : database_rows(result);

	writer_map(out, 1);
	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++) {
		struct value values[ASSIGNEE_FIELDS];

		values[ASSIGNEE_TENANT_ID] = (struct value){
			.kind = VALUE_INT,
			.integer = database_int(result, row, LIST_TENANT_ID)};
		load(&values[ASSIGNEE_DID_NUMBERS],
		     database_cell(result, row, LIST_DID_NUMBERS),
		     database_int(result, row, LIST_CONCURRENCY));
		record_encode(&assignee_record, RECORD_FULL, values, out);
	}
	bus_reply_ok(ask->call, 0);
}

void assignee_list(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	ask_number(ask, args[ID_ID].integer);
	ask_run(ask, DATABASE_SLOW, "assignee.list",
		"SELECT a.tenant_id, a.did_numbers, a.concurrency "
		"FROM provider.providers t LEFT JOIN provider.assignees a "
		"ON a.provider_id = t.id WHERE t.id = $1 ORDER BY a.tenant_id",
		on_listed);
}

static void on_got(void *arg, const struct database_result *result,
		   const struct database_error *error)
{
	struct ask *ask = arg;
	struct value values[ASSIGNED_FIELDS];

	if (!ask_found(ask, result, error))
		return;
	load(values, database_cell(result, 0, 0), database_int(result, 0, 1));
	bus_reply_record(ask->call, &assigned_record, values, 0);
}

/* The ids of a call as the first two parameters. NULL: it was answered. */
static struct ask *ask_assignee(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[ASSIGNEE_ARGS_FIELDS];

	if (!bus_call_args(call, &assignee_args_record, args))
		return NULL;
	ask_number(ask, args[ASSIGNEE_ARGS_ID].integer);
	ask_number(ask, args[ASSIGNEE_ARGS_TENANT_ID].integer);
	return ask;
}

void assignee_get(void *service, struct bus_call *call)
{
	struct ask *ask = ask_assignee(service, call);

	if (ask)
		ask_run(ask, DATABASE_READ, "assignee.get",
			"SELECT did_numbers, concurrency "
			"FROM provider.assignees "
			"WHERE provider_id = $1 AND tenant_id = $2",
			on_got);
}

/* ---- set and destroy ---- */

/* The state an assignment is audited as: of a row of this name. */
#define STATE(row)                                                             \
	"(SELECT json_build_object('assignee', json_build_object("             \
	"'tenant_id', " row ".tenant_id, 'did_numbers', " row ".did_numbers, " \
	"'concurrency', " row ".concurrency))::text FROM " row ")"

/* The trunk, locked first: assignments of one trunk happen one after another,
 * so that each finds the numbers of the others. */
#define TRUNK                                                                  \
	"trunk AS (SELECT t.id, t.name, t.tenant_id "                          \
	"FROM provider.providers t WHERE t.id = $1 FOR NO KEY UPDATE)"

/* A tenant sees its assignment as the trunk: whatever changes of it is a change
 * of the trunk, which also goes on where an assignment ends and another one
 * begins. */
#define RAISED                                                                 \
	", raised AS (UPDATE provider.providers t "                            \
	"SET version = t.version + 1, updated_at = now() "                     \
	"FROM done WHERE t.id = done.provider_id RETURNING t.id, t.version)"

#define AUDIT(old, new)                                                        \
	{                                                                      \
		.action = "UPDATE", .object_type = "PROVIDER",                 \
		.object_id = "trunk.id", .object_name = "trunk.name",          \
		.old_state = (old), .new_state = (new),                        \
		.source = "trunk, done",                                       \
	}

static void reply_changed(struct ask *ask, int64_t id, int64_t version)
{
	const struct resource_service *service = ask->service;

	resource_tell(service->events, &provider_resource, id, version,
		      EVENT_UPDATED);
	bus_reply_ok(ask->call, 0);
}

/* A constraint that a write broke, in words. */
static void reply_error(struct ask *ask, const struct database_error *error)
{
	struct err err;

	if (strcmp(error->constraint, "assignees_tenant_id_fkey") == 0) {
		/* It went while the statement ran. */
		err_code_set(&err, ERR_NOT_FOUND);
	} else if (error->text[0] == '\0') {
		err_code_set(&err, error->code);
	} else {
		err_field(&err, "did_numbers", "%s", error->text);
		snprintf(err.text, sizeof(err.text), "%s", error->text);
		err.code = error->code;
	}
	bus_reply_error(ask->call, &err);
}

/* Columns of what a set tells. */
enum { SET_SHARED, SET_DELETING, SET_VERSION };

static void on_set(void *arg, const struct database_result *result,
		   const struct database_error *error)
{
	struct ask *ask = arg;

	if (error) {
		reply_error(ask, error);
		return;
	}
	if (!database_null(result, 0, SET_VERSION)) {
		reply_changed(ask, strtoll(ask->params[0], NULL, 10),
			      database_int(result, 0, SET_VERSION));
		return;
	}
	if (database_null(result, 0, SET_SHARED) ||
	    database_null(result, 0, SET_DELETING))
		bus_reply_code(ask->call, ERR_NOT_FOUND);
	else
		ask_refuse(ask, ERR_CONFLICT,
			   database_bool(result, 0, SET_SHARED)
				   ? "the tenant is being deleted"
				   : "a tenant's own trunk cannot be assigned");
}

/* Concurrency $4 null: as it was, or the default $5. */
static const struct ask_write set = {
	.name = "assignee.set",
	.with = TRUNK
	", tenant AS (SELECT o.id, o.deleting_at IS NOT NULL AS deleting "
	"FROM tenant.tenants o WHERE o.id = $2), "
	"old AS (SELECT a.* FROM trunk JOIN provider.assignees a "
	"ON a.provider_id = trunk.id WHERE a.tenant_id = $2 "
	"FOR UPDATE OF a), "
	"done AS (INSERT INTO provider.assignees AS a "
	"(provider_id, tenant_id, did_numbers, concurrency) "
	"SELECT trunk.id, tenant.id, $3::text, "
	"coalesce($4::integer, old.concurrency, $5::integer) "
	"FROM trunk CROSS JOIN tenant LEFT JOIN old ON true "
	"WHERE trunk.tenant_id IS NULL AND NOT tenant.deleting "
	"ON CONFLICT (provider_id, tenant_id) DO UPDATE "
	"SET did_numbers = excluded.did_numbers, "
	"concurrency = coalesce($4::integer, a.concurrency), "
	"version = a.version + 1, updated_at = now() "
	"RETURNING a.*)" RAISED,
	.answer = "SELECT (SELECT tenant_id IS NULL FROM trunk), "
		  "(SELECT deleting FROM tenant), (SELECT version FROM raised)",
	.audit = AUDIT(STATE("old"), STATE("done")),
};

void assignee_set(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[ASSIGN_FIELDS];
	const struct value *concurrency = &args[ASSIGN_CONCURRENCY];
	struct err err = {0};

	if (!bus_call_args(call, &assign_args_record, args))
		return;
	if (args[ASSIGN_DID_NUMBERS].kind != VALUE_STR) {
		err_field(&err, "did_numbers", "is required");
		bus_reply_error(call, &err);
		return;
	}
	ask_number(ask, args[ASSIGN_ID].integer);
	ask_number(ask, args[ASSIGN_TENANT_ID].integer);
	ask_slice(ask, args[ASSIGN_DID_NUMBERS].string);
	const struct value *fallback =
		&assign_args_record.fields[ASSIGN_CONCURRENCY].fallback;

	if (concurrency->kind == VALUE_ABSENT)
		ask_text(ask, NULL);
	else
		ask_number(ask, concurrency->kind == VALUE_INT
					? concurrency->integer
					: fallback->integer);
	ask_number(ask, fallback->integer);
	ask_write(ask, &set, on_set);
}

static void on_destroyed(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct ask *ask = arg;

	if (error) {
		reply_error(ask, error);
		return;
	}
	if (ask_found(ask, result, NULL))
		reply_changed(ask, database_int(result, 0, 0),
			      database_int(result, 0, 1));
}

static const struct ask_write destroy = {
	.name = "assignee.destroy",
	.with = TRUNK ", done AS (DELETE FROM provider.assignees a USING trunk "
		      "WHERE a.provider_id = trunk.id AND a.tenant_id = $2 "
		      "RETURNING a.*)" RAISED,
	.answer = "SELECT id, version FROM raised",
	.audit = AUDIT(STATE("done"), NULL),
};

void assignee_destroy(void *service, struct bus_call *call)
{
	struct ask *ask = ask_assignee(service, call);

	if (ask)
		ask_write(ask, &destroy, on_destroyed);
}
