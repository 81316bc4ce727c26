#ifndef BENCH_SIP_WIRE_H
#define BENCH_SIP_WIRE_H

/* The client's sockets: one for UDP, several connections for TCP and TLS.
 * Whatever goes wrong with them ends the process. */

#include "proto/slice.h"
#include "services/registrar/sip/names.h"

#include <stdint.h>

struct wire;

enum { WIRE_CONNECTIONS_MAX = 4096 };

typedef void wire_fn(void *arg, struct slice message);

/* To 127.0.0.1:port. connections counts for TCP and TLS only. */
struct wire *wire_new(enum sip_transport transport, uint16_t port,
		      unsigned connections, wire_fn *fn, void *arg);

/* The number chooses the connection; datagrams leave with wire_flush(). */
void wire_send(struct wire *wire, uint32_t number, struct slice message);
void wire_flush(struct wire *wire);

/* Hands out what has come, waiting for it up to so long. */
void wire_receive(struct wire *wire, uint64_t wait_us);

#endif
