#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

/* The gateway process: what its modules share, and its wiring. */

#include "gateway/http.h"
#include "gateway/rate.h"
#include "gateway/request_id.h"
#include "gateway/route.h"
#include "gateway/traffic.h"
#include "services/common/bus_client.h"
#include "services/common/cache.h"
#include "services/common/config.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/common/process.h"

struct calls;

/* Everything is set before the first request and stays. */
struct gateway {
	struct loop *loop;
	struct router *router;
	struct http_server *http;
	struct cache *cache;
	struct bus_client *services[ROUTE_SERVICES];
	struct calls *calls;
	struct traffic *traffic;
	struct rate *rate;
	struct metrics metrics;
	struct request_ids request_ids;
	struct buffer openapi; /* the document, made once */
	uint32_t call_deadline_ms;
	uint32_t export_deadline_ms;
	bool access_log;
};

/* "provider": in addresses, probes and metrics. */
const char *gateway_service_name(enum route_service service);

/* The start, stop, idle and free of a struct process_kind. */
enum err_code gateway_start(const struct process_kind *kind, struct loop *loop,
			    const struct config *config, void **self,
			    struct err *err);
void gateway_stop(void *self);
bool gateway_idle(void *self);
void gateway_free(void *self);

#endif
