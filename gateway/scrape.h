#ifndef GATEWAY_SCRAPE_H
#define GATEWAY_SCRAPE_H

/* The counters of several processes as one Prometheus text: the samples of one
 * name stand together, told apart by their label service. */

#include "proto/buffer.h"
#include "proto/slice.h"
#include "services/common/metrics.h"

#include <stdbool.h>

struct scrape;

struct scrape *scrape_new(void);
void scrape_free(struct scrape *scrape);

/* Takes a registry's counters. service outlives the scrape. */
void scrape_own(struct scrape *scrape, const char *service,
		const struct metrics *metrics);

/* Takes what a service answered to `service.metrics`, whose bytes outlive the
 * scrape; entries that are malformed end it. up: it answered. */
void scrape_service(struct scrape *scrape, const char *service, bool up,
		    struct slice body);

/* Appends "trunkline_<name>{service="<service>"} <value>" of all, and
 * trunkline_up. */
void scrape_append(struct scrape *scrape, struct buffer *out);

#endif
