#ifndef COMMON_BUS_SERVER_H
#define COMMON_BUS_SERVER_H

/*
 * The serving end of the bus: one nng REP socket, its batches taken apart into
 * calls, each call dispatched by a table, the replies of a batch sent back
 * together (proto/message.h, proto/README.md).
 *
 *   nng thread: receive batch -> queue -> wake
 *   loop:       decode frames -> method table -> handler ... bus_reply_*()
 *               -> last reply of the batch -> send -> receive the next
 *
 * A frame that cannot be read, an unknown method, version or deadline, and a
 * principal the method's row does not admit are answered here and counted. A
 * call whose deadline has passed before its handler runs is not run.
 */

#include "proto/arena.h"
#include "proto/error.h"
#include "proto/message.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

struct bus_server;
struct bus_call;

/* Serves one call: answers it once, now or later, by one of the bus_reply_*().
 * service is the pointer given to bus_server_new(). */
typedef void bus_handler_fn(void *service, struct bus_call *call);

struct bus_method {
	const char *name; /* "provider.get" */
	bus_handler_fn *handle;
	unsigned who;	  /* enum principal_kind bits that may call */
	const void *data; /* the handler's own, e.g. its resource */
};

struct bus_server_options {
	const char *address;		  /* ipc://, tcp:// */
	const struct bus_method *methods; /* outlive the server */
	size_t method_count;
	void *service;
	struct metrics *metrics; /* bus counters are added; `service.metrics`
				  * answers all of it */
	/* Why the service cannot serve now ("database"), or NULL: the answer of
	 * `service.health`. */
	const char *(*not_ready)(void *service);
};

/* Starts to listen. `service.metrics` and `service.health` are served beside
 * the table, to PRINCIPAL_SERVICE. ERR_UNAVAILABLE with the reason: cannot
 * listen. ERR_VALIDATE: not an address. The rows in metrics, which may not be
 * NULL, are good until the server is freed. */
enum err_code bus_server_new(struct loop *loop,
			     const struct bus_server_options *options,
			     struct bus_server **out, struct err *err);

/* Runs no further call: what still arrives is answered ERR_UNAVAILABLE, so
 * that its caller knows that nothing was done. */
void bus_server_stop(struct bus_server *server);

/* No call is unanswered and no reply unsent; after a stop, refusals do not
 * count. */
bool bus_server_idle(const struct bus_server *server);

/* Drops what is unanswered: such calls must not be answered afterwards. May
 * block for as long as nng takes to close. */
void bus_server_free(struct bus_server *server);

/* What was asked; views are good until the call is answered. */
const struct request *bus_call_request(const struct bus_call *call);

/* The data of the method's row. */
const void *bus_call_data(const struct bus_call *call);

/* Memory that lives until the call is answered. */
struct arena *bus_call_arena(struct bus_call *call);

/* Milliseconds the caller still waits, at least 1. */
uint32_t bus_call_left_ms(const struct bus_call *call);

/* Where the handler writes the body of its reply: one msgpack value. */
struct buffer *bus_call_body(struct bus_call *call);

/* Answers with what is in bus_call_body() (nothing: nil). object_version: of
 * the one object told of, or 0. The call is gone afterwards. */
void bus_reply_ok(struct bus_call *call, uint64_t object_version);

/* Answers with an error, whose code is not ERR_OK. Counts it; logs codes of
 * HTTP status 500 and over. The call is gone afterwards. */
void bus_reply_error(struct bus_call *call, const struct err *err);

/* The same with the code's own text. */
void bus_reply_code(struct bus_call *call, enum err_code code);

#endif
