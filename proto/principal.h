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
	PRINCIPAL_USER = 1 << 3,    /* a tenant's user without duties: roles
				     * StandardUser, StandardInternationalUser */
	PRINCIPAL_SERVICE = 1 << 4, /* a process of ours, for its own sake */
	PRINCIPAL_ADMIN = 1 << 5,   /* a tenant's administrator: role Admin */
	PRINCIPAL_QUEUE_MANAGER = 1 << 6, /* a tenant's user of that role */
};

#define PRINCIPAL_TENANT                                                       \
	(PRINCIPAL_ADMIN | PRINCIPAL_QUEUE_MANAGER | PRINCIPAL_USER)
#define PRINCIPAL_SIGNED_IN                                                    \
	(PRINCIPAL_SYSTEM | PRINCIPAL_DEALER | PRINCIPAL_TENANT)

/* Ids are 0 where there is none. The views point into what was read. */
struct principal {
	enum principal_kind kind;
	int64_t id;	   /* of the administrator, dealer or user */
	int64_t tenant_id; /* a user's tenant */
	int64_t dealer_id; /* a dealer's own id */
	int64_t acting_as; /* the tenant an administrator or dealer switched to:
			    * it asks as that tenant's administrator */
	struct slice role; /* "SystemAdmin", ... (PortSIP v22) */
	struct slice name; /* the account's name, for audit and log */
	struct slice address; /* where the request came from, numeric */
};

/* What it may do: the kind, or PRINCIPAL_ADMIN while it acts as a tenant. A
 * bit, to be held against masks. */
enum principal_kind principal_acts(const struct principal *principal);

/* The tenant it asks for: that it acts as, or its own; 0: none. */
int64_t principal_tenant(const struct principal *principal);

/* As the msgpack array [kind, id, tenant_id, dealer_id, acting_as, role,
 * name, address]. A fault fails the reader. */
void principal_encode(const struct principal *principal, struct buffer *out);
void principal_decode(struct reader *reader, struct principal *out);

#endif
