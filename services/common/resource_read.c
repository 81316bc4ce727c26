/* The resource engine's reads: get, list, export, and for the processes that
 * follow a resource versions and fetch. */

#include "services/common/resource_internal.h"

#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"

#include <stdlib.h>

/* Objects of one page of an export: with the largest of them it stays well
 * below MESSAGE_BATCH_BYTES_MAX. */
enum { EXPORT_PAGE = 100 };

static void load_value(struct resource_work *work, const struct field *field,
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
	case FIELD_OBJECTS:
		if (!slice_is(cell, "{}") &&
		    record_load(field, cell, work->arena, value) != ERR_OK)
			log_event(LOG_ERROR, "resource.unreadable",
				  LOG_STR("resource",
					  work->store->resource->name),
				  LOG_STR("field", field->name));
		break;
	}
}

/* Reads a row whose view begins at a column: version, then the fields. */
static void load_row(struct resource_work *work,
		     const struct database_result *result, size_t row,
		     size_t column, struct value *values)
{
	const struct record *record = work->store->resource->record;
	const struct resource_columns *columns =
		&work->store->views[work->view];

	memset(values, 0, record->count * sizeof(*values));
	for (size_t i = 0; i < columns->count; i++) {
		const size_t f = columns->fields[i];

		load_value(work, &record->fields[f],
			   database_cell(result, row, column + 1 + i),
			   &values[f]);
	}
}

static void write_row(struct resource_work *work,
		      const struct database_result *result, size_t row,
		      size_t column, struct value *values, struct buffer *out)
{
	load_row(work, result, row, column, values);
	record_encode(work->store->resource->record, work->view, values, out);
}

/* A row as an item of a page. */
typedef void row_fn(struct resource_work *work,
		    const struct database_result *result, size_t row,
		    size_t column, struct value *values, struct buffer *out);

/* "items": the first rows, whose view begins in a column. */
static void write_items(struct resource_work *work,
			const struct database_result *result, size_t rows,
			size_t column, row_fn *write, struct buffer *out)
{
	struct value *values = resource_values_new(work);

	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++)
		write(work, result, row, column, values, out);
}

/* ---- get ---- */

static void on_got(void *arg, const struct database_result *result,
		   const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	if (database_rows(result) == 0) {
		resource_reply_code(work, ERR_NOT_FOUND);
		return;
	}
	write_row(work, result, 0, 0, resource_values_new(work),
		  bus_call_body(work->call));
	resource_reply_ok(work, database_int(result, 0, 0));
}

void resource_get(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, true);

	(void)service;
	if (!work)
		return;
	work->view = RECORD_FULL;
	resource_param_add(work, resource_number_text(work, work->args.id));
	resource_run(work, DATABASE_READ, &work->reach->get, on_got);
}

/* ---- fetch ---- */

/* Puts what the sealed values stand for in their place, in the arena. False:
 * one was not sealed with our key. */
static bool open_secrets(struct resource_work *work, struct value *values)
{
	const struct record *record = work->store->resource->record;
	struct buffer clear = {0};
	bool good = true;

	for (size_t i = 0; i < record->count && good; i++) {
		if (!(record->fields[i].flags & FIELD_SECRET) ||
		    values[i].kind != VALUE_STR)
			continue;
		good = secrets_open(work->store->options.key, values[i].string,
				    &clear);
		values[i].string = slice_of(
			arena_strdup(work->arena, buffer_slice(&clear)),
			clear.size);
		secrets_wipe(clear.data, clear.size);
		clear.size = 0;
	}
	buffer_fini(&clear);
	return good;
}

static void wipe_secrets(const struct record *record, struct value *values)
{
	for (size_t i = 0; i < record->count; i++)
		if ((record->fields[i].flags & FIELD_SECRET) &&
		    values[i].kind == VALUE_STR)
			secrets_wipe((void *)values[i].string.data,
				     values[i].string.size);
}

/* Columns of a fetch's row in front of the view's version. */
enum { FETCH_ID, FETCH_VIEW };

/* [id, version, object], nil for an object whose secrets cannot be opened: the
 * others of the page are told all the same. */
static void write_fetched(struct resource_work *work,
			  const struct database_result *result, size_t row,
			  size_t column, struct value *values,
			  struct buffer *out)
{
	const struct resource *r = work->store->resource;
	const int64_t id = database_int(result, row, FETCH_ID);

	writer_array(out, 3);
	writer_id(out, id);
	writer_int(out, database_int(result, row, column));
	load_row(work, result, row, column, values);
	if (!open_secrets(work, values)) {
		writer_nil(out);
		log_event(LOG_ERROR, "resource.sealed_otherwise",
			  LOG_STR("resource", r->name), LOG_INT("id", id));
		return;
	}
	record_encode(r->record, work->view, values, out);
	wipe_secrets(r->record, values);
}

static void on_fetched(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);

	writer_map(out, 1);
	write_items(work, result, database_rows(result), FETCH_VIEW,
		    write_fetched, out);
	resource_reply_ok(work, 0);
}

size_t resource_fetch_ids(const struct bus_call *call,
			  int64_t ids[RESOURCE_FETCH_MAX])
{
	struct reader reader;

	reader_init(&reader, bus_call_request(call)->args);
	if (reader_map(&reader) != 1 || !slice_is(reader_str(&reader), "ids"))
		return 0;
	const uint32_t count = reader_array(&reader);

	if (count > RESOURCE_FETCH_MAX)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		ids[i] = reader_id(&reader);
		if (ids[i] <= 0)
			reader_fail(&reader);
	}
	return reader_done(&reader) ? count : 0;
}

/* PostgreSQL's text of an array, in the call's arena. */
static const char *array_text(struct resource_work *work, const int64_t *ids,
			      size_t count)
{
	struct buffer text = {0};

	for (size_t i = 0; i < count; i++) {
		buffer_append_char(&text, i == 0 ? '{' : ',');
		buffer_append_uint(&text, (uint64_t)ids[i]);
	}
	buffer_append_char(&text, '}');
	const char *kept = arena_strdup(work->arena, buffer_slice(&text));

	buffer_fini(&text);
	return kept;
}

void resource_fetch(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_new(call);
	int64_t ids[RESOURCE_FETCH_MAX];
	const size_t count = resource_fetch_ids(call, ids);

	(void)service;
	if (!work)
		return;
	if (count == 0) {
		resource_reply_malformed(work);
		return;
	}
	work->view = RECORD_SECRET;
	resource_param_add(work, array_text(work, ids, count));
	resource_run(work, DATABASE_READ, &work->store->fetch, on_fetched);
}

/* ---- versions ---- */

/* What the next page begins behind: nil where there is none. */
static void write_after(struct buffer *out,
			const struct database_result *result, size_t page)
{
	const size_t rows = database_rows(result);

	writer_text(out, "after");
	if (rows == page)
		writer_id(out, database_int(result, rows - 1, 0));
	else
		writer_nil(out);
}

static void on_versions(void *arg, const struct database_result *result,
			const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);
	const size_t rows = database_rows(result);

	writer_map(out, 2);
	writer_text(out, "items");
	writer_array(out, (uint32_t)rows);
	for (size_t row = 0; row < rows; row++) {
		writer_array(out, 2);
		writer_id(out, database_int(result, row, 0));
		writer_int(out, database_int(result, row, 1));
	}
	write_after(out, result, RESOURCE_VERSIONS_PAGE);
	resource_reply_ok(work, 0);
}

/* {after?}. Negative: these are none. */
static int64_t read_after(const struct bus_call *call)
{
	struct reader reader;
	int64_t after = 0;

	reader_init(&reader, bus_call_request(call)->args);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		if (!slice_is(reader_str(&reader), "after"))
			return -1;
		after = reader_id(&reader);
	}
	return reader_done(&reader) ? after : -1;
}

void resource_versions(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_new(call);
	const int64_t after = read_after(call);

	(void)service;
	if (!work)
		return;
	if (after < 0) {
		resource_reply_malformed(work);
		return;
	}
	resource_param_add(work, resource_number_text(work, after));
	resource_run(work, DATABASE_SLOW, &work->store->versions, on_versions);
}

/* ---- list and export ---- */

/* The options of a list, checked. False: it was answered. */
static bool read_query(struct resource_work *work, struct value *options)
{
	if (!bus_call_args(work->call, &query_record, options))
		return false;
	record_default(&query_record, options);
	return true;
}

/* Takes what was written since then as a text of its own. */
static const char *take_text(struct resource_work *work)
{
	struct buffer *sql = &work->query.sql;
	const char *text = arena_strdup(work->arena, buffer_slice(sql));

	sql->size = 0;
	return text;
}

/* " AND ..." of filter and search. */
static enum err_code append_conditions(struct resource_work *work,
				       const struct value *options,
				       struct err *err)
{
	struct query *query = &work->query;
	enum err_code code = ERR_OK;

	if (options[QUERY_FILTER].kind == VALUE_STR)
		code = query_filter(query, options[QUERY_FILTER].string, err);
	if (code == ERR_OK && options[QUERY_SEARCH].kind == VALUE_STR)
		code = query_search(query, options[QUERY_SEARCH].string, err);
	return code;
}

static enum err_code append_order(struct resource_work *work,
				  const struct value *options, struct err *err)
{
	struct slice orderby = {0};

	if (options[QUERY_ORDERBY].kind == VALUE_STR)
		orderby = options[QUERY_ORDERBY].string;
	return query_orderby(&work->query, orderby, err);
}

/* The total and the page in one statement: a left join, so that the total is
 * there where the page is empty. The row number keeps the page's order. */
static void append_list(struct resource_work *work, const struct value *options,
			const char *conditions, const char *order)
{
	struct buffer *sql = &work->query.sql;
	const int64_t top = options[QUERY_TOP].integer;
	const int64_t skip = options[QUERY_SKIP].integer;

	buffer_append_str(sql, "SELECT total, page.* FROM (SELECT ");
	/* The conditions stand in both, with the same parameters. */
	if (options[QUERY_COUNT].boolean)
		buffer_printf(sql, "count(*) AS total%s%s", work->reach->source,
			      conditions);
	else
		buffer_append_str(sql, "NULL::bigint AS total");
	buffer_printf(sql,
		      ") counted LEFT JOIN "
		      "(SELECT row_number() OVER () AS place, found.* "
		      "FROM (SELECT %s",
		      work->store->views[RECORD_SUMMARY].sql);
	resource_append_first(sql, work->reach, conditions, order, skip + top);
	buffer_printf(sql,
		      "%s LIMIT %lld OFFSET %lld) found) page ON true "
		      "ORDER BY page.place",
		      order, (long long)top, (long long)skip);
}

static enum err_code list_sql(struct resource_work *work,
			      const struct value *options, struct err *err)
{
	enum err_code code = append_conditions(work, options, err);

	if (code != ERR_OK)
		return code;
	const char *conditions = take_text(work);

	code = append_order(work, options, err);
	if (code == ERR_OK)
		append_list(work, options, conditions, take_text(work));
	return code;
}

/* Columns of a list's row in front of the view's. */
enum { LIST_TOTAL, LIST_PLACE, LIST_VIEW };

static void on_listed(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);
	const bool counted = !database_null(result, 0, LIST_TOTAL);
	const size_t rows = database_null(result, 0, LIST_PLACE)
				    ? 0
				    : database_rows(result);

	writer_map(out, counted ? 2 : 1);
	if (counted) {
		writer_text(out, "count");
		writer_int(out, database_int(result, 0, LIST_TOTAL));
	}
	write_items(work, result, rows, LIST_VIEW, write_row, out);
	resource_reply_ok(work, 0);
}

/* Makes the text of work->query. */
typedef enum err_code sql_fn(struct resource_work *work,
			     const struct value *options, struct err *err);

static void query_begin(struct bus_call *call, enum record_view view,
			sql_fn *sql, database_done_fn *done)
{
	struct resource_work *work = resource_work_new(call);
	struct value options[QUERY_FIELDS];
	struct err err = {0};

	if (!work)
		return;
	work->view = view;
	if (!read_query(work, options))
		return;
	if (sql(work, options, &err) != ERR_OK)
		resource_reply_fail(work, &err);
	else
		resource_run_query(work, DATABASE_SLOW, done);
}

void resource_list(void *service, struct bus_call *call)
{
	(void)service;
	query_begin(call, RECORD_SUMMARY, list_sql, on_listed);
}

static void on_exported(void *arg, const struct database_result *result,
			const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	struct buffer *out = bus_call_body(work->call);

	writer_map(out, 2);
	write_items(work, result, database_rows(result), 1, write_row, out);
	write_after(out, result, EXPORT_PAGE);
	resource_reply_ok(work, 0);
}

static enum err_code export_sql(struct resource_work *work,
				const struct value *options, struct err *err)
{
	static const char order[] = " ORDER BY id";
	struct buffer *sql = &work->query.sql;
	const enum err_code code = append_conditions(work, options, err);

	if (code != ERR_OK)
		return code;
	buffer_printf(sql, " AND id > %lld",
		      (long long)(options[QUERY_AFTER].kind == VALUE_INT
					  ? options[QUERY_AFTER].integer
					  : 0));
	const char *conditions = take_text(work);

	buffer_printf(sql, "SELECT id, %s",
		      work->store->views[RECORD_FULL].sql);
	resource_append_first(sql, work->reach, conditions, order, EXPORT_PAGE);
	buffer_printf(sql, "%s LIMIT %d", order, EXPORT_PAGE);
	return ERR_OK;
}

void resource_export(void *service, struct bus_call *call)
{
	(void)service;
	query_begin(call, RECORD_FULL, export_sql, on_exported);
}
