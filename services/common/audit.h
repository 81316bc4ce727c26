#ifndef COMMON_AUDIT_H
#define COMMON_AUDIT_H

/*
 * The audit row of a write, in the very statement that writes: a common table
 * expression that inserts into system.audit_logs what the others of the
 * statement made. The resource engine adds it by itself; a service's own
 * statements do it with these.
 *
 *	WITH done AS (UPDATE ... RETURNING t.*)
 *	<audit_append(...)>
 *	SELECT version FROM done
 */

#include "proto/buffer.h"
#include "services/common/bus_server.h"

enum {
	/* tenant, dealer, kind and id of the actor, its name, the tenant it
	 * acts as, address, request id */
	AUDIT_PARAMS = 8,
};

/* What is told of one write. Texts are SQL over the source, or fixed. */
struct audit {
	const char *action;	 /* CREATE, UPDATE, DELETE, LOGIN, LOGOUT */
	const char *object_type; /* "PROVIDER" */
	const char *object_id;	 /* "done.id" */
	const char *object_name; /* "done.name" */
	const char *old_state;	 /* text of the row before, without secrets, or
				  * NULL */
	const char *new_state;	 /* likewise after */
	const char *source;	 /* "done": rows that were written, FROM it */
};

/* Appends ", audited AS (INSERT INTO system.audit_logs ...)". first: the number
 * of the first of its AUDIT_PARAMS parameters. */
void audit_append(struct buffer *sql, size_t first, const struct audit *audit);

/* The parameters, for who asks; texts live in the arena. */
void audit_params(const struct request *request, struct arena *arena,
		  const char *params[AUDIT_PARAMS]);

#endif
