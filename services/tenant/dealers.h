#ifndef TENANT_DEALERS_H
#define TENANT_DEALERS_H

/*
 * Whose a tenant is.
 *
 *   tenant.dealers {id} -> {items: [tenant_dealer_record]}   one or none
 *   tenant.designate {id, dealer_id} -> nil     from whoever has it now
 *   tenant.undesignate {id, dealer_id} -> nil   from this dealer: to none, or,
 *                                               where a dealer above it asks,
 *                                               to that one
 *
 * A dealer reaches its own tenants and those of dealers below it, may give them
 * to itself and to these, and take them from these. Not from itself
 * (ERR_FORBIDDEN): they would be in nobody's quota. The sessions of dealers who
 * reach the tenant no more and act as it end (else ERR_LOST). ERR_NOT_FOUND: a
 * tenant or dealer out of the caller's reach, or that has not the tenant.
 * ERR_LIMIT: a quota of the new dealer, or of one above it, is used up.
 * ERR_CONFLICT: it is disabled, or the tenant is being deleted.
 */

#include "services/common/bus_server.h"

bus_handler_fn dealers_get;
bus_handler_fn dealers_designate;
bus_handler_fn dealers_undesignate;

#endif
