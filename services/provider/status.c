#include "services/provider/status.h"

#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_client.h"
#include "services/common/bus_record.h"

#include <stdlib.h>

/* A registrar that is away must not make the answer of a status wait. */
enum { STATUS_DEADLINE_MS = 500 };

enum err_code status_start(struct resource_service *service, struct err *err)
{
	char *addresses = config_service_address(service->config, "registrar");
	struct bus_client *client = NULL;
	enum err_code code =
		bus_client_new(service->loop, "registrar", addresses,
			       service->metrics, &client, err);

	free(addresses);
	service->own = client;
	return code;
}

void status_stop(struct resource_service *service)
{
	bus_client_free(service->own);
}

/* SQL: the tenant $n may change trunks; for null, true. */
#define MAY_CHANGE(n)                                                          \
	"($" n "::bigint IS NULL OR EXISTS (SELECT FROM tenant.tenants o "     \
	"WHERE o.id = $" n " AND o.enabled AND o.deleting_at IS NULL "         \
	"AND o.enable_feature_trunks))"

/* ---- what the registrar says ---- */

static void on_told(void *arg, const struct reply *reply, const struct err *err)
{
	struct bus_call *call = arg;

	if (err) {
		bus_reply_error(call, err);
		return;
	}
	writer_raw(bus_call_body(call), reply->body);
	bus_reply_ok(call, reply->object_version);
}

/* The trunk is there: who does not know it yet has not registered it. */
static void on_status(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct bus_call *call = arg;

	if (!err) {
		on_told(arg, reply, NULL);
		return;
	}
	struct buffer *out = bus_call_body(call);

	writer_map(out, 1);
	writer_text(out, "status");
	writer_text(out, "OFFLINE");
	bus_reply_ok(call, 0);
}

/* The call goes on to a method of the registrar, whose answer is its answer. In
 * our own name: whether the caller may was looked at here. */
static void relay_trunk(struct ask *ask, const char *method,
			uint32_t deadline_ms, bus_done_fn *done)
{
	const struct resource_service *service = ask->service;
	struct request request = *bus_call_request(ask->call);

	request.method = slice_str(method);
	request.deadline_ms = deadline_ms;
	request.principal.kind = PRINCIPAL_SERVICE;
	request.principal.acting_as = 0;
	bus_client_call(service->own, BUS_READ, &request, done, ask->call);
}

/* ---- one trunk ---- */

/* What the caller's look for a trunk tells. */
enum { SEEN_MAY_CHANGE };

static const char see_sql[] =
	"SELECT ($2::bigint IS NULL OR t.tenant_id IS NOT DISTINCT FROM $2) "
	"AND " MAY_CHANGE(
		"2") " FROM provider.providers t WHERE t.id = $1 "
		     "AND ($2::bigint IS NULL OR t.tenant_id = $2 OR EXISTS "
		     "(SELECT FROM provider.assignees a "
		     "WHERE a.provider_id = t.id AND a.tenant_id = $2))";

static void see(void *service, struct bus_call *call, database_done_fn *done)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	ask_number(ask, args[ID_ID].integer);
	ask_tenant(ask);
	ask_run(ask, DATABASE_READ, "provider.see", see_sql, done);
}

static void on_status_seen(void *arg, const struct database_result *result,
			   const struct database_error *error)
{
	struct ask *ask = arg;

	if (ask_found(ask, result, error))
		relay_trunk(ask, "registrar.trunk_status", STATUS_DEADLINE_MS,
			    on_status);
}

void status_get(void *service, struct bus_call *call)
{
	see(service, call, on_status_seen);
}

static void on_registration_seen(void *arg,
				 const struct database_result *result,
				 const struct database_error *error)
{
	struct ask *ask = arg;

	if (ask_found(ask, result, error))
		relay_trunk(ask, "registrar.trunk_registration",
			    bus_call_left_ms(ask->call), on_told);
}

void status_registration(void *service, struct bus_call *call)
{
	see(service, call, on_registration_seen);
}

static void on_register_seen(void *arg, const struct database_result *result,
			     const struct database_error *error)
{
	struct ask *ask = arg;

	if (!ask_found(ask, result, error))
		return;
	if (!database_bool(result, 0, SEEN_MAY_CHANGE))
		bus_reply_code(ask->call, ERR_FORBIDDEN);
	else
		relay_trunk(ask, "registrar.trunk_register",
			    bus_call_left_ms(ask->call), on_told);
}

void status_register(void *service, struct bus_call *call)
{
	see(service, call, on_register_seen);
}

/* ---- settings ---- */

static void on_permitted(void *arg, const struct database_result *result,
			 const struct database_error *error)
{
	struct ask *ask = arg;

	if (error || !database_bool(result, 0, 0)) {
		bus_reply_code(ask->call, error ? error->code : ERR_FORBIDDEN);
		return;
	}
	const struct resource_service *service = ask->service;
	struct request request = *bus_call_request(ask->call);

	/* Asked as by the caller: which trunks it may make depends on it. */
	request.method = (struct slice)SLICE("registrar.trial");
	request.deadline_ms = bus_call_left_ms(ask->call);
	bus_client_call(service->own, BUS_SLOW, &request, on_told, ask->call);
}

void status_trial(void *service, struct bus_call *call)
{
	struct ask *ask = resource_service_ask(service, call, sizeof(*ask));

	ask_tenant(ask);
	ask_run(ask, DATABASE_READ, "provider.may_change",
		"SELECT " MAY_CHANGE("1"), on_permitted);
}
