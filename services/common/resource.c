#include "services/common/resource.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/common/resource_internal.h"

#include <stdlib.h>

const char *resource_sql_type(const struct field *field)
{
	static const char *const types[] = {
		[FIELD_BOOL] = "boolean",    [FIELD_INT] = "bigint",
		[FIELD_STRING] = "text",     [FIELD_ENUM] = "text",
		[FIELD_ENUM_LIST] = "jsonb", [FIELD_OBJECT] = "jsonb",
		[FIELD_ID] = "bigint",	     [FIELD_TIME] = "timestamptz",
	};

	return types[field->type];
}

static char *buffer_take(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	return buffer->data;
}

bool resource_is_stored(const struct field *field)
{
	return field->column && !(field->flags & FIELD_READ_ONLY);
}

static void columns_init(struct resource_columns *columns,
			 const struct record *record, enum record_view view)
{
	struct buffer sql = {0};

	columns->fields = mem_alloc(record->count * sizeof(size_t));
	buffer_append_str(&sql, "version");
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!field->column || !record_shows(view, field))
			continue;
		columns->fields[columns->count++] = i;
		buffer_printf(&sql,
			      field->type == FIELD_TIME
				      ? ", extract(epoch FROM %s)::bigint"
				      : ", %s",
			      field->column);
	}
	columns->sql = buffer_take(&sql);
}

/* "name, enabled, ..." and "$4::text, $5::boolean, ...". */
static void insert_lists(const struct record *record, size_t first_param,
			 struct buffer *names, struct buffer *params)
{
	const char *joint = "";

	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!resource_is_stored(field))
			continue;
		buffer_printf(names, "%s%s", joint, field->column);
		buffer_printf(params, "%s$%zu::%s", joint, first_param++,
			      resource_sql_type(field));
		joint = ", ";
	}
}

static char *create_sql(const struct resource *r)
{
	struct buffer names = {0}, params = {0}, sql = {0};

	insert_lists(r->record, 1, &names, &params);
	buffer_printf(&sql,
		      "INSERT INTO %s.%s (%.*s) VALUES (%.*s) "
		      "RETURNING id, version",
		      r->schema, r->table, SLICE_ARG(buffer_slice(&names)),
		      SLICE_ARG(buffer_slice(&params)));
	buffer_fini(&names);
	buffer_fini(&params);
	return buffer_take(&sql);
}

/* $1 principal, $2 key, $3 request. Two at once with one key: the second waits
 * for the first at the key's primary key, breaks it, and is run again. */
static char *create_once_sql(const struct resource *r)
{
	struct buffer names = {0}, params = {0}, sql = {0};

	insert_lists(r->record, 4, &names, &params);
	buffer_printf(
		&sql,
		"WITH known AS (SELECT id, request FROM %s.idempotency_keys "
		"WHERE principal = $1 AND key = $2), "
		"made AS (INSERT INTO %s.%s (%.*s) SELECT %.*s "
		"WHERE NOT EXISTS (SELECT FROM known) RETURNING id, version), "
		"kept AS (INSERT INTO %s.idempotency_keys "
		"(principal, key, request, id) "
		"SELECT $1, $2, $3, id FROM made) "
		"SELECT id, version, true, true FROM made UNION ALL "
		"SELECT known.id, 1, known.request = $3, false FROM known",
		r->schema, r->schema, r->table, SLICE_ARG(buffer_slice(&names)),
		SLICE_ARG(buffer_slice(&params)), r->schema);
	buffer_fini(&names);
	buffer_fini(&params);
	return buffer_take(&sql);
}

static char *get_sql(const struct resource *r,
		     const struct resource_columns *columns)
{
	struct buffer sql = {0};

	buffer_printf(&sql, "SELECT %s FROM %s.%s WHERE id = $1", columns->sql,
		      r->schema, r->table);
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

/* One row where the id exists: whether its version was the asked one and it is
 * gone, and that version. */
static char *destroy_sql(const struct resource *r)
{
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "WITH old AS (SELECT id, version FROM %s.%s "
		      "WHERE id = $1 FOR UPDATE), "
		      "gone AS (DELETE FROM %s.%s t USING old "
		      "WHERE t.id = old.id AND "
		      "old.version = coalesce($2::bigint, old.version) "
		      "RETURNING t.id) "
		      "SELECT gone.id IS NOT NULL, old.version FROM old "
		      "LEFT JOIN gone ON true",
		      r->schema, r->table, r->schema, r->table);
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

static char *name_of(const struct resource *r, const char *method)
{
	struct buffer name = {0};

	buffer_printf(&name, "%s.%s", r->name, method);
	return buffer_take(&name);
}

/* sql is taken over. */
static struct resource_statement statement_of(const struct resource *r,
					      const char *method, char *sql)
{
	return (struct resource_statement){.name = name_of(r, method),
					   .sql = sql};
}

static void statement_free(struct resource_statement *statement)
{
	free(statement->name);
	free(statement->sql);
}

struct resource_store *resource_store_new(const struct resource *r,
					  struct database *database,
					  const struct secrets_key *key,
					  struct events_publisher *events)
{
	struct resource_store *store = mem_alloc(sizeof(*store));
	struct resource_columns *views = store->views;

	store->resource = r;
	store->database = database;
	store->key = key;
	store->events = events;
	for (int view = 0; view < RECORD_VIEWS; view++)
		columns_init(&views[view], r->record, (enum record_view)view);
	store->get = statement_of(r, "get", get_sql(r, &views[RECORD_FULL]));
	store->fetch =
		statement_of(r, "fetch", fetch_sql(r, &views[RECORD_SECRET]));
	store->versions = statement_of(r, "versions", versions_sql(r));
	store->create = statement_of(r, "create", create_sql(r));
	store->create_once = statement_of(r, "create_once", create_once_sql(r));
	store->destroy = statement_of(r, "destroy", destroy_sql(r));
	store->sweep = statement_of(r, "sweep", sweep_sql(r));
	return store;
}

void resource_store_free(struct resource_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < RECORD_VIEWS; i++) {
		free(store->views[i].fields);
		free(store->views[i].sql);
	}
	statement_free(&store->get);
	statement_free(&store->fetch);
	statement_free(&store->versions);
	statement_free(&store->create);
	statement_free(&store->create_once);
	statement_free(&store->destroy);
	statement_free(&store->sweep);
	for (size_t i = 0; i < RESOURCE_METHODS; i++)
		free(store->method_names[i]);
	free(store);
}

static const struct {
	const char *name;
	bus_handler_fn *handle;
	bool internal; /* for PRINCIPAL_SERVICE alone */
} methods[RESOURCE_METHODS] = {
	{"list", resource_list},
	{"get", resource_get},
	{"create", resource_create},
	{"update", resource_update},
	{"destroy", resource_destroy},
	{"export", resource_export},
	{"versions", resource_versions, true},
	{"fetch", resource_fetch, true},
};

void resource_methods(struct resource_store *store, unsigned who,
		      struct bus_method out[RESOURCE_METHODS])
{
	for (size_t i = 0; i < RESOURCE_METHODS; i++) {
		free(store->method_names[i]);
		store->method_names[i] =
			name_of(store->resource, methods[i].name);
		out[i] = (struct bus_method){
			.name = store->method_names[i],
			.handle = methods[i].handle,
			.who = methods[i].internal ? PRINCIPAL_SERVICE : who,
			.data = store};
	}
}

static void on_swept(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	const struct resource_store *store = arg;

	log_event(error ? LOG_WARN : LOG_DEBUG, "resource.swept",
		  LOG_STR("resource", store->resource->name),
		  LOG_INT("keys", error ? 0 : database_rows(result)));
}

void resource_sweep(struct resource_store *store)
{
	enum { SWEEP_DEADLINE_MS = 60000 }; /* nobody waits for it */

	const struct database_statement statement = {
		.lane = DATABASE_WRITE,
		.name = store->sweep.name,
		.sql = store->sweep.sql,
		.deadline_ms = SWEEP_DEADLINE_MS,
		.done = on_swept,
		.arg = store,
	};

	database_run(store->database, &statement);
}
