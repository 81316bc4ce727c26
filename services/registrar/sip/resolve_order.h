#ifndef REGISTRAR_SIP_RESOLVE_ORDER_H
#define REGISTRAR_SIP_RESOLVE_ORDER_H

/* The order in which SRV records are tried (RFC 2782). */

#include "services/registrar/sip/dns.h"

#include <stddef.h>
#include <stdint.h>

/* Sorts by priority; within one, records come first as often as their weight
 * says. The generator's state is the caller's, any number to start with; the
 * same state and records give the same order. */
void resolve_order(struct dns_srv *records, size_t count, uint64_t *state);

#endif
