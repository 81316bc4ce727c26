#ifndef PROVIDER_STATUS_H
#define PROVIDER_STATUS_H

/*
 * provider.status {id} -> {status} (GET /api/providers/{id}/status): what the
 * registrar says of the trunk, OFFLINE where it says nothing in time;
 * ERR_NOT_FOUND for a trunk that is not.
 */

#include "services/common/resource_service.h"

/* The client of the registrar: service->own. */
enum err_code status_start(struct resource_service *service, struct err *err);
void status_stop(struct resource_service *service);

bus_handler_fn status_get;

#endif
