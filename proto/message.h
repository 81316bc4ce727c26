#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

/*
 * The frames of the bus. One nng message is a batch: frames end to end, each
 * one msgpack array, nothing between and nothing after them. proto/README.md
 * tells the same for writers of services in other languages.
 *
 *   request [version, id, request_id, method, deadline_ms, principal, args]
 *   reply   [version, id, status, object_version, body]
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/principal.h"
#include "proto/reader.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	MESSAGE_VERSION = 1,
	/* The largest batch: a few pages of the largest objects, and a bound on
	 * what a peer can make us hold. */
	MESSAGE_BATCH_BYTES_MAX = 16 * 1024 * 1024,
	/* Frames of one batch: at 64 what a message costs is spread thin
	 * already (measured: 2.5 us a call, 17 for a message each). */
	MESSAGE_BATCH_FRAMES_MAX = 128,
	MESSAGE_METHOD_BYTES_MAX = 64,
	MESSAGE_REQUEST_ID_BYTES_MAX = 64,
	MESSAGE_DEADLINE_MS_MAX = 600000,
};

struct request {
	uint64_t id; /* the caller's, unique in its batch; comes back in the
			reply */
	struct slice
		request_id;   /* X-Request-Id of the REST call, for the log */
	struct slice method;  /* "provider.get" */
	uint32_t deadline_ms; /* how long the caller still waits, when sent */
	struct principal principal;
	struct slice args; /* one msgpack map */
};

struct reply {
	uint64_t id;
	enum err_code status;	 /* ERR_OK or the error */
	uint64_t object_version; /* of the one object the body tells of, or 0 */
	struct slice
		body; /* one msgpack value; of an error: see message_error */
};

void message_request_encode(const struct request *request, struct buffer *out);

/* Reads the next frame. Views point into the batch. ERR_MALFORMED: not a
 * request frame, nothing of the rest can be trusted. ERR_VERSION: the frame is
 * whole and out->id is set, but its version is not ours. */
enum err_code message_request_decode(struct reader *reader,
				     struct request *out);

void message_reply_encode(const struct reply *reply, struct buffer *out);

/* As message_request_decode. A status that is in no row of ERR_LIST becomes
 * ERR_INTERNAL. */
enum err_code message_reply_decode(struct reader *reader, struct reply *out);

/* The body of a failed reply: {"text", "retry_after_s", "details": [{"field",
 * "reason"}]}. */
void message_error_encode(const struct err *err, struct buffer *out);

/* Fills err with status and what the body says, cut to err's bounds; a body
 * that cannot be read leaves the list's own text. */
void message_error_decode(enum err_code status, struct slice body,
			  struct err *err);

#endif
