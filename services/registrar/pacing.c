#include "services/registrar/pacing.h"

#include "proto/mem.h"
#include "services/common/secrets.h"

#include <assert.h>
#include <stdlib.h>

enum {
	FIRST_BUCKETS = 64,

	/* After the sockets were written to, which is at the end of the turn.
	 */
	WRITTEN_MS = 1,
	/* Later than this, a turn was held up; the slack makes up for less. */
	LATE_MS = 3,
};

/* When the last requests left, the oldest at `next`. */
struct window {
	unsigned size;
	unsigned next;
	unsigned fresh;	   /* of this turn: may not have left yet */
	uint64_t *free_ms; /* owned: when each place is free again */
};

TAILQ_HEAD(queue, pacing_ticket);

/*
 * A destination with nobody waiting is kept while its window holds it.
 *
 *	idle --ask--> ready --sent, window full--> blocked --free again--> ready
 *	  ^             |
 *	  '--all sent---'  and once its window is empty it goes
 */
struct pacing_destination {
	struct pacing *pacing;
	struct sip_endpoint endpoint;
	struct pacing_destination *next; /* of its bucket */
	struct queue urgent;
	struct queue normal;
	struct window window;
	struct agenda_entry entry; /* blocked: free again; idle: gone */
	bool ready;
	STAILQ_ENTRY(pacing_destination) ready_link;
	struct pacing_destination *fresh_next; /* while its window is fresh */
};

struct pacing {
	struct agenda *agenda;
	uint64_t hold_ms;
	unsigned destination_burst;
	struct window window;
	struct agenda_entry entry;
	size_t waiting;
	STAILQ_HEAD(, pacing_destination) ready;
	struct agenda_entry written;
	struct pacing_destination *fresh_first;
	uint64_t seed;
	size_t count;
	size_t bucket_count; /* a power of two */
	struct pacing_destination **buckets;
};

static void window_init(struct window *window, unsigned size)
{
	window->size = size;
	window->next = 0;
	window->free_ms = mem_alloc(size * sizeof(*window->free_ms));
}

static uint64_t window_wait_ms(const struct window *window, uint64_t now_ms)
{
	const uint64_t free_ms = window->free_ms[window->next];

	return free_ms > now_ms ? free_ms - now_ms : 0;
}

/* Until every place of it is free. */
static uint64_t window_rest_ms(const struct window *window, uint64_t now_ms)
{
	const unsigned last = (window->next + window->size - 1) % window->size;
	const uint64_t free_ms = window->free_ms[last];

	return free_ms > now_ms ? free_ms - now_ms : 0;
}

static void window_take(struct window *window, uint64_t free_ms)
{
	window->free_ms[window->next] = free_ms;
	window->next = (window->next + 1) % window->size;
	if (window->fresh < window->size)
		window->fresh++;
}

/* Those of this turn have left. */
static void window_written(struct window *window, uint64_t free_ms)
{
	for (; window->fresh > 0; window->fresh--) {
		const unsigned i =
			(window->next + window->size - window->fresh) %
			window->size;

		if (free_ms > window->free_ms[i] + LATE_MS)
			window->free_ms[i] = free_ms;
	}
}

static void on_pump(void *arg);
static void on_written(void *arg);

struct pacing *pacing_new(struct agenda *agenda,
			  const struct pacing_options *options)
{
	struct pacing *pacing = mem_alloc(sizeof(*pacing));

	pacing->agenda = agenda;
	pacing->hold_ms =
		(options->window_ms ? options->window_ms : PACING_WINDOW_MS) +
		PACING_SLACK_MS;
	pacing->destination_burst = options->destination_burst
					    ? options->destination_burst
					    : PACING_DESTINATION_BURST;
	window_init(&pacing->window,
		    options->burst ? options->burst : PACING_BURST);
	pacing->entry = (struct agenda_entry){.fn = on_pump, .arg = pacing};
	pacing->written =
		(struct agenda_entry){.fn = on_written, .arg = pacing};
	STAILQ_INIT(&pacing->ready);
	secrets_random(&pacing->seed, sizeof(pacing->seed));
	pacing->bucket_count = FIRST_BUCKETS;
	pacing->buckets = mem_alloc(FIRST_BUCKETS * sizeof(*pacing->buckets));
	return pacing;
}

static struct pacing_destination **
bucket_of(const struct pacing *pacing, const struct sip_endpoint *endpoint)
{
	return &pacing->buckets[sip_endpoint_hash(endpoint, pacing->seed) &
				(pacing->bucket_count - 1)];
}

static void destination_free(struct pacing_destination *destination)
{
	struct pacing *pacing = destination->pacing;
	struct pacing_destination **at =
		bucket_of(pacing, &destination->endpoint);

	assert(destination->window.fresh == 0);
	while (*at != destination)
		at = &(*at)->next;
	*at = destination->next;
	pacing->count--;
	agenda_clear(pacing->agenda, &destination->entry);
	free(destination->window.free_ms);
	free(destination);
}

void pacing_free(struct pacing *pacing)
{
	if (!pacing)
		return;
	assert(pacing->waiting == 0);
	on_written(pacing);
	for (size_t i = 0; i < pacing->bucket_count; i++)
		while (pacing->buckets[i])
			destination_free(pacing->buckets[i]);
	agenda_clear(pacing->agenda, &pacing->entry);
	agenda_clear(pacing->agenda, &pacing->written);
	free(pacing->window.free_ms);
	free(pacing->buckets);
	free(pacing);
}

size_t pacing_waiting(const struct pacing *pacing)
{
	return pacing->waiting;
}

static void grow(struct pacing *pacing)
{
	struct pacing_destination **old = pacing->buckets;
	const size_t old_count = pacing->bucket_count;

	pacing->bucket_count *= 2;
	pacing->buckets =
		mem_alloc(pacing->bucket_count * sizeof(*pacing->buckets));
	for (size_t i = 0; i < old_count; i++)
		while (old[i]) {
			struct pacing_destination *d = old[i];
			struct pacing_destination **bucket =
				bucket_of(pacing, &d->endpoint);

			old[i] = d->next;
			d->next = *bucket;
			*bucket = d;
		}
	free(old);
}

static bool has_waiting(const struct pacing_destination *destination)
{
	return !TAILQ_EMPTY(&destination->urgent) ||
	       !TAILQ_EMPTY(&destination->normal);
}

static void ready_add(struct pacing_destination *destination)
{
	struct pacing *pacing = destination->pacing;

	agenda_clear(pacing->agenda, &destination->entry);
	destination->ready = true;
	STAILQ_INSERT_TAIL(&pacing->ready, destination, ready_link);
	if (!pacing->entry.place)
		agenda_set(pacing->agenda, &pacing->entry, 0);
}

static void settle(struct pacing_destination *destination);

/* Blocked: its window has a place again, unless its last turn was held up.
 * Idle: its window is empty, unless it became idle while it was blocked, or is
 * not known to have left. */
static void on_entry(void *arg)
{
	struct pacing_destination *destination = arg;
	struct agenda *agenda = destination->pacing->agenda;
	const uint64_t rest_ms =
		window_rest_ms(&destination->window, agenda_now_ms(agenda));

	if (has_waiting(destination))
		settle(destination);
	else if (rest_ms > 0)
		agenda_set(agenda, &destination->entry, rest_ms);
	else if (destination->window.fresh > 0)
		agenda_set(agenda, &destination->entry, WRITTEN_MS);
	else
		destination_free(destination);
}

static struct pacing_destination *
destination_get(struct pacing *pacing, const struct sip_endpoint *endpoint)
{
	struct pacing_destination *d = *bucket_of(pacing, endpoint);

	while (d && !sip_endpoint_eq(&d->endpoint, endpoint))
		d = d->next;
	if (d)
		return d;
	if (pacing->count == pacing->bucket_count)
		grow(pacing);
	d = mem_alloc(sizeof(*d));
	d->pacing = pacing;
	d->endpoint = *endpoint;
	TAILQ_INIT(&d->urgent);
	TAILQ_INIT(&d->normal);
	window_init(&d->window, pacing->destination_burst);
	d->entry = (struct agenda_entry){.fn = on_entry, .arg = d};

	struct pacing_destination **bucket = bucket_of(pacing, endpoint);

	d->next = *bucket;
	*bucket = d;
	pacing->count++;
	return d;
}

/* Where a destination goes that is not in the list of ready ones. */
static void settle(struct pacing_destination *destination)
{
	struct pacing *pacing = destination->pacing;
	const uint64_t wait_ms = window_wait_ms(&destination->window,
						agenda_now_ms(pacing->agenda));

	if (!has_waiting(destination))
		agenda_set(pacing->agenda, &destination->entry,
			   window_rest_ms(&destination->window,
					  agenda_now_ms(pacing->agenda)));
	else if (wait_ms > 0)
		agenda_set(pacing->agenda, &destination->entry, wait_ms);
	else
		ready_add(destination);
}

void pacing_ask(struct pacing *pacing, struct pacing_ticket *ticket,
		const struct sip_endpoint *destination, bool urgent,
		loop_fn *fn, void *arg)
{
	struct pacing_destination *d = destination_get(pacing, destination);

	assert(!ticket->destination);
	ticket->destination = d;
	ticket->urgent = urgent;
	ticket->fn = fn;
	ticket->arg = arg;
	TAILQ_INSERT_TAIL(urgent ? &d->urgent : &d->normal, ticket, link);
	pacing->waiting++;
	if (!d->ready)
		settle(d);
}

/* A ready destination stays in its list and is passed over when its turn
 * comes; a blocked one goes at its time. */
void pacing_drop(struct pacing_ticket *ticket)
{
	struct pacing_destination *d = ticket->destination;

	if (!d)
		return;
	TAILQ_REMOVE(ticket->urgent ? &d->urgent : &d->normal, ticket, link);
	ticket->destination = NULL;
	d->pacing->waiting--;
}

static struct pacing_destination *ready_take(struct pacing *pacing)
{
	struct pacing_destination *d = STAILQ_FIRST(&pacing->ready);

	STAILQ_REMOVE_HEAD(&pacing->ready, ready_link);
	d->ready = false;
	return d;
}

/* One request of the destination whose turn it is. */
static void let_go(struct pacing *pacing, uint64_t now_ms)
{
	struct pacing_destination *d = ready_take(pacing);
	struct pacing_ticket *ticket =
		TAILQ_FIRST(TAILQ_EMPTY(&d->urgent) ? &d->normal : &d->urgent);

	if (!ticket) {
		settle(d);
		return;
	}
	pacing_drop(ticket);
	if (d->window.fresh == 0) {
		d->fresh_next = pacing->fresh_first;
		pacing->fresh_first = d;
	}
	window_take(&pacing->window, now_ms + pacing->hold_ms);
	window_take(&d->window, now_ms + pacing->hold_ms);
	if (!pacing->written.place)
		agenda_set(pacing->agenda, &pacing->written, WRITTEN_MS);
	settle(d);
	ticket->fn(ticket->arg);
}

/* What was let go has left by now. Between the two the machine may have held
 * the process up: then the next burst would follow too soon. */
static void on_written(void *arg)
{
	struct pacing *pacing = arg;
	const uint64_t free_ms =
		agenda_now_ms(pacing->agenda) + pacing->hold_ms - WRITTEN_MS;

	window_written(&pacing->window, free_ms);
	for (struct pacing_destination *d = pacing->fresh_first; d;
	     d = d->fresh_next)
		window_written(&d->window, free_ms);
	pacing->fresh_first = NULL;
}

static void on_pump(void *arg)
{
	struct pacing *pacing = arg;
	const uint64_t now_ms = agenda_now_ms(pacing->agenda);

	while (!STAILQ_EMPTY(&pacing->ready)) {
		const uint64_t wait_ms =
			window_wait_ms(&pacing->window, now_ms);

		if (wait_ms > 0) {
			agenda_set(pacing->agenda, &pacing->entry, wait_ms);
			return;
		}
		let_go(pacing, now_ms);
	}
}
