#include "services/common/resource.h"

#include "proto/mem.h"
#include "services/common/log.h"
#include "services/common/resource_internal.h"

#include <stdlib.h>

static char *buffer_take(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	return buffer->data;
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

static char *name_of(const struct resource *r, const char *method)
{
	struct buffer name = {0};

	buffer_printf(&name, "%s.%s", r->name, method);
	return buffer_take(&name);
}

struct resource_store *
resource_store_new(const struct resource *r,
		   const struct resource_store_options *options)
{
	struct resource_store *store = mem_alloc(sizeof(*store));

	store->resource = r;
	store->options = *options;
	for (int view = 0; view < RECORD_VIEWS; view++)
		columns_init(&store->views[view], r->record,
			     (enum record_view)view);
	resource_statements_init(store);
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
	resource_statements_free(store);
	for (size_t i = 0; i < RESOURCE_METHODS; i++)
		free(store->method_names[i]);
	free(store);
}

static const struct {
	const char *name;
	bus_handler_fn *handle;
	enum resource_verb verb; /* 0: for PRINCIPAL_SERVICE alone */
	bool of_own; /* of a resource that is the caller's own, too */
} methods[RESOURCE_METHODS] = {
	{"list", resource_list, RESOURCE_SEE},
	{"get", resource_get, RESOURCE_SEE, true},
	{"create", resource_create, RESOURCE_CREATE},
	{"update", resource_update, RESOURCE_UPDATE, true},
	{"destroy", resource_destroy, RESOURCE_DESTROY},
	{"export", resource_export, RESOURCE_SEE},
	{"versions", resource_versions, 0},
	{"fetch", resource_fetch, 0},
};

/* The kinds that may call a method: a kind is of the first scope that names it.
 */
static unsigned who_may(const struct resource *r, size_t method)
{
	const enum resource_verb verb = methods[method].verb;
	unsigned may = PRINCIPAL_SERVICE;
	unsigned seen = 0;

	if (r->own && !methods[method].of_own)
		return may;
	for (size_t i = 0; i < r->scope_count; i++) {
		const struct resource_scope *scope = &r->scopes[i];

		if (scope->verbs & verb)
			may |= scope->who & ~seen;
		seen |= scope->who;
	}
	return may;
}

void resource_methods(struct resource_store *store,
		      struct bus_method out[RESOURCE_METHODS])
{
	for (size_t i = 0; i < RESOURCE_METHODS; i++) {
		free(store->method_names[i]);
		store->method_names[i] =
			name_of(store->resource, methods[i].name);
		out[i] = (struct bus_method){.name = store->method_names[i],
					     .handle = methods[i].handle,
					     .who = who_may(store->resource, i),
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

	database_run(store->options.database, &statement);
}
