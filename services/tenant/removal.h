#ifndef TENANT_REMOVAL_H
#define TENANT_REMOVAL_H

/*
 * Removes the tenants that are being deleted (tenants.deleting_at) with all
 * they own, one after the other, in batches, so that no lock is held for long:
 *
 *   sessions   everybody signed in there is signed out (Redis)
 *   trunks     provider.forget_tenant, until nothing is left: its assignments
 *              and its own trunks
 *   users      until there are none; each is told as an event
 *   row        the tenant's own, with its event
 *
 * What was done is in the rows alone: whoever dies on the way, this process or
 * another, the next start goes on from there, and replicas may do the same
 * work at once. What fails is tried again after a pause that grows.
 */

#include "services/common/bus_client.h"
#include "services/common/resource_service.h"

struct removal;

/* Begins at once with what an earlier process left. provider outlives it, but
 * for its free, which ends a call under way. */
struct removal *removal_new(struct resource_service *service,
			    struct bus_client *provider);

/* The database and the provider client were freed before: nothing is under way
 * any more. */
void removal_free(struct removal *removal);

/* A tenant was marked: begins now. */
void removal_wake(struct removal *removal);

#endif
