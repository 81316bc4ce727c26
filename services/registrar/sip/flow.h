#ifndef REGISTRAR_SIP_FLOW_H
#define REGISTRAR_SIP_FLOW_H

/* Where a message came from, so that an answer (or a request to a phone behind
 * NAT, RFC 5626) goes the same way back. */

#include "services/registrar/sip/endpoint.h"
#include "services/registrar/sip/names.h"

#include <stdint.h>

/* A value: it can be stored and outlives what it names. A connection's number
 * is never given twice, nor likely by another process, so a flow whose
 * connection is gone is dead and not somebody else's. */
struct sip_flow {
	enum sip_transport transport; /* UDP, TCP, TLS */
	struct sip_endpoint local;    /* ours, never a wildcard */
	struct sip_endpoint remote;
	uint64_t connection; /* TCP, TLS; UDP: 0 */
};

#endif
