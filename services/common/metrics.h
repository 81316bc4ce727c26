#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

/*
 * The counters of a process. A module counts in plain uint64_t members of its
 * own struct on the loop thread and names them here; `service.metrics` on the
 * bus and the gateway's /metrics read them. A zeroed struct is empty.
 */

#include "proto/buffer.h"

#include <stddef.h>
#include <stdint.h>

/* The registrar has the most: five services it calls and four resources it
 * follows. */
enum { METRICS_MAX = 128 };

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE };

struct metrics_entry {
	const char *name; /* "bus_requests_total", Prometheus' naming rules */
	const char *help;
	enum metrics_kind kind;
	const uint64_t *value; /* outlives the registry */
};

struct metrics {
	struct metrics_entry entries[METRICS_MAX];
	size_t count;
};

/* Names and help are kept by pointer. More than METRICS_MAX is a fault of
 * ours and asserted. */
void metrics_add(struct metrics *metrics, enum metrics_kind kind,
		 const char *name, const char *help, const uint64_t *value);

/* The msgpack array of [name, kind, help, value]: the body of
 * `service.metrics`. */
void metrics_encode(const struct metrics *metrics, struct buffer *out);

#endif
