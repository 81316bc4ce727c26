#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t measure_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MEASURE_US_PER_S +
	       (uint64_t)now.tv_nsec / 1000;
}

void measure_add(struct measure_latencies *latencies, uint64_t took_us)
{
	latencies->buckets[took_us < MEASURE_LATENCY_US_MAX
				   ? took_us
				   : MEASURE_LATENCY_US_MAX]++;
	latencies->count++;
}

unsigned measure_percentile_us(const struct measure_latencies *latencies,
			       double part)
{
	const uint64_t rank = (uint64_t)(part * (double)latencies->count);
	uint64_t seen = 0;

	for (unsigned us = 0; us < MEASURE_LATENCY_US_MAX; us++) {
		seen += latencies->buckets[us];
		if (seen > rank)
			return us;
	}
	return MEASURE_LATENCY_US_MAX;
}

void measure_wait_for_line(void)
{
	puts("ready");
	fflush(stdout);
	for (int c = getchar(); c != '\n'; c = getchar())
		if (c == EOF)
			exit(1);
}
