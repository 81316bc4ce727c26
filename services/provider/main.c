/* The provider service: SIP providers (trunks), schema `provider`. */

#include "proto/resources/resources.h"
#include "services/provider/status.h"

static const struct resource *const resources[] = {&provider_resource};

static const struct bus_method methods[] = {
	{"provider.status", status_get, PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE},
};

int main(int argc, char **argv)
{
	static const struct resource_service_kind kind = {
		.name = "provider",
		.role = "trunkline_provider",
		.who = PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE,
		.resources = resources,
		.resource_count = sizeof(resources) / sizeof(resources[0]),
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.start = status_start,
		.stop = status_stop,
	};

	return resource_service_run(argc, argv, &kind);
}
