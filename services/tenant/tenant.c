#include "services/tenant/tenant.h"

#include "proto/mem.h"
#include "proto/resources/tenants.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static enum err_code connect_to(struct resource_service *service,
				const char *name, struct bus_client **out,
				struct err *err)
{
	char *addresses = config_service_address(service->config, name);
	const enum err_code code = bus_client_new(
		service->loop, name, addresses, service->metrics, out, err);

	free(addresses);
	return code;
}

enum err_code tenant_start(struct resource_service *service, struct err *err)
{
	struct tenant *tenant = mem_alloc(sizeof(*tenant));

	service->own = tenant;
	enum err_code code = places_new(&tenant->places, err);

	if (code == ERR_OK)
		code = connect_to(service, "registrar", &tenant->registrar,
				  err);
	if (code == ERR_OK)
		code = connect_to(service, "provider", &tenant->provider, err);
	if (code == ERR_OK)
		tenant->removal = removal_new(service, tenant->provider);
	return code;
}

void tenant_stop(struct resource_service *service)
{
	struct tenant *tenant = service->own;

	/* Ends the removal's call, if it has one under way. */
	bus_client_free(tenant->provider);
	bus_client_free(tenant->registrar);
	removal_free(tenant->removal);
	places_free(tenant->places);
	free(tenant);
}

void *tenant_ask_new(void *service, struct bus_call *call, size_t size)
{
	struct tenant_ask *ask = arena_alloc(bus_call_arena(call), size);

	ask->service = service;
	ask->call = call;
	return ask;
}

static void add(struct tenant_ask *ask, const char *text)
{
	assert(ask->param_count < TENANT_ASK_PARAMS_MAX);
	ask->params[ask->param_count++] = text;
}

void tenant_ask_number(struct tenant_ask *ask, int64_t number)
{
	add(ask, number == 0 ? NULL
			     : arena_printf(bus_call_arena(ask->call),
					    "%" PRId64, number));
}

void tenant_ask_dealer(struct tenant_ask *ask)
{
	const struct principal *who = &bus_call_request(ask->call)->principal;

	tenant_ask_number(ask, principal_acts(who) == PRINCIPAL_DEALER
				       ? who->dealer_id
				       : 0);
}

void tenant_ask_audit(struct tenant_ask *ask)
{
	assert(ask->param_count + AUDIT_PARAMS <= TENANT_ASK_PARAMS_MAX);
	audit_params(bus_call_request(ask->call), bus_call_arena(ask->call),
		     &ask->params[ask->param_count]);
	ask->param_count += AUDIT_PARAMS;
}

void tenant_ask_run(struct tenant_ask *ask, enum database_lane lane,
		    struct slice sql, database_done_fn *done)
{
	const struct database_statement statement = {
		.lane = lane,
		.sql = arena_strdup(bus_call_arena(ask->call), sql),
		.params = ask->params,
		.param_count = ask->param_count,
		.deadline_ms = bus_call_left_ms(ask->call),
		.done = done,
		.arg = ask,
	};

	database_run(ask->service->database, &statement);
}

void tenant_reply_error(struct bus_call *call,
			const struct database_error *error)
{
	const struct resource *r = &tenant_resource;
	struct err err;

	err_code_set(&err, error->code);
	for (size_t i = 0; i < r->constraint_count; i++)
		if (strcmp(r->constraints[i].name, error->constraint) == 0)
			snprintf(err.text, sizeof(err.text), "%s",
				 r->constraints[i].text);
	/* Our own functions tell more than the constraint's row. */
	if (error->text[0])
		snprintf(err.text, sizeof(err.text), "%s", error->text);
	bus_reply_error(call, &err);
}

void tenant_publish(const struct resource_service *service, int64_t id,
		    int64_t version, enum event_kind kind)
{
	const struct event event = {
		.resource = slice_str(tenant_resource.name),
		.id = id,
		.version = (uint64_t)version,
		.kind = kind,
	};

	events_publish(service->events, &event);
}
