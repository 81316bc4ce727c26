#include "services/system/switch.h"

#include "proto/resources/switch.h"
#include "services/common/ask.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/system/system.h"

#define SWITCH_AUDIT(state)                                                    \
	{                                                                      \
		.action = "UPDATE", .object_type = "TENANT",                   \
		.object_id = "done.id", .object_name = "done.name",            \
		.new_state = (state), .source = "done",                        \
	}

/* $1 the tenant, $2 the dealer that asks, or null. */
static const struct ask_write act = {
	.name = "switch_act",
	.with = "seen AS (SELECT id, name, allowed "
		"FROM system.tenant_to_act_as($1, $2)), "
		"done AS (SELECT id, name FROM seen WHERE allowed)",
	.answer = "SELECT allowed FROM seen",
	.audit = SWITCH_AUDIT("'{\"acting_as\":true}'"),
};

/* Who goes back from a tenant that is gone leaves no row of it. */
static const struct ask_write back = {
	.name = "switch_back",
	.with = "done AS (SELECT id, name FROM tenant.tenants WHERE id = $1)",
	.answer = "SELECT id FROM done",
	.audit = SWITCH_AUDIT("'{\"acting_as\":false}'"),
};

/* In the arena of its call. */
struct change {
	struct ask ask;
	struct system *system;
	struct slice access_token;
	int64_t tenant_id; /* to act as; 0: back */
};

static void on_switched(void *arg, enum err_code code)
{
	const struct change *change = arg;
	const struct request *request = bus_call_request(change->ask.call);

	if (code) {
		bus_reply_code(change->ask.call, code);
		return;
	}
	log_event(LOG_INFO, "auth.switched",
		  LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_INT("tenant", change->tenant_id));
	bus_reply_ok(change->ask.call, 0);
}

static void act_as(struct change *change)
{
	session_act_as(change->system->cache, change->access_token,
		       change->tenant_id, bus_call_left_ms(change->ask.call),
		       on_switched, change);
}

static void on_allowed(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct change *change = arg;

	if (!ask_found(&change->ask, result, error))
		return;
	if (!database_bool(result, 0, 0))
		bus_reply_code(change->ask.call, ERR_FORBIDDEN);
	else
		act_as(change);
}

static void on_back(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct change *change = arg;

	(void)result;
	if (error)
		bus_reply_code(change->ask.call, error->code);
	else
		act_as(change);
}

static void begin(struct change *change)
{
	struct ask *ask = &change->ask;

	if (change->tenant_id == 0 && ask->who.acting_as == 0) {
		bus_reply_ok(ask->call, 0); /* acts as nobody */
		return;
	}
	/* The row is the tenant's too, on and back. */
	if (change->tenant_id > 0)
		ask->who.acting_as = change->tenant_id;
	ask_id(ask, ask->who.acting_as);
	if (change->tenant_id > 0) {
		ask_id(ask, ask->who.dealer_id);
		ask_write(ask, &act, on_allowed);
	} else {
		ask_write(ask, &back, on_back);
	}
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

	struct system *system = service;
	struct change *change =
		ask_new(system, system->database, call, sizeof(*change));

	change->system = system;
	change->access_token = values[SWITCH_ACCESS_TOKEN].string;
	if (values[SWITCH_ID].kind == VALUE_INT)
		change->tenant_id = values[SWITCH_ID].integer;
	begin(change);
}
