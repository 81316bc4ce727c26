#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

/* What the load generators measure alike. */

#include <stdint.h>

enum {
	MEASURE_US_PER_S = 1000000,
	MEASURE_LATENCY_US_MAX = 2000000, /* one bucket each; the last: more */
};

/* A zeroed struct has none. */
struct measure_latencies {
	uint32_t buckets[MEASURE_LATENCY_US_MAX + 1];
	uint64_t count;
};

uint64_t measure_now_us(void);

void measure_add(struct measure_latencies *latencies, uint64_t took_us);

/* part: 0.5 is the median. */
unsigned measure_percentile_us(const struct measure_latencies *latencies,
			       double part);

/* Writes "ready" and waits for a line on standard input: whoever reads the
 * servers' CPU time does it in between. Ends the process at its end. */
void measure_wait_for_line(void);

#endif
