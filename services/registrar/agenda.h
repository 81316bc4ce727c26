#ifndef REGISTRAR_AGENDA_H
#define REGISTRAR_AGENDA_H

/*
 * Many deadlines on one timer of the loop: a binary heap, so that setting and
 * clearing one of 20 000 costs some 15 steps and 32 bytes each. It is also the
 * clock of everything that registers, so that a test can drive an hour in a
 * millisecond.
 */

#include "services/common/loop.h"

#include <stddef.h>
#include <stdint.h>

struct agenda;

/* A point in time at which something is due. The owner's; zeroed, then fn and
 * arg set; cleared before its memory goes. */
struct agenda_entry {
	loop_fn *fn;
	void *arg;
	uint64_t due_ms;
	size_t place; /* in the heap; 0: not waiting */
};

struct agenda_clock {
	uint64_t (*monotonic_ms)(void *arg);
	int64_t (*unix_ms)(void *arg);
	void *arg;
};

/* clock NULL: the machine's. With a clock of the caller's nothing runs but in
 * agenda_run(). */
struct agenda *agenda_new(struct loop *loop, const struct agenda_clock *clock);

/* No entry waits any more. */
void agenda_free(struct agenda *agenda);

uint64_t agenda_now_ms(const struct agenda *agenda);

/* Milliseconds since 1970 UTC: what may be stored. */
int64_t agenda_unix_ms(const struct agenda *agenda);

/* fn runs once, delay_ms from now and never before this returned. An entry that
 * waits is set anew. */
void agenda_set(struct agenda *agenda, struct agenda_entry *entry,
		uint64_t delay_ms);

/* One that does not wait is fine. */
void agenda_clear(struct agenda *agenda, struct agenda_entry *entry);

/* Runs what is due. What that sets for now is left to the next turn, so that
 * nothing can hold the loop. */
void agenda_run(struct agenda *agenda);

/* When the next entry is due, on agenda_now_ms()'s clock; UINT64_MAX: none. */
uint64_t agenda_next_ms(const struct agenda *agenda);

#endif
