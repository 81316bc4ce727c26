#ifndef DEALER_ACCOUNT_H
#define DEALER_ACCOUNT_H

/*
 * The accounts of dealers: another's password set anew, the caller's own name
 * and password changed. Every session of the account ends with its password.
 */

#include "services/common/bus_server.h"

bus_handler_fn account_password; /* dealer.password */
bus_handler_fn account_own_username;
bus_handler_fn account_own_password;

#endif
