#ifndef COMMON_EVENTS_H
#define COMMON_EVENTS_H

/*
 * Events: a service tells on a PUB socket which of its objects changed, whoever
 * follows them hears it on a SUB socket (proto/event.h, proto/README.md).
 *
 *   publisher:  event ... event -> EVENTS_GATHER_MS -> one message
 *   nng thread: message -> bounded queue -> wake
 *   subscriber: event ... event -> handler
 *
 * An event may get lost: while a connection is down, where a subscriber does
 * not keep up (the publisher never waits for one), with a crash. What a
 * subscriber knows it may have missed it tells by its stale handler; the rest
 * is found by comparing now and then. services/common/follow.h does both.
 */

#include "proto/event.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

/* Appends the address a service's events leave from, which follows from the
 * one it listens on (itself among its replicas' too): for ipc:// and
 * abstract:// ".events" behind the path, for tcp:// and tls+tcp:// the next
 * port. ERR_VALIDATE: neither of them, or no port that has a next. */
enum err_code events_address(struct slice address, struct buffer *out,
			     struct err *err);

/* ---- publisher ---- */

struct events_publisher;

/* Listens beside the address of the service. metrics (may be NULL): events_...
 * are added. ERR_VALIDATE: see events_address(); ERR_UNAVAILABLE: cannot
 * listen. */
enum err_code events_publisher_new(struct loop *loop, const char *address,
				   struct metrics *metrics,
				   struct events_publisher **out,
				   struct err *err);

/* What was not sent yet is not sent: whoever is connected again looks for what
 * it missed. May block for as long as nng takes to
 * close. */
void events_publisher_free(struct events_publisher *publisher);

enum {
	/* An event is told so much later at most. Under load a message wakes
	 * threads on both ends for the events of several commits in place of
	 * those of one. */
	EVENTS_GATHER_MS = 5,
};

/* Tells of a committed change. The event is copied, and leaves together with
 * the others of EVENTS_GATHER_MS, or at once where the message is full. Never
 * blocks. */
void events_publish(struct events_publisher *publisher,
		    const struct event *event);

/* ---- subscriber ---- */

struct events_subscriber;

/* What is told on the loop; none of these may free the subscriber. */
struct events_handlers {
	/* One event; its views are good until the function returns. */
	void (*event)(void *arg, const struct event *event);

	/* Events may have been missed: a replica was connected, for the first
	 * time or again, or more came than the queue holds. */
	void (*stale)(void *arg);

	void *arg;
};

/* Since the start. */
struct events_counts {
	uint64_t events;
	uint64_t malformed; /* messages that were not read to their end */
	uint64_t unknown;   /* events of another version or kind */
	uint64_t dropped;   /* messages the queue had no room for */
	uint64_t connected; /* replicas at this time */
};

/* addresses: the comma separated addresses of the service's replicas, as for
 * bus_client_new(). Connects in the background and reconnects for ever.
 * ERR_VALIDATE: an address is malformed. */
enum err_code events_subscriber_new(struct loop *loop, const char *addresses,
				    const struct events_handlers *handlers,
				    struct events_subscriber **out,
				    struct err *err);

/* May block for as long as nng takes to close. */
void events_subscriber_free(struct events_subscriber *subscriber);

/* Lives as long as the subscriber. */
const struct events_counts *
events_subscriber_counts(const struct events_subscriber *subscriber);

#endif
