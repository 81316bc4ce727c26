/* The tenant service: tenants and their users, schema `tenant`. */

#include "proto/principal.h"
#include "proto/resources/tenants.h"
#include "proto/resources/users.h"
#include "services/tenant/dealers.h"
#include "services/tenant/destroy.h"
#include "services/tenant/extension_number.h"
#include "services/tenant/rules.h"
#include "services/tenant/status.h"
#include "services/tenant/tenant.h"
#include "services/tenant/user.h"
#include "services/tenant/user_status.h"

static const struct resource *const resources[] = {
	&tenant_resource,
	&own_tenant_resource,
	&user_resource,
	&password_policy_resource,
};

static const struct resource_hooks hooks[] = {
	{&tenant_resource, .before = rules_before, .after = rules_after},
	{&own_tenant_resource, .before = rules_before, .after = rules_after},
	{&user_resource, .before = user_before, .after = user_after},
};

enum { SELLERS = PRINCIPAL_SYSTEM | PRINCIPAL_DEALER | PRINCIPAL_SERVICE };

static const struct bus_method methods[] = {
	{"tenant.destroy", destroy_tenant, SELLERS},
	{"tenant.status", tenant_status, PRINCIPAL_ADMIN},
	{"tenant.dealers", dealers_get, SELLERS},
	{"tenant.designate", dealers_designate, SELLERS},
	{"tenant.undesignate", dealers_undesignate, SELLERS},
	{"user.password", user_password, PRINCIPAL_ADMIN},
	{"user.extension_password", user_extension_password, PRINCIPAL_ADMIN},
	{"user.role", user_role, PRINCIPAL_ADMIN},
	{"user.profile", user_profile, PRINCIPAL_ADMIN},
	{"user.status", user_status, PRINCIPAL_TENANT},
	{"user.destroy_status", user_destroy_status, PRINCIPAL_TENANT},
	{"extension_number.get", extension_number_get, PRINCIPAL_TENANT},
};

int main(int argc, char **argv)
{
	static const struct resource_service_kind kind = {
		.name = "tenant",
		.role = "trunkline_tenant",
		RESOURCE_SERVICE_RESOURCES(resources),
		RESOURCE_SERVICE_HOOKS(hooks),
		RESOURCE_SERVICE_METHODS(methods),
		.sessions = true,
		.start = tenant_start,
		.stop = tenant_stop,
	};

	return resource_service_run(argc, argv, &kind);
}
