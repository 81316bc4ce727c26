#ifndef PROVIDER_DIDS_H
#define PROVIDER_DIDS_H

/*
 * did.get {number} -> did_record: which trunks have a DID number in a pool, and
 * whose it is there. A tenant is told of its own numbers. ERR_NOT_FOUND: it is
 * in no pool the caller knows of.
 */

#include "services/common/resource_service.h"

bus_handler_fn did_get;

#endif
