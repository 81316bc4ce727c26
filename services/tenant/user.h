#ifndef TENANT_USER_H
#define TENANT_USER_H

/*
 * What users have beside the methods of every resource. All of it is for the
 * administrator of their tenant.
 *
 *   user.password {id, password}            ends the user's sessions
 *   user.extension_password {id, password}
 *   user.role {id, role}                    ends the user's sessions, for they
 *                                           carry what it may do
 *   user.profile {id}                       a new provisioning profile id
 *
 * Each answers nil and the user's version, ERR_NOT_FOUND for another tenant's
 * users. Passwords, and those of a new user, obey the tenant's password policy
 * (ERR_VALIDATE naming the field). Where sessions could not be ended the answer
 * is ERR_LOST and says so.
 */

#include "services/common/resource_service.h"

bus_handler_fn user_password;
bus_handler_fn user_extension_password;
bus_handler_fn user_role;
bus_handler_fn user_profile;

/* The hooks of user_resource: before a create, the password policy; after a
 * user was disabled or destroyed, the end of its sessions. */
void user_before(struct resource_change *change);
void user_after(struct resource_change *change);

#endif
