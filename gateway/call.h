#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

/*
 * One REST call from request to answer.
 *
 *   received -- route, arguments --> session -- who --> sent -- reply --> over
 *      |                                |                 `-- pages --> export
 *      |-- ROUTE_OPEN ------------------+---------------> sent
 *      |-- ROUTE_GATEWAY ---> own (gateway/own.h)
 *      `-- any fault ---------------------------------------------------> over
 *
 * Whatever happens a call is answered once, counted once and logged once. A
 * client that went away is not noticed before the answer. What it counts on
 * against rate_limit is said in gateway/rate.h; a call the HTTP server found a
 * fault with is not counted.
 */

#include "gateway/answer.h"
#include "gateway/dialect.h"
#include "gateway/gateway.h"
#include "gateway/rate.h"
#include "proto/arena.h"
#include "proto/principal.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CALL_PATH_BYTES = 128, /* of the path, for the log: the rest is cut */
	CALL_USER_BYTES = 65,  /* the longest account name and NUL */
	/* Finished calls kept with their memory for the next ones. */
	CALL_SPARE_MAX = 256,
	/* A spare call does not hold on to what one large body needed. */
	CALL_SPARE_BYTES_MAX = 64 * 1024,
};

/* What the modules that answer a call may read of it. */
struct call {
	struct gateway *gateway;
	struct http_request *request; /* only to answer it */
	struct call *next;	      /* spare ones */
	const struct dialect *dialect;
	struct route_match match;
	size_t row; /* for the counters */
	uint64_t started_ns;
	uint64_t deadline_ms; /* on the loop's clock */
	bool secure;
	struct arena arena; /* lives as long as the call */
	struct buffer args;
	struct rate_charge charge; /* of a call with a token */
	struct err err; /* of the arguments, told once the session is proved */
	struct answer answer;
	char request_id[REQUEST_ID_BYTES];
	char verb[8];
	char path[CALL_PATH_BYTES];
	char user[CALL_USER_BYTES];
	char peer[HTTP_PEER_BYTES];
};

struct calls;

struct calls *calls_new(void);

/* Every call is over. */
void calls_free(struct calls *calls);

/* Takes a request: the handler of the HTTP server, arg is the gateway. */
void call_start(void *arg, struct http_request *request);

/* Answers with an error; the call is over. */
void call_fail(struct call *call, const struct err *err);
void call_fail_code(struct call *call, enum err_code code);

/* Answers with a text, which is copied; the call is over. */
void call_text(struct call *call, int status, const char *content_type,
	       struct slice text);

/* Starts an answer of its own: the headers every answer has. */
void call_answer_start(struct call *call);

/* Counts, logs and frees a call whose request was answered. */
void call_over(struct call *call, int status, size_t bytes);

/* A bus request of this call, for its principal. */
struct request call_request(const struct call *call,
			    const struct principal *principal,
			    struct slice args);

#endif
