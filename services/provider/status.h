#ifndef PROVIDER_STATUS_H
#define PROVIDER_STATUS_H

/*
 * provider.status {id} -> {status} (GET /api/providers/{id}/status): ONLINE
 * only where a registrar says so. No registrar reports yet (README, limits),
 * so every trunk there is is OFFLINE; ERR_NOT_FOUND for any other id.
 */

#include "services/common/bus_server.h"

bus_handler_fn status_get;

#endif
