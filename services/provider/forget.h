#ifndef PROVIDER_FORGET_H
#define PROVIDER_FORGET_H

/*
 * provider.forget_tenant {tenant_id} -> {left}: deletes a batch of what a
 * tenant has here, its assignments and its own trunks, and tells of it; how
 * many of both are left. For the service that deletes the tenant, which asks
 * again until nothing is left: nothing here asks who may, nor is it audited,
 * beyond the deletion of the tenant.
 */

#include "services/common/resource_service.h"

enum {
	/* Of each kind at one time: others' writes wait for the commit. */
	FORGET_BATCH = 100,
};

bus_handler_fn forget_tenant;

#endif
