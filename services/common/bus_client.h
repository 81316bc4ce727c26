#ifndef COMMON_BUS_CLIENT_H
#define COMMON_BUS_CLIENT_H

/*
 * The calling end of the bus: calls to one service, gathered into batches,
 * spread over its replicas.
 *
 * A lane keeps calls of one cost apart (a batch is answered when its slowest
 * call is). Each lane keeps at most BUS_WINDOW batches in flight per replica;
 * calls that arrive meanwhile gather in the next batch. A batch goes to the
 * connected replica with the fewest calls in flight on the lane.
 *
 * A replica that answers ERR_ELSEWHERE has done nothing, for what was asked is
 * another's: the call goes to one that was not asked yet, and ends with that
 * error when all have said so. Nothing else is ever sent twice. A call ends with exactly one of: its reply;
 * ERR_LOST (the replica went away while it had the call); ERR_UNAVAILABLE (it
 * was never sent: no replica is connected within its deadline, or the queue is
 * full); ERR_DEADLINE; ERR_TOO_LARGE (no batch can hold it) or ERR_MALFORMED
 * (its method or request_id is longer than a frame takes), never sent either;
 * ERR_INTERNAL (the service answered the batch without it). After ERR_LOST,
 * ERR_DEADLINE and ERR_INTERNAL a write may have happened.
 */

#include "proto/error.h"
#include "proto/message.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

struct bus_client;

enum bus_lane {
	BUS_READ,  /* answered from one indexed read */
	BUS_WRITE, /* waits for a commit */
	BUS_SLOW,  /* lists, exports, password hashing, tests */
	BUS_PROBE, /* service.health and the like, answered by the process
		    * alone: told even while its database hangs */
	BUS_LANES
};

enum {
	/* One batch is served while the next is under way; further ones would
	 * only make the batches smaller. */
	BUS_WINDOW = 2,
	/* Calls waiting to be sent, per lane: past it ERR_UNAVAILABLE at
	 * once. */
	BUS_QUEUE_MAX = 8192,
};

/* The end of a call. err is NULL for a good reply, whose views are good until
 * the function returns; else reply is NULL. Runs on the loop, never from
 * within bus_client_call(). */
typedef void bus_done_fn(void *arg, const struct reply *reply,
			 const struct err *err);

/* addresses: comma separated nng addresses of the replicas. Connects in the
 * background and reconnects for ever (50 to 500 ms apart). metrics (may be
 * NULL): counters named bus_<service>_... are added. ERR_VALIDATE: an address
 * is malformed. */
enum err_code bus_client_new(struct loop *loop, const char *service,
			     const char *addresses, struct metrics *metrics,
			     struct bus_client **out, struct err *err);

/* Ends every call under way, with a reply that is there, ERR_UNAVAILABLE or
 * ERR_LOST, then frees; calls made meanwhile by done functions end with
 * ERR_UNAVAILABLE too. Not from within a done function. May block for as long
 * as nng takes to close. */
void bus_client_free(struct bus_client *client);

/* A replica is connected. */
bool bus_client_connected(const struct bus_client *client);

/* The service's name, as given. */
const char *bus_client_service(const struct bus_client *client);

/* Sends a request; request->id is ignored, deadline_ms bounds the wait, all
 * else is copied before it returns. */
void bus_client_call(struct bus_client *client, enum bus_lane lane,
		     const struct request *request, bus_done_fn *done,
		     void *arg);

#endif
