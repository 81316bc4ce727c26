/* The provider service: SIP providers (trunks), whom they are assigned to, and
 * whose DID numbers are. Schema `provider`. */

#include "proto/resources/resources.h"
#include "services/provider/assignees.h"
#include "services/provider/dids.h"
#include "services/provider/forget.h"
#include "services/provider/pool.h"
#include "services/provider/status.h"

static const struct resource *const resources[] = {&provider_resource};

static const struct resource_hooks hooks[] = {
	{.resource = &provider_resource, .before = pool_check},
};

enum {
	SYSTEM = PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE,
	CHANGERS = SYSTEM | PRINCIPAL_ADMIN,
	READERS = CHANGERS | PRINCIPAL_QUEUE_MANAGER,
};

static const struct bus_method methods[] = {
	{"provider.status", status_get, READERS},
	{"provider.registration", status_registration, READERS},
	{"provider.register", status_register, CHANGERS},
	{"provider.trial", status_trial, CHANGERS},
	{"provider.forget_tenant", forget_tenant, PRINCIPAL_SERVICE},
	{"assignee.list", assignee_list, SYSTEM},
	{"assignee.get", assignee_get, SYSTEM},
	{"assignee.set", assignee_set, SYSTEM},
	{"assignee.destroy", assignee_destroy, SYSTEM},
	{"did.get", did_get, CHANGERS},
};

int main(int argc, char **argv)
{
	static const struct resource_service_kind kind = {
		.name = "provider",
		.role = "trunkline_provider",
		RESOURCE_SERVICE_RESOURCES(resources),
		RESOURCE_SERVICE_HOOKS(hooks),
		RESOURCE_SERVICE_METHODS(methods),
		.start = status_start,
		.stop = status_stop,
	};

	return resource_service_run(argc, argv, &kind);
}
