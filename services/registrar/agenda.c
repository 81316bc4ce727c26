#include "services/registrar/agenda.h"

#include "proto/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum { FIRST_CAPACITY = 64 };

struct agenda {
	struct loop *loop;
	struct agenda_clock clock;
	struct loop_timer *timer;   /* NULL: the caller drives */
	struct agenda_entry **heap; /* from 1: the earliest first */
	size_t count;
	size_t capacity;
	bool running;
};

/* Not the loop's, which stands still during a turn: after a long one a pace
 * measured by it would have been too fast. */
static uint64_t machine_clock(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_clock(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_timer(void *arg)
{
	agenda_run(arg);
}

struct agenda *agenda_new(struct loop *loop, const struct agenda_clock *clock)
{
	struct agenda *agenda = mem_alloc(sizeof(*agenda));

	agenda->loop = loop;
	if (clock)
		agenda->clock = *clock;
	else
		agenda->clock =
			(struct agenda_clock){machine_clock, wall_clock, NULL};
	if (!clock)
		agenda->timer = loop_timer_new(loop, on_timer, agenda);
	agenda->capacity = FIRST_CAPACITY;
	agenda->heap = mem_alloc(FIRST_CAPACITY * sizeof(*agenda->heap));
	return agenda;
}

void agenda_free(struct agenda *agenda)
{
	if (!agenda)
		return;
	assert(agenda->count == 0);
	loop_timer_free(agenda->timer);
	free(agenda->heap);
	free(agenda);
}

uint64_t agenda_now_ms(const struct agenda *agenda)
{
	return agenda->clock.monotonic_ms(agenda->clock.arg);
}

int64_t agenda_unix_ms(const struct agenda *agenda)
{
	return agenda->clock.unix_ms(agenda->clock.arg);
}

uint64_t agenda_next_ms(const struct agenda *agenda)
{
	return agenda->count > 0 ? agenda->heap[1]->due_ms : UINT64_MAX;
}

static void put(struct agenda *agenda, struct agenda_entry *entry, size_t place)
{
	agenda->heap[place] = entry;
	entry->place = place;
}

static void sift_up(struct agenda *agenda, struct agenda_entry *entry)
{
	size_t place = entry->place;

	while (place > 1 && agenda->heap[place / 2]->due_ms > entry->due_ms) {
		put(agenda, agenda->heap[place / 2], place);
		place /= 2;
	}
	put(agenda, entry, place);
}

static void sift_down(struct agenda *agenda, struct agenda_entry *entry)
{
	size_t place = entry->place;

	for (size_t child; (child = 2 * place) <= agenda->count;
	     place = child) {
		if (child < agenda->count &&
		    agenda->heap[child + 1]->due_ms <
			    agenda->heap[child]->due_ms)
			child++;
		if (agenda->heap[child]->due_ms >= entry->due_ms)
			break;
		put(agenda, agenda->heap[child], place);
	}
	put(agenda, entry, place);
}

static void take_out(struct agenda *agenda, struct agenda_entry *entry)
{
	struct agenda_entry *last = agenda->heap[agenda->count--];
	const size_t place = entry->place;

	entry->place = 0;
	if (last == entry)
		return;
	put(agenda, last, place);
	sift_up(agenda, last);
	sift_down(agenda, last);
}

/* The loop's timer follows the earliest entry. It may be early, which costs a
 * look; it is never late. */
static void timer_follow(struct agenda *agenda)
{
	const uint64_t now_ms = agenda_now_ms(agenda);
	const uint64_t next_ms = agenda_next_ms(agenda);

	if (!agenda->timer || agenda->running)
		return;
	if (next_ms == UINT64_MAX)
		loop_timer_stop(agenda->timer);
	else
		loop_timer_start(agenda->timer,
				 next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

void agenda_set(struct agenda *agenda, struct agenda_entry *entry,
		uint64_t delay_ms)
{
	if (entry->place)
		take_out(agenda, entry);
	entry->due_ms = agenda_now_ms(agenda) + delay_ms;
	if (agenda->count + 1 == agenda->capacity) {
		agenda->capacity *= 2;
		agenda->heap = mem_resize(
			agenda->heap, agenda->capacity * sizeof(*agenda->heap));
	}
	put(agenda, entry, ++agenda->count);
	sift_up(agenda, entry);
	if (entry->place == 1)
		timer_follow(agenda);
}

void agenda_clear(struct agenda *agenda, struct agenda_entry *entry)
{
	if (entry->place)
		take_out(agenda, entry);
}

void agenda_run(struct agenda *agenda)
{
	const uint64_t now_ms = agenda_now_ms(agenda);

	agenda->running = true;
	for (size_t left = agenda->count;
	     left > 0 && agenda_next_ms(agenda) <= now_ms; left--) {
		struct agenda_entry *entry = agenda->heap[1];

		take_out(agenda, entry);
		entry->fn(entry->arg);
	}
	agenda->running = false;
	timer_follow(agenda);
}
