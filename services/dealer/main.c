/* The dealer service: who sells to tenants, schema `dealer`. */

#include "proto/resources/dealers.h"
#include "services/common/resource_service.h"
#include "services/dealer/account.h"
#include "services/dealer/rules.h"
#include "services/dealer/status.h"

static const struct resource *const resources[] = {&dealer_resource,
						   &own_dealer_resource};

static const struct resource_hooks hooks[] = {
	{&dealer_resource, rules_before, rules_after},
};

static const struct bus_method methods[] = {
	{"dealer.status", status_get, PRINCIPAL_DEALER},
	{"dealer.password", account_password,
	 PRINCIPAL_SYSTEM | PRINCIPAL_DEALER},
	{"dealer.own_username", account_own_username, PRINCIPAL_DEALER},
	{"dealer.own_password", account_own_password, PRINCIPAL_DEALER},
};

int main(int argc, char **argv)
{
	static const struct resource_service_kind kind = {
		.name = "dealer",
		.role = "trunkline_dealer",
		RESOURCE_SERVICE_RESOURCES(resources),
		RESOURCE_SERVICE_HOOKS(hooks),
		.sessions = true,
		RESOURCE_SERVICE_METHODS(methods),
	};

	return resource_service_run(argc, argv, &kind);
}
