#ifndef SYSTEM_ADMIN_H
#define SYSTEM_ADMIN_H

/* The calling administrator's own account: the admin.* methods (system.h). */

#include "services/common/bus_server.h"

/* Sessions stay, and keep the old name in the log until they end. */
bus_handler_fn admin_username;

/* Every session of the account ends, the caller's too. */
bus_handler_fn admin_password;

#endif
