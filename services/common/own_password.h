#ifndef COMMON_OWN_PASSWORD_H
#define COMMON_OWN_PASSWORD_H

/*
 * Who is signed in proves to know the password of its account, before it may
 * change it. Counted with the sign-ins (lockout.h): who has but a session must
 * not find out the password by trying.
 */

#include "services/common/cache.h"
#include "services/common/database.h"
#include "services/common/passwords.h"

/* hash: of the password, as the account has it; in the call's arena. */
typedef void own_password_fn(void *arg, const char *hash);

/* An account, and what the caller says of it. */
struct own_password {
	struct database *database;
	struct cache *cache;
	struct passwords *passwords;
	const char *name; /* sql is prepared under it */
	const char *sql;  /* SELECT of the hash; $1: the id */
	int64_t id;
	struct slice old_password; /* lives as long as the call */
	const char *refused;	   /* the event logged where it is wrong */
	uint64_t *locked; /* counts callers that are shut out; or NULL */
	own_password_fn *right;
	void *arg;
};

/* Ends in right(), never from within, or in an answer to the call:
 * ERR_VALIDATE of the field old_password where it is wrong, ERR_NOT_FOUND
 * without an account, ERR_RATE_LIMITED, ERR_UNAVAILABLE. `own` is copied. */
void own_password_check(struct bus_call *call, const struct own_password *own);

#endif
