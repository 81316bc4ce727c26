#ifndef GATEWAY_TRAFFIC_H
#define GATEWAY_TRAFFIC_H

/* How often and how long: the REST calls of every row, for /metrics. The labels
 * are the rows' own, so that no client can make more of them. */

#include "gateway/route.h"
#include "proto/buffer.h"

#include <stdint.h>

struct traffic;

/* The router has all its rows and outlives it. */
struct traffic *traffic_new(const struct router *router);
void traffic_free(struct traffic *traffic);

/* Counts an answer. index: the row's (see router_get), or router_count() for
 * calls of no row. */
void traffic_count(struct traffic *traffic, size_t index, int status,
		   uint64_t duration_ns);

/* Appends the Prometheus text of rows that were called. */
void traffic_append(const struct traffic *traffic, struct buffer *out);

#endif
