#ifndef TENANT_DESTROY_H
#define TENANT_DESTROY_H

/*
 * tenant.destroy {id, if_version?} -> nil (POST /api/tenants/{id}/destroy):
 * from its answer on the tenant is disabled and being deleted (removal.h does
 * that), its sessions are ended and every change of it is refused; it can be
 * read until it is gone. Again for such a tenant: done already, nil.
 * ERR_NOT_FOUND for one the caller does not reach, ERR_PRECONDITION for another
 * version.
 */

#include "services/common/bus_server.h"

bus_handler_fn destroy_tenant;

#endif
