/* One call of the resource engine, from its arguments to its answer. */

#include "services/common/resource_internal.h"

#include "proto/resources/resources.h"
#include "services/common/audit.h"

#include <assert.h>
#include <stdio.h>

void resource_reply_fail(struct resource_work *work, const struct err *err)
{
	buffer_fini(&work->query.sql);
	bus_reply_error(work->call, err);
}

void resource_reply_code(struct resource_work *work, enum err_code code)
{
	buffer_fini(&work->query.sql);
	bus_reply_code(work->call, code);
}

void resource_reply_malformed(struct resource_work *work)
{
	struct err err;

	err_set(&err, ERR_MALFORMED, "malformed arguments");
	resource_reply_fail(work, &err);
}

void resource_reply_ok(struct resource_work *work, int64_t version)
{
	buffer_fini(&work->query.sql);
	bus_reply_ok(work->call, (uint64_t)version);
}

void resource_tell(struct events_publisher *events, const struct resource *r,
		   int64_t id, int64_t version, enum event_kind kind)
{
	const struct event event = {
		.resource = slice_str(r->event ? r->event : r->name),
		.id = id,
		.version = (uint64_t)version,
		.kind = kind};

	events_publish(events, &event);
}

void resource_publish(const struct resource_work *work, int64_t id,
		      int64_t version, enum event_kind kind)
{
	struct events_publisher *events = work->store->options.events;

	if (events)
		resource_tell(events, work->store->resource, id, version, kind);
}

static const struct resource_reach *reach_of(const struct resource_store *store,
					     const struct principal *who)
{
	const struct resource *r = store->resource;
	const enum principal_kind kind = principal_acts(who);

	if (kind == PRINCIPAL_SERVICE)
		return &store->reaches[r->scope_count];
	for (size_t i = 0; i < r->scope_count; i++)
		if (r->scopes[i].who & kind)
			return &store->reaches[i];
	return NULL;
}

/* 0: it has none. */
static int64_t caller_id(const struct resource_scope *scope,
			 const struct principal *who)
{
	switch (scope->by) {
	case RESOURCE_BY_TENANT:
		return principal_tenant(who);
	case RESOURCE_BY_DEALER:
		return who->dealer_id;
	case RESOURCE_BY_SELF:
		return who->id;
	case RESOURCE_BY_NOBODY:
		break;
	}
	return 0;
}

struct resource_work *resource_work_new(struct bus_call *call)
{
	struct arena *arena = bus_call_arena(call);
	struct resource_work *work = arena_alloc(arena, sizeof(*work));
	const struct principal *who = &bus_call_request(call)->principal;

	work->store = bus_call_data(call); /* see resource_methods() */
	work->reach = reach_of(work->store, who);
	work->call = call;
	work->arena = arena;
	work->query.resource = work->store->resource;
	work->query.arena = arena;
	if (!work->reach) {
		resource_reply_code(work, ERR_FORBIDDEN);
		return NULL;
	}
	const struct resource_scope *scope = work->reach->scope;

	if (resource_scope_params(scope) > 0) {
		const int64_t id = caller_id(scope, who);

		resource_param_add(work, id > 0 ? resource_number_text(work, id)
						: NULL);
	}
	return work;
}

static bool take_arg(struct reader *reader, struct resource_args *args)
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

struct resource_work *resource_work_begin(struct bus_call *call, bool needs_id)
{
	struct resource_work *work = resource_work_new(call);
	struct reader reader;

	if (!work)
		return NULL;
	const struct resource_scope *scope = work->reach->scope;
	const bool own = needs_id && work->store->resource->own && scope;
	struct resource_args *args = &work->args;

	reader_init(&reader, bus_call_request(call)->args);
	for (uint32_t n = reader_map(&reader); n > 0; n--)
		if (!take_arg(&reader, args))
			break;
	if (!reader_done(&reader) || (args->id > 0) != (needs_id && !own) ||
	    args->if_version < 0 ||
	    args->key.size > IDEMPOTENCY_KEY_BYTES_MAX) {
		resource_reply_malformed(work);
		return NULL;
	}
	if (own)
		args->id = caller_id(scope, &bus_call_request(call)->principal);
	return work;
}

void resource_param_add(struct resource_work *work, const char *text)
{
	assert(work->query.param_count < QUERY_PARAMS_MAX);
	work->query.params[work->query.param_count++] = text;
}

const char *resource_number_text(struct resource_work *work, int64_t number)
{
	return arena_printf(work->arena, "%lld", (long long)number);
}

void resource_audit_params_add(struct resource_work *work)
{
	const char *params[AUDIT_PARAMS];

	if (!work->store->resource->audit)
		return;
	audit_params(bus_call_request(work->call), work->arena, params);
	for (size_t i = 0; i < AUDIT_PARAMS; i++)
		resource_param_add(work, params[i]);
}

static void run(struct resource_work *work, enum database_lane lane,
		const char *name, const char *sql, database_done_fn *done)
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

	database_run(work->store->options.database, &statement);
}

void resource_run(struct resource_work *work, enum database_lane lane,
		  const struct resource_statement *statement,
		  database_done_fn *done)
{
	run(work, lane, statement->name, statement->sql, done);
}

void resource_run_query(struct resource_work *work, enum database_lane lane,
			database_done_fn *done)
{
	buffer_append_char(&work->query.sql, '\0');
	run(work, lane, NULL, work->query.sql.data, done);
}

void resource_refuse(const struct resource *r, struct bus_call *call,
		     const struct database_error *error)
{
	const unsigned acts =
		principal_acts(&bus_call_request(call)->principal);
	struct err err;

	err_code_set(&err, error->code);
	if (error->text[0] != '\0')
		err_set(&err, error->code, "%s", error->text);
	for (size_t i = 0; i < r->constraint_count; i++) {
		const struct resource_constraint *c = &r->constraints[i];
		/* What the database made for this case knows more. */
		const char *text = error->text[0] != '\0' && !(c->terse & acts)
					   ? error->text
					   : c->text;

		if (strcmp(c->name, error->constraint) != 0)
			continue;
		if (c->field)
			err_field(&err, c->field, "%s", text);
		snprintf(err.text, sizeof(err.text), "%s", text);
		err.code = c->code ? c->code : error->code;
	}
	bus_reply_error(call, &err);
}

void resource_reply_error(struct resource_work *work,
			  const struct database_error *error)
{
	buffer_fini(&work->query.sql);
	resource_refuse(work->store->resource, work->call, error);
}

struct value *resource_values_new(struct resource_work *work)
{
	const size_t count = work->store->resource->record->count;

	return arena_alloc(work->arena, count * sizeof(struct value));
}
