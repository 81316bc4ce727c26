#include "services/provider/ask.h"

#include "proto/resources/resources.h"

#include <assert.h>
#include <inttypes.h>

struct ask *ask_new(void *service, struct bus_call *call)
{
	struct arena *arena = bus_call_arena(call);
	struct ask *ask = arena_alloc(arena, sizeof(*ask));

	ask->service = service;
	ask->call = call;
	ask->arena = arena;
	return ask;
}

void ask_text(struct ask *ask, const char *text)
{
	assert(ask->param_count < ASK_PARAMS_MAX);
	ask->params[ask->param_count++] = text;
}

void ask_number(struct ask *ask, int64_t number)
{
	ask_text(ask, arena_printf(ask->arena, "%" PRId64, number));
}

void ask_tenant(struct ask *ask)
{
	const struct principal *who = &bus_call_request(ask->call)->principal;

	if (principal_acts(who) & (PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE))
		ask_text(ask, NULL);
	else
		ask_number(ask, principal_tenant(who));
}

void ask_audit(struct ask *ask)
{
	assert(ask->param_count + AUDIT_PARAMS <= ASK_PARAMS_MAX);
	audit_params(bus_call_request(ask->call), ask->arena,
		     &ask->params[ask->param_count]);
	ask->param_count += AUDIT_PARAMS;
}

void ask_run(struct ask *ask, enum database_lane lane, const char *name,
	     const char *sql, database_done_fn *done)
{
	const struct database_statement statement = {
		.lane = lane,
		.name = name,
		.sql = sql,
		.params = ask->params,
		.param_count = ask->param_count,
		.deadline_ms = bus_call_left_ms(ask->call),
		.done = done,
		.arg = ask,
	};

	database_run(ask->service->database, &statement);
}

void ask_publish(const struct ask *ask, int64_t id, int64_t version,
		 enum event_kind kind)
{
	const struct event event = {
		.resource = slice_str(provider_resource.name),
		.id = id,
		.version = (uint64_t)version,
		.kind = kind,
	};

	events_publish(ask->service->events, &event);
}
