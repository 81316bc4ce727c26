#ifndef REGISTRAR_REPEATS_H
#define REGISTRAR_REPEATS_H

/*
 * Requests that were admitted lately, to be known when they are sent again: the
 * same bytes from the same place, for as long as RFC 3261 has them sent. The
 * branch alone would not do: qop=auth leaves out the contacts, so that whoever
 * has seen a request could send it again with his own.
 */

#include "proto/slice.h"
#include "services/registrar/sip/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

struct repeats;

struct repeats *repeats_new(void);
void repeats_free(struct repeats *repeats);

/* Stands for the text of a request and a hash of where it came from. Marks are
 * made with a random key and never leave the process: whoever makes up another
 * text has a chance of 2^-64 for each he tries that its mark is the same. */
struct repeats_mark {
	uint64_t low, high;
};

/* Of a text longer than any message (64 KiB) the rest is not looked at. */
struct repeats_mark repeats_mark(const struct repeats *repeats,
				 struct slice text,
				 const struct sip_endpoint *source);

/* Whether it was added, lately and not pushed out since. */
bool repeats_has(const struct repeats *repeats, const struct repeats_mark *mark,
		 int64_t now_s);
void repeats_add(struct repeats *repeats, const struct repeats_mark *mark,
		 int64_t now_s);

#endif
