#ifndef REGISTRAR_REGISTRAR_H
#define REGISTRAR_REGISTRAR_H

/*
 * The registrar process: the SIP side of the suite.
 *
 *   transport service --> world --> listeners --> SIP sockets
 *   provider service  --> world --> inbound: who may register
 *   SIP message --> inbound --> bindings (Redis) --> answer
 *   REST, bus   --> methods: what is open, who is registered
 */

#include "services/common/process.h"

extern const struct process_kind registrar_process;

#endif
