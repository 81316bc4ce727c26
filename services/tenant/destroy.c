#include "services/tenant/destroy.h"

#include "proto/resources/tenants.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/tenant/tenant.h"

#define IN_REACH TENANT_IN_REACH("3")

/* $1 id, $2 version or null, $3 the dealer that asks or null. One row where the
 * tenant exists: the new version (null: it stayed as it was) and whether it is
 * being deleted already. */
static const struct ask_write mark = {
	.name = "tenant.mark",
	.with = "old AS (SELECT t.* FROM tenant.tenants t "
		"WHERE t.id = $1 AND " IN_REACH " FOR UPDATE), "
		"done AS (UPDATE tenant.tenants t SET deleting_at = now(), "
		"enabled = false, version = t.version + 1, updated_at = now() "
		"FROM old WHERE t.id = old.id AND old.deleting_at IS NULL "
		"AND old.version = coalesce($2::bigint, old.version) "
		"RETURNING t.*)",
	.answer = "SELECT done.version, old.deleting_at IS NOT NULL "
		  "FROM old LEFT JOIN done ON true",
	.audit = {.action = "DELETE",
		  .object_type = "TENANT",
		  .object_id = "done.id",
		  .object_name = "done.name",
		  .old_state = "json_build_object('name', done.name, "
			       "'domain', done.domain, "
			       "'dealer_id', done.dealer_id, "
			       "'extensions', done.extension_count)::text",
		  .source = "done"},
};

struct destroy {
	struct ask ask;
	int64_t id;
};

static void on_sessions(void *arg, enum err_code code)
{
	struct destroy *destroy = arg;
	const struct resource_service *service = destroy->ask.service;
	const struct tenant *tenant = service->own;

	/* The removal ends them before anything else, as often as it takes. */
	if (code != ERR_OK)
		log_event(LOG_WARN, "tenant.sessions_stay",
			  LOG_INT("tenant", destroy->id),
			  LOG_STR("error", err_name(code)));
	removal_wake(tenant->removal);
	bus_reply_ok(destroy->ask.call, 0);
}

static void on_marked(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct destroy *destroy = arg;
	struct bus_call *call = destroy->ask.call;
	struct resource_service *service = destroy->ask.service;

	if (error) {
		resource_refuse(&tenant_resource, call, error);
	} else if (database_rows(result) == 0) {
		bus_reply_code(call, ERR_NOT_FOUND);
	} else if (database_bool(result, 0, 1)) {
		bus_reply_ok(call, 0);
	} else if (database_null(result, 0, 0)) {
		bus_reply_code(call, ERR_PRECONDITION);
	} else {
		resource_tell(service->events, &tenant_resource, destroy->id,
			      database_int(result, 0, 0), EVENT_UPDATED);
		session_end_all(service->cache, destroy->id,
				bus_call_left_ms(call), on_sessions, destroy);
	}
}

void destroy_tenant(void *service, struct bus_call *call)
{
	struct value args[TENANT_DESTROY_FIELDS];

	if (!bus_call_args(call, &tenant_destroy_record, args))
		return;
	struct destroy *destroy =
		resource_service_ask(service, call, sizeof(*destroy));
	const struct value *version = &args[TENANT_DESTROY_IF_VERSION];

	destroy->id = args[TENANT_DESTROY_ID].integer;
	ask_id(&destroy->ask, destroy->id);
	ask_id(&destroy->ask,
	       version->kind == VALUE_INT ? version->integer : 0);
	ask_dealer(&destroy->ask);
	ask_write(&destroy->ask, &mark, on_marked);
}
