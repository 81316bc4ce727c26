#ifndef GATEWAY_OWN_H
#define GATEWAY_OWN_H

/*
 * The calls the gateway answers by itself:
 *
 *   /healthz   200 while the loop turns
 *   /readyz    200, or 503 naming what is not ready: each service, Redis
 *   /metrics   Prometheus text 0.0.4 of the gateway and every service
 *   /api/openapi.json
 */

#include "gateway/call.h"

enum {
	/* A probe waits no longer, and sooner says that the service is away. */
	OWN_PROBE_MS = 1000,
};

/* Adds the rows, of ROUTE_GATEWAY. */
void own_routes_add(struct router *router);

/* Answers a call of one of them. */
void own_answer(struct call *call);

#endif
