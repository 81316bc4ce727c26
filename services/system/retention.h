#ifndef SYSTEM_RETENTION_H
#define SYSTEM_RETENTION_H

/*
 * Deletes what the audit log has kept long enough: as long as the tenant says
 * (log_retention), and what is of no tenant as long as the configuration does.
 * Once an hour, in batches: each is looked for on the lane of slow selects and
 * deleted by id, so that nobody's sign-in waits for it. Several replicas do the
 * same work without harm.
 */

#include "services/common/database.h"
#include "services/common/loop.h"

struct retention;

/* Begins at once. database outlives it. */
struct retention *retention_new(struct loop *loop, struct database *database,
				int64_t days);

/* Begins no further batch; what is in flight may still end. */
void retention_stop(struct retention *retention);

/* After the database is freed. Accepts NULL. */
void retention_free(struct retention *retention);

#endif
