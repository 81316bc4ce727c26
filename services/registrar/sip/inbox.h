#ifndef REGISTRAR_SIP_INBOX_H
#define REGISTRAR_SIP_INBOX_H

/*
 * What came over a stream and is not a whole message yet. Cuts messages where
 * frame.h says they end, and tells of the CR LFs between them (RFC 3261 7.5,
 * RFC 5626 4.4.1). An inbox that waits for nothing holds no memory. A zeroed
 * struct is empty.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct sip_inbox {
	struct buffer bytes; /* the start of a message */
	size_t searched;     /* of it, as sip_frame_find() keeps it */
	size_t wanted;	     /* its whole size; 0: not known yet */
};

enum sip_inbox_event {
	SIP_INBOX_MESSAGE,
	SIP_INBOX_CRLF, /* one CR LF between messages */
};

/* message is of the call's time; empty for a CR LF. False: nothing more is
 * wanted, what is left is forgotten. */
typedef bool sip_inbox_fn(void *arg, enum sip_inbox_event event,
			  struct slice message);

void sip_inbox_fini(struct sip_inbox *inbox);

/* Takes what was read and calls fn for each thing that is whole; the time is
 * linear in the bytes, however they are cut. ERR_TOO_LARGE, ERR_MALFORMED: as
 * of sip_frame_find(), the stream cannot be read on. */
enum err_code sip_inbox_put(struct sip_inbox *inbox, struct slice bytes,
			    size_t max_bytes, sip_inbox_fn *fn, void *arg);

/* A message (or a CR LF) has begun and not ended. */
static inline bool sip_inbox_partial(const struct sip_inbox *inbox)
{
	return inbox->bytes.size > 0;
}

#endif
