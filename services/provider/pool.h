#ifndef PROVIDER_POOL_H
#define PROVIDER_POOL_H

/*
 * A rule of new pools, of a create or an update of a trunk: no number is in two
 * of its entries (check_did_pool). Not the field's own check, for trunks made
 * before there was this rule are still read.
 */

#include "services/common/resource_service.h"

void pool_check(struct resource_change *change);

#endif
