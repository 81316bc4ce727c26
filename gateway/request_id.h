#ifndef GATEWAY_REQUEST_ID_H
#define GATEWAY_REQUEST_ID_H

/* The X-Request-Id of a call: the client's own, or one made at random. */

#include "proto/message.h"
#include "proto/slice.h"

enum {
	REQUEST_ID_BYTES = MESSAGE_REQUEST_ID_BYTES_MAX + 1, /* NUL included */
	REQUEST_ID_RANDOM_BYTES = 12,
	REQUEST_ID_POOL = 128, /* ids made of one call into the kernel */
};

/* Randomness in stock. A zeroed struct is empty. */
struct request_ids {
	unsigned char pool[REQUEST_ID_POOL][REQUEST_ID_RANDOM_BYTES];
	size_t left;
};

/* Takes a client's id of 1 to 64 characters of A-Z a-z 0-9 . _ -, else makes
 * one of 24. */
void request_id_make(struct request_ids *ids, struct slice sent,
		     char out[REQUEST_ID_BYTES]);

#endif
