#ifndef SYSTEM_FIRST_H
#define SYSTEM_FIRST_H

/*
 * The first administrator: made where there is none, named by admin_name, with
 * a random password that is left in admin_file (mode 0600):
 *
 *   name=admin
 *   password=...
 *
 * There is never an account whose password nobody knows: the password is on
 * disk, in `<admin_file>.<id of the account>`, before the account is committed,
 * and that file is renamed to admin_file afterwards, by the next start if need
 * be. Of several replicas one makes the account
 * (system.administrator_make_first of 0002_system.sql); the others take their
 * files back. Without an admin_file none is made, and an error is logged.
 */

#include "services/common/config.h"
#include "services/common/database.h"
#include "services/common/loop.h"

#include <stdbool.h>

struct first;

/* Begins to look. All of them outlive it. */
struct first *first_new(struct loop *loop, const struct config *config,
			struct database *database);

/* There is an administrator. */
bool first_ready(const struct first *first);

/* Looks no further; what is in flight may still end. */
void first_stop(struct first *first);

/* No password is being hashed. */
bool first_idle(const struct first *first);

/* After the database is freed, and idle. */
void first_free(struct first *first);

#endif
