#ifndef SYSTEM_AUDITED_H
#define SYSTEM_AUDITED_H

/* A statement of this service's own that writes, with the audit row of what it
 * wrote. */

#include "services/common/audit.h"
#include "services/system/system.h"

struct audited {
	const char *name;   /* prepared under it */
	const char *with;   /* "done AS (UPDATE ...)", $1 and up */
	const char *answer; /* "SELECT version FROM done" */
	struct audit audit;
};

enum { AUDITED_PARAMS_MAX = 4 };

/* Runs it for a call, in the name of who; params as of database_statement, at
 * most AUDITED_PARAMS_MAX, which like what they point at live until done. */
void audited_run(struct system *system, struct bus_call *call,
		 const struct principal *who, const struct audited *audited,
		 const char *const *params, size_t count,
		 database_done_fn *done, void *arg);

#endif
