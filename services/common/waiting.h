#ifndef COMMON_WAITING_H
#define COMMON_WAITING_H

/* Those who wait for something to be known of an object, by its id. */

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	/* They are looked through for each object that becomes known. Further
	 * ones are to be told to come again. */
	WAITING_MAX = 256,
};

/* ERR_OK: all there is to know is known now, which may be that there is no such
 * object. Else why it is not. */
typedef void waiting_fn(void *arg, int64_t id, enum err_code code);

struct waiter;

/* All zero: nobody waits. */
struct waiting {
	LIST_HEAD(, waiter) first;
	size_t count;
};

bool waiting_full(const struct waiting *waiting);

/* fn is called once, unless waiting_fini() comes before. Not when full. */
void waiting_add(struct waiting *waiting, int64_t id, waiting_fn *fn,
		 void *arg);

/* Calls those who wait for an object; who begins to meanwhile waits on. */
void waiting_tell(struct waiting *waiting, int64_t id, enum err_code code);
void waiting_tell_all(struct waiting *waiting, enum err_code code);

/* Nobody is told any more. */
void waiting_fini(struct waiting *waiting);

#endif
