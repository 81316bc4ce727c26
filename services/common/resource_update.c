/* The resource engine's update. Its text is made for the fields that were sent;
 * what equals what is stored changes nothing: no version, no event, no audit
 * row. */

#include "services/common/resource_internal.h"

#include "services/common/audit.h"

/* ---- secrets that were sent ---- */

/* Sealing is different each time, so that only here can be told whether a
 * secret is the one that is stored. */
static bool is_same_secret(struct resource_work *work, struct slice sent,
			   struct slice sealed)
{
	struct buffer clear = {0};
	const bool same =
		sealed.data &&
		secrets_open(work->store->options.key, sealed, &clear) &&
		clear.size == sent.size &&
		secrets_equal(clear.data, sent.data, sent.size);

	secrets_wipe(clear.data, clear.size);
	buffer_fini(&clear);
	return same;
}

static bool is_secret(const struct field *field)
{
	return resource_is_stored(field) && (field->flags & FIELD_SECRET);
}

static void update_run(struct resource_work *work);

static void on_sealed(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct resource_work *work = arg;
	const struct record *record = work->store->resource->record;
	size_t column = 0;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	for (size_t i = 0; database_rows(result) > 0 && i < record->count;
	     i++) {
		const struct value *value = &work->values[i];

		if (!is_secret(&record->fields[i]))
			continue;
		const struct slice sealed = database_cell(result, 0, column++);

		if (value->kind == VALUE_STR &&
		    is_same_secret(work, value->string, sealed))
			work->sealed[i] = arena_strdup(work->arena, sealed);
	}
	update_run(work);
}

static bool sends_secret(const struct resource_work *work)
{
	const struct record *record = work->store->resource->record;

	for (size_t i = 0; i < record->count; i++)
		if (is_secret(&record->fields[i]) &&
		    work->values[i].kind == VALUE_STR &&
		    work->values[i].string.size > 0)
			return true;
	return false;
}

/* The id is the statement's only parameter. */
static void read_sealed(struct resource_work *work)
{
	const char **params = arena_alloc(work->arena, sizeof(*params));
	const struct resource_statement *sealed = &work->store->sealed;

	params[0] = resource_number_text(work, work->args.id);
	const struct database_statement statement = {
		.lane = DATABASE_READ,
		.name = sealed->name,
		.sql = sealed->sql,
		.params = params,
		.param_count = 1,
		.deadline_ms = bus_call_left_ms(work->call),
		.done = on_sealed,
		.arg = work,
	};

	database_run(work->store->options.database, &statement);
}

void resource_update_run(struct resource_work *work)
{
	const size_t count = work->store->resource->record->count;

	work->sealed = arena_alloc(work->arena, count * sizeof(*work->sealed));
	if (sends_secret(work))
		read_sealed(work);
	else
		update_run(work);
}

/* ---- the text ---- */

static bool is_fixed(const struct resource_work *work, size_t i)
{
	const struct field *field = &work->store->resource->record->fields[i];

	return resource_takes(work->reach->scope, field) &&
	       (field->flags & FIELD_IMMUTABLE) &&
	       work->values[i].kind != VALUE_ABSENT;
}

static bool is_changed(const struct resource_work *work, size_t i)
{
	const struct field *field = &work->store->resource->record->fields[i];

	return resource_takes(work->reach->scope, field) &&
	       !(field->flags & FIELD_IMMUTABLE) &&
	       work->values[i].kind != VALUE_ABSENT;
}

/* JSON text of what a nested record shows where nothing was said. */
static const char *defaults_text(struct resource_work *work,
				 const struct field *field)
{
	const struct record *record = field->record;
	struct value defaults = {.kind = VALUE_OBJECT};

	defaults.members =
		arena_alloc(work->arena, record->count * sizeof(struct value));
	for (size_t i = 0; i < record->count; i++)
		defaults.members[i] = record->fields[i].fallback;
	return resource_param_text(work, field, &defaults);
}

/* "t.column || $n", and behind it the same for each record within the record:
 * || alone would put what was sent in the old one's place. A stored null is
 * none. */
static void append_merge(struct resource_work *work, const struct field *field,
			 const struct value *value)
{
	const struct record *record = field->record;
	struct buffer *sql = &work->query.sql;
	const char *joint = " || jsonb_build_object(";
	bool deep = false;

	buffer_printf(sql, "t.%s || ", field->column);
	query_param(&work->query, resource_param_text(work, field, value));
	buffer_append_str(sql, "::jsonb");
	for (size_t i = 0; i < record->count; i++) {
		const char *name = record->fields[i].name;

		if (value->members[i].kind != VALUE_OBJECT)
			continue;
		buffer_printf(sql,
			      "%s'%s', coalesce(nullif(t.%s -> '%s', 'null'), "
			      "'{}') || ($%zu::jsonb -> '%s')",
			      joint, name, field->column, name,
			      work->query.param_count, name);
		joint = ", ";
		deep = true;
	}
	if (deep)
		buffer_append_str(sql, ")");
}

/* The members that were said, merged into those that are there: those that were
 * not said stay. Where it then shows what it did before, saying a default aloud
 * is no change. */
static void append_nested(struct resource_work *work, const struct field *field,
			  const struct value *value)
{
	struct buffer *sql = &work->query.sql;

	buffer_printf(sql,
		      "(SELECT CASE WHEN usual || jsonb_strip_nulls(t.%s) = "
		      "usual || jsonb_strip_nulls(merged) THEN t.%s "
		      "ELSE merged END FROM (SELECT ",
		      field->column, field->column);
	append_merge(work, field, value);
	buffer_append_str(sql, " AS merged, ");
	query_param(&work->query, defaults_text(work, field));
	buffer_append_str(sql, "::jsonb AS usual) both_ways)");
}

/* What column i of t becomes. */
static void append_new(struct resource_work *work, size_t i)
{
	const struct field *field = &work->store->resource->record->fields[i];
	const struct value *value = &work->values[i];
	struct buffer *sql = &work->query.sql;

	if (value->kind == VALUE_OBJECT) {
		append_nested(work, field, value);
		return;
	}
	/* Unless it was changed since it was looked at. */
	if (work->sealed[i]) {
		buffer_printf(sql, "CASE t.%s WHEN ", field->column);
		query_param(&work->query, work->sealed[i]);
		buffer_printf(sql, "::text THEN t.%s ELSE ", field->column);
	}
	query_param(&work->query, resource_param_text(work, field, value));
	buffer_printf(sql, "::%s", resource_sql_type(field));
	if (work->sealed[i])
		buffer_append_str(sql, " END");
}

/* "old.brand IS NOT DISTINCT FROM $3" for each fixed field, behind a joint;
 * these parameters follow the version's. */
static void append_fixed(struct resource_work *work, const char *joint)
{
	const struct record *record = work->store->resource->record;
	size_t param = resource_scope_params(work->reach->scope) + 3;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			buffer_printf(&work->query.sql,
				      "%sold.%s IS NOT DISTINCT FROM $%zu::%s",
				      joint, record->fields[i].column, param++,
				      resource_sql_type(&record->fields[i]));
}

/* "old AS (...)": the row, locked, with what it shall become. */
static void append_old(struct resource_work *work)
{
	const struct resource *r = work->store->resource;
	const struct resource_scope *scope = work->reach->scope;
	struct buffer *sql = &work->query.sql;

	buffer_append_str(sql, "old AS (SELECT t.*, ");
	resource_append_guard(sql, scope);
	for (size_t i = 0; i < r->record->count; i++) {
		if (!is_changed(work, i))
			continue;
		work->changes = true;
		buffer_append_str(sql, ", ");
		append_new(work, i);
		buffer_printf(sql, " AS new_%zu", i);
	}
	buffer_printf(sql, " FROM %s.%s t WHERE t.id = $%zu AND ", r->schema,
		      r->table, resource_scope_params(scope) + 1);
	resource_append_rows(sql, scope);
	buffer_append_str(sql, " FOR UPDATE OF t)");
}

static void append_same_version(struct resource_work *work, const char *joint)
{
	buffer_printf(&work->query.sql,
		      "%sold.version = coalesce($%zu::bigint, old.version)",
		      joint, resource_scope_params(work->reach->scope) + 2);
}

static void append_set(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;

	for (size_t i = 0; i < record->count; i++)
		if (is_changed(work, i))
			buffer_printf(&work->query.sql, "%s = old.new_%zu, ",
				      record->fields[i].column, i);
	buffer_append_str(&work->query.sql,
			  "version = t.version + 1, updated_at = now()");
}

static void append_differs(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;
	const char *joint = " AND (";

	for (size_t i = 0; i < record->count; i++) {
		if (!is_changed(work, i))
			continue;
		buffer_printf(&work->query.sql,
			      "%sold.%s IS DISTINCT FROM old.new_%zu", joint,
			      record->fields[i].column, i);
		joint = " OR ";
	}
	buffer_append_str(&work->query.sql, ")");
}

/* What the audit row tells of the row written. */
static void append_returned(struct resource_work *work)
{
	const struct resource *r = work->store->resource;
	struct buffer *sql = &work->query.sql;

	buffer_append_str(sql, " RETURNING t.version");
	if (!r->audit)
		return;
	buffer_printf(sql, ", t.id, (%s) AS label", r->label);
	for (size_t i = 0; i < r->record->count; i++)
		if (is_changed(work, i) &&
		    resource_is_audited(&r->record->fields[i]))
			buffer_printf(sql, ", t.%s AS new_%zu",
				      r->record->fields[i].column, i);
}

/* "done AS (...)": the write, where something differs. */
static void append_done(struct resource_work *work)
{
	const struct resource *r = work->store->resource;
	struct buffer *sql = &work->query.sql;

	buffer_printf(sql, ", done AS (UPDATE %s.%s t SET ", r->schema,
		      r->table);
	append_set(work);
	buffer_append_str(sql,
			  " FROM old WHERE t.id = old.id AND old.permitted");
	append_same_version(work, " AND ");
	append_fixed(work, " AND ");
	append_differs(work);
	append_returned(work);
	buffer_append_str(sql, ")");
}

/* The rows an update's audit row is made of, with the values that changed,
 * before and after, side by side. */
static void append_states(struct resource_work *work, struct buffer *sql)
{
	const struct record *record = work->store->resource->record;
	const char *joint = "VALUES ";

	buffer_append_str(sql,
			  "done, old, LATERAL (SELECT "
			  "jsonb_object_agg(c.name, c.was)::text AS was, "
			  "jsonb_object_agg(c.name, c.became)::text AS became "
			  "FROM (");
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!is_changed(work, i) || !resource_is_audited(field))
			continue;
		buffer_printf(sql, "%s('%s', to_jsonb(old.%s)", joint,
			      field->name, field->column);
		resource_append_mask(sql, field);
		buffer_printf(sql, ", to_jsonb(done.new_%zu)", i);
		resource_append_mask(sql, field);
		buffer_append_char(sql, ')');
		joint = ", ";
	}
	/* Nothing but secrets was sent. */
	if (joint[0] == 'V')
		buffer_append_str(sql, "VALUES ('', NULL::jsonb, NULL::jsonb)");
	buffer_append_str(sql, ") c (name, was, became) "
			       "WHERE c.was IS DISTINCT FROM c.became) states");
}

static void append_audit(struct resource_work *work)
{
	const size_t first_param = work->query.param_count + 1;
	struct buffer source = {0};

	append_states(work, &source);
	buffer_append_char(&source, '\0');
	const struct audit audit = {
		.action = "UPDATE",
		.object_type = work->store->resource->audit,
		.object_id = "done.id",
		.object_name = "done.label",
		.old_state = "states.was",
		.new_state = "states.became",
		.source = source.data,
	};

	resource_audit_params_add(work);
	audit_append(&work->query.sql, first_param, &audit);
	buffer_fini(&source);
}

/* Columns of its answer; behind them one per fixed field: is it as it was. */
enum {
	UPDATED_VERSION, /* null: nothing was written */
	UPDATED_OLD_VERSION,
	UPDATED_PERMITTED,
	UPDATED_SAME_VERSION,
	UPDATED_FIXED,
};

/* One row where the caller may change the id. */
static void append_update(struct resource_work *work)
{
	struct buffer *sql = &work->query.sql;

	buffer_append_str(sql, "WITH ");
	append_old(work);
	if (work->changes)
		append_done(work);
	if (work->changes && work->store->resource->audit)
		append_audit(work);
	buffer_printf(sql, " SELECT %s, old.version, old.permitted, ",
		      work->changes ? "done.version" : "NULL::bigint");
	append_same_version(work, "");
	append_fixed(work, ", ");
	buffer_printf(sql, " FROM old%s",
		      work->changes ? " LEFT JOIN done ON true" : "");
}

/* ---- the answer ---- */

/* False: a fixed field was to be changed, and it was answered. */
static bool check_fixed(struct resource_work *work,
			const struct database_result *result)
{
	const struct record *record = work->store->resource->record;
	struct err err = {0};
	size_t column = UPDATED_FIXED;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i) && !database_bool(result, 0, column++))
			err_field(&err, record->fields[i].name,
				  "cannot be changed");
	if (err.code == ERR_OK)
		return true;
	resource_reply_fail(work, &err);
	return false;
}

static void reply_updated(struct resource_work *work,
			  const struct database_result *result)
{
	const bool written = !database_null(result, 0, UPDATED_VERSION);

	work->version = database_int(
		result, 0, written ? UPDATED_VERSION : UPDATED_OLD_VERSION);
	if (written)
		resource_publish(work, work->args.id, work->version,
				 EVENT_UPDATED);
	resource_write_end(work);
}

static void on_updated(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct resource_work *work = arg;

	if (!resource_met(work, result, error))
		return;
	if (!database_bool(result, 0, UPDATED_PERMITTED))
		resource_reply_code(work, ERR_FORBIDDEN);
	else if (!database_bool(result, 0, UPDATED_SAME_VERSION))
		resource_reply_code(work, ERR_PRECONDITION);
	else if (check_fixed(work, result))
		reply_updated(work, result);
}

static void update_run(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;

	resource_param_add(work, resource_number_text(work, work->args.id));
	resource_param_add(work, resource_version_text(work));
	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			resource_param_add(
				work,
				resource_param_text(work, &record->fields[i],
						    &work->values[i]));
	append_update(work);
	resource_run_query(work, DATABASE_WRITE, on_updated);
}

void resource_update(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, true);

	(void)service;
	if (work && resource_read_object(work, RECORD_UPDATE))
		resource_write_begin(work, EVENT_UPDATED);
}
