#include "services/tenant/tenant.h"

#include "proto/mem.h"

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
