#ifndef PROVIDER_ASSIGNEES_H
#define PROVIDER_ASSIGNEES_H

/*
 * Which tenants a trunk of the system is assigned to, and which of its DID
 * numbers each of them has. For system administrators.
 *
 *   assignee.list {id}                 {items: [assignee_record]}
 *   assignee.get {id, tenant_id}       assigned_record
 *   assignee.set {id, tenant_id, did_numbers, concurrency?}
 *                                      nil: makes it, or changes it
 *   assignee.destroy {id, tenant_id}   nil
 *
 * ERR_NOT_FOUND: no such trunk, tenant or assignment. ERR_CONFLICT: the trunk
 * is a tenant's own, or the tenant is being deleted. ERR_DID_OVERLAP: a number
 * is another tenant's, of the same trunk; the text tells which. ERR_IN_USE: a
 * number that would go is a caller id of the tenant.
 *
 * Each change raises the trunk's version and is told as its event.
 */

#include "services/common/resource_service.h"

bus_handler_fn assignee_list;
bus_handler_fn assignee_get;
bus_handler_fn assignee_set;
bus_handler_fn assignee_destroy;

#endif
