#ifndef PROTO_PRINCIPAL_H
#define PROTO_PRINCIPAL_H

/*
 * Who asks. The gateway proves it (a session in Redis) and every bus request
 * carries it; the service decides what it may do.
 */

#include "proto/buffer.h"
#include "proto/reader.h"

#include <stdint.h>

/* A bit each, so that a method's row can name several. */
enum principal_kind {
	PRINCIPAL_NOBODY = 1 << 0,  /* before sign-in */
	PRINCIPAL_SYSTEM = 1 << 1,  /* a system administrator */
	PRINCIPAL_DEALER = 1 << 2,  /* a dealer of any level */
	PRINCIPAL_USER = 1 << 3,    /* a user of a tenant */
	PRINCIPAL_SERVICE = 1 << 4, /* a process of ours, for its own sake */
};

#define PRINCIPAL_SIGNED_IN                                                    \
	(PRINCIPAL_SYSTEM | PRINCIPAL_DEALER | PRINCIPAL_USER)

/* Ids are 0 where there is none. The views point into what was read. */
struct principal {
	enum principal_kind kind;
	int64_t id;	   /* of the administrator, dealer or user */
	int64_t tenant_id; /* a user's tenant */
	int64_t dealer_id; /* a dealer's own id */
	int64_t acting_as; /* the tenant a system administrator switched to */
	struct slice role; /* "SystemAdmin", ... (PortSIP v22) */
	struct slice name; /* the account's name, for audit and log */
	struct slice address; /* where the request came from, numeric */
};

/* As the msgpack array [kind, id, tenant_id, dealer_id, acting_as, role,
 * name, address]. A fault fails the reader. */
void principal_encode(const struct principal *principal, struct buffer *out);
void principal_decode(struct reader *reader, struct principal *out);

#endif
