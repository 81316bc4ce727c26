/* The resource engine's writes: create, update, destroy. */

#include "services/common/resource_internal.h"

#include "proto/writer.h"

static const char *version_text(struct resource_work *work)
{
	return work->args.if_version > 0
		       ? resource_number_text(work, work->args.if_version)
		       : NULL;
}

/* Decodes the object sent. False: it was answered. */
static bool read_object(struct resource_work *work, enum record_mode mode)
{
	struct reader reader;
	struct err err = {0};

	work->values = resource_values_new(work);
	reader_init(&reader, work->args.object);
	if (record_decode(work->store->resource->record, mode, &reader,
			  work->arena, work->values, &err) == ERR_OK)
		return true;
	resource_reply_fail(work, &err);
	return false;
}

static const char *sealed_text(struct resource_work *work, struct slice clear)
{
	struct buffer sealed = {0};

	if (clear.size == 0)
		return NULL;
	secrets_seal(work->store->key, clear, &sealed);
	const char *text = arena_strdup(work->arena, buffer_slice(&sealed));

	buffer_fini(&sealed);
	return text;
}

static const char *stored_text(struct resource_work *work,
			       const struct field *field,
			       const struct value *value)
{
	struct buffer json = {0};

	record_store(field, value, &json);
	const char *text = arena_strdup(work->arena, buffer_slice(&json));

	buffer_fini(&json);
	return text;
}

/* The text form of a value for its column. */
static const char *param_text(struct resource_work *work,
			      const struct field *field,
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
		return resource_number_text(work, value->integer);
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

static void add_columns(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;

	for (size_t i = 0; i < record->count; i++)
		if (resource_is_stored(&record->fields[i]))
			resource_param_add(work,
					   param_text(work, &record->fields[i],
						      &work->values[i]));
}

/* fresh: it was made now, and not by an earlier call with the same key. */
static void reply_created(struct resource_work *work,
			  const struct database_result *result, bool fresh)
{
	struct buffer *out = bus_call_body(work->call);
	const int64_t id = database_int(result, 0, 0);
	const int64_t version = database_int(result, 0, 1);

	if (fresh)
		resource_publish(work, id, version, EVENT_CREATED);
	writer_map(out, 1);
	writer_text(out, "id");
	writer_id(out, id);
	resource_reply_ok(work, version);
}

static void on_created(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error) {
		resource_reply_error(work, error);
		return;
	}
	reply_created(work, result, true);
}

static void on_created_once(void *arg, const struct database_result *result,
			    const struct database_error *error)
{
	struct resource_work *work = arg;

	/* The same key was committed meanwhile: the next run finds it. */
	if (error && strcmp(error->constraint, "idempotency_keys_pkey") == 0 &&
	    !work->lost_to_key) {
		work->lost_to_key = true;
		resource_run(work, DATABASE_WRITE, &work->store->create_once,
			     on_created_once);
		return;
	}
	if (error) {
		resource_reply_error(work, error);
		return;
	}
	if (!database_bool(result, 0, 2)) {
		struct err err;

		err_set(&err, ERR_CONFLICT,
			"this Idempotency-Key was used with another body");
		resource_reply_fail(work, &err);
		return;
	}
	reply_created(work, result, database_bool(result, 0, 3));
}

static void create_once(struct resource_work *work)
{
	const struct principal *who = &bus_call_request(work->call)->principal;
	char digest[SECRETS_DIGEST_BYTES];

	secrets_token_digest(work->args.object, digest);
	resource_param_add(work, arena_printf(work->arena, "%d:%lld", who->kind,
					      (long long)who->id));
	resource_param_add(work, arena_strdup(work->arena, work->args.key));
	resource_param_add(work, arena_strdup(work->arena, slice_str(digest)));
	add_columns(work);
	resource_run(work, DATABASE_WRITE, &work->store->create_once,
		     on_created_once);
}

void resource_create(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, false);
	struct err err = {0};

	(void)service;
	if (!work || !read_object(work, RECORD_CREATE))
		return;
	const struct resource *r = work->store->resource;

	record_default(r->record, work->values);
	if (r->complete && r->complete(work->values, work->arena, &err)) {
		resource_reply_fail(work, &err);
		return;
	}
	if (work->args.key.size > 0) {
		create_once(work);
		return;
	}
	add_columns(work);
	resource_run(work, DATABASE_WRITE, &work->store->create, on_created);
}

static bool is_fixed(const struct resource_work *work, size_t i)
{
	return (work->store->resource->record->fields[i].flags &
		FIELD_IMMUTABLE) &&
	       work->values[i].kind != VALUE_ABSENT;
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
	query_param(&work->query, param_text(work, field, value));
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
	buffer_append_str(sql, deep ? "), " : ", ");
}

/* ", column = $n" of what the client changes. A nested record is merged: its
 * members that were not said stay. */
static void append_changes(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;
	struct buffer *sql = &work->query.sql;

	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];
		const struct value *value = &work->values[i];

		if (!resource_is_stored(field) || value->kind == VALUE_ABSENT ||
		    (field->flags & FIELD_IMMUTABLE))
			continue;
		work->changes = true;
		buffer_printf(sql, "%s = ", field->column);
		if (value->kind == VALUE_OBJECT) {
			append_merge(work, field, value);
			continue;
		}
		query_param(&work->query, param_text(work, field, value));
		buffer_printf(sql, "::%s, ", resource_sql_type(field));
	}
	buffer_append_str(sql, work->changes ? "version = t.version + 1, "
					       "updated_at = now()"
					     : "version = t.version");
}

/* $1 id, $2 version or null, then the fixed fields that were sent. */
enum { FIRST_FIXED_PARAM = 3 };

/* "old.brand IS NOT DISTINCT FROM $3" for each of these, behind a joint. */
static void append_fixed(struct resource_work *work, const char *joint)
{
	const struct record *record = work->store->resource->record;
	size_t param = FIRST_FIXED_PARAM;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			buffer_printf(&work->query.sql,
				      "%sold.%s IS NOT DISTINCT FROM $%zu::%s",
				      joint, record->fields[i].column, param++,
				      resource_sql_type(&record->fields[i]));
}

/* One row where the id exists: the new version, or null and the reasons: is
 * the version the asked one, is each fixed field as it was. */
static void update_sql(struct resource_work *work)
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
}

static void reply_fixed(struct resource_work *work,
			const struct database_result *result)
{
	const struct record *record = work->store->resource->record;
	struct err err = {0};
	size_t column = 2;

	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i) && !database_bool(result, 0, column++))
			err_field(&err, record->fields[i].name,
				  "cannot be changed");
	resource_reply_fail(work, &err);
}

static void reply_updated(struct resource_work *work, int64_t version)
{
	if (work->changes)
		resource_publish(work, work->args.id, version, EVENT_UPDATED);
	resource_reply_ok(work, version);
}

static void on_updated(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct resource_work *work = arg;

	if (!resource_found(work, result, error))
		return;
	if (!database_null(result, 0, 0))
		reply_updated(work, database_int(result, 0, 0));
	else if (!database_bool(result, 0, 1))
		resource_reply_code(work, ERR_PRECONDITION);
	else
		reply_fixed(work, result);
}

void resource_update(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, true);

	(void)service;
	if (!work || !read_object(work, RECORD_UPDATE))
		return;
	const struct record *record = work->store->resource->record;

	resource_param_add(work, resource_number_text(work, work->args.id));
	resource_param_add(work, version_text(work));
	for (size_t i = 0; i < record->count; i++)
		if (is_fixed(work, i))
			resource_param_add(work,
					   param_text(work, &record->fields[i],
						      &work->values[i]));
	update_sql(work);
	resource_run_query(work, DATABASE_WRITE, on_updated);
}

static void reply_destroyed(struct resource_work *work, int64_t version)
{
	resource_publish(work, work->args.id, version, EVENT_DESTROYED);
	resource_reply_ok(work, 0);
}

static void on_destroyed(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct resource_work *work = arg;

	if (!resource_found(work, result, error))
		return;
	if (!database_bool(result, 0, 0))
		resource_reply_code(work, ERR_PRECONDITION);
	else
		reply_destroyed(work, database_int(result, 0, 1));
}

void resource_destroy(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, true);

	(void)service;
	if (!work)
		return;
	resource_param_add(work, resource_number_text(work, work->args.id));
	resource_param_add(work, version_text(work));
	resource_run(work, DATABASE_WRITE, &work->store->destroy, on_destroyed);
}
