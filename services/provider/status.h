#ifndef PROVIDER_STATUS_H
#define PROVIDER_STATUS_H

/*
 * What the registrar tells of trunks, and does with them, for those who may see
 * them, or change them: this service knows whose they are.
 *
 *   provider.status {id}        {status}; OFFLINE where the registrar says
 *                               nothing in time
 *   provider.registration {id}  registrar.trunk_registration
 *   provider.register {id}      registrar.trunk_register
 *   provider.trial              registrar.trial
 *
 * ERR_NOT_FOUND: the caller sees no such trunk. ERR_FORBIDDEN of the last two:
 * it is not the caller's own, or its tenant may not change trunks.
 */

#include "services/common/resource_service.h"

/* The client of the registrar: service->own. */
enum err_code status_start(struct resource_service *service, struct err *err);
void status_stop(struct resource_service *service);

bus_handler_fn status_get;
bus_handler_fn status_registration;
bus_handler_fn status_register;
bus_handler_fn status_trial;

#endif
