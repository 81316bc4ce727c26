#include "services/system/switch.h"

#include "proto/resources/switch.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/system/audited.h"

#include <inttypes.h>

#define SWITCH_AUDIT(state)                                                    \
	{                                                                      \
		.action = "UPDATE", .object_type = "TENANT",                   \
		.object_id = "done.id", .object_name = "done.name",            \
		.new_state = (state), .source = "done",                        \
	}

/* $1 the tenant, $2 the dealer that asks, or null. */
static const struct audited act = {
	.name = "switch_act",
	.with = "seen AS (SELECT id, name, allowed "
		"FROM system.tenant_to_act_as($1, $2)), "
		"done AS (SELECT id, name FROM seen WHERE allowed)",
	.answer = "SELECT allowed FROM seen",
	.audit = SWITCH_AUDIT("'{\"acting_as\":true}'"),
};

/* Who goes back from a tenant that is gone leaves no row of it. */
static const struct audited back = {
	.name = "switch_back",
	.with = "done AS (SELECT id, name FROM tenant.tenants WHERE id = $1)",
	.answer = "SELECT id FROM done",
	.audit = SWITCH_AUDIT("'{\"acting_as\":false}'"),
};

/* In the arena of its call. */
struct change {
	struct system *system;
	struct bus_call *call;
	struct slice access_token;
	int64_t tenant_id; /* to act as; 0: back */
};

static void on_switched(void *arg, enum err_code code)
{
	const struct change *change = arg;
	const struct request *request = bus_call_request(change->call);

	if (code) {
		bus_reply_code(change->call, code);
		return;
	}
	log_event(LOG_INFO, "auth.switched",
		  LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_INT("tenant", change->tenant_id));
	bus_reply_ok(change->call, 0);
}

static void act_as(struct change *change)
{
	session_act_as(change->system->cache, change->access_token,
		       change->tenant_id, bus_call_left_ms(change->call),
		       on_switched, change);
}

static void on_allowed(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct change *change = arg;

	if (error)
		bus_reply_code(change->call, error->code);
	else if (database_rows(result) == 0)
		bus_reply_code(change->call, ERR_NOT_FOUND);
	else if (!database_bool(result, 0, 0))
		bus_reply_code(change->call, ERR_FORBIDDEN);
	else
		act_as(change);
}

static void on_back(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct change *change = arg;

	(void)result;
	if (error)
		bus_reply_code(change->call, error->code);
	else
		act_as(change);
}

static const char *id_text(struct arena *arena, int64_t id)
{
	return id ? arena_printf(arena, "%" PRId64, id) : NULL;
}

static void begin(struct change *change)
{
	const struct principal *asks =
		&bus_call_request(change->call)->principal;
	struct arena *arena = bus_call_arena(change->call);
	const bool on = change->tenant_id > 0;
	/* The row is the tenant's too, on and back. */
	struct principal who = *asks;

	if (on)
		who.acting_as = change->tenant_id;

	const char *const params[] = {id_text(arena, who.acting_as),
				      id_text(arena, who.dealer_id)};

	if (!on && who.acting_as == 0)
		bus_reply_ok(change->call, 0); /* acts as nobody */
	else if (on)
		audited_run(change->system, change->call, &who, &act, params, 2,
			    on_allowed, change);
	else
		audited_run(change->system, change->call, &who, &back, params,
			    1, on_back, change);
}

void switch_run(void *service, struct bus_call *call)
{
	const struct principal *asks = &bus_call_request(call)->principal;
	struct value values[SWITCH_FIELDS];

	/* The method admits administrators of tenants for the sake of those
	 * who act as one. */
	if (!(asks->kind & (PRINCIPAL_SYSTEM | PRINCIPAL_DEALER))) {
		bus_reply_code(call, ERR_FORBIDDEN);
		return;
	}
	if (!bus_call_args(call, &switch_record, values))
		return;

	struct change *change =
		arena_alloc(bus_call_arena(call), sizeof(*change));

	change->system = service;
	change->call = call;
	change->access_token = values[SWITCH_ACCESS_TOKEN].string;
	if (values[SWITCH_ID].kind == VALUE_INT)
		change->tenant_id = values[SWITCH_ID].integer;
	begin(change);
}
