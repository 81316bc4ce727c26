#ifndef SYSTEM_AUTH_H
#define SYSTEM_AUTH_H

/* Sign-in, its sessions and their end: the auth.* methods (system.h). */

#include "services/common/bus_server.h"

bus_handler_fn auth_sign_in;
bus_handler_fn auth_login;
bus_handler_fn auth_oauth_token;
bus_handler_fn auth_refresh;
bus_handler_fn auth_session;
bus_handler_fn auth_sign_out;
bus_handler_fn auth_user;

#endif
