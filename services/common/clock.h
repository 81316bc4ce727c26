#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

/* CLOCK_MONOTONIC, read now: for threads beside the loop's, and for spans that
 * a turn of the loop is too coarse for. All else asks loop_now_ms(), which
 * costs no system call. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

#endif
