#ifndef TENANT_TENANT_H
#define TENANT_TENANT_H

/* What the methods of the tenant service share: service->own. */

#include "services/common/bus_client.h"
#include "services/common/resource_service.h"
#include "services/tenant/places.h"
#include "services/tenant/removal.h"

struct tenant {
	struct bus_client *registrar; /* who is registered */
	struct bus_client *provider;  /* trunks of a tenant that goes */
	struct places *places;
	struct removal *removal;
};

enum err_code tenant_start(struct resource_service *service, struct err *err);
void tenant_stop(struct resource_service *service);

/* SQL: tenant t is one that dealer $n ("3") may reach; for null, any. */
#define TENANT_IN_REACH(n)                                                     \
	"($" n "::bigint IS NULL OR EXISTS (SELECT FROM dealer.dealers own "   \
	"WHERE own.id = t.dealer_id AND $" n " = ANY (own.path)))"

#endif
