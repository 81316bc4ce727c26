#include "services/common/resource.h"

#include "proto/mem.h"
#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/log.h"
#include "services/common/query.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* Objects of one page of an export: with the largest of them it stays
	 * well below MESSAGE_BATCH_BYTES_MAX. */
	EXPORT_PAGE = 100,
	IDEMPOTENCY_KEY_BYTES_MAX = 255,
};

/* The columns a view reads: which fields, in order, behind the version. */
struct columns {
	size_t *fields; /* indexes into the record */
	size_t count;
	char *sql; /* "version, name, ..." */
};

struct resource_store {
	const struct resource *resource;
	struct database *database;
	const struct secrets_key *key;
	struct columns views[2]; /* by enum record_view */

	/* Prepared statements and their names. */
	char *get_name, *get_sql;
	char *create_name, *create_sql;
	char *once_name, *once_sql;
	char *destroy_name, *destroy_sql;
	char *sweep_sql;

	char *method_names[RESOURCE_METHODS];
};

/* ---- SQL text ---- */

static const char *sql_types[] = {
	[FIELD_BOOL] = "boolean",    [FIELD_INT] = "bigint",
	[FIELD_STRING] = "text",     [FIELD_ENUM] = "text",
	[FIELD_ENUM_LIST] = "jsonb", [FIELD_OBJECT] = "jsonb",
	[FIELD_ID] = "bigint",	     [FIELD_TIME] = "timestamptz",
};

static char *buffer_take(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	return buffer->data;
}

/* Whether a client's value goes into a column of the field. */
static bool is_stored(const struct field *field)
{
	return field->column && !(field->flags & FIELD_READ_ONLY);
}

static void columns_init(struct columns *columns, const struct record *record,
			 enum record_view view)
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

		if (!is_stored(field))
			continue;
		buffer_printf(names, "%s%s", joint, field->column);
		buffer_printf(params, "%s$%zu::%s", joint, first_param++,
			      sql_types[field->type]);
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
static char *once_sql(const struct resource *r)
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
		"SELECT id, version, true FROM made UNION ALL "
		"SELECT known.id, 1, known.request = $3 FROM known",
		r->schema, r->schema, r->table, SLICE_ARG(buffer_slice(&names)),
		SLICE_ARG(buffer_slice(&params)), r->schema);
	buffer_fini(&names);
	buffer_fini(&params);
	return buffer_take(&sql);
}

static char *get_sql(const struct resource *r, const struct columns *columns)
{
	struct buffer sql = {0};

	buffer_printf(&sql, "SELECT %s FROM %s.%s WHERE id = $1", columns->sql,
		      r->schema, r->table);
	return buffer_take(&sql);
}

/* One row where the id exists: whether its version was the asked one and it is
 * gone. */
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
		      "SELECT gone.id IS NOT NULL FROM old "
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

struct resource_store *resource_store_new(const struct resource *resource,
					  struct database *database,
					  const struct secrets_key *key)
{
	struct resource_store *store = mem_alloc(sizeof(*store));

	store->resource = resource;
	store->database = database;
	store->key = key;
	columns_init(&store->views[RECORD_FULL], resource->record, RECORD_FULL);
	columns_init(&store->views[RECORD_SUMMARY], resource->record,
		     RECORD_SUMMARY);
	store->get_name = name_of(resource, "get");
	store->get_sql = get_sql(resource, &store->views[RECORD_FULL]);
	store->create_name = name_of(resource, "create");
	store->create_sql = create_sql(resource);
	store->once_name = name_of(resource, "create_once");
	store->once_sql = once_sql(resource);
	store->destroy_name = name_of(resource, "destroy");
	store->destroy_sql = destroy_sql(resource);
	store->sweep_sql = sweep_sql(resource);
	return store;
}

void resource_store_free(struct resource_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < 2; i++) {
		free(store->views[i].fields);
		free(store->views[i].sql);
	}
	free(store->get_name);
	free(store->get_sql);
	free(store->create_name);
	free(store->create_sql);
	free(store->once_name);
	free(store->once_sql);
	free(store->destroy_name);
	free(store->destroy_sql);
	free(store->sweep_sql);
	for (size_t i = 0; i < RESOURCE_METHODS; i++)
		free(store->method_names[i]);
	free(store);
}

/* ---- one call ---- */

/* The arguments of every method but the lists. */
struct args {
	int64_t id; /* 0: not given */
	int64_t if_version;
	struct slice key;
	struct slice object;
};

/* One request on its way; in the call's arena. */
struct work {
	const struct resource_store *store;
	struct bus_call *call;
	struct arena *arena;
	struct args args;
	struct value *values; /* of the object sent */
	struct query query;   /* parameters; the text where it is made anew */
	enum record_view view;
	bool lost_to_key; /* a create met its own Idempotency-Key, once */
};

static void reply_fail(struct work *work, const struct err *err)
{
	buffer_fini(&work->query.sql);
	bus_reply_error(work->call, err);
}

static void reply_code(struct work *work, enum err_code code)
{
	struct err err;

	err_code_set(&err, code);
	reply_fail(work, &err);
}

static void reply_ok(struct work *work, int64_t version)
{
	buffer_fini(&work->query.sql);
	bus_reply_ok(work->call, (uint64_t)version);
}

static struct work *work_new(struct bus_call *call)
{
	struct arena *arena = bus_call_arena(call);
	struct work *work = arena_alloc(arena, sizeof(*work));

	work->store = bus_call_data(call); /* see resource_methods() */
	work->call = call;
	work->arena = arena;
	work->query.resource = work->store->resource;
	work->query.arena = arena;
	return work;
}

static bool take_arg(struct reader *reader, struct args *args)
{
	const struct slice key = reader_str(reader);

	if (slice_is(key, "id"))
		args->id = reader_id(reader);
	else if (slice_is(key, "if_version"))
		args->if_version = reader_int(reader);
	else if (slice_is(key, "idempotency_key"))
		args->key = reader_str(reader);
	else if (slice_is(key, "object"))
		args->object = reader_value(reader);
	else
		reader_fail(reader);
	return reader_ok(reader);
}

/* Makes the work of a call whose arguments have to hold an id. NULL: it was
 * answered. */
static struct work *work_begin(struct bus_call *call, bool needs_id)
{
	struct work *work = work_new(call);
	struct args *args = &work->args;
	struct reader reader;
	struct err err;

	reader_init(&reader, bus_call_request(call)->args);
	for (uint32_t n = reader_map(&reader); n > 0; n--)
		if (!take_arg(&reader, args))
			break;
	if (reader_done(&reader) && (args->id > 0) == needs_id &&
	    args->if_version >= 0 &&
	    args->key.size <= IDEMPOTENCY_KEY_BYTES_MAX)
		return work;
	err_set(&err, ERR_MALFORMED, "malformed arguments");
	reply_fail(work, &err);
	return NULL;
}

/* Parameters are kept by pointer: they live in the call's arena. */
static void param_add(struct work *work, const char *text)
{
	assert(work->query.param_count < QUERY_PARAMS_MAX);
	work->query.params[work->query.param_count++] = text;
}

static const char *number_text(struct work *work, int64_t number)
{
	return arena_printf(work->arena, "%lld", (long long)number);
}

static const char *version_text(struct work *work)
{
	return work->args.if_version > 0
		       ? number_text(work, work->args.if_version)
		       : NULL;
}

static void run(struct work *work, enum database_lane lane, const char *name,
		const char *sql, database_done_fn *done)
{
	const struct database_statement statement = {
		.lane = lane,
		.name = name,
		.sql = sql,
		.params = work->query.params,
		.param_count = work->query.param_count,
		.deadline_ms = bus_call_left_ms(work->call),
		.done = done,
		.arg = work,
	};

	database_run(work->store->database, &statement);
}

/* What a client is told of a broken constraint. */
static void reply_database_error(struct work *work,
				 const struct database_error *error)
{
	const struct resource *r = work->store->resource;
	struct err err;

	err_code_set(&err, error->code);
	for (size_t i = 0; i < r->constraint_count; i++) {
		const struct resource_constraint *c = &r->constraints[i];

		if (strcmp(c->name, error->constraint) != 0)
			continue;
		err_set(&err, error->code, "%s", c->text);
		if (c->field) {
			err.detail_count = 1;
			snprintf(err.details[0].field, ERR_FIELD_BYTES, "%s",
				 c->field);
			snprintf(err.details[0].reason, ERR_REASON_BYTES, "%s",
				 c->text);
		}
	}
	reply_fail(work, &err);
}

/* ---- rows ---- */

static void load_value(struct work *work, const struct field *field,
		       struct slice cell, struct value *value)
{
	if (!cell.data)
		return;
	switch (field->type) {
	case FIELD_BOOL:
		value->kind = VALUE_BOOL;
		value->boolean = cell.data[0] == 't';
		break;
	case FIELD_INT:
	case FIELD_ID:
	case FIELD_TIME:
		value->kind = VALUE_INT;
		value->integer = strtoll(cell.data, NULL, 10);
		break;
	case FIELD_STRING:
	case FIELD_ENUM:
		value->kind = VALUE_STR;
		value->string = cell;
		break;
	case FIELD_OBJECT:
	case FIELD_ENUM_LIST:
		if (!slice_is(cell, "{}") &&
		    record_load(field, cell, work->arena, value) != ERR_OK)
			log_event(LOG_ERROR, "resource.unreadable",
				  LOG_STR("resource",
					  work->store->resource->name),
				  LOG_STR("field", field->name));
		break;
	}
}

/* Writes a row whose view begins at a column: version, then the fields. */
static void write_row(struct work *work, const struct database_result *result,
		      size_t row, size_t column, struct value *values,
		      struct buffer *out)
{
	const struct record *record = work->store->resource->record;
	const struct columns *columns = &work->store->views[work->view];

	memset(values, 0, record->count * sizeof(*values));
	for (size_t i = 0; i < columns->count; i++) {
		const size_t f = columns->fields[i];

		load_value(work, &record->fields[f],
			   database_cell(result, row, column + 1 + i),
			   &values[f]);
	}
	record_encode(record, work->view, values, out);
}

static struct value *values_new(struct work *work)
{
	const size_t count = work->store->resource->record->count;

	return arena_alloc(work->arena, count * sizeof(struct value));
}

/* ---- get ---- */

static void on_got(void *arg, const struct database_result *result,
		   const struct database_error *error)
{
	struct work *work = arg;

	if (error) {
		reply_database_error(work, error);
	} else if (database_rows(result) == 0) {
		reply_code(work, ERR_NOT_FOUND);
	} else {
		write_row(work, result, 0, 0, values_new(work),
			  bus_call_body(work->call));
		reply_ok(work, database_int(result, 0, 0));
	}
}

static void get(void *service, struct bus_call *call)
{
	struct work *work = work_begin(call, true);

	(void)service;
	if (!work)
		return;
	work->view = RECORD_FULL;
	param_add(work, number_text(work, work->args.id));
	run(work, DATABASE_READ, work->store->get_name, work->store->get_sql,
	    on_got);
}

/* ---- list and export ---- */

/* The options of a list, checked. False: it was answered. */
static bool read_query(struct work *work, struct value *options)
{
	struct reader reader;
	struct err err = {0};

	reader_init(&reader, bus_call_request(work->call)->args);
	if (record_decode(&query_record, RECORD_CREATE, &reader, work->arena,
			  options, &err) != ERR_OK) {
		reply_fail(work, &err);
		return false;
	}
	record_default(&query_record, options);
	return true;
}

/* " FROM table WHERE true AND ..." of filter and search. */
static enum err_code append_where(struct work *work,
				  const struct value *options, struct err *err)
{
	const struct resource *r = work->store->resource;
	struct query *query = &work->query;

	buffer_printf(&query->sql, " FROM %s.%s WHERE true", r->schema,
		      r->table);
	enum err_code code = ERR_OK;

	if (options[QUERY_FILTER].kind == VALUE_STR)
		code = query_filter(query, options[QUERY_FILTER].string, err);
	if (code == ERR_OK && options[QUERY_SEARCH].kind == VALUE_STR)
		code = query_search(query, options[QUERY_SEARCH].string, err);
	return code;
}

/* The total and the page in one statement: a left join, so that the total is
 * there where the page is empty. The row number keeps the page's order. */
static enum err_code list_sql(struct work *work, const struct value *options,
			      struct err *err)
{
	struct buffer *sql = &work->query.sql;
	struct slice orderby = {0};

	enum err_code code = append_where(work, options, err);

	if (code != ERR_OK)
		return code;
	/* The condition stands twice, with the same parameters. */
	const char *where = arena_strdup(work->arena, buffer_slice(sql));

	sql->size = 0;
	buffer_printf(
		sql,
		"SELECT total, page.* FROM (SELECT %s%s) counted "
		"LEFT JOIN (SELECT row_number() OVER () AS place, found.* "
		"FROM (SELECT %s%s",
		options[QUERY_COUNT].boolean ? "count(*) AS total"
					     : "NULL::bigint AS total",
		options[QUERY_COUNT].boolean ? where : "",
		work->store->views[RECORD_SUMMARY].sql, where);
	if (options[QUERY_ORDERBY].kind == VALUE_STR)
		orderby = options[QUERY_ORDERBY].string;
	code = query_orderby(&work->query, orderby, err);
	buffer_printf(sql,
		      " LIMIT %lld OFFSET %lld) found) page ON true "
		      "ORDER BY page.place",
		      (long long)options[QUERY_TOP].integer,
		      (long long)options[QUERY_SKIP].integer);
	buffer_append_char(sql, '\0');
	return code;
}

/* Columns of a list's row in front of the view's. */
enum { LIST_TOTAL, LIST_PLACE, LIST_VIEW };

static void on_listed(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct work *work = arg;

	if (error) {
		reply_database_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);
	const bool counted = !database_null(result, 0, LIST_TOTAL);
	const size_t rows = database_null(result, 0, LIST_PLACE)
				    ? 0
				    : database_rows(result);
	struct value *values = values_new(work);

	writer_map(out, counted ? 2 : 1);
	if (counted) {
		writer_text(out, "count");
		writer_int(out, database_int(result, 0, LIST_TOTAL));
	}
	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++)
		write_row(work, result, row, LIST_VIEW, values, out);
	reply_ok(work, 0);
}

static void list(void *service, struct bus_call *call)
{
	struct work *work = work_new(call);
	struct value options[QUERY_FIELDS];
	struct err err = {0};

	(void)service;
	work->view = RECORD_SUMMARY;
	if (!read_query(work, options))
		return;
	if (list_sql(work, options, &err) != ERR_OK)
		reply_fail(work, &err);
	else
		run(work, DATABASE_SLOW, NULL, work->query.sql.data, on_listed);
}

static void on_exported(void *arg, const struct database_result *result,
			const struct database_error *error)
{
	struct work *work = arg;

	if (error) {
		reply_database_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);
	const size_t rows = database_rows(result);
	struct value *values = values_new(work);

	writer_map(out, 2);
	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++)
		write_row(work, result, row, 1, values, out);
	writer_text(out, "after");
	if (rows == EXPORT_PAGE)
		writer_id(out, database_int(result, rows - 1, 0));
	else
		writer_nil(out);
	reply_ok(work, 0);
}

static void export(void *service, struct bus_call *call)
{
	struct work *work = work_new(call);
	struct value options[QUERY_FIELDS];
	struct err err = {0};

	(void)service;
	work->view = RECORD_FULL;
	if (!read_query(work, options))
		return;
	buffer_printf(&work->query.sql, "SELECT id, %s",
		      work->store->views[RECORD_FULL].sql);
	if (append_where(work, options, &err) != ERR_OK) {
		reply_fail(work, &err);
		return;
	}
	buffer_printf(&work->query.sql, " AND id > %lld ORDER BY id LIMIT %d",
		      (long long)(options[QUERY_AFTER].kind == VALUE_INT
					  ? options[QUERY_AFTER].integer
					  : 0),
		      EXPORT_PAGE);
	buffer_append_char(&work->query.sql, '\0');
	run(work, DATABASE_SLOW, NULL, work->query.sql.data, on_exported);
}

/* ---- writes ---- */

/* Decodes the object sent. False: it was answered. */
static bool read_object(struct work *work, enum record_mode mode)
{
	struct reader reader;
	struct err err = {0};

	work->values = values_new(work);
	reader_init(&reader, work->args.object);
	if (record_decode(work->store->resource->record, mode, &reader,
			  work->arena, work->values, &err) == ERR_OK)
		return true;
	reply_fail(work, &err);
	return false;
}

static const char *sealed_text(struct work *work, struct slice clear)
{
	struct buffer sealed = {0};

	if (clear.size == 0)
		return NULL;
	secrets_seal(work->store->key, clear, &sealed);
	const char *text = arena_strdup(work->arena, buffer_slice(&sealed));

	buffer_fini(&sealed);
	return text;
}

static const char *stored_text(struct work *work, const struct field *field,
			       const struct value *value)
{
	struct buffer json = {0};

	record_store(field, value, &json);
	const char *text = arena_strdup(work->arena, buffer_slice(&json));

	buffer_fini(&json);
	return text;
}

/* The text form of a value for its column. */
static const char *param_text(struct work *work, const struct field *field,
			      const struct value *value)
{
	if (value->kind < VALUE_BOOL && field->fallback.kind != VALUE_ABSENT)
		value = &field->fallback;
	if (field->type == FIELD_OBJECT && value->kind != VALUE_OBJECT)
		return "{}";
	switch (value->kind) {
	case VALUE_BOOL:
		return value->boolean ? "t" : "f";
	case VALUE_INT:
		return number_text(work, value->integer);
	case VALUE_STR:
		if (field->flags & FIELD_SECRET)
			return sealed_text(work, value->string);
		return arena_strdup(work->arena, value->string);
	case VALUE_LIST:
	case VALUE_OBJECT:
		return stored_text(work, field, value);
	case VALUE_ABSENT:
	case VALUE_NULL:
		break;
	}
	return NULL;
}

static void add_columns(struct work *work)
{
	const struct record *record = work->store->resource->record;

	for (size_t i = 0; i < record->count; i++)
		if (is_stored(&record->fields[i]))
			param_add(work, param_text(work, &record->fields[i],
						   &work->values[i]));
}

static void on_created(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;

	if (error) {
		reply_database_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);

	writer_map(out, 1);
	writer_text(out, "id");
	writer_id(out, database_int(result, 0, 0));
	reply_ok(work, database_int(result, 0, 1));
}

static void on_created_once(void *arg, const struct database_result *result,
			    const struct database_error *error)
{
	struct work *work = arg;

	/* The same key was committed meanwhile: the next run finds it. */
	if (error && strcmp(error->constraint, "idempotency_keys_pkey") == 0 &&
	    !work->lost_to_key) {
		work->lost_to_key = true;
		run(work, DATABASE_WRITE, work->store->once_name,
		    work->store->once_sql, on_created_once);
		return;
	}
	if (!error && !database_bool(result, 0, 2)) {
		struct err err;

		err_set(&err, ERR_CONFLICT,
			"this Idempotency-Key was used with another body");
		reply_fail(work, &err);
		return;
	}
	on_created(arg, result, error);
}

static void create_once(struct work *work)
{
	const struct principal *who = &bus_call_request(work->call)->principal;
	char digest[SECRETS_DIGEST_BYTES];

	secrets_token_digest(work->args.object, digest);
	param_add(work, arena_printf(work->arena, "%d:%lld", who->kind,
				     (long long)who->id));
	param_add(work, arena_strdup(work->arena, work->args.key));
	param_add(work, arena_strdup(work->arena, slice_str(digest)));
	add_columns(work);
	run(work, DATABASE_WRITE, work->store->once_name, work->store->once_sql,
	    on_created_once);
}

static void create(void *service, struct bus_call *call)
{
	struct work *work = work_begin(call, false);
	struct err err = {0};

	(void)service;
	if (!work || !read_object(work, RECORD_CREATE))
		return;
	const struct resource *r = work->store->resource;

	record_default(r->record, work->values);
	if (r->complete && r->complete(work->values, work->arena, &err)) {
		reply_fail(work, &err);
		return;
	}
	if (work->args.key.size > 0) {
		create_once(work);
		return;
	}
	add_columns(work);
	run(work, DATABASE_WRITE, work->store->create_name,
	    work->store->create_sql, on_created);
}

/* ---- update ---- */

static bool is_fixed(const struct work *work, size_t i)
{
	return (work->store->resource->record->fields[i].flags &
		FIELD_IMMUTABLE) &&
	       work->values[i].kind != VALUE_ABSENT;
}

/* ", column = $n" of what the client changes. A nested record is merged: its
 * members that were not said stay. */
static void append_changes(struct work *work)
{
	const struct record *record = work->store->resource->record;
	struct buffer *sql = &work->query.sql;
	bool changes = false;

	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];
		const struct value *value = &work->values[i];

		if (!is_stored(field) || value->kind == VALUE_ABSENT ||
		    (field->flags & FIELD_IMMUTABLE))
			continue;
		changes = true;
		buffer_printf(sql, "%s = ", field->column);
		if (value->kind == VALUE_OBJECT)
			buffer_printf(sql, "t.%s || ", field->column);
		query_param(&work->query, param_text(work, field, value));
		buffer_printf(sql, "::%s, ", sql_types[field->type]);
	}
	buffer_append_str(sql, changes ? "version = t.version + 1, "
					 "updated_at = now()"
				       : "version = t.version");
}

/* $1 id, $2 version or null, then the fixed fields that were sent. */
enum { FIRST_FIXED_PARAM = 3 };

/* "old.brand IS NOT DISTINCT FROM $3" for each of these, behind a joint. */
static void append_fixed(struct work *work, const char *joint)
{
	const struct record *record = work->store->resource->record;
	size_t param = FIRST_FIXED_PARAM;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			buffer_printf(&work->query.sql,
				      "%sold.%s IS NOT DISTINCT FROM $%zu::%s",
				      joint, record->fields[i].column, param++,
				      sql_types[record->fields[i].type]);
}

/* One row where the id exists: the new version, or null and the reasons: is
 * the version the asked one, is each fixed field as it was. */
static void update_sql(struct work *work)
{
	const struct resource *r = work->store->resource;
	struct buffer *sql = &work->query.sql;
	const char *same_version = "old.version = "
				   "coalesce($2::bigint, old.version)";

	buffer_printf(sql,
		      "WITH old AS (SELECT * FROM %s.%s WHERE id = $1 "
		      "FOR UPDATE), done AS (UPDATE %s.%s t SET ",
		      r->schema, r->table, r->schema, r->table);
	append_changes(work);
	buffer_printf(sql, " FROM old WHERE t.id = old.id AND %s",
		      same_version);
	append_fixed(work, " AND ");
	buffer_printf(sql, " RETURNING t.version) SELECT done.version, %s",
		      same_version);
	append_fixed(work, ", ");
	buffer_append_str(sql, " FROM old LEFT JOIN done ON true");
	buffer_append_char(sql, '\0');
}

static void reply_fixed(struct work *work, const struct database_result *result)
{
	const struct record *record = work->store->resource->record;
	struct err err = {0};
	size_t column = 2;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i) && !database_bool(result, 0, column++))
			err_field(&err, record->fields[i].name,
				  "cannot be changed");
	reply_fail(work, &err);
}

static void on_updated(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;

	if (error)
		reply_database_error(work, error);
	else if (database_rows(result) == 0)
		reply_code(work, ERR_NOT_FOUND);
	else if (!database_null(result, 0, 0))
		reply_ok(work, database_int(result, 0, 0));
	else if (!database_bool(result, 0, 1))
		reply_code(work, ERR_PRECONDITION);
	else
		reply_fixed(work, result);
}

static void update(void *service, struct bus_call *call)
{
	struct work *work = work_begin(call, true);

	(void)service;
	if (!work || !read_object(work, RECORD_UPDATE))
		return;
	const struct record *record = work->store->resource->record;

	param_add(work, number_text(work, work->args.id));
	param_add(work, version_text(work));
	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			param_add(work, param_text(work, &record->fields[i],
						   &work->values[i]));
	update_sql(work);
	run(work, DATABASE_WRITE, NULL, work->query.sql.data, on_updated);
}

/* ---- destroy ---- */

static void on_destroyed(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct work *work = arg;

	if (error)
		reply_database_error(work, error);
	else if (database_rows(result) == 0)
		reply_code(work, ERR_NOT_FOUND);
	else if (!database_bool(result, 0, 0))
		reply_code(work, ERR_PRECONDITION);
	else
		reply_ok(work, 0);
}

static void destroy(void *service, struct bus_call *call)
{
	struct work *work = work_begin(call, true);

	(void)service;
	if (!work)
		return;
	param_add(work, number_text(work, work->args.id));
	param_add(work, version_text(work));
	run(work, DATABASE_WRITE, work->store->destroy_name,
	    work->store->destroy_sql, on_destroyed);
}

/* ---- the table ---- */

static const struct {
	const char *name;
	bus_handler_fn *handle;
} methods[RESOURCE_METHODS] = {
	{"list", list},	    {"get", get},	  {"create", create},
	{"update", update}, {"destroy", destroy}, {"export", export},
};

void resource_methods(struct resource_store *store, unsigned who,
		      struct bus_method out[RESOURCE_METHODS])
{
	for (size_t i = 0; i < RESOURCE_METHODS; i++) {
		free(store->method_names[i]);
		store->method_names[i] =
			name_of(store->resource, methods[i].name);
		out[i] = (struct bus_method){.name = store->method_names[i],
					     .handle = methods[i].handle,
					     .who = who,
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
		.sql = store->sweep_sql,
		.deadline_ms = SWEEP_DEADLINE_MS,
		.done = on_swept,
		.arg = store,
	};

	database_run(store->database, &statement);
}
