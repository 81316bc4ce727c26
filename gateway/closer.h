#ifndef GATEWAY_CLOSER_H
#define GATEWAY_CLOSER_H

/*
 * Closing a connection whose request was not read to its end. A close with
 * unread bytes makes the kernel send a reset, which may overtake the answer
 * (RFC 9112 section 9.6): such a connection is shut down for writing first and
 * its input read away for a short while.
 */

#include "services/common/loop.h"

#include <stdbool.h>

struct closer;

enum {
	CLOSER_MS = 2000,
	/* Past it connections are closed at once: an attacker gets no more. */
	CLOSER_MAX = 128,
};

struct closer *closer_new(struct loop *loop);

/* Closes what is open. */
void closer_free(struct closer *closer);

/* Takes a connected, non-blocking socket over and closes it in the end. */
void closer_add(struct closer *closer, int fd);

bool closer_idle(const struct closer *closer);

#endif
