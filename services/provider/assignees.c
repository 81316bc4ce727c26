#include "services/provider/assignees.h"

#include "proto/record.h"
#include "proto/resources/assignees.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/provider/ask.h"

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

	if (error || database_rows(result) == 0) {
		bus_reply_code(ask->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
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
	struct ask *ask = ask_new(service, call);
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

	if (error || database_rows(result) == 0) {
		bus_reply_code(ask->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
	load(values, database_cell(result, 0, 0), database_int(result, 0, 1));
	bus_reply_record(ask->call, &assigned_record, values, 0);
}

/* The ids of a call as the first two parameters. NULL: it was answered. */
static struct ask *ask_assignee(void *service, struct bus_call *call)
{
	struct ask *ask = ask_new(service, call);
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
	"WITH trunk AS (SELECT t.id, t.name, t.tenant_id "                     \
	"FROM provider.providers t WHERE t.id = $1 FOR NO KEY UPDATE)"

/* A tenant sees its assignment as the trunk: whatever changes of it is a change
 * of the trunk, which also goes on where an assignment ends and another one
 * begins. */
#define RAISED                                                                 \
	", raised AS (UPDATE provider.providers t "                            \
	"SET version = t.version + 1, updated_at = now() "                     \
	"FROM done WHERE t.id = done.provider_id RETURNING t.id, t.version)"

/* The statement with the audit row of its `done` in its middle. */
static const char *audited(struct ask *ask, const char *head,
			   const char *old_state, const char *new_state,
			   const char *tail)
{
	const struct audit audit = {
		.action = "UPDATE",
		.object_type = provider_resource.audit,
		.object_id = "trunk.id",
		.object_name = "trunk.name",
		.old_state = old_state,
		.new_state = new_state,
		.source = "trunk, done",
	};
	struct buffer sql = {0};

	buffer_append_str(&sql, head);
	audit_append(&sql, ask->param_count + 1, &audit);
	buffer_append_str(&sql, tail);
	ask_audit(ask);
	const char *kept = arena_strdup(ask->arena, buffer_slice(&sql));

	buffer_fini(&sql);
	return kept;
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
	struct err err;

	if (error) {
		reply_error(ask, error);
		return;
	}
	if (!database_null(result, 0, SET_VERSION)) {
		ask_publish(ask, strtoll(ask->params[0], NULL, 10),
			    database_int(result, 0, SET_VERSION),
			    EVENT_UPDATED);
		bus_reply_ok(ask->call, 0);
		return;
	}
	if (database_null(result, 0, SET_SHARED) ||
	    database_null(result, 0, SET_DELETING))
		err_code_set(&err, ERR_NOT_FOUND);
	else
		err_set(&err, ERR_CONFLICT, "%s",
			database_bool(result, 0, SET_SHARED)
				? "the tenant is being deleted"
				: "a tenant's own trunk cannot be assigned");
	bus_reply_error(ask->call, &err);
}

/* Concurrency $4 null: as it was, or the default $5. */
static const char set_head[] =
	TRUNK ", tenant AS (SELECT o.id, o.deleting_at IS NOT NULL AS deleting "
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
	      "RETURNING a.*)" RAISED;

static const char set_tail[] =
	" SELECT (SELECT tenant_id IS NULL FROM trunk), "
	"(SELECT deleting FROM tenant), (SELECT version FROM raised)";

void assignee_set(void *service, struct bus_call *call)
{
	struct ask *ask = ask_new(service, call);
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
	ask_text(ask,
		 arena_strdup(ask->arena, args[ASSIGN_DID_NUMBERS].string));
	const struct value *fallback =
		&assign_args_record.fields[ASSIGN_CONCURRENCY].fallback;

	if (concurrency->kind == VALUE_ABSENT)
		ask_text(ask, NULL);
	else
		ask_number(ask, concurrency->kind == VALUE_INT
					? concurrency->integer
					: fallback->integer);
	ask_number(ask, fallback->integer);
	ask_run(ask, DATABASE_WRITE, "assignee.set",
		audited(ask, set_head, STATE("old"), STATE("done"), set_tail),
		on_set);
}

static void on_destroyed(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct ask *ask = arg;

	if (error) {
		reply_error(ask, error);
		return;
	}
	if (database_rows(result) == 0) {
		bus_reply_code(ask->call, ERR_NOT_FOUND);
		return;
	}
	ask_publish(ask, database_int(result, 0, 0), database_int(result, 0, 1),
		    EVENT_UPDATED);
	bus_reply_ok(ask->call, 0);
}

static const char destroy_head[] =
	TRUNK ", done AS (DELETE FROM provider.assignees a USING trunk "
	      "WHERE a.provider_id = trunk.id AND a.tenant_id = $2 "
	      "RETURNING a.*)" RAISED;

void assignee_destroy(void *service, struct bus_call *call)
{
	struct ask *ask = ask_assignee(service, call);

	if (ask)
		ask_run(ask, DATABASE_WRITE, "assignee.destroy",
			audited(ask, destroy_head, STATE("done"), NULL,
				" SELECT id, version FROM raised"),
			on_destroyed);
}
