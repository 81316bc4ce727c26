#ifndef GATEWAY_ANSWER_H
#define GATEWAY_ANSWER_H

/* What a REST call is answered, rendered from the reply of the bus or from an
 * error, by the shape of its route and in the words of its dialect. */

#include "gateway/dialect.h"
#include "gateway/http.h"
#include "gateway/route.h"
#include "proto/arena.h"
#include "proto/buffer.h"
#include "proto/message.h"

/* An answer in the making. A zeroed struct with an arena is an empty one;
 * buffer_fini() of body gives its memory back. */
struct answer {
	struct http_answer http;
	struct buffer body;
	struct arena *arena; /* where the values of rare headers live */
	char etag[24];
	char retry_after[12];
};

/* Empties it, keeping the body's memory. */
void answer_reset(struct answer *answer);

/* Adds a header whose value lives until the answer is sent. */
void answer_header(struct answer *answer, const char *name, struct slice value);

/* Fills in a good reply. secure: cookies are for TLS only. ERR_INTERNAL: the
 * reply's body cannot be shown; the answer is to be an error then. */
enum err_code answer_reply(struct answer *answer, const struct route *route,
			   const struct dialect *dialect,
			   const struct reply *reply, bool secure,
			   struct err *err);

/* Fills in an error, forgetting what the answer held but its headers. */
void answer_error(struct answer *answer, const struct dialect *dialect,
		  const struct err *err);

#endif
