/* The resource engine's statements: what is prepared for each scope, and the
 * pieces of what is made for one call. */

#include "services/common/resource_internal.h"

#include "proto/mem.h"
#include "services/common/audit.h"

#include <stdlib.h>

const char *resource_sql_type(const struct field *field)
{
	static const char *const types[] = {
		[FIELD_BOOL] = "boolean",    [FIELD_INT] = "bigint",
		[FIELD_STRING] = "text",     [FIELD_ENUM] = "text",
		[FIELD_ENUM_LIST] = "jsonb", [FIELD_OBJECT] = "jsonb",
		[FIELD_ID] = "bigint",	     [FIELD_TIME] = "timestamptz",
		[FIELD_OBJECTS] = "jsonb",
	};

	return types[field->type];
}

bool resource_is_stored(const struct field *field)
{
	return field->column && !(field->flags & FIELD_READ_ONLY);
}

bool resource_takes(const struct resource_scope *scope,
		    const struct field *field)
{
	return resource_is_stored(field) &&
	       !(scope && scope->owner &&
		 strcmp(scope->owner, field->column) == 0);
}

bool resource_is_audited(const struct field *field)
{
	return field->column && record_shows(RECORD_FULL, field);
}

void resource_append_mask(struct buffer *sql, const struct field *field)
{
	const struct record *record = field->record;

	for (size_t i = 0; field->type == FIELD_OBJECT && i < record->count;
	     i++)
		if (record->fields[i].flags & FIELD_SECRET)
			buffer_printf(sql, " - '%s'::text",
				      record->fields[i].name);
}

static char *buffer_take(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	return buffer->data;
}

/* ---- scopes ---- */

size_t resource_scope_params(const struct resource_scope *scope)
{
	return scope && scope->by != RESOURCE_BY_NOBODY ? 1 : 0;
}

/* The caller's id is null where it has none: then nothing is its. It also gives
 * the parameter its type where no text of the scope does. */
static void append_caller(struct buffer *sql,
			  const struct resource_scope *scope)
{
	buffer_append_str(sql, resource_scope_params(scope)
				       ? "$1::bigint IS NOT NULL"
				       : "true");
}

void resource_append_rows(struct buffer *sql,
			  const struct resource_scope *scope)
{
	append_caller(sql, scope);
	if (scope && scope->rows)
		buffer_printf(sql, " AND (%s)", scope->rows);
}

void resource_append_guard(struct buffer *sql,
			   const struct resource_scope *scope)
{
	if (scope && scope->guard)
		buffer_printf(sql, "coalesce((%s), false) AS permitted",
			      scope->guard);
	else
		buffer_append_str(sql, "true AS permitted");
}

static const char *overlay_of(const struct resource_loan *loan,
			      const char *column)
{
	for (size_t i = 0; loan && i < loan->overlay_count; i++)
		if (strcmp(loan->overlays[i].column, column) == 0)
			return loan->overlays[i].sql;
	return NULL;
}

static void append_column(struct buffer *sql, const struct resource_loan *loan,
			  const char *column)
{
	const char *overlay = overlay_of(loan, column);

	if (overlay)
		buffer_printf(sql, "%s AS %s", overlay, column);
	else
		buffer_printf(sql, "t.%s", column);
}

static bool is_listed(const struct record *record, size_t end,
		      const char *column)
{
	if (strcmp(column, "id") == 0 || strcmp(column, "version") == 0)
		return true;
	for (size_t i = 0; i < end; i++)
		if (record->fields[i].column &&
		    strcmp(record->fields[i].column, column) == 0)
			return true;
	return false;
}

/* Every column that the record's views and queries name, once. */
static void append_columns(struct buffer *sql, const struct record *record,
			   const struct resource_loan *loan)
{
	buffer_append_str(sql, "SELECT t.id, ");
	append_column(sql, loan, "version");
	for (size_t i = 0; i < record->count; i++) {
		const char *column = record->fields[i].column;

		if (!column || is_listed(record, i, column))
			continue;
		buffer_append_str(sql, ", ");
		append_column(sql, loan, column);
	}
}

/* "SELECT ... FROM schema.table t WHERE ...": of the caller's own rows. */
static void append_own(struct buffer *sql, const struct resource *r,
		       const struct resource_scope *scope)
{
	append_columns(sql, r->record, NULL);
	buffer_printf(sql, " FROM %s.%s t WHERE ", r->schema, r->table);
	resource_append_rows(sql, scope);
}

/* The same of those lent to it. */
static void append_lent(struct buffer *sql, const struct resource *r,
			const struct resource_scope *scope)
{
	const struct resource_loan *loan = scope->loan;

	append_columns(sql, r->record, loan);
	buffer_printf(sql, " FROM %s.%s t %s WHERE ", r->schema, r->table,
		      loan->join);
	append_caller(sql, scope);
	buffer_printf(sql, " AND (%s)", loan->rows);
}

/* Of a scope with a loan: two flat selects, into which PostgreSQL takes the
 * conditions around them. */
static void reach_init_lent(struct resource_reach *reach,
			    const struct resource *r)
{
	struct buffer own = {0}, lent = {0}, source = {0};

	append_own(&own, r, reach->scope);
	append_lent(&lent, r, reach->scope);
	reach->own = buffer_take(&own);
	reach->lent = buffer_take(&lent);
	buffer_printf(&source, " FROM (%s UNION ALL %s) t WHERE true",
		      reach->own, reach->lent);
	reach->source = buffer_take(&source);
}

static void reach_init_source(struct resource_reach *reach,
			      const struct resource *r)
{
	struct buffer source = {0};

	if (reach->scope && reach->scope->loan) {
		reach_init_lent(reach, r);
		return;
	}
	buffer_printf(&source, " FROM %s.%s t WHERE ", r->schema, r->table);
	resource_append_rows(&source, reach->scope);
	reach->source = buffer_take(&source);
}

void resource_append_first(struct buffer *sql,
			   const struct resource_reach *reach,
			   const char *conditions, const char *order,
			   int64_t count)
{
	const char *const halves[] = {reach->own, reach->lent};

	if (!reach->lent) {
		buffer_printf(sql, "%s%s", reach->source, conditions);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		buffer_printf(sql,
			      "%s(SELECT * FROM (%s) t WHERE true%s%s "
			      "LIMIT %lld)",
			      i == 0 ? " FROM (" : " UNION ALL ", halves[i],
			      conditions, order, (long long)count);
	buffer_append_str(sql, ") t");
}

/* ---- audit ---- */

/* ", (label) AS label, (...) AS state": of a row t that is written, JSON text
 * under the names of its fields. */
static void append_state(struct buffer *sql, const struct resource *r)
{
	const char *joint = "";

	if (!r->audit)
		return;
	buffer_printf(sql,
		      ", (%s) AS label, "
		      "(SELECT row_to_json(s)::text FROM (SELECT ",
		      r->label);
	for (size_t i = 0; i < r->record->count; i++) {
		const struct field *field = &r->record->fields[i];

		if (!resource_is_audited(field))
			continue;
		buffer_printf(sql, "%st.%s", joint, field->column);
		resource_append_mask(sql, field);
		buffer_printf(sql, " AS \"%s\"", field->name);
		joint = ", ";
	}
	buffer_append_str(sql, ") s) AS state");
}

/* ---- create ---- */

/* " (name, enabled, ...) SELECT $4::text, $5::boolean, ..."; returns the number
 * of the first parameter behind them. */
static size_t append_values(struct buffer *sql, const struct resource *r,
			    const struct resource_scope *scope, size_t param)
{
	const struct record *record = r->record;
	struct buffer names = {0}, params = {0};
	const char *joint = "";

	if (scope && scope->owner) {
		buffer_append_str(&names, scope->owner);
		buffer_append_str(&params, "$1::bigint");
		joint = ", ";
	}
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!resource_takes(scope, field))
			continue;
		buffer_printf(&names, "%s%s", joint, field->column);
		buffer_printf(&params, "%s$%zu::%s", joint, param++,
			      resource_sql_type(field));
		joint = ", ";
	}
	buffer_printf(sql, "(%.*s) SELECT %.*s",
		      SLICE_ARG(buffer_slice(&names)),
		      SLICE_ARG(buffer_slice(&params)));
	buffer_fini(&names);
	buffer_fini(&params);
	return param;
}

/* With the audit row of what was made: its state is a parameter behind the
 * others, since writing the row out here costs as much as inserting it. */
static void append_made_audit(struct buffer *sql, const struct resource *r,
			      size_t param)
{
	char state[24];
	const struct audit audit = {
		.action = "CREATE",
		.object_type = r->audit,
		.object_id = "made.id",
		.object_name = "made.label",
		.new_state = state,
		.source = "made",
	};

	snprintf(state, sizeof(state), "$%zu::text", param + AUDIT_PARAMS);
	audit_append(sql, param, &audit);
}

/* "made AS (INSERT ...)" under the conditions of the scope and, where there is
 * one, this one. */
static void append_made(struct buffer *sql, const struct resource *r,
			const struct resource_scope *scope, size_t param,
			const char *condition)
{
	buffer_printf(sql, "made AS (INSERT INTO %s.%s AS t ", r->schema,
		      r->table);
	param = append_values(sql, r, scope, param);
	buffer_append_str(sql, " WHERE ");
	append_caller(sql, scope);
	if (scope && scope->guard)
		buffer_printf(sql, " AND (%s)", scope->guard);
	buffer_append_str(sql, condition);
	buffer_append_str(sql, " RETURNING t.id, t.version");
	if (r->audit)
		buffer_printf(sql, ", (%s) AS label", r->label);
	buffer_append_str(sql, ")");
	if (r->audit)
		append_made_audit(sql, r, param);
}

/* No row: the guard does not hold. */
static char *create_sql(const struct resource *r,
			const struct resource_scope *scope)
{
	struct buffer sql = {0};

	buffer_append_str(&sql, "WITH ");
	append_made(&sql, r, scope, resource_scope_params(scope) + 1, "");
	buffer_append_str(&sql, " SELECT id, version FROM made");
	return buffer_take(&sql);
}

/* Principal, key, request, then as above. Two at once with one key: the second
 * waits for the first at the key's primary key, breaks it, and is run again. */
static char *create_once_sql(const struct resource *r,
			     const struct resource_scope *scope)
{
	const size_t p = resource_scope_params(scope) + 1;
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "WITH known AS (SELECT id, request "
		      "FROM %s.idempotency_keys "
		      "WHERE principal = $%zu AND key = $%zu), ",
		      r->schema, p, p + 1);
	append_made(&sql, r, scope, p + 3,
		    " AND NOT EXISTS (SELECT FROM known)");
	buffer_printf(&sql,
		      ", kept AS (INSERT INTO %s.idempotency_keys "
		      "(principal, key, request, id) "
		      "SELECT $%zu, $%zu, $%zu, id FROM made) "
		      "SELECT id, version, true, true FROM made UNION ALL "
		      "SELECT known.id, 1, known.request = $%zu, false "
		      "FROM known",
		      r->schema, p, p + 1, p + 2, p + 2);
	return buffer_take(&sql);
}

/* ---- the others ---- */

static char *get_sql(const struct resource_reach *reach,
		     const struct resource_columns *columns)
{
	struct buffer sql = {0};

	buffer_printf(&sql, "SELECT %s%s AND id = $%zu", columns->sql,
		      reach->source, resource_scope_params(reach->scope) + 1);
	return buffer_take(&sql);
}

/* One row where the caller may change the id: whether its version was the asked
 * one and the guard held and it is gone, that version, whether the guard held.
 */
static char *destroy_sql(const struct resource *r,
			 const struct resource_scope *scope)
{
	const struct audit audit = {
		.action = "DELETE",
		.object_type = r->audit,
		.object_id = "gone.id",
		.object_name = "gone.label",
		.old_state = "gone.state",
		.source = "gone",
	};
	const size_t p = resource_scope_params(scope) + 1;
	struct buffer sql = {0};

	buffer_append_str(&sql, "WITH old AS (SELECT t.id, t.version, ");
	resource_append_guard(&sql, scope);
	buffer_printf(&sql, " FROM %s.%s t WHERE t.id = $%zu AND ", r->schema,
		      r->table, p);
	resource_append_rows(&sql, scope);
	buffer_printf(&sql,
		      " FOR UPDATE OF t), gone AS (DELETE FROM %s.%s t "
		      "USING old WHERE t.id = old.id AND old.permitted AND "
		      "old.version = coalesce($%zu::bigint, old.version) "
		      "RETURNING t.id",
		      r->schema, r->table, p + 1);
	append_state(&sql, r);
	buffer_append_str(&sql, ")");
	if (r->audit)
		audit_append(&sql, p + 2, &audit);
	buffer_append_str(&sql, " SELECT gone.id IS NOT NULL, old.version, "
				"old.permitted FROM old "
				"LEFT JOIN gone ON true");
	return buffer_take(&sql);
}

/* The ids in one array, so that it is one statement however many there are. */
static char *fetch_sql(const struct resource *r,
		       const struct resource_columns *columns)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "SELECT id, %s FROM %s.%s WHERE id = ANY($1::bigint[])",
		      columns->sql, r->schema, r->table);
	return buffer_take(&sql);
}

/* Ids in order, page by page: an index scan from $1 on. */
static char *versions_sql(const struct resource *r)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "SELECT id, version FROM %s.%s WHERE id > $1 "
		      "ORDER BY id LIMIT %d",
		      r->schema, r->table, RESOURCE_VERSIONS_PAGE);
	return buffer_take(&sql);
}

/* In the order of the record; no secret fields: nothing. */
static char *sealed_sql(const struct resource *r)
{
	const struct record *record = r->record;
	struct buffer sql = {0};
	const char *joint = "";

	buffer_append_str(&sql, "SELECT ");
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!resource_is_stored(field) ||
		    !(field->flags & FIELD_SECRET))
			continue;
		buffer_printf(&sql, "%s%s", joint, field->column);
		joint = ", ";
	}
	buffer_printf(&sql, " FROM %s.%s WHERE id = $1", r->schema, r->table);
	return buffer_take(&sql);
}

static char *sweep_sql(const struct resource *r)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "DELETE FROM %s.idempotency_keys "
		      "WHERE created_at < now() - interval '1 day'",
		      r->schema);
	return buffer_take(&sql);
}

/* ---- the store's ---- */

/* sql is taken over. "provider.fetch", and of a scope "provider.0.get". */
static struct resource_statement statement_of(const struct resource *r,
					      const char *scope,
					      const char *method, char *sql)
{
	struct buffer name = {0};

	buffer_printf(&name, "%s%s.%s", r->name, scope, method);
	return (struct resource_statement){.name = buffer_take(&name),
					   .sql = sql};
}

static void reach_init(struct resource_store *store, size_t index)
{
	const struct resource *r = store->resource;
	struct resource_reach *reach = &store->reaches[index];
	char scope[24] = "";

	if (index < r->scope_count) {
		reach->scope = &r->scopes[index];
		snprintf(scope, sizeof(scope), ".%zu", index);
	}
	reach_init_source(reach, r);
	reach->get = statement_of(r, scope, "get",
				  get_sql(reach, &store->views[RECORD_FULL]));
	reach->create =
		statement_of(r, scope, "create", create_sql(r, reach->scope));
	reach->create_once = statement_of(r, scope, "create_once",
					  create_once_sql(r, reach->scope));
	reach->destroy =
		statement_of(r, scope, "destroy", destroy_sql(r, reach->scope));
}

void resource_statements_init(struct resource_store *store)
{
	const struct resource *r = store->resource;

	store->reaches =
		mem_alloc((r->scope_count + 1) * sizeof(*store->reaches));
	for (size_t i = 0; i <= r->scope_count; i++)
		reach_init(store, i);
	store->fetch = statement_of(r, "", "fetch",
				    fetch_sql(r, &store->views[RECORD_SECRET]));
	store->versions = statement_of(r, "", "versions", versions_sql(r));
	store->sealed = statement_of(r, "", "sealed", sealed_sql(r));
	store->sweep = statement_of(r, "", "sweep", sweep_sql(r));
}

static void statement_free(struct resource_statement *statement)
{
	free(statement->name);
	free(statement->sql);
}

void resource_statements_free(struct resource_store *store)
{
	for (size_t i = 0; i <= store->resource->scope_count; i++) {
		struct resource_reach *reach = &store->reaches[i];

		free(reach->source);
		free(reach->own);
		free(reach->lent);
		statement_free(&reach->get);
		statement_free(&reach->create);
		statement_free(&reach->create_once);
		statement_free(&reach->destroy);
	}
	free(store->reaches);
	statement_free(&store->fetch);
	statement_free(&store->versions);
	statement_free(&store->sealed);
	statement_free(&store->sweep);
}
