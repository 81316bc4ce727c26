#ifndef REGISTRAR_TRUNK_METHODS_H
#define REGISTRAR_TRUNK_METHODS_H

/*
 * What the provider service asks of trunks: it knows who may see them
 * (services/provider/status.h).
 *
 * A trunk that is not known is asked for first, and one whose state is being
 * read is waited for: who made a trunk is not told that there is none.
 *
 *   known? --no--> ask the provider service --> known? --no--> NOT_FOUND
 *     | yes                                       | yes
 *     '------------------> loaded? <--------------'
 *                      no: wait | yes: answer
 */

#include "services/common/bus_server.h"

/* registrar.trunk_status {id} -> {status}: ONLINE, OFFLINE */
void trunk_methods_status(void *service, struct bus_call *call);

/* registrar.trunk_registration {id} -> all of status.h, with the ladder.
 * ERR_CONFLICT: it is neither registered nor watched. */
void trunk_methods_registration(void *service, struct bus_call *call);

/* registrar.trunk_register {id} -> nil: it registers now. ERR_CONFLICT: it does
 * not, or is at it. */
void trunk_methods_register(void *service, struct bus_call *call);

#endif
