#ifndef DEALER_RULES_H
#define DEALER_RULES_H

/*
 * What the writes of dealers have to keep beside their descriptor and the
 * database (deploy/migrations/0006_dealer.sql): hooks of dealer_resource.
 */

#include "services/common/resource_service.h"

/* The password's policy, and what a dealer may say of tenant_full_access. */
void rules_before(struct resource_change *change);

/* A dealer that is disabled, destroyed, has another password or may act as its
 * tenants no more signs in anew, if it can. */
void rules_after(struct resource_change *change);

#endif
