/* The transport service: SIP listeners and their certificate, schema
 * `transport`. */

#include "proto/resources/resources.h"
#include "services/common/resource_service.h"
#include "services/transport/key.h"

static const struct resource *const resources[] = {&transport_resource};

static const struct bus_method methods[] = {
	{"key.get", key_get, PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE},
	{"key.set", key_set, PRINCIPAL_SYSTEM},
	{"key.versions", key_versions, PRINCIPAL_SERVICE},
	{"key.fetch", key_fetch, PRINCIPAL_SERVICE},
};

int main(int argc, char **argv)
{
	static const struct resource_service_kind kind = {
		.name = "transport",
		.role = "trunkline_transport",
		RESOURCE_SERVICE_RESOURCES(resources),
		RESOURCE_SERVICE_METHODS(methods),
	};

	return resource_service_run(argc, argv, &kind);
}
