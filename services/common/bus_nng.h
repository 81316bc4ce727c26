#ifndef COMMON_BUS_NNG_H
#define COMMON_BUS_NNG_H

/*
 * What both ends of the bus know of nng. Internal to bus_server.c,
 * bus_replica.c, events.c and this file: nothing else sees nng.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"

#include <nng/nng.h>
#include <pthread.h>

/* nng's error as ours, with the reason: "what: Address in use". Returns the
 * code: ERR_VALIDATE for an address that cannot be one, else
 * ERR_UNAVAILABLE. */
enum err_code bus_nng_fail(struct err *err, const char *what, int code);

/* Sets what every socket of the bus has; before its contexts, dialers and
 * listeners are made. */
void bus_nng_socket_tune(nng_socket socket);

/* Listens; an ipc socket is the owner's and group's. nng's own code. */
int bus_nng_listen(nng_socket socket, const char *address);

/* Dials in the background and again, for ever, when the connection is lost or
 * was never made. nng's own code: the address is none. */
int bus_nng_dial(nng_socket socket, const char *address);

/* Closes a socket whose aios were stopped, and tells whether it did. nng 1.5.2
 * now and then never returns from it, where a connection ended in the same
 * moment as something was sent over it: after two seconds it is left to
 * itself. False: nng may still use what the socket was given, which must not be
 * freed; keep is that memory, or NULL. */
bool bus_nng_close(nng_socket socket, void *keep);

/* A message of these bytes, never NULL (see proto/mem.h). */
nng_msg *bus_nng_message(struct slice bytes);

/* A view of a message's body. */
struct slice bus_nng_body(nng_msg *message);

/* Stops where nng says no to what can fail for lack of memory only. */
void bus_nng_require(int code, const char *what);

/* The first member of what nng threads hand to the loop. In one inbox once at
 * a time. */
struct bus_event {
	struct bus_event *next;
};

/* From nng's threads to the loop, in order. */
struct bus_inbox {
	pthread_mutex_t lock;
	struct bus_event *first;
	struct bus_event **last;
	struct loop_wake *wake;
};

/* fn(arg) runs on the loop after a put or a wake. */
void bus_inbox_init(struct bus_inbox *inbox, struct loop *loop, loop_fn *fn,
		    void *arg);

/* No thread puts or wakes any more. */
void bus_inbox_fini(struct bus_inbox *inbox);

/* Any thread. */
void bus_inbox_put(struct bus_inbox *inbox, struct bus_event *event);
void bus_inbox_wake(struct bus_inbox *inbox);

/* Everything put so far, oldest first; linked by next, which an event's
 * handler may overwrite by having it put again. */
struct bus_event *bus_inbox_take(struct bus_inbox *inbox);

#endif
