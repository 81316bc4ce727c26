#ifndef SYSTEM_ACCOUNT_H
#define SYSTEM_ACCOUNT_H

/*
 * Who can sign in, and where that is kept: administrators and dealers by their
 * name alone, a tenant's users by their name and the tenant's domain. Only
 * accounts that may sign in are found: they are enabled, and so is a user's
 * tenant.
 */

#include "services/system/system.h"

#include <stdbool.h>

struct account {
	struct principal principal; /* without an address */
	const char *password_hash;
};

/* account is NULL where there is none, and good as long as the arena of the
 * call. code is not ERR_OK: that is not known. */
typedef void account_fn(void *arg, const struct account *account,
			enum err_code code);

/* domain is absent for administrators and dealers. Never calls back from
 * within. */
void account_find(struct system *system, struct bus_call *call,
		  struct slice name, struct slice domain, account_fn *done,
		  void *arg);

/* Writes the audit row of its sign-in, if it still may sign in with this very
 * password, in the same role: the result of done has a row then. */
void account_sign_in(struct system *system, struct bus_call *call,
		     const struct account *account, database_done_fn *done,
		     void *arg);

/* Whether the principal of a session may go on, in its role, and act as the
 * tenant it acts as. */
typedef void account_still_fn(void *arg, bool may, bool may_act,
			      enum err_code code);
void account_still(struct system *system, struct bus_call *call,
		   const struct principal *principal, account_still_fn *done,
		   void *arg);

/* The role it asks in (PortSIP v22). */
struct slice account_role(const struct principal *principal);

#endif
