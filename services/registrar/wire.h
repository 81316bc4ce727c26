#ifndef REGISTRAR_WIRE_H
#define REGISTRAR_WIRE_H

/*
 * The way to a peer, as those who send requests of ours need it: a UDP socket
 * or a connection, and where a connection fails the stage and the reason. The
 * transports stand behind it and are told of here; whoever has them hands their
 * events on.
 */

#include "services/registrar/agenda.h"
#include "services/registrar/sip/transport.h"
#include "services/registrar/status.h"

#include <stdbool.h>
#include <stdint.h>

struct wire;
struct wire_waiting;

/* Where to. */
struct wire_route {
	enum sip_transport transport; /* UDP, TCP, TLS */
	struct sip_endpoint remote;
	const char *host; /* the name that was looked up: a TLS certificate has
			     to be for it (RFC 5922); an address where it was
			     one */
	const struct sip_flow *flow; /* used before, wanted again while it
					lives; NULL: any */
};

/* A way that stands. */
struct wire_way {
	struct sip_flow flow;
	struct sip_endpoint at; /* where requests reach us over this transport:
				   the flow's local address, for connections
				   with the listener's port */
};

/* The port we listen on; 0: we do not. */
typedef uint16_t wire_port_fn(void *arg, enum sip_transport transport);

struct wire *wire_new(struct sip_transports *transports, struct agenda *agenda,
		      wire_port_fn *port, void *arg);

/* Nobody waits any more. */
void wire_free(struct wire *wire);

struct sip_transports *wire_transports(const struct wire *wire);

/* The way there where one stands. False: wire_wait() for it. */
bool wire_find(struct wire *wire, const struct wire_route *route,
	       struct wire_way *out);

/* stage STATUS_NONE: there is a way now, wire_find() gives it. CONNECT, TLS:
 * there is none, and the reason; of the call's time. */
typedef void wire_fn(void *arg, enum status_stage stage, const char *reason);

/* Makes a way, or waits for the one that is being made. fn is called once and
 * never before this returned; the handle is good until then. */
struct wire_waiting *wire_wait(struct wire *wire,
			       const struct wire_route *route, wire_fn *fn,
			       void *arg);

/* Ends that without the callback. NULL is fine. */
void wire_cancel(struct wire_waiting *waiting);

/* For struct sip_transports_events. */
void wire_on_open(struct wire *wire, const struct sip_flow *flow);
void wire_on_close(struct wire *wire, const struct sip_flow *flow,
		   enum sip_stream_stage stage, const struct err *reason);

#endif
