/* The resource engine's writes: create, destroy, and what they share with
 * update (resource_update.c). */

#include "services/common/resource_internal.h"

#include "proto/writer.h"

const char *resource_version_text(struct resource_work *work)
{
	return work->args.if_version > 0
		       ? resource_number_text(work, work->args.if_version)
		       : NULL;
}

bool resource_read_object(struct resource_work *work, enum record_mode mode)
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

const char *resource_param_text(struct resource_work *work,
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
			return value->string.size == 0
				       ? NULL
				       : secrets_seal_dup(
						 work->store->options.key,
						 value->string, work->arena);
		return arena_strdup(work->arena, value->string);
	case VALUE_LIST:
	case VALUE_OBJECT:
	case VALUE_OBJECTS:
		return stored_text(work, field, value);
	case VALUE_ABSENT:
	case VALUE_NULL:
		break;
	}
	return NULL;
}

/* ---- the way of every write ---- */

void resource_write_begin(struct resource_work *work, enum event_kind kind)
{
	const struct resource_hooks *hooks = work->store->options.hooks;

	work->change = (struct resource_change){
		.service = work->store->options.service,
		.call = work->call,
		.resource = work->store->resource,
		.kind = kind,
		.id = work->args.id,
		.values = work->values,
	};
	if (hooks && hooks->before && kind != EVENT_DESTROYED)
		hooks->before(&work->change);
	else
		resource_change_go_on(&work->change);
}

static void create_run(struct resource_work *work);
static void destroy_run(struct resource_work *work);

static void run_write(struct resource_work *work)
{
	switch (work->change.kind) {
	case EVENT_CREATED:
		create_run(work);
		break;
	case EVENT_UPDATED:
		resource_update_run(work);
		break;
	case EVENT_DESTROYED:
		destroy_run(work);
		break;
	}
}

static void hash_next(struct resource_work *work);

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct resource_work *work = arg;

	if (!good) {
		resource_reply_code(work, ERR_INTERNAL);
		return;
	}
	work->values[work->hashed++].string =
		slice_str(arena_strdup(work->arena, slice_str(hash)));
	hash_next(work);
}

/* Hashes the next value that has to be; behind the last one the write runs. */
static void hash_next(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;

	for (; work->values && work->hashed < record->count; work->hashed++) {
		const struct value *value = &work->values[work->hashed];

		if (!(record->fields[work->hashed].flags & FIELD_HASHED) ||
		    value->kind != VALUE_STR)
			continue;
		/* False: it was answered. */
		if (!passwords_hash(work->store->options.passwords, work->call,
				    value->string, on_hashed, work))
			buffer_fini(&work->query.sql);
		return;
	}
	run_write(work);
}

void resource_change_go_on(struct resource_change *change)
{
	struct resource_work *work = (struct resource_work *)change;

	/* A hook that ends with the process, behind its database. */
	if (change->service && !change->service->database)
		resource_reply_code(work, ERR_UNAVAILABLE);
	else
		hash_next(work);
}

void resource_change_answer(struct resource_change *change)
{
	struct resource_work *work = (struct resource_work *)change;

	resource_reply_ok(work, work->version);
}

void resource_write_end(struct resource_work *work)
{
	const struct resource_hooks *hooks = work->store->options.hooks;

	work->change.id = work->args.id;
	if (hooks && hooks->after)
		hooks->after(&work->change);
	else
		resource_change_answer(&work->change);
}

static void on_seen(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error)
		resource_reply_error(work, error);
	else
		resource_reply_code(work, database_rows(result) > 0
						  ? ERR_FORBIDDEN
						  : ERR_NOT_FOUND);
}

void resource_reply_missed(struct resource_work *work)
{
	const struct resource_scope *scope = work->reach->scope;

	if (!scope || !scope->loan) {
		resource_reply_code(work, ERR_NOT_FOUND);
		return;
	}
	/* The caller and the id come first here and there. */
	work->query.param_count = resource_scope_params(scope) + 1;
	resource_run(work, DATABASE_READ, &work->reach->get, on_seen);
}

bool resource_met(struct resource_work *work,
		  const struct database_result *result,
		  const struct database_error *error)
{
	if (error)
		resource_reply_error(work, error);
	else if (database_rows(result) == 0)
		resource_reply_missed(work);
	else
		return true;
	return false;
}

/* ---- create ---- */

static bool has_secrets(const struct field *field)
{
	const struct record *record = field->record;

	for (size_t i = 0; field->type == FIELD_OBJECT && i < record->count;
	     i++)
		if (record->fields[i].flags & FIELD_SECRET)
			return true;
	return false;
}

/* A nested record without the secrets in it. */
static struct value masked(struct resource_work *work,
			   const struct field *field, const struct value *value)
{
	const struct record *record = field->record;
	struct value copy = *value;

	copy.members =
		arena_alloc(work->arena, record->count * sizeof(struct value));
	for (size_t i = 0; i < record->count; i++)
		if (!(record->fields[i].flags & FIELD_SECRET))
			copy.members[i] = value->members[i];
	return copy;
}

/* param: the value as the row's column gets it. Of what is long that is JSON
 * text already. */
static void append_made(struct resource_work *work, size_t i, const char *param,
			struct buffer *json)
{
	const struct field *field = &work->store->resource->record->fields[i];
	const struct value *value = &work->values[i];

	if (value->kind == VALUE_OBJECT && has_secrets(field)) {
		const struct value shown = masked(work, field, value);

		record_store(field, &shown, json);
	} else if (value->kind == VALUE_OBJECT || value->kind == VALUE_INT) {
		buffer_append_str(json, param);
	} else {
		record_store(field, value, json);
	}
}

/* Adds the columns' parameters, and makes of them the object for the audit log:
 * JSON text of what may stand there. */
static const char *add_values(struct resource_work *work)
{
	const struct record *record = work->store->resource->record;
	struct buffer json = {0};
	const char *joint = "\"";

	buffer_append_char(&json, '{');
	for (size_t i = 0; i < record->count; i++) {
		const struct field *field = &record->fields[i];

		if (!resource_takes(work->reach->scope, field))
			continue;
		const char *param =
			resource_param_text(work, field, &work->values[i]);

		resource_param_add(work, param);
		if (!work->store->resource->audit ||
		    !resource_is_audited(field))
			continue;
		buffer_append_str(&json, joint);
		buffer_append_str(&json, field->name);
		buffer_append_str(&json, "\": ");
		append_made(work, i, param, &json);
		joint = ", \"";
	}
	buffer_append_char(&json, '}');
	const char *text = arena_strdup(work->arena, buffer_slice(&json));

	buffer_fini(&json);
	return text;
}

static void add_columns(struct resource_work *work)
{
	const char *made = add_values(work);

	resource_audit_params_add(work);
	if (work->store->resource->audit)
		resource_param_add(work, made);
}

/* fresh: it was made now, and not by an earlier call with the same key. */
static void reply_created(struct resource_work *work,
			  const struct database_result *result, bool fresh)
{
	struct buffer *out = bus_call_body(work->call);

	work->args.id = database_int(result, 0, 0);
	work->version = database_int(result, 0, 1);
	writer_map(out, 1);
	writer_text(out, "id");
	writer_id(out, work->args.id);
	if (!fresh) {
		resource_reply_ok(work, work->version);
		return;
	}
	resource_publish(work, work->args.id, work->version, EVENT_CREATED);
	resource_write_end(work);
}

static void on_created(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct resource_work *work = arg;

	if (error)
		resource_reply_error(work, error);
	else if (database_rows(result) == 0)
		resource_reply_code(work, ERR_FORBIDDEN);
	else
		reply_created(work, result, true);
}

static void reply_created_once(struct resource_work *work,
			       const struct database_result *result)
{
	struct err err;

	if (database_bool(result, 0, 2)) {
		reply_created(work, result, database_bool(result, 0, 3));
		return;
	}
	err_set(&err, ERR_CONFLICT,
		"this Idempotency-Key was used with another body");
	resource_reply_fail(work, &err);
}

static void on_created_once(void *arg, const struct database_result *result,
			    const struct database_error *error)
{
	struct resource_work *work = arg;

	/* The same key was committed meanwhile: the next run finds it. */
	if (error && strcmp(error->constraint, "idempotency_keys_pkey") == 0 &&
	    !work->lost_to_key) {
		work->lost_to_key = true;
		resource_run(work, DATABASE_WRITE, &work->reach->create_once,
			     on_created_once);
		return;
	}
	if (error)
		resource_reply_error(work, error);
	else if (database_rows(result) == 0)
		resource_reply_code(work, ERR_FORBIDDEN);
	else
		reply_created_once(work, result);
}

/* Who asks, and as which tenant: the key is theirs alone. */
static const char *key_owner(struct resource_work *work)
{
	const struct principal *who = &bus_call_request(work->call)->principal;

	return arena_printf(work->arena, "%d:%lld:%lld", (int)who->kind,
			    (long long)who->id,
			    (long long)principal_tenant(who));
}

static void create_run(struct resource_work *work)
{
	char digest[SECRETS_DIGEST_BYTES];

	if (work->args.key.size == 0) {
		add_columns(work);
		resource_run(work, DATABASE_WRITE, &work->reach->create,
			     on_created);
		return;
	}
	secrets_key_digest(work->store->options.key, work->args.object, digest);
	resource_param_add(work, key_owner(work));
	resource_param_add(work, arena_strdup(work->arena, work->args.key));
	resource_param_add(work, arena_strdup(work->arena, slice_str(digest)));
	add_columns(work);
	resource_run(work, DATABASE_WRITE, &work->reach->create_once,
		     on_created_once);
}

void resource_create(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, false);
	struct err err = {0};

	(void)service;
	if (!work || !resource_read_object(work, RECORD_CREATE))
		return;
	const struct resource *r = work->store->resource;

	record_default(r->record, work->values);
	if (r->complete &&
	    r->complete(work->values, &bus_call_request(work->call)->principal,
			work->arena, &err))
		resource_reply_fail(work, &err);
	else
		resource_write_begin(work, EVENT_CREATED);
}

/* ---- destroy ---- */

/* Columns of its answer. */
enum { DESTROYED_GONE, DESTROYED_VERSION, DESTROYED_PERMITTED };

static void on_destroyed(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct resource_work *work = arg;

	if (!resource_met(work, result, error))
		return;
	if (!database_bool(result, 0, DESTROYED_PERMITTED)) {
		resource_reply_code(work, ERR_FORBIDDEN);
		return;
	}
	if (!database_bool(result, 0, DESTROYED_GONE)) {
		resource_reply_code(work, ERR_PRECONDITION);
		return;
	}
	resource_publish(work, work->args.id,
			 database_int(result, 0, DESTROYED_VERSION),
			 EVENT_DESTROYED);
	resource_write_end(work);
}

static void destroy_run(struct resource_work *work)
{
	resource_param_add(work, resource_number_text(work, work->args.id));
	resource_param_add(work, resource_version_text(work));
	resource_audit_params_add(work);
	resource_run(work, DATABASE_WRITE, &work->reach->destroy, on_destroyed);
}

void resource_destroy(void *service, struct bus_call *call)
{
	struct resource_work *work = resource_work_begin(call, true);

	(void)service;
	if (work)
		resource_write_begin(work, EVENT_DESTROYED);
}
