#ifndef REGISTRAR_METHODS_H
#define REGISTRAR_METHODS_H

/*
 * What the registrar answers on the bus; the service is its struct registrar.
 *
 *   registrar.transport_status {protocol}  {status}: ACTIVATED, DEACTIVATED
 *   registrar.transport_detail {id}        transport_detail_record
 *   registrar.registrations                see registrations.h
 *   registrar.user_status, .drop_user_registration, .tenant_status
 *                                          see user_methods.h
 *   registrar.trunk_status, .trunk_registration, .trunk_register
 *                                          see trunk_methods.h
 *   registrar.trial provider_record        trial_record: a dry run, see trial.h
 *
 * ERR_UNAVAILABLE: not everything was read yet, or another registrar has the
 * trunk.
 */

#include "services/common/bus_server.h"

#include <stdbool.h>

struct registrar;

enum { REGISTRAR_METHODS = 10 };

extern const struct bus_method registrar_methods[REGISTRAR_METHODS];

/* Before the first sync nothing can be said of what is not known. False: it was
 * answered. */
bool methods_known(struct registrar *registrar, struct bus_call *call);

/* Answers {status}. */
void methods_status(struct bus_call *call, const char *status);

#endif
