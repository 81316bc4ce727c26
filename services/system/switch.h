#ifndef SYSTEM_SWITCH_H
#define SYSTEM_SWITCH_H

/*
 * auth.switch: the session of an administrator or dealer goes on as the
 * administrator of a tenant, or as itself again. A dealer acts as the tenants
 * of its branch, if it may (tenant_full_access). Audited for the operator and
 * for the tenant.
 */

#include "services/common/bus_server.h"

bus_handler_fn switch_run;

#endif
