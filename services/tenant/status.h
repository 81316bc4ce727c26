#ifndef TENANT_STATUS_H
#define TENANT_STATUS_H

/* tenant.status -> tenant_status_record (GET /api/tenant/status): what the
 * caller's tenant has and uses. Who is online says the registrar; 0 where it
 * says nothing in time. */

#include "services/common/bus_server.h"

bus_handler_fn tenant_status;

#endif
