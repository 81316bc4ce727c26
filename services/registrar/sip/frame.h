#ifndef REGISTRAR_SIP_FRAME_H
#define REGISTRAR_SIP_FRAME_H

/* Where messages end in a stream (RFC 3261 18.3). */

#include "proto/error.h"
#include "proto/slice.h"

#include <stddef.h>

/* Finds the end of the message that bytes starts with (keep-alive CR LFs before
 * it are the caller's to take off). *size is its bytes, which need not all be
 * there yet: wait until they are. 0: its headers have not ended, ask again when
 * more came. *searched starts at 0 for each message and keeps what was looked
 * at, so that a sender that drips bytes costs no more than one that does not.
 * ERR_TOO_LARGE: it takes, or by Content-Length will take, more than max_bytes.
 * ERR_MALFORMED: no Content-Length, a broken one, two of them, lines that do
 * not end as they should or more than SIP_LINES_MAX: the end cannot be found,
 * the connection has to go. */
enum err_code sip_frame_find(struct slice bytes, size_t max_bytes,
			     size_t *searched, size_t *size);

#endif
