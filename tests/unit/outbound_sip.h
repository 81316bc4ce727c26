#ifndef UNIT_OUTBOUND_SIP_H
#define UNIT_OUTBOUND_SIP_H

/* The SIP transports of a registrar's outbound half
 * (services/registrar/outbound.h). */

#include "services/registrar/outbound.h"

/* With one listener, UDP at 127.0.0.1. What they receive, open and close is
 * told to *outbound, which may be made later and is NULL once it is freed; a
 * message that is none fails the test. client: of TLS, or NULL. */
struct sip_transports *outbound_sip_new(struct loop *loop,
					struct sip_tls_context *client,
					struct outbound **outbound);

/* The ports it says it listens on: those of SIP. */
uint16_t outbound_sip_port(void *arg, enum sip_transport transport);

#endif
