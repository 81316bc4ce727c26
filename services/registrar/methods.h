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
 *   registrar.trunk_status {id}            {status}: ONLINE, OFFLINE
 *   registrar.trunk_registration {id}      all of status.h, with the ladder
 *   registrar.trunk_register {id}          nil: it registers now
 *   registrar.trial provider_record        trial_record: a dry run, see trial.h
 *
 * Of single trunks the provider service asks, which knows who may see them
 * (services/provider/status.h).
 *
 * ERR_UNAVAILABLE: not everything was read yet, or another registrar has the
 * trunk.
 */

#include "services/common/bus_server.h"

enum { REGISTRAR_METHODS = 10 };

extern const struct bus_method registrar_methods[REGISTRAR_METHODS];

#endif
